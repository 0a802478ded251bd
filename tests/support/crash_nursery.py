"""Starts lives of the crash tests quickly: a process that has imported everything, and forks for each of them.

It reads an order a line from stdin and answers with two lines: the life's process id, and the status it ended with.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from crash_life import LifeOrder, live
from slips import SlipPress

__all__ = ["FAILED", "NOT_QUIET"]

NOT_QUIET = 3
FAILED = 4
_LONGEST_LIFE_S = 40


def main() -> None:
    """Serve orders until stdin ends."""
    _import_all()
    for line in sys.stdin:
        life = os.fork()
        if life == 0:
            _live_and_exit(line)
        print(life, flush=True)  # noqa: T201 - the answer
        _, status = os.waitpid(life, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


def _import_all() -> None:
    """Import what a life imports, and build the schema of schemas, which takes longer than a life."""
    import payme_plugin.service  # noqa: F401, PLC0415

    press = SlipPress()
    press.import_parts()
    press.warm_up()


def _live_and_exit(line: str) -> None:
    signal.alarm(_LONGEST_LIFE_S)
    status = FAILED
    # Whatever happens, this is a copy of the nursery, whose loop it must not enter.
    with contextlib.suppress(BaseException):
        try:
            status = 0 if live(LifeOrder.from_json(line)) else NOT_QUIET
        except BaseException:
            import traceback  # noqa: PLC0415

            traceback.print_exc()
            raise
    os._exit(status)


if __name__ == "__main__":
    main()
