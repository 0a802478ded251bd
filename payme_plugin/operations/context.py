"""The context of an operation: everything that it may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payme_plugin.clock import Clock
    from payme_plugin.ledger.connection import FileIdentity
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.locks import Leases
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.cancellation import MerchantClient
    from payme_plugin.operations.payment_slips import PaymentSlips
    from payme_plugin.paymego.protocols import Client
    from payme_plugin.settings import Settings
    from payme_plugin.texts import Text, Texts


class Limits(NamedTuple):
    """The times of one operation, in seconds, from the settings.

    Attributes:
        timeout_s: one request (``timeout``).
        duration_s: the whole wait for the buyer (``payDuration``).
        frequency_s: from one poll to the next (``frequency``).
        early_polling: the first polls do not wait for ``frequency`` (``earlyPolling``).
    """

    timeout_s: float
    duration_s: float
    frequency_s: float
    early_polling: bool = False


class Context(NamedTuple):
    """What one operation may use.

    Attributes:
        client: the client of the merchant account in ``settings``.
        clock: time.
        journal: what survives a power cut.
        owner: token of this till's run in the journal.
        leases: the leases of the journal's rows.
        settings: read once, when the operation begins.
        texts: the cashier's language.
        slips: renders the slips.
        notice: shows a notice at the till, by key; None withdraws it.
        files: detects that the journal's files were deleted, moved or replaced.
        merchants: the merchant accounts of the settings, by posId; a former one goes before the current one.
        keep_result: takes the id of a payment whose result the journal can't store; it is ended once it can.
    """

    client: Client
    clock: Clock
    journal: Journal
    owner: str
    leases: Leases
    settings: Settings
    texts: Texts
    slips: PaymentSlips
    notice: Callable[[str, str | None], None]
    files: FileIdentity
    keep_result: Callable[[str], None]
    merchants: Mapping[str, MerchantClient]

    def for_row(self, row: PaymentRow) -> Context | None:
        """Return the context with the client of a payment's merchant account; None if the settings lack its key."""
        merchant = self.merchants.get(row.pos_id)
        return None if merchant is None else self._replace(client=merchant.client)

    @property
    def limits(self) -> Limits:
        """The times of the operation."""
        return limits_of(self.settings)

    def progress(self, text: Text) -> Callable[[float], str]:
        """Return what the cashier reads during a wait, as a function of the seconds left."""
        return lambda left_s: self.texts(text, left_s=round(left_s))


def limits_of(settings: Settings) -> Limits:
    """Return the times of an operation from the settings."""
    return Limits(
        timeout_s=float(settings.timeout_s),
        duration_s=settings.pay_duration_ms / 1000,
        frequency_s=settings.frequency_ms / 1000,
        early_polling=settings.early_polling,
    )
