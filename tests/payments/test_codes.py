"""Which codes are sent, when the cashier scans again, and that no code is sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.answer_changes import body, error, meanwhile, result
from fakes.paymego import Passage
from fakes.till import STALE
from hookspecs import PaymentStatus
from payme_plugin.operations.code_scan import fold
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.paymego import Change
    from fakes.world import World

PAY, CHECK = "receipts.pay", "receipts.check"
_CLICK_CODE = "88112222333344445555"
_NOT_CODES = {
    "": None,
    "12345": None,
    "1" * 65: None,
    "1" * 1_000_000: None,
    "１２３４５": None,
    "]Q1": None,
    "кодпокупателя": "к",
    "12 34 56": "U+0020",
    "12\x1d345678": "U+001D",
    "]Q99x12345": "x",
    "🂡" * 50: "🂡",
    "\ud800" * 20: "U+D800",
    "\u202e123456": "U+202E",
}
"""Implausible codes, each with its invalid character; None: the length is wrong."""

_DECORATION = st.text("\x02\x03\x1d\x1e\x04\r\n\t \u00a0\u3000\ufeff\u200b\"'«”", max_size=6)
_AIM = st.sampled_from(["", "]Q1", "]Q3", "]C1", "]d2", "]Q1]C1"])
_AFFIX = st.text("QR:#-xyz", max_size=6) | st.text("0123456789", max_size=2)
_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


def _sent(world: World) -> list[str | None]:
    return [sent.code for sent in world.paymego.sent if sent.method == PAY]


def _reasons(world: World, prompts: list[str]) -> list[str]:
    prompt = world.text(Text.SCAN_PROMPT)
    assert all(shown.endswith(prompt) for shown in prompts)
    return [shown.removesuffix(prompt).rstrip("\n") for shown in prompts]


def _why_not(world: World, scanned: str) -> str:
    character = _NOT_CODES[scanned]
    return world.text(Text.SCAN_IMPLAUSIBLE if character is None else Text.SCAN_FOREIGN_CHARACTER, character=character)


@given(
    code=st.text("0123456789", min_size=6, max_size=64),
    added=st.tuples(*[_DECORATION] * 4),
    aim=_AIM,
    prefix=_AFFIX,
    suffix=_AFFIX,
    is_wide=st.booleans(),
    aim_first=st.booleans(),
)
def test_whatever_a_scanner_adds_around_a_code_the_code_is_what_is_sent(
    code: str, added: tuple[str, ...], aim: str, prefix: str, suffix: str, is_wide: bool, aim_first: bool
) -> None:
    outside, before, after, behind = added
    head = aim + before + prefix if aim_first else prefix + before + aim
    scanned = outside + head + before + (code.translate(_WIDE) if is_wide else code) + after + suffix + behind

    assert fold(scanned, prefix, suffix) == code


@pytest.mark.parametrize("by_host", [False, True], ids=["by the cashier", "by the host"])
def test_a_code_is_sent_without_what_was_added_to_it_whoever_scans_it(world: World, by_host: bool) -> None:
    code = world.paymego.code()
    world.set(codePrefix="QR:", codeSuffix="#")
    scanned = f"\x02]Q1QR:{code.translate(_WIDE)}#\x03\r\n"

    outcome = world.pay(qr_code=scanned) if by_host else world.pay(scanned)

    assert (outcome.status, _sent(world)) == (PaymentStatus.PAID, [code])


@pytest.mark.parametrize("scanned", _NOT_CODES, ids=lambda text: ascii(text[:20]))
def test_an_implausible_code_is_not_sent_and_asked_for_again_with_the_reason(world: World, scanned: str) -> None:
    code = world.paymego.code()
    ui = world.cashier(scanned, code)

    outcome = world.pay(ui=ui)

    assert (outcome.status, _sent(world)) == (PaymentStatus.PAID, [code])
    assert _reasons(world, ui.prompts) == ["", _why_not(world, scanned)]


@pytest.mark.parametrize("scanned", ["12345", "кодпокупателя"])
def test_an_implausible_code_from_the_host_is_refused_before_any_request(world: World, scanned: str) -> None:
    outcome = world.pay(world.paymego.code(), qr_code=scanned)

    assert (outcome.status, outcome.message) == (PaymentStatus.REFUSED, _why_not(world, scanned))
    assert (world.paymego.sent, world.path_of(), world.live()) == ([], ["intent", "refused"], [])


@pytest.mark.parametrize("error_code", [None, -31400], ids=["implausible", "stale"])
def test_a_code_is_asked_for_again_at_most_three_times(world: World, error_code: int | None) -> None:
    scanned = [STALE[:-1] + str(number) if error_code else str(number) for number in range(5)]
    ui = world.cashier(*scanned)

    outcome = world.pay(ui=ui)

    message = world.texts.of_error(error_code) if error_code else world.text(Text.PAYMENT_CODE_NOT_ACCEPTED)
    assert (outcome.status, outcome.error_code, outcome.message) == (PaymentStatus.REFUSED, error_code, message)
    assert (len(ui.prompts), _sent(world)) == (4, scanned[:4] if error_code else [])
    assert [row.receipt_id for row in world.live()] == [world.row().receipt_id]


def test_code_pattern_says_what_is_plausible(world: World) -> None:
    world.set(codePattern="P[0-9]{4}")
    ui = world.cashier(world.paymego.code(), "P1234")

    world.pay(ui=ui)

    assert _reasons(world, ui.prompts)[:2] == ["", world.text(Text.SCAN_IMPLAUSIBLE)]
    assert _sent(world) == ["P1234"]


@pytest.mark.parametrize(("age_s", "reason"), [(30, Text.SCAN_STALE), (31, Text.SCAN_TOO_OLD)])
def test_a_code_scanned_more_than_30_s_ago_is_not_sent_and_asked_for_again(
    world: World, age_s: float, reason: Text
) -> None:
    back_s = {"receipts.create": age_s}
    world.set(timeout=40)
    world.paymego.passage = lambda method: Passage(there_s=0, back_s=back_s.get(method, 0))
    code = world.paymego.code()
    ui = world.cashier(code, world.paymego.code)

    assert world.pay(ui=ui).status is PaymentStatus.PAID

    assert _reasons(world, ui.prompts) == ["", world.text(reason)]
    assert (code in _sent(world)) is (reason is Text.SCAN_STALE)


@pytest.mark.parametrize("is_lost", [False, True], ids=["refused", "lost on its way"])
def test_a_code_that_was_sent_within_the_hour_is_asked_for_again(world: World, is_lost: bool) -> None:
    code, other = world.paymego.code(BuyerAction.LACKS_FUNDS), world.paymego.code()
    if is_lost:
        world.paymego.inject_fault(FaultKind.REQUEST_LOST, PAY)
    world.pay(code)
    ui = world.cashier(code, other)

    outcome = world.pay(ui=ui, payment_id="p2")
    by_host = world.pay(qr_code=code, payment_id="p3")

    assert (outcome.status, _sent(world)) == (PaymentStatus.PAID, [code, other])
    assert _reasons(world, ui.prompts) == ["", world.text(Text.SCAN_ALREADY_USED)]
    assert (by_host.status, by_host.message) == (PaymentStatus.REFUSED, world.text(Text.SCAN_ALREADY_USED))


def test_of_two_sales_with_one_code_at_once_one_sends_it(world: World) -> None:
    code, other = world.paymego.code(), world.paymego.code()
    world.paymego.change("receipts.create", meanwhile(lambda: world.pay(code, payment_id="p1")))

    world.pay(code, other, payment_id="p2")

    assert (world.paymego.bank.pays(code), _sent(world)) == (1, [code, other])


@pytest.mark.parametrize("stale", [-31400, -31101, -31103, _CLICK_CODE])
def test_after_a_stale_code_and_state_0_another_is_asked_for_but_not_the_same_again(
    world: World, stale: int | str
) -> None:
    is_click = isinstance(stale, str)
    code = stale if isinstance(stale, str) else world.paymego.code(BuyerAction.FAILS, error_code=stale)
    other = world.paymego.code()
    ui = world.cashier(code, code, other)

    outcome = world.pay(ui=ui)

    reason = world.text(Text.SCAN_OTHER_WALLET if is_click else Text.SCAN_STALE)
    assert (outcome.status, _sent(world)) == (PaymentStatus.PAID, [code, other])
    assert _reasons(world, ui.prompts) == ["", reason, world.text(Text.SCAN_ALREADY_USED)]
    assert world.paymego.methods == ["create", "pay", "check", "pay"]
    assert world.path_of() == ["intent", "paying", "created", "paying", "paid"]


def test_the_settings_say_which_errors_mean_a_stale_code(world: World) -> None:
    world.set(staleCodes="-31102")
    codes = [world.paymego.code(BuyerAction.FAILS, error_code=-31102), world.paymego.code()]

    assert (world.pay(*codes).status, _sent(world)) == (PaymentStatus.PAID, codes)


@pytest.mark.parametrize("ignored", ["", -31400], ids=["not ignored", "ignored"])
@pytest.mark.parametrize(
    "change", [*(result({"state": state}) for state in (1, 2, 5, 20, 21, 77, None)), error(-32504), body(b"lost")]
)
def test_a_stale_code_is_followed_by_a_cancellation_and_no_other_code_unless_the_state_is_0(
    world: World, change: Change, ignored: object
) -> None:
    world.set(ignoredErrors=ignored)
    world.paymego.change(CHECK, change)
    ui = world.cashier(STALE, world.paymego.code())

    outcome = world.pay(ui=ui)

    assert (outcome.status, outcome.error_code, outcome.cancellation_queued) == (PaymentStatus.REFUSED, -31400, True)
    assert (len(ui.prompts), world.paymego.count(PAY), len(world.live())) == (1, 1, 1)


def test_an_ignored_stale_code_leaves_no_cancellation_if_state_0_is_the_last_answer(world: World) -> None:
    world.set(ignoredErrors=-31400)

    outcome = world.pay(*(STALE[:-1] + str(number) for number in range(4)))

    assert (outcome.status, outcome.error_code) == (PaymentStatus.REFUSED, -31400)
    assert (world.paymego.count(PAY), world.live()) == (4, [])


def test_a_stale_code_from_the_host_is_not_asked_for_again(world: World) -> None:
    ui = world.cashier(world.paymego.code())

    outcome = world.pay(ui=ui, qr_code=STALE)

    assert (outcome.status, outcome.error_code) == (PaymentStatus.REFUSED, -31400)
    assert (ui.prompts, world.paymego.count(CHECK)) == ([], 0)


def test_a_pay_that_was_not_sent_releases_its_code_and_no_code_that_was_sent_before_it(world: World) -> None:
    unsent = world.paymego.code()
    world.paymego.passage = lambda method: Passage(connects=method != PAY or world.paymego.count(PAY) == 0)
    first = world.pay(STALE, unsent)
    world.paymego.passage = lambda _: Passage()
    ui = world.cashier(STALE, unsent)

    second = world.pay(ui=ui, payment_id="p2")

    assert (first.status, first.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_NO_CONNECTION))
    assert (first.cancellation_queued, len(world.live("p1"))) == (True, 1)
    assert _reasons(world, ui.prompts) == ["", world.text(Text.SCAN_ALREADY_USED)]
    assert (second.status, _sent(world)) == (PaymentStatus.PAID, [STALE, unsent])


def test_a_scan_has_as_long_as_the_payment_and_after_a_pay_only_what_is_left(world: World) -> None:
    ui = world.cashier("1", STALE, world.paymego.code(), takes_s=3)

    world.pay(ui=ui)

    first_pay = world.paymego.times_of(PAY)[0]
    assert ui.timeouts == [20, 20, pytest.approx(20 - (ui.scanned_at[2] - 3 - first_pay))]
