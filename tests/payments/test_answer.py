"""What the answer to ``receipts.pay`` means. Whatever it is, ``pay`` leaves once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import body, result, with_receipt, without_receipt_fields
from hookspecs import PaymentStatus
from payme_plugin.ledger.states import Cause
from payme_plugin.paymego.codes import CATALOGUE
from payme_plugin.sandbox import BuyerAction, CancelPlan, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.paymego import Change
    from fakes.world import World

PAY, CHECK, CANCEL = "receipts.pay", "receipts.check", "receipts.cancel"
STALE = {-31400, -31101, -31103}
PROVING = sorted(entry.code for entry in CATALOGUE if entry.proves_no_charge)
ASKING = sorted(entry.code for entry in CATALOGUE if not entry.proves_no_charge)
UNHEARD_OF = [-1, -31999, -40000, 0, 7]


def _refused_code(world: World, error_code: int) -> str:
    return world.paymego.code(BuyerAction.FAILS, error_code=error_code)


def test_state_4_is_paid_without_another_question(world: World) -> None:
    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "pay"]


@pytest.mark.parametrize("error_code", [code for code in PROVING if code not in STALE])
def test_a_code_that_proves_no_charge_is_refused_with_a_cancellation_and_no_question(
    world: World, error_code: int
) -> None:
    result = world.pay(_refused_code(world, error_code))

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, error_code)
    assert str(error_code) in result.message
    assert world.paymego.methods == ["create", "pay"]
    assert result.cancellation_queued
    assert [row.cause for row in world.live()] == [Cause.UNRECORDED]


@pytest.mark.parametrize("error_code", PROVING)
def test_an_ignored_code_that_proves_no_charge_leaves_no_cancellation(world: World, error_code: int) -> None:
    world.set(ignoredErrors=error_code)

    result = world.pay(qr_code=_refused_code(world, error_code))

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, error_code)
    assert (result.cancellation_queued, world.live()) == (False, [])
    assert world.paymego.methods == ["create", "pay"]


@pytest.mark.parametrize("error_code", ASKING)
def test_any_other_code_with_state_0_is_refused_with_a_cancellation(world: World, error_code: int) -> None:
    result = world.pay(_refused_code(world, error_code))

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, error_code)
    assert world.paymego.methods == ["create", "pay", "check"]
    assert len(world.live()) == 1


@pytest.mark.parametrize("error_code", UNHEARD_OF)
def test_a_code_that_nobody_has_heard_of_is_asked_after_too(world: World, error_code: int) -> None:
    world.paymego.change(PAY, lambda answer: {"id": answer["id"], "error": {"code": error_code, "message": "нет"}})

    result = world.pay(world.paymego.code())

    # The bank had carried it out: the state tells, not the error.
    assert result.status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "pay", "check", "get"]


def test_only_for_a_code_without_a_text_of_ours_the_cashier_reads_the_servers_words(world: World) -> None:
    words = {"ru": "Приходите завтра", "uz": "Ertaga keling", "en": "Come tomorrow"}
    world.paymego.befall(FaultKind.REQUEST_LOST, PAY, skip=1)
    world.paymego.change(PAY, lambda answer: {"id": answer["id"], "error": {"code": -31999, "message": words}})

    result = world.pay(_refused_code(world, -31400 - 500))

    assert result.status is PaymentStatus.REFUSED
    assert result.message == world.texts(Text.PAYMENT_SERVER_ERROR, text="Приходите завтра", code=-31999)


@pytest.mark.parametrize("error_code", [-31100, -31623, -32400, -31999])
def test_any_other_code_with_state_4_is_paid(world: World, error_code: int) -> None:
    world.paymego.befall(FaultKind.ERROR_AFTER_EFFECT, PAY, error_code=error_code)

    result = world.pay(world.paymego.code())

    assert (result.status, result.error_code) == (PaymentStatus.PAID, None)
    assert world.paymego.methods == ["create", "pay", "check", "get"]
    assert world.live() == []


def test_any_other_code_with_state_50_is_refused_and_its_cancellation_confirms_it(world: World) -> None:
    world.paymego.befall(FaultKind.ERROR_AFTER_EFFECT, PAY, error_code=-31100)

    result = world.pay(world.paymego.code(BuyerAction.DECLINES))

    assert result.status is PaymentStatus.REFUSED
    assert result.message == world.text(Text.PAYMENT_CANCELLED_BY_PAYME)
    assert (result.cancellation_queued, len(world.live())) == (True, 1)


def test_any_other_code_with_state_21_is_refused_with_a_cancellation(world: World) -> None:
    world.paymego.befall(FaultKind.ERROR_AFTER_EFFECT, PAY, error_code=-31100)
    world.paymego.change(CHECK, result({"state": 21}), times=9)

    outcome = world.pay(world.paymego.code())

    assert outcome.status is PaymentStatus.REFUSED
    assert outcome.message == world.text(Text.PAYMENT_RETURNING)
    assert len(world.live()) == 1


def test_any_other_code_with_another_state_polls_on(world: World) -> None:
    world.paymego.befall(FaultKind.ERROR_AFTER_EFFECT, PAY, error_code=-31100)

    result = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))

    assert result.status is PaymentStatus.PAID
    assert world.paymego.count(CHECK) > 2


@pytest.mark.parametrize("kind", [FaultKind.ANSWER_LOST, FaultKind.SILENT, FaultKind.FOREIGN_ID, FaultKind.ERROR])
def test_any_other_code_without_an_answer_about_the_state_polls_on(world: World, kind: FaultKind) -> None:
    world.paymego.befall(FaultKind.ERROR_AFTER_EFFECT, PAY, error_code=-31100)
    world.paymego.befall(kind, CHECK)

    result = world.pay(world.paymego.code())

    assert result.status is PaymentStatus.PAID
    assert world.paymego.count(CHECK) == 2


@pytest.mark.parametrize("error_code", [code for code in ASKING if code > -32400])
def test_an_ignored_code_that_proves_nothing_is_refused_with_a_cancellation(world: World, error_code: int) -> None:
    world.set(ignoredErrors=error_code)

    result = world.pay(_refused_code(world, error_code))

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, error_code)
    assert world.paymego.methods == ["create", "pay", "check"]
    assert (result.cancellation_queued, len(world.live())) == (True, 1)


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.ANSWER_LOST,
        FaultKind.SILENT_AFTER_EFFECT,
        FaultKind.FOREIGN_ID,
        FaultKind.FOREIGN_RECEIPT,
        FaultKind.HTML_AFTER_EFFECT,
        FaultKind.HTTP_ERROR_AFTER_EFFECT,
    ],
)
def test_a_pay_whose_answer_is_lost_or_senseless_is_asked_after_and_paid_once(world: World, kind: FaultKind) -> None:
    world.paymego.befall(kind, PAY)
    code = world.paymego.code()

    result = world.pay(code)

    assert result.status is PaymentStatus.PAID
    assert (world.paymego.count(PAY), world.paymego.bank.pays(code)) == (1, 1)
    assert world.paymego.methods[:3] == ["create", "pay", "check"]
    assert world.live() == []


@pytest.mark.parametrize("kind", [FaultKind.REQUEST_LOST, FaultKind.SILENT, FaultKind.HTML, FaultKind.HTTP_ERROR])
def test_a_pay_that_never_arrived_is_not_sent_again_and_ends_unknown_with_a_cancellation(
    world: World, kind: FaultKind
) -> None:
    world.paymego.befall(kind, PAY)

    result = world.pay(world.paymego.code())

    assert result.status is PaymentStatus.UNKNOWN
    assert world.paymego.count(PAY) == 1
    assert len(world.live()) == 1


@pytest.mark.parametrize(
    "change",
    [
        result({}),
        result({"receipt": None}),
        with_receipt(_id="another"),
        with_receipt(_id=17),
        with_receipt(amount=1_500_001),
        with_receipt(amount="1500000"),
        with_receipt(state="4"),
        with_receipt(state=4.0),
        with_receipt(state=True),
        without_receipt_fields("state"),
        body(b'{"id": '),
        body(b""),
        body(b"\xff\xfe"),
    ],
)
def test_an_answer_of_another_receipt_or_amount_or_without_a_state_decides_nothing(
    world: World, change: Change
) -> None:
    world.paymego.change(PAY, change)

    result = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1))

    assert result.status is PaymentStatus.PAID
    assert world.paymego.times_of(CHECK) == pytest.approx([0.04, 2.04])


def test_the_answer_may_leave_out_what_it_repeats(world: World) -> None:
    world.paymego.change(PAY, without_receipt_fields("_id", "amount"))

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.count(CHECK) == 0


@pytest.mark.parametrize("state", [0, 1, 2, 3, 5, 6, 20, 21, 30, 50, 77, -1, 2**60])
def test_any_other_state_in_the_answer_is_asked_after_at_once(world: World, state: int) -> None:
    world.paymego.change(PAY, with_receipt(state=state))

    result = world.pay(world.paymego.code())

    assert result.status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "pay", "check", "get"]
    assert world.paymego.times_of(CHECK) == [pytest.approx(0.04)]


def test_a_buyer_without_money_is_refused(world: World) -> None:
    result = world.pay(world.paymego.code(BuyerAction.LACKS_FUNDS))

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, -31630)
    assert len(world.live()) == 1


def test_a_cancellation_names_the_kassa_that_took_the_payment(world: World) -> None:
    world.pay(world.paymego.code(BuyerAction.LACKS_FUNDS, cancel=CancelPlan()))

    (row,) = world.live()
    assert (row.pos_id, row.url, row.amount) == (world.settings.pos_id, world.settings.url, 1_500_000)
