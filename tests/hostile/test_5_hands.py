"""What a hand, a scanner and a till's own programs do to a payment: nothing of it costs money or shows a traceback.

What is trimmed, folded, asked for again and refused is in ``tests/operations/test_payment_codes.py``; here is what a
shop really holds under its scanner, any text that a till may carry, and a host whose ``Ui`` breaks the contract.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hands_texts import ANY_TEXT, HOSTILE_TEXTS, storable
from hooked_world import HookedWorld
from hookspecs import (
    CancelRequest,
    GoodsKind,
    Item,
    ItemFiscal,
    PaymentRequest,
    PaymentStatus,
    Receipt,
    ReceiptKind,
    ReversalStatus,
)
from payme_plugin.operations.scanning import fold
from payme_plugin.operations.slip_desk import SLIP_NOTICE, SlipDesk, TemplateShelf
from payme_plugin.sandbox import Behaviour, BuyerAction
from payme_plugin.texts import LANGUAGES, Text, Texts
from slips import SlipPress
from slips.characters import text_width
from virtual_till import TENDER, ScriptedUi, open_sale, request_for, scan_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hooked_world import Sold
    from hookspecs import PaymentResult, ReversalResult

PAY = "receipts.pay"
GS = "\x1d"
CLICK_CODE = "88112233445566778899"
NUMBERS = st.integers(-(2**63), 2**63 - 1)
MONEY_HOOKS = ("on_payment", "on_cancel", "on_full_refund")
SLOW_ENOUGH = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NOT_A_BUYERS_CODE = {
    "a marking code": f"010460043993125621JgXJ5.T{GS}93mWRC",
    "a marking code of digits alone": f"0104600439931256211234567890123{GS}930123",
    "a marking code that begins with its separator": f"{GS}0104600439931256",
    "a marking code that ends with its separator": f"01046004399312562112345678{GS}",
    "a marking code with its symbology": f"]d20104600439931256211234567{GS}93abcd",
    "a loyalty card of a magnetic stripe": ";8888012345678901=9912?",
    "a loyalty card with a prefix": "LC-0012345678",
    "a link": "https://checkout.paycom.uz/65f0a1b2c3d4e5f601234567",
    "a link of another wallet": "https://my.click.uz/app/qr/0012345678",
    "a fiscal receipt's link": "https://ofd.soliq.uz/check?t=UZ000000000000&r=121&c=20240312184051&s=123456789012",
    "letters of the Cyrillic layout": "фыва1234567890йцукен",
    "digits of the shifted Cyrillic layout": '!"№;%:?*()',
    "a code with blanks inside": "1122 3344 5566 7788 9900",
    "a code with line ends inside": "11223344\r\n556677889900",
    "the same code twice, on two lines": "11223344556677889900\r\n11223344556677889900",
    "nothing but line ends": "\r\n\r\n",
    "a price tag": "2000000012345\t150.00",
    "a Wi-Fi of the shop": "WIFI:T:WPA;S:Shop;P:11223344;;",
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[HookedWorld]:
    """One request takes 0.01 s there and 0.01 s back; ``timeout`` 5 s, ``payDuration`` 20 s, ``frequency`` 2 s."""
    world = HookedWorld(tmp_path)
    yield world
    world.close()


@pytest.fixture(scope="module")
def press() -> SlipPress:
    """The real maker of slips; its schemas are built once."""
    return SlipPress()


def codes_on_the_wire(world: HookedWorld) -> list[str | None]:
    return [sent.code for sent in world.paymego.sent if sent.method == PAY]


# What is under the scanner


@pytest.mark.parametrize(
    "scanned", NOT_A_BUYERS_CODE.values(), ids=[name.replace(" ", "-") for name in NOT_A_BUYERS_CODE]
)
def test_what_is_no_buyers_code_never_leaves_the_till_and_is_asked_for_again(world: HookedWorld, scanned: str) -> None:
    code = world.paymego.code()
    ui = world.cashier(scanned, code)

    result = world.pay(ui=ui)

    assert result.status is PaymentStatus.PAID
    assert codes_on_the_wire(world) == [code]
    assert ui.prompts[1].startswith(world.text(Text.SCAN_IMPLAUSIBLE))


def test_a_group_separator_is_no_white_space_wherever_it_stands() -> None:
    assert fold(f" {GS}0104600439931256{GS}\r\n") == f"{GS}0104600439931256{GS}"


def test_white_space_without_end_around_a_code_is_trimmed_and_cuts_nothing_off_it() -> None:
    code = "00112233445566778899"

    assert fold(" " * 4090 + code + "\r\n" * 4000) == code


@pytest.mark.parametrize(
    "spelled",
    ["{}", " {} ", "{}\r", "{}\n", "{}\r\n", "\t{}", "\u00a0{}\u2003"],
    ids=["plain", "blanks", "CR", "LF", "CRLF", "tab", "wide blanks"],
)
@pytest.mark.parametrize("wide", [False, True], ids=["ascii", "full-width"])
def test_a_code_leaves_as_the_buyer_showed_it_zeros_in_front_and_all(
    world: HookedWorld, spelled: str, wide: bool
) -> None:
    code = "00011223344556677889"
    scanned = code.translate({ord("0") + digit: ord("０") + digit for digit in range(10)}) if wide else code

    world.pay(spelled.format(scanned), None)

    assert codes_on_the_wire(world) == [code]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | ANY_TEXT)
@SLOW_ENOUGH
def test_whatever_is_scanned_only_plain_digits_leave_and_each_at_most_once(scanned: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = HookedWorld(Path(folder))

        result = world.pay(scanned, scanned, None)

        assert result.status in {PaymentStatus.ABORTED, PaymentStatus.REFUSED}
        left = codes_on_the_wire(world)
        assert len(left) <= 1
        assert all(code is not None and code.isascii() and code.isdigit() for code in left)
        world.close()


def test_a_code_scanned_twice_within_a_second_charges_once(world: HookedWorld) -> None:
    code = world.paymego.code(BuyerAction.CONFIRMS, after_s=3)
    seconds: list[PaymentResult] = []

    def press_again(_: float) -> None:
        if not seconds:
            seconds.append(_paid(world.counter.pay(request_for("p2"), world.cashier(code))))

    ui = world.cashier(code)
    ui.hand = press_again
    first = _paid(world.counter.pay(request_for("p1"), ui))
    third = _paid(world.counter.pay(request_for("p3"), world.cashier(code, None)))

    assert (first.status, seconds[0].status, third.status) == (
        PaymentStatus.PAID,
        PaymentStatus.REFUSED,
        PaymentStatus.ABORTED,
    )
    assert codes_on_the_wire(world) == [code]
    assert world.paymego.held() == first.amount


def test_a_code_that_the_scanner_sent_twice_in_one_line_charges_nothing_and_the_next_scan_does(
    world: HookedWorld,
) -> None:
    code = world.paymego.code()

    result = world.pay(code * 2, code)

    assert result.status is PaymentStatus.PAID
    assert codes_on_the_wire(world) == [code * 2, code]
    assert world.paymego.held() == result.amount


# A code of another wallet


def test_a_click_code_is_the_servers_to_judge(world: HookedWorld) -> None:
    world.paymego.bank._know(CLICK_CODE, world.paymego.now_ms, Behaviour())

    assert world.pay(CLICK_CODE).status is PaymentStatus.PAID


def test_a_click_code_that_payme_does_not_know_is_named_and_another_one_asked_for(world: HookedWorld) -> None:
    ui = world.cashier(CLICK_CODE, world.paymego.code())

    assert world.pay(ui=ui).status is PaymentStatus.PAID
    assert ui.prompts[1].startswith(world.text(Text.SCAN_OTHER_WALLET))


def test_a_click_code_that_the_host_scanned_is_refused_by_its_name(world: HookedWorld) -> None:
    result = world.pay(qr_code=CLICK_CODE)

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, -31400)
    assert result.message == world.text(Text.PAYMENT_OTHER_WALLET, code=-31400)


def test_a_click_code_at_the_last_scan_is_refused_by_its_name(world: HookedWorld) -> None:
    result = world.pay("1", "2", "3", CLICK_CODE)

    assert result.message == world.text(Text.PAYMENT_OTHER_WALLET, code=-31400)
    assert len(world.live()) == 1


def test_another_code_that_payme_does_not_know_is_called_stale_not_another_wallets(world: HookedWorld) -> None:
    assert world.pay(qr_code="11223344556677889900").message == world.texts.of_error(-31400)


def test_a_click_code_that_payme_refuses_for_another_reason_is_told_that_reason(world: HookedWorld) -> None:
    world.paymego.bank._know(CLICK_CODE, world.paymego.now_ms, Behaviour(BuyerAction.LACKS_FUNDS))

    result = world.pay(qr_code=CLICK_CODE)

    assert result.message == world.texts.of_error(result.error_code or 0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_another_wallet_is_named_kindly_in_every_language(language: str) -> None:
    told = Texts(language)(Text.PAYMENT_OTHER_WALLET, code=-31400)

    assert "Click" in told
    assert "Payme" in told.splitlines()[1]
    assert told.endswith("(-31400)")


# Any text that a till carries


@st.composite
def sales(draw: st.DrawFn) -> Receipt:
    """A sale whose every text is any text; its numbers are a till's."""
    items = tuple(
        Item(
            name=draw(ANY_TEXT),
            quantity=draw(st.decimals(allow_nan=True, allow_infinity=True)),
            price=draw(NUMBERS),
            amount=draw(NUMBERS),
            barcode=draw(ANY_TEXT),
            goods=draw(st.sampled_from(GoodsKind)),
            marking=draw(st.none() | ANY_TEXT),
            fiscal=draw(
                st.none()
                | st.builds(
                    ItemFiscal,
                    code=ANY_TEXT,
                    package_code=ANY_TEXT,
                    vat_percent=NUMBERS,
                    units=st.none() | st.integers(-5, 5),
                    discount=st.integers(0, 5),
                )
            ),
        )
        for _ in range(draw(st.integers(0, 3)))
    )
    till = draw(ANY_TEXT)
    return Receipt(
        till=till, shift=draw(NUMBERS), number=draw(NUMBERS), kind=ReceiptKind.SALE, items=items, total=1_500_000
    )


@given(sale=sales(), payment_id=ANY_TEXT, reason=ANY_TEXT)
@SLOW_ENOUGH
def test_any_text_in_a_sale_is_paid_or_refused_at_once_and_can_be_given_back(
    press: SlipPress, sale: Receipt, payment_id: str, reason: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = HookedWorld(Path(folder))
        world.slips = SlipDesk(press, TemplateShelf(press), None, 32, 2, world.texts, world.host.notice)
        request = PaymentRequest(payment_id=payment_id, payment_type=TENDER, amount=1_500_000, receipt=sale)

        result = _paid(world.counter.pay(request, world.cashier(world.paymego.code())))

        if storable(payment_id) and storable(sale.till):
            assert result.status is PaymentStatus.PAID
            assert result.payment is not None
            assert all(text_width(line) <= 32 and line.isprintable() for slip in result.slips for line in slip.lines)
            assert SLIP_NOTICE not in world.host.notices
            back = world.counter.cancel(
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


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_no_text_of_a_host_breaks_its_language_or_its_messages(world: HookedWorld, text: str) -> None:
    assert Texts(text)(Text.PAYMENT_PAID)
    assert "\n" not in Texts("ru")(Text.PAYMENT_SETTINGS_BROKEN, fault=text).splitlines()[0]


# A host whose ``Ui`` breaks the contract


class Wreck:
    """A ``Ui`` whose answers are what a test says, raised where they are exceptions; nothing checks their types."""

    def __init__(self, scans: list[object], progress: object) -> None:
        self._scans = scans
        self._progress = progress

    def scan(self, prompt: str, timeout_s: float) -> Any:  # noqa: ANN401 - that is the point
        return _given(self._scans.pop(0) if self._scans else None)

    def progress(self, elapsed_s: float, total_s: float, text: str) -> Any:  # noqa: ANN401 - that is the point
        return _given(self._progress)


def _given(answer: Any) -> Any:  # noqa: ANN401 - that is the point
    if isinstance(answer, Exception):
        raise answer
    return answer


class Liar(str):
    """A text that lies about itself."""

    __slots__ = ()

    def strip(self, *_: object) -> str:
        raise RuntimeError("no strip")

    def __getitem__(self, _: object) -> str:
        raise RuntimeError("no letters")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no letters")


BROKEN_PROGRESS = [
    RuntimeError("x"),
    KeyError("x"),
    OSError(5, "x"),
    RecursionError("x"),
    None,
    1,
    "stop",
    [True],
    object(),
]


@pytest.mark.parametrize("answer", BROKEN_PROGRESS, ids=repr)
def test_a_progress_that_raises_or_answers_nonsense_neither_stops_nor_hangs_a_payment(
    world: HookedWorld, answer: object
) -> None:
    code = world.paymego.code(BuyerAction.CONFIRMS, after_s=3)

    result = world.counter.pay(request_for(), Wreck([code], answer))

    assert _paid(result).status is PaymentStatus.PAID


def test_a_scanned_text_that_lies_about_itself_is_taken_for_its_letters(world: HookedWorld) -> None:
    code = world.paymego.code()

    result = world.counter.pay(request_for(), Wreck([Liar(f" {code}\r\n")], None))

    assert _paid(result).status is PaymentStatus.PAID
    assert codes_on_the_wire(world) == [code]


@pytest.mark.parametrize("ui", [None, object(), 7, "scan", ScriptedUi], ids=repr)
def test_what_is_no_ui_at_all_scans_nothing_and_charges_nothing(world: HookedWorld, ui: object) -> None:
    result = world.counter.pay(request_for(), ui)  # type: ignore[arg-type]

    assert _paid(result).status is PaymentStatus.ABORTED
    assert codes_on_the_wire(world) == []


@pytest.mark.parametrize("ui", [None, object(), Wreck([], RuntimeError("x")), Wreck([], "stop")], ids=repr)
@pytest.mark.parametrize("hook", ["on_cancel", "on_full_refund"])
def test_a_ui_that_breaks_the_contract_keeps_no_money_from_going_back(
    world: HookedWorld, hook: str, ui: object
) -> None:
    sold = world.sell()
    if hook == "on_full_refund":
        sold = world.close_sale(sold)

    back = _reversal(world, hook, sold, ui)

    assert back.status is ReversalStatus.REVERSED
    assert world.paymego.held() == 0


# A host that pumps events and calls again


def _outer(world: HookedWorld, hook: str, ui: ScriptedUi) -> Callable[[], PaymentResult | ReversalResult]:
    """Return a money hook that will wait long enough in front of ``ui``."""
    if hook == "on_payment":
        ui.scans.append(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))
        return lambda: _paid(world.counter.pay(request_for("outer", receipt=open_sale(77)), ui))
    sold = world.sell("outer", 77)
    if hook == "on_full_refund":
        sold = world.close_sale(sold)
    return lambda: _reversal(world, hook, sold, ui)


@pytest.mark.parametrize("inner", MONEY_HOOKS)
@pytest.mark.parametrize("outer", MONEY_HOOKS)
def test_a_second_money_hook_from_inside_a_progress_is_refused_at_once_without_a_request(
    world: HookedWorld, outer: str, inner: str
) -> None:
    other = world.sell_and_close("other", 5) if inner == "on_full_refund" else world.sell("other", 5)
    seconds: list[PaymentResult | ReversalResult] = []
    asked: list[int] = []
    ui = world.cashier()

    def call_again(_: float) -> None:
        if seconds:
            return
        before, began = len(world.paymego.sent), world.clock.monotonic()
        if inner == "on_payment":
            seconds.append(_paid(world.counter.pay(request_for("inner"), world.cashier(world.paymego.code()))))
        else:
            seconds.append(_reversal(world, inner, other, world.cashier()))
        assert world.clock.monotonic() == began
        asked.append(len(world.paymego.sent) - before)

    ui.hand = call_again
    first = _outer(world, outer, ui)()

    expected = PaymentStatus.PAID if outer == "on_payment" else ReversalStatus.REVERSED
    assert first.status is expected
    busy = Text.PAYMENT_BUSY if inner == "on_payment" else Text.REVERSAL_BUSY
    assert [(second.status.value, second.message) for second in seconds] == [("REFUSED", world.text(busy))]
    assert asked == [0]
    assert world.journal.find("inner") is None
    assert world.row("other").state.value in {"paid", "recorded"}


def test_the_same_payment_asked_for_from_inside_its_own_scan_is_refused_and_goes_on(world: HookedWorld) -> None:
    code = world.paymego.code()
    seconds: list[PaymentResult] = []
    again = lambda: seconds.append(_paid(world.counter.pay(request_for(), world.cashier(code))))  # noqa: E731

    first = _paid(world.counter.pay(request_for(), world.cashier(scan_after(again, code))))

    assert (first.status, seconds[0].status) == (PaymentStatus.PAID, PaymentStatus.REFUSED)
    assert codes_on_the_wire(world) == [code]


def test_after_a_refused_second_hook_the_till_is_free_again(world: HookedWorld) -> None:
    ui = world.cashier(scan_after(lambda: world.counter.pay(request_for("p2"), world.cashier()), world.paymego.code()))
    world.counter.pay(request_for("p1"), ui)

    third = _paid(world.counter.pay(request_for("p3"), world.cashier(world.paymego.code())))

    assert third.status is PaymentStatus.PAID


def test_hooks_that_move_no_money_are_served_from_inside_a_payment(world: HookedWorld) -> None:
    closed = world.sell("closed", 4)
    served: list[object] = []

    def close_another(_: float) -> None:
        if not served:
            world.close_sale(closed)
            served.append(world.counter.violations(world.refund_of(closed)))

    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))
    ui.hand = close_another

    assert _paid(world.counter.pay(request_for(), ui)).status is PaymentStatus.PAID
    assert served == [[]]
    assert world.row("closed").state.value == "recorded"


def _paid(result: PaymentResult | None) -> PaymentResult:
    assert result is not None
    return result


def _reversal(world: HookedWorld, hook: str, sold: Sold, ui: Any) -> ReversalResult:  # noqa: ANN401 - any thing at all
    return world.cancel(sold, ui=ui) if hook == "on_cancel" else world.refund(sold, ui=ui)
