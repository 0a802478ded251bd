from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from payme_plugin.sandbox import Bank, BankError, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


NOW = 1_700_000_000_000


def ask(bank: Bank, method: str, params: dict[str, object], now_ms: int = NOW) -> Any:  # noqa: ANN401 - any JSON
    return bank.call(now_ms, f"receipts.{method}", params)


def create(bank: Bank) -> str:
    receipt_id: str = ask(bank, "create", {"amount": 100, "account": {}})["receipt"]["_id"]
    return receipt_id


def refusal(bank: Bank, method: str, params: dict[str, object], now_ms: int = NOW) -> tuple[int, str | None]:
    with pytest.raises(BankError) as refused:
        ask(bank, method, params, now_ms)
    return refused.value.code, refused.value.data


class Client:
    """A bare client of the sandbox: what a till sees on the wire, without a till."""

    def __init__(self, pool: urllib3.HTTPConnectionPool, x_auth: str) -> None:
        self.pool = pool
        self.x_auth = x_auth

    def post(self, body: bytes, path: str = "/api", timeout_s: float = 10.0, x_auth: str | None = None) -> Any:  # noqa: ANN401 - urllib3 1.26 has no type for it
        headers = {"X-Auth": self.x_auth if x_auth is None else x_auth}
        return self.pool.urlopen("POST", path, body=body, headers=headers, retries=False, timeout=timeout_s)

    def call(
        self, method: str, params: dict[str, object], request_id: object = 7, timeout_s: float = 10.0
    ) -> dict[str, Any]:
        body = json.dumps({"id": request_id, "method": method, "params": params}).encode()
        answer: dict[str, Any] = json.loads(self.post(body, timeout_s=timeout_s).data)
        return answer

    def control(self, path: str, document: dict[str, object]) -> tuple[int, Any]:
        answer = self.post(json.dumps(document).encode(), path)
        return answer.status, json.loads(answer.data)

    def read(self, path: str, method: str = "GET") -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.pool.urlopen(method, path, retries=False).data)

    def create(self, amount: int = 1_500_000) -> str:
        receipt_id: str = self.call("receipts.create", {"amount": amount, "account": {}})["result"]["receipt"]["_id"]
        return receipt_id

    def state(self, receipt_id: str) -> int:
        state: int = self.call("receipts.check", {"id": receipt_id})["result"]["state"]
        return state


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.clear_faults()
    return running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with urllib3.HTTPConnectionPool("127.0.0.1", sandbox.port, maxsize=1) as pool:
        yield Client(pool, f"{sandbox.pos_id}:{sandbox.pos_key}")


@pytest.fixture
def bank() -> Bank:
    return Bank(random.Random(1))  # noqa: S311 - a seed is to replay
