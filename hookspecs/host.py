"""What the POS offers to its plugins: ``Host`` for the till, ``Ui`` for the cashier's screen and scanner.

A host implements the Protocols, or derives from ``BaseHost`` and ``BaseUi``, which have safe defaults: no scanner, no
cashier, no queue, no veto. An exception in a service is logged, and the default counts instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from hookspecs.models import QueueMessage, SaleRecord


class Host(Protocol):
    """The till, as a plugin sees it. Besides the host's own threads, threads of the plugin may call it."""

    @property
    def identity(self) -> str:
        """The stable name of this till: the same after a restart, and different at every other till."""
        ...

    @property
    def language(self) -> str:
        """The cashier's language: ``ru``, ``uz`` or ``en``."""
        ...

    @property
    def slip_width(self) -> int:
        """The number of characters that fit on a line of the slip printer."""
        ...

    def settings(self, plugin: str) -> Mapping[str, str]:
        """Return the host's settings for ``plugin``, from names to values, both text; empty if it has none."""
        ...

    def data_dir(self, plugin: str) -> str | os.PathLike[str]:
        """Return the folder, on a local disk, for data of ``plugin`` that must survive a power cut."""
        ...

    def is_recorded(self, payment_id: str) -> bool | None:
        """Return whether the till has stored a payment; called before the plugin returns money that no hook asked for.

        For a receipt that neither the till's list of sales nor the plugin knows, ``payment_id`` is the receipt's id.
        Look it up in the ``data["receipt_id"]`` of every stored payment, also in open sales, or return None.

        Returns:
            True: stored durably with an open, parked or closed sale. This is a veto: the payment counts as
            acknowledged, and its money is not returned. False: not stored. None: the host can't tell. False and None
            move no money.
        """
        ...

    def enqueue(self, message: QueueMessage) -> bool:
        """Store ``message`` in the host's durable queue; return False if there is none or it can't store it."""
        ...

    def notice(self, key: str, text: str | None) -> None:
        """Show ``text`` as a notice under ``key``, without waiting for the cashier; None withdraws it."""
        ...


class SalesHost(Host, Protocol):
    """A host that can list its sales, for reconciliation. A host without the method counts as returning None."""

    def sales(self, since: int, until: int) -> Iterable[SaleRecord] | None:
        """Return the payments in sales closed from ``since`` up to, not including, ``until``, both Unix ms.

        A sale may close long after it was paid, and stays in the list when it is refunded.

        Returns:
            One record for every payment that the plugin took; None if the host can't list its sales.
        """
        ...


class Ui(Protocol):
    """The cashier's screen and scanner during one hook; used on the calling thread only."""

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        """Ask for a scan and wait at most ``timeout_s`` seconds.

        Returns:
            What the scanner read, unchanged; None if the cashier stopped or the time is over.
        """
        ...

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        """Show ``text`` while a hook waits, and return True to stop the hook.

        Called at least twice a second, ``elapsed_s`` seconds after the wait began. It ends after ``total_s`` at most.
        """
        ...


class BaseHost:
    """A ``SalesHost`` with safe defaults: no settings, no queue, no sales, no veto; notices are dropped.

    A host must define ``identity`` and ``data_dir``.
    """

    @property
    def identity(self) -> str:
        """Raise ``NotImplementedError``: tills must not share a name."""
        raise NotImplementedError

    @property
    def language(self) -> str:
        """Return ``ru``."""
        return "ru"

    @property
    def slip_width(self) -> int:
        """Return 32, the width of the narrowest common paper."""
        return 32

    def settings(self, plugin: str) -> Mapping[str, str]:  # noqa: ARG002
        """Return no settings: the plugin uses its own file and its defaults."""
        return {}

    def data_dir(self, plugin: str) -> str | os.PathLike[str]:
        """Raise ``NotImplementedError``: no default folder is known to be durable."""
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
    """A ``Ui`` with safe defaults: nothing is scanned and nothing is stopped."""

    def scan(self, prompt: str, timeout_s: float) -> str | None:  # noqa: ARG002
        """Return None: there is no scanner."""
        return None

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:  # noqa: ARG002
        """Return None: go on."""
        return None
