"""Several processes deliver the same cancellations and never step one row at the same time.

Commands (``payme worker``, ``payme queue deliver --until-empty``), each a process of its own, and the thread of a till
in this process. Whoever is killed gives its rows up: a lease is a lock of the operating system.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from fakes.till import open_sale
from fakes.waiting import comes_true
from faults.backlog import AMOUNT, owe, paid_receipts
from hookspecs import BaseUi, CancelRequest, ReversalStatus
from payme_plugin.ledger.locks import Leases
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox import FaultKind, InjectedFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.served_till import ServedTill
    from payme_plugin.sandbox import Sandbox


BUSY = "payme.cancellations.busy"
LONG_S = 30
DELIVER = ("queue", "deliver", "--until-empty")


@contextmanager
def command(folder: Path, settings: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command as a process of its own; it is killed at the end if it has not ended."""
    conf = folder.with_name("command.conf")
    conf.write_text("[Main]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()), "utf-8")
    conf.chmod(0o600)
    script = "from payme_plugin.cli import main; main(prog_name='payme')"
    options = ("--conf", str(conf), "--data-dir", str(folder), "--json")
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", script, *options, *arguments], stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.floor
def test_three_processes_share_100_rows_and_work_on_each_once(
    sandbox: Sandbox, settings: dict[str, str], folder: Path, new_till: Callable[..., ServedTill]
) -> None:
    receipt_ids = paid_receipts(sandbox.bank, sandbox.now_ms(), 100)
    owe(folder, receipt_ids, pos_id=sandbox.pos_id, url=sandbox.url)
    # Slow enough for any two that take the same row to meet there.
    sandbox.inject(InjectedFault(FaultKind.ANSWER_DELAYED, times=None, after_s=0.02))
    with command(folder, settings, "worker") as worker, command(folder, settings, *DELIVER) as deliver:
        assert worker.stdout is not None
        worker.stdout.readline()
        till = new_till()
        assert deliver.wait(LONG_S) == 0
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(LONG_S) == 0

    assert till.live() == []
    requests = defaultdict(list)
    for request in sandbox.requests:
        requests[str(request.params["id"])].append((request.method, request.connection))
    for receipt_id, found in requests.items():
        assert [method for method, _ in found] == ["receipts.check", "receipts.cancel"], receipt_id
        assert len({connection for _, connection in found}) == 1
    moves = [move.amount for move in sandbox.bank.movements(sandbox.now_ms())]
    assert sorted(moves) == [-AMOUNT] * 100 + [AMOUNT] * 100
    # Each of the three has had its share, over one connection.
    assert len({connection for found in requests.values() for _, connection in found}) == 3


@pytest.mark.parametrize("ends", [signal.SIGCONT, signal.SIGKILL], ids=lambda end: end.name)
def test_a_row_that_a_stopped_command_holds_is_shown_with_its_process_and_taken_over(
    sandbox: Sandbox,
    settings: dict[str, str],
    folder: Path,
    new_till: Callable[..., ServedTill],
    ends: signal.Signals,
) -> None:
    till = new_till(timeout="1", runWorker="false")
    record = till.acknowledge(till.pay(till.code()))
    sandbox.inject(InjectedFault(FaultKind.HTTP_ERROR, times=None))
    result = till.plugins.on_cancel(CancelRequest(payment=record, receipt=open_sale(payments=(record,))), BaseUi())
    assert result is not None
    assert result.status is ReversalStatus.QUEUED
    till.plugins.on_stop()
    sandbox.clear_faults()
    sandbox.inject(InjectedFault(FaultKind.ANSWER_DELAYED, times=1, after_s=3))
    asked = len(sandbox.requests)
    leases = Leases(folder)
    with command(folder, settings, *DELIVER) as process:
        assert comes_true(lambda: len(sandbox.requests) > asked)
        process.send_signal(signal.SIGSTOP)
        (lease,) = [number for number in range(1, 9) if leases.holder(number) == process.pid]
        till = new_till(timeout="1")
        assert comes_true(lambda: str(process.pid) in till.host.notices.get(BUSY, ""))
        process.send_signal(ends)

        assert comes_true(lambda: BUSY not in till.host.notices)
        assert comes_true(lambda: till.live() == [])
        assert comes_true(lambda: leases.holder(lease) is None)
    assert [receipt.state for receipt in sandbox.receipts()] == [ReceiptState.CANCELLED]
