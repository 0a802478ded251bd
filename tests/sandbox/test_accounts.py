"""Several merchant accounts in one bank: each sees only its own receipts; the buyer's codes belong to none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.sandbox import Sandbox
from tests.sandbox.conftest import NOW

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client

FIRST, SECOND = "shop-1", "shop-2"


@pytest.fixture
def two() -> Sandbox:
    sandbox = Sandbox(pos_id=FIRST, pos_key="key-1", clock=lambda: NOW)
    sandbox.add_account(SECOND, "key-2", "Second shop")
    return sandbox


def ask(sandbox: Sandbox, x_auth: str, method: str, **params: object) -> Any:  # noqa: ANN401 - any JSON
    body = json.dumps({"id": 1, "method": f"receipts.{method}", "params": params}).encode()
    arrival = sandbox.receive(body, x_auth.encode(), 1)
    return arrival.refusal if arrival.call is None else sandbox.carry_out(arrival.call)


def create(sandbox: Sandbox, x_auth: str) -> str:
    receipt_id: str = ask(sandbox, x_auth, "create", amount=100, account={})["result"]["receipt"]["_id"]
    return receipt_id


@pytest.mark.parametrize("method", ["check", "get", "pay", "cancel", "set_fiscal_data"])
def test_a_receipt_of_another_account_does_not_exist(two: Sandbox, method: str) -> None:
    receipt_id, code = create(two, "shop-1:key-1"), two.issue_code()
    more: dict[str, object] = {"token": code} if method == "pay" else {"fiscal_data": {}}

    answer = ask(two, "shop-2:key-2", method, id=receipt_id, **more)

    assert answer["error"]["code"] == -31602
    assert two.receipts()[0].state == 0
    assert ask(two, "shop-1:key-1", "pay", id=receipt_id, token=code)["result"]["receipt"]["state"] == 4


def test_a_list_has_only_the_receipts_of_its_account(two: Sandbox) -> None:
    made = {x_auth: [create(two, x_auth) for _ in range(3)] for x_auth in ("shop-1:key-1", "shop-2:key-2")}

    for x_auth, receipts in made.items():
        listed = ask(two, x_auth, "get_all", **{"from": 0, "to": 2 * NOW, "offset": 1})["result"]
        assert [one["_id"] for one in listed] == receipts[1:]


def test_a_receipt_names_its_account(two: Sandbox) -> None:
    receipt = ask(two, "shop-2:key-2", "create", amount=5, account={})["result"]["receipt"]

    assert (receipt["merchant"]["_id"], receipt["merchant"]["name"]) == (SECOND, "Second shop")
    assert receipt["meta"]["owner"] == SECOND
    assert [one.pos_id for one in two.receipts()] == [SECOND]


def test_a_code_pays_at_any_account_but_only_once(two: Sandbox) -> None:
    code = two.issue_code()
    paid = ask(two, "shop-2:key-2", "pay", id=create(two, "shop-2:key-2"), token=code)
    again = ask(two, "shop-1:key-1", "pay", id=create(two, "shop-1:key-1"), token=code)

    assert (paid["result"]["receipt"]["state"], again["error"]["code"]) == (4, -31103)


@pytest.mark.parametrize("x_auth", ["shop-1:key-2", "shop-2:key-1", "shop-2", "shop-3:key-2", ":", "shop-2:key-2 "])
def test_the_key_of_another_account_opens_nothing(two: Sandbox, x_auth: str) -> None:
    assert ask(two, x_auth, "create", amount=100, account={})["error"]["code"] == -32504
    assert (two.receipts(), two.requests[-1].authorised) == ((), False)
    assert two.requests[-1].pos_id in {None, x_auth.partition(":")[0]}


def test_the_log_names_the_account_of_a_request(two: Sandbox) -> None:
    create(two, "shop-2:key-2")
    ask(two, "shop-9:key-2", "check", id="x")

    assert [(request.pos_id, request.authorised) for request in two.requests] == [(SECOND, True), (None, False)]


def test_accounts_are_added_over_http_and_only_that_answer_has_the_key(client: Client, sandbox: Sandbox) -> None:
    status, added = client.control("/sandbox/v1/accounts", {"pos_id": "till-77"})
    named = client.control("/sandbox/v1/accounts", {"pos_id": "till-78", "pos_key": "k", "name": "Магазин"})[1]

    assert (status, set(added)) == (200, {"pos_id", "pos_key", "name"})
    assert (len(added["pos_key"]), added["name"]) == (36, "till-77")
    assert named == {"pos_id": "till-78", "pos_key": "k", "name": "Магазин"}
    listed = client.read("/sandbox/v1/accounts")
    assert listed[0] == {"pos_id": sandbox.pos_id, "name": "Sandbox"}
    assert listed[-2:] == [{"pos_id": "till-77", "name": "till-77"}, {"pos_id": "till-78", "name": "Магазин"}]
    for path in ("/sandbox/v1", "/sandbox/v1/requests", "/sandbox/v1/receipts"):
        assert added["pos_key"] not in repr(client.read(path))
    assert added["pos_key"] not in repr(sandbox.accounts)
    client.x_auth = f"till-77:{added['pos_key']}"
    assert client.state(client.create()) == 0
