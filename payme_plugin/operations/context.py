"""What an operation is handed: everything that it may touch, and nothing that it could reach by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from payme_plugin.operations.wait import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hookspecs import Receipt, Slip
    from payme_plugin.clock import Clock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import CancellationRow, FiscalLinkRow, PaymentRow
    from payme_plugin.operations.cancellation import MerchantClient
    from payme_plugin.paymego.protocols import Client
    from payme_plugin.settings import Settings
    from payme_plugin.texts import Texts

__all__ = ["Context", "SlipMaker", "is_same_account", "limits_of"]


class SlipMaker(Protocol):
    """Makes the slips of an operation; it never raises, a plain slip is the least that it gives."""

    def make(
        self, operation: str, row: PaymentRow, receipt: Mapping[str, object], document: Receipt | None = None
    ) -> tuple[Slip, ...]:
        """Return the slips.

        Args:
            operation: ``pay``, ``cancel`` or ``refund``.
            row: the payment.
            receipt: the server's receipt as it came; empty where none did.
            document: the refund receipt, for a refund.
        """
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """The tools of one operation.

    Attributes:
        client: the client of the kassa in ``settings``.
        clock: time.
        journal: what survives a power cut.
        owner: token of this process in the journal.
        is_alive: says whether the process behind another token lives.
        settings: read once, at the operation's beginning.
        texts: the cashier's language.
        slips: makes the slips.
        notice: shows a passive notice at the till, by key; None withdraws it.
    """

    client: Client
    clock: Clock
    journal: Journal
    owner: str
    is_alive: Callable[[str], bool]
    settings: Settings
    texts: Texts
    slips: SlipMaker
    notice: Callable[[str, str | None], None]

    @property
    def limits(self) -> Limits:
        """The times of an operation, in seconds."""
        return limits_of(self.settings)


def limits_of(settings: Settings) -> Limits:
    """Return the times of an operation, in seconds, from the settings."""
    return Limits(
        timeout_s=float(settings.timeout_s),
        duration_s=settings.pay_duration_ms / 1000,
        frequency_s=settings.frequency_ms / 1000,
    )


def is_same_account(row: PaymentRow | CancellationRow | FiscalLinkRow, account: Settings | MerchantClient) -> bool:
    """Return whether a row belongs to a merchant account: only then may a request about it use the account's key."""
    return (row.pos_id, row.url) == (account.pos_id, account.url)
