"""How libraries of others are measured: a plain loop, and a reason if one is not there."""

from __future__ import annotations

import json
import sys
import time

import pytest

from tests.benchmarks import payments, peer_process, peers
from tests.benchmarks.measure import Skipped, lean_server
from tests.benchmarks.table import line


class ScriptedClient:
    """A client of a library whose answers are given: a state, or an error that is raised."""

    def __init__(self, paid: int | Exception, checked: list[int]) -> None:
        self.calls: list[str] = []
        self._paid = paid
        self._checked = checked

    def create(self) -> str:
        self.calls.append("create")
        return "receipt"

    def pay(self, receipt_id: str, code: str) -> int:
        self.calls.append("pay")
        if isinstance(self._paid, Exception):
            raise self._paid
        return self._paid

    def check(self, receipt_id: str) -> int:
        self.calls.append("check")
        return self._checked.pop(0)


@pytest.mark.parametrize(
    ("paid", "checked", "calls"),
    [
        (4, [], ["create", "pay"]),
        (1, [1, 4], ["create", "pay", "sleep 1", "check", "sleep 1", "check"]),
        (ConnectionError(), [4], ["create", "pay", "sleep 1", "check"]),
    ],
)
def test_a_plain_loop_creates_pays_and_checks_every_second_until_the_receipt_is_paid(
    paid: int | Exception, checked: list[int], calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = ScriptedClient(paid, checked)
    monkeypatch.setattr(time, "sleep", lambda seconds: client.calls.append(f"sleep {seconds:g}"))

    peer_process.sell(client, "1" * 18)

    assert client.calls == calls


def test_a_library_in_its_own_process_pays_at_the_server() -> None:
    with lean_server() as port, peers.peer("urllib3", f"http://127.0.0.1:{port}/api") as urllib3:
        assert urllib3.create_and_pay() > 0
        assert urllib3.sell("1") > 0


def test_a_library_that_is_not_installed_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)

    peer_process.main("httpx", "http://127.0.0.1:1/api", "account", "key")

    assert "httpx" in json.loads(capsys.readouterr().out)["missing"]


def test_the_table_shows_the_reason_in_place_of_a_library_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(library: str, *_: object) -> None:
        raise Skipped(f"{library} is not installed")

    monkeypatch.setattr(payments, "peer", missing)
    monkeypatch.setattr(payments, "WARM_UP", 0)

    skipped = payments.beside_peers("http", 1)

    assert [line(each) for each in skipped] == [
        f"{each}: skipped: {each} is not installed" for each in peer_process.LIBRARIES
    ]
