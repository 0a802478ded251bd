"""What the reference till offers to its plugins, and the lock on its folder."""

from __future__ import annotations

import fcntl
import os
import platform
from contextlib import contextmanager
from typing import TYPE_CHECKING

from payme_plugin import PLUGIN_NAME
from payme_plugin.locale import message
from payme_plugin.till.errors import FolderUnusable, TillBusy
from payme_plugin.till.receipts import FILE_MODE, FOLDER_MODE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hookspecs import QueueMessage, SaleRecord
    from payme_plugin.till.till import Till

PAYMENT_TYPE = 141
"""The number of the tender that the reference till gives to its own plugin."""


def reference_identity() -> str:
    """Return the stable name of the reference till of this machine."""
    return f"reference-till@{platform.node() or 'localhost'}"


class TillHost:
    """The reference till as a plugin sees it. It has no queue."""

    def __init__(self, till: Till) -> None:
        self._till = till
        self.identity, self.language, self.slip_width = till.identity, till.language, till.slip_width

    def settings(self, plugin: str) -> Mapping[str, str]:
        """Return the settings of ``plugin``; only ``payme`` has any."""
        return {"paymentType": str(PAYMENT_TYPE), **self._till.settings} if plugin == PLUGIN_NAME else {}

    def data_dir(self, plugin: str) -> Path:
        """Return the folder of ``plugin``: the till's own for ``payme``, one in it for any other."""
        return self._till.folder if plugin == PLUGIN_NAME else self._till.folder / plugin

    def is_recorded(self, payment_id: str) -> bool | None:
        """Return whether the till has a payment; see ``ReceiptStore.is_recorded``."""
        return self._till.store.is_recorded(payment_id)

    def sales(self, since: int, until: int) -> tuple[SaleRecord, ...] | None:
        """Return the closed sales with a payment of ``payme``; see ``ReceiptStore.sales``."""
        return self._till.store.sales(PLUGIN_NAME, since, until)

    def enqueue(self, message: QueueMessage) -> bool:  # noqa: ARG002 - there is no queue
        """Return False: the plugin's own worker delivers."""
        return False

    def notice(self, key: str, text: str | None) -> None:
        """Show or withdraw a notice."""
        self._till.notice(key, text)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock on ``folder``, which is made if it is missing. The lock ends with the process.

    Raises:
        FolderUnusable: the folder can't be made or written.
        TillBusy: another process holds it.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        descriptor = os.open(folder / "till.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise FolderUnusable(folder, error) from error
    with os.fdopen(descriptor):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TillBusy(message("till.busy", path=folder)) from error
        yield
