"""What the reference till offers to its plugins."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from hookspecs import BaseHost
from payme_plugin import PLUGIN_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from payme_plugin.till.book import ReceiptBook

__all__ = ["PAYMENT_TYPE", "TillHost", "reference_identity"]

PAYMENT_TYPE = 141
"""The number that the reference till gives to the tender of its own plugin."""


def reference_identity() -> str:
    """Return the stable name of the reference till of this machine."""
    return f"reference-till@{platform.node() or 'localhost'}"


class TillHost(BaseHost):
    """The reference till, as a plugin sees it. It has no queue of its own.

    Args:
        folder: what the till keeps; the plugin ``payme`` has this folder itself, any other a folder in it.
        book: its receipts.
        settings: settings of the plugin ``payme``; any other has none.
        language: the cashier's language.
        slip_width: characters in a line of a slip.
        notice: takes a notice's key and its text, or None when it is over; called from any thread.
    """

    def __init__(
        self,
        folder: Path,
        book: ReceiptBook,
        settings: Mapping[str, str],
        *,
        language: str,
        slip_width: int,
        notice: Callable[[str, str | None], None],
    ) -> None:
        self._folder = folder
        self._book = book
        self._settings = {"paymentType": str(PAYMENT_TYPE), **settings}
        self._language = language
        self._slip_width = slip_width
        self._notice = notice

    @property
    def identity(self) -> str:
        """The stable name of the reference till of this machine."""
        return reference_identity()

    @property
    def language(self) -> str:
        """The cashier's language: ``ru``, ``uz`` or ``en``."""
        return self._language

    @property
    def slip_width(self) -> int:
        """Characters in a line of a slip."""
        return self._slip_width

    def settings(self, plugin: str) -> Mapping[str, str]:
        """Return the settings of ``plugin``."""
        return self._settings if plugin == PLUGIN_NAME else {}

    def data_dir(self, plugin: str) -> Path:
        """Return the folder of ``plugin``; for ``payme`` the till's own."""
        return self._folder if plugin == PLUGIN_NAME else self._folder / plugin

    def is_recorded(self, payment_id: str) -> bool | None:
        """Say whether the till has a payment, as ``ReceiptBook.is_recorded`` knows it."""
        return self._book.is_recorded(payment_id)

    def notice(self, key: str, text: str | None) -> None:
        """Hand the notice on."""
        self._notice(key, text)
