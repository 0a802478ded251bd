from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import segno

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.sandbox.conftest import Client

PHONES = "/sandbox/v1/phones"


def new_phone(client: Client, **given: object) -> str:
    phone_id: str = client.control(PHONES, given)[1]["phone_id"]
    return phone_id


def new_code(client: Client, phone_id: str, **behaviour: object) -> str:
    code: str = client.control(f"{PHONES}/{phone_id}/code", behaviour)[1]["code"]
    return code


def phone(client: Client, phone_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = client.read(f"{PHONES}/{phone_id}")
    return shown


def test_a_phone_begins_with_a_million_sums_or_what_is_asked_for_and_shows_a_masked_card(client: Client) -> None:
    status, made = client.control(PHONES, {})
    own = client.control(PHONES, {"balance": 5, "card": "9860123412341234", "phone": "998901112233"})[1]

    assert (status, set(made)) == (200, {"phone_id", "card", "balance", "receipts"})
    assert (made["card"], made["balance"], made["receipts"]) == ("860006******6311", 100_000_000, [])
    assert (own["card"], own["balance"]) == ("986012******1234", 5)
    assert phone(client, own["phone_id"]) == own
    assert own["phone_id"] != made["phone_id"]


def test_a_phone_shows_a_new_code_as_a_qr_that_lives_thirty_seconds(client: Client) -> None:
    status, shown = client.control(f"{PHONES}/{new_phone(client)}/code", {"behaviour": "pays"})

    assert (status, set(shown)) == (200, {"code", "left_ms", "svg"})
    assert re.fullmatch(r"\d{20}", shown["code"])
    assert 20_000 < shown["left_ms"] <= 30_000
    assert shown["svg"] == segno.make(shown["code"], micro=False, error="m").svg_inline(
        omitsize=True, border=4, title="QR", lineclass=None
    )
    assert 'viewBox="0 0 29 29"' in shown["svg"]


def test_the_phone_whose_code_was_charged_asks_the_buyer_and_the_answer_counts_once(client: Client) -> None:
    phone_id, other, receipt_id = new_phone(client), new_phone(client), client.create(1_500_050)
    client.call("receipts.pay", {"id": receipt_id, "token": new_code(client, phone_id, behaviour="never-answers")})
    answer = {"receipt_id": receipt_id, "confirms": True}

    waiting = phone(client, phone_id)["receipts"]
    foreign = client.control(f"{PHONES}/{other}/answer", answer)[1]
    confirmed = [client.control(f"{PHONES}/{phone_id}/answer", answer)[1] for _ in range(2)]

    assert [(one["receipt_id"], one["state"], one["amount"]) for one in waiting] == [(receipt_id, 1, 1_500_050)]
    assert (foreign, confirmed) == ({"waited": False}, [{"waited": True}, {"waited": False}])
    assert client.state(receipt_id) == 4
    assert phone(client, other)["receipts"] == []


def test_a_receipt_shows_the_number_and_card_of_the_phone_that_paid_it(client: Client) -> None:
    phone_id, receipt_id = new_phone(client, card="9860123412341234", phone="998901112233"), client.create()

    paid = client.call("receipts.pay", {"id": receipt_id, "token": new_code(client, phone_id)})["result"]["receipt"]

    assert (paid["card"]["number"], paid["payer"]) == ("986012******1234", {"phone": "998901112233"})


def test_the_balance_is_what_the_receipts_leave_and_a_payment_above_it_is_refused(client: Client) -> None:
    phone_id = new_phone(client, balance=1_000)
    receipts = [client.create(600), client.create(600)]

    answers = [client.call("receipts.pay", {"id": one, "token": new_code(client, phone_id)}) for one in receipts]

    assert [answer.get("error", {}).get("code") for answer in answers] == [None, -31630]
    shown = phone(client, phone_id)
    assert shown["balance"] == 400
    assert [(one["receipt_id"], one["state"], one["error_code"]) for one in shown["receipts"]] == [
        (receipts[1], 0, -31630),
        (receipts[0], 4, None),
    ]


def test_money_that_the_buyer_still_may_confirm_is_not_spent_twice(client: Client, sandbox: Sandbox) -> None:
    phone_id = new_phone(client, balance=1_000)
    waiting, second = client.create(600), client.create(600)
    client.call("receipts.pay", {"id": waiting, "token": new_code(client, phone_id, behaviour="never-answers")})

    refused = client.call("receipts.pay", {"id": second, "token": new_code(client, phone_id)})
    client.control(f"{PHONES}/{phone_id}/answer", {"receipt_id": waiting, "confirms": False})
    paid = client.call("receipts.pay", {"id": second, "token": new_code(client, phone_id)})

    assert refused["error"]["code"] == -31630
    assert paid["result"]["receipt"]["state"] == 4
    assert phone(client, phone_id)["balance"] == 400


def test_money_that_a_cancellation_may_take_after_all_is_not_spent_twice(client: Client, sandbox: Sandbox) -> None:
    phone_id = new_phone(client, balance=1_000)
    waiting, second = client.create(600), client.create(600)
    turns_back = {"behaviour": "never-answers", "cancel": {"turns_back_after_s": 60}}
    client.call("receipts.pay", {"id": waiting, "token": new_code(client, phone_id, **turns_back)})
    client.call("receipts.cancel", {"id": waiting})

    refused = client.call("receipts.pay", {"id": second, "token": new_code(client, phone_id)})

    assert client.state(waiting) == 21
    assert refused["error"]["code"] == -31630


def test_a_code_may_be_issued_for_a_phone_and_an_unknown_phone_is_404(client: Client, sandbox: Sandbox) -> None:
    phone_id = new_phone(client)
    code = client.control("/sandbox/v1/codes", {"phone": phone_id})[1]["code"]
    known = sandbox.bank.code(code)

    assert known is not None
    assert known.phone_id == phone_id
    calls: list[tuple[str, dict[str, object]]] = [
        (f"{PHONES}/x/code", {}),
        (f"{PHONES}/x/answer", {"receipt_id": "x", "confirms": True}),
        ("/sandbox/v1/codes", {"phone": "x"}),
    ]
    for path, document in calls:
        status, answer = client.control(path, document)
        assert (status, answer["error"]["data"]) == (404, "there is no 'x'")
