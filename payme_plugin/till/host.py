"""What the reference till offers to its plugins, and the lock on its folder."""

from __future__ import annotations

import fcntl
import os
import platform
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payme_plugin import PLUGIN_NAME
from payme_plugin.locale import message
from payme_plugin.till.context import FolderUnusable, TillBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from hookspecs import QueueMessage
    from payme_plugin.till.receipts import ReceiptStore

PAYMENT_TYPE = 141
"""The number of the tender that the reference till gives to its own plugin."""

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


def reference_identity() -> str:
    """Return the stable name of the reference till of this machine."""
    return f"reference-till@{platform.node() or 'localhost'}"


@dataclass(eq=False, frozen=True, kw_only=True, repr=False)
class TillHost:
    """The reference till as a plugin sees it. It has no queue.

    Attributes:
        folder: the till's folder; the plugin ``payme`` has it itself, any other plugin a folder in it.
        receipts: the stored receipts.
        own_settings: the settings of the plugin ``payme``; any other plugin has none.
        show_notice: takes a notice's key and its text, or None when it is over; called from any thread.
        language: the cashier's language: ``ru``, ``uz`` or ``en``.
        slip_width: characters in a line of a slip.
        identity: the stable name of the till.
    """

    folder: Path
    receipts: ReceiptStore
    own_settings: Mapping[str, str]
    show_notice: Callable[[str, str | None], None]
    language: str
    slip_width: int
    identity: str = field(default_factory=reference_identity)

    def settings(self, plugin: str) -> Mapping[str, str]:
        """Return the settings of ``plugin``."""
        return {"paymentType": str(PAYMENT_TYPE), **self.own_settings} if plugin == PLUGIN_NAME else {}

    def data_dir(self, plugin: str) -> Path:
        """Return the folder of ``plugin``."""
        return self.folder if plugin == PLUGIN_NAME else self.folder / plugin

    def is_recorded(self, payment_id: str) -> bool | None:
        """Return whether the till has a payment; see ``ReceiptStore.is_recorded``."""
        return self.receipts.is_recorded(payment_id)

    def enqueue(self, message: QueueMessage) -> bool:  # noqa: ARG002 - there is no queue
        """Return False: the plugin's own worker delivers."""
        return False

    def notice(self, key: str, text: str | None) -> None:
        """Show or withdraw a notice."""
        self.show_notice(key, text)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock on ``folder``, which is made if it is missing. The lock ends with the process.

    Raises:
        FolderUnusable: the folder can't be made or written.
        TillBusy: another process holds it.
    """
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        descriptor = os.open(folder / "till.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    except OSError as error:
        raise FolderUnusable(folder, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TillBusy(message("till.busy", path=folder)) from error
        yield
    finally:
        os.close(descriptor)
