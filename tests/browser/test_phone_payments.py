"""A till pays with the QR code that it reads from the phone's screen, and the buyer sees what becomes of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from fakes.till import ScriptedUi, open_sale
from hookspecs import CancelRequest, PaymentStatus, ReversalStatus
from payme_plugin.clock import SystemClock
from tests.browser.conftest import PHONE_SCREEN, Phone

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from playwright.sync_api import Page, Route

    from fakes.served_till import ServedTill
    from payme_plugin.sandbox import Sandbox
    from tests.browser.conftest import VirtualTime

pytestmark = pytest.mark.browser

WAITS = {"payDuration": 10_000}


def test_the_code_on_the_screen_pays_at_the_till(phone: Phone, new_till: Callable[..., ServedTill]) -> None:
    code = phone.scan()

    result = new_till().pay(code, amount=1_500_050)

    assert code == phone.digits()
    assert result.status is PaymentStatus.PAID
    phone.shows("#payment-title", "^Paid$")
    phone.shows("#sum", r"^15,000\.50 UZS$")
    phone.shows("#times", f"Paid.*{result.receipt_id}")
    phone.shows("#balance", r"^984,999\.50 UZS$")
    phone.shows("#history li", "15,000.50 UZS.*Paid · 4")


def test_the_buyer_pays_by_hand(phone: Phone, new_till: Callable[..., ServedTill], cashier: ThreadPoolExecutor) -> None:
    till = new_till(**WAITS)
    phone.choose("Asks here")

    paying = cashier.submit(till.pay, phone.scan())
    phone.shows("#payment-title", "Confirm the payment")
    phone.shows("#merchant", "asks you to pay")
    phone.button("Pay").click()

    phone.shows("#payment-title", "^Paid$")
    assert paying.result().status is PaymentStatus.PAID


def test_the_buyer_declines_by_hand(
    phone: Phone, new_till: Callable[..., ServedTill], cashier: ThreadPoolExecutor, sandbox: Sandbox
) -> None:
    till = new_till(**WAITS)
    phone.choose("Asks here")

    paying = cashier.submit(till.pay, phone.scan())
    phone.button("Decline").click()

    phone.shows("#payment-title", "Cancelled, nothing was charged")
    assert paying.result().status is PaymentStatus.REFUSED
    assert sandbox.held() == 0
    phone.shows("#balance", r"^1,000,000\.00 UZS$")


def test_a_code_expires_after_thirty_seconds_and_the_till_that_asks_again_is_paid_with_a_new_one(
    phone: Phone, new_till: Callable[..., ServedTill], time: VirtualTime, sandbox: Sandbox
) -> None:
    phone.page.clock.install()
    with phone.new_code():
        phone.button("New code").click()
    phone.shows("#left", "^Valid for (30|29) s$")
    expired = phone.scan()

    phone.page.clock.fast_forward(20_000)
    assert phone.at("#over").is_hidden()
    phone.page.clock.fast_forward(10_000)
    time.advance(30)
    phone.shows("#over", "The code has expired")
    held: list[int] = []

    def shows_a_new_code() -> str:
        held.append(sandbox.held())
        with phone.new_code():
            phone.button("New code").click()
        phone.lacks("#over")
        return phone.scan()

    result = new_till().pay(expired, shows_a_new_code)

    assert held == [0]
    assert result.status is PaymentStatus.PAID
    phone.shows("#payment-title", "^Paid$")


def test_the_code_can_be_copied_for_a_till_without_a_scanner(phone: Phone, sandbox: Sandbox) -> None:
    phone.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=sandbox.origin)

    phone.button("Copy").click()

    phone.shows("#said", "Code copied")
    assert phone.page.evaluate("navigator.clipboard.readText()") == phone.digits()


def test_a_browser_that_refuses_to_copy_is_said(phone: Phone) -> None:
    phone.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('denied')); }")

    phone.button("Copy").click()

    phone.shows("#said.bad", "The code can’t be copied")
    assert phone.errors == []


def test_a_late_answer_does_not_make_the_code_last_longer(phone: Phone) -> None:
    phone.page.clock.install()

    def answer_late(route: Route) -> None:
        answer = route.fetch()
        phone.page.clock.fast_forward(5_000)
        route.fulfill(response=answer)

    phone.page.route("**/code", answer_late)
    with phone.new_code():
        phone.button("New code").click()

    phone.shows("#left", "^Valid for (25|24) s$")


def test_a_browser_that_keeps_nothing_shows_a_phone_that_pays(
    sandbox: Sandbox, new_page: Callable[..., Page], new_till: Callable[..., ServedTill]
) -> None:
    phone = Phone(new_page(PHONE_SCREEN))
    for store in ("localStorage", "sessionStorage"):
        phone.page.add_init_script(f"Object.defineProperty(window, '{store}', {{ get() {{ throw new Error(); }} }})")
    phone.page.goto(sandbox.phone_url)
    phone.at("#digits span").first.wait_for()
    phone.button("RU").click()

    new_till().pay(phone.scan())

    phone.shows("#payment-title", "^Оплачено$")


def test_without_the_library_for_qr_codes_the_phone_shows_digits_that_pay(
    open_phone: Callable[..., Phone], new_till: Callable[..., ServedTill], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    phone = open_phone()

    result = new_till().pay(phone.digits())

    assert phone.at("#frame").is_hidden()
    assert result.status is PaymentStatus.PAID
    phone.shows("#payment-title", "^Paid$")


@pytest.mark.parametrize(
    ("behaviour", "title"), [("Lacks funds", r"Not paid: error -31630"), ("Error", r"Not paid: error -31400")]
)
def test_a_refused_payment_shows_its_error_code(
    phone: Phone, new_till: Callable[..., ServedTill], behaviour: str, title: str
) -> None:
    phone.choose(behaviour)

    new_till().pay(phone.scan())

    phone.shows("#payment-title", title)
    phone.shows("#history li", title)


def test_two_phones_pay_at_once_and_each_sees_its_own_payment(
    open_phone: Callable[..., Phone], new_till: Callable[..., ServedTill], cashier: ThreadPoolExecutor
) -> None:
    first, second = open_phone(), open_phone()
    tills = new_till("till-1", **WAITS), new_till("till-2", **WAITS)
    for phone in (first, second):
        phone.choose("Asks here")

    paying = cashier.submit(tills[0].pay, first.scan(), amount=100_000)
    first.shows("#sum", "1,000.00")
    assert second.at("#payment-view").is_hidden()
    waits = second.scan()
    first.button("Pay").click()
    assert paying.result().status is PaymentStatus.PAID
    paying = cashier.submit(tills[1].pay, waits, amount=200_000)
    second.shows("#sum", "2,000.00")
    second.button("Pay").click()

    assert paying.result().status is PaymentStatus.PAID
    first.shows("#history", "1,000.00")
    assert first.at("#history li").count() == second.at("#history li").count() == 1


def test_a_refund_shows_both_times(
    phone: Phone, new_till: Callable[..., ServedTill], cashier: ThreadPoolExecutor, time: VirtualTime
) -> None:
    till = new_till(**WAITS)
    result = till.pay(phone.scan())
    record = till.acknowledge(result)
    phone.shows("#payment-title", "^Paid$")

    cancel = CancelRequest(payment=record, receipt=open_sale(payments=(record,)))
    returned = cashier.submit(till.plugins.on_cancel, cancel, ScriptedUi(SystemClock()))
    phone.shows("#payment-title", "on its way back")
    time.advance(1)

    phone.shows("#payment-title", "^Refunded$")
    phone.shows("#times", "Paid.*Cancelled")
    phone.shows("#balance", r"^1,000,000\.00 UZS$")
    reversal = returned.result()
    assert reversal is not None
    assert reversal.status is ReversalStatus.REVERSED


def test_a_page_that_is_loaded_while_a_payment_waits_asks_for_it(
    phone: Phone, new_till: Callable[..., ServedTill], cashier: ThreadPoolExecutor
) -> None:
    till = new_till(**WAITS)
    phone.choose("Asks here")
    paying = cashier.submit(till.pay, phone.scan())
    phone.shows("#payment-title", "Confirm the payment")

    phone.page.reload()
    phone.button("Pay").click()

    phone.shows("#payment-title", "^Paid$")
    assert paying.result().status is PaymentStatus.PAID
    phone.button("New code").click()
    phone.at("#digits span").first.wait_for()
    assert phone.scan() == phone.digits()


def test_a_page_that_is_loaded_again_is_the_same_phone(phone: Phone, new_till: Callable[..., ServedTill]) -> None:
    new_till().pay(phone.scan())
    phone.shows("#payment-title", "^Paid$")

    phone.page.reload()

    phone.shows("#history li", "Paid · 4")
    phone.shows("#balance", r"^985,000\.00 UZS$")
    phone.at("#digits span").first.wait_for()
    assert phone.scan() == phone.digits()
