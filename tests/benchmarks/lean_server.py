"""A PaymeGO that does as little as it can, in a process of its own: what is measured against it is the till's side.

``python lean_server.py [--certificate FILE] [--round-trip-s S]`` prints its port and serves on loopback until its
stdin ends. Each answer comes one round trip later, and the first one of a connection two, because a connection takes
one to be made. The first digit of a code says what becomes of its payment: see ``CONFIRMED`` and ``LOST``. A receipt
whose ``cancel`` was asked for is cancelled ``SETTLED_AFTER_S`` later.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

CONFIRMED = "2"
"""The buyer confirms the payment ``CONFIRMED_AFTER_S`` after ``pay``."""
LOST = "3"
"""The payment is made, and the connection ends without the answer to ``pay``."""
CONFIRMED_AFTER_S = 4.0
SETTLED_AFTER_S = 1.0

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_NUMBERS = itertools.count(1)
_MERCHANT = {
    "_id": "65aa00112233445566778899",
    "name": "Shop",
    "organization": "OOO SHOP",
    "address": "Toshkent, Navoiy 12",
    "epos": {"merchantId": "90001234567", "terminalId": "92001234"},
    "type": "Shop",
}


@dataclass
class _Receipt:
    amount: int
    created_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    paid_at: float | None = None
    cancelled_at: float | None = None

    @property
    def state(self) -> int:
        now = time.monotonic()
        if self.cancelled_at is not None:
            return 50 if now >= self.cancelled_at else 21
        if self.paid_at is not None:
            return 4 if now >= self.paid_at else 1
        return 0


_RECEIPTS: dict[str, _Receipt] = {}


def _answer(method: str, params: dict[str, Any]) -> object:
    """Return the result of a request, or None if its answer is lost."""
    if method == "receipts.get_all":
        listed = [key for key, each in _RECEIPTS.items() if params["from"] <= each.created_ms <= params["to"]]
        return [_shape(key) for key in listed[params["offset"] :][: params["count"]]]
    if method == "receipts.create":
        receipt_id = f"{next(_NUMBERS):024x}"
        _RECEIPTS[receipt_id] = _Receipt(params["amount"])
        return {"receipt": _shape(receipt_id)}
    receipt = _RECEIPTS[params["id"]]
    if method == "receipts.check":
        return {"state": receipt.state}
    if method == "receipts.cancel":
        receipt.cancelled_at = time.monotonic() + SETTLED_AFTER_S
    if method == "receipts.pay":
        receipt.paid_at = time.monotonic() + CONFIRMED_AFTER_S * params["token"].startswith(CONFIRMED)
        if params["token"].startswith(LOST):
            return None
    return {"receipt": _shape(params["id"])}


def _shape(receipt_id: str) -> dict[str, Any]:
    receipt = _RECEIPTS[receipt_id]
    state = receipt.state
    return {
        "_id": receipt_id,
        "create_time": receipt.created_ms,
        "pay_time": receipt.created_ms + 100 if state in {4, 21, 50} else 0,
        "cancel_time": receipt.created_ms + 1_000 if state == 50 else 0,
        "state": state,
        "type": 2,
        "amount": receipt.amount,
        "currency": 860,
        "commission": 0,
        "account": [{"name": "order_id", "title": "order_id", "value": "1", "main": True}],
        "card": {"number": "860006******6311", "expire": "9903"} if state in {4, 21, 50} else None,
        "merchant": _MERCHANT,
        "meta": {"source": "subscribe", "owner": "65aa00112233445566778899"},
        "description": "",
        "payer": {"phone": "998901234567"},
    }


class _Connection(asyncio.Protocol):
    """One kept-alive connection; a request is answered when its body is whole."""

    def __init__(self, round_trip_s: float) -> None:
        self._waiting = b""
        self._round_trip_s = round_trip_s
        self._delay_s = 2 * round_trip_s
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        head, found, body = self._waiting.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._waiting = b""
        asked = json.loads(body)
        result = _answer(asked["method"], asked["params"])
        answer = json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), "result": result}).encode()
        delay_s, self._delay_s = self._delay_s, self._round_trip_s
        if result is None:
            asyncio.get_running_loop().call_later(delay_s, self._transport.abort)
        elif delay_s:
            asyncio.get_running_loop().call_later(delay_s, self._transport.write, _HEAD % len(answer) + answer)
        else:
            self._transport.write(_HEAD % len(answer) + answer)


async def _serve(certificate: str | None, round_trip_s: float) -> None:
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(round_trip_s), "127.0.0.1", 0, ssl=context)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.Event()

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate")
    parser.add_argument("--round-trip-s", type=float, default=0.0)
    given = parser.parse_args()
    asyncio.run(_serve(given.certificate, given.round_trip_s))
