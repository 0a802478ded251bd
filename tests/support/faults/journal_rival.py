"""Another process at a journal, run as a script: it says ``ready``, and works until the end of its input.

``take-over JOURNAL`` waits for a line, takes p1 over and says whether it ``won`` or ``lost``; ``lead FOLDER [BYTE]``
holds a lock; ``open JOURNAL`` has the file open; ``store JOURNAL`` stores a payment for every line.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from payme_plugin.clock import SystemClock
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.journal import Journal
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def rival(what: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield such a process once it is ready; its input ends with the block, and it is killed if it goes on."""
    root = Path(__file__).parents[3]
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, __file__, what, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(root / "tests" / "support")))},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
            process.communicate(timeout=20)
        finally:
            process.kill()


def ask(process: subprocess.Popen[str], line: str) -> str:
    """Write a line to such a process and return its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _take_over(journal: Journal) -> None:
    seen = journal.payment("p1")
    _say("ready")
    sys.stdin.readline()
    try:
        journal.take_over(seen, f"process-{os.getpid()}", "the host asks again")
    except Conflict:
        _say("lost")
    else:
        _say("won")


def _store(journal: Journal) -> None:
    from fakes.journal_rows import walk  # noqa: PLC0415 - only here are our packages in the path

    _say("ready")
    for line in sys.stdin:
        walk(journal, PaymentState.UNKNOWN, line.strip())
        _say("stored")


def main(what: str, path: Path, number: int = LEADER) -> None:
    """Do it."""
    if what == "lead":
        with Leases(path).try_acquire(number):
            _say("ready")
            sys.stdin.readline()
    elif what == "open":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT * FROM payment").fetchone()
            _say("ready")
            sys.stdin.readline()
    else:
        with closing(Journal(path, host_identity="till-1", clock=SystemClock())) as journal:
            (_store if what == "store" else _take_over)(journal)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
