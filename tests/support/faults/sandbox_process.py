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
from payme_plugin.sandbox import CancelPlan, FaultKind, InjectedFault, Sandbox
from payme_plugin.sandbox.bank import SANDBOX_POS_ID

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
        pid: the process.
    """

    url: str
    pos_id: str
    pos_key: str
    receipt_ids: list[str]
    pid: int


@contextmanager
def served(rows: int, *, pos_id: str = SANDBOX_POS_ID, answer_s: float = 0) -> Iterator[Served]:
    """Start the sandbox with so many paid receipts of an account; each answer takes ``answer_s``."""
    command = [sys.executable, __file__, str(rows), pos_id, str(answer_s)]
    with subprocess.Popen(  # noqa: S603 - our own script
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url, pos_id, pos_key, receipt_ids = json.loads(process.stdout.readline())
        yield Served(url, pos_id, pos_key, receipt_ids, process.pid)
        process.stdin.close()


def _serve(rows: int, pos_id: str, answer_s: float) -> None:
    with Sandbox(pos_id=pos_id, cancel=CancelPlan(settle_s=0)) as sandbox:
        if answer_s:
            sandbox.inject(InjectedFault(FaultKind.ANSWER_DELAYED, times=None, after_s=answer_s))
        ids = paid_receipts(sandbox.bank, sandbox.now_ms(), rows)
        print(json.dumps([sandbox.url, sandbox.pos_id, sandbox.pos_key, ids]), flush=True)  # noqa: T201 - the answer
        sys.stdin.read()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
