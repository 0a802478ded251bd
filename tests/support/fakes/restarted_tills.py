"""Tills with the whole plugin over a real sandbox, which stop and start again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from fakes.served_till import ServedTill
from fakes.till import TENDER, VirtualHost
from payme_plugin.plugin import PaymePlugin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hookspecs import PaymentRecord
    from payme_plugin.sandbox import Sandbox


_LONG_WAIT_MS = 60_000


def new_till(sandbox: Sandbox, folder: Path, name: str = "till-1", **given: object) -> ServedTill:
    """Start a till with a folder of its own."""
    settings: dict[str, object] = {
        "url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "paymentType": TENDER,
        "timeout": 2, "payDuration": _LONG_WAIT_MS, "frequency": 100,
    }  # fmt: skip
    host = VirtualHost(folder / name, {key: str(value) for key, value in (settings | given).items()}, name)
    till = ServedTill(host, sandbox)
    till.plugins.register(PaymePlugin(), "payme")
    till.start()
    return till


@contextmanager
def started_again(till: ServedTill, *records: PaymentRecord | None) -> Iterator[ServedTill]:
    """Let the till of the next morning work, over the same folder and with what its host has stored."""
    again = ServedTill(till.host, till.sandbox)
    again.plugins.register(PaymePlugin(), "payme")
    again.start(*(record for record in records if record is not None))
    try:
        yield again
    finally:
        again.plugins.on_stop()
