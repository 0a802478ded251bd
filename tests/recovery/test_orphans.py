"""Orphans: what an earlier process left and the host neither repeats nor acknowledges is cancelled at ``on_ready``."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from fakes.answer_changes import without_receipt_fields
from fakes.journal_rows import contents, walk
from fakes.till import PowerCut
from hookspecs import PaymentStatus
from payme_plugin.ledger.errors import AnotherTill, Unavailable
from payme_plugin.ledger.states import Cause, End, Hold, PaymentState
from payme_plugin.sandbox import FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

AMOUNT = 1_500_000
CANCEL, GET = "receipts.cancel", "receipts.get"
DAY_S = 24 * 3_600
SALE_NOTICE, TOO_OLD_NOTICE = "payme.sale", "payme.recovery.too_old"
ORPHANS = {
    PaymentState.INTENT: (PaymentState.REFUSED, [], Text.PAYMENT_NOT_SENT),
    PaymentState.CREATED: (PaymentState.REFUSED, [Cause.UNRECORDED], Text.PAYMENT_NOT_SENT),
    PaymentState.PAYING: (PaymentState.UNKNOWN, [Cause.UNRECORDED], Text.PAYMENT_UNKNOWN),
    PaymentState.PAID: (PaymentState.REVERSING, [Cause.UNRECORDED], None),
    # Payme refused the host's cancel before the host had acknowledged the payment.
    PaymentState.RECORDED: (PaymentState.REVERSING, [Cause.UNRECORDED], None),
}
"""The state after ``on_ready`` of an orphan in each state, and the result of a later repeated request."""

orphans = pytest.mark.parametrize("state", ORPHANS, ids=lambda state: state.value)


def charge_and_die(till: HookedWorld) -> None:
    """Lose the power after Payme took the money and before that is stored; another process starts."""
    till.journal.cut_at(4)
    with suppress(PowerCut):
        till.sell()
    till.restart()
    assert (till.row().state, till.paymego.held()) == (PaymentState.PAYING, AMOUNT)


# ---------------------------------------------------------------------------------------------------------------------
# Which payments are orphans
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [True, False, None])
@orphans
def test_an_orphan_is_ended_with_a_cancellation_if_it_has_a_receipt_whatever_the_host_would_say(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch, state: PaymentState, word: bool | None
) -> None:
    walk(till.journal, state)
    till.restart()
    is_recorded = Mock(return_value=word)
    monkeypatch.setattr(till.host, "is_recorded", is_recorded)

    till.dispatcher.ready()

    after, causes, text = ORPHANS[state]
    assert (till.row().state, [row.cause for row in till.live()]) == (after, causes)
    assert text is None or till.row().message == till.text(text)
    is_recorded.assert_not_called()
    held = contents(till.journal)
    till.dispatcher.ready()
    assert contents(till.journal) == held


def test_before_on_ready_nothing_is_decided_however_long_the_till_works(till: HookedWorld) -> None:
    for state in ORPHANS:
        walk(till.journal, state, state.value)
        till.host.recorded[state.value] = False
    till.restart()
    before = contents(till.journal)

    till.work(DAY_S)
    till.background.stop()

    assert contents(till.journal) == before


@pytest.mark.parametrize(
    ("why", "state"),
    [
        *(("its own", state) for state in ORPHANS),
        *(("acknowledged", state) for state in ORPHANS),
        *(("it has a result", state) for state in PaymentState if state not in ORPHANS),
    ],
)
def test_payments_of_this_process_acknowledged_ones_and_ones_with_a_result_are_not_orphans(
    till: HookedWorld, why: str, state: PaymentState
) -> None:
    row = walk(till.journal, state)
    if why == "acknowledged":
        till.journal.acknowledge(row)
    if why != "its own":
        till.restart()
    before = till.row(), till.live()

    till.dispatcher.ready()

    assert (till.row(), till.live()) == before


def test_the_running_payment_is_not_an_orphan(till: HookedWorld) -> None:
    ui = till.cashier(till.paymego.code())
    ui.on_progress = lambda _: till.dispatcher.ready()

    assert (till.ask(ui=ui).status, till.row().state) == (PaymentStatus.PAID, PaymentState.PAID)


def test_an_orphans_money_goes_back_once(till: HookedWorld) -> None:
    charge_and_die(till)

    till.dispatcher.ready()
    till.work(60)

    assert (till.row().state, till.live(), till.paymego.held()) == (PaymentState.UNKNOWN, [], 0)
    assert [each.amount for each in till.paymego.bank.movements(till.paymego.now_ms)] == [AMOUNT, -AMOUNT]


@pytest.mark.parametrize("is_recorded", [False, True], ids=["paying", "recorded"])
def test_a_payment_that_this_process_reported_as_paid_is_not_an_orphan_if_it_is_acknowledged_after_on_ready(
    till: HookedWorld, is_recorded: bool
) -> None:
    charge_and_die(till)
    if is_recorded:
        till.journal.move(till.row(), PaymentState.PAID, "4")
        till.journal.move(till.row(), PaymentState.RECORDED, "Payme refused to cancel it")
    again = till.ask(repeated=True)
    assert (again.status, again.payment is not None) == (PaymentStatus.PAID, True)

    till.dispatcher.ready()
    till.work(60)
    till.acknowledge(again.payment)

    assert (till.row().state, till.live(), till.paymego.held()) == (PaymentState.RECORDED, [], AMOUNT)


@orphans
def test_a_payment_that_this_process_answered_with_pending_waits_for_the_host(
    till: HookedWorld, state: PaymentState
) -> None:
    walk(till.journal, state)
    till.restart()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(till, "broken", True)
        assert till.ask(repeated=True).status is PaymentStatus.PENDING

    till.dispatcher.ready()
    assert (till.row().state, till.live()) == (state, [])

    till.restart()
    till.dispatcher.ready()
    assert till.row().state is ORPHANS[state][0]


# ---------------------------------------------------------------------------------------------------------------------
# on_ready that fails
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(1, len(ORPHANS) + 1))
def test_on_ready_raises_if_not_all_could_be_stored_and_the_next_call_stores_the_rest(
    till: HookedWorld, first: int
) -> None:
    for state in ORPHANS:
        walk(till.journal, state, state.value)
    till.restart()
    till.journal.fail_from(first)

    with pytest.raises(Unavailable):
        till.dispatcher.ready()
    ended = [after for after, _, _ in ORPHANS.values()]
    assert [till.row(state.value).state for state in ORPHANS] == ended[: first - 1] + [*ORPHANS][first - 1 :]
    assert not till.journal.is_ready

    till.journal.recover()
    till.dispatcher.ready()
    assert ([till.row(state.value).state for state in ORPHANS], till.journal.is_ready) == (ended, True)


def test_only_the_leader_decides_orphans(till: HookedWorld) -> None:
    till.dispatcher.ready()
    walk(till.journal, PaymentState.PAID)
    till.restart(dead=False)

    with pytest.raises(AnotherTill):
        till.dispatcher.ready()
    assert till.row().state is PaymentState.PAID

    till._processes[-2].end()
    till.dispatcher.ready()
    assert till.row().state is PaymentState.REVERSING


# ---------------------------------------------------------------------------------------------------------------------
# Recorded payments of open sales
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "is_shown"), [(False, True), (None, False), (True, False)])
def test_a_recorded_payment_that_the_host_no_longer_has_is_a_notice_and_moves_no_money(
    till: HookedWorld, word: bool | None, is_shown: bool
) -> None:
    sold = till.sell()
    till.acknowledge(sold.record)
    till.restart()
    till.host.recorded["p1"] = word

    till.dispatcher.ready()
    till.work(3600)

    shown = {SALE_NOTICE: till.text(Text.NOTICE_SALE_LOST, number=sold.receipt.number)} if is_shown else {}
    assert till.host.notices == shown
    assert (till.row().state, till.paymego.held()) == (PaymentState.RECORDED, AMOUNT)


def test_the_host_is_asked_once_about_recorded_payments_of_earlier_processes_in_open_sales(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.acknowledge(till.sell().record)
    till.restart()
    till.sell_and_close("p2", 2)
    till.acknowledge(till.sell("p3", 3).record)
    is_recorded = Mock(return_value=None)
    monkeypatch.setattr(till.host, "is_recorded", is_recorded)

    for _ in range(3):
        till.dispatcher.ready()
        till.work(60)

    is_recorded.assert_called_once_with("p1")


# ---------------------------------------------------------------------------------------------------------------------
# An orphan's age goes by Payme's times
# ---------------------------------------------------------------------------------------------------------------------


def test_an_orphan_older_than_a_week_is_held_and_shown_until_an_operator_has_settled_it(till: HookedWorld) -> None:
    till.sell()
    till.clock.suspend(7 * DAY_S + 1)
    till.restart()

    till.dispatcher.ready()
    till.work(3600)

    (row,) = till.live()
    assert (till.row().state, row.held, till.paymego.held()) == (PaymentState.REVERSING, Hold.OLD, AMOUNT)
    assert till.host.notices[TOO_OLD_NOTICE] == till.text(Text.NOTICE_PAYMENTS_TOO_OLD, count=1)
    till.background.processor().cancellations.end(row, End.CLOSED, "paid (4)", closed_reason="settled")
    till.work()
    assert TOO_OLD_NOTICE not in till.host.notices


def leave_an_old_orphan(till: HookedWorld) -> None:
    till.sell()
    till.clock.suspend(7 * DAY_S + 1)
    till.restart()


def test_an_old_orphan_that_an_operator_has_released_is_cancelled(till: HookedWorld) -> None:
    leave_an_old_orphan(till)
    till.dispatcher.ready()
    till.work()
    (row,) = till.live()
    cancellations = till.background.processor().cancellations
    cancellations.begin(row)  # as ``payme queue add`` does
    cancellations.postpone(row, 0, "released by hand: settled")

    till.work(120)

    assert (till.live(), till.paymego.held()) == ([], 0)


def test_no_cancel_leaves_for_an_old_orphan_until_payme_says_when_its_receipt_was_made(till: HookedWorld) -> None:
    leave_an_old_orphan(till)
    till.paymego.inject_fault(FaultKind.SILENT, GET, times=None)
    till.dispatcher.ready()
    till.work(3600)
    assert ([row.held for row in till.live()], till.paymego.count(CANCEL)) == ([None], 0)

    till.paymego.faults.clear()
    till.work(3600)

    assert ([row.held for row in till.live()], till.paymego.count(CANCEL)) == ([Hold.OLD], 0)


def test_an_orphan_whose_receipt_has_no_time_is_cancelled(till: HookedWorld) -> None:
    leave_an_old_orphan(till)
    till.paymego.change(GET, without_receipt_fields("create_time"), times=9)

    till.dispatcher.ready()
    till.work(120)

    assert (till.live(), till.paymego.held()) == ([], 0)


def test_an_orphan_held_for_its_age_stays_held_without_its_key_and_ends_with_two_50(till: HookedWorld) -> None:
    leave_an_old_orphan(till)
    till.dispatcher.ready()
    till.work()
    (row,) = till.live()
    till.set(posId="0" * 24)
    till.step(row)
    assert [each.held for each in till.live()] == [Hold.OLD]

    till.set(posId=row.pos_id)
    till.paymego.bank.put_state(till.paymego.now_ms, row.receipt_id, 50)
    till.step(till.live()[0])
    till.work(601)

    assert till.journal.confirming_cancellations() == []
    assert (till.row().state, TOO_OLD_NOTICE in till.host.notices) == (PaymentState.REVERSED, False)


@pytest.mark.parametrize("slow_ms", [12 * DAY_S * 1000, 3650 * DAY_S * 1000])
def test_a_till_clock_that_was_slow_and_is_set_right_makes_no_orphan_old(till: HookedWorld, slow_ms: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        till.clock.set_wall(-slow_ms)
        patch.setattr(type(till.paymego), "now_ms", property(lambda _: till.clock.wall_ms() + slow_ms))
        charge_and_die(till)
    till.clock.set_wall(slow_ms)

    till.dispatcher.ready()
    till.work(120)

    assert (till.paymego.held(), till.live(), till.host.notices) == (0, [], {})
