"""The control calls over HTTP, for those who run the sandbox as a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, Fault, FaultKind

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.sandbox.conftest import Kassa


@pytest.mark.parametrize(
    ("document", "behaviour"),
    [
        ({}, Behaviour()),
        ({"behaviour": "confirms", "after_s": 3}, Behaviour(BuyerAction.CONFIRMS, after_s=3.0)),
        ({"behaviour": "fails", "error_code": -31400}, Behaviour(BuyerAction.FAILS, error_code=-31400)),
        ({"behaviour": "never-answers"}, Behaviour(BuyerAction.NEVER_ANSWERS)),
        (
            {"cancel": {"settle_s": 2.5, "turns_back_after_s": 1, "busy_with": -31800}},
            Behaviour(cancel=CancelPlan(settle_s=2.5, turns_back_after_s=1.0, busy_with=-31800)),
        ),
        ({"cancel": {"refused_with": -31800}}, Behaviour(cancel=CancelPlan(refused_with=-31800))),
    ],
)
def test_a_code_is_issued_with_its_behaviour(
    kassa: Kassa, sandbox: Sandbox, document: dict[str, object], behaviour: Behaviour
) -> None:
    status, answer = kassa.control("/sandbox/codes", document)

    assert status == 200
    known = sandbox.bank.code(answer["code"])
    assert known is not None
    assert known.behaviour == behaviour


def test_a_fault_is_injected_listed_and_cleared(kassa: Kassa, sandbox: Sandbox) -> None:
    kassa.control("/sandbox/faults", {"kind": "answer-lost", "method": "receipts.pay", "times": None, "skip": 1})

    assert sandbox.faults == (Fault(FaultKind.ANSWER_LOST, "receipts.pay", times=None, skip=1),)
    listed = kassa.read("/sandbox/faults")
    assert [(one["kind"], one["method"], one["times"]) for one in listed] == [("answer-lost", "receipts.pay", None)]
    assert kassa.control("/sandbox/faults", listed[0])[0] == 200
    assert kassa.read("/sandbox/faults", "DELETE") == []
    assert not sandbox.faults


def test_requests_and_receipts_are_shown_without_a_code(kassa: Kassa, sandbox: Sandbox) -> None:
    receipt_id, code = kassa.create(900), sandbox.issue_code()
    kassa.call("receipts.pay", {"id": receipt_id, "token": code})

    requests, receipts = kassa.read("/sandbox/requests"), kassa.read("/sandbox/receipts")

    assert requests[-1]["method"] == "receipts.pay"
    assert requests[-1]["params"]["id"] == receipt_id
    assert next(one for one in receipts if one["receipt_id"] == receipt_id)["held"] == 900
    assert code not in repr((requests, receipts))


@pytest.mark.parametrize(
    ("path", "document", "said"),
    [
        ("/sandbox/codes", {"behaviour": "pay"}, "behaviour is 'pay': allowed are pays, confirms, declines"),
        ("/sandbox/codes", {"behavior": "pays"}, "unknown key 'behavior'"),
        ("/sandbox/codes", {"behaviour": "confirms"}, "after_s is 0.0: seconds from 0.01"),
        ("/sandbox/codes", {"after_s": "3"}, "after_s is '3': a number"),
        ("/sandbox/codes", {"after_s": 10**400}, "after_s is too large"),
        ("/sandbox/codes", {"error_code": 1.5}, "error_code is 1.5: a whole number"),
        ("/sandbox/codes", {"cancel": 5}, "cancel must be an object"),
        ("/sandbox/codes", {"cancel": {"settles": 5}}, "unknown key 'settles'"),
        ("/sandbox/faults", {}, "kind is None: allowed are request-lost"),
        ("/sandbox/faults", {"kind": "html", "method": 1}, "method must be a text"),
        ("/sandbox/faults", {"kind": "html", "times": 0}, "times is 0"),
        ("/sandbox/faults", {"kind": "html", "skip": True}, "skip is True: a whole number"),
        ("/phone/status", {}, "code must be a text"),
        ("/phone/answer", {"code": "1"}, "confirms must be true or false"),
    ],
)
def test_a_call_that_can_not_be_used_says_why(kassa: Kassa, path: str, document: dict[str, Any], said: str) -> None:
    status, answer = kassa.control(path, document)

    assert status == 400
    assert said in answer["error"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_refused(kassa: Kassa, body: bytes) -> None:
    assert kassa.post(body, "/sandbox/codes").status == 400


def test_a_fault_without_times_befalls_once_and_one_with_null_for_ever(kassa: Kassa, sandbox: Sandbox) -> None:
    kassa.control("/sandbox/faults", {"kind": "answer-lost", "method": "receipts.pay"})
    kassa.control("/sandbox/faults", {"kind": "answer-lost", "method": "receipts.cancel", "times": None})
    kassa.control("/sandbox/faults", {"kind": "answer-lost", "method": "receipts.get", "times": 3})

    assert [fault.times for fault in sandbox.faults] == [1, None, 3]
