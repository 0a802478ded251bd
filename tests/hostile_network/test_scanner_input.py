"""5. Hands: what a shop really holds under its scanner, and codes of another wallet: nothing of it costs money.

What is trimmed, folded, asked for again and refused is in ``tests/payments/test_codes.py``.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.hooked_world import HookedWorld
from fakes.till import request_for
from faults.canaries import CODE, Witness
from faults.hook_calls import codes_on_the_wire, paid_or_not
from faults.texts import ANY_TEXT
from hookspecs import PaymentStatus
from payme_plugin.operations.code_scan import fold
from payme_plugin.sandbox import Behaviour, BuyerAction
from payme_plugin.texts import LANGUAGES, Text, Texts

if TYPE_CHECKING:
    from hookspecs import PaymentResult


GS = "\x1d"
CLICK_CODE = "88112233445566778899"
SLOW_ENOUGH = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NOT_A_BUYERS_CODE = {
    "a marking code": f"010460043993125621JgXJ5.T{GS}93mWRC",
    "a marking code of digits alone": f"0104600439931256211234567890123{GS}930123",
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

LOYALTY_CARDS = ("0012345678", "2990001234567", "7777012345678901", f"{GS}0104600439931256{GS}")
"""Of ten digits, an EAN-13, a magnetic stripe's, and a marking code: no pattern tells them from a buyer's code."""


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
    reasons = [world.text(Text.SCAN_IMPLAUSIBLE), world.text(Text.SCAN_FOREIGN_CHARACTER).partition("{")[0]]
    assert ui.prompts[1].startswith(tuple(reasons))


@pytest.mark.parametrize("spelled", ["{0}{0}{0}{0}", "{0} {0}", "{0}\r\n{0}", "{0};", "Code: {0}"])
def test_a_buyers_code_that_came_with_something_else_is_seen_nowhere(
    world: HookedWorld, spelled: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    witness = Witness(world.host.folder)
    ui = world.cashier(spelled.format(CODE), world.paymego.code())

    witness.note_result("the verdict", world.pay(ui=ui))

    witness.note("the screen", ui.prompts, ui.shown)
    witness.note("a notice", world.host.notice_log)
    witness.note_log(caplog.records)
    witness.note_files()
    assert len(codes_on_the_wire(world)) == 1
    assert witness.leaks(CODE) == []


def test_a_group_separator_inside_stays_and_one_at_an_end_is_removed() -> None:
    assert fold(f" {GS}0104600439931256{GS}930123{GS}\r\n") == f"0104600439931256{GS}930123"


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
            seconds.append(paid_or_not(world.dispatcher.pay(request_for("p2"), world.cashier(code))))

    ui = world.cashier(code)
    ui.hand = press_again
    first = paid_or_not(world.dispatcher.pay(request_for("p1"), ui))
    third = paid_or_not(world.dispatcher.pay(request_for("p3"), world.cashier(code, None)))

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


# Digits that a buyer's code might have


@pytest.mark.parametrize("card", LOYALTY_CARDS)
def test_a_loyalty_card_of_digits_alone_is_the_servers_to_judge_and_another_code_is_asked_for(
    world: HookedWorld, card: str
) -> None:
    code = world.paymego.code()
    ui = world.cashier(card, code)

    result = world.pay(ui=ui)

    assert result.status is PaymentStatus.PAID
    assert codes_on_the_wire(world) == [card.strip(GS), code]
    assert ui.prompts[1].startswith(world.text(Text.SCAN_STALE))
    assert world.paymego.held() == result.amount


@pytest.mark.parametrize("card", LOYALTY_CARDS)
def test_a_loyalty_card_of_digits_alone_that_the_host_scanned_is_refused_and_costs_nothing(
    world: HookedWorld, card: str
) -> None:
    result = world.pay(qr_code=card)

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, -31400)
    assert world.paymego.held() == 0


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


@pytest.mark.parametrize("code", ["11223344556677889900", "80223344556677889900", "18823344556677889900"])
def test_another_code_that_payme_does_not_know_is_called_stale_not_another_wallets(
    world: HookedWorld, code: str
) -> None:
    assert world.pay(qr_code=code).message == world.texts.of_error(-31400)


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
