"""What the fixture ``paymego`` offers to a test of any client."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from payme_plugin.testing.paymego import PaymeGo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Call = Callable[..., dict[str, Any]]


@pytest.fixture
def served() -> Iterator[PaymeGo]:
    with PaymeGo() as served:
        yield served


@pytest.fixture
def call(served: PaymeGo) -> Iterator[Call]:
    """A client with the settings of the fixture and nothing else."""
    settings = served.settings
    with urllib3.PoolManager(headers={"X-Auth": f"{settings['posId']}:{settings['posKey']}"}) as pool:

        def ask(method: str, **params: object) -> dict[str, Any]:
            body = json.dumps({"id": 1, "method": f"receipts.{method}", "params": params})
            answer: dict[str, Any] = json.loads(pool.request("POST", settings["url"], body=body, retries=False).data)
            return answer

        yield ask


def create(call: Call, amount: int = 1_500_000) -> str:
    return str(call("create", amount=amount, account={"order_id": "3-118"})["result"]["receipt"]["_id"])


def test_the_settings_are_those_of_a_till(served: PaymeGo) -> None:
    assert list(served.settings) == ["url", "posId", "posKey", "paymentType"]
    assert served.settings["url"].startswith("http://127.0.0.1:")


def test_time_begins_with_the_machines_and_stands_still_until_the_test_moves_it(served: PaymeGo) -> None:
    begun_ms = served.now_ms

    served.advance(0.25)
    served.advance(86_400)

    assert served.now_ms == begun_ms + 86_400_250
    assert abs(begun_ms - time.time_ns() // 1_000_000) < 60_000


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_time_can_not_be_turned_back(served: PaymeGo, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"seconds is {seconds!r}: "):
        served.advance(seconds)


def test_a_code_works_for_30_seconds_of_the_servers_time(served: PaymeGo, call: Call) -> None:
    fresh, old = served.buyer().code(), served.buyer().code()

    served.advance(29.999)
    assert call("pay", id=create(call), token=fresh)["result"]["receipt"]["state"] == 4
    served.advance(0.001)
    assert call("pay", id=create(call), token=old)["error"]["code"] == -31101


def test_a_buyer_confirms_when_the_time_has_come(served: PaymeGo, call: Call) -> None:
    receipt_id = create(call)
    call("pay", id=receipt_id, token=served.buyer("confirms", after_s=3).code())

    assert (call("check", id=receipt_id)["result"]["state"], served.held) == (1, 0)
    served.advance(3)
    assert (call("check", id=receipt_id)["result"]["state"], served.held) == (4, 1_500_000)


@pytest.mark.parametrize(("confirms", "state", "held"), [(True, 4, 1_500_000), (False, 50, 0)])
def test_a_buyer_answers_by_hand(served: PaymeGo, call: Call, confirms: bool, state: int, held: int) -> None:
    buyer = served.buyer("never-answers")
    assert not buyer.confirm(), "nothing waits yet"
    receipt_id = create(call)
    call("pay", id=receipt_id, token=buyer.code())

    assert buyer.confirm() if confirms else buyer.decline()

    assert (call("check", id=receipt_id)["result"]["state"], served.held) == (state, held)


def test_each_code_of_a_buyer_is_another(served: PaymeGo) -> None:
    buyer = served.buyer()

    assert len({buyer.code() for _ in range(20)}) == 20


def test_a_buyer_pays_from_a_wallet_and_gets_the_money_back_into_it(served: PaymeGo, call: Call) -> None:
    buyer = served.buyer(balance=2_000_000, cancel={"settle_s": 0})
    receipt_id = create(call)
    call("pay", id=receipt_id, token=buyer.code())

    assert buyer.balance == 500_000
    assert call("pay", id=create(call), token=buyer.code())["error"]["code"] == -31630
    assert [receipt.error_code for receipt in buyer.receipts] == [-31630, None]

    call("cancel", id=receipt_id)
    assert (buyer.balance, buyer.receipts[1].state) == (2_000_000, 50)


def test_a_cancellation_goes_as_the_buyer_was_told(served: PaymeGo, call: Call) -> None:
    receipt_id = create(call)
    call("pay", id=receipt_id, token=served.buyer(cancel={"settle_s": 60}).code())

    assert call("cancel", id=receipt_id)["result"]["receipt"]["state"] == 21
    served.advance(59)
    assert served.receipts[0].state == 21
    served.advance(1)
    assert (served.receipts[0].state, served.held) == (50, 0)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"behaviour": "sleeps"}, "buyer.behaviour: must be one of pays, confirms"),
        ({"behaviour": "confirms"}, "after_s is 0.0: seconds from 0.01"),
        ({"behaviour": "fails"}, "error_code is required with the behaviour 'fails': a negative number"),
        ({"error_code": -31400}, "error_code goes with the behaviour 'fails' only"),
        ({"cancel": {"settles": 1}}, "buyer.cancel: has .settles.; allowed are settle_s"),
    ],
)
def test_a_buyer_who_can_not_be_is_refused_with_what_is_allowed(
    served: PaymeGo, wrong: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        served.buyer(**wrong)


def test_the_next_request_of_a_method_fails_and_is_logged_with_its_fault(served: PaymeGo, call: Call) -> None:
    receipt_id = create(call)
    served.fail("answer-lost", "receipts.pay")

    with pytest.raises(urllib3.exceptions.HTTPError):
        call("pay", id=receipt_id, token=served.buyer().code())

    assert call("check", id=receipt_id)["result"] == {"state": 4}
    assert [(request.method, request.fault and request.fault.value) for request in served.requests] == [
        ("receipts.create", None),
        ("receipts.pay", "answer-lost"),
        ("receipts.check", None),
    ]


def test_a_fault_takes_the_fields_of_its_rule(served: PaymeGo, call: Call) -> None:
    served.fail("error", skip=1, times=2, error_code=-31623)

    answers = [call("check", id="0" * 24)["error"]["code"] for _ in range(4)]

    assert answers == [-31602, -31623, -31623, -31602]


def test_a_fault_may_be_for_one_buyer(served: PaymeGo, call: Call) -> None:
    unlucky, other = served.buyer().code(), served.buyer().code()
    served.fail("error", "receipts.pay", code=unlucky, error_code=-31400)

    assert call("pay", id=create(call), token=other)["result"]["receipt"]["state"] == 4
    assert call("pay", id=create(call), token=unlucky)["error"]["code"] == -31400


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"kind": "explode"}, "fail.kind: must be one of request-lost"),
        ({"kind": "error", "time": 1}, "fail: has 'time'; allowed are kind, method"),
        ({"kind": "error", "status": 200}, "status is 200: 300 to 599"),
    ],
)
def test_a_fault_that_does_not_exist_is_refused_with_what_is_allowed(
    served: PaymeGo, rule: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        served.fail(**rule)


def test_the_log_has_a_line_for_each_request_without_code_and_key(served: PaymeGo, call: Call) -> None:
    buyer, poor = served.buyer(), served.buyer("lacks-funds")
    codes = [buyer.code(), poor.code()]
    assert served.log() == "none"

    receipt_id = create(call)
    served.fail("http-error", "receipts.check", status=503)
    with pytest.raises(json.JSONDecodeError):
        call("check", id=receipt_id)
    for code in reversed(codes):
        call("pay", id=receipt_id if code == codes[0] else create(call), token=code)
    served.fail("duplicate-answer", "receipts.check")
    call("check", id=receipt_id)
    call("get_all", **{"from": 0, "to": served.now_ms})

    assert [line.rpartition("}: ")[2] for line in served.log().splitlines()] == [
        "state 0",
        "HTTP 503, fault http-error",
        "state 0",
        "error -31630",
        "state 4",
        "state 4, fault duplicate-answer",
        "receipts: 2",
    ]
    assert 'receipts.create {"amount": 1500000, "account": {"order_id": "3-118"}}: state 0' in served.log()
    assert not [secret for secret in (*codes, served.settings["posKey"]) if secret in served.log()]
