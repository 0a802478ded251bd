"""The clients of the worker's threads: each thread has one of its own, apart from the sale's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from payme_plugin.operations.cancellation import MerchantClient
from payme_plugin.operations.context import limits_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.paymego.client import PaymeGoClient
    from payme_plugin.settings import Settings

__all__ = ["Desks"]


class Desks:
    """The kassa of the settings, by the number of the thread that works there. Any thread may ask.

    Args:
        new_client: makes a client for the kassa in the settings.
    """

    def __init__(self, new_client: Callable[[Settings], PaymeGoClient]) -> None:
        self._new_client = new_client
        self._lock = threading.Lock()
        self._clients: dict[int, tuple[Settings, PaymeGoClient]] = {}
        self._is_closed = False

    def of(self, number: int, settings: Settings) -> MerchantClient | None:
        """Return the desk of thread ``number`` under ``settings``; None once they are closed."""
        former = None
        with self._lock:
            if self._is_closed:
                return None
            kept = self._clients.get(number)
            if kept is None or kept[0] != settings:
                former, kept = kept, (settings, self._new_client(settings))
                self._clients[number] = kept
        if former is not None:
            former[1].close()
        return MerchantClient(settings.pos_id, settings.url, kept[1], limits_of(settings))

    def close(self) -> None:
        """Shut every connection: whoever waits for an answer on one is told at once, and none is opened any more."""
        with self._lock:
            self._is_closed = True
            clients, self._clients = self._clients, {}
        for _, client in clients.values():
            client.close()
