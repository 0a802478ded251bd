"""Data is synced to the disk before the request that needs it: strace shows it, because a SIGKILL can't.

A kernel keeps what a killed process has written, so only a power cut loses it. The trace shows an
fdatasync of the log between the last write to it and the sending of ``receipts.create``, ``receipts.pay`` or
``receipts.cancel``. With ``synchronous=OFF`` in the traced process the same check must fail.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pytest

from fakes.till import TENDER
from faults import fork_server
from faults.child_process import PYTHON_PATH, without_coverage
from faults.killed_host import RECORD_FILE, HostOrder
from faults.strace import (
    SYSCALLS,
    Call,
    changed_paths,
    faults_before,
    read_trace,
    sent_methods,
    synced_before,
    writes_to,
)
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STRACE = shutil.which("strace")
MONEY_METHODS = ("receipts.create", "receipts.pay", "receipts.cancel")
NEVER = Behaviour(BuyerAction.NEVER_ANSWERS)
BEFORE = [("receipts.create", "intent"), ("receipts.pay", "paying")]
"""The requests of a payment, and the state that is on the disk before each of them leaves."""

SALES = {
    "closes": (Behaviour(), BEFORE),
    "annuls": (Behaviour(), [*BEFORE, ("receipts.cancel", "reversing")]),
    "refunds": (Behaviour(), [*BEFORE, ("receipts.cancel", "reversing")]),
    "is not paid": (NEVER, [*BEFORE, ("receipts.cancel", "unrecorded")]),
}
pytestmark = [pytest.mark.floor, pytest.mark.skipif(STRACE is None, reason="needs strace")]


@dataclass(frozen=True)
class Traced:
    """A process that was traced: its system calls, and the host's folder."""

    calls: list[Call]
    folder: Path

    @property
    def log(self) -> str:
        """The journal's write-ahead log."""
        return str(self.folder / "payme" / f"{FILE_NAME}-wal")

    @property
    def record(self) -> list[Call]:
        """The host's writes to its own record."""
        return writes_to(self.calls, str(self.folder / RECORD_FILE))

    @property
    def money_requests(self) -> list[tuple[str, Call]]:
        """The requests that can move money, or that create what can, by method."""
        return [(method, call) for method, call in sent_methods(self.calls) if method in MONEY_METHODS]

    def faults(self, states: list[str]) -> list[str]:
        """Say what was not on the disk when a request left that rests on it, by the state before each request."""
        found = []
        since = self.record[0]
        for (method, call), state in zip(self.money_requests, states, strict=True):
            faults = faults_before(self.calls, call, self.log, since=since, says=state)
            found += [f"{method}: {fault}" for fault in faults]
            since = call
        return found


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(cancel=CancelPlan(settle_s=0)) as running:
        yield running


def strace(output: str, names: list[str], *more: str) -> list[str]:
    return [str(STRACE), "-f", "-y", "-qq", "-o", output, "-e", f"trace={','.join(names)}", *more, sys.executable]


def trace(sandbox: Sandbox, tmp_path: Path, sale: str, *, syncs: bool = True) -> Traced:
    """Run a sale in a process of its own, whose umask protects nothing."""
    folder, output = tmp_path / "till", tmp_path / "trace"
    folder.mkdir()
    order = HostOrder(
        folder=str(folder),
        settings={
            "url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "paymentType": str(TENDER),
            "timeout": "5", "payDuration": "1000", "frequency": "100",
        },
        sales=(1_500_000,),
        codes=(sandbox.issue_code(SALES[sale][0]),),
        ending=sale,
        syncs=syncs,
    )  # fmt: skip
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [*strace(str(output), sorted(set(SYSCALLS)), "--seccomp-bpf", "-s", "8192"), fork_server.__file__],
        input=json.dumps(asdict(order)) + "\n",
        capture_output=True,
        check=True,
        encoding="utf-8",
        env=without_coverage({**os.environ, "PYTHONPATH": PYTHON_PATH, "PYTHONDONTWRITEBYTECODE": "1"}),
        timeout=60,
        umask=0,
    )
    assert done.stdout.split()[-1] == "0"
    return Traced(read_trace(output.read_text("utf-8", "replace").splitlines()), folder)


@pytest.mark.parametrize("sale", SALES)
def test_whatever_a_request_rests_on_is_synced_before_it_leaves(sandbox: Sandbox, tmp_path: Path, sale: str) -> None:
    traced = trace(sandbox, tmp_path, sale)
    requests = SALES[sale][1]
    assert [method for method, _ in traced.money_requests] == [method for method, _ in requests]
    assert traced.faults([state for _, state in requests]) == []


def test_the_new_journal_and_the_result_are_on_the_disk_and_nothing_else_is_written(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    traced = trace(sandbox, tmp_path, "closes")
    (_, create), (_, pay) = traced.money_requests
    ours = traced.folder / "payme"

    # The journal's name in its folder, and the folder's name in the one above, before the first request.
    assert {str(ours), str(traced.folder)} <= synced_before(traced.calls, create)
    # The result, before the host stores it.
    stored = next(call for call in traced.record if r"\"status\": \"PAID\"" in call.arguments)
    assert faults_before(traced.calls, stored, traced.log, since=pay, says="paid") == []
    assert {path.stat().st_mode & 0o777 for path in ours.iterdir()} == {0o600}
    of_the_host = {str(path) for path in traced.folder.iterdir()}
    others = {path for path in changed_paths(traced.calls) if not path.startswith(f"{ours}/")}
    assert others - of_the_host == set()


def test_a_journal_that_does_not_sync_is_found_out(sandbox: Sandbox, tmp_path: Path) -> None:
    traced = trace(sandbox, tmp_path, "is not paid", syncs=False)
    faults = traced.faults(["intent", "paying", "unrecorded"])
    assert [fault.split(":")[0] for fault in faults] == ["receipts.create", "receipts.pay", "receipts.cancel"]
    assert all("was not synced" in fault for fault in faults)


REFUND = """
import os, signal, sys
from pathlib import Path
from fakes.journal_rows import walk
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, PaymentState

sound, failing = Path(sys.argv[1]), Path(sys.argv[2])
journal = Journal(sound / FILE_NAME, host_identity="till-1", clock=SystemClock())
row = walk(journal, PaymentState.RECORDED)
journal.close()
sound.rename(failing)
journal = Journal(failing / FILE_NAME, host_identity="till-1", clock=SystemClock())
refund = NewCancellation(cause=Cause.REFUND, request_id="f-1")
try:
    journal.move(row, PaymentState.REVERSING, "the till asks for a refund", cancellation=refund)
except Unavailable:
    print("refused", journal.payment("p1").state.value, len(journal.live_cancellations()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_refund_that_was_refused_for_a_failed_sync_is_not_carried_out_after_a_kill(tmp_path: Path) -> None:
    sound, failing = tmp_path / "sound", tmp_path / "failing"
    sound.mkdir()
    # The first sync is that of the new log's header: without it SQLite would write no page.
    failure = ("-P", str(failing / f"{FILE_NAME}-wal"), "-e", "inject=fsync,fdatasync:error=EIO:when=2+")

    done = subprocess.run(  # noqa: S603 - our own script
        [*strace(os.devnull, ["fsync", "fdatasync"], *failure), "-c", REFUND, str(sound), str(failing)],
        capture_output=True,
        text=True,
        env=without_coverage({**os.environ, "PYTHONPATH": PYTHON_PATH}),
        check=False,
        timeout=60,
    )

    assert done.stdout == "refused recorded 0\n", done.stderr
    with closing(Journal(failing / FILE_NAME, host_identity="till-1", clock=SystemClock())) as journal:
        assert (journal.payment("p1").state, journal.live_cancellations()) == (PaymentState.RECORDED, [])
