"""Which answers are ours. Without the request's id, 0, 4, 21 and 50 count only when ``receipts.get`` repeats
them with our receipt id and amount; with another's id they are no answer at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import body, error, result, with_receipt, without_id, without_receipt_fields
from hookspecs import PaymentStatus
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.paymego import Change
    from fakes.world import World

PAY, CHECK, GET = "receipts.pay", "receipts.check", "receipts.get"


def _beside(**facts: object) -> Change:
    """Answer with the receipt as it is, and with these facts beside it."""

    def changed(answer: Mapping[str, object]) -> Mapping[str, object]:
        found = answer["result"]
        assert isinstance(found, dict)
        return {**answer, "result": {**found, **facts}}

    return changed


_NOT_OURS = [
    with_receipt(_id="another"),
    with_receipt(amount=1),
    with_receipt(state=1),
    without_receipt_fields("_id"),
    without_receipt_fields("amount"),
    without_receipt_fields("state"),
    result({}),
    lambda answer: {"id": answer["id"], "error": {"code": -31602}},
    lambda answer: {**answer, "id": 1},
]


def test_paid_without_an_id_counts_when_get_repeats_it(world: World) -> None:
    world.paymego.change(PAY, without_id())

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "pay", "get"]


def test_get_may_come_without_an_id_too_since_it_names_receipt_and_amount(world: World) -> None:
    world.paymego.change(PAY, without_id())
    world.paymego.change(GET, without_id())

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "pay", "get"]


@pytest.mark.parametrize("change", _NOT_OURS)
def test_paid_without_an_id_does_not_count_where_get_does_not_repeat_it(world: World, change: Change) -> None:
    world.paymego.change(PAY, without_id())
    world.paymego.change(GET, change)

    world.pay(world.paymego.code())

    assert world.paymego.methods[:4] == ["create", "pay", "get", "check"]


def test_another_calls_answer_without_an_id_never_makes_a_sale_paid(world: World) -> None:
    # The buyer never confirms; each answer says 4 and belongs to somebody else.
    world.paymego.change(PAY, without_id(with_receipt(state=4)))
    world.paymego.change(CHECK, without_id(result({"state": 4})), times=99)

    outcome = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert outcome.status is PaymentStatus.UNKNOWN
    assert len(world.live()) == 1


def test_another_calls_answer_without_an_id_never_proves_a_cancellation(world: World) -> None:
    world.paymego.change(CHECK, without_id(result({"state": 50})), times=99)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=30))

    assert outcome.status is PaymentStatus.UNKNOWN
    assert len(world.live()) == 1


@pytest.mark.parametrize("state", [4, 50])
def test_a_decisive_check_without_an_id_counts_when_get_repeats_it(world: World, state: int) -> None:
    action = BuyerAction.CONFIRMS if state == 4 else BuyerAction.DECLINES
    world.paymego.change(CHECK, without_id(), times=99)

    outcome = world.pay(world.paymego.code(action, after_s=1))

    assert outcome.status is (PaymentStatus.PAID if state == 4 else PaymentStatus.REFUSED)
    assert len(world.live()) == (state == 50)


def test_another_calls_21_without_an_id_ends_no_wait(world: World) -> None:
    world.paymego.change(CHECK, without_id(result({"state": 21})), times=2)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))

    assert (outcome.status, world.live()) == (PaymentStatus.PAID, [])


def test_21_without_an_id_counts_when_get_repeats_it(world: World) -> None:
    world.paymego.change(PAY, body(b"lost"))
    world.paymego.change(CHECK, without_id(result({"state": 21})))
    world.paymego.change(GET, with_receipt(state=21))

    outcome = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert outcome.status is PaymentStatus.REFUSED
    assert outcome.message == world.text(Text.PAYMENT_RETURNING)
    assert len(world.live()) == 1


def test_another_calls_state_0_without_an_id_lets_no_second_code_leave(world: World) -> None:
    # The error is ours and the state is not: the receipt is in state 1, with the first code on its way.
    world.paymego.change(PAY, error(-31400))
    world.paymego.change(CHECK, without_id(result({"state": 0})))

    world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=30), world.paymego.code())

    assert world.paymego.methods[:4] == ["create", "pay", "check", "get"]
    assert world.paymego.count(PAY) == 1


def test_state_0_without_an_id_lets_another_code_leave_when_get_repeats_it(world: World) -> None:
    world.paymego.change(CHECK, without_id())
    stale = world.paymego.code(BuyerAction.FAILS, error_code=-31400)

    outcome = world.pay(stale, world.paymego.code())

    assert outcome.status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "pay", "check", "get", "pay"]


@pytest.mark.parametrize("code", [-31630, -31400, -32504, -31602])
def test_an_error_without_an_id_proves_nothing_and_the_wait_for_the_buyer_goes_on(world: World, code: int) -> None:
    world.paymego.change(PAY, without_id(error(code)))

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=5))

    assert (outcome.status, world.live()) == (PaymentStatus.PAID, [])


def test_a_check_without_an_id_that_decides_nothing_needs_no_get(world: World) -> None:
    world.paymego.change(CHECK, without_id(), times=99)

    world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert world.paymego.count(GET) == 0


@pytest.mark.parametrize("method", [PAY, CHECK])
def test_an_answer_with_another_id_is_no_answer(world: World, method: str) -> None:
    world.paymego.befall(FaultKind.FOREIGN_ID, method, times=None)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1))

    assert outcome.status is (PaymentStatus.PAID if method == PAY else PaymentStatus.UNKNOWN)


def test_an_error_with_another_id_is_no_refusal(world: World) -> None:
    world.paymego.change(PAY, lambda answer: {"id": 1, "error": {"code": -31630, "message": "no"}})

    outcome = world.pay(world.paymego.code())

    assert (outcome.status, outcome.error_code) == (PaymentStatus.PAID, None)


# Our request's id stands in all of these, so that only what they name tells that they are another receipt's.
_OTHERS_FACTS: list[dict[str, object]] = [
    {"_id": "another"},
    {"_id": 17},
    {"id": "another"},
    {"amount": 1},
    {"amount": "1500000"},
    {"receipt": {"_id": "another"}},
    {"receipt": {"id": "another"}},
    {"receipt": {"amount": 1}},
    {"receipt": {"state": 0}},
    {"receipt": {"state": "4"}},
    {"receipt": "another"},
    {"receipt": []},
]


@pytest.mark.parametrize("facts", _OTHERS_FACTS)
def test_paid_in_a_check_that_names_another_receipt_amount_or_state_is_no_answer(
    world: World, facts: dict[str, object]
) -> None:
    world.paymego.change(CHECK, result({"state": 4, **facts}), times=99)

    outcome = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert (outcome.status, len(world.live())) == (PaymentStatus.UNKNOWN, 1)
    told = "\n".join(event.text for event in world.events())
    assert "about another receipt, amount or state" in told or "the receipt in the result is not an object" in told


@pytest.mark.parametrize("facts", _OTHERS_FACTS)
def test_50_in_a_check_that_names_another_receipt_amount_or_state_proves_no_cancellation(
    world: World, facts: dict[str, object]
) -> None:
    world.paymego.change(CHECK, result({"state": 50, **facts}), times=99)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=30))

    assert (outcome.status, len(world.live())) == (PaymentStatus.UNKNOWN, 1)


@pytest.mark.parametrize("facts", [{"state": 50}, {"_id": "another"}, {"id": "another"}, {"amount": 1}])
def test_a_receipt_beside_which_another_state_receipt_or_amount_is_named_is_no_answer(
    world: World, facts: dict[str, object]
) -> None:
    world.paymego.change(PAY, _beside(**facts))

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.methods[:3] == ["create", "pay", "check"]


@pytest.mark.parametrize("facts", [{"state": 50}, {"_id": "another"}, {"id": "another"}, {"amount": 1}])
def test_get_repeats_nothing_where_it_names_another_state_receipt_or_amount_too(
    world: World, facts: dict[str, object]
) -> None:
    world.paymego.change(PAY, without_id())
    world.paymego.change(GET, _beside(**facts))

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.methods[:4] == ["create", "pay", "get", "check"]


def test_a_check_may_name_our_receipt_our_amount_and_its_state_again(world: World) -> None:
    def with_all(answer: Mapping[str, object]) -> Mapping[str, object]:
        mine = {"_id": world.row().receipt_id, "amount": world.row().amount, "state": 4}
        return {"id": answer["id"], "result": {**mine, "receipt": {**mine, "id": "of something else", "card": None}}}

    world.paymego.change(PAY, body(b"lost"))
    world.paymego.change(CHECK, with_all)

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.count(CHECK) == 1


def test_declined_with_our_id_is_proof_enough(world: World) -> None:
    outcome = world.pay(world.paymego.code(BuyerAction.DECLINES, after_s=1))

    assert outcome.status is PaymentStatus.REFUSED
    assert outcome.message == world.text(Text.PAYMENT_CANCELLED_BY_PAYME)
    assert world.paymego.count(GET) == 0


def test_an_ignored_error_without_an_id_may_be_another_calls_so_a_cancellation_follows(
    world: World,
) -> None:
    world.set(ignoredErrors=-31630)
    world.paymego.change(PAY, lambda answer: {"error": {"code": -31630, "message": "another call's"}})

    result = world.pay(world.paymego.code(BuyerAction.LACKS_FUNDS))

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, -31630)
    assert world.paymego.methods == ["create", "pay", "check"]
    assert (result.cancellation_queued, len(world.live())) == (True, 1)


def test_an_ignored_error_without_an_id_never_hides_a_charge(world: World) -> None:
    world.set(ignoredErrors=-31630)
    world.paymego.change(PAY, lambda answer: {"error": {"code": -31630, "message": "another call's"}})

    # The bank had carried the payment out: what stands in the answer belongs to another call.
    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID


def test_a_stale_code_without_an_id_may_be_another_calls_so_no_second_code_leaves(world: World) -> None:
    world.set(ignoredErrors=-31630)
    # Whoever it belongs to, our own pay may still be on its way.
    world.paymego.change(PAY, without_id())
    stale = world.paymego.code(BuyerAction.FAILS, error_code=-31400)

    outcome = world.pay(stale, world.paymego.code(BuyerAction.LACKS_FUNDS))

    assert (outcome.status, outcome.error_code) == (PaymentStatus.REFUSED, -31400)
    assert world.paymego.methods == ["create", "pay", "check"]
    assert (outcome.cancellation_queued, len(world.live())) == (True, 1)


@pytest.mark.parametrize("state", [4, 50])
def test_after_a_stale_code_without_an_id_the_state_still_decides(world: World, state: int) -> None:
    action = BuyerAction.PAYS if state == 4 else BuyerAction.DECLINES
    world.paymego.change(PAY, without_id(error(-31400)))

    outcome = world.pay(world.paymego.code(action))

    assert outcome.status is (PaymentStatus.PAID if state == 4 else PaymentStatus.REFUSED)
    assert len(world.live()) == (state == 50)
