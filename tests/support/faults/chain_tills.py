"""Several tills of a chain in a process of its own, which may be killed anywhere: what they remember is on the disk.

``python chain_tills.py FILE`` starts the tills of the orders in FILE and runs until stdin ends. Each host stores and
acknowledges payments when its order says so, before or after their cancellation begins.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from heapq import heapify, heappop
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[3]), str(Path(__file__).parents[1])]

from fakes.till import TENDER, VirtualHost
from hookspecs import HookFailed, PaymentRecord, PosPlugins
from payme_plugin import PLUGIN_NAME
from payme_plugin.clock import SystemClock
from payme_plugin.delivery import amqp, processor
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.plugin import PaymePlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SALES_FILE = "sales"
_KEPT_FILE = "kept"
_RELAY_PAUSE_S = 3.0
_LONGEST_WAIT_MS = 8_000
_AGAIN_S = 0.2


@dataclass(frozen=True, kw_only=True)
class TillOrder:
    """What a till is to do.

    Attributes:
        folder: its folder, with the journal.
        name: its name.
        settings: the plugin's settings.
        sales: the payments that the host stores and acknowledges, and when, Unix seconds.
        amount: of each of them, tiyin.
        ahead_ms: how far its clock is ahead.
    """

    folder: str
    name: str
    settings: Mapping[str, str]
    sales: Mapping[str, float] = field(default_factory=dict)
    amount: int = 0
    ahead_ms: int = 0


def kept(folder: Path) -> set[str]:
    """Return the payments of a till whose cancellation had not begun when their acknowledgement was stored."""
    return set(_lines(folder / _KEPT_FILE))


class _Till:
    def __init__(self, order: TillOrder) -> None:
        self._order = order
        self._folder = Path(order.folder)
        self._sold = set(_lines(self._folder / _SALES_FILE))
        self._host = VirtualHost(self._folder, order.settings, order.name)
        self._plugins = PosPlugins()
        self._plugins.register(PaymePlugin(), PLUGIN_NAME)

    def start(self) -> None:
        """Start the plugin and restore, as a host does."""
        self._host.recorded.update(dict.fromkeys(self._sold, True))
        self._plugins.on_start(self._host)
        for payment_id in self._sold:
            _repeat(partial(self._acknowledge, payment_id))
        _repeat(self._plugins.on_ready)

    def stop(self) -> None:
        self._plugins.on_stop()

    def to_sell(self) -> list[tuple[float, str]]:
        """Return the payments that the host has not stored yet, after when it does."""
        return [(at_s, payment_id) for payment_id, at_s in self._order.sales.items() if payment_id not in self._sold]

    def sell(self, payment_id: str) -> None:
        """Store a payment, then acknowledge it."""
        _append(self._folder / _SALES_FILE, payment_id)
        self._sold.add(payment_id)
        self._host.recorded[payment_id] = True
        _repeat(partial(self._acknowledge, payment_id))

    def _acknowledge(self, payment_id: str) -> None:
        data = {"v": "1", "plugin": PLUGIN_NAME}
        record = PaymentRecord(payment_id=payment_id, payment_type=TENDER, amount=self._order.amount, data=data)
        self._plugins.on_payment_recorded(record)
        if not self._has_begun(payment_id):
            _append(self._folder / _KEPT_FILE, payment_id)

    def _has_begun(self, payment_id: str) -> bool:
        reader = JournalReader.open_read_only(self._folder / FILE_NAME)
        assert reader is not None
        query = "SELECT begun_at FROM cancellation WHERE payment_id = ?"
        with closing(reader), reader.reading() as connection:
            return any(row["begun_at"] is not None for row in connection.execute(query, (payment_id,)))


def _repeat(hook: Callable[[], object]) -> None:
    """Call a hook until it stores what it has to."""
    while True:
        try:
            hook()
        except HookFailed:
            time.sleep(_AGAIN_S)
        else:
            return


def _lines(file: Path) -> list[str]:
    """Return the whole lines of a file; a kill may have cut the last one."""
    return file.read_text("utf-8").split("\n")[:-1] if file.exists() else []


def _append(file: Path, line: str) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.write(f"{line}\n")
        opened.flush()
        os.fsync(opened.fileno())


def _run(orders: list[TillOrder]) -> None:
    tills = [_Till(order) for order in orders]
    for till in tills:
        till.start()
    agenda = [(*each, number) for number, till in enumerate(tills) for each in till.to_sell()]
    heapify(agenda)
    while True:
        wait_s = max(0.0, agenda[0][0] - time.time()) if agenda else None
        if select.select([sys.stdin], [], [], wait_s)[0]:
            break
        _, payment_id, number = heappop(agenda)
        tills[number].sell(payment_id)
    for till in tills:
        till.stop()


def _main(file: Path) -> None:
    orders = [TillOrder(**order) for order in json.loads(file.read_text("utf-8"))]
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(name)s %(message)s")
    # A run takes a minute, and tills must not wait for most of it.
    amqp._PAUSE_S, processor._LONGEST_WAIT_MS = _RELAY_PAUSE_S, _LONGEST_WAIT_MS
    ahead_ms = orders[0].ahead_ms
    SystemClock.wall_ms = lambda _: time.time_ns() // 1_000_000 + ahead_ms  # type: ignore[assignment, method-assign]
    _run(orders)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
