"""Starts hosts quickly: a process that has imported everything, and forks for each of them.

It writes a line when it is ready. Then it reads an order a line from stdin and answers with two lines: the host's
process id, and the status it ended with.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
import traceback

import payme_plugin
from faults.killed_host import QUIET_WITHIN_S, HostOrder, run
from payme_plugin.operations.payment_slips import import_slip_parts
from slips import SlipRenderer

NOT_QUIET = 3
FAILED = 4
_BEYOND_QUIET_S = 30
_UNUSED = tuple(f"payme_plugin.{name}" for name in ("cli", "doctor", "pyinstaller", "sandbox", "till"))


def main() -> None:
    """Serve orders until stdin ends."""
    _import_all()
    print("ready", flush=True)  # noqa: T201 - the answer
    former = 0
    for line in sys.stdin:
        if former:
            # Reap it only now: until then its id stays in use, so that no signal can hit another process.
            os.waitpid(former, 0)
        former = os.fork()
        if former == 0:
            _run_and_exit(line)
        print(former, flush=True)  # noqa: T201 - the answer
        print(_status_of(former), flush=True)  # noqa: T201 - the answer


def _status_of(host: int) -> int:
    """Wait for the end of a host; return its exit code, or the signal that ended it, below zero."""
    ended = os.waitid(os.P_PID, host, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _import_all() -> None:
    """Import what a host imports, and build the schemas, which takes longer than a sale."""
    for module in pkgutil.walk_packages(payme_plugin.__path__, "payme_plugin."):
        if not module.name.startswith(_UNUSED):
            importlib.import_module(module.name)
    renderer = SlipRenderer()
    import_slip_parts()
    renderer.warm_up()
    gc.freeze()  # a host that collects garbage copies no page of what it shares


def _run_and_exit(line: str) -> None:
    signal.alarm(QUIET_WITHIN_S + _BEYOND_QUIET_S)
    status = FAILED
    try:
        status = 0 if run(HostOrder(**json.loads(line))) else NOT_QUIET
    except SystemExit:
        raise  # a child that the host has forked ends as any program does
    except BaseException:  # noqa: BLE001 - whatever it is, this copy of the server must not enter its loop
        traceback.print_exc()
    os._exit(status)


if __name__ == "__main__":
    main()
