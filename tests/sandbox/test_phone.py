from __future__ import annotations

import re
from typing import TYPE_CHECKING

import segno

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client

CODE = "00770100003000000001"


def test_the_page_needs_nothing_from_outside(client: Client) -> None:
    answer = client.pool.urlopen("GET", "/phone", retries=False)
    page = answer.data.decode()

    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')]*)""", page) == ["data:,"]
    assert "http" not in page
    assert 'name="viewport" content="width=device-width' in page


def test_the_phone_shows_a_new_code_as_a_qr_that_lives_thirty_seconds(client: Client) -> None:
    status, shown = client.control("/phone/codes", {"behaviour": "pays"})

    assert status == 200
    assert re.fullmatch(r"\d{20}", shown["code"])
    assert 20_000 < shown["left_ms"] <= 30_000
    assert (shown["used"], shown["state"], shown["amount"]) == (False, None, None)
    assert shown["svg"] == segno.make(shown["code"], micro=False, error="m").svg_inline(
        omitsize=True, border=4, title="QR", lineclass=None
    )
    assert 'viewBox="0 0 29 29"' in shown["svg"]


def test_the_phone_follows_its_code_and_lets_the_buyer_answer(client: Client) -> None:
    code = client.control("/phone/codes", {"behaviour": "never-answers"})[1]["code"]
    receipt_id = client.create(1_500_050)
    client.call("receipts.pay", {"id": receipt_id, "token": code})

    waiting = client.control("/phone/status", {"code": code})[1]
    paid = client.control("/phone/answer", {"code": code, "confirms": True})[1]

    assert (waiting["used"], waiting["state"], waiting["amount"]) == (True, 1, 1_500_050)
    assert (paid["waited"], paid["state"]) == (True, 4)
