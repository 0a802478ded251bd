"""A verdict that can't be stored. 4 is PAID, anything else UNKNOWN.

The disk is full for real, from the moment that a test chooses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from payme_plugin.operations.closed_receipts import confirm_payments

from answer_changes import meanwhile
from full_disk import fill_disk, free_disk
from hookspecs import PaymentStatus
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text
from virtual_till import PowerCut, open_sale, scan_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from virtual_world import World

CREATE, PAY, CHECK = "receipts.create", "receipts.pay", "receipts.check"


@pytest.fixture(autouse=True)
def _room_again() -> Iterator[None]:
    yield
    free_disk()


def test_paid_that_can_not_be_stored_is_paid_with_a_notice(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))

    result = world.pay(world.paymego.code())

    assert result.status is PaymentStatus.PAID
    assert result.payment is not None
    assert world.path_of() == ["intent", "created", "paying"]
    assert world.host.notices == {"payme.journal": world.text(Text.NOTICE_JOURNAL_UNWRITABLE)}


def test_such_a_payment_is_stored_as_paid_and_recorded_when_its_receipt_closes(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))
    result = world.pay(world.paymego.code())
    free_disk()
    assert result.payment is not None

    confirm_payments(world.journal, open_sale(payments=(result.payment,), closed_at=5), world.owner)

    assert world.path_of() == ["intent", "created", "paying", "paid", "recorded"]


def test_such_a_payment_is_paid_again_when_the_host_asks_again(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))
    world.pay(world.paymego.code())
    free_disk()

    again = world.pay(world.paymego.code())

    assert again.status is PaymentStatus.PAID
    assert world.paymego.count(PAY) == 1
    assert world.path_of()[-1] == "paid"


@pytest.mark.parametrize(
    "action",
    [BuyerAction.LACKS_FUNDS, BuyerAction.NEVER_ANSWERS, BuyerAction.DECLINES],
    ids=lambda action: action.value,
)
def test_anything_else_that_can_not_be_stored_is_unknown_with_a_notice(world: World, action: BuyerAction) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))

    result = world.pay(world.paymego.code(action))

    assert result.status is PaymentStatus.UNKNOWN
    assert result.message == world.text(Text.PAYMENT_CHARGE_MAY_HANG)
    assert not result.cancellation_queued
    assert world.path_of() == ["intent", "created", "paying"]
    assert "payme.journal" in world.host.notices


def test_a_stop_that_can_not_be_stored_is_unknown(world: World) -> None:
    world.paymego.change(CHECK, meanwhile(fill_disk))
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS), stops_at=3)

    result = world.pay(ui=ui)

    assert result.status is PaymentStatus.UNKNOWN
    assert world.row().state.value == "paying"


def test_a_stale_code_whose_return_can_not_be_stored_is_unknown_and_sends_no_other(world: World) -> None:
    world.paymego.change(CHECK, meanwhile(fill_disk))
    ui = world.cashier("11112222333344445555", world.paymego.code())

    result = world.pay(ui=ui)

    assert result.status is PaymentStatus.UNKNOWN
    assert result.message == world.text(Text.PAYMENT_CHARGE_MAY_HANG)
    assert (len(ui.prompts), world.paymego.count(PAY)) == (1, 1)
    assert world.row().state.value == "paying"


def test_the_row_in_state_paying_is_the_durable_intent_to_cancel_and_is_found_out_later(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))
    world.pay(world.paymego.code(BuyerAction.LACKS_FUNDS))
    free_disk()

    again = world.pay(world.paymego.code())

    assert again.status is PaymentStatus.UNKNOWN
    assert len(world.live()) == 1
    assert world.paymego.count(PAY) == 1


def test_a_receipt_that_can_not_be_stored_is_not_paid(world: World) -> None:
    world.paymego.change(CREATE, meanwhile(fill_disk))

    result = world.pay(world.paymego.code())

    assert result.status is PaymentStatus.REFUSED
    assert result.message == world.text(Text.PAYMENT_JOURNAL_UNWRITABLE)
    assert world.paymego.count(PAY) == 0


def test_a_stop_before_any_pay_that_can_not_be_stored_is_a_stop(world: World) -> None:
    result = world.pay("11112222333344445555", scan_after(fill_disk, None))

    assert result.status is PaymentStatus.ABORTED
    assert world.row().state.value == "created"


def test_nothing_more_is_charged_until_a_write_succeeds(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))
    world.pay(world.paymego.code())
    sent = len(world.paymego.sent)

    refused = world.pay(world.paymego.code(), payment_id="p2", receipt=open_sale(2))
    free_disk()
    paid = world.pay(world.paymego.code(), payment_id="p3", receipt=open_sale(3))

    assert refused.status is PaymentStatus.REFUSED
    assert paid.status is PaymentStatus.PAID
    assert [sent_.method for sent_ in world.paymego.sent[sent:]] == [CREATE, PAY]


def test_a_payment_that_may_be_charged_and_can_not_be_taken_over_is_unknown(world: World) -> None:
    world.paymego.befall(FaultKind.SILENT_AFTER_EFFECT, PAY)
    ui = world.cashier(world.paymego.code())
    ui.hand = lambda _: PowerCut()
    with pytest.raises(PowerCut):
        world.pay(ui=ui)
    world.restart()
    before = len(world.paymego.sent)

    fill_disk()
    result = world.pay(world.paymego.code())

    assert result.status is PaymentStatus.UNKNOWN
    assert len(world.paymego.sent) == before


def test_a_payment_that_was_never_sent_and_can_not_be_taken_over_is_refused(world: World) -> None:
    with pytest.raises(PowerCut):
        world.pay("11112222333344445555", PowerCut())
    assert world.row().state.value == "created"
    world.restart()
    before = len(world.paymego.sent)

    fill_disk()
    result = world.pay(world.paymego.code())

    assert result.status is PaymentStatus.REFUSED
    assert len(world.paymego.sent) == before
