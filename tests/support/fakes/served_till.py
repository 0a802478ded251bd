"""A till with the plugin in service, over real HTTP to a sandbox and on a real disk."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fakes.till import ScriptedUi, VirtualHost, request_for
from hookspecs import HookFailed, PosPlugins
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.sandbox import Behaviour, BuyerAction, Sandbox

if TYPE_CHECKING:
    from hookspecs import PaymentRecord, PaymentResult
    from payme_plugin.ledger.rows import CancellationRow, PaymentRow


@dataclass(eq=False)
class ServedTill:
    """A till with the plugin in service.

    Attributes:
        host: what the plugin is handed.
        plugins: the caller.
        sandbox: the PaymeGO on the other side.
        is_ready: ``start`` has said everything.
    """

    host: VirtualHost
    sandbox: Sandbox
    plugins: PosPlugins = field(default_factory=PosPlugins)
    is_ready: bool = False

    def start(self, *records: PaymentRecord) -> None:
        """Start as a host does: acknowledge what it has stored, then say ``on_ready``.

        If that can't be stored, ``is_ready`` is False, and the host has to repeat it.
        """
        self.plugins.on_start(self.host)
        self.is_ready = False
        with suppress(HookFailed):
            for record in records:
                self.plugins.on_payment_recorded(record)
            self.plugins.on_ready()
            self.is_ready = True

    def code(self, action: BuyerAction = BuyerAction.PAYS, **how: object) -> str:
        """Return a new code of the buyer's phone."""
        return self.sandbox.issue_code(Behaviour(action, **how))  # type: ignore[arg-type]

    def pay(self, *scans: object, ui: ScriptedUi | None = None, **asked: object) -> PaymentResult:
        """Take a payment that is ours."""
        cashier = ScriptedUi(SystemClock(), list(scans)) if ui is None else ui
        result = self.plugins.on_payment(request_for(**asked), cashier)  # type: ignore[arg-type]
        assert result is not None
        return result

    def acknowledge(self, result: PaymentResult) -> PaymentRecord:
        """Say that the host has stored a paid tender; return it."""
        assert result.payment is not None
        self.plugins.on_payment_recorded(result.payment)
        return result.payment

    def row(self, payment_id: str = "p1") -> PaymentRow:
        """Return a payment as another process reads it."""
        reader = JournalReader.open_read_only(self.host.folder / FILE_NAME)
        assert reader is not None
        row = reader.payment(payment_id)
        reader.close()
        return row

    def live(self) -> list[CancellationRow]:
        """Return the live cancellations as another process reads them."""
        reader = JournalReader.open_read_only(self.host.folder / FILE_NAME)
        assert reader is not None
        rows = reader.live_cancellations()
        reader.close()
        return rows

    def requests_since(self, count: int) -> list[str]:
        """Return the methods on the wire after the first ``count``, without ``receipts.``."""
        return [one.method.partition(".")[2] for one in self.sandbox.requests[count:]]
