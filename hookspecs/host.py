"""What the POS offers back to its plugins: ``Host`` for the till, ``Ui`` for the cashier in front of it.

A host either satisfies the Protocols by itself or starts from ``BaseHost`` and ``BaseUi``, whose defaults are safe:
no scanner, nobody at the screen, no queue, no promise about money.
A service that raises is logged and counts as its default there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from hookspecs.models import QueueMessage, SaleRecord


class Host(Protocol):
    """The till, as a plugin sees it. One thread of the plugin's may call it besides the host's own."""

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
        """Return the host's settings for ``plugin``, names to values as text; empty if it has none."""
        ...

    def data_dir(self, plugin: str) -> str | os.PathLike[str]:
        """Return the folder, on a local disk, where ``plugin`` keeps what must survive a power cut."""
        ...

    def is_recorded(self, payment_id: str) -> bool | None:
        """Return whether the till has stored a payment; asked before the plugin returns an orphan's money.

        Returns:
            True: stored durably with an open, parked or closed sale. It is a veto: the payment counts as acknowledged
            and its money stays. False: not stored. None: the host can't tell. False and None move no money by
            themselves.
        """
        ...

    def enqueue(self, message: QueueMessage) -> bool:
        """Store ``message`` in the host's durable queue; return False if there is none or it can't store it."""
        ...

    def notice(self, key: str, text: str | None) -> None:
        """Show ``text`` as a passive notice under ``key``; None withdraws it."""
        ...


class SalesHost(Host, Protocol):
    """A host that also lists its sales, for reconciliation. Optional: a host without the method counts as None."""

    def sales(self, since: int, until: int) -> Iterable[SaleRecord] | None:
        """Return the payments of plugins in sales closed from ``since`` to before ``until``, both Unix ms.

        Returns:
            One record for every payment in the stored sales; None if the host can't list them.
        """
        ...


class Ui(Protocol):
    """The cashier's screen and scanner during one hook; used on the calling thread only."""

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        """Ask for a scan and wait at most ``timeout_s`` seconds.

        Returns:
            What the scanner read, unchanged; None if the cashier stopped or time ran out.
        """
        ...

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        """Show ``text`` while a hook waits, ``elapsed_s`` of at most ``total_s`` seconds; return True to stop it."""
        ...


class BaseHost:
    """A ``SalesHost`` to start from: no settings, no queue, no sales, no veto, and notices are dropped.

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

    def data_dir(self, plugin: str) -> str | os.PathLike[str]:
        """Raise ``NotImplementedError``: a made-up folder would not survive."""
        raise NotImplementedError

    def is_recorded(self, payment_id: str) -> bool | None:  # noqa: ARG002
        """Return None: no veto."""
        return None

    def sales(self, since: int, until: int) -> Iterable[SaleRecord] | None:  # noqa: ARG002
        """Return None: the host can't list its sales."""
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
