"""What the POS offers back to its plugins: ``Host`` for the till, ``Ui`` for the cashier in front of it.

A host either satisfies the Protocols by itself or starts from ``BaseHost`` and ``BaseUi``, whose defaults are safe:
no scanner, nobody at the screen, no queue, and *can't tell* where a promise would cost money.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hookspecs.models import QueueMessage

__all__ = ["BaseHost", "BaseUi", "Host", "Ui"]


class Host(Protocol):
    """The till, as a plugin sees it. It may be called from one thread of the plugin's besides the host's own."""

    @property
    def identity(self) -> str:
        """A stable name of this till: the same after a restart, another one at every other till."""
        ...

    @property
    def language(self) -> str:
        """The cashier's language: ``ru``, ``uz`` or ``en``."""
        ...

    @property
    def slip_width(self) -> int:
        """How many characters fit on a line of the slip printer."""
        ...

    def settings(self, plugin: str) -> Mapping[str, str]:
        """Return the host's settings for ``plugin``, names to values as text; empty where it has none."""
        ...

    def data_dir(self, plugin: str) -> Path:
        """Return the folder, on a local disk, where ``plugin`` keeps what must survive a power cut."""
        ...

    def is_recorded(self, payment_id: str) -> bool | None:
        """Say whether the till has a payment.

        Returns:
            True: stored durably with an open, parked or closed sale that will end in ``on_receipt_closed`` or
            ``on_cancel``. False: certainly not, and it never will be. None: the host can't tell, or it will ask
            ``on_payment`` again. False lets the plugin send the buyer's money back.
        """
        ...

    def enqueue(self, message: QueueMessage) -> bool:
        """Take ``message`` into the host's durable queue; False: there is no queue, or it can't take it."""
        ...

    def notice(self, key: str, text: str | None) -> None:
        """Show ``text`` as a passive notice under ``key``; None withdraws it."""
        ...


class Ui(Protocol):
    """The cashier's screen and scanner during one hook; used on the calling thread only."""

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        """Ask for a scan and wait at most ``timeout_s`` seconds.

        Returns:
            What the scanner read, unchanged; None when the cashier stopped or time ran out.
        """
        ...

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        """Show that a hook is waiting, and for how much longer at most; True: the cashier stops it."""
        ...


class BaseHost:
    """A ``Host`` to start from: no settings, no queue, notices dropped, payments it *can't tell* about.

    A host must give its own ``identity`` and ``data_dir``.
    """

    @property
    def identity(self) -> str:
        """Raise ``NotImplementedError``: no default name is safe, two tills would share it."""
        raise NotImplementedError

    @property
    def language(self) -> str:
        """Return ``ru``."""
        return "ru"

    @property
    def slip_width(self) -> int:
        """Return 32 characters, what the narrowest common paper holds."""
        return 32

    def settings(self, plugin: str) -> Mapping[str, str]:  # noqa: ARG002
        """Return no settings: the plugin's own file or its defaults count."""
        return {}

    def data_dir(self, plugin: str) -> Path:
        """Raise ``NotImplementedError``: a made-up folder would not survive."""
        raise NotImplementedError

    def is_recorded(self, payment_id: str) -> bool | None:  # noqa: ARG002
        """Return None: a payment is kept and shown rather than returned on a guess."""
        return None

    def enqueue(self, message: QueueMessage) -> bool:  # noqa: ARG002
        """Return False: the plugin's own worker delivers."""
        return False

    def notice(self, key: str, text: str | None) -> None:
        """Drop the notice."""


class BaseUi:
    """A ``Ui`` to start from: nobody scans and nobody stops."""

    def scan(self, prompt: str, timeout_s: float) -> str | None:  # noqa: ARG002
        """Return None: there is no scanner."""
        return None

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:  # noqa: ARG002
        """Return None: go on."""
        return None
