"""A script that uses a journal from another process: it prints ``ready`` and works until the end of its input.

``take-over JOURNAL`` waits for a line, takes p1 over and prints ``won`` or ``lost``.
``lead FOLDER [BYTE]`` holds a lock. ``open JOURNAL`` keeps the file open. ``store JOURNAL`` stores a payment for every
line.
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
def journal_process(command: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start this script and yield its process once it is ready. At the end of the block it is stopped, or killed."""
    root = Path(__file__).parents[3]
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, __file__, command, str(path)],
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


def _print(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _take_over(journal: Journal) -> None:
    seen = journal.payment("p1")
    _print("ready")
    sys.stdin.readline()
    try:
        journal.take_over(seen, f"process-{os.getpid()}", "the host asks again")
    except Conflict:
        _print("lost")
    else:
        _print("won")


def _store(journal: Journal) -> None:
    from fakes.journal_rows import walk  # noqa: PLC0415 - only here are our packages in the path

    _print("ready")
    for line in sys.stdin:
        walk(journal, PaymentState.UNKNOWN, line.strip())
        _print("stored")


def main(command: str, path: Path, number: int = LEADER) -> None:
    """Run a command; see the module's docstring."""
    if command == "lead":
        with Leases(path).try_acquire(number):
            _print("ready")
            sys.stdin.readline()
    elif command == "open":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT * FROM payment").fetchone()
            _print("ready")
            sys.stdin.readline()
    else:
        with closing(Journal(path, host_identity="till-1", clock=SystemClock())) as journal:
            (_store if command == "store" else _take_over)(journal)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
