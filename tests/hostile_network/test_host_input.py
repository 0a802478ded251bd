"""Invalid input of a host: a ``Ui`` that breaks the contract, calls from inside calls, any text.

What is trimmed, folded, asked for again and refused of a code is in ``tests/payments/test_codes.py``.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.hooked_world import HookedWorld
from fakes.till import TENDER, ScriptedUi, open_sale
from faults.canaries import CODE, LeakSearch
from faults.texts import ANY_TEXT, HOSTILE_TEXTS, is_storable
from hookspecs import (
    CancelRequest,
    GoodsKind,
    Item,
    ItemFiscal,
    PaymentRecord,
    PaymentResult,
    PaymentStatus,
    Receipt,
    ReceiptKind,
    ReversalResult,
    ReversalStatus,
)
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.payment_slips import SLIP_NOTICE, PaymentSlips, TemplateCache
from payme_plugin.sandbox import Behaviour, BuyerAction
from payme_plugin.texts import Text, Texts
from slips.characters import text_width

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slips import SlipRenderer

MONEY_HOOKS = ("on_payment", "on_cancel", "on_full_refund")
AMOUNT = 1_500_000
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def codes_on_the_wire(world: HookedWorld) -> list[str | None]:
    return [sent.code for sent in world.paymego.sent if sent.method == "receipts.pay"]


# A ``Ui`` that breaks the contract


class BrokenUi:
    """A ``Ui`` whose answers are what a test says, raised where they are exceptions; nothing checks their types."""

    def __init__(self, scan: object, progress: object = None) -> None:
        self._answers = {"scan": scan, "progress": progress}

    def scan(self, *_: object) -> Any:  # noqa: ANN401 - that is the point
        return self._answer("scan")

    def progress(self, *_: object) -> Any:  # noqa: ANN401 - that is the point
        return self._answer("progress")

    def _answer(self, name: str) -> object:
        answer = self._answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer


class LyingText(str):
    """A text whose methods fail."""

    __slots__ = ()

    def strip(self, *_: object) -> str:
        raise RuntimeError("no strip")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no letters")


@pytest.mark.parametrize("progress", [RuntimeError("x"), RecursionError("x"), 1, "stop", [True]])
def test_a_progress_that_raises_or_answers_nonsense_and_a_text_that_lies_stop_no_payment(
    world: HookedWorld, progress: object
) -> None:
    code = world.paymego.code(BuyerAction.CONFIRMS, after_s=3)

    result = world.ask(ui=BrokenUi(LyingText(f" {code}\r\n"), progress))  # type: ignore[arg-type]

    assert result.status is PaymentStatus.PAID
    assert codes_on_the_wire(world) == [code]


@pytest.mark.parametrize("ui", [None, object(), 7, ScriptedUi, BrokenUi(None, RuntimeError("x"))])
@pytest.mark.parametrize("hook", MONEY_HOOKS)
def test_an_object_that_is_not_a_ui_charges_nothing_and_does_not_prevent_a_reversal(
    world: HookedWorld, hook: str, ui: ScriptedUi
) -> None:
    result = call_hook(world, hook, ui)()

    assert result.status is (PaymentStatus.ABORTED if hook == "on_payment" else ReversalStatus.REVERSED)
    assert world.paymego.held() == 0


# A host that calls again from inside a call


def call_hook(
    world: HookedWorld, hook: str, ui: ScriptedUi, payment_id: str = "p1", number: int = 1
) -> Callable[[], PaymentResult | ReversalResult]:
    """Do what comes before a money hook, and return its call."""
    if hook == "on_payment":
        return lambda: world.ask(ui=ui, payment_id=payment_id, receipt=open_sale(number))
    sold = world.sell(payment_id, number)
    if hook == "on_cancel":
        return lambda: world.cancel(sold, ui=ui)
    closed = world.close_sale(sold)
    return lambda: world.refund(closed, ui=ui)


@pytest.mark.parametrize("inner", MONEY_HOOKS)
@pytest.mark.parametrize("outer", MONEY_HOOKS)
def test_a_money_hook_from_inside_another_charges_nothing_and_leaves_a_reversal_to_the_worker(
    world: HookedWorld, outer: str, inner: str
) -> None:
    inner_call = call_hook(world, inner, world.cashier(world.paymego.code()), "inner", 5)
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))
    outer_call = call_hook(world, outer, ui, "outer", 77)
    seconds: list[PaymentResult | ReversalResult] = []

    def call_again(_: float) -> None:
        if not seconds:
            asked = len(world.paymego.sent)
            seconds.append(inner_call())
            assert len(world.paymego.sent) == asked

    ui.on_progress = call_again
    first = outer_call()

    assert first.status is (PaymentStatus.PAID if outer == "on_payment" else ReversalStatus.REVERSED)
    expected = PaymentStatus.REFUSED if inner == "on_payment" else ReversalStatus.QUEUED
    assert [second.status for second in seconds] == [expected]
    row = world.journal.find("inner")
    assert (row and row.state) == (None if inner == "on_payment" else PaymentState.REVERSING)


def test_hooks_that_move_no_money_are_served_from_inside_a_payment(world: HookedWorld) -> None:
    closed = world.sell("closed", 4)
    violations: list[object] = []

    def close_another(_: float) -> None:
        if not violations:
            world.close_sale(closed)
            violations.append(world.violations(closed))

    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))
    ui.on_progress = close_another

    assert world.ask(ui=ui).status is PaymentStatus.PAID
    assert violations == [[]]
    assert world.row("closed").state is PaymentState.RECORDED


@pytest.mark.parametrize("closed_at", [None, 5], ids=["recorded", "closed"])
@pytest.mark.parametrize(
    ("action", "status", "state"),
    [
        (BuyerAction.CONFIRMS, PaymentStatus.PAID, PaymentState.RECORDED),
        (BuyerAction.NEVER_ANSWERS, PaymentStatus.UNKNOWN, PaymentState.UNKNOWN),
    ],
)
def test_an_acknowledgement_of_the_payment_under_way_changes_no_result_and_is_applied_to_it(
    world: HookedWorld, action: BuyerAction, status: PaymentStatus, state: PaymentState, closed_at: int | None
) -> None:
    """No host has a payment that it got no result of: only Payme says whether this one is paid."""
    record = PaymentRecord(payment_id="p1", payment_type=TENDER, amount=AMOUNT, data={"plugin": "payme"})

    def acknowledge(_: float) -> None:
        if closed_at is None:
            world.dispatcher.acknowledge(record)
        else:
            world.dispatcher.receipt_closed(open_sale(payments=(record,), closed_at=closed_at))

    ui = world.cashier(world.paymego.code(action, after_s=3))
    ui.on_progress = acknowledge

    result = world.ask(ui=ui)
    row = world.row()

    assert (result.status, row.state, row.closed_at) == (status, state, closed_at)
    assert row.acknowledged_at is not None
    world.work(60)
    assert world.paymego.held() == (AMOUNT if status is PaymentStatus.PAID else 0)


# What is under a scanner


@pytest.mark.parametrize(
    "scanned",
    [
        "010460043993125621JgXJ5.T\x1d93mWRC",
        "0104600439931256211234567890123\x1d930123",
        ";8888012345678901=9912?",
        "https://checkout.paycom.uz/65f0a1b2c3d4e5f601234567",
        "фыва1234567890йцукен",
        "1122 3344 5566 7788 9900",
        "11223344556677889900\r\n11223344556677889900",
        "\r\n\r\n",
        "2000000012345\t150.00",
    ],
    ids=["marking", "marking, digits", "magnetic card", "link", "Cyrillic", "blanks", "twice", "nothing", "price tag"],
)
def test_a_scan_that_is_not_a_buyers_code_is_not_sent_and_asked_for_again(world: HookedWorld, scanned: str) -> None:
    code = world.paymego.code()
    ui = world.cashier(scanned, code)

    assert world.pay(ui=ui).status is PaymentStatus.PAID
    assert codes_on_the_wire(world) == [code]
    reasons = world.text(Text.SCAN_IMPLAUSIBLE), world.text(Text.SCAN_FOREIGN_CHARACTER).partition("{")[0]
    assert ui.prompts[1].startswith(reasons)


@pytest.mark.parametrize("card", ["0012345678", "2990001234567", "7777012345678901"])
def test_a_loyalty_card_of_digits_is_the_servers_to_judge_and_another_code_is_asked_for(
    world: HookedWorld, card: str
) -> None:
    code = world.paymego.code()

    assert world.pay(card, code).status is PaymentStatus.PAID
    assert codes_on_the_wire(world) == [card, code]
    assert world.paymego.held() == AMOUNT


@pytest.mark.parametrize("spelled", ["{0}{0}{0}{0}", "{0} {0}", "{0};", "Code: {0}"])
def test_a_buyers_code_that_came_with_something_else_is_seen_nowhere(
    world: HookedWorld, search: LeakSearch, spelled: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ui = world.cashier(spelled.format(CODE), world.paymego.code())

    search.add_result(world.pay(ui=ui))

    search.add("the screen", ui.prompts, ui.shown, world.host.notice_log)
    search.add_log(caplog.records)
    search.add_files()
    assert search.leaks(CODE) == []


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | ANY_TEXT)
@FEW
def test_whatever_is_scanned_only_plain_digits_leave_and_each_at_most_once(scanned: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = HookedWorld(Path(folder))

        result = world.pay(scanned, scanned, None)

        assert result.status in {PaymentStatus.ABORTED, PaymentStatus.REFUSED}
        left = codes_on_the_wire(world)
        assert len(left) <= 1
        assert all(code is not None and code.isascii() and code.isdigit() for code in left)
        world.close()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("88112233445566778899", Text.PAYMENT_OTHER_WALLET),
        ("11223344556677889900", None),
        ("80223344556677889900", None),
    ],
)
def test_only_a_click_code_that_payme_does_not_know_is_called_one_of_another_wallet(
    world: HookedWorld, code: str, message: Text | None
) -> None:
    expected = world.texts.of_error(-31400) if message is None else world.text(message, code=-31400)

    assert world.pay(qr_code=code).message == expected


def test_a_click_code_that_payme_refuses_for_another_reason_is_shown_that_reason(world: HookedWorld) -> None:
    click_code = "88112233445566778899"
    world.paymego.bank._know(click_code, world.paymego.now_ms, Behaviour(BuyerAction.LACKS_FUNDS))

    result = world.pay(click_code)

    assert result.message == world.texts.of_error(result.error_code or 0)


# Texts of a sale


@st.composite
def sales(draw: st.DrawFn) -> Receipt:
    """A sale whose every text is any text; its numbers are a till's."""
    numbers = st.integers(-(2**63), 2**63 - 1)
    fiscal = st.builds(
        ItemFiscal,
        code=ANY_TEXT,
        package_code=ANY_TEXT,
        vat_percent=numbers,
        units=st.none() | st.integers(-5, 5),
        discount=st.integers(0, 5),
    )
    items = st.builds(
        Item,
        name=ANY_TEXT,
        quantity=st.decimals(allow_nan=True, allow_infinity=True),
        price=numbers,
        amount=numbers,
        barcode=ANY_TEXT,
        goods=st.sampled_from(GoodsKind),
        marking=st.none() | ANY_TEXT,
        fiscal=st.none() | fiscal,
    )
    return Receipt(
        till=draw(ANY_TEXT),
        shift=draw(numbers),
        number=draw(numbers),
        kind=ReceiptKind.SALE,
        items=tuple(draw(st.lists(items, max_size=3))),
        total=AMOUNT,
    )


@given(sale=sales(), payment_id=ANY_TEXT, reason=ANY_TEXT)
@FEW
def test_any_text_in_a_sale_is_paid_or_refused_at_once_and_can_be_given_back(
    renderer: SlipRenderer, sale: Receipt, payment_id: str, reason: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = HookedWorld(Path(folder))
        world.slips = PaymentSlips(TemplateCache(lambda: renderer), None, 32, 2, world.texts, world.host.notice)

        result = world.ask(world.paymego.code(), payment_id=payment_id, receipt=sale)

        if is_storable(payment_id) and is_storable(sale.till):
            assert result.status is PaymentStatus.PAID
            assert result.payment is not None
            assert all(text_width(line) <= 32 and line.isprintable() for slip in result.slips for line in slip.lines)
            assert SLIP_NOTICE not in world.host.notices
            back = world.dispatcher.cancel(
                CancelRequest(payment=result.payment, receipt=sale, reason=reason), world.cashier()
            )
            assert back is not None
            assert back.status in {ReversalStatus.REVERSED, ReversalStatus.QUEUED}
            world.work(60)
        else:
            assert result.status is PaymentStatus.REFUSED
            assert world.paymego.sent == []
        assert world.paymego.held() == 0
        world.close()


def on_the_wire(text: str) -> str:
    """Return a text as the server gets it: half characters are question marks."""
    return "".join("?" if "\ud800" <= letter <= "\udfff" else letter for letter in text)


@given(name=ANY_TEXT, other_name=ANY_TEXT, code=ANY_TEXT)
@FEW
def test_any_name_of_goods_reaches_payme_but_for_half_characters_and_is_one_line_to_the_cashier(
    name: str, other_name: str, code: str
) -> None:
    fiscal = ItemFiscal(code=code, package_code=code, vat_percent=12)
    goods = Item(name=name, quantity=Decimal(1), price=AMOUNT, amount=AMOUNT, barcode="1", fiscal=fiscal)
    with tempfile.TemporaryDirectory() as folder:
        world = HookedWorld(Path(folder))

        sold = world.sell_and_close(items=(goods,))
        detail: Any = world.paymego.bank.receipt(world.paymego.now_ms, sold.receipt_id).detail
        other = replace(goods, name=other_name, barcode="2")
        found = world.violations(sold, refund=replace(sold.receipt, kind=ReceiptKind.REFUND, items=(other,)))

        assert [(item["title"], item["code"]) for item in detail["items"]] == [(on_the_wire(name), on_the_wire(code))]
        assert len(found) == 2
        assert all(violation.message.isprintable() and len(violation.message) < 300 for violation in found)
        world.close()


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_no_text_of_a_host_breaks_its_language_or_its_messages(text: str) -> None:
    assert Texts(text)(Text.PAYMENT_PAID)
    assert len(Texts("ru")(Text.PAYMENT_SETTINGS_BROKEN, fault=text).splitlines()) == 2
