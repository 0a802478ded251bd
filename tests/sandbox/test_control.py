"""The control calls over HTTP, for those who run the sandbox as a command."""

from __future__ import annotations

import json
import socket
from importlib.metadata import version
from typing import Any

import pytest
import urllib3

from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault, Sandbox
from tests.sandbox.conftest import Client


def test_a_code_is_issued_with_its_behaviour(client: Client, sandbox: Sandbox) -> None:
    cancel = {"settle_s": 2.5, "refused_with": -31630, "turns_back_after_s": 1, "busy_with": -31800}

    status, answer = client.control("/sandbox/v1/codes", {"behaviour": "confirms", "after_s": 3, "cancel": cancel})

    known = sandbox.bank.code(answer["code"])
    assert status == 200
    assert known is not None
    plan = CancelPlan(settle_s=2.5, refused_with=-31630, turns_back_after_s=1.0, busy_with=-31800)
    assert known.behaviour == Behaviour(BuyerAction.CONFIRMS, after_s=3.0, cancel=plan)


def test_a_fault_is_injected_listed_and_cleared(client: Client, sandbox: Sandbox) -> None:
    client.control("/sandbox/v1/faults", {"kind": "answer-lost", "method": "receipts.pay", "times": None, "skip": 1})

    assert sandbox.faults == (InjectedFault(FaultKind.ANSWER_LOST, "receipts.pay", times=None, skip=1),)
    listed = client.read("/sandbox/v1/faults")
    assert [(one["kind"], one["method"], one["times"]) for one in listed] == [("answer-lost", "receipts.pay", None)]
    assert client.read("/sandbox/v1/faults", "DELETE") == []
    assert not sandbox.faults


def test_requests_and_receipts_are_shown_without_a_code(client: Client, sandbox: Sandbox) -> None:
    receipt_id, code = client.create(900), sandbox.issue_code()
    client.call("receipts.pay", {"id": receipt_id, "token": code})

    requests, receipts = client.read("/sandbox/v1/requests"), client.read("/sandbox/v1/receipts")

    assert requests[-1]["method"] == "receipts.pay"
    assert requests[-1]["params"]["id"] == receipt_id
    assert next(one for one in receipts if one["receipt_id"] == receipt_id)["held"] == 900
    assert code not in repr((requests, receipts))


@pytest.mark.parametrize(
    ("path", "document", "said"),
    [
        ("/sandbox/v1/codes", {"behaviour": "pay"}, "body.behaviour: must be one of pays, confirms, declines"),
        ("/sandbox/v1/codes", {"behavior": "pays"}, "body: has 'behavior'; allowed are behaviour, after_s"),
        ("/sandbox/v1/codes", {"behaviour": "confirms"}, "after_s is 0.0: seconds from 0.01"),
        ("/sandbox/v1/codes", {"after_s": "3"}, "body.after_s: must be a number"),
        ("/sandbox/v1/codes", {"cancel": {"settles": 5}}, "body.cancel: has 'settles'; allowed are settle_s"),
        ("/sandbox/v1/codes", {"cancel": {"settle_s": -1}}, "settle_s is -1.0: seconds from 0"),
        ("/sandbox/v1/faults", {}, "body: has no kind"),
        ("/sandbox/v1/faults", {"kind": "html", "times": 0}, "times is 0"),
        ("/sandbox/v1/faults", {"kind": "html", "skip": True}, "body.skip: must be an integer"),
        ("/sandbox/v1/codes", {"phone": 5}, "phone"),
        ("/sandbox/v1/phones", {"balance": -1}, "balance is -1: 0 to"),
        ("/sandbox/v1/phones", {"card": "8600 0609"}, "card: 12 to 19 digits"),
        ("/sandbox/v1/phones", {"phone": "+998"}, "phone: 5 to 15 digits"),
        ("/sandbox/v1/accounts", {}, "body: has no pos_id"),
        ("/sandbox/v1/accounts", {"pos_id": "a:b"}, "pos_id is 'a:b': 1 to 64 letters"),
        ("/sandbox/v1/accounts", {"pos_id": "a", "pos_key": "a b"}, "pos_key: 1 to 200 printable"),
        ("/sandbox/v1/accounts", {"pos_id": "65aa00112233445566778899"}, "there is an account with this id"),
        ("/sandbox/v1/server", {"away": 1}, "away"),
        ("/sandbox/v1/server", {"a": 1}, "body: has 'a'; allowed are away"),
    ],
)
def test_a_call_that_can_not_be_used_says_why(client: Client, path: str, document: dict[str, Any], said: str) -> None:
    status, answer = client.control(path, document)

    assert status == 400
    assert answer["error"]["code"] == -32602
    assert said in answer["error"]["data"]


def act(client: Client, receipt_id: str, action: str) -> Any:  # noqa: ANN401 - any JSON
    status, answer = client.control(f"/sandbox/v1/receipts/{receipt_id}", {"do": action})
    assert status == (400 if "error" in answer else 200)
    return answer["error"]["data"] if "error" in answer else (answer["state"], answer["held"])


def charge(client: Client, sandbox: Sandbox, behaviour: Behaviour) -> str:
    receipt_id = client.create(700)
    client.call("receipts.pay", {"id": receipt_id, "token": sandbox.issue_code(behaviour)})
    return receipt_id


NEVER_ANSWERS = Behaviour(BuyerAction.NEVER_ANSWERS)
LACKS_FUNDS = Behaviour(BuyerAction.LACKS_FUNDS)
DECLINES_LATER = Behaviour(BuyerAction.DECLINES, after_s=3_600.0)
REFUSES_CANCEL = Behaviour(cancel=CancelPlan(refused_with=-31800))


@pytest.mark.parametrize(
    ("behaviour", "action", "becomes"),
    [
        (NEVER_ANSWERS, "confirm", (4, 700)),
        (NEVER_ANSWERS, "decline", (50, 0)),
        (NEVER_ANSWERS, "pay", (4, 700)),
        (NEVER_ANSWERS, "cancel", (50, 0)),
        (DECLINES_LATER, "pay", (4, 700)),
        (LACKS_FUNDS, "pay", (4, 700)),
        (LACKS_FUNDS, "cancel", (50, 0)),
        (REFUSES_CANCEL, "cancel", (50, 0)),
        (LACKS_FUNDS, "confirm", "the receipt is in state 0: confirm is possible only in state 1"),
        (REFUSES_CANCEL, "decline", "the receipt is in state 4: decline is possible only in state 1"),
        (REFUSES_CANCEL, "pay", "the receipt is in state 4: pay is possible only in state 0 or 1"),
    ],
)
def test_the_dashboard_does_what_the_buyer_or_the_bank_might_do(
    client: Client, sandbox: Sandbox, behaviour: Behaviour, action: str, becomes: object
) -> None:
    assert act(client, charge(client, sandbox, behaviour), action) == becomes


def test_a_receipt_that_the_bank_cancelled_stays_so(client: Client, sandbox: Sandbox) -> None:
    receipt_id = client.create()
    act(client, receipt_id, "cancel")

    assert act(client, receipt_id, "cancel") == "a cancelled receipt stays in state 50"
    assert act(client, receipt_id, "pay") == "the receipt is in state 50: pay is possible only in state 0 or 1"
    assert client.call("receipts.get", {"id": receipt_id})["result"]["receipt"]["meta"].get("source_cancel") is None


def test_a_late_payment_is_one_of_the_phone_whose_code_was_sent_and_within_its_balance(
    client: Client, sandbox: Sandbox
) -> None:
    phone_id = sandbox.add_phone(1_000).phone_id
    receipts = [client.create(600), client.create(600), client.create(600)]
    for receipt_id in receipts[:2]:
        client.call("receipts.pay", {"id": receipt_id, "token": sandbox.issue_code(LACKS_FUNDS, phone_id)})

    assert [act(client, one, "pay") for one in receipts] == [
        (4, 600),
        "the phone's balance is too low for the receipt",
        (4, 600),
    ]
    assert sandbox.phone(phone_id).balance == 400
    assert [one.phone_id for one in sandbox.receipts()[-3:]] == [phone_id, None, None]


def test_a_late_payment_is_cancelled_as_its_code_says(client: Client, sandbox: Sandbox) -> None:
    refuses = Behaviour(BuyerAction.LACKS_FUNDS, cancel=CancelPlan(refused_with=-31800))
    receipt_id = charge(client, sandbox, refuses)
    act(client, receipt_id, "pay")

    assert client.call("receipts.cancel", {"id": receipt_id})["error"]["code"] == -31800
    assert client.state(receipt_id) == 4


def test_receipts_are_chosen_by_account_state_and_number(client: Client, sandbox: Sandbox) -> None:
    if sandbox.bank.account("chosen") is None:
        sandbox.add_account("chosen", "k")
    client.x_auth = "chosen:k"
    receipts = [client.create() for _ in range(4)]
    act(client, receipts[1], "cancel")

    def chosen(query: str) -> list[str]:
        return [one["receipt_id"] for one in client.read(f"/sandbox/v1/receipts?pos_id=chosen{query}")][-4:]

    assert chosen("") == receipts
    assert chosen("&limit=2") == receipts[2:]
    assert chosen("&limit=0") == []
    assert receipts[1] in chosen("&state=50")
    assert receipts[0] not in chosen("&state=50")
    assert client.read("/sandbox/v1/receipts?pos_id=nobody") == []


def test_a_receipt_shows_the_steps_that_it_took(client: Client, sandbox: Sandbox) -> None:
    receipt_id = charge(client, sandbox, NEVER_ANSWERS)
    act(client, receipt_id, "confirm")
    (shown,) = (one for one in client.read("/sandbox/v1/receipts") if one["receipt_id"] == receipt_id)

    assert [step["state"] for step in shown["steps"]] == [0, 1, 2, 3, 4]
    assert all(set(step) == {"at_ms", "state"} for step in shown["steps"])
    assert shown["steps"][0]["at_ms"] == shown["created_ms"]


def test_requests_are_read_on_from_a_number_with_their_answers(client: Client, sandbox: Sandbox) -> None:
    client.create()
    last = client.read("/sandbox/v1/requests")[-1]["number"]
    receipt_id = client.create()
    client.call("receipts.check", {"id": "none"})

    after = client.read(f"/sandbox/v1/requests?after={last}")
    assert [(one["number"], one["method"]) for one in after] == [
        (last + 1, "receipts.create"),
        (last + 2, "receipts.check"),
    ]
    assert after[0]["answer"]["result"]["receipt"]["_id"] == receipt_id
    assert (after[1]["status"], after[1]["answer"]["error"]["code"]) == (200, -31602)
    assert client.read(f"/sandbox/v1/requests?after={last}&limit=1") == after[1:]
    assert all(0 <= one["took_ms"] < 60_000 for one in after)


def test_a_request_without_an_answer_has_none_in_the_log(client: Client, sandbox: Sandbox) -> None:
    sandbox.inject(InjectedFault(FaultKind.ANSWER_LOST))
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.create()
    shown = client.read("/sandbox/v1/requests")[-1]

    assert (shown["status"], shown["answer"], shown["fault"]) == (None, None, "answer-lost")
    assert shown["took_ms"] is not None


def test_a_body_that_is_not_a_request_is_in_the_log_without_a_method(client: Client, sandbox: Sandbox) -> None:
    client.post(b"[")
    shown = client.read("/sandbox/v1/requests")[-1]

    assert (shown["method"], shown["params"], shown["authorised"]) == ("", {}, True)
    assert shown["answer"]["error"]["code"] == -32700


def test_a_server_that_is_away_cuts_tills_at_once_and_comes_back_with_its_receipts() -> None:
    with Sandbox() as own, urllib3.HTTPConnectionPool("127.0.0.1", own.port, maxsize=2) as pool:
        client = Client(pool, f"{own.pos_id}:{own.pos_key}")
        receipt_id = client.create()
        with socket.create_connection(("127.0.0.1", own.port), timeout=10) as idle:
            body = b'{"id": 1, "method": "receipts.check", "params": {}}'
            idle.sendall(b"POST /api HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            assert idle.recv(10_000)

            assert client.control("/sandbox/v1/server", {"away": True})[1]["away"] is True
            assert idle.recv(1) == b""
        for _ in range(2):
            with pytest.raises(urllib3.exceptions.ProtocolError):
                client.create()
        assert client.read("/sandbox/v1")["away"] is True
        assert len(client.read("/sandbox/v1/receipts")) == 1
        assert client.control("/sandbox/v1/server", {"away": False})[1]["away"] is False
        assert client.state(receipt_id) == 0


def test_the_first_call_says_what_is_served(client: Client, sandbox: Sandbox) -> None:
    shown = client.read("/sandbox/v1/")

    assert list(shown) == ["api", "version", "url", "phone_url", "dashboard_url", "away", "accounts", "now_ms"]
    assert (shown["api"], shown["version"]) == (1, version("payme-plugin"))
    assert [shown["url"], shown["phone_url"], shown["dashboard_url"]] == [
        sandbox.url,
        sandbox.phone_url,
        sandbox.dashboard_url,
    ]
    assert abs(shown["now_ms"] - sandbox.now_ms()) < 60_000


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("GET", "/accounts"), ("DELETE", "/faults"), ("DELETE", "/faults/1")]
)
def test_a_call_without_members_refuses_a_body_that_has_some(client: Client, method: str, path: str) -> None:
    answer = client.pool.urlopen(method, f"/sandbox/v1{path}", body=b'{"kind": "html"}', retries=False)

    assert (answer.status, json.loads(answer.data)["error"]["data"]) == (400, "body: has 'kind'; allowed are none")


def test_the_events_refuse_a_query(client: Client) -> None:
    answer = client.pool.urlopen("GET", "/sandbox/v1/events?after=3", retries=False, preload_content=False)

    assert answer.status == 400


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8765", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("dashboard.localhost", 200),
        ("[::1]:8765", 200),
        ("till.example:8765", 403),
        ("127.0.0.1.till.example", 403),
    ],
)
def test_a_name_that_may_lead_from_another_site_to_loopback_is_refused(client: Client, host: str, status: int) -> None:
    answer = client.pool.urlopen("GET", "/sandbox/v1/requests", headers={"Host": host}, retries=False)

    assert answer.status == status


def test_the_name_or_network_that_the_sandbox_was_told_to_serve_is_allowed() -> None:
    for host in ("localhost", "0.0.0.0"):  # noqa: S104 - what this is about
        with Sandbox(host=host) as sandbox, urllib3.HTTPConnectionPool("127.0.0.1", sandbox.port) as pool:
            name = "localhost" if host == "localhost" else "till.example"
            assert pool.urlopen("GET", "/sandbox/v1/requests", headers={"Host": name}, retries=False).status == 200


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-origin", 200), ("none", 200)])
def test_a_page_of_another_site_can_not_change_the_sandbox(client: Client, site: str, status: int) -> None:
    headers = {"Sec-Fetch-Site": site, "Content-Type": "text/plain"}
    answer = client.pool.urlopen("POST", "/sandbox/v1/codes", body=b"{}", headers=headers, retries=False)

    assert answer.status == status
    assert client.pool.urlopen("GET", "/", headers=headers, retries=False).status == 200
