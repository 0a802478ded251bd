"""What an earlier run left: orphans are decided at ``on_ready`` and never before, and by no guess."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import HookedWorld
from fakes.journal_rows import ROAD_TO, contents, walk
from fakes.memory_folder import folder_in_memory
from fakes.till import PowerCut, open_sale, request_for
from hookspecs import PaymentStatus, ReversalStatus
from payme_plugin.ledger.errors import AnotherTill, Unavailable
from payme_plugin.ledger.states import Cause, End, Hold, PaymentState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import Sold
    from hookspecs import PaymentResult

AMOUNT = 1_500_000
DAY_S = 24 * 3_600
WEEK_MS = 7 * DAY_S * 1000
TEN_YEARS_MS = 10 * 365 * DAY_S * 1000
SALE_NOTICE, TOO_OLD_NOTICE = "payme.sale", "payme.recovery.too_old"
ORPHANS = {
    PaymentState.INTENT: (PaymentState.REFUSED, []),
    PaymentState.CREATED: (PaymentState.REFUSED, [Cause.UNRECORDED]),
    PaymentState.PAYING: (PaymentState.UNKNOWN, [Cause.UNRECORDED]),
    PaymentState.PAID: (PaymentState.REVERSING, [Cause.UNRECORDED]),
    # Payme refused the host's cancel before the host had acknowledged the payment.
    PaymentState.RECORDED: (PaymentState.REVERSING, [Cause.UNRECORDED]),
}
"""What becomes of a payment of an earlier process that the host neither asked for nor acknowledged."""

orphans = pytest.mark.parametrize("state", ORPHANS, ids=lambda state: state.value)


def causes(till: HookedWorld, payment_id: str = "p1") -> list[Cause]:
    return [row.cause for row in till.live(payment_id)]


def charge_and_die(till: HookedWorld, payment_id: str = "p1", number: int = 1) -> None:
    """Lose the power after Payme took the money and before that is stored; another process starts."""
    till.journal.cut_at(4)
    with suppress(PowerCut):
        till.sell(payment_id, number)
    till.restart()
    assert (till.row(payment_id).state, till.paymego.held()) == (PaymentState.PAYING, AMOUNT)


def ask_again(till: HookedWorld, payment_id: str = "p1", number: int = 1) -> PaymentResult:
    request = request_for(payment_id, receipt=open_sale(number), repeated=True)
    result = till.dispatcher.pay(request, till.cashier())
    assert result is not None
    return result


# ---------------------------------------------------------------------------------------------------------------------
# Which payments are orphans
# ---------------------------------------------------------------------------------------------------------------------


def test_every_state_is_in_these_tables() -> None:
    assert set(ROAD_TO) == set(PaymentState)


@orphans
def test_what_an_earlier_process_left_and_nobody_acknowledged_is_ended_at_on_ready(
    till: HookedWorld, state: PaymentState
) -> None:
    walk(till.journal, state)
    till.restart()

    till.dispatcher.ready()

    assert (till.row().state, causes(till)) == ORPHANS[state]


@pytest.mark.parametrize("word", [True, False, None])
@orphans
def test_no_word_of_the_hosts_decides_an_orphan_nor_is_it_asked_for_one(
    till: HookedWorld, state: PaymentState, word: bool | None
) -> None:
    walk(till.journal, state)
    till.restart()
    asked: list[str] = []

    def is_recorded(payment_id: str) -> bool | None:
        asked.append(payment_id)
        return word

    till.host.is_recorded = is_recorded  # type: ignore[method-assign]
    till.dispatcher.ready()

    assert (asked, till.row().state) == ([], ORPHANS[state][0])


@orphans
def test_before_on_ready_nothing_is_decided_however_long_the_till_works(till: HookedWorld, state: PaymentState) -> None:
    walk(till.journal, state)
    till.host.recorded["p1"] = False
    till.restart()
    before = contents(till.journal)

    till.work(DAY_S)
    till.background.stop()

    assert contents(till.journal) == before


@orphans
def test_its_own_payments_are_no_orphans(till: HookedWorld, state: PaymentState) -> None:
    walk(till.journal, state)
    before = till.row()

    till.dispatcher.ready()

    assert (till.row(), till.live()) == (before, [])


@orphans
def test_an_acknowledged_payment_is_no_orphan(till: HookedWorld, state: PaymentState) -> None:
    till.journal.acknowledge(walk(till.journal, state))
    till.restart()
    before = till.row()

    till.dispatcher.ready()

    assert (till.row(), till.live()) == (before, [])


@pytest.mark.parametrize(
    "state", [state for state in PaymentState if state not in ORPHANS], ids=lambda state: state.value
)
def test_what_has_a_result_is_not_decided_again(till: HookedWorld, state: PaymentState) -> None:
    walk(till.journal, state)
    till.restart()
    till.host.recorded["p1"] = False
    before = till.row(), till.live()

    till.dispatcher.ready()

    assert (till.row(), till.live()) == before


def test_a_second_on_ready_changes_nothing(till: HookedWorld) -> None:
    walk(till.journal, PaymentState.PAID)
    till.restart()
    till.dispatcher.ready()
    before = contents(till.journal)

    till.dispatcher.ready()

    assert contents(till.journal) == before


def test_the_payment_under_way_is_no_orphan(till: HookedWorld) -> None:
    ui = till.cashier(till.paymego.code())
    ui.hand = lambda _: till.dispatcher.ready()

    result = till.dispatcher.pay(request_for(), ui)

    assert result is not None
    assert (result.status, till.row().state) == (PaymentStatus.PAID, PaymentState.PAID)


# ---------------------------------------------------------------------------------------------------------------------
# What the host says before on_ready
# ---------------------------------------------------------------------------------------------------------------------


def test_an_orphans_money_goes_back_once(till: HookedWorld) -> None:
    charge_and_die(till)

    till.dispatcher.ready()
    till.work(60)

    assert (till.row().state, till.live(), till.paymego.held()) == (PaymentState.UNKNOWN, [], 0)
    assert [each.amount for each in till.paymego.bank.movements(till.paymego.now_ms)] == [AMOUNT, -AMOUNT]


def test_a_payment_that_the_host_asks_for_again_is_paid_and_no_orphan(till: HookedWorld) -> None:
    charge_and_die(till)

    result = ask_again(till)
    till.dispatcher.ready()
    till.work(60)

    assert (result.status, till.row().state, till.live()) == (PaymentStatus.PAID, PaymentState.PAID, [])
    assert till.paymego.held() == AMOUNT


def test_a_payment_that_the_host_acknowledges_is_no_orphan(till: HookedWorld) -> None:
    sold = till.sell()
    till.restart()

    till.dispatcher.acknowledge(sold.record)
    till.dispatcher.ready()
    till.work(60)

    assert (till.row().state, till.live(), till.paymego.held()) == (PaymentState.RECORDED, [], AMOUNT)


def test_an_acknowledgement_that_comes_too_late_ends_the_cancellation_as_long_as_no_cancel_has_left(
    till: HookedWorld,
) -> None:
    sold = till.sell()
    till.restart()
    till.dispatcher.ready()
    (row,) = till.live()

    till.dispatcher.acknowledge(sold.record)
    till.work(60)

    ended = till.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert (ended.ended_as, till.row().state, till.paymego.held()) == (End.RECORDED, PaymentState.RECORDED, AMOUNT)


def test_a_result_of_on_ready_is_told_to_a_host_that_asks_again_after_it(till: HookedWorld) -> None:
    charge_and_die(till)
    till.dispatcher.ready()
    till.work(30)

    result = ask_again(till)

    assert (result.status, result.message) == (PaymentStatus.UNKNOWN, till.text(Text.PAYMENT_UNKNOWN))
    assert till.paymego.held() == 0


@orphans
def test_a_payment_that_was_answered_with_pending_waits_for_the_host(till: HookedWorld, state: PaymentState) -> None:
    walk(till.journal, state)
    till.restart()
    till.broken = True
    assert ask_again(till).status is PaymentStatus.PENDING
    till.broken = False

    till.dispatcher.ready()
    assert (till.row().state, till.live()) == (state, [])

    till.restart()
    till.dispatcher.ready()
    assert till.row().state is ORPHANS[state][0], "only this process's answer keeps it"


@pytest.mark.parametrize("state", [PaymentState.PAID, PaymentState.RECORDED], ids=lambda state: state.value)
def test_a_payment_that_this_process_told_as_paid_is_no_orphan_though_the_acknowledgement_comes_after_on_ready(
    till: HookedWorld, state: PaymentState
) -> None:
    sold = till.sell()
    if state is PaymentState.RECORDED:
        till.journal.move(till.row(), state, "Payme refused to cancel it")
    till.restart()
    assert ask_again(till).status is PaymentStatus.PAID

    till.dispatcher.ready()
    till.work(60)
    till.dispatcher.acknowledge(sold.record)

    assert (till.row().state, till.live(), till.paymego.held()) == (PaymentState.RECORDED, [], AMOUNT)


def test_after_pending_the_next_request_decides(till: HookedWorld) -> None:
    charge_and_die(till)
    till.broken = True
    assert ask_again(till).status is PaymentStatus.PENDING
    till.broken = False
    till.dispatcher.ready()

    assert ask_again(till).status is PaymentStatus.PAID
    assert till.paymego.held() == AMOUNT


def test_after_pending_a_cancel_decides(till: HookedWorld) -> None:
    sold = till.sell()
    till.restart()
    till.broken = True
    assert ask_again(till).status is PaymentStatus.PENDING
    till.broken = False
    till.dispatcher.ready()

    assert till.cancel(sold).status is ReversalStatus.REVERSED
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


# ---------------------------------------------------------------------------------------------------------------------
# on_ready that fails
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(1, len(ORPHANS) + 1))
def test_on_ready_raises_if_not_all_could_be_stored_and_the_next_call_stores_the_rest(
    till: HookedWorld, first: int
) -> None:
    for number, state in enumerate(ORPHANS):
        walk(till.journal, state, f"p{number}")
    till.restart()
    till.journal.fail_from(first)

    with pytest.raises(Unavailable):
        till.dispatcher.ready()
    left = [till.row(f"p{number}").state for number in range(len(ORPHANS))]
    assert left == [*(after for after, _ in ORPHANS.values())][: first - 1] + [*ORPHANS][first - 1 :]

    till.journal.recover()
    till.dispatcher.ready()
    assert [till.row(f"p{number}").state for number in range(len(ORPHANS))] == [after for after, _ in ORPHANS.values()]


def test_a_journal_counts_as_ready_only_once_all_is_stored(till: HookedWorld) -> None:
    walk(till.journal, PaymentState.PAID)
    till.restart()
    till.journal.fail_from(1)
    with pytest.raises(Unavailable):
        till.dispatcher.ready()
    assert not till.journal.is_ready

    till.journal.recover()
    till.dispatcher.ready()
    assert till.journal.is_ready


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


def record_and_restart(till: HookedWorld) -> Sold:
    sold = till.sell()
    till.dispatcher.acknowledge(sold.record)
    till.restart()
    return sold


@pytest.mark.parametrize(("word", "is_shown"), [(False, True), (None, False), (True, False)])
def test_a_recorded_payment_that_the_host_no_longer_has_is_a_notice_and_moves_no_money(
    till: HookedWorld, word: bool | None, is_shown: bool
) -> None:
    sold = record_and_restart(till)
    till.host.recorded["p1"] = word

    till.dispatcher.ready()
    till.work(3600)

    shown = {SALE_NOTICE: till.text(Text.NOTICE_SALE_LOST, number=sold.receipt.number)} if is_shown else {}
    assert till.host.notices == shown
    assert (till.row().state, till.paymego.held()) == (PaymentState.RECORDED, AMOUNT)


def test_the_host_is_asked_once_about_recorded_payments_of_earlier_processes_in_open_sales(
    till: HookedWorld,
) -> None:
    record_and_restart(till)
    till.sell_and_close("p2", 2)
    own = till.sell("p3", 3)
    till.dispatcher.acknowledge(own.record)
    asked: list[str] = []
    till.host.is_recorded = asked.append  # type: ignore[method-assign, assignment]

    for _ in range(3):
        till.dispatcher.ready()
        till.work(60)

    assert asked == ["p1"]


# ---------------------------------------------------------------------------------------------------------------------
# An orphan's age goes by Payme's times
# ---------------------------------------------------------------------------------------------------------------------


def test_an_orphan_older_than_a_week_is_held_and_shown(till: HookedWorld) -> None:
    till.sell()
    till.clock.suspend(WEEK_MS / 1000 + 1)
    till.restart()

    till.dispatcher.ready()
    till.work(3600)

    assert (till.row().state, [row.held for row in till.live()]) == (PaymentState.REVERSING, [Hold.OLD])
    assert till.paymego.held() == AMOUNT
    assert till.host.notices[TOO_OLD_NOTICE] == till.text(Text.NOTICE_PAYMENTS_TOO_OLD, count=1)


def test_the_notice_of_an_old_orphan_goes_when_a_person_has_settled_it(till: HookedWorld) -> None:
    till.sell()
    till.clock.suspend(WEEK_MS / 1000 + 1)
    till.restart()
    till.dispatcher.ready()
    till.work(60)
    assert TOO_OLD_NOTICE in till.host.notices

    (row,) = till.live()
    till.background.processor().cancellations.end(row, End.CLOSED, "paid (4)", closed_reason="settled")
    till.work()

    assert TOO_OLD_NOTICE not in till.host.notices


@pytest.mark.parametrize("slow_ms", [12 * DAY_S * 1000, TEN_YEARS_MS])
def test_a_till_clock_that_was_slow_and_is_set_right_makes_no_orphan_old(till: HookedWorld, slow_ms: int) -> None:
    def bank_time(_: object) -> int:
        return till.clock.wall_ms() + slow_ms

    with pytest.MonkeyPatch.context() as patch:
        till.clock.set_wall(-slow_ms)
        patch.setattr(type(till.paymego), "now_ms", property(bank_time))
        charge_and_die(till)
    till.clock.set_wall(slow_ms)

    till.dispatcher.ready()
    till.work(120)

    assert (till.paymego.held(), till.live(), till.host.notices) == (0, [], {})


def test_every_orphan_has_its_turn_at_the_same_on_ready() -> None:
    with folder_in_memory() as folder, closing(HookedWorld(folder)) as till:
        for number in range(1_001):
            walk(till.journal, PaymentState.PAYING, f"p{number}")
        till.restart()

        till.dispatcher.ready()

        assert len(till.journal.live_cancellations()) == 1_001
