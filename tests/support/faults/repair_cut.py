"""A repair that the power cuts off, run as a script: ``repair_cut.py JOURNAL IDENTITY STEP``.

It dies by SIGKILL just before the file operation of this number (0: never), and says at the end how many there were.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from payme_plugin.ledger.repair import repair

_OPERATIONS = frozenset({"os.rename", "os.remove"})


def main() -> None:
    """Repair, and die on the way."""
    path, last, done = Path(sys.argv[1]), int(sys.argv[3]), 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal done
        if event in _OPERATIONS and any(str(path) in str(argument) for argument in arguments):
            done += 1
            if done == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)  # noqa: TID251 - this process has nothing else to do
    repair(path, sys.argv[2], "cut")
    sys.stdout.write(f"{done}\n")


if __name__ == "__main__":
    main()
