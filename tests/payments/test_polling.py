"""The wait for the buyer, to the second.

A request takes 0.01 s there and 0.01 s back. ``create`` leaves at 0, ``pay`` at 0.02, and the first check at 0.04.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import error, result
from fakes.paymego import Passage
from hookspecs import PaymentStatus
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.world import World

PAY, CHECK, GET = "receipts.pay", "receipts.check", "receipts.get"
PAID_AT = 0.02


def _waits(world: World, duration_ms: int, frequency_ms: int, timeout_s: int = 5) -> list[float]:
    world.set(payDuration=duration_ms, frequency=frequency_ms, timeout=timeout_s)
    result = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))
    assert result.status is PaymentStatus.UNKNOWN
    return world.paymego.times_of(CHECK)


def test_the_state_is_asked_at_once_every_frequency_and_once_more_at_payDuration(world: World) -> None:  # noqa: N802
    assert _waits(world, 2_000, 500) == pytest.approx([0.04, 0.54, 1.04, 1.54, 2.02])


@pytest.mark.parametrize(
    ("duration_ms", "frequency_ms", "times"),
    [
        (300_000, 10_000, [0.04 + 10 * turn for turn in range(30)] + [300.02]),
        (10_000, 3_000, [0.04, 3.04, 6.04, 9.04, 10.02]),
        (1_000, 10_000, [0.04, 1.02]),
        (100, 30, [0.04, 0.07, 0.10, 0.12]),
    ],
)
def test_the_settings_alone_say_when(world: World, duration_ms: int, frequency_ms: int, times: list[float]) -> None:
    assert _waits(world, duration_ms, frequency_ms) == pytest.approx(times)


def test_where_payDuration_is_over_before_the_answer_to_pay_the_state_is_asked_once(world: World) -> None:  # noqa: N802
    world.paymego.passage = lambda method: Passage(back_s=3 if method == PAY else 0.01)

    assert _waits(world, 1_000, 500) == pytest.approx([PAID_AT + 3.01])


def test_the_clock_of_payDuration_starts_when_the_first_pay_leaves(world: World) -> None:  # noqa: N802
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS), takes_s=7)

    world.pay(ui=ui)

    assert world.paymego.times_of(PAY) == [7]
    assert world.paymego.times_of(CHECK)[-1] == pytest.approx(27)
    assert world.clock.monotonic() == pytest.approx(27.02)


def test_another_scan_in_between_starts_no_new_clock(world: World) -> None:
    never = world.paymego.code(BuyerAction.NEVER_ANSWERS)
    ui = world.cashier("11112222333344445555", never, takes_s=6)

    world.pay(ui=ui)

    first_pay, second_pay = world.paymego.times_of(PAY)
    assert second_pay > first_pay + 6
    assert world.paymego.times_of(CHECK)[-1] == pytest.approx(first_pay + 20)


def test_a_question_under_way_at_payDuration_makes_room_for_the_last_one(world: World) -> None:  # noqa: N802
    world.set(payDuration=3_000, frequency=2_000)
    world.paymego.passage = lambda method: Passage(back_s=60 if method == CHECK else 0.01)

    outcome = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert outcome.status is PaymentStatus.UNKNOWN
    assert world.paymego.times_of(CHECK) == pytest.approx([0.04, PAID_AT + 3])
    assert [heard.at_s for heard in world.paymego.heard if heard.method == CHECK] == pytest.approx([3.02, 8.02])


def test_the_last_question_has_a_timeout_of_its_own(world: World) -> None:
    world.set(payDuration=3_000)
    world.paymego.passage = lambda method: Passage(
        back_s=4.5 if method == CHECK and world.clock.monotonic() > 3 else 0.01
    )

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=2.9))

    assert outcome.status is PaymentStatus.PAID


def test_a_second_pay_just_before_payDuration_leaves_the_last_question_its_timeout(world: World) -> None:  # noqa: N802
    world.paymego.passage = lambda method: Passage(back_s=1 if method == CHECK else 0.01)
    world.paymego.befall(FaultKind.SILENT_AFTER_EFFECT, PAY, skip=1)
    ui = world.cashier("11112222333344445555", world.paymego.code, takes_s=18.5)

    outcome = world.pay(ui=ui)

    first_pay, second_pay = world.paymego.times_of(PAY)
    assert 19 < second_pay - first_pay < 20
    # It has what is left of payDuration, not a timeout of its own: the last question has that.
    assert world.paymego.times_of(CHECK)[1:] == pytest.approx([first_pay + 20])
    assert (outcome.status, world.paymego.held(), world.live()) == (PaymentStatus.PAID, 1_500_000, [])


@pytest.mark.parametrize("after_s", [0.5, 1.99, 2.0, 5.3, 19.9, 19.99])
def test_a_buyer_who_confirms_in_time_has_paid(world: World, after_s: float) -> None:
    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=after_s))

    assert outcome.status is PaymentStatus.PAID
    assert (world.live(), world.paymego.held()) == ([], 1_500_000)


@pytest.mark.parametrize("after_s", [20.05, 25.0, 300.0])
def test_a_buyer_who_confirms_too_late_has_a_cancellation(world: World, after_s: float) -> None:
    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=after_s))

    assert outcome.status is PaymentStatus.UNKNOWN
    assert len(world.live()) == 1


def test_at_the_deadline_it_is_unknown_with_a_cancellation(world: World) -> None:
    outcome = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert outcome.message == world.text(Text.PAYMENT_UNKNOWN)
    assert (outcome.status, outcome.cancellation_queued) == (PaymentStatus.UNKNOWN, True)
    assert world.path_of()[-1] == "unknown"


def test_50_is_refused_and_its_cancellation_confirms_it(world: World) -> None:
    outcome = world.pay(world.paymego.code(BuyerAction.DECLINES, after_s=5))

    assert outcome.status is PaymentStatus.REFUSED
    assert outcome.message == world.text(Text.PAYMENT_CANCELLED_BY_PAYME)
    assert (outcome.cancellation_queued, len(world.live())) == (True, 1)


def test_21_is_refused_with_a_cancellation(world: World) -> None:
    world.paymego.change(CHECK, result({"state": 21}), skip=2, times=9)

    outcome = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert outcome.status is PaymentStatus.REFUSED
    assert outcome.message == world.text(Text.PAYMENT_RETURNING)
    assert (outcome.cancellation_queued, len(world.live())) == (True, 1)
    assert world.paymego.count(CHECK) == 3


@pytest.mark.parametrize("state", [0, 1, 2, 3, 5, 6, 20, 30, 77, -4, 40])
def test_any_other_state_polls_on(world: World, state: int) -> None:
    world.paymego.change(CHECK, result({"state": state}), times=3)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1))

    assert outcome.status is PaymentStatus.PAID
    assert world.paymego.count(CHECK) == 4


@pytest.mark.parametrize("state", [None, "4", 4.0, True, [4], {}])
def test_what_is_no_state_decides_nothing(world: World, state: object) -> None:
    world.paymego.change(CHECK, result({"state": state}), times=99)

    assert world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1)).status is PaymentStatus.UNKNOWN


@pytest.mark.parametrize("error_code", [-31602, -31630, -31400, -32504, -31900, -31999])
def test_an_error_in_an_answer_to_check_is_an_unclear_answer_not_a_verdict(world: World, error_code: int) -> None:
    world.set(ignoredErrors=-31630)
    world.paymego.change(CHECK, error(error_code), times=2)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1))

    assert (outcome.status, outcome.error_code) == (PaymentStatus.PAID, None)
    assert world.paymego.count(CHECK) == 3


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.FOREIGN_RECEIPT])
def test_one_faulty_answer_to_check_is_survived(world: World, kind: FaultKind) -> None:
    world.paymego.befall(kind, CHECK, after_s=3)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1))

    assert outcome.status is PaymentStatus.PAID


def test_a_4_of_another_receipt_is_contradicted_by_the_receipt_itself(world: World) -> None:
    """No answer to ``check`` names its receipt, so only ``get`` can tell."""
    world.paymego.befall(FaultKind.FOREIGN_RECEIPT, CHECK)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1))

    assert (outcome.status, outcome.cancellation_queued) == (PaymentStatus.REFUSED, True)
    assert (world.row().state.value, len(world.live())) == ("reversing", 1)


def test_answers_slower_than_frequency_skip_their_turns_instead_of_piling_up(world: World) -> None:
    world.set(frequency=1_000)
    world.paymego.passage = lambda method: Passage(back_s=2.49 if method == CHECK else 0.01)

    world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert world.paymego.times_of(CHECK) == pytest.approx([0.04, 3.04, 6.04, 9.04, 12.04, 15.04, 18.04, 20.02])


@pytest.mark.parametrize("by_ms", [-10 * 365 * 86_400_000, -3_600_000, 3_600_000, 10 * 365 * 86_400_000])
def test_a_clock_on_the_wall_that_jumps_changes_nothing(world: World, by_ms: int) -> None:
    world.clock.at(5, lambda: world.clock.set_wall(by_ms))

    outcome = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert outcome.status is PaymentStatus.UNKNOWN
    assert world.clock.monotonic() == pytest.approx(PAID_AT + 20.02)


def test_no_money_is_asked_for_while_polling(world: World) -> None:
    world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert set(world.paymego.methods[2:]) == {"check"}
