"""The control calls about faults and scenarios over HTTP, and ``Sandbox.play``."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from payme_plugin.sandbox import (
    SANDBOX_POS_ID,
    Behaviour,
    BuyerAction,
    EventKind,
    FaultKind,
    InjectedFault,
    NewAccount,
    NewPhone,
    Sandbox,
    Scenario,
    ScenarioError,
)

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client

FAULTS = "/sandbox/v1/faults"
SCENARIO = "/sandbox/v1/scenario"
SHOWN = {
    "kind": "html",
    "method": None,
    "times": 1,
    "skip": 0,
    "after_s": 0.0,
    "error_code": -32400,
    "status": 500,
    "code": None,
    "amount_min": None,
    "amount_max": None,
    "pos_id": None,
    "header": None,
    "header_value": None,
    "probability": 1.0,
}


def test_a_fault_is_added_listed_and_deleted_by_its_number(client: Client, sandbox: Sandbox) -> None:
    status, first = client.control(FAULTS, {"kind": "html"})
    second = client.control(FAULTS, {"kind": "error", "amount_max": 5, "code": "12345678901234567890"})[1]

    assert (status, first) == (200, {"number": first["number"], **SHOWN})
    assert second == {**SHOWN, **second, "number": first["number"] + 1, "amount_max": 5, "code": "***7890"}
    assert client.read(FAULTS) == [first, second]
    assert client.read(f"{FAULTS}/{first['number']}", "DELETE") == [second]
    assert sandbox.faults == (InjectedFault(FaultKind.ERROR, amount_max=5, code="12345678901234567890"),)
    assert client.read(FAULTS, "DELETE") == []


@pytest.mark.parametrize("number", ["0", "-1", "999999", "x", "1.0", "٣", "9" * 5000, "%31"])
def test_a_fault_that_is_not_there_can_not_be_deleted(client: Client, sandbox: Sandbox, number: str) -> None:
    sandbox.inject(InjectedFault(FaultKind.HTML))
    answer = client.pool.urlopen("DELETE", f"{FAULTS}/{number}", retries=False)

    assert (answer.status, len(sandbox.faults)) == (404, 1)


def test_every_problem_of_a_fault_is_in_the_refusal(client: Client, sandbox: Sandbox) -> None:
    status, answer = client.control(FAULTS, {"kind": "htm", "times": "2", "until": 1})

    assert (status, answer["error"]["code"], sandbox.faults) == (400, -32602, ())
    said = answer["error"]["data"]
    assert said.startswith("body: has 'until'; allowed are kind, ")
    assert "; body.kind: must be one of request-lost, " in said
    assert said.endswith("; body.times: must be an integer")


def test_a_scenario_prepares_the_sandbox_whole() -> None:
    sandbox = Sandbox()
    sandbox.inject(InjectedFault(FaultKind.SILENT))
    played = sandbox.play(
        Scenario(
            faults=(InjectedFault(FaultKind.HTML, pos_id="shop-2"),),
            codes=(Behaviour(BuyerAction.LACKS_FUNDS),),
            accounts=(NewAccount("shop-2", "key-2", "Second shop"), NewAccount("shop-3")),
            phones=(NewPhone(500_000, "8600123412341234", "998901112233"), NewPhone()),
        )
    )

    assert sandbox.fault_rules == played.faults
    assert sandbox.faults == (InjectedFault(FaultKind.HTML, pos_id="shop-2"),)
    known = sandbox.bank.code(played.codes[0])
    assert known is not None
    assert known.behaviour == Behaviour(BuyerAction.LACKS_FUNDS)
    assert [(each.pos_id, each.name) for each in sandbox.accounts] == [
        (SANDBOX_POS_ID, "Sandbox"),
        ("shop-2", "Second shop"),
        ("shop-3", "shop-3"),
    ]
    assert [phone.balance for phone in played.phones] == [500_000, 100_000_000]
    assert played.phones[0] == sandbox.phone(played.phones[0].phone_id)
    assert not any(secret in repr(played) for secret in (*played.codes, "key-2", "8600123412341234"))


def test_a_scenario_may_be_played_again_on_its_accounts_and_its_faults_are_not_doubled() -> None:
    sandbox = Sandbox()
    scenario = Scenario(faults=(InjectedFault(FaultKind.HTML),), accounts=(NewAccount("shop-2", "key"),))
    first, second = sandbox.play(scenario), sandbox.play(scenario)

    assert first.accounts == second.accounts == sandbox.accounts[1:]
    assert sandbox.fault_rules == second.faults != first.faults
    assert sandbox.play(Scenario()).faults == ()
    assert sandbox.faults == ()


@pytest.mark.parametrize(
    ("accounts", "problem"),
    [
        ([{"pos_id": SANDBOX_POS_ID, "pos_key": "k"}], "accounts[0]: there is an account '65aa001122334455667788"),
        ([{"pos_id": "a", "name": "A"}, {"pos_id": "a", "name": "B"}], "accounts[1]: there is an account 'a' with "),
        ([{"pos_id": f"a{number}"} for number in range(1001)], "accounts: there would be "),
        ([{"pos_id": "a b"}], "accounts[0]: pos_id is 'a b': 1 to 64 letters"),
        ([{"pos_id": "a", "key": "b"}], "accounts[0]: has 'key'; allowed are pos_id, pos_key, name"),
        ([{"pos_id": "a", "pos_key": "a b"}], "accounts[0]: pos_key: 1 to 200 printable ASCII characters"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_scenario_with_a_problem_changes_nothing(
    client: Client, sandbox: Sandbox, accounts: list[dict[str, Any]], problem: str
) -> None:
    sandbox.inject(InjectedFault(FaultKind.SILENT))
    before = sandbox.accounts, sandbox.fault_rules
    document = {"v": 1, "accounts": accounts, "faults": [{"kind": "html"}], "phones": [{}], "codes": [{}]}
    status, answer = client.control(SCENARIO, document)

    assert (status, answer["error"]["code"]) == (400, -32602)
    assert answer["error"]["data"].startswith(problem)
    assert (sandbox.accounts, sandbox.fault_rules) == before


def test_a_scenario_over_http_answers_with_what_it_added(client: Client, sandbox: Sandbox) -> None:
    document = {"v": 1, "faults": [{"kind": "html", "times": None}], "codes": [{}], "phones": [{"balance": 7}]}
    status, played = client.control(SCENARIO, document)

    assert (status, list(played)) == (200, ["faults", "codes", "accounts", "phones"])
    assert played["faults"] == [{**SHOWN, "number": sandbox.fault_rules[0].number, "times": None}]
    assert sandbox.code(played["codes"][0]) is not None
    assert (played["accounts"], played["phones"][0]["balance"]) == ([], 7)


def test_a_scenario_over_http_does_not_tell_the_key_of_an_account_that_was_there() -> None:
    with Sandbox(pos_key="own-key") as sandbox, urllib3.HTTPConnectionPool("127.0.0.1", sandbox.port) as pool:
        accounts = [{"pos_id": sandbox.pos_id}, {"pos_id": "shop-2"}]
        body = json.dumps({"v": 1, "accounts": accounts}).encode()
        answer = json.loads(pool.urlopen("POST", SCENARIO, body=body, retries=False).data)

    assert answer["accounts"][0] == {"pos_id": sandbox.pos_id, "name": "Sandbox"}
    assert set(answer["accounts"][1]) == {"pos_id", "pos_key", "name"}
    assert "own-key" not in json.dumps(answer)


def test_readers_of_the_events_are_told_what_a_scenario_and_a_removal_change() -> None:
    with Sandbox() as sandbox:
        reader, _ = sandbox.subscribe()
        played = sandbox.play(
            Scenario(faults=(InjectedFault(FaultKind.HTML),), accounts=(NewAccount("shop-2"),), phones=(NewPhone(),))
        )
        sandbox.remove_fault(played.faults[0].number)
        events = [sandbox.next_event(reader, 5) for _ in range(4)]
        reader.close()

    told = [(event.kind, json.loads(event.data)) for event in events if event is not None]
    assert [kind for kind, _ in told] == [EventKind.PHONE, EventKind.SERVER, EventKind.FAULTS, EventKind.FAULTS]
    assert [each["pos_id"] for each in told[1][1]["accounts"]] == [SANDBOX_POS_ID, "shop-2"]
    assert [len(faults) for _, faults in told[2:]] == [1, 0]


def test_a_seed_repeats_which_requests_get_a_fault_with_a_probability() -> None:
    def kinds(seed: int) -> list[FaultKind | None]:
        sandbox = Sandbox(rng=random.Random(seed))  # noqa: S311 - a seed is to replay
        sandbox.inject(InjectedFault(FaultKind.HTML, times=None, probability=0.5))
        key = f"{sandbox.pos_id}:{sandbox.pos_key}".encode()
        for _ in range(64):
            sandbox.receive(b'{"method": "receipts.get_all"}', key, 1)
        return [request.fault for request in sandbox.requests]

    assert kinds(1) == kinds(1) != kinds(2)
    with pytest.raises(ScenarioError):
        Sandbox().play(Scenario(accounts=(NewAccount(SANDBOX_POS_ID, "other"),)))
