"""A sandbox in a process of its own, which holds many paid receipts whose money must go back."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[3]), str(Path(__file__).parents[1])]

from faults.backlog import paid_receipts
from payme_plugin.sandbox import CancelPlan, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Served:
    """The sandbox in the other process.

    Attributes:
        url: its address.
        pos_id: its merchant account.
        pos_key: the account's key.
        receipt_ids: the receipts that are paid.
    """

    url: str
    pos_id: str
    pos_key: str
    receipt_ids: list[str]


@contextmanager
def served(rows: int) -> Iterator[Served]:
    """Start the sandbox with so many paid receipts."""
    command = [sys.executable, __file__, str(rows)]
    with subprocess.Popen(  # noqa: S603 - our own script
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Served(*json.loads(process.stdout.readline()))
        process.stdin.close()


def _serve(rows: int) -> None:
    with Sandbox(cancel=CancelPlan(settle_s=0)) as sandbox:
        ids = paid_receipts(sandbox.bank, sandbox.now_ms(), rows)
        print(json.dumps([sandbox.url, sandbox.pos_id, sandbox.pos_key, ids]), flush=True)  # noqa: T201 - the answer
        sys.stdin.read()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
