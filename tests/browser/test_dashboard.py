"""The dashboard shows what tills do as it happens, and lets an operator act on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from hookspecs import PaymentStatus
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox import Behaviour, BuyerAction, FaultKind, InjectedFault
from tests.browser.conftest import scanned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import ThreadPoolExecutor

    from fakes.served_till import ServedTill
    from payme_plugin.sandbox import Sandbox
    from tests.browser.conftest import Phone, Screen, VirtualTime

pytestmark = pytest.mark.browser


@pytest.fixture
def ask(sandbox: Sandbox) -> Iterator[Callable[..., dict[str, Any]]]:
    """Return a function that sends a till's request, to the sandbox's first merchant account or to another one."""
    with urllib3.HTTPConnectionPool("127.0.0.1", sandbox.port, maxsize=1) as pool:

        def send(method: str, x_auth: str = f"{sandbox.pos_id}:{sandbox.pos_key}", **params: object) -> dict[str, Any]:
            body = json.dumps({"id": 1, "method": f"receipts.{method}", "params": params})
            answer = pool.urlopen("POST", "/api", body=body, headers={"X-Auth": x_auth}, retries=False)
            found: dict[str, Any] = json.loads(answer.data)
            return found

        yield send


@pytest.fixture
def create(ask: Callable[..., dict[str, Any]]) -> Callable[..., str]:
    def make(amount: int = 1_500_000, **account: object) -> str:
        receipt_id: str = ask("create", amount=amount, account=account)["result"]["receipt"]["_id"]
        return receipt_id

    return make


@pytest.fixture
def waiting(create: Callable[..., str], ask: Callable[..., dict[str, Any]], sandbox: Sandbox) -> Callable[[], str]:
    """Return a function that makes a receipt which waits for its buyer in state 1."""

    def make() -> str:
        receipt_id = create()
        ask("pay", id=receipt_id, token=sandbox.issue_code(Behaviour(BuyerAction.NEVER_ANSWERS)))
        return receipt_id

    return make


def test_a_payment_at_the_till_appears_by_itself_with_its_requests_and_answers(
    dashboard: Screen, phone: Phone, new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    code = phone.scan()

    result = new_till().pay(code)

    dashboard.shows("#receipts li", f"{result.receipt_id}.*15,000.00 UZS.*Paid · 4")
    dashboard.at("#requests .pick").filter(has_text="receipts.pay").click()
    dashboard.shows("#details pre", f'"token": "\\*\\*\\*{code[-4:]}"')
    dashboard.shows("#details pre", f'"_id": "{result.receipt_id}"')
    dashboard.shows("#details", f"{sandbox.pos_id}:\\*\\*\\* right key")
    whole = dashboard.page.content()
    assert sandbox.pos_key not in whole
    assert code not in whole
    dashboard.at("#receipts .pick").click()
    dashboard.shows("#details .timeline", "Created.*0.*Waiting for the buyer.*1.*Debiting.*2.*Closing.*3.*Paid.*4")


def test_a_receipt_that_moves_by_itself_moves_on_the_dashboard(
    dashboard: Screen,
    create: Callable[..., str],
    ask: Callable[..., dict[str, Any]],
    sandbox: Sandbox,
    time: VirtualTime,
) -> None:
    receipt_id = create()
    ask("pay", id=receipt_id, token=sandbox.issue_code(Behaviour(BuyerAction.CONFIRMS, after_s=60)))
    dashboard.shows("#receipts li", "Waiting for the buyer · 1")

    time.advance(60)

    dashboard.shows("#receipts li", "Paid · 4")


def test_the_operator_confirms_for_the_buyer_and_the_till_is_paid(
    dashboard: Screen, new_till: Callable[..., ServedTill], cashier: ThreadPoolExecutor
) -> None:
    till = new_till(payDuration=10_000)
    paying = cashier.submit(till.pay, till.code(BuyerAction.NEVER_ANSWERS))

    dashboard.at("#receipts [data-action=confirm]").click()

    dashboard.shows("#said", "Confirm: receipt .* is now «Paid»")
    assert paying.result().status is PaymentStatus.PAID


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("confirm", ReceiptState.PAID),
        ("decline", ReceiptState.CANCELLED),
        ("pay", ReceiptState.PAID),
        ("cancel", ReceiptState.CANCELLED),
    ],
)
def test_one_click_moves_a_receipt(
    dashboard: Screen, waiting: Callable[[], str], sandbox: Sandbox, action: str, state: ReceiptState
) -> None:
    receipt_id = waiting()
    dashboard.at("#receipts .pick").click()

    dashboard.at(f"#details [data-action={action}]").click()

    dashboard.shows("#receipts li", f"{receipt_id}.*· {int(state)}")
    assert [one.state for one in sandbox.receipts()] == [state]
    assert dashboard.at("#details [data-action=confirm]").is_disabled()


def test_a_server_that_is_taken_away_can_be_brought_back(
    dashboard: Screen, create: Callable[..., str], phone: Phone
) -> None:
    dashboard.button("Take the server away").click()
    dashboard.shows("#away-banner", "tills can’t connect")
    with pytest.raises(urllib3.exceptions.HTTPError):
        create()
    phone.choose("Asks here")

    dashboard.button("Bring the server back").click()

    dashboard.lacks("#away-banner")
    dashboard.shows("#receipts li", create())


def test_a_fault_of_the_form_is_in_force_and_can_be_removed(
    dashboard: Screen, create: Callable[..., str], sandbox: Sandbox
) -> None:
    dashboard.at("summary").click()
    dashboard.at("[name=kind]").select_option("http-error")
    dashboard.at("[name=method]").select_option("receipts.create")
    dashboard.at("[name=status]").fill("503")
    dashboard.at("[name=times]").fill("2")
    dashboard.button("Add a fault").click()
    dashboard.shows("#faults li", r"http-errorreceipts.create · HTTP 503 · 2 ×")
    added = sandbox.faults
    with pytest.raises(json.JSONDecodeError):
        create()
    dashboard.shows("#faults li", "1 ×")
    dashboard.shows("#requests li", "http-error.*HTTP 503")

    dashboard.button("Clear all").click()

    dashboard.shows("#faults-none", "None")
    assert added == (InjectedFault(FaultKind.HTTP_ERROR, "receipts.create", times=2, status=503),)
    assert create()


def test_the_form_has_every_kind_and_selector_of_a_fault(dashboard: Screen, sandbox: Sandbox) -> None:
    sandbox.add_account("second", name="Second shop")
    dashboard.shows("#accounts", "Second shop")
    dashboard.at("summary").click()
    kinds = dashboard.at("[name=kind] option").evaluate_all("options => options.map(one => one.value)")
    asked = InjectedFault(
        FaultKind.SLOW_ANSWER,
        "receipts.get",
        times=None,
        skip=1,
        after_s=2.5,
        code="0077",
        amount_min=100,
        amount_max=100,
        pos_id="second",
        header="User-Agent",
        header_value="till",
        probability=0.5,
    )

    dashboard.at("[name=kind]").select_option(asked.kind.value)
    dashboard.at("[name=method]").select_option(asked.method)
    dashboard.at("[name=pos_id]").select_option(asked.pos_id)
    for name in ("skip", "after_s", "code", "amount_min", "amount_max", "header", "header_value", "probability"):
        dashboard.at(f"[name={name}]").fill(str(getattr(asked, name)))
    dashboard.at("[name=times]").fill("")
    dashboard.button("Add a fault").click()

    dashboard.shows("#faults li", r"slow-answer.*2\.5 s.*1\.00 UZS.*second.*User-Agent: till.*p = 0\.5.*always")
    assert sandbox.faults == (asked,)
    assert sorted(kinds) == sorted(kind.value for kind in FaultKind)
    dashboard.button("Remove fault 1").click()
    dashboard.shows("#faults-none", "None")
    assert not sandbox.faults


def test_a_fault_that_is_not_allowed_says_why(dashboard: Screen, sandbox: Sandbox) -> None:
    dashboard.at("summary").click()
    dashboard.at("[name=kind]").select_option("http-error")
    dashboard.at("[name=status]").fill("304")

    dashboard.button("Add a fault").click()

    dashboard.shows("#said.bad", "status is 304")
    assert sandbox.faults == ()


def test_the_qr_code_of_the_dashboard_opens_a_phone(dashboard: Screen, sandbox: Sandbox) -> None:
    dashboard.at("#phone-qr").wait_for()

    assert scanned(dashboard.at("#phone-qr").screenshot()) == sandbox.phone_url
    assert dashboard.at("#phone-url").text_content() == sandbox.phone_url


def test_filters_leave_what_is_looked_for(
    dashboard: Screen, create: Callable[..., str], waiting: Callable[[], str], ask: Callable[..., dict[str, Any]]
) -> None:
    for number in range(3):
        create(order_id=f"3-{number}")
    waiting()
    ask("create", x_auth="nobody:knows", amount=1, account={})
    dashboard.shows("#receipts-count", "4 of 4")

    dashboard.at("#find").fill("3-2")
    dashboard.shows("#receipts-count", "1 of 4")
    dashboard.shows("#requests-count", "1 of 6")
    dashboard.at("#find").fill("")
    dashboard.at("#state").select_option("1")
    dashboard.shows("#receipts-count", "1 of 4")
    dashboard.at("#method").select_option("receipts.pay")
    dashboard.shows("#requests-count", "1 of 6")
    dashboard.at("#method").select_option("")
    dashboard.shows("#requests-count", "6 of 6")
    dashboard.at("#errors").check()
    dashboard.shows("#requests-count", "1 of 6")
    dashboard.shows("#requests li", "error -32504")


def test_an_amount_is_found_as_each_language_writes_it(dashboard: Screen, create: Callable[..., str]) -> None:
    create(123_456_750)
    create(100)

    for amount in (
        "1234567.5",
        "1234567.50",
        "1,234,567.50",
        "1 234 567,50",
        "1\N{NO-BREAK SPACE}234\N{NO-BREAK SPACE}567,50",
    ):
        dashboard.at("#find").fill("")
        dashboard.shows("#receipts-count", "2 of 2")
        dashboard.at("#find").fill(amount)
        dashboard.shows("#receipts-count", "1 of 2")


def test_a_receipt_leads_to_its_requests(
    dashboard: Screen, create: Callable[..., str], ask: Callable[..., dict[str, Any]]
) -> None:
    create(order_id="first")
    receipt_id = create(order_id="second")
    ask("check", id=receipt_id)
    dashboard.shows("#requests-count", "3 of 3")

    dashboard.at("#receipts .pick").filter(has_text="second").click()
    dashboard.button("Show only its requests").click()

    dashboard.shows("#requests-count", "2 of 3")
    dashboard.shows("#receipts-count", "1 of 2")


def test_accounts_are_told_apart(
    dashboard: Screen, create: Callable[..., str], ask: Callable[..., dict[str, Any]], sandbox: Sandbox
) -> None:
    other = sandbox.add_account("second", name="Second shop")
    create()
    ask("create", x_auth=f"second:{other.pos_key}", amount=100, account={})
    dashboard.shows("#accounts", "Second shop")

    dashboard.at("#account").select_option("second")

    dashboard.shows("#receipts-count", "1 of 2")
    dashboard.shows("#receipts li", "1.00 UZS")
    assert other.pos_key not in dashboard.page.content()


def test_what_a_till_sends_is_never_html(dashboard: Screen, create: Callable[..., str]) -> None:
    hostile = "<img src=x onerror=alert(1)><b>bold</b>"

    create(**{hostile: hostile})
    dashboard.at("#receipts .pick").click()

    dashboard.shows("#details", "<b>bold</b>")
    assert dashboard.at(".lists b, .lists img, #details b, #details img").count() == 0


def test_thousands_of_receipts_are_few_rows_and_the_page_answers_at_once(
    dashboard: Screen, create: Callable[..., str], sandbox: Sandbox
) -> None:
    for number in range(3_000):
        sandbox.bank.call(sandbox.now_ms(), "receipts.create", {"amount": 100 + number, "account": {"n": number}})
    newest = create(order_id="last")
    dashboard.page.reload()

    dashboard.shows("#receipts-count", "3001 of 3001")
    dashboard.shows("#receipts li", newest)
    assert dashboard.at("#receipts li").count() == 100
    dashboard.at("#receipts-older").click()
    assert dashboard.at("#receipts li").count() == 200
    took_ms = dashboard.page.evaluate(
        """async () => {
            const began = performance.now();
            document.querySelector("#find").value = "last";
            document.querySelector("#find").dispatchEvent(new Event("input", { bubbles: true }));
            while (document.querySelectorAll("#receipts li").length !== 1) await new Promise(requestAnimationFrame);
            return performance.now() - began;
        }"""
    )
    assert took_ms < 1_000


def test_rows_keep_the_focus_while_the_list_changes(dashboard: Screen, create: Callable[..., str]) -> None:
    create(order_id="first")
    dashboard.at("#receipts .pick").focus()

    create(order_id="second")

    dashboard.shows("#receipts-count", "2 of 2")
    assert "first" in dashboard.focused()


def test_a_row_that_changes_keeps_the_focus(dashboard: Screen, create: Callable[..., str]) -> None:
    create(order_id="first")
    create(order_id="second")
    dashboard.at("#receipts [data-action=pay]").last.focus()

    dashboard.page.keyboard.press("Enter")

    dashboard.shows("#receipts li", "first.*Paid · 4")
    assert "first" in dashboard.focused()
