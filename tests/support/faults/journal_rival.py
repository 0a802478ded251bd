"""Another process beside the tests, run as a script: ``journal_rival.py take-over JOURNAL`` or ``lead FOLDER [BYTE]``.

It says one line when it is ready, waits for a line or the end of its input, and says what became of it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from payme_plugin.clock import SystemClock
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.journal import Journal
from payme_plugin.ledger.locks import LEADER, Leases


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _take_over(path: Path) -> None:
    journal = Journal(path, host_identity="till-1", clock=SystemClock())
    seen = journal.payment("p1")
    _say("ready")
    sys.stdin.readline()
    try:
        journal.take_over(seen, f"process-{os.getpid()}", "the host asks again")
    except Conflict:
        _say("lost")
    else:
        _say("won")
    journal.close()


def _lead(folder: Path, number: int = LEADER) -> None:
    with Leases(folder).try_acquire(number):
        _say("ready")
        sys.stdin.readline()


if __name__ == "__main__":
    if sys.argv[1] == "lead":
        _lead(Path(sys.argv[2]), *map(int, sys.argv[3:]))
    else:
        _take_over(Path(sys.argv[2]))
