"""Which code may leave, what is asked for again, and that a code leaves once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.answer_changes import error, meanwhile
from fakes.answer_changes import result as answered
from fakes.paymego import Passage
from fakes.till import scan_after
from faults.full_disk import fill_disk, free_disk
from hookspecs import PaymentStatus
from payme_plugin.operations.code_scan import fold
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.paymego import VirtualPaymeGo
    from fakes.world import World

PAY, CHECK = "receipts.pay", "receipts.check"
_IMPLAUSIBLE = ["", "1234", "12345", "1" * 65, "1" * 10_000, "１２３４５", "]Q1", '"12345"', "]Q123456", "\x1d\x1d"]
_FOREIGN = {
    "кодпокупателя": "к",
    "12 34 56": "U+0020",
    "12345a": "a",
    "+123456": "+",
    "12\x1d345678": "U+001D",
    "]Q99x12345": "x",
}
_ADDED = st.sampled_from(
    [
        "\x02",
        "\x03",
        "\x1d",
        "\x1e",
        "\x04",
        "\r",
        "\n",
        "\t",
        " ",
        "\u00a0",
        "\u3000",
        "\ufeff",
        "\u200b",
        '"',
        "'",
        "«",
        "”",
    ]
)
_DECORATION = st.lists(_ADDED, max_size=6).map("".join)
_AIM = st.sampled_from(["", "]Q1", "]Q3", "]C1", "]d2", "]Q1]C1"])
_AFFIX = st.text("QR:#-xyz", max_size=6)
_GOOD = st.text("0123456789", min_size=6, max_size=64)
_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


def _codes_on_the_wire(paymego: VirtualPaymeGo) -> list[str | None]:
    return [sent.code for sent in paymego.sent if sent.method == PAY]


def _reasons(world: World, prompts: list[str]) -> list[str]:
    prompt = world.text(Text.SCAN_PROMPT)
    assert all(shown.endswith(prompt) for shown in prompts)
    return [shown.removesuffix(prompt).rstrip("\n") for shown in prompts]


@pytest.mark.parametrize("around", ["{}", " {}", "{}\r\n", "\t{} \n", "\u00a0{}\u3000"])
def test_white_space_around_a_code_is_trimmed(world: World, around: str) -> None:
    code = world.paymego.code()

    world.pay(around.format(code))

    assert _codes_on_the_wire(world.paymego) == [code]


def test_full_width_digits_are_folded(world: World) -> None:
    code = world.paymego.code()

    world.pay("".join(chr(ord("０") + int(digit)) for digit in code))

    assert _codes_on_the_wire(world.paymego) == [code]


@given(st.text())
def test_folding_is_done_once_and_keeps_plain_digits(scanned: str) -> None:
    folded = fold(scanned)

    assert fold(folded) == folded
    assert folded == folded.strip(" \t\r\n\x02\x03\x1d\ufeff\u200b\u00a0\u3000\"'")
    assert not any(sign.isdecimal() and not sign.isascii() for sign in folded if "０" <= sign <= "９")


@given(st.text("0123456789", min_size=1, max_size=64))
def test_leading_zeros_survive(code: str) -> None:
    assert fold(code) == code


@given(_GOOD, *([_DECORATION] * 4), _AIM, _AFFIX, _AFFIX, st.booleans(), st.booleans())
def test_whatever_a_scanner_adds_around_a_code_the_code_is_what_leaves(
    code: str,
    outside: str,
    before: str,
    after: str,
    behind: str,
    aim: str,
    prefix: str,
    suffix: str,
    is_wide: bool,
    aim_first: bool,
) -> None:
    head = aim + before + prefix if aim_first else prefix + before + aim
    scanned = outside + head + before + (code.translate(_WIDE) if is_wide else code) + after + suffix + behind

    assert fold(scanned, prefix, suffix) == code


@given(_GOOD, st.text("0123456789", min_size=1, max_size=4))
def test_a_prefix_is_removed_once_even_if_the_code_begins_like_it(code: str, prefix: str) -> None:
    assert fold(prefix + code, prefix) == code


def test_code_prefix_and_code_suffix_of_the_settings_are_removed(world: World) -> None:
    code = world.paymego.code()
    world.set(codePrefix="QR:", codeSuffix="#")

    world.pay(f"\x02]Q1QR:{code}#\x03")

    assert _codes_on_the_wire(world.paymego) == [code]


@pytest.mark.parametrize("scanned", _FOREIGN)
def test_a_character_that_no_code_has_is_named_when_a_code_is_asked_for_again(world: World, scanned: str) -> None:
    code = world.paymego.code()
    ui = world.cashier(scanned, code)

    result = world.pay(ui=ui)

    assert result.status is PaymentStatus.PAID
    reason = world.text(Text.SCAN_FOREIGN_CHARACTER, character=_FOREIGN[scanned])
    assert _reasons(world, ui.prompts) == ["", reason]
    assert _codes_on_the_wire(world.paymego) == [code]


def test_a_character_that_no_code_has_is_named_in_a_code_from_the_host(world: World) -> None:
    result = world.pay(qr_code="12345678x")

    assert result.message == world.text(Text.SCAN_FOREIGN_CHARACTER, character="x")
    assert world.paymego.sent == []


@pytest.mark.parametrize("scanned", _IMPLAUSIBLE)
def test_an_implausible_code_is_asked_for_again_with_the_reason_and_never_leaves(world: World, scanned: str) -> None:
    code = world.paymego.code()
    ui = world.cashier(scanned, code)

    result = world.pay(ui=ui)

    assert result.status is PaymentStatus.PAID
    assert _reasons(world, ui.prompts) == ["", world.text(Text.SCAN_IMPLAUSIBLE)]
    assert _codes_on_the_wire(world.paymego) == [code]


def test_a_code_is_asked_for_again_at_most_three_times(world: World) -> None:
    ui = world.cashier("1", "2", "3", "4", world.paymego.code())

    result = world.pay(ui=ui)

    assert len(ui.prompts) == 4
    assert result.status is PaymentStatus.REFUSED
    assert result.message == world.text(Text.PAYMENT_CODE_NOT_ACCEPTED)
    assert _codes_on_the_wire(world.paymego) == []
    assert [row.receipt_id for row in world.live()] == [world.row().receipt_id]


def test_code_pattern_says_what_is_plausible(world: World) -> None:
    world.set(codePattern="P[0-9]{4}")
    ui = world.cashier(world.paymego.code(), "P1234")

    world.pay(ui=ui)

    assert _reasons(world, ui.prompts)[:2] == ["", world.text(Text.SCAN_IMPLAUSIBLE)]
    assert _codes_on_the_wire(world.paymego) == ["P1234"]


def test_a_code_scanned_over_30_s_ago_is_asked_for_again_and_never_leaves(world: World) -> None:
    world.set(timeout=40)
    world.paymego.passage = lambda method: Passage(back_s=31 if method == "receipts.create" else 0.01)
    fresh: list[str] = []

    def scan_fresh() -> str:
        fresh.append(world.paymego.code())
        return fresh[0]

    ui = world.cashier(world.paymego.code(), scan_fresh)

    result = world.pay(ui=ui)

    assert result.status is PaymentStatus.PAID
    assert _reasons(world, ui.prompts) == ["", world.text(Text.SCAN_TOO_OLD)]
    assert _codes_on_the_wire(world.paymego) == fresh


def test_a_code_scanned_30_s_ago_leaves(world: World) -> None:
    world.set(timeout=40)
    world.paymego.passage = lambda method: Passage(there_s=0, back_s=30 if method == "receipts.create" else 0.01)
    code = world.paymego.code()

    world.pay(code)

    assert world.paymego.times_of(PAY) == [30]
    assert _codes_on_the_wire(world.paymego) == [code]


def test_the_age_of_a_code_is_not_that_of_the_clock_on_the_wall(world: World) -> None:
    world.paymego.clock.at(0.005, lambda: world.clock.set_wall(3_600_000))

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID


def test_a_code_that_left_within_the_hour_is_asked_for_again_and_does_not_leave_again(world: World) -> None:
    code, other = world.paymego.code(BuyerAction.LACKS_FUNDS), world.paymego.code()
    world.pay(code)
    ui = world.cashier(code, other)

    result = world.pay(ui=ui, payment_id="p2")

    assert result.status is PaymentStatus.PAID
    assert _reasons(world, ui.prompts) == ["", world.text(Text.SCAN_ALREADY_USED)]
    assert _codes_on_the_wire(world.paymego) == [code, other]


def test_of_two_sales_with_one_code_at_once_one_sends_it(world: World) -> None:
    code, other = world.paymego.code(), world.paymego.code()
    ui = world.cashier(code, other)
    world.paymego.change("receipts.create", meanwhile(lambda: world.pay(code, payment_id="p1")))
    world.pay(ui=ui, payment_id="p2")

    assert world.paymego.bank.pays(code) == 1
    assert _codes_on_the_wire(world.paymego) == [code, other]


def test_the_same_code_scanned_again_in_one_payment_does_not_leave_again(world: World) -> None:
    stale, fresh = "11112222333344445555", world.paymego.code()
    ui = world.cashier(stale, stale, fresh)

    result = world.pay(ui=ui)

    assert result.status is PaymentStatus.PAID
    assert _reasons(world, ui.prompts) == ["", world.text(Text.SCAN_STALE), world.text(Text.SCAN_ALREADY_USED)]
    assert _codes_on_the_wire(world.paymego) == [stale, fresh]


@pytest.mark.parametrize("error_code", [-31400, -31101, -31103])
def test_a_code_that_payme_calls_stale_is_asked_for_again_after_state_0(world: World, error_code: int) -> None:
    ui = world.cashier(world.paymego.code(BuyerAction.FAILS, error_code=error_code), world.paymego.code())

    result = world.pay(ui=ui)

    assert result.status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "pay", "check", "pay"]
    assert _reasons(world, ui.prompts) == ["", world.text(Text.SCAN_STALE)]
    assert world.path_of() == ["intent", "paying", "created", "paying", "paid"]


def test_stale_codes_are_the_settings_business(world: World) -> None:
    world.set(staleCodes="-31102")
    ui = world.cashier(world.paymego.code(BuyerAction.FAILS, error_code=-31102), world.paymego.code())

    assert world.pay(ui=ui).status is PaymentStatus.PAID
    assert len(ui.prompts) == 2


def test_another_wallets_code_is_named(world: World) -> None:
    ui = world.cashier("88112222333344445555", world.paymego.code())

    world.pay(ui=ui)

    assert _reasons(world, ui.prompts) == ["", world.text(Text.SCAN_OTHER_WALLET)]


def test_a_stale_code_is_asked_for_again_at_most_three_times_and_each_leaves_once(world: World) -> None:
    scanned = [f"1111222233334444{index}" for index in range(5)]
    ui = world.cashier(*scanned)

    result = world.pay(ui=ui)

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, -31400)
    assert len(ui.prompts) == 4
    assert _codes_on_the_wire(world.paymego) == scanned[:4]
    assert len(world.live()) == 1


@pytest.mark.parametrize("state", [1, 2, 3, 5, 20, 21, 77])
def test_a_stale_code_is_not_followed_by_another_where_the_state_is_not_0(world: World, state: int) -> None:
    world.paymego.change(CHECK, answered({"state": state}))
    ui = world.cashier("11112222333344445555", world.paymego.code())

    result = world.pay(ui=ui)

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, -31400)
    assert (len(ui.prompts), world.paymego.count(PAY)) == (1, 1)
    assert len(world.live()) == 1


@pytest.mark.parametrize("state", [1, 2, 3, 5, 20, 21, 77, None])
def test_an_ignored_stale_code_leaves_a_cancellation_where_the_state_asked_after_it_is_not_0(
    world: World, state: int | None
) -> None:
    world.set(ignoredErrors=-31400)
    world.paymego.change(PAY, error(-31400))
    world.paymego.change(CHECK, answered({"state": state}))

    result = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=4), world.paymego.code())

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, -31400)
    assert (result.cancellation_queued, len(world.live())) == (True, 1)


def test_an_ignored_stale_code_leaves_no_cancellation_where_it_and_state_0_are_the_last_word(world: World) -> None:
    world.set(ignoredErrors=-31400)
    scanned = [f"1111222233334444{index}" for index in range(4)]

    result = world.pay(*scanned)

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, -31400)
    assert (world.paymego.count(PAY), world.live()) == (4, [])


@pytest.mark.parametrize("kind", [FaultKind.ANSWER_LOST, FaultKind.ERROR, FaultKind.FOREIGN_ID, FaultKind.SILENT])
def test_a_stale_code_is_not_followed_by_another_where_the_state_is_not_known(world: World, kind: FaultKind) -> None:
    world.paymego.befall(kind, CHECK)
    ui = world.cashier("11112222333344445555", world.paymego.code())

    result = world.pay(ui=ui)

    assert result.status is PaymentStatus.REFUSED
    assert world.paymego.count(PAY) == 1


def test_a_code_from_the_host_is_not_asked_for_again(world: World) -> None:
    ui = world.cashier(world.paymego.code())

    result = world.pay(ui=ui, qr_code="11112222333344445555")

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, -31400)
    assert ui.prompts == []
    assert world.paymego.count(CHECK) == 0


def test_a_code_from_the_host_is_trimmed_and_folded_too(world: World) -> None:
    code = world.paymego.code()

    assert world.pay(qr_code=f" {code}\n").status is PaymentStatus.PAID
    assert _codes_on_the_wire(world.paymego) == [code]


@pytest.mark.parametrize("qr_code", _IMPLAUSIBLE)
def test_an_implausible_code_from_the_host_is_refused_before_any_request(world: World, qr_code: str) -> None:
    result = world.pay(qr_code=qr_code)

    assert result.status is PaymentStatus.REFUSED
    assert result.message == world.text(Text.SCAN_IMPLAUSIBLE)
    assert (world.paymego.sent, world.path_of(), world.live()) == ([], ["intent", "refused"], [])


def test_a_code_from_the_host_that_left_before_is_refused_before_any_request(world: World) -> None:
    code = world.paymego.code(BuyerAction.LACKS_FUNDS)
    world.pay(code)
    before = len(world.paymego.sent)

    result = world.pay(qr_code=code, payment_id="p2")

    assert result.message == world.text(Text.SCAN_ALREADY_USED)
    assert len(world.paymego.sent) == before


def test_the_codes_fingerprint_is_durable_before_it_leaves(world: World) -> None:
    code = world.paymego.code()
    seen: list[bool] = []
    world.paymego.change(PAY, meanwhile(lambda: seen.append(world.journal.was_sent(world.journal.fingerprint(code)))))

    world.pay(code)

    assert seen == [True]


def test_a_code_whose_fingerprint_can_not_be_stored_does_not_leave(world: World) -> None:
    code = world.paymego.code()

    try:
        result = world.pay("11112222333344445555", scan_after(fill_disk, code))
    finally:
        free_disk()

    assert result.status is PaymentStatus.REFUSED
    assert _codes_on_the_wire(world.paymego) == ["11112222333344445555"]
    assert not world.journal.was_sent(world.journal.fingerprint(code))


def test_a_pay_that_was_not_sent_frees_its_code(world: World) -> None:
    code = world.paymego.code()
    world.paymego.passage = lambda method: Passage(connects=method != PAY)
    first = world.pay(code)
    world.paymego.passage = lambda _: Passage()

    second = world.pay(code, payment_id="p2")

    assert first.status is PaymentStatus.REFUSED
    assert first.message == world.text(Text.PAYMENT_NO_CONNECTION)
    assert (first.cancellation_queued, len(world.live("p1"))) == (True, 1)
    assert second.status is PaymentStatus.PAID


def test_a_pay_that_was_not_sent_frees_no_code_that_left_before_it(world: World) -> None:
    stale, unsent = "11112222333344445555", world.paymego.code()
    sent: list[str] = []

    def one_pay_only(method: str) -> Passage:
        if method == PAY:
            sent.append(method)
        return Passage(connects=method != PAY or len(sent) == 1)

    world.paymego.passage = one_pay_only
    first = world.pay(stale, unsent)
    world.paymego.passage = lambda _: Passage()
    ui = world.cashier(stale, unsent)

    second = world.pay(ui=ui, payment_id="p2")

    assert first.status is PaymentStatus.REFUSED
    assert _reasons(world, ui.prompts) == ["", world.text(Text.SCAN_ALREADY_USED)]
    assert second.status is PaymentStatus.PAID
    assert _codes_on_the_wire(world.paymego) == [stale, unsent]


def test_a_lost_pay_frees_no_code(world: World) -> None:
    code = world.paymego.code()
    world.paymego.befall(FaultKind.REQUEST_LOST, PAY)
    world.pay(code)

    world.pay(code, payment_id="p2")

    assert _codes_on_the_wire(world.paymego) == [code]


def test_a_scan_has_as_long_as_the_payment(world: World) -> None:
    ui = world.cashier("1", world.paymego.code(), takes_s=3)

    world.pay(ui=ui)

    assert ui.timeouts == [20, 20]


def test_after_a_pay_a_scan_has_only_what_is_left(world: World) -> None:
    ui = world.cashier("11112222333344445555", world.paymego.code(), takes_s=3)

    world.pay(ui=ui)

    first_pay = world.paymego.times_of(PAY)[0]
    assert ui.timeouts == [20, pytest.approx(20 - (ui.scanned_at[1] - 3 - first_pay))]


def test_a_cashier_who_scans_nothing_stops_the_payment(world: World) -> None:
    result = world.pay(None)

    assert result.status is PaymentStatus.ABORTED
    assert result.message == world.text(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
    assert world.paymego.count(PAY) == 0


def test_a_cashier_who_scans_nothing_after_a_stale_code_stops_the_payment(world: World) -> None:
    result = world.pay("11112222333344445555", None)

    assert (result.status, result.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert world.path_of() == ["intent", "paying", "created", "aborted"]
