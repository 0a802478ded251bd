"""One peer library, in a process of its own: ``python -I peer_process.py LIBRARY URL POS_ID KEY``.

It prints ``{"name": ..., "version": ...}``, or ``{"missing": ...}`` with the reason if the library is not installed.
Then it reads lines: ``pay CODE`` does one create + pay, ``sale CODE`` does them and checks every second until the
receipt is paid. Each prints its seconds. It imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

AMOUNT = 1_500_000
ACCOUNT = {"order_id": "1"}
PAID = 4
CHECK_EVERY_S = 1.0


class Client(Protocol):
    """What each library does for a sale."""

    def create(self) -> str:
        """Return a new receipt's id."""
        ...

    def pay(self, receipt_id: str, code: str) -> int:
        """Pay; return the state."""
        ...

    def check(self, receipt_id: str) -> int:
        """Return the state."""
        ...


class Bare:
    """create, pay and check over what sends one JSON-RPC request and returns its result."""

    def __init__(self, call: Callable[[str, dict[str, Any]], Any]) -> None:
        self._call = call

    def create(self) -> str:
        """Return a new receipt's id."""
        return str(self._call("receipts.create", {"amount": AMOUNT, "account": ACCOUNT})["receipt"]["_id"])

    def pay(self, receipt_id: str, code: str) -> int:
        """Pay; return the state."""
        return int(self._call("receipts.pay", {"id": receipt_id, "token": code})["receipt"]["state"])

    def check(self, receipt_id: str) -> int:
        """Return the state."""
        return int(self._call("receipts.check", {"id": receipt_id})["state"])


def _asked(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def _urllib3(url: str, pos_id: str, key: str) -> Bare:
    import urllib3  # noqa: PLC0415 - each library is imported only where it is measured

    pool = urllib3.PoolManager(ca_certs=os.environ.get("SSL_CERT_FILE"))
    headers = {"X-Auth": f"{pos_id}:{key}", "Content-Type": "application/json"}

    def call(method: str, params: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        answer = pool.request("POST", url, body=json.dumps(_asked(method, params)).encode(), headers=headers)
        return json.loads(answer.data)["result"]

    return Bare(call)


def _requests(url: str, pos_id: str, key: str) -> Bare:
    import requests  # noqa: PLC0415 - the same

    session = requests.Session()
    session.headers["X-Auth"] = f"{pos_id}:{key}"
    return Bare(lambda method, params: session.post(url, json=_asked(method, params), timeout=10).json()["result"])


def _httpx(url: str, pos_id: str, key: str) -> Bare:
    import httpx  # noqa: PLC0415 - the same

    client = httpx.Client(headers={"X-Auth": f"{pos_id}:{key}"}, timeout=10)
    return Bare(lambda method, params: client.post(url, json=_asked(method, params)).json()["result"])


class PaymePkg:
    """payme-pkg as its README uses it."""

    def __init__(self, url: str, pos_id: str, key: str) -> None:
        from payme.classes.receipts import Receipts  # noqa: PLC0415 - the same

        self._receipts = Receipts(pos_id, key, url)

    def create(self) -> str:
        """Return a new receipt's id."""
        return str(self._receipts.create(ACCOUNT, AMOUNT).result.receipt._id)

    def pay(self, receipt_id: str, code: str) -> int:
        """Pay; return the state."""
        return int(self._receipts.pay(receipt_id, code).result.receipt.state)

    def check(self, receipt_id: str) -> int:
        """Return the state."""
        return int(self._receipts.check(receipt_id).result.state)


class Paytechuz:
    """paytechuz as its README uses it."""

    def __init__(self, url: str, pos_id: str, key: str) -> None:
        from paytechuz.gateways.payme.receipts import HttpClient, PaymeReceipts  # noqa: PLC0415 - the same

        self._receipts = PaymeReceipts(HttpClient(base_url=url), pos_id, key)

    def create(self) -> str:
        """Return a new receipt's id."""
        return str(self._receipts.create(AMOUNT, ACCOUNT)["result"]["receipt"]["_id"])

    def pay(self, receipt_id: str, code: str) -> int:
        """Pay; return the state."""
        return int(self._receipts.pay(receipt_id, code)["result"]["receipt"]["state"])

    def check(self, receipt_id: str) -> int:
        """Return the state."""
        return int(self._receipts.check(receipt_id)["result"]["state"])


LIBRARIES: dict[str, Callable[[str, str, str], Client]] = {
    "urllib3": _urllib3,
    "requests": _requests,
    "httpx": _httpx,
    "payme-pkg": PaymePkg,
    "paytechuz": Paytechuz,
}


def sell(client: Client, code: str) -> None:
    """Create, pay, and check until the receipt is paid: the plain loop of a till without a plugin."""
    receipt_id, state = client.create(), None
    with suppress(Exception):  # each library has errors of its own for an answer that is lost
        state = client.pay(receipt_id, code)
    while state != PAID:
        time.sleep(CHECK_EVERY_S)
        state = client.check(receipt_id)


def main(library: str, url: str, pos_id: str, key: str) -> None:
    """Serve the lines of stdin."""
    try:
        client = LIBRARIES[library](url, pos_id, key)
        print(json.dumps({"name": f"{library} {version(library)}"}), flush=True)  # noqa: T201 - the answer
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)  # noqa: T201 - the answer
        return
    for line in sys.stdin:
        what, code = line.split()
        begin = time.perf_counter()
        if what == "sale":
            sell(client, code)
        else:
            client.pay(client.create(), code)
        print(time.perf_counter() - begin, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main(*sys.argv[1:])
