"""Another process holds a row or the journal: the till says who, waits no longer than it must, and takes it over."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.waiting import comes_true
from faults.forking_till import ForkingTill
from hookspecs import HookFailed, PaymentStatus
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.locks import Leases
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox import FaultKind, InjectedFault

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
BUSY = "payme.cancellations.busy"


@pytest.mark.parametrize("ends", [signal.SIGCONT, signal.SIGKILL], ids=lambda end: end.name)
def test_a_row_that_a_stopped_command_holds_is_shown_with_its_process_and_taken_over(
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path, ends: signal.Signals
) -> None:
    till = ForkingTill(tmp_path, {**settings, "timeout": "1", "runWorker": "false"})
    till.start()
    till.pay("sale-1", sandbox.issue_code())
    sandbox.inject(InjectedFault(FaultKind.HTTP_ERROR, times=None))
    till.cancel("sale-1")
    till.plugins.on_stop()
    sandbox.clear_faults()
    sandbox.inject(InjectedFault(FaultKind.ANSWER_DELAYED, times=1, after_s=3))
    conf = tmp_path / "command.conf"
    conf.write_text("[Main]\n" + "".join(f"{name} = {value}\n" for name, value in {**settings, "timeout": 5}.items()))
    conf.chmod(0o600)
    options = ["--conf", str(conf), "--data-dir", str(tmp_path / "payme"), "queue", "deliver", "--until-empty"]
    asked = len(sandbox.requests)
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", "from payme_plugin.cli import main; main(prog_name='payme')", *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    ) as command:
        try:
            assert comes_true(lambda: len(sandbox.requests) > asked)
            command.send_signal(signal.SIGSTOP)
            (lease,) = [number for number in range(1, 9) if Leases(tmp_path / "payme").holder(number) == command.pid]
            till = ForkingTill(tmp_path, {**settings, "timeout": "1"})
            till.start()
            assert comes_true(lambda: str(command.pid) in till.notices.get(BUSY, ""))
            command.send_signal(ends)

            assert comes_true(lambda: till.notices[BUSY] == "")
            assert till.wait_until_quiet()
            assert comes_true(lambda: Leases(tmp_path / "payme").holder(lease) is None)
        finally:
            command.kill()
    till.plugins.on_stop()
    receipt_id = till.record("sale-1").data["receipt_id"]
    (receipt,) = [each for each in sandbox.receipts() if each.receipt_id == receipt_id]
    assert receipt.state == ReceiptState.CANCELLED


def test_beside_a_locked_journal_no_hook_takes_longer_than_one_busy_timeout(
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path
) -> None:
    till = ForkingTill(tmp_path, settings)
    till.start()
    for number in range(1, 5):
        till.pay(f"sale-{number}", sandbox.issue_code())
    with closing(sqlite3.connect(tmp_path / "payme" / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        took = []
        for number in range(1, 5):
            began_at = time.monotonic()
            with pytest.raises(HookFailed):
                till.close(f"sale-{number}")
            took.append(time.monotonic() - began_at)
        began_at = time.monotonic()
        assert till.pay("sale-9", sandbox.issue_code()) is PaymentStatus.REFUSED
        took.append(time.monotonic() - began_at)
        began_at = time.monotonic()
        till.plugins.on_stop()
        took.append(time.monotonic() - began_at)

    assert max(took) < 3.5, took
