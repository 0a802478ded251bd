"""What an earlier run left: orphans are decided at ``on_ready`` and never before, and by no guess."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from hooked_world import HookedWorld
from hookspecs import PaymentStatus, ReversalStatus
from in_memory import folder_in_memory
from journal_walks import ROAD_TO, contents, walk
from payme_plugin.ledger.errors import AnotherTill, Unavailable
from payme_plugin.ledger.states import Cause, End, Hold, PaymentState
from payme_plugin.texts import Text
from virtual_till import PowerCut, open_sale, request_for

if TYPE_CHECKING:
    from hooked_world import Sold
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


def causes(world: HookedWorld, payment_id: str = "p1") -> list[Cause]:
    return [row.cause for row in world.live(payment_id)]


def charge_and_die(world: HookedWorld, payment_id: str = "p1", number: int = 1) -> None:
    """Lose the power after Payme took the money and before that is stored; another process starts."""
    world.journal.cut_at(4)
    with suppress(PowerCut):
        world.sell(payment_id, number)
    world.restart()
    assert (world.row(payment_id).state, world.paymego.held()) == (PaymentState.PAYING, AMOUNT)


def ask_again(world: HookedWorld, payment_id: str = "p1", number: int = 1) -> PaymentResult:
    request = request_for(payment_id, receipt=open_sale(number), repeated=True)
    result = world.dispatcher.pay(request, world.cashier())
    assert result is not None
    return result


# ---------------------------------------------------------------------------------------------------------------------
# Which payments are orphans
# ---------------------------------------------------------------------------------------------------------------------


def test_every_state_is_in_these_tables() -> None:
    assert set(ROAD_TO) == set(PaymentState)


@orphans
def test_what_an_earlier_process_left_and_nobody_acknowledged_is_ended_at_on_ready(
    world: HookedWorld, state: PaymentState
) -> None:
    walk(world.journal, state)
    world.restart()

    world.dispatcher.ready()

    assert (world.row().state, causes(world)) == ORPHANS[state]


@pytest.mark.parametrize("word", [True, False, None])
@orphans
def test_no_word_of_the_hosts_decides_an_orphan_nor_is_it_asked_for_one(
    world: HookedWorld, state: PaymentState, word: bool | None
) -> None:
    walk(world.journal, state)
    world.restart()
    asked: list[str] = []

    def is_recorded(payment_id: str) -> bool | None:
        asked.append(payment_id)
        return word

    world.host.is_recorded = is_recorded  # type: ignore[method-assign]
    world.dispatcher.ready()

    assert (asked, world.row().state) == ([], ORPHANS[state][0])


@orphans
def test_before_on_ready_nothing_is_decided_however_long_the_till_works(
    world: HookedWorld, state: PaymentState
) -> None:
    walk(world.journal, state)
    world.host.recorded["p1"] = False
    world.restart()
    before = contents(world.journal)

    world.work(DAY_S)
    world.background.stop()

    assert contents(world.journal) == before


@orphans
def test_its_own_payments_are_no_orphans(world: HookedWorld, state: PaymentState) -> None:
    walk(world.journal, state)
    before = world.row()

    world.dispatcher.ready()

    assert (world.row(), world.live()) == (before, [])


@orphans
def test_an_acknowledged_payment_is_no_orphan(world: HookedWorld, state: PaymentState) -> None:
    world.journal.acknowledge(walk(world.journal, state))
    world.restart()
    before = world.row()

    world.dispatcher.ready()

    assert (world.row(), world.live()) == (before, [])


@pytest.mark.parametrize(
    "state", [state for state in PaymentState if state not in ORPHANS], ids=lambda state: state.value
)
def test_what_has_a_result_is_not_decided_again(world: HookedWorld, state: PaymentState) -> None:
    walk(world.journal, state)
    world.restart()
    world.host.recorded["p1"] = False
    before = world.row(), world.live()

    world.dispatcher.ready()

    assert (world.row(), world.live()) == before


def test_a_second_on_ready_changes_nothing(world: HookedWorld) -> None:
    walk(world.journal, PaymentState.PAID)
    world.restart()
    world.dispatcher.ready()
    before = contents(world.journal)

    world.dispatcher.ready()

    assert contents(world.journal) == before


def test_the_payment_under_way_is_no_orphan(world: HookedWorld) -> None:
    ui = world.cashier(world.paymego.code())
    ui.hand = lambda _: world.dispatcher.ready()

    result = world.dispatcher.pay(request_for(), ui)

    assert result is not None
    assert (result.status, world.row().state) == (PaymentStatus.PAID, PaymentState.PAID)


# ---------------------------------------------------------------------------------------------------------------------
# What the host says before on_ready
# ---------------------------------------------------------------------------------------------------------------------


def test_an_orphans_money_goes_back_once(world: HookedWorld) -> None:
    charge_and_die(world)

    world.dispatcher.ready()
    world.work(60)

    assert (world.row().state, world.live(), world.paymego.held()) == (PaymentState.UNKNOWN, [], 0)
    assert [each.amount for each in world.paymego.bank.movements(world.paymego.now_ms)] == [AMOUNT, -AMOUNT]


def test_a_payment_that_the_host_asks_for_again_is_paid_and_no_orphan(world: HookedWorld) -> None:
    charge_and_die(world)

    result = ask_again(world)
    world.dispatcher.ready()
    world.work(60)

    assert (result.status, world.row().state, world.live()) == (PaymentStatus.PAID, PaymentState.PAID, [])
    assert world.paymego.held() == AMOUNT


def test_a_payment_that_the_host_acknowledges_is_no_orphan(world: HookedWorld) -> None:
    sold = world.sell()
    world.restart()

    world.dispatcher.acknowledge(sold.record)
    world.dispatcher.ready()
    world.work(60)

    assert (world.row().state, world.live(), world.paymego.held()) == (PaymentState.RECORDED, [], AMOUNT)


def test_an_acknowledgement_that_comes_too_late_ends_the_cancellation_as_long_as_no_cancel_has_left(
    world: HookedWorld,
) -> None:
    sold = world.sell()
    world.restart()
    world.dispatcher.ready()
    (row,) = world.live()

    world.dispatcher.acknowledge(sold.record)
    world.work(60)

    ended = world.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert (ended.ended_as, world.row().state, world.paymego.held()) == (End.RECORDED, PaymentState.RECORDED, AMOUNT)


def test_a_result_of_on_ready_is_told_to_a_host_that_asks_again_after_it(world: HookedWorld) -> None:
    charge_and_die(world)
    world.dispatcher.ready()
    world.work(30)

    result = ask_again(world)

    assert (result.status, result.message) == (PaymentStatus.UNKNOWN, world.text(Text.PAYMENT_UNKNOWN))
    assert world.paymego.held() == 0


@orphans
def test_a_payment_that_was_answered_with_pending_waits_for_the_host(world: HookedWorld, state: PaymentState) -> None:
    walk(world.journal, state)
    world.restart()
    world.broken = True
    assert ask_again(world).status is PaymentStatus.PENDING
    world.broken = False

    world.dispatcher.ready()
    assert (world.row().state, world.live()) == (state, [])

    world.restart()
    world.dispatcher.ready()
    assert world.row().state is ORPHANS[state][0], "only this process's answer keeps it"


@pytest.mark.parametrize("state", [PaymentState.PAID, PaymentState.RECORDED], ids=lambda state: state.value)
def test_a_payment_that_this_process_told_as_paid_is_no_orphan_though_the_acknowledgement_comes_after_on_ready(
    world: HookedWorld, state: PaymentState
) -> None:
    sold = world.sell()
    if state is PaymentState.RECORDED:
        world.journal.move(world.row(), state, "Payme refused to cancel it")
    world.restart()
    assert ask_again(world).status is PaymentStatus.PAID

    world.dispatcher.ready()
    world.work(60)
    world.dispatcher.acknowledge(sold.record)

    assert (world.row().state, world.live(), world.paymego.held()) == (PaymentState.RECORDED, [], AMOUNT)


def test_after_pending_the_next_request_decides(world: HookedWorld) -> None:
    charge_and_die(world)
    world.broken = True
    assert ask_again(world).status is PaymentStatus.PENDING
    world.broken = False
    world.dispatcher.ready()

    assert ask_again(world).status is PaymentStatus.PAID
    assert world.paymego.held() == AMOUNT


def test_after_pending_a_cancel_decides(world: HookedWorld) -> None:
    sold = world.sell()
    world.restart()
    world.broken = True
    assert ask_again(world).status is PaymentStatus.PENDING
    world.broken = False
    world.dispatcher.ready()

    assert world.cancel(sold).status is ReversalStatus.REVERSED
    assert (world.row().state, world.paymego.held()) == (PaymentState.REVERSED, 0)


# ---------------------------------------------------------------------------------------------------------------------
# on_ready that fails
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(1, len(ORPHANS) + 1))
def test_on_ready_raises_if_not_all_could_be_stored_and_the_next_call_stores_the_rest(
    world: HookedWorld, first: int
) -> None:
    for number, state in enumerate(ORPHANS):
        walk(world.journal, state, f"p{number}")
    world.restart()
    world.journal.fail_from(first)

    with pytest.raises(Unavailable):
        world.dispatcher.ready()
    left = [world.row(f"p{number}").state for number in range(len(ORPHANS))]
    assert left == [*(after for after, _ in ORPHANS.values())][: first - 1] + [*ORPHANS][first - 1 :]

    world.journal.recover()
    world.dispatcher.ready()
    assert [world.row(f"p{number}").state for number in range(len(ORPHANS))] == [after for after, _ in ORPHANS.values()]


def test_a_journal_counts_as_ready_only_once_all_is_stored(world: HookedWorld) -> None:
    walk(world.journal, PaymentState.PAID)
    world.restart()
    world.journal.fail_from(1)
    with pytest.raises(Unavailable):
        world.dispatcher.ready()
    assert not world.journal.is_ready

    world.journal.recover()
    world.dispatcher.ready()
    assert world.journal.is_ready


def test_only_the_leader_decides_orphans(world: HookedWorld) -> None:
    world.dispatcher.ready()
    walk(world.journal, PaymentState.PAID)
    world.restart(dead=False)

    with pytest.raises(AnotherTill):
        world.dispatcher.ready()
    assert world.row().state is PaymentState.PAID

    world._processes[-2].end()
    world.dispatcher.ready()
    assert world.row().state is PaymentState.REVERSING


# ---------------------------------------------------------------------------------------------------------------------
# Recorded payments of open sales
# ---------------------------------------------------------------------------------------------------------------------


def record_and_restart(world: HookedWorld) -> Sold:
    sold = world.sell()
    world.dispatcher.acknowledge(sold.record)
    world.restart()
    return sold


@pytest.mark.parametrize(("word", "is_shown"), [(False, True), (None, False), (True, False)])
def test_a_recorded_payment_that_the_host_no_longer_has_is_a_notice_and_moves_no_money(
    world: HookedWorld, word: bool | None, is_shown: bool
) -> None:
    sold = record_and_restart(world)
    world.host.recorded["p1"] = word

    world.dispatcher.ready()
    world.work(3600)

    shown = {SALE_NOTICE: world.text(Text.NOTICE_SALE_LOST, number=sold.receipt.number)} if is_shown else {}
    assert world.host.notices == shown
    assert (world.row().state, world.paymego.held()) == (PaymentState.RECORDED, AMOUNT)


def test_the_host_is_asked_once_about_recorded_payments_of_earlier_processes_in_open_sales(
    world: HookedWorld,
) -> None:
    record_and_restart(world)
    world.sell_and_close("p2", 2)
    own = world.sell("p3", 3)
    world.dispatcher.acknowledge(own.record)
    asked: list[str] = []
    world.host.is_recorded = asked.append  # type: ignore[method-assign, assignment]

    for _ in range(3):
        world.dispatcher.ready()
        world.work(60)

    assert asked == ["p1"]


# ---------------------------------------------------------------------------------------------------------------------
# An orphan's age goes by Payme's times
# ---------------------------------------------------------------------------------------------------------------------


def test_an_orphan_older_than_a_week_is_held_and_shown(world: HookedWorld) -> None:
    world.sell()
    world.clock.suspend(WEEK_MS / 1000 + 1)
    world.restart()

    world.dispatcher.ready()
    world.work(3600)

    assert (world.row().state, [row.held for row in world.live()]) == (PaymentState.REVERSING, [Hold.OLD])
    assert world.paymego.held() == AMOUNT
    assert world.host.notices[TOO_OLD_NOTICE] == world.text(Text.NOTICE_PAYMENTS_TOO_OLD, count=1)


def test_the_notice_of_an_old_orphan_goes_when_a_person_has_settled_it(world: HookedWorld) -> None:
    world.sell()
    world.clock.suspend(WEEK_MS / 1000 + 1)
    world.restart()
    world.dispatcher.ready()
    world.work(60)
    assert TOO_OLD_NOTICE in world.host.notices

    (row,) = world.live()
    world.background.processor().cancellations.end(row, End.CLOSED, "paid (4)", closed_reason="settled")
    world.work()

    assert TOO_OLD_NOTICE not in world.host.notices


@pytest.mark.parametrize("slow_ms", [12 * DAY_S * 1000, TEN_YEARS_MS])
def test_a_till_clock_that_was_slow_and_is_set_right_makes_no_orphan_old(world: HookedWorld, slow_ms: int) -> None:
    def bank_time(_: object) -> int:
        return world.clock.wall_ms() + slow_ms

    with pytest.MonkeyPatch.context() as patch:
        world.clock.set_wall(-slow_ms)
        patch.setattr(type(world.paymego), "now_ms", property(bank_time))
        charge_and_die(world)
    world.clock.set_wall(slow_ms)

    world.dispatcher.ready()
    world.work(120)

    assert (world.paymego.held(), world.live(), world.host.notices) == (0, [], {})


def test_every_orphan_has_its_turn_at_the_same_on_ready() -> None:
    with folder_in_memory() as folder, closing(HookedWorld(folder)) as world:
        for number in range(1_001):
            walk(world.journal, PaymentState.PAYING, f"p{number}")
        world.restart()

        world.dispatcher.ready()

        assert len(world.journal.live_cancellations()) == 1_001
