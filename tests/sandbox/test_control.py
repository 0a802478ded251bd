"""The control calls over HTTP, for those who run the sandbox as a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
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
