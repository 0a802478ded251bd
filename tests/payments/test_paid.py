"""A payment that goes well, from the tender to the record that the host stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.clock import BEGINNING_MS
from fakes.till import open_sale
from hookspecs import PaymentStatus
from payme_plugin.sandbox import BuyerAction
from payme_plugin.sandbox.receipt import Buyer
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld
    from fakes.world import World


def test_a_paid_payment_is_one_create_and_one_pay(world: World) -> None:
    code = world.paymego.code()

    result = world.pay(code)

    assert result.status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "pay"]
    assert world.path_of() == ["intent", "paying", "paid"]
    assert world.live() == []
    assert world.paymego.held() == 1_500_000


def test_the_host_gets_all_that_it_stores_prints_and_puts_onto_the_fiscal_receipt(world: World) -> None:
    result = world.pay(world.paymego.code())

    receipt_id = world.row().receipt_id
    assert result.receipt_id == receipt_id
    assert (result.amount, result.error_code, result.cancellation_queued) == (1_500_000, None, False)
    assert result.message == world.text(Text.PAYMENT_PAID)
    assert result.payment is not None
    assert (result.payment.payment_id, result.payment.payment_type, result.payment.amount) == ("p1", 7, 1_500_000)
    assert result.payment.data == {
        "v": "1",
        "plugin": "payme",
        "receipt_id": receipt_id,
        "posId": world.settings.pos_id,
        "url": world.settings.url,
        "paid_at": str(world.row().paid_at),
    }
    assert result.receipt_attributes == {
        "QRPaymentProvider": "141",
        "QRPaymentID": receipt_id,
        "PhoneNumber": Buyer().phone,
    }
    assert [slip.lines for slip in result.slips] == [("pay", "p1")]


def test_the_time_of_payment_is_paymes(world: World) -> None:
    world.clock.set_wall(86_400_000)

    world.pay(world.paymego.code())

    assert world.row().paid_at == BEGINNING_MS + 30


def test_each_press_of_a_tender_on_a_sale_is_another_attempt_in_the_account(world: World) -> None:
    for index in range(3):
        world.pay(world.paymego.code(BuyerAction.LACKS_FUNDS), payment_id=f"p{index}")
    world.pay(world.paymego.code(), payment_id="p9", receipt=open_sale(2))

    accounts = [sent.params["account"] for sent in world.paymego.sent if sent.method == "receipts.create"]

    assert accounts == [{"order_id": f"till-1-3-{end}"} for end in ("1-1", "1-2", "1-3", "2-1")]


def test_the_events_say_what_was_asked_and_answered(world: World) -> None:
    world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=5))

    texts = [event.text for event in world.events()]

    assert texts[0] == "1500000 tiyin, receipt till-1/3/1"
    assert "receipts.create: state 0" in texts
    assert "receipts.pay: state 1" in texts
    assert "receipts.check: state 1 (3 times)" in texts
    assert texts[-2:] == ["receipts.check: state 4", "Payme says paid (4)"]


def test_a_payment_that_is_paid_at_once_is_three_commits_inside_the_hook(till: HookedWorld) -> None:
    """The intent; receipt id and code; the result. The acknowledgement is a fourth, outside of it."""
    before = till.journal.commits

    result = till.ask(till.paymego.code())

    assert result.status is PaymentStatus.PAID
    assert till.journal.commits - before == 3


def test_a_payment_that_payme_takes_later_is_three_commits_too(till: HookedWorld) -> None:
    before = till.journal.commits

    result = till.ask(till.paymego.code(BuyerAction.CONFIRMS, after_s=9))

    assert result.status is PaymentStatus.PAID
    assert till.journal.commits - before == 3
