"""Every fault as the other end of the wire sees it."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from payme_plugin.sandbox import SANDBOX_POS_ID, Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault
from tests.sandbox.conftest import NOW, ask, create

if TYPE_CHECKING:
    from payme_plugin.sandbox import Bank, Sandbox
    from tests.sandbox.conftest import Client

PAY = "receipts.pay"
SHORT_S = 0.15


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came: its head, what its head says of the body's length, and the body."""

    head: bytes
    length: int
    body: bytes

    @property
    def whole(self) -> bytes:
        return self.head + b"\r\n\r\n" + self.body


def exchange(client: Client, method: str, params: dict[str, object]) -> tuple[RawAnswer, bytes]:
    """Send a request on a socket of its own; return the first answer, and what else comes before it closes."""
    body = json.dumps({"id": 12, "method": method, "params": params}).encode()
    request = f"POST /api HTTP/1.1\r\nX-Auth: {client.x_auth}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with socket.create_connection(("127.0.0.1", client.pool.port or 0), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            head, _, content = stream.read().partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return RawAnswer(head, length, content[:length]), content[length:]


class Attempt:
    """One receipt and one code, ready to be paid under a fault."""

    def __init__(self, client: Client, sandbox: Sandbox) -> None:
        self.client = client
        self.sandbox = sandbox
        self.receipt_id = client.create(700)
        self.code = sandbox.issue_code()
        self.params: dict[str, object] = {"id": self.receipt_id, "token": self.code}

    def under(self, fault: InjectedFault) -> Attempt:
        self.sandbox.inject(fault)
        return self

    @property
    def charged(self) -> bool:
        return self.sandbox.held(self.receipt_id) == 700


@pytest.fixture
def attempt(client: Client, sandbox: Sandbox) -> Attempt:
    return Attempt(client, sandbox)


@pytest.mark.parametrize(("kind", "charged"), [(FaultKind.REQUEST_LOST, False), (FaultKind.ANSWER_LOST, True)])
def test_a_lost_request_or_answer_closes_the_connection_without_a_byte(
    attempt: Attempt, client: Client, kind: FaultKind, charged: bool
) -> None:
    attempt.under(InjectedFault(kind, PAY))

    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.call(PAY, attempt.params)
    assert attempt.charged is charged
    assert client.state(attempt.receipt_id) == (4 if charged else 0)


@pytest.mark.parametrize(("kind", "charged"), [(FaultKind.SILENT, False), (FaultKind.SILENT_AFTER_EFFECT, True)])
def test_silence_lasts_as_long_as_the_client_waits(
    attempt: Attempt, client: Client, kind: FaultKind, charged: bool
) -> None:
    attempt.under(InjectedFault(kind, PAY))

    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        client.call(PAY, attempt.params, timeout_s=SHORT_S)
    assert attempt.charged is charged


def test_a_late_answer_comes_after_an_effect_in_time(attempt: Attempt, client: Client) -> None:
    attempt.under(InjectedFault(FaultKind.ANSWER_DELAYED, PAY, after_s=SHORT_S))
    began = time.monotonic()

    assert client.call(PAY, attempt.params)["result"]["receipt"]["state"] == 4
    assert time.monotonic() - began >= SHORT_S
    receipt = next(one for one in attempt.sandbox.receipts() if one.receipt_id == attempt.receipt_id)
    assert receipt.paid_ms < attempt.sandbox.now_ms() - SHORT_S * 1000 / 2


def test_a_late_request_has_its_effect_after_the_client_has_gone(attempt: Attempt, client: Client) -> None:
    attempt.under(InjectedFault(FaultKind.REQUEST_DELAYED, PAY, after_s=10 * SHORT_S))

    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        client.call(PAY, attempt.params, timeout_s=SHORT_S)
    assert client.state(attempt.receipt_id) == 0
    until = time.monotonic() + 5
    while client.state(attempt.receipt_id) == 0 and time.monotonic() < until:
        time.sleep(0.01)
    assert attempt.charged


@pytest.mark.parametrize(
    ("kind", "charged"),
    [
        (FaultKind.ERROR, False), (FaultKind.ERROR_AFTER_EFFECT, True), (FaultKind.HTTP_ERROR, False),
        (FaultKind.HTTP_ERROR_AFTER_EFFECT, True), (FaultKind.HTML, False), (FaultKind.HTML_AFTER_EFFECT, True),
    ],
)  # fmt: skip
def test_an_error_or_a_page_comes_instead_of_the_effect_or_after_it(
    attempt: Attempt, client: Client, kind: FaultKind, charged: bool
) -> None:
    attempt.under(InjectedFault(kind, PAY, error_code=-31623, status=302))

    answer = client.post(json.dumps({"id": 12, "method": PAY, "params": attempt.params}).encode())

    assert attempt.charged is charged
    assert answer.status == (302 if kind.name.startswith("HTTP") else 200)
    if kind.name.startswith("ERROR"):
        error = json.loads(answer.data)
        assert (error["id"], error["error"]["code"]) == (12, -31623)
    if kind.name.startswith("HTML"):
        assert answer.data.startswith(b"<!doctype html>")


@pytest.mark.parametrize(("request_id", "foreign"), [(12, 13), ("a", "a-of-another")])
def test_an_answer_may_have_another_id_or_none(
    attempt: Attempt, client: Client, request_id: object, foreign: object
) -> None:
    attempt.under(InjectedFault(FaultKind.FOREIGN_ID, PAY))

    answer = client.call(PAY, attempt.params, request_id=request_id)

    assert answer["id"] == foreign
    assert attempt.charged
    attempt.under(InjectedFault(FaultKind.WITHOUT_ID))
    assert set(client.call("receipts.check", {"id": attempt.receipt_id})) == {"jsonrpc", "result"}


def test_an_answer_may_speak_of_another_receipt_which_is_paid(attempt: Attempt, client: Client) -> None:
    attempt.under(InjectedFault(FaultKind.FOREIGN_RECEIPT, times=None))

    for method in ("receipts.get", "receipts.cancel"):
        receipt = client.call(method, {"id": attempt.receipt_id})["result"]["receipt"]
        assert receipt["_id"] != attempt.receipt_id
        assert receipt["amount"] != 700
        assert receipt["state"] == 4
    assert client.call("receipts.check", {"id": attempt.receipt_id})["result"] == {"state": 4}
    attempt.sandbox.clear_faults()
    assert client.state(attempt.receipt_id) == 50


@pytest.mark.parametrize(("kind", "charged"), [(FaultKind.MALFORMED, False), (FaultKind.MALFORMED_AFTER_EFFECT, True)])
def test_a_malformed_answer_is_json_that_ends_too_early(
    attempt: Attempt, client: Client, kind: FaultKind, charged: bool
) -> None:
    attempt.under(InjectedFault(kind, PAY))

    answer = client.post(json.dumps({"id": 12, "method": PAY, "params": attempt.params}).encode())

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.data.startswith(b'{"jsonrpc": "2.0"')
    assert len(answer.data) == int(answer.headers["content-length"])
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(answer.data)
    assert attempt.charged is charged


def test_a_truncated_answer_has_fewer_bytes_than_its_head_says(attempt: Attempt, client: Client) -> None:
    attempt.under(InjectedFault(FaultKind.TRUNCATED, PAY))

    answer, rest = exchange(client, PAY, attempt.params)

    assert 0 < len(answer.body) < answer.length
    assert answer.body.startswith(b'{"jsonrpc": "2.0"')
    assert (rest, attempt.charged) == (b"", True)
    attempt.under(InjectedFault(FaultKind.TRUNCATED))
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.call("receipts.check", {"id": attempt.receipt_id})


def test_a_duplicate_answer_comes_twice_on_the_connection_and_has_one_effect(attempt: Attempt, client: Client) -> None:
    attempt.under(InjectedFault(FaultKind.DUPLICATE_ANSWER, PAY))

    first, rest = exchange(client, PAY, attempt.params)

    assert json.loads(first.body)["result"]["receipt"]["state"] == 4
    assert rest == first.whole
    assert (attempt.charged, attempt.sandbox.pays(attempt.code)) == (True, 1)


def test_a_slow_answer_comes_in_pieces_without_a_pause_that_a_client_would_give_up_on(
    attempt: Attempt, client: Client
) -> None:
    lasts_s = 6 * SHORT_S
    attempt.under(InjectedFault(FaultKind.SLOW_ANSWER, PAY, after_s=lasts_s))
    began = time.monotonic()

    assert client.call(PAY, attempt.params, timeout_s=lasts_s / 2)["result"]["receipt"]["state"] == 4
    assert lasts_s <= time.monotonic() - began < lasts_s + 5
    receipt = next(one for one in attempt.sandbox.receipts() if one.receipt_id == attempt.receipt_id)
    assert receipt.paid_ms < attempt.sandbox.now_ms() - lasts_s * 1000 / 2


def test_a_stuck_payment_stays_in_state_1_until_somebody_moves_it(attempt: Attempt, client: Client) -> None:
    attempt.under(InjectedFault(FaultKind.STUCK, PAY))

    assert client.call(PAY, attempt.params)["result"]["receipt"]["state"] == 1
    assert (client.state(attempt.receipt_id), attempt.charged) == (1, False)
    assert attempt.sandbox.buyer_answers(attempt.code, confirms=True)
    assert (client.state(attempt.receipt_id), attempt.charged) == (4, True)


def test_a_stuck_cancellation_stays_in_state_21_and_keeps_the_money(attempt: Attempt, client: Client) -> None:
    client.call(PAY, attempt.params)
    attempt.sandbox.plan_cancel(attempt.receipt_id, CancelPlan(settle_s=0))
    attempt.under(InjectedFault(FaultKind.STUCK, "receipts.cancel"))

    cancelled = [client.call("receipts.cancel", {"id": attempt.receipt_id}) for _ in range(2)]

    assert [answer["result"]["receipt"]["state"] for answer in cancelled] == [21, 21]
    assert (client.state(attempt.receipt_id), attempt.charged) == (21, True)
    attempt.sandbox.put_state(attempt.receipt_id, 50)
    assert (client.state(attempt.receipt_id), attempt.charged) == (50, False)


def test_code_and_amount_of_another_accounts_receipt_select_nothing(attempt: Attempt, client: Client) -> None:
    other = attempt.sandbox.add_account(f"other-{attempt.receipt_id}")
    attempt.under(InjectedFault(FaultKind.HTML, "receipts.check", amount_min=700, amount_max=700))
    client.x_auth = f"{other.pos_id}:{other.pos_key}"

    assert client.call("receipts.check", {"id": attempt.receipt_id})["error"]["code"] == -31602


def test_a_stuck_cancellation_also_ends_the_payment_that_was_still_to_come(bank: Bank) -> None:
    receipt_id, code = create(bank), bank.issue_code(NOW, Behaviour(BuyerAction.CONFIRMS, after_s=10))
    ask(bank, "pay", {"id": receipt_id, "token": code})

    bank.call(NOW + 1, "receipts.cancel", {"id": receipt_id}, is_stuck=True)

    assert [bank.receipt(NOW + later_ms, receipt_id).state for later_ms in (1, 60_000)] == [21, 21]


def test_a_request_that_moves_no_receipt_is_answered_as_ever_under_a_stuck_fault(
    attempt: Attempt, client: Client
) -> None:
    attempt.under(InjectedFault(FaultKind.STUCK, times=None))

    assert client.state(client.create()) == 0
    assert client.state(attempt.receipt_id) == 0
    assert client.call(PAY, {**attempt.params, "id": "0"})["error"]["code"] == -31602
    assert client.call("receipts.cancel", {"id": attempt.receipt_id})["result"]["receipt"]["state"] == 50


@pytest.mark.parametrize(
    ("selector", "is_selected"),
    [
        ({"amount_min": 700, "amount_max": 700}, True),
        ({"amount_min": 701}, False),
        ({"pos_id": SANDBOX_POS_ID}, True),
        ({"pos_id": "1"}, False),
        ({"header": "content-length"}, True),
        ({"header": "via"}, False),
    ],
    ids=str,
)
def test_a_fault_selects_by_what_came_over_http(
    attempt: Attempt, client: Client, selector: dict[str, Any], is_selected: bool
) -> None:
    attempt.under(InjectedFault(FaultKind.ERROR, PAY, **selector))

    assert ("error" in client.call(PAY, attempt.params)) is is_selected


def test_code_and_amount_also_select_later_requests_about_the_receipt(attempt: Attempt, client: Client) -> None:
    other = client.create(701)
    attempt.under(InjectedFault(FaultKind.ERROR, "receipts.check", code=attempt.code))
    attempt.under(InjectedFault(FaultKind.ERROR, "receipts.cancel", amount_max=700))

    assert client.state(attempt.receipt_id) == 0, "it has no code yet"
    client.call(PAY, attempt.params)

    assert client.state(other) == 0
    assert "error" in client.call("receipts.check", {"id": attempt.receipt_id})
    assert "error" not in client.call("receipts.cancel", {"id": other})
    assert "error" in client.call("receipts.cancel", {"id": attempt.receipt_id})


def test_an_answer_that_speaks_of_no_receipt_is_left_alone(client: Client, sandbox: Sandbox) -> None:
    receipt_id = client.create()
    sandbox.inject(InjectedFault(FaultKind.FOREIGN_RECEIPT, times=None))
    fiscal = {"receipt_id": 1, "qr_code_url": "https://ofd.example"}

    assert client.call("receipts.get_all", {"from": 0, "to": 1})["result"] == []
    assert client.call("receipts.check", {"id": "0"})["error"]["code"] == -31602
    assert client.call("receipts.set_fiscal_data", {"id": receipt_id, "fiscal_data": fiscal})["result"] == {
        "success": True
    }


def test_a_fault_leaves_requests_with_a_wrong_key_alone(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(InjectedFault(FaultKind.HTML))
    body = json.dumps({"id": 1, "method": "receipts.check", "params": {}}).encode()

    assert json.loads(client.post(body, x_auth="x").data)["error"]["code"] == -32504
    assert len(sandbox.faults) == 1
