"""Missing data of the slip is asked for within the time left. A fault of the slip never changes PAID."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import meanwhile, result, with_receipt, without_id, without_receipt_fields
from hookspecs import PaymentStatus
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.operations.payment_slips import PaymentSlips, TemplateCache
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text
from slips import SlipRenderer

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.paymego import Change
    from fakes.world import World

PAY, GET = "receipts.pay", "receipts.get"


def _real_slips(world: World, *, template: Path | None = None, copies: int = 2) -> PaymentSlips:
    return PaymentSlips(
        templates=TemplateCache(SlipRenderer),
        template=template,
        width=32,
        copies=copies,
        texts=world.texts,
        notice=world.host.notice,
    )


@pytest.mark.parametrize("field", ["card", "merchant", "pay_time"])
def test_what_the_answer_to_pay_lacks_is_asked_for_once_paid_is_stored(world: World, field: str) -> None:
    seen: list[list[str]] = []
    world.paymego.change(PAY, without_receipt_fields(field))
    world.paymego.change(GET, meanwhile(lambda: seen.append(world.path_of())))

    world.pay(world.paymego.code())

    assert world.paymego.methods == ["create", "pay", "get"]
    assert seen == [["intent", "paying", "paid"]]
    ((_, _, receipt),) = world.plain_slips.made
    assert receipt.get(field)


@pytest.mark.parametrize(
    "change",
    [with_receipt(_id="another"), without_id(with_receipt(amount=1)), result({}), without_receipt_fields("_id")],
    ids=["another id", "another amount without our id", "nothing", "no id"],
)
def test_another_receipt_is_not_printed(world: World, change: Change) -> None:
    world.paymego.change(GET, change)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1))

    assert outcome.status is PaymentStatus.PAID
    ((_, _, receipt),) = world.plain_slips.made
    assert receipt == {}
    assert "PhoneNumber" not in outcome.receipt_attributes


@pytest.mark.parametrize("fields", [{"state": 50}, {"state": 21}, {"state": 1}, {"amount": 1}], ids=str)
@pytest.mark.parametrize("action", [BuyerAction.PAYS, BuyerAction.CONFIRMS], ids=["pay lacks a field", "check says 4"])
def test_a_receipt_that_contradicts_4_is_obeyed_and_its_money_returned(
    world: World, action: BuyerAction, fields: dict[str, int]
) -> None:
    world.paymego.change(PAY, without_receipt_fields("card"))
    world.paymego.change(GET, with_receipt(**fields))

    outcome = world.pay(world.paymego.code(action, after_s=1))

    assert (outcome.status, outcome.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ALREADY_REVERSED))
    assert (outcome.payment, outcome.slips, outcome.cancellation_queued) == (None, (), True)
    (row,) = world.live()
    assert (row.cause, world.row().state) == (Cause.UNRECORDED, PaymentState.REVERSING)


@pytest.mark.parametrize("kind", list(FaultKind))
def test_whatever_becomes_of_get_the_sale_is_paid_with_a_slip(world: World, kind: FaultKind) -> None:
    world.paymego.inject_fault(kind, GET, after_s=60)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1))

    assert (outcome.status, len(outcome.slips)) == (PaymentStatus.PAID, 1)


def test_the_slip_has_the_printers_width_and_as_many_copies_as_are_set(world: World) -> None:
    world.slips = _real_slips(world)
    (slip,) = world.pay(world.paymego.code()).slips

    assert (slip.copies, slip.xml[0]) == (2, "<")
    assert max(map(len, slip.lines)) <= 32
    assert any("15" in line and "000" in line for line in slip.lines)
    world.slips = _real_slips(world, copies=0)
    assert world.pay(world.paymego.code(), payment_id="p2").slips == ()


@pytest.mark.parametrize("template", [b"<slip>", b"<other/>", None], ids=["cut", "other", "missing"])
def test_a_template_that_can_not_be_used_gives_the_shipped_slip_and_a_notice(
    world: World, tmp_path: Path, template: bytes | None
) -> None:
    path = tmp_path / "payme.xml"
    if template is not None:
        path.write_bytes(template)
    world.slips = _real_slips(world, template=path)

    outcome = world.pay(world.paymego.code())

    assert (outcome.status, len(outcome.slips)) == (PaymentStatus.PAID, 1)
    assert world.host.notices["payme.slip"] == world.text(Text.NOTICE_SLIP_FALLBACK)


def test_whatever_the_server_writes_into_a_receipt_a_paid_sale_stays_paid(world: World) -> None:
    world.slips = _real_slips(world)
    fields = {"card": {"number": 10**18}, "merchant": [], "pay_time": "soon", "payer": {"phone": {"deep": [1] * 500}}}
    world.paymego.change(PAY, with_receipt(**fields))

    outcome = world.pay(world.paymego.code())

    assert (outcome.status, len(outcome.slips)) == (PaymentStatus.PAID, 1)
