"""What both pages keep to: keyboard, languages, accessibility, small screens, their own origin, lost connections."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from hookspecs import PaymentStatus
from payme_plugin.sandbox import Behaviour, BuyerAction, FaultKind, InjectedFault, Sandbox
from tests.browser.conftest import DASHBOARD_SCREEN, PHONE_SCREEN, Phone

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from playwright.sync_api import Page

    from fakes.served_till import ServedTill
    from tests.browser.conftest import Screen

pytestmark = pytest.mark.browser

LANGUAGES = {"en-GB": "en", "ru-RU": "ru", "uz-UZ": "uz", "de-DE": "en"}


WIDTH = "() => document.documentElement.scrollWidth <= innerWidth"


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
@pytest.mark.parametrize("size", [PHONE_SCREEN, DASHBOARD_SCREEN], ids=["phone", "desktop"])
def test_the_pages_have_no_serious_accessibility_finding(
    open_phone: Callable[..., Phone],
    open_dashboard: Callable[..., Screen],
    sandbox: Sandbox,
    new_till: Callable[..., ServedTill],
    size: tuple[int, int],
    scheme: str,
) -> None:
    phone, dashboard = open_phone(size, scheme=scheme), open_dashboard(size, scheme=scheme)

    found = serious_findings(phone)
    new_till().pay(phone.scan())
    sandbox.bank.call(sandbox.now_ms(), "receipts.create", {"amount": 100, "account": {}})
    phone.shows("#payment-title", "^Paid$")
    found += serious_findings(phone)
    dashboard.at("#receipts .pick").first.click()
    dashboard.at("#details-title").wait_for()
    dashboard.page.evaluate("document.querySelector('details').open = true")
    dashboard.shows("#details", "Timeline")
    found += serious_findings(dashboard)
    dashboard.page.evaluate("document.querySelector('#away').click()")
    dashboard.shows("#away-banner", "away")
    found += serious_findings(dashboard)

    assert found == []


@pytest.mark.parametrize("size", [PHONE_SCREEN, DASHBOARD_SCREEN], ids=["phone", "desktop"])
def test_nothing_is_wider_than_the_screen(
    open_phone: Callable[..., Phone],
    open_dashboard: Callable[..., Screen],
    new_till: Callable[..., ServedTill],
    size: tuple[int, int],
) -> None:
    phone, dashboard = open_phone(size, locale="ru-RU"), open_dashboard(size, locale="ru-RU")
    new_till().pay(phone.scan())
    dashboard.at("#receipts .pick").first.click()
    dashboard.at("#details .timeline").wait_for()

    for screen in (phone, dashboard):
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
    assert phone.page.title() == "Учебный сервер Payme: Пульт"


def test_every_text_is_there_in_three_languages(dashboard: Screen) -> None:
    texts = dashboard.page.evaluate("import('/static/texts.js').then(({ TEXTS }) => TEXTS)")

    assert [key for key, row in texts.items() if len(row) != 3 or not all(row)] == []
    places = {key: [sorted(re.findall(r"\{\w+\}", text)) for text in row] for key, row in texts.items()}
    assert [key for key, row in places.items() if row[0] != row[1] or row[0] != row[2]] == []


def test_no_text_is_left_over(dashboard: Screen) -> None:
    files = ("common.js", "dashboard.js", "details.js", "faults.js", "list.js", "phone.js", "index.html", "phone.html")
    sources = "".join((resources.files("payme_plugin.sandbox") / "pages" / name).read_text() for name in files)
    texts = dashboard.page.evaluate("import('/static/texts.js').then(({ TEXTS }) => Object.keys(TEXTS))")
    # Keys whose end the pages take from a name of the control API or from their own lists.
    built = re.compile(
        r"(state|fault|phone\.outcome|phone\.time|dashboard\.row)\.|dashboard\.(receipts|requests)\.none$"
    )
    quoted = set(re.findall(r"""["'`]([\w.-]+)["'`]""", sources))

    left = [key for key in texts if not built.match(key) and not {key, key.partition(".")[2]} & quoted]

    assert left == []


def test_a_buyer_pays_with_only_the_keyboard(
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


def test_an_operator_works_with_only_the_keyboard(dashboard: Screen, sandbox: Sandbox) -> None:
    for amount in (100, 200, 300):
        sandbox.bank.call(sandbox.now_ms(), "receipts.create", {"amount": amount, "account": {"n": amount}})
    sandbox.issue_code(Behaviour(BuyerAction.PAYS))
    dashboard.shows("#receipts-count", "3 of 3")
    dashboard.page.keyboard.press("Tab")
    assert dashboard.focused() == "Skip to the content"
    dashboard.page.keyboard.press("Enter")
    focus(dashboard, "#receipts .pick")

    dashboard.page.keyboard.press("ArrowDown")
    dashboard.page.keyboard.press("ArrowDown")
    assert "n 100" in dashboard.focused()
    dashboard.page.keyboard.press("Enter")
    dashboard.shows("#details", "1.00 UZS")
    focus(dashboard, "#details [data-action=cancel]")
    dashboard.page.keyboard.press("Enter")
    dashboard.shows("#receipts li", "1.00 UZS.*Cancelled · 50")
    dashboard.page.keyboard.press("Escape")

    dashboard.shows("#details", "Select a receipt")
    assert "n 100" in dashboard.focused()


def test_the_focus_stays_near_a_fault_that_changes_or_goes(dashboard: Screen, sandbox: Sandbox) -> None:
    for _ in range(3):
        sandbox.inject(InjectedFault(FaultKind.HTML, "receipts.get"))
    dashboard.shows("#faults li:nth-child(3)", "html")
    dashboard.button("Remove fault 2").focus()

    sandbox.remove_fault(1)
    dashboard.lacks("#faults li:nth-child(3)")
    kept = dashboard.page.evaluate("document.activeElement.ariaLabel")
    sandbox.remove_fault(2)
    dashboard.lacks("#faults li:nth-child(2)")
    after_it_went = dashboard.page.evaluate("document.activeElement.id")
    dashboard.button("Clear all").press("Enter")
    dashboard.shows("#faults-none", "None")

    assert kept == "Remove fault 2"
    assert after_it_went == "faults-title"
    assert dashboard.page.evaluate("document.activeElement.id") == "faults-title"


def test_the_last_older_rows_get_the_focus_of_the_button_that_showed_them(dashboard: Screen, sandbox: Sandbox) -> None:
    for number in range(102):
        sandbox.bank.call(sandbox.now_ms(), "receipts.create", {"amount": 100, "account": {"n": number}})
    sandbox.issue_code()
    dashboard.shows("#receipts-count", "102 of 102")

    dashboard.at("#receipts-older").press("Enter")

    dashboard.shows("#receipts li:nth-child(102)", "n 0")
    assert "n 1" in dashboard.focused()


def test_a_filter_by_an_account_that_is_gone_ends(dashboard: Screen, sandbox: Sandbox) -> None:
    sandbox.add_account("second", name="Second shop")
    dashboard.shows("#accounts", "Second shop")
    dashboard.at("#account").select_option("second")
    dashboard.at("[name=pos_id]").select_option("second", force=True)
    sandbox.stop()

    with Sandbox(sandbox.port) as started:
        dashboard.lacks("#accounts li:nth-child(2)")
        started.bank.call(started.now_ms(), "receipts.create", {"amount": 12_345, "account": {}})
        started.issue_code()
        dashboard.shows("#receipts li", "123.45")

    assert dashboard.at("#account").evaluate("one => one.selectedIndex") == 0
    assert dashboard.at("[name=pos_id]").evaluate("one => one.selectedIndex") == 0


@pytest.mark.parametrize("page", ["/phone", "/"])
def test_a_phone_at_twice_the_size_needs_no_scrolling_sideways(
    sandbox: Sandbox, new_page: Callable[..., Page], new_till: Callable[..., ServedTill], page: str
) -> None:
    size = (PHONE_SCREEN[0] // 2, PHONE_SCREEN[1] // 2)
    screen = Phone(new_page(size, locale="ru-RU"))
    screen.page.goto(sandbox.origin + page)
    if page == "/phone":
        screen.at("#digits span").first.wait_for()
        code = screen.at("#code-view").evaluate(WIDTH)
        choices = screen.at("#behaviours span").evaluate_all(
            "all => all.every(one => one.scrollWidth <= one.clientWidth)"
        )
        new_till().pay(screen.digits())
        screen.shows("#payment-title", "Оплачено")
        assert code
        assert choices
    else:
        new_till().pay(sandbox.issue_code())
        screen.at("#receipts .pick").click()
        screen.at("#details .timeline").wait_for()

    assert screen.page.evaluate(f"({WIDTH})()")


def test_what_is_chosen_is_visible_in_the_systems_own_colours(phone: Phone) -> None:
    phone.page.emulate_media(forced_colors="active")

    for chosen, other in (
        ("#languages [aria-pressed=true]", "#languages [aria-pressed=false]"),
        ("#behaviours :checked + span", "#behaviours input:not(:checked) + span"),
    ):
        looks = [
            phone.at(one).first.evaluate("one => getComputedStyle(one).backgroundColor") for one in (chosen, other)
        ]
        assert looks[0] != looks[1], chosen


def test_the_focus_is_visible(phone: Phone) -> None:
    for selector in ("#languages button", "#renew", "[name=behaviour] + span"):
        focus(phone, selector.partition(" + ")[0])

        style = phone.at(selector).first.evaluate("one => getComputedStyle(one).outline")

        assert "solid 3px" in style, selector


def test_the_pages_ask_only_their_own_server_and_break_no_rule_of_their_policy(
    phone: Phone, dashboard: Screen, new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    new_till().pay(phone.scan())
    phone.shows("#payment-title", "^Paid$")
    dashboard.at("#receipts .pick").click()
    dashboard.at("#details .timeline").wait_for()

    for screen in (phone, dashboard):
        assert {url[: len(sandbox.origin) + 1] for url in screen.requested} == {f"{sandbox.origin}/"}
        assert screen.errors == []


def test_the_pages_say_that_the_connection_is_lost_and_come_back_by_themselves(
    phone: Phone, dashboard: Screen, sandbox: Sandbox, new_till: Callable[..., ServedTill]
) -> None:
    sandbox.stop()
    phone.shows("#live", "reconnecting")
    dashboard.shows("#live", "reconnecting")

    sandbox.start()

    dashboard.shows("#live", "^Live$")
    phone.lacks("#live")
    result = new_till().pay(phone.scan())
    phone.shows("#payment-title", "^Paid$")
    dashboard.shows("#receipts li", result.receipt_id or "")


def test_a_page_that_nobody_sees_leaves_its_connection_to_other_tabs(dashboard: Screen, sandbox: Sandbox) -> None:
    turn = """isHidden => {
        Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""

    dashboard.page.evaluate(turn, arg=True)
    dashboard.shows("#live", "Connecting")
    sandbox.bank.call(sandbox.now_ms(), "receipts.create", {"amount": 12_345, "account": {}})
    sandbox.set_away(away=True)
    hidden = dashboard.at("#away-banner").is_hidden()
    dashboard.page.evaluate(turn, arg=False)

    dashboard.shows("#receipts li", "123.45")
    dashboard.shows("#away-banner", "away")
    assert hidden


def test_after_a_restart_without_its_memory_the_pages_show_what_is_there(
    phone: Phone, dashboard: Screen, sandbox: Sandbox, new_till: Callable[..., ServedTill]
) -> None:
    new_till().pay(phone.scan())
    dashboard.shows("#receipts li", "Paid · 4")
    sandbox.stop()

    with Sandbox(sandbox.port) as started:
        dashboard.shows("#receipts-none", "No receipts yet")
        phone.shows("#said", "here is a new one")
        phone.shows("#history-none", "No payments yet")
        phone.at("#code-view").wait_for()
        assert started.code(phone.scan()) is not None


def test_a_phone_of_the_address_that_does_not_exist_becomes_a_new_phone(phone: Phone, sandbox: Sandbox) -> None:
    phone.page.goto(f"{sandbox.phone_url}?phone=0000000000000000")

    phone.shows("#said", "here is a new one")
    phone.at("#digits span").first.wait_for()
    assert phone.page.url == sandbox.phone_url
