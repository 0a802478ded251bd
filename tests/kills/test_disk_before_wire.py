"""What a request rests on is on the disk before the request leaves: seen by strace, since a SIGKILL can't show it.

A kernel keeps what a killed process has written, so only a power cut loses it. The trace tells: between the last write
to the journal's log and the sending of ``receipts.create``, ``receipts.pay`` or ``receipts.cancel`` lies an fdatasync
of the log. With ``synchronous=OFF`` in the traced process the same check finds fault, or it would prove nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from faults import fork_server
from faults.child_process import PYTHON_PATH, without_coverage
from faults.killed_host import RECORD_FILE, TENDER, LifeOrder
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
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.floor

STRACE = shutil.which("strace")
MONEY_METHODS = ("receipts.create", "receipts.pay", "receipts.cancel")
NEVER = Behaviour(BuyerAction.NEVER_ANSWERS)
BEFORE = [("receipts.create", "intent"), ("receipts.pay", "paying")]
"""The requests of a payment, and the state that is on the disk before each of them leaves."""

SALES = {
    "a paid sale": (Behaviour(), "closes", BEFORE),
    "a cancellation that the queue steps": (NEVER, "closes", [*BEFORE, ("receipts.cancel", "unrecorded")]),
    "a sale that is annulled": (Behaviour(), "annuls", [*BEFORE, ("receipts.cancel", "reversing")]),
    "a sale that is refunded": (Behaviour(), "refunds", [*BEFORE, ("receipts.cancel", "reversing")]),
}
needs_strace = pytest.mark.skipif(STRACE is None, reason="needs strace")


@dataclass(frozen=True)
class Traced:
    """A life that was traced.

    Attributes:
        calls: its system calls.
        folder: the host's folder.
    """

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
        """Say what was not on the disk when a request left that rests on it.

        Args:
            states: what must be there before each of ``money_requests``.
        """
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


def order_for(sandbox: Sandbox, folder: Path, sale: str, *, syncs: bool = True, last_boundary: int = 0) -> LifeOrder:
    does, ending, _ = SALES[sale]
    settings = {
        "url": sandbox.url,
        "posId": sandbox.pos_id,
        "posKey": sandbox.pos_key,
        "paymentType": str(TENDER),
        "timeout": "5",
        "payDuration": "1000",
        "frequency": "100",
    }
    return LifeOrder(
        folder=str(folder),
        settings=settings,
        asks_again=True,
        sales=(1_500_000,),
        codes=(sandbox.issue_code(does),),
        ending=ending,
        last_boundary=last_boundary,
        syncs=syncs,
    )


def run(order: LifeOrder, *before: str) -> str:
    """Run a life in a process of its own, whose umask protects nothing; return how it ended."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [*before, sys.executable, fork_server.__file__],
        input=order.to_json() + "\n",
        capture_output=True,
        check=True,
        encoding="utf-8",
        env=without_coverage(
            {
                **os.environ,
                "PYTHONPATH": PYTHON_PATH,
                "PYTHONDONTWRITEBYTECODE": "1",
            }
        ),
        timeout=60,
        umask=0,
    )
    return done.stdout.split()[-1]


def trace(sandbox: Sandbox, tmp_path: Path, sale: str, *, syncs: bool = True) -> Traced:
    assert STRACE is not None
    folder, output = tmp_path / "till", tmp_path / "trace"
    folder.mkdir()
    names = ",".join(sorted(set(SYSCALLS)))
    strace = (STRACE, "-f", "-y", "--seccomp-bpf", "-s", "8192", "-e", f"trace={names}", "-o", str(output))
    assert run(order_for(sandbox, folder, sale, syncs=syncs), *strace) == "0"
    return Traced(read_trace(output.read_text("utf-8", "replace").splitlines()), folder)


@needs_strace
@pytest.mark.parametrize("sale", SALES)
def test_whatever_a_request_rests_on_is_synced_before_it_leaves(sandbox: Sandbox, tmp_path: Path, sale: str) -> None:
    traced = trace(sandbox, tmp_path, sale)
    requests = SALES[sale][2]
    assert [method for method, _ in traced.money_requests] == [method for method, _ in requests]
    assert traced.faults([state for _, state in requests]) == []


@needs_strace
def test_a_new_journal_has_its_place_on_the_disk_before_the_first_request(sandbox: Sandbox, tmp_path: Path) -> None:
    traced = trace(sandbox, tmp_path, "a paid sale")
    _, create = traced.money_requests[0]
    # The journal's name in its folder, and the folder's name in the one above.
    assert {str(traced.folder / "payme"), str(traced.folder)} <= synced_before(traced.calls, create)


@needs_strace
def test_a_verdict_is_synced_before_the_host_hears_of_it(sandbox: Sandbox, tmp_path: Path) -> None:
    traced = trace(sandbox, tmp_path, "a paid sale")
    _, pay = traced.money_requests[-1]
    verdict = next(call for call in traced.record if r"\"verdict\"" in call.arguments)
    assert faults_before(traced.calls, verdict, traced.log, since=pay, says="paid") == []


@needs_strace
def test_a_journal_that_does_not_sync_is_found_out(sandbox: Sandbox, tmp_path: Path) -> None:
    traced = trace(sandbox, tmp_path, "a cancellation that the queue steps", syncs=False)
    faults = traced.faults(["intent", "paying", "unrecorded"])
    assert [fault.split(":")[0] for fault in faults] == ["receipts.create", "receipts.pay", "receipts.cancel"]
    assert all("was not synced" in fault for fault in faults)


@needs_strace
def test_nothing_but_the_plugins_folder_is_written(sandbox: Sandbox, tmp_path: Path) -> None:
    traced = trace(sandbox, tmp_path, "a sale that is annulled")
    of_the_host = {str(path) for path in traced.folder.iterdir()}
    ours = str(traced.folder / "payme")
    others = {path for path in changed_paths(traced.calls) if not path.startswith(f"{ours}/")}
    assert others - of_the_host == set()


def test_every_file_is_for_its_owner_alone_whatever_the_umask(sandbox: Sandbox, tmp_path: Path) -> None:
    # Cut off at its first commit, it leaves the log, its index and the leases behind.
    assert run(order_for(sandbox, tmp_path, "a paid sale", last_boundary=3)) == "-9"
    ours = tmp_path / "payme"
    modes = {path.relative_to(ours).as_posix(): path.stat().st_mode & 0o777 for path in ours.rglob("*")}
    parts = [FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", "leases"]
    assert modes == dict.fromkeys(parts, 0o600)
    assert ours.stat().st_mode & 0o777 == 0o700
