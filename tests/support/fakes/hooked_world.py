"""A till on virtual time with the real dispatcher, background, recovery and worker.

Only the client, the clock, the slip renderer and the worker's thread are replaced. The worker's own code runs when a
test calls ``work``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from fakes.failing_journal import StagedJournal
from fakes.till import TENDER, ScriptedUi, open_sale, request_for
from fakes.world import World, settings_of
from hookspecs import (
    CancelRequest,
    PaymentRecord,
    PaymentResult,
    PaymentStatus,
    QueueMessage,
    QueueVerdict,
    Receipt,
    ReceiptFiscal,
    ReceiptKind,
    RefundRequest,
    RefundViolation,
    ReversalResult,
)
from payme_plugin.background import Background
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.dispatcher import HookDispatcher
from payme_plugin.ledger.connection import FileIdentity
from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.locks import Leases
from payme_plugin.operations.host_guard import GuardedHost
from payme_plugin.operations.results import JOURNAL_NOTICE, journal_notice
from payme_plugin.service import ClientCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hookspecs import Item
    from payme_plugin.clock import Clock
    from payme_plugin.ledger.errors import JournalError
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.operations.cancellation import MerchantClient, StepOutcome
    from payme_plugin.operations.context import Context
    from payme_plugin.paymego.client import PaymeGoClient
    from payme_plugin.service import OpenStorage, Service, Storage
    from payme_plugin.settings import Settings, SettingsReader
    from payme_plugin.texts import Texts

OFD_LINK = "https://ofd.soliq.uz/check?t=UZ000000000000&r=121&c=20240312184051&s=123456789012"
"""A fiscal receipt's link. Source: the Subscribe API's page of receipts.set_fiscal_data."""


@dataclass(frozen=True)
class Sold:
    """A paid sale.

    Attributes:
        record: the payment as the till stored it.
        receipt: the sale with that payment in it.
    """

    record: PaymentRecord
    receipt: Receipt

    @property
    def receipt_id(self) -> str:
        """Payme's receipt id."""
        return self.record.data["receipt_id"]


class HookedWorld(World):
    """One till with one merchant account, and the plugin's hooks in service.

    Attributes:
        journal: the till's journal; a test may let its commits fail.
        dispatcher: serves the hooks.
        background: the real background, without threads.
        jitter: returns by how much the pauses of the worker are shortened, from 0 to 1.
        broken: whether reading the settings raises ``SettingsError``.
    """

    journal: StagedJournal

    def __init__(self, folder: Path, seed: int = 1, **given: object) -> None:
        super().__init__(folder, seed, **given)
        self.jitter: Callable[[], float] = lambda: 0.0
        self.broken = False
        self._processes: list[_Process] = []
        self._begin()

    def close(self) -> None:
        """End every process and close the journal."""
        for process in self._processes:
            process.end()
        super().close()

    def restart(self, *, dead: bool = True) -> None:
        """Begin another process; the former one ends, or runs on if ``dead`` is false."""
        if dead:
            self._processes[-1].end()
        super().restart()
        self._begin()

    @property
    def dispatcher(self) -> HookDispatcher:
        """The dispatcher of the latest process."""
        return self._processes[-1].dispatcher

    @property
    def background(self) -> Background:
        """The background of the latest process."""
        return self._processes[-1].background

    def meanwhile(self, action: Callable[[], object], *, once: bool = False) -> ScriptedUi:
        """Return a cashier whose ``progress`` calls ``action``, every time or once, and returns its result."""
        ui, done = self.cashier(), list[None]()

        def on_progress(_: float) -> object:
            if once and done:
                return None
            done.append(None)
            return action()

        ui.on_progress = on_progress
        return ui

    def after_next_commit(self, action: Callable[[], object]) -> None:
        """Call ``action`` right after the next commit of a hook."""

        def after(_: int) -> None:
            self.journal.recover()
            action()

        self.journal.after = after

    def ask(self, *scans: object, ui: ScriptedUi | None = None, **asked: object) -> PaymentResult:
        """Call ``on_payment`` as the host does, with the cashier ``ui`` or one who scans these codes."""
        request = request_for(**asked)  # type: ignore[arg-type]
        result = self.dispatcher.pay(request, self.cashier(*scans) if ui is None else ui)
        assert isinstance(result, PaymentResult)
        return result

    def sell(
        self, payment_id: str = "p1", number: int = 1, *, items: tuple[Item, ...] | None = None, amount: int = 1_500_000
    ) -> Sold:
        """Sell something to a buyer who pays; leave the sale open."""
        sale = open_sale(number, amount=amount)
        sale = sale if items is None else replace(sale, items=items, total=sum(item.amount for item in items))
        result = self.pay(self.paymego.code(), payment_id=payment_id, receipt=sale, amount=sale.total)
        assert result.status is PaymentStatus.PAID
        assert result.payment is not None
        return Sold(result.payment, replace(sale, payments=(result.payment,)))

    def close_sale(self, sold: Sold, *, link: str | None = None) -> Sold:
        """Close a sale and call ``on_receipt_closed``."""
        fiscal = None if link is None else ReceiptFiscal(url=link)
        closed = replace(sold.receipt, closed_at=self.clock.wall_ms(), fiscal=fiscal)
        self.dispatcher.receipt_closed(closed)
        return Sold(sold.record, closed)

    def sell_and_close(
        self, payment_id: str = "p1", number: int = 1, *, link: str | None = None, items: tuple[Item, ...] | None = None
    ) -> Sold:
        """Sell something, and close the sale."""
        return self.close_sale(self.sell(payment_id, number, items=items), link=link)

    def cancel(
        self, sold: Sold, *, ui: ScriptedUi | None = None, record: PaymentRecord | None = None
    ) -> ReversalResult:
        """Cancel an open sale, as the host does."""
        payment = sold.record if record is None else record
        request = CancelRequest(payment=payment, receipt=sold.receipt, reason="the buyer left")
        result = self.dispatcher.cancel(request, self.cashier() if ui is None else ui)
        assert isinstance(result, ReversalResult)
        return result

    def refund(
        self, sold: Sold, refund_id: str = "f1", *, ui: ScriptedUi | None = None, **changes: object
    ) -> ReversalResult:
        """Refund a closed sale, as the host does."""
        request = self.refund_of(sold, refund_id, **changes)
        result = self.dispatcher.refund(request, self.cashier() if ui is None else ui)
        assert isinstance(result, ReversalResult)
        return result

    def violations(self, sold: Sold, refund_id: str = "f1", **changes: object) -> list[RefundViolation]:
        """Ask whether a refund may close, as the host does."""
        return self.dispatcher.violations(self.refund_of(sold, refund_id, **changes))

    @staticmethod
    def refund_of(sold: Sold, refund_id: str = "f1", **changes: object) -> RefundRequest:
        """Return the request of a full refund with some fields replaced."""
        refund = replace(sold.receipt, number=900, kind=ReceiptKind.REFUND, payments=(), closed_at=None, fiscal=None)
        request = RefundRequest(
            refund_id=refund_id,
            payment_type=TENDER,
            payment=sold.record,
            sale=sold.receipt,
            refund=refund,
            amount=sold.record.amount,
            manual_selection=False,
            currency_selection=False,
        )
        return replace(request, **changes)  # type: ignore[arg-type]

    def message(self, message: QueueMessage) -> QueueVerdict | None:
        """Let the host's queue deliver a message."""
        return self.dispatcher.queue_message(message)

    def work(self, duration_s: float = 0.0) -> None:
        """Run the worker once now, and as often as it would run in the next ``duration_s`` seconds."""
        self._processes[-1].work(self, self.clock.monotonic() + duration_s)

    @property
    def merchants(self) -> Mapping[str, MerchantClient]:
        """The merchant accounts of the settings, by posId."""
        merchants = self.background.merchants()
        assert merchants is not None
        return merchants

    def step(self, row: CancellationRow | None = None, *, is_recorded: bool | None = None) -> StepOutcome | None:
        """Let the worker step a row, or the only live one; ``is_recorded`` is the host's answer."""
        if row is None:
            (row,) = self.journal.live_cancellations()
        return self.background.processor().step(row, self.merchants, is_recorded=is_recorded)

    def keep_result(self, payment_id: str) -> None:
        """Keep a payment whose result the journal can't store, in the real background."""
        self.background.keep_result(payment_id)

    def read_settings(self) -> Settings:
        """Return the settings of this moment; raise ``SettingsError`` while ``broken``."""
        return settings_of(url="soon") if self.broken else self.settings

    def _open(self) -> StagedJournal:
        return StagedJournal(self.host.folder, self.host.identity, self.clock)

    def _begin(self) -> None:
        self._processes.append(_Process(self))


class _Process:
    """A process of the till, from its start to its end."""

    def __init__(self, world: HookedWorld) -> None:
        host = GuardedHost(world.host)
        self.storage = _Storage(world)
        self.background = _Background(host, self.storage, world)
        self.dispatcher = HookDispatcher(cast("Service", _Service(world, host, self.background)))
        self.dispatcher.start()

    def work(self, world: HookedWorld, until: float) -> None:
        while True:
            idle_s = self.background._worker._run_once()
            if world.clock.monotonic() >= until:
                return
            world.clock.pass_until(min(until, world.clock.monotonic() + idle_s))

    def end(self) -> None:
        """Release what the operating system takes from a dead process."""
        self.background._leader.release()
        self.storage.close()


class _Storage:
    """A ``payme_plugin.service.Storage`` with the journal of a ``HookedWorld``."""

    def __init__(self, world: HookedWorld) -> None:
        self._world = world
        self.owner = world.owner
        self._leases = Leases(world.host.folder)
        self._others: list[Journal] = []

    @property
    def opened(self) -> OpenStorage:
        world = self._world
        return cast("OpenStorage", SimpleNamespace(journal=world.journal, leases=self._leases, file=world.files))

    @property
    def file(self) -> FileIdentity:
        return FileIdentity(self._world.host.folder / FILE_NAME)

    def journal(self) -> Journal:
        for other in self._others:
            if other.damage is not None:
                self._world.journal.note_damage(other.damage)
        return self._world.journal

    def fault(self) -> JournalError | None:
        damages = [each.damage for each in (self.journal(), *self._others) if each.damage is not None]
        return Damaged(damages[0]) if damages else None

    def another_journal(self) -> Journal:
        other = StagedJournal(self._world.host.folder, self._world.host.identity, self._world.clock)
        self._others.append(other)
        return other

    def close(self) -> None:
        while self._others:
            self._others.pop().close()


class _Background(Background):
    """The real one with the jitter of a ``HookedWorld``; its worker runs on the thread of the test."""

    def __init__(self, host: GuardedHost, storage: _Storage, world: HookedWorld) -> None:
        super().__init__(
            host,
            cast("Storage", storage),
            cast("SettingsReader", SimpleNamespace(read=world.read_settings)),
            ClientCache(world.clock, lambda settings, _: _client_of(world, settings)),
            world.clock,
        )
        self._world = world

    def processor(self) -> CancellationProcessor:
        if self._processor is None:
            journal = self._storage.another_journal()
            self._processor = CancellationProcessor(
                journal, self._storage.opened.leases, self, self._clock, self._jitter
            )
        return self._processor

    def texts(self) -> Texts:
        return self._world.texts

    def yield_to_sale(self) -> bool:
        return True

    def _jitter(self) -> float:
        return self._world.jitter()


def _client_of(world: HookedWorld, settings: Settings) -> PaymeGoClient:
    return cast("PaymeGoClient", world.paymego.client(settings.pos_id, settings.pos_key.reveal()))


@dataclass(frozen=True)
class _Service:
    """The ``Service`` of the dispatcher."""

    world: HookedWorld
    host: GuardedHost
    background: Background

    @property
    def storage(self) -> Storage:
        return self.background._storage

    @property
    def settings(self) -> SettingsReader:
        return cast("SettingsReader", SimpleNamespace(payment_type=lambda: self.world.settings.payment_type))

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    @property
    def clock(self) -> Clock:
        return self.world.clock

    def context(self) -> Context:
        self.world.read_settings()
        return self.world.context()

    def texts(self) -> Texts:
        return self.world.texts

    def journal_fault(self, error: JournalError, what: str) -> None:
        self.host.notice(JOURNAL_NOTICE, self.world.text(journal_notice(error)))
