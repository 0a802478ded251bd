"""What the slip lacks is asked for within the time left; no slip ever makes a paid sale unpaid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import result, with_receipt, without_id, without_receipt_fields
from fakes.paymego import Passage
from hookspecs import PaymentStatus
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.operations.payment_slips import PaymentSlips, TemplateCache
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text
from slips import SlipRenderer

if TYPE_CHECKING:
    from fakes.paymego import Change
    from fakes.world import World

PAY, CHECK, GET = "receipts.pay", "receipts.check", "receipts.get"


def _desk(world: World, *, template: Path | None = None, copies: int = 2, width: int = 32) -> PaymentSlips:
    renderer = SlipRenderer()
    return PaymentSlips(
        templates=TemplateCache(renderer),
        template=template,
        width=width,
        copies=copies,
        texts=world.texts,
        notice=world.host.notice,
    )


@pytest.mark.parametrize("field", ["card", "merchant", "pay_time"])
def test_what_the_answer_to_pay_lacks_is_asked_for(world: World, field: str) -> None:
    world.paymego.change(PAY, without_receipt_fields(field))

    world.pay(world.paymego.code())

    assert world.paymego.methods == ["create", "pay", "get"]
    ((_, _, receipt),) = world.plain_slips.made
    assert receipt.get(field)


def test_a_payment_that_a_check_found_paid_is_asked_for_whole(world: World) -> None:
    world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1))

    assert world.paymego.methods[-1] == "get"
    ((_, _, receipt),) = world.plain_slips.made
    assert receipt["_id"] == world.row().receipt_id


def test_paid_is_durable_before_the_slip_is_completed(world: World) -> None:
    seen: list[list[str]] = []
    world.paymego.change(PAY, without_receipt_fields("card"))
    passages = world.paymego.passage

    def passage(method: str) -> Passage:
        if method == GET:
            seen.append(world.path_of())
        return passages(method)

    world.paymego.passage = passage
    world.pay(world.paymego.code())

    assert [path[-1] for path in seen] == ["paid"]


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
@pytest.mark.parametrize("way", ["pay lacks a field", "check says 4"])
def test_a_receipt_that_contradicts_4_is_obeyed_and_its_money_returned(
    world: World, way: str, fields: dict[str, int]
) -> None:
    if way == "pay lacks a field":
        world.paymego.change(PAY, without_receipt_fields("card"))
    world.paymego.change(GET, with_receipt(**fields))
    action = BuyerAction.PAYS if way == "pay lacks a field" else BuyerAction.CONFIRMS

    outcome = world.pay(world.paymego.code(action, after_s=1))

    assert (outcome.status, outcome.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ALREADY_REVERSED))
    assert (outcome.payment, outcome.slips, outcome.cancellation_queued) == (None, (), True)
    (row,) = world.live()
    assert (row.cause, world.row().state) == (Cause.UNRECORDED, PaymentState.REVERSING)


@pytest.mark.parametrize("fields", [{"state": 50}, {"amount": 1}], ids=str)
def test_an_answer_to_pay_that_contradicts_itself_is_not_paid(world: World, fields: dict[str, int]) -> None:
    world.paymego.change(PAY, with_receipt(**fields))
    world.paymego.befall(FaultKind.SILENT, CHECK, times=None)

    assert world.pay(world.paymego.code()).status is not PaymentStatus.PAID


@pytest.mark.parametrize("kind", list(FaultKind))
def test_whatever_becomes_of_get_the_sale_is_paid_with_a_slip(world: World, kind: FaultKind) -> None:
    world.paymego.befall(kind, GET, after_s=60)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1))

    assert outcome.status is PaymentStatus.PAID
    assert len(outcome.slips) == 1


def test_get_has_only_the_time_that_is_left(world: World) -> None:
    world.paymego.passage = lambda method: Passage(back_s=4.9 if method in {CHECK, GET} else 0.01)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=19))

    assert outcome.status is PaymentStatus.PAID
    (paid_at,) = world.paymego.times_of(PAY)
    assert world.clock.monotonic() <= paid_at + 25 + 0.001


def test_a_real_slip_is_filled_validated_and_laid_out(world: World) -> None:
    world.slips = _desk(world)

    outcome = world.pay(world.paymego.code())

    (slip,) = outcome.slips
    assert slip.copies == 2
    assert slip.xml.startswith("<")
    assert max(map(len, slip.lines)) <= 32
    assert any("15" in line and "000" in line for line in slip.lines)


@pytest.mark.parametrize(
    "template",
    [b"", b"<slip>", b"\xff\xfe", b'<!DOCTYPE x [<!ENTITY y "z">]><x>&y;</x>', b"<other/>"],
    ids=["empty", "cut", "bytes", "entities", "other"],
)
def test_a_template_that_can_not_be_used_gives_the_shipped_slip_and_a_notice(
    world: World, tmp_path: Path, template: bytes
) -> None:
    path = tmp_path / "payme.xml"
    path.write_bytes(template)
    world.slips = _desk(world, template=path)

    outcome = world.pay(world.paymego.code())

    assert outcome.status is PaymentStatus.PAID
    assert len(outcome.slips) == 1
    assert world.host.notices["payme.slip"] == world.text(Text.NOTICE_SLIP_FALLBACK)


def test_a_missing_template_gives_the_shipped_slip_and_a_notice(world: World) -> None:
    world.slips = _desk(world, template=Path("/nonexistent/payme.xml"))

    outcome = world.pay(world.paymego.code())

    assert (outcome.status, len(outcome.slips)) == (PaymentStatus.PAID, 1)
    assert "payme.slip" in world.host.notices


@pytest.mark.parametrize("width", [1, 8, 10_000])
def test_a_printer_of_any_width_gets_a_slip(world: World, width: int) -> None:
    world.slips = _desk(world, width=width)

    outcome = world.pay(world.paymego.code())

    assert (outcome.status, len(outcome.slips)) == (PaymentStatus.PAID, 1)


def test_no_copies_are_no_slip(world: World) -> None:
    world.slips = _desk(world, copies=0)

    assert world.pay(world.paymego.code()).slips == ()


@pytest.mark.parametrize(
    "change",
    [
        with_receipt(card="card", merchant=[], pay_time="soon"),
        with_receipt(card={"number": "\x00\x1b[2J"}, merchant={"name": "\ufffe" * 5000}),
        with_receipt(payer={"phone": {"deep": [1] * 500}}),
        with_receipt(card={"number": 10**18}, merchant={"name": "<!--&]]>"}),
    ],
)
def test_whatever_the_server_writes_into_a_receipt_a_paid_sale_stays_paid(world: World, change: Change) -> None:
    world.slips = _desk(world)
    world.paymego.change(PAY, change)

    outcome = world.pay(world.paymego.code())

    assert (outcome.status, len(outcome.slips)) == (PaymentStatus.PAID, 1)
