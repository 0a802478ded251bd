"""Every fault as the other end of the wire sees it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import urllib3

from payme_plugin.sandbox import FaultKind, InjectedFault

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.sandbox.conftest import Client

PAY = "receipts.pay"
SHORT_S = 0.15


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
