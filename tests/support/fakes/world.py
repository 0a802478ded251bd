"""A till, its journal on a real disk, and PaymeGO on virtual time, without the dispatcher and the worker."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fakes.clock import VirtualClock
from fakes.paymego import VirtualClient, VirtualPaymeGo
from fakes.till import TENDER, PowerCut, ScriptedUi, VirtualHost, request_for
from hookspecs import Slip
from payme_plugin.ledger.connection import FileIdentity
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import Leases
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.acknowledgement import acknowledge
from payme_plugin.operations.cancellation import MerchantClient
from payme_plugin.operations.context import Context, limits_of
from payme_plugin.operations.lost_payment import find_lost_payment
from payme_plugin.operations.payment import resume_payment, take_payment
from payme_plugin.operations.recovery import cancel_orphans
from payme_plugin.operations.results import store_unstored
from payme_plugin.paymego import codes
from payme_plugin.sandbox import FaultKind
from payme_plugin.settings import Places, read_settings
from payme_plugin.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hookspecs import PaymentRecord, PaymentRequest, PaymentResult, Receipt
    from payme_plugin.ledger.rows import CancellationRow, EventRow, PaymentRow
    from payme_plugin.operations.payment_slips import PaymentSlips
    from payme_plugin.settings import Settings
    from payme_plugin.texts import Text

_POS_ID = "65aa00112233445566778899"
_KEY = "canary-key-of-the-account"
_URL = "http://localhost/api"
_NO_FILES = Places(Path("/nonexistent/payme.go.conf"), Path("/nonexistent/payme.xml"))


def settings_of(**given: object) -> Settings:
    """Return settings for virtual time, with ``given`` in place of the defaults.

    By default the plugin waits 20 s for the buyer and asks every 2 s, not earlier; one request may take 5 s.
    """
    values: dict[str, object] = {
        "url": _URL, "posId": _POS_ID, "posKey": _KEY, "paymentType": TENDER,
        "timeout": 5, "payDuration": 20_000, "frequency": 2_000, "earlyPolling": 0,
    }  # fmt: skip
    host = {name: str(value) for name, value in (values | given).items()}
    # A test may use times that are shorter than the settings allow.
    times: dict[str, Any] = {
        field: int(host.pop(name))
        for name, field in {"payDuration": "pay_duration_ms", "frequency": "frequency_ms"}.items()
        if host[name].isdecimal()
    }
    return replace(read_settings(host, None, codes, places=_NO_FILES), **times)


@dataclass(eq=False)
class PlainSlips:
    """Replaces ``PaymentSlips``; records its calls.

    Attributes:
        made: operation, payment and the server's receipt of every slip.
    """

    made: list[tuple[str, PaymentRow, Mapping[str, object]]] = field(default_factory=list)

    def render(
        self, operation: str, row: PaymentRow, receipt: Mapping[str, object], document: Receipt | None = None
    ) -> tuple[Slip, ...]:
        """Return a slip of two lines."""
        self.made.append((operation, row, receipt))
        return (Slip(xml="<slip/>", lines=(operation, row.payment_id), copies=2),)


class World:
    """One till with one merchant account.

    Attributes:
        clock: the time.
        paymego: the server.
        host: the till.
        journal: the till's journal, a real file in ``folder``.
        owner: the token of the till's process.
        plain_slips: renders the slips and records them.
        slips: what the context renders with; a test may replace it.
        settings: the settings of this moment.
        client: the client of the merchant account.
        files: the journal's files as they were when it was opened.
        unstored: the results that the journal could not store, by payment.
    """

    def __init__(self, folder: Path, seed: int = 1, **given: object) -> None:
        self.clock = VirtualClock()
        self.paymego = VirtualPaymeGo(self.clock, seed)
        self.host = VirtualHost(folder)
        self.settings = settings_of(**given)
        self.texts = Texts(self.settings.language or "ru")
        self.plain_slips = PlainSlips()
        self.slips = cast("PaymentSlips", self.plain_slips)
        self.client = self._new_client()
        self.journal = self._open()
        self.files = self._identity()
        self.owner = "process-1"
        self.unstored: list[str] = []

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()

    def set(self, **given: object) -> None:
        """Change settings and make a new client."""
        self.settings = settings_of(**given)
        self.client = self._new_client()

    def restart(self) -> None:
        """Begin another process of the till with the same journal."""
        self.journal.close()
        self.journal = self._open()
        self.files = self._identity()
        self.unstored = []
        self.owner = f"process-{int(self.owner.partition('-')[2]) + 1}"
        self.client = self._new_client()

    def context(self) -> Context:
        """Return the context of one operation."""
        return Context(
            client=self.client,
            clock=self.clock,
            journal=self.journal,
            owner=self.owner,
            leases=Leases(self.host.folder),
            settings=self.settings,
            texts=self.texts,
            slips=self.slips,
            notice=self.host.notice,
            files=self.files,
            keep_result=self.keep_result,
            merchants={
                each.pos_id: MerchantClient(each.pos_id, each.url, self._client_of(each), limits_of(each))
                for each in self.settings.accounts
            },
        )

    def keep_result(self, payment_id: str) -> None:
        """Keep a payment whose result the journal can't store."""
        self.unstored.append(payment_id)

    def store_results(self) -> None:
        """Store the results that were kept, as the worker and the next hook do."""
        while self.unstored:
            store_unstored(self.journal, self.unstored[0], self.texts)
            del self.unstored[0]

    def decide_orphans(self, pending: Collection[str] = ()) -> int:
        """Cancel the orphans, as ``on_ready`` does; return how many there were."""
        return cancel_orphans(self.journal, self.owner, pending, self.texts)

    def acknowledge(self, record: PaymentRecord | None, sale: Receipt | None = None) -> PaymentRow | None:
        """Acknowledge a payment; ``sale`` is its closed sale, if it is closed."""
        assert record is not None
        return acknowledge(self.journal, self.owner, self.texts, self.host.notice, record, sale)

    def cashier(self, *scans: object, takes_s: float = 0.0, stops_at: float | None = None) -> ScriptedUi:
        """Return a cashier who scans these codes, and who stops the wait at the second ``stops_at``."""
        ui = ScriptedUi(self.clock, list(scans), takes_s)
        if stops_at is not None:
            ui.on_progress = lambda now_s: now_s >= stops_at
        return ui

    def pay(self, *scans: object, ui: ScriptedUi | None = None, **asked: object) -> PaymentResult:
        """Take a payment with the cashier ``ui`` or one who scans these codes; repeat it if the journal has it."""
        request: PaymentRequest = request_for(**asked)  # type: ignore[arg-type]
        context, ui, row = (
            self.context(),
            self.cashier(*scans) if ui is None else ui,
            self.journal.find(request.payment_id),
        )
        if row is not None:
            return resume_payment(context, request, row, ui)
        return (find_lost_payment if request.repeated else take_payment)(context, request, ui)

    def cut_after_pay(self, code: str, *faults: FaultKind) -> None:
        """Let the power fail after ``receipts.pay``: its answer is lost, or the given faults hit pay and check."""
        for kind, method in zip(faults or (FaultKind.SILENT_AFTER_EFFECT,), ("receipts.pay", "receipts.check")):  # noqa: B905
            self.paymego.inject_fault(kind, method, after_s=3)
        ui = self.cashier(code)
        ui.on_progress = ui.cut_while_waiting
        with suppress(PowerCut):
            self.pay(ui=ui)
        assert self.row().state is PaymentState.PAYING

    def text(self, text: Text, **values: object) -> str:
        """Return a text as the cashier reads it."""
        return self.texts(text, **values)

    def row(self, payment_id: str = "p1") -> PaymentRow:
        """Return the row of a payment."""
        return self.journal.payment(payment_id)

    def path_of(self, payment_id: str = "p1") -> list[str]:
        """Return the states that a payment went through, in order."""
        return [event.after.value for event in self.events(payment_id) if event.after is not None]

    def events(self, payment_id: str = "p1") -> list[EventRow]:
        """Return the events of a payment."""
        return self.journal.events(payment_id)

    def live(self, payment_id: str = "p1") -> list[CancellationRow]:
        """Return the live cancellations of a payment."""
        return [row for row in self.journal.live_cancellations() if row.payment_id == payment_id]

    def _identity(self) -> FileIdentity:
        return FileIdentity(self.host.folder / FILE_NAME)

    def _open(self) -> Journal:
        return Journal(self.host.folder / FILE_NAME, host_identity=self.host.identity, clock=self.clock)

    def _new_client(self) -> VirtualClient:
        return self._client_of(self.settings)

    def _client_of(self, settings: Settings) -> VirtualClient:
        return self.paymego.client(settings.pos_id, settings.pos_key.reveal())
