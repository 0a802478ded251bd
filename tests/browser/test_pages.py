"""What both pages keep to: keyboard, languages, accessibility, small screens, their own origin, lost connections."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hookspecs import PaymentStatus
from payme_plugin.sandbox import Behaviour, BuyerAction, Sandbox
from tests.browser.conftest import DESK_SCREEN, PHONE_SCREEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from fakes.served_till import ServedTill
    from tests.browser.conftest import Phone, Screen

pytestmark = pytest.mark.browser

LANGUAGES = {"en-GB": "en", "ru-RU": "ru", "uz-UZ": "uz", "de-DE": "en"}


def serious_findings(screen: Screen) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - of the extra ``browser``

    found = Axe().run(screen.page).response["violations"]
    return [
        f"{one['id']}: {node['html']}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


def focus(screen: Screen, wanted: str, key: str = "Tab") -> None:
    """Press a key until the focus is on an element that matches."""
    for _ in range(60):
        if screen.page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            return
        screen.page.keyboard.press(key)
    raise AssertionError(f"{wanted} can't be reached with {key}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE_SCREEN, DESK_SCREEN], ids=["phone", "desktop"])
def test_the_pages_have_no_serious_accessibility_finding(
    open_phone: Callable[..., Phone],
    open_desk: Callable[..., Screen],
    sandbox: Sandbox,
    new_till: Callable[..., ServedTill],
    size: tuple[int, int],
    scheme: str,
) -> None:
    phone, desk = open_phone(size, scheme=scheme), open_desk(size, scheme=scheme)

    found = serious_findings(phone)
    new_till().pay(phone.scan())
    sandbox.bank.call(sandbox.now_ms(), "receipts.create", {"amount": 100, "account": {}})
    phone.shows("#payment-title", "^Paid$")
    found += serious_findings(phone)
    desk.at("#receipts .pick").first.click()
    desk.at("#details-title").wait_for()
    desk.page.evaluate("document.querySelector('details').open = true")
    desk.shows("#details", "Timeline")
    found += serious_findings(desk)
    desk.page.evaluate("document.querySelector('#away').click()")
    desk.shows("#away-banner", "away")
    found += serious_findings(desk)

    assert found == []


@pytest.mark.parametrize("size", [PHONE_SCREEN, DESK_SCREEN], ids=["phone", "desktop"])
def test_nothing_is_wider_than_the_screen(
    open_phone: Callable[..., Phone],
    open_desk: Callable[..., Screen],
    new_till: Callable[..., ServedTill],
    size: tuple[int, int],
) -> None:
    phone, desk = open_phone(size, locale="ru-RU"), open_desk(size, locale="ru-RU")
    new_till().pay(phone.scan())
    desk.at("#receipts .pick").first.click()
    desk.at("#details .timeline").wait_for()

    for screen in (phone, desk):
        assert screen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("locale", "language"), LANGUAGES.items())
def test_a_phone_speaks_the_browsers_language_and_shows_its_code_and_every_behaviour_without_scrolling(
    open_phone: Callable[..., Phone], locale: str, language: str
) -> None:
    phone = open_phone(locale=locale)

    labels = phone.at("#behaviours label")
    boxes = [labels.nth(number).bounding_box() for number in range(labels.count())]

    assert phone.page.evaluate("document.documentElement.lang") == language
    assert len(boxes) == 9
    for box in (*boxes, phone.at("#frame").bounding_box(), phone.at("#digits").bounding_box()):
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= PHONE_SCREEN[1]
    assert all(box and box["height"] >= 44 for box in boxes)  # a finger hits it
    labels.nth(1).click()
    field = phone.at("#seconds").bounding_box()
    assert field is not None
    assert field["y"] + field["height"] <= PHONE_SCREEN[1]


def test_a_chosen_language_is_kept_by_both_pages(phone: Phone, sandbox: Sandbox) -> None:
    phone.button("RU").click()
    phone.shows("#payment-title, #code-title", "Покажите код кассиру")

    phone.page.goto(f"{sandbox.origin}/")

    phone.shows("#receipts-title", "^Чеки$")
    assert phone.page.title() == "Песочница Payme: Пульт"


def test_every_text_is_there_in_three_languages_and_used(desk: Screen, sandbox: Sandbox) -> None:
    texts = desk.page.evaluate("import('/static/texts.js').then(({ TEXTS }) => TEXTS)")

    assert [key for key, row in texts.items() if len(row) != 3 or not all(row)] == []
    places = {key: [sorted(re.findall(r"\{\w+\}", text)) for text in row] for key, row in texts.items()}
    assert [key for key, row in places.items() if row[0] != row[1] or row[0] != row[2]] == []


def test_a_buyer_pays_with_the_keyboard_alone(
    phone: Phone, new_till: Callable[..., ServedTill], cashier: ThreadPoolExecutor
) -> None:
    till = new_till(payDuration=10_000)
    focus(phone, "[name=behaviour]")
    for _ in range(4):
        with phone.new_code():
            phone.page.keyboard.press("ArrowRight")

    paying = cashier.submit(till.pay, phone.scan())
    phone.shows("#payment-title", "Confirm")
    focus(phone, "#pay")
    phone.page.keyboard.press("Enter")

    assert paying.result().status is PaymentStatus.PAID
    phone.shows("#payment-title", "^Paid$")


def test_an_operator_works_with_the_keyboard_alone(desk: Screen, sandbox: Sandbox) -> None:
    for amount in (100, 200, 300):
        sandbox.bank.call(sandbox.now_ms(), "receipts.create", {"amount": amount, "account": {"n": amount}})
    sandbox.issue_code(Behaviour(BuyerAction.PAYS))
    desk.shows("#receipts-count", "3 of 3")
    desk.page.keyboard.press("Tab")
    assert desk.focused() == "Skip to the content"
    desk.page.keyboard.press("Enter")
    focus(desk, "#receipts .pick")

    desk.page.keyboard.press("ArrowDown")
    desk.page.keyboard.press("ArrowDown")
    assert "n 100" in desk.focused()
    desk.page.keyboard.press("Enter")
    desk.shows("#details", "1.00 UZS")
    focus(desk, "#details [data-action=cancel]")
    desk.page.keyboard.press("Enter")
    desk.shows("#receipts li", "1.00 UZS.*Cancelled · 50")
    desk.page.keyboard.press("Escape")

    desk.shows("#details", "Select a receipt")
    assert "n 100" in desk.focused()


def test_the_focus_is_visible(phone: Phone) -> None:
    for selector in ("#languages button", "#renew", "[name=behaviour] + span"):
        focus(phone, selector.partition(" + ")[0])

        style = phone.at(selector).first.evaluate("one => getComputedStyle(one).outline")

        assert "solid 3px" in style, selector


def test_the_pages_ask_only_their_own_server_and_break_no_rule_of_their_policy(
    phone: Phone, desk: Screen, new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    new_till().pay(phone.scan())
    phone.shows("#payment-title", "^Paid$")
    desk.at("#receipts .pick").click()
    desk.at("#details .timeline").wait_for()

    for screen in (phone, desk):
        assert {url[: len(sandbox.origin) + 1] for url in screen.requested} == {f"{sandbox.origin}/"}
        assert screen.errors == []


def test_the_pages_say_that_the_connection_is_lost_and_come_back_by_themselves(
    phone: Phone, desk: Screen, sandbox: Sandbox, new_till: Callable[..., ServedTill]
) -> None:
    sandbox.stop()
    phone.shows("#live", "reconnecting")
    desk.shows("#live", "reconnecting")

    sandbox.start()

    desk.shows("#live", "^Live$")
    phone.lacks("#live")
    result = new_till().pay(phone.scan())
    phone.shows("#payment-title", "^Paid$")
    desk.shows("#receipts li", result.receipt_id or "")


def test_a_page_that_nobody_sees_leaves_its_connection_to_other_tabs(desk: Screen, sandbox: Sandbox) -> None:
    turn = """isHidden => {
        Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""

    desk.page.evaluate(turn, arg=True)
    desk.shows("#live", "Connecting")
    sandbox.bank.call(sandbox.now_ms(), "receipts.create", {"amount": 12_345, "account": {}})
    sandbox.set_away(away=True)
    hidden = desk.at("#away-banner").is_hidden()
    desk.page.evaluate(turn, arg=False)

    desk.shows("#receipts li", "123.45")
    desk.shows("#away-banner", "away")
    assert hidden


def test_after_a_restart_without_its_memory_the_pages_show_what_is_there(
    phone: Phone, desk: Screen, sandbox: Sandbox, new_till: Callable[..., ServedTill]
) -> None:
    new_till().pay(phone.scan())
    desk.shows("#receipts li", "Paid · 4")
    sandbox.stop()

    with Sandbox(sandbox.port) as started:
        desk.shows("#receipts-none", "No receipts yet")
        phone.shows("#said", "this is a new phone")
        phone.shows("#history-none", "No payments yet")
        phone.at("#code-view").wait_for()
        assert started.code(phone.scan()) is not None


def test_a_phone_of_the_address_that_does_not_exist_becomes_a_new_phone(phone: Phone, sandbox: Sandbox) -> None:
    phone.page.goto(f"{sandbox.phone_url}?phone=0000000000000000")

    phone.shows("#said", "this is a new phone")
    phone.at("#digits span").first.wait_for()
    assert phone.page.url == sandbox.phone_url
