"""What an earlier run left behind: the host's word, the payment's age and its owner decide, and never a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hookspecs import PaymentStatus
from journal_walks import ROAD_TO, contents, walk
from payme_plugin.ledger.retention import age_ms
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.operations.recovery import Outcome, abandon
from payme_plugin.texts import Text
from virtual_till import open_sale, request_for, scan_after

if TYPE_CHECKING:
    from hooked_world import HookedWorld
    from payme_plugin.ledger.rows import PaymentRow

WEEK_MS = 7 * 24 * 3_600_000
DAY_MS = 24 * 3_600_000
NOTICE = "payme.recovery"
TOO_OLD_NOTICE = "payme.recovery.too_old"
UNFINISHED = (PaymentState.INTENT, PaymentState.CREATED, PaymentState.PAYING, PaymentState.PAID)

RECORDED = {PaymentState.PAYING: "recorded", PaymentState.PAID: "recorded"}
GOES_BACK = {
    PaymentState.INTENT: "refused",
    PaymentState.CREATED: "refused",
    PaymentState.PAYING: "unknown",
    PaymentState.PAID: "reversing",
    PaymentState.RECORDED: "reversing",
}


def expected(state: PaymentState, recorded: bool | None, age_ms: int) -> tuple[str, list[Cause]]:
    """Return the state and the live cancellations after recovery, by the words of guarantee 6."""
    if recorded is True:
        return RECORDED.get(state, state.value), []
    if recorded is None or age_ms >= WEEK_MS:
        return state.value, []
    return GOES_BACK[state], [] if state is PaymentState.INTENT else [Cause.UNRECORDED]


def left_behind(world: HookedWorld, state: PaymentState, payment_id: str = "p1", *, age_ms: int = 0) -> PaymentRow:
    """Leave a payment of a process that has died since."""
    row = walk(world.journal, state, payment_id)
    world.restart()
    world.clock.set_wall(age_ms)
    return row


@pytest.mark.parametrize("age_ms", [0, 1000, WEEK_MS - 1, WEEK_MS, WEEK_MS + 1, 30 * WEEK_MS, -WEEK_MS])
@pytest.mark.parametrize("recorded", [True, False, None])
@pytest.mark.parametrize("state", [*UNFINISHED, PaymentState.RECORDED], ids=lambda state: state.value)
def test_a_dead_owners_payment_is_decided_by_the_hosts_word_and_its_age(
    world: HookedWorld, state: PaymentState, recorded: bool | None, age_ms: int
) -> None:
    left_behind(world, state, age_ms=age_ms)
    world.host.recorded["p1"] = recorded

    recovered = world.background.recover(include_own=False)

    after, causes = expected(state, recorded, age_ms)
    assert (world.row().state.value, [row.cause for row in world.live()]) == (after, causes)
    assert recovered is not None
    is_as_it_should_be = state is PaymentState.RECORDED and recorded is not False
    stands = after == state.value and not is_as_it_should_be
    assert len(recovered[Outcome.KEPT]) == (stands and recorded is not False)
    assert len(recovered[Outcome.TOO_OLD]) == (stands and recorded is False)
    assert bool(recovered[Outcome.CANCELLED]) == (recorded is False and after != state.value)


@pytest.mark.parametrize(
    "state", [state for state in PaymentState if state not in UNFINISHED], ids=lambda one: one.value
)
@pytest.mark.parametrize("recorded", [True, False, None])
def test_what_has_a_verdict_or_a_closed_receipt_is_not_decided_again(
    world: HookedWorld, state: PaymentState, recorded: bool | None
) -> None:
    row = left_behind(world, state)
    if state is PaymentState.RECORDED:
        world.journal.acknowledge(row, closed_at=1)
    world.host.recorded["p1"] = recorded
    before = contents(world.journal)

    world.background.recover(include_own=True)

    assert contents(world.journal) == before


@pytest.mark.parametrize("recorded", [True, False, None])
@pytest.mark.parametrize("state", UNFINISHED, ids=lambda state: state.value)
def test_its_own_payments_are_decided_on_the_hosts_thread_alone(
    world: HookedWorld, state: PaymentState, recorded: bool | None
) -> None:
    walk(world.journal, state)
    world.host.recorded["p1"] = recorded
    before = contents(world.journal)

    world.background.recover(include_own=False)
    assert contents(world.journal) == before

    world.background.recover(include_own=True)
    assert (world.row().state.value, [row.cause for row in world.live()]) == expected(state, recorded, 0)


def test_the_payment_in_hand_is_nobodys_to_decide(world: HookedWorld) -> None:
    world.host.recorded["p1"] = False
    seen: list[str] = []

    def recover() -> None:
        world.background.recover(include_own=True)
        seen.append(world.row().state.value)

    ui = world.cashier(scan_after(recover, world.paymego.code()))
    result = world.dispatcher.pay(request_for(), ui)

    assert result is not None
    assert (result.status, seen) == (PaymentStatus.PAID, ["intent"])


def test_a_paid_payment_that_the_host_did_not_record_goes_back_before_the_next_sale(world: HookedWorld) -> None:
    ui = world.cashier(world.paymego.code())
    world.dispatcher.pay(request_for(), ui)
    world.host.recorded["p1"] = False
    assert world.row().state is PaymentState.PAID

    world.dispatcher.pay(request_for("p2", receipt=open_sale(2)), world.cashier(world.paymego.code()))

    assert (world.row("p1").state, world.row("p2").state) == (PaymentState.REVERSING, PaymentState.PAID)
    world.work(30)
    assert world.paymego.held() == 1_500_000


def test_asked_again_for_the_same_payment_it_is_not_decided(world: HookedWorld) -> None:
    world.dispatcher.pay(request_for(), world.cashier(world.paymego.code()))
    world.host.recorded["p1"] = False

    again = world.dispatcher.pay(request_for(), world.cashier(world.paymego.code()))

    assert again is not None
    assert (again.status, world.row().state) == (PaymentStatus.PAID, PaymentState.PAID)


@pytest.mark.parametrize(("recorded", "after"), [(True, "recorded"), (False, "reversing"), (None, "paid")])
def test_at_the_stop_the_host_is_asked_once_more(world: HookedWorld, recorded: bool | None, after: str) -> None:
    world.dispatcher.pay(request_for(), world.cashier(world.paymego.code()))
    world.host.recorded["p1"] = recorded

    world.background.stop()

    assert world.row().state.value == after


def test_the_worker_recovers_before_its_first_round(world: HookedWorld) -> None:
    world.sell()
    world.host.recorded["p1"] = False
    world.restart()

    world.work(10)

    assert (world.row().state, world.paymego.held()) == (PaymentState.REVERSED, 0)


def test_what_nobody_can_tell_about_is_shown_until_somebody_can(world: HookedWorld) -> None:
    left_behind(world, PaymentState.PAYING)
    world.background.recover(include_own=False)
    assert world.host.notices[NOTICE] == world.text(Text.NOTICE_PAYMENTS_KEPT, count=1)

    world.host.recorded["p1"] = True
    world.background.recover(include_own=False)
    assert NOTICE not in world.host.notices


def test_a_payment_older_than_a_week_is_shown_and_not_cancelled(world: HookedWorld) -> None:
    left_behind(world, PaymentState.PAID, age_ms=WEEK_MS)
    world.host.recorded["p1"] = False

    world.work(3600)

    assert world.row().state is PaymentState.PAID
    assert world.host.notices == {TOO_OLD_NOTICE: world.text(Text.NOTICE_PAYMENTS_TOO_OLD, count=1)}


def test_the_notice_of_one_that_is_too_old_goes_when_it_is_settled(world: HookedWorld) -> None:
    row = left_behind(world, PaymentState.PAID, age_ms=WEEK_MS)
    world.host.recorded["p1"] = False
    world.background.recover(include_own=False)
    assert TOO_OLD_NOTICE in world.host.notices

    abandon(world.journal, row, "a person says so", world.texts)
    world.background.recover(include_own=False)

    assert TOO_OLD_NOTICE not in world.host.notices


# ---------------------------------------------------------------------------------------------------------------------
# Its age, where the clock was wrong
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "dies"])
def test_a_clock_that_is_set_right_after_a_payment_does_not_make_it_too_old(world: HookedWorld, dies: bool) -> None:
    world.clock.set_wall(-8 * DAY_MS)
    result = world.pay(world.paymego.code())
    assert (result.status, world.row().state) == (PaymentStatus.PAID, PaymentState.PAID)
    world.clock.sleep(60)
    world.clock.set_wall(8 * DAY_MS)
    if dies:
        world.restart()
    world.host.recorded["p1"] = False

    world.background.recover(include_own=True)
    world.work(3600)

    assert (world.row().state, world.host.notices) == (PaymentState.REVERSED, {})
    assert world.paymego.held(result.receipt_id) == 0


def test_a_payment_grows_old_while_the_machine_sleeps(world: HookedWorld) -> None:
    row = walk(world.journal, PaymentState.PAID)
    world.clock.suspend(WEEK_MS / 1000)

    assert age_ms(world.journal, row) == pytest.approx(WEEK_MS, abs=1000)


TEN_YEARS_MS = 10 * 365 * 24 * 3_600_000


def test_a_payment_made_under_a_clock_without_its_battery_goes_back_all_the_same(world: HookedWorld) -> None:
    world.clock.set_wall(-TEN_YEARS_MS)
    world.sell()
    world.restart()
    world.clock.set_wall(TEN_YEARS_MS)
    world.host.recorded["p1"] = False

    world.work(120)

    assert (world.row().state, world.paymego.held()) == (PaymentState.REVERSED, 0)


@pytest.mark.parametrize(("since_ms", "goes_back"), [(0, True), (WEEK_MS - DAY_MS, True), (WEEK_MS, False)])
def test_a_payment_is_no_older_than_what_the_journal_had_before_it(
    world: HookedWorld, since_ms: int, goes_back: bool
) -> None:
    # The clock was a month slow for one payment alone.
    world.sell_and_close("p1", 1)
    world.clock.set_wall(-30 * DAY_MS)
    world.sell("p2", 2)
    world.restart()
    world.clock.set_wall(30 * DAY_MS + since_ms)
    world.host.recorded["p2"] = False

    world.background.recover(include_own=False)

    assert (world.row("p2").state is PaymentState.REVERSING) is goes_back


def test_a_line_from_a_clock_that_was_fast_makes_no_payment_young(world: HookedWorld) -> None:
    world.clock.set_wall(TEN_YEARS_MS)
    world.sell_and_close("p1", 1)
    world.clock.set_wall(-TEN_YEARS_MS)
    left_behind(world, PaymentState.PAID, "p2", age_ms=WEEK_MS + DAY_MS)
    world.host.recorded["p2"] = False

    world.background.recover(include_own=False)

    assert world.row("p2").state is PaymentState.PAID


def test_its_own_open_payments_are_no_notice(world: HookedWorld) -> None:
    world.dispatcher.pay(request_for(), world.cashier(world.paymego.code()))

    world.background.recover(include_own=True)

    assert NOTICE not in world.host.notices


@pytest.mark.parametrize("answer", [1, "yes", object()])
def test_a_host_that_answers_with_no_bool_can_not_tell(world: HookedWorld, answer: object) -> None:
    left_behind(world, PaymentState.PAID)
    world.host.recorded["p1"] = answer  # type: ignore[assignment]

    world.background.recover(include_own=False)

    assert world.row().state is PaymentState.PAID


def test_a_host_that_raises_can_not_tell(world: HookedWorld) -> None:
    left_behind(world, PaymentState.PAID)

    def is_recorded(payment_id: str) -> bool | None:
        raise RuntimeError(payment_id)

    world.host.is_recorded = is_recorded  # type: ignore[method-assign]
    world.background.recover(include_own=False)

    assert world.row().state is PaymentState.PAID


def test_one_payment_that_can_not_be_stored_leaves_the_rest_for_the_next_time(world: HookedWorld) -> None:
    for number, state in enumerate(UNFINISHED):
        walk(world.journal, state, f"p{number}")
        world.host.recorded[f"p{number}"] = False
    world.restart()
    world.journal.fail_from(2)
    world.background._recover_or_log(include_own=False)
    world.journal.recover()

    world.work()

    assert [world.row(f"p{number}").state.value for number in range(4)] == [
        "refused",
        "refused",
        "unknown",
        "reversing",
    ]


def test_a_verdict_of_recovery_is_told_to_a_host_that_asks_again(world: HookedWorld) -> None:
    with_code = world.cashier(world.paymego.code())
    world.journal.cut_at(6)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - the power fails
        world.dispatcher.pay(request_for(), with_code)
    world.restart()
    world.host.recorded["p1"] = False
    world.work(30)

    result = world.dispatcher.pay(request_for(), world.cashier(world.paymego.code()))

    assert result is not None
    assert (result.status, result.message) == (PaymentStatus.UNKNOWN, world.text(Text.PAYMENT_UNKNOWN))
    assert world.paymego.held() == 0


def test_every_state_is_in_this_table() -> None:
    assert set(ROAD_TO) == set(PaymentState)


def test_a_second_process_that_is_not_the_leader_never_decides(world: HookedWorld) -> None:
    walk(world.journal, PaymentState.PAID, "p1")
    world.restart()
    assert world.background.recover(include_own=False) is not None
    walk(world.journal, PaymentState.PAID, "p2")
    world.host.recorded.update(p1=False, p2=False)
    world.restart(dead=False)

    assert world.background.recover(include_own=True) is None
    world.work(60)
    assert (world.row("p1").state, world.row("p2").state) == (PaymentState.PAID, PaymentState.PAID)

    world._processes[-2].end()
    world.work(60)
    assert (world.row("p1").state, world.row("p2").state) == (PaymentState.REVERSING, PaymentState.REVERSING)


def test_a_second_process_delivers_what_the_first_one_wrote(world: HookedWorld) -> None:
    world.background.recover(include_own=False)
    world.pay(None)
    world.restart(dead=False)

    world.work(30)

    assert world.journal.live_cancellations() == []
