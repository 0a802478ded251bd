"""The till reconciles by itself: when, over which period, and what becomes of the result."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import HookedWorld
from fakes.till import VirtualHost
from hookspecs import SaleRecord, Shift
from payme_plugin import reconciler as reconciler_module
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.repair import repair
from payme_plugin.ledger.rows import ReconciliationRow
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

NOTICE = "payme.reconciliation"
WHOLE = '{"finished_at": 1, "agreed": 1, "differences": 1, "in_journal": 1}'
HOUR_S = 3600
DAY_S = 86_400
DAY_MS = 86_400_000
SPREAD_S = reconciler_module._SPREAD_S
EVENING_S = 20 * HOUR_S
"""The virtual clock begins at midnight, UTC."""


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def by_itself(till: HookedWorld) -> HookedWorld:
    """Let the till reconcile by itself, on the worker's thread instead of one of its own, and be ready."""
    reconciler = till.background.reconciler
    reconciler.is_enabled = True
    reconciler.start_run = lambda: till.clock.at(till.clock.monotonic(), reconciler.run)  # type: ignore[method-assign]
    till.dispatcher.ready()
    return till


@pytest.fixture
def night(till: HookedWorld, monkeypatch: pytest.MonkeyPatch) -> HookedWorld:
    """A till that reconciled at eight in the evening, when its journal was new; its time at night is 03:00."""
    monkeypatch.setattr(reconciler_module, "_SPREAD_S", 1)
    till.clock.sleep(EVENING_S)
    by_itself(till).work(300)
    assert periods(till) == [(-7 * DAY_S + EVENING_S + 60, EVENING_S + 60)]
    till.paymego.sent.clear()
    return till


def periods(till: HookedWorld) -> list[tuple[int, int]]:
    """Return the periods that were asked for, in seconds since the clock began, without the hour around them."""
    beginning_ms = till.clock.true_ms() - round(till.clock.monotonic() * 1000)
    asked = [sent.params for sent in till.paymego.sent if sent.method == "receipts.get_all"]
    return [
        (round((int(str(each["from"])) - beginning_ms) / 1000) + HOUR_S,
         round((int(str(each["to"])) - beginning_ms) / 1000) - HOUR_S)
        for each in asked
    ]  # fmt: skip


def lose(till: HookedWorld, value: str = "till-1-3-9-1") -> str:
    """Make a paid receipt that the journal lacks."""
    order = {"amount": 700, "account": {"order_id": value}}
    answer = till.paymego.bank.call(till.paymego.now_ms, "receipts.create", order)
    assert isinstance(answer, dict)
    receipt_id = str(answer["receipt"]["_id"])  # type: ignore[index]
    till.paymego.bank.put_state(till.paymego.now_ms, receipt_id, 4)
    return receipt_id


# ---------------------------------------------------------------------------------------------------------------------
# When
# ---------------------------------------------------------------------------------------------------------------------


def test_a_till_with_a_new_journal_reconciles_a_minute_after_it_is_ready(till: HookedWorld) -> None:
    by_itself(till).work(50)
    assert periods(till) == []
    till.work(60)
    assert len(periods(till)) == 1
    till.work(2 * HOUR_S)
    assert len(periods(till)) == 1


def test_it_runs_once_a_night_after_three_o_clock_since_a_day_before_the_last_run(night: HookedWorld) -> None:
    night.work(6.9 * HOUR_S - 300)
    assert periods(night) == []
    night.work(HOUR_S)
    ((begin_s, end_s),) = periods(night)
    assert DAY_S + 3 * HOUR_S <= end_s <= DAY_S + 3 * HOUR_S + 30
    assert begin_s == EVENING_S + 60 - DAY_S
    night.work(19 * HOUR_S)
    assert len(periods(night)) == 1
    night.work(5 * HOUR_S)
    assert len(periods(night)) == 2


def test_the_tills_of_a_chain_do_not_ask_payme_in_the_same_minutes(
    night: HookedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler_module, "_SPREAD_S", SPREAD_S)
    reconciler, seen = night.background.reconciler, set()
    night.clock.sleep(7 * HOUR_S)
    for minute in range(SPREAD_S // 60):
        for name in ("till-1", "till-2", "till-3"):
            night.host.name = name
            if reconciler._is_due():
                seen.add((name, minute))
        night.clock.sleep(60)
    first = {name: min(minute for each, minute in seen if each == name) for name, _ in seen}
    assert len(set(first.values())) == 3


def test_a_till_that_was_off_at_night_runs_when_it_starts_and_looks_back_seven_days_at_most(
    night: HookedWorld,
) -> None:
    night.clock.sleep(20 * DAY_S)
    night.restart()
    by_itself(night).work(120)

    ((begin_s, end_s),) = periods(night)
    assert end_s - begin_s == 7 * DAY_S


@pytest.mark.parametrize("wanting", ["worker", "ready"])
def test_only_a_till_that_is_ready_and_has_a_worker_runs_it(till: HookedWorld, wanting: str) -> None:
    if wanting == "worker":
        by_itself(till).background.reconciler.is_enabled = False
    else:
        till.background.reconciler.is_enabled = True
    till.work(2 * DAY_S)
    assert periods(till) == []


def test_a_failed_run_is_repeated_in_an_hour_and_shows_nothing(
    night: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    lose(night)
    night.paymego.inject_fault(FaultKind.HTML, "receipts.get_all", times=2)
    night.work(7 * HOUR_S + 120)
    assert (len(periods(night)), night.host.notices) == (1, {})
    assert "the reconciliation is repeated in an hour" in caplog.text
    night.work(HOUR_S)
    assert (len(periods(night)), night.host.notices) == (2, {})
    night.work(HOUR_S)
    assert (len(periods(night)), list(night.host.notices)) == (3, [NOTICE])


def test_a_clock_that_was_set_back_lets_it_run(night: HookedWorld) -> None:
    night.clock.set_wall(-30 * DAY_MS)
    night.work(2 * HOUR_S)
    assert len(periods(night)) == 1
    night.work(2 * HOUR_S)
    assert len(periods(night)) == 1


def test_a_repaired_journal_is_reconciled_at_once(night: HookedWorld) -> None:
    assert night.journal.last_reconciliation is not None
    night.close()
    path = night.host.folder / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM about WHERE name = 'fingerprint_key'")
    assert repair(path, night.host.identity, "now") is not None
    repaired = Journal(path, host_identity=night.host.identity, clock=night.clock)
    assert repaired.last_reconciliation is None
    repaired.close()


# ---------------------------------------------------------------------------------------------------------------------
# What becomes of it
# ---------------------------------------------------------------------------------------------------------------------


def test_a_difference_is_a_notice_until_the_next_run_finds_none(night: HookedWorld) -> None:
    receipt_id = lose(night)
    night.work(7 * HOUR_S + 120)
    assert "1" in night.host.notices[NOTICE]
    assert "payme reconcile" in night.host.notices[NOTICE]

    night.restart()
    by_itself(night).work(60)
    assert NOTICE in night.host.notices, "it is still there after a restart"

    night.paymego.bank.put_state(night.paymego.now_ms, receipt_id, 50)
    night.work(DAY_S)
    assert night.host.notices == {}


def test_a_difference_that_nobody_ends_stays_a_notice_for_a_week(night: HookedWorld) -> None:
    lose(night)
    night.work(6 * DAY_S)
    assert NOTICE in night.host.notices


def test_receipts_of_another_till_are_no_difference(night: HookedWorld) -> None:
    lose(night, "till-2-3-9-1")
    night.work(7 * HOUR_S + 120)
    assert len(periods(night)) == 1
    assert night.host.notices == {}


class SellingHost(VirtualHost):
    """A host that lists its sales."""

    listed: tuple[SaleRecord, ...] = ()

    def sales(self, since: int, until: int) -> Iterable[SaleRecord] | None:
        return (each for each in self.listed if since <= each.sold_at < until)


def test_the_hosts_sales_are_compared_too(till: HookedWorld) -> None:
    till.host.__class__ = SellingHost
    sold = till.sell_and_close()
    till.clock.sleep(10)
    by_itself(till).work(120)
    assert NOTICE in till.host.notices, "the journal says that a sale has the payment, and the host has none"

    sale = SaleRecord(payment_id="p1", amount=1_500_000, receipt_id=sold.receipt_id, sold_at=till.row().closed_at or 0)
    till.host.listed = (sale,)  # type: ignore[attr-defined]
    till.work(DAY_S)
    assert till.host.notices == {}


def test_a_sale_that_closes_days_after_it_was_paid_is_no_difference(till: HookedWorld) -> None:
    till.host.__class__ = SellingHost
    sold = till.sell()
    till.dispatcher.acknowledge(sold.record)
    till.clock.sleep(5 * DAY_S)
    by_itself(till).work(120)
    till.clock.sleep(5 * DAY_S)
    till.close_sale(sold)
    sale = SaleRecord(payment_id="p1", amount=1_500_000, receipt_id=sold.receipt_id, sold_at=till.row().closed_at or 0)
    till.host.listed = (sale,)  # type: ignore[attr-defined]
    till.work(DAY_S)

    assert len(periods(till)) == 3
    assert till.host.notices == {}


def raises() -> Iterable[SaleRecord]:
    yield SaleRecord(payment_id="p1", amount=1, receipt_id="r1", sold_at=1)
    message = "the sales are broken"
    raise RuntimeError(message)


@pytest.mark.parametrize("answer", [lambda: None, raises, lambda: ["a sale"], lambda: 7])
def test_a_host_that_can_not_list_its_sales_leaves_the_comparison_of_journal_and_payme(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch, answer: Callable[[], object]
) -> None:
    monkeypatch.setattr(VirtualHost, "sales", lambda *_: answer())
    till.sell_and_close()
    till.clock.sleep(10)
    by_itself(till).work(120)

    row = till.journal.last_reconciliation
    assert row is not None
    assert (row.agreed, row.differences, row.in_journal) == (1, 0, 1_500_000)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "[]",
        "{}",
        '{"finished_at": 1}',
        '{"finished_at": "1", "agreed": 1, "differences": 1, "in_journal": 1}',
        "[" * 9999,
    ],
)
def test_a_result_that_can_not_be_read_counts_as_none(till: HookedWorld, stored: str) -> None:
    with till.journal.writing() as connection:
        connection.execute("INSERT INTO about (name, value) VALUES ('reconciliation', ?)", (stored,))
    assert till.journal.last_reconciliation is None
    by_itself(till).work(120)
    assert till.journal.last_reconciliation is not None


# ---------------------------------------------------------------------------------------------------------------------
# The shift report
# ---------------------------------------------------------------------------------------------------------------------


def test_a_shift_report_has_the_last_finished_run(till: HookedWorld) -> None:
    assert till.dispatcher.shift_text() is None
    till.sell_and_close()
    lose(till)
    till.clock.sleep(10)
    by_itself(till).work(120)

    assert till.dispatcher.shift_text() == (
        "Сверка Payme: 01.01 00:01\nСумма: 15 000.00\nСошлось чеков: 1\nРасхождений: 1"
    )
    till.restart()
    by_itself(till).work()
    assert till.dispatcher.shift_text() is not None, "also after a restart, before another run"


@pytest.mark.parametrize("language", ["ru", "uz", "en"])
def test_its_lines_fit_the_narrowest_printer(tmp_path: Path, language: str) -> None:
    till = HookedWorld(tmp_path, language=language)
    row = ReconciliationRow(finished_at=1_767_225_600_000, agreed=99_999, differences=9_999, in_journal=10**13)
    till.journal.store_reconciliation(row)
    by_itself(till).work()
    text = till.dispatcher.shift_text()
    till.close()

    assert text is not None
    assert max(map(len, text.splitlines())) <= 32


def test_a_plugin_that_is_not_running_has_no_text() -> None:
    assert PaymePlugin().on_shift_closed(Shift(number=1, opened_at=0, closed_at=1)) is None
    with pytest.raises(TypeError):
        PaymePlugin().on_shift_closed(7)  # type: ignore[arg-type]
