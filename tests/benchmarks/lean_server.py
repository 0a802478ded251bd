"""A PaymeGO that does as little as it can, in a process of its own: what is measured against it is the till's side.

``python lean_server.py [CERTIFICATE]`` prints its port and serves on loopback until its stdin ends. It answers
``receipts.create`` with a new receipt in state 0 and anything else with that receipt paid.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import sys
import threading
from typing import Any

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_NUMBERS = itertools.count(1)
_AMOUNTS: dict[str, int] = {}
_MERCHANT = {
    "_id": "65aa00112233445566778899",
    "name": "Shop",
    "organization": "OOO SHOP",
    "address": "Toshkent, Navoiy 12",
    "epos": {"merchantId": "90001234567", "terminalId": "92001234"},
    "type": "Shop",
}


def _receipt(method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "receipts.create":
        receipt_id = f"{next(_NUMBERS):024x}"
        _AMOUNTS[receipt_id] = params["amount"]
        return _shape(receipt_id, 0)
    return _shape(params["id"], 4)


def _shape(receipt_id: str, state: int) -> dict[str, Any]:
    paid = state == 4
    return {
        "_id": receipt_id,
        "create_time": 1_769_851_996_000,
        "pay_time": 1_769_851_996_100 if paid else 0,
        "cancel_time": 0,
        "state": state,
        "type": 2,
        "amount": _AMOUNTS[receipt_id],
        "currency": 860,
        "commission": 0,
        "account": [{"name": "order_id", "title": "order_id", "value": "1", "main": True}],
        "card": {"number": "860006******6311", "expire": "9903"} if paid else None,
        "merchant": _MERCHANT,
        "meta": {"source": "subscribe", "owner": "65aa00112233445566778899"},
        "description": "",
        "payer": {"phone": "998901234567"},
    }


class _Connection(asyncio.Protocol):
    """One kept-alive connection; a request is answered when its body is whole."""

    def __init__(self) -> None:
        self._waiting = b""
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
        receipt = _receipt(asked["method"], asked["params"])
        answer = json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), "result": {"receipt": receipt}}).encode()
        self._transport.write(_HEAD % len(answer) + answer)


async def _serve(certificate: str | None) -> None:
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, ssl=context)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1] if len(sys.argv) > 1 else None))
