"""Another process that has a journal open and writes to it, run as a script: ``journal_keeper.py JOURNAL IDENTITY``.

It stores a payment for every line of its input, says so, and keeps the journal open until its input ends.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fakes.journal_rows import walk
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import Journal
from payme_plugin.ledger.states import PaymentState


def main() -> None:
    """Keep the journal open."""
    journal = Journal(Path(sys.argv[1]), host_identity=sys.argv[2], clock=SystemClock())
    for line in sys.stdin:
        walk(journal, PaymentState.UNKNOWN, line.strip())
        sys.stdout.write("stored\n")
        sys.stdout.flush()
    journal.close()


if __name__ == "__main__":
    main()
