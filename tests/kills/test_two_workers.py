"""Several processes deliver the same cancellations: they share the rows, and never step the same one at a time.

Two commands (``payme worker``, ``payme queue deliver --until-empty``) and the thread of a till work at once, each a
process of its own. Whoever is killed gives its rows up at once: a lease is a lock of the operating system.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faults.backlog import AMOUNT, owe, paid_receipts
from faults.killed_host import IDENTITY
from faults.killed_till import CrashTill, Nursery
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.killed_till import Life

pytestmark = pytest.mark.floor

ROOT = Path(__file__).parents[2]
LONG_S = 30
POLL_S = 0.02
QUICK = {"timeout": str(LONG_S), "payDuration": str(1000 * LONG_S), "frequency": "100"}


@dataclass(frozen=True)
class Shop:
    """A journal whose money must go back, at a sandbox.

    Attributes:
        sandbox: PaymeGO.
        till: the till that the journal belongs to.
        conf: the settings file of the commands.
    """

    sandbox: Sandbox
    till: CrashTill
    conf: Path

    @property
    def folder(self) -> Path:
        """The plugin's folder."""
        return self.till.folder / "payme"

    def owe(self, payments: int) -> None:
        """Let so many buyers pay for nothing."""
        receipt_ids = paid_receipts(self.sandbox.bank, self.sandbox.now_ms(), payments)
        owe(self.folder, receipt_ids, pos_id=self.sandbox.pos_id, url=self.sandbox.url)

    def begin_till(self) -> Life:
        """Start the till, which sells nothing."""
        return self.till.begin(settings=QUICK)

    @contextmanager
    def command(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run the command as a process of its own; it is killed at the end where it has not ended."""
        options = ("--conf", str(self.conf), "--data-dir", str(self.folder), "--json")
        script = "from payme_plugin.cli import main; main(prog_name='payme')"
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        with subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", script, *options, *arguments],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path},
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def returned(self) -> int:
        """Return how many receipts are cancelled."""
        return sum(receipt.state == ReceiptState.CANCELLED for receipt in self.sandbox.receipts())

    def steps(self) -> dict[str, list[tuple[str, int]]]:
        """Return the requests about each receipt, in order: method and connection."""
        found = defaultdict(list)
        for request in self.sandbox.requests:
            found[str(request.params["id"])].append((request.method, request.connection))
        return found

    def live(self) -> int:
        """Return how many cancellations are live."""
        reader = JournalReader.open_read_only(self.folder / FILE_NAME)
        assert reader is not None
        try:
            return len(reader.live_cancellations())
        finally:
            reader.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Nursery() as nursery, Sandbox(cancel=CancelPlan(settle_s=0)) as sandbox:
        values = {
            **QUICK,
            "url": sandbox.url,
            "posId": sandbox.pos_id,
            "posKey": f'"{sandbox.pos_key}"',
            "paymentType": "7",
        }
        conf = tmp_path / "payme.go.conf"
        conf.write_text("[Main]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()), "utf-8")
        conf.chmod(0o600)
        folder = tmp_path / "till"
        folder.mkdir()
        yield Shop(sandbox, CrashTill(nursery, sandbox, folder, asks_again=True), conf)


def until(condition: Callable[[], bool], within_s: float = 20.0) -> float:
    """Wait until ``condition`` holds; return how many seconds that took."""
    began_at = time.monotonic()
    while not condition():
        assert time.monotonic() - began_at < within_s, "it never came to pass"
        time.sleep(POLL_S)
    return time.monotonic() - began_at


def test_three_processes_share_200_rows_and_step_each_once(shop: Shop) -> None:
    shop.owe(200)
    # Slow enough for any two that take the same row to meet there.
    shop.sandbox.inject(InjectedFault(FaultKind.ANSWER_DELAYED, times=None, after_s=0.02))
    with shop.command("worker") as worker, shop.command("queue", "deliver", "--until-empty") as deliver:
        assert worker.stdout is not None
        worker.stdout.readline()
        assert shop.begin_till().status() == 0
        assert deliver.wait(LONG_S) == 0
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(LONG_S) == 0

    assert shop.live() == 0
    for receipt_id, steps in shop.steps().items():
        methods, connections = [method for method, _ in steps], {connection for _, connection in steps}
        assert methods == ["receipts.check", "receipts.cancel"], receipt_id
        assert len(connections) == 1
    moves = [move.amount for move in shop.sandbox.bank.movements(shop.sandbox.now_ms())]
    assert sorted(moves) == [-AMOUNT] * 200 + [AMOUNT] * 200
    # Each of the three has had its share, over one connection.
    assert len({connection for steps in shop.steps().values() for _, connection in steps}) == 3


def test_the_rows_of_a_killed_process_are_taken_over_at_once(shop: Shop) -> None:
    shop.owe(6)
    shop.sandbox.inject(InjectedFault(FaultKind.SILENT, "receipts.check", times=1))
    till = shop.begin_till()
    until(lambda: len(shop.sandbox.requests) == 1)
    with shop.command("queue", "deliver", "--until-empty") as deliver:
        until(lambda: shop.returned() == 5)
        held = [steps for steps in shop.steps().values() if len(steps) == 1]
        assert len(held) == 1

        till.kill()
        # Its answer would have been waited for, and its lease held, for half a minute.
        assert until(lambda: shop.returned() == 6) < LONG_S / 6
        assert deliver.wait(LONG_S) == 0
    assert till.status() == -signal.SIGKILL
    assert shop.live() == 0


def test_a_slow_answer_holds_up_the_others_for_no_longer_than_its_own_timeout(shop: Shop) -> None:
    shop.owe(20)
    shop.sandbox.inject(InjectedFault(FaultKind.SILENT, "receipts.check", times=1))
    till = shop.till.begin(settings={**QUICK, "timeout": "3"})
    assert until(lambda: shop.returned() == 19) < LONG_S / 3
    assert not till.is_over_within(0)
    till.kill()
    assert till.status() == -signal.SIGKILL


def test_a_process_that_closes_the_journal_leaves_the_log_of_another_alone(shop: Shop) -> None:
    # The till has two connections: what the second one does must not take away the locks of the first.
    shop.owe(1)
    shop.sandbox.inject(InjectedFault(FaultKind.SILENT, times=None))
    till = shop.begin_till()
    until(lambda: len(shop.sandbox.requests) == 1)
    log = shop.folder / f"{FILE_NAME}-wal"
    before = log.stat().st_ino

    Journal(shop.folder / FILE_NAME, host_identity=IDENTITY, clock=SystemClock()).close()
    assert log.exists()
    assert log.stat().st_ino == before

    with shop.command("queue", "list") as listing:
        assert listing.stdout is not None
        assert len(json.loads(listing.stdout.read())) == 1
    assert log.stat().st_ino == before
    till.kill()
    assert till.status() == -signal.SIGKILL


def test_the_second_of_two_tills_on_one_folder_by_mistake_sells_nothing_until_the_first_has_ended(
    shop: Shop, tmp_path: Path
) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "payme").symlink_to(shop.folder, target_is_directory=True)
    shop.folder.mkdir()
    with Nursery() as nursery:
        nursery.wait_until_ready()
        other = CrashTill(nursery, shop.sandbox, beside, asks_again=True)
        # The first one begins another sale, and asks about every payment, while the second one would sell.
        soon = shop.sandbox.issue_code(Behaviour(BuyerAction.CONFIRMS, after_s=2.0))
        at_once, refused, later = (shop.sandbox.issue_code() for _ in range(3))
        first = shop.till.begin(settings=QUICK, sales=(AMOUNT, AMOUNT), codes=(soon, at_once))
        until(lambda: len(shop.sandbox.receipts()) == 1)
        second = other.begin(settings=QUICK, sales=(AMOUNT,), codes=(refused,), sells_at_once=True)
        assert second.status() == 0
        assert first.status() == 0
        third = other.begin(settings=QUICK, sales=(AMOUNT,), codes=(later,), sells_at_once=True)
        assert third.status() == 0

    assert [sale.is_paid for sale in (*shop.till.sales(), *other.sales())] == [True, True, False, True]
    assert shop.sandbox.held() == 3 * AMOUNT
    assert shop.live() == 0
