"""A process of the plugin in a simulation: the real dispatcher, background, operations, ledger and delivery.

Only what would touch the world is replaced: the client, the printer of slips, and the thread of the worker, which takes
turns with the others on virtual time here.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from fakes.till import TENDER
from payme_plugin.background import Background
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.delivery.relay import RelayCache
from payme_plugin.delivery.worker import _IDLE_AFTER_FAILURE_S, _LONGEST_IDLE_S
from payme_plugin.dispatcher import HookDispatcher
from payme_plugin.ledger.errors import JournalError
from payme_plugin.operations.cancellation import MerchantClient
from payme_plugin.operations.context import Context, limits_of
from payme_plugin.operations.host_guard import GuardedHost
from payme_plugin.service import ClientCache
from payme_plugin.settings import SettingsError
from payme_plugin.texts import Text, Texts
from simulator.journal import SimStorage
from simulator.stage import StageCondition
from simulator.wire import SimClient

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from random import Random
    from threading import Condition

    from hookspecs import Host
    from payme_plugin.clock import Clock
    from payme_plugin.delivery.processor import DeliveryHost
    from payme_plugin.operations.payment_slips import PaymentSlips
    from payme_plugin.paymego.client import PaymeGoClient
    from payme_plugin.service import Service, Storage
    from payme_plugin.settings import Settings, SettingsReader
    from simulator.chain import SimBroker
    from simulator.journal import Disk
    from simulator.stage import Actor, Life, Stage
    from simulator.wire import SimPaymeGo

IDENTITY = "till-1"

_TEXTS = Texts("ru")
_STRETCHED = {_LONGEST_IDLE_S: 450.0, _IDLE_AFTER_FAILURE_S: 20.0}
"""Pauses of a worker that is not woken: nothing happens in the rounds that are left out, and they cost time."""
_SHORTEST_IDLE_S = 0.2
_RETRY_S = 20.0
_MOST_DUE = 64
_LOOKS_EVERY_S = 0.1


class _Background(Background):
    """The real background; the jitter of its pauses is random, and it wakes a worker on virtual time."""

    def __init__(self, host: GuardedHost, storage: Storage, process: Process) -> None:
        super().__init__(
            host,
            storage,
            cast("SettingsReader", SimpleNamespace(read=process.settings)),
            process.clients,
            process.stage,
        )
        self._process = process
        broker, life = process.broker, process.life
        self._relays = RelayCache(process.stage, self.wake, lambda *given: broker.relay(life, given[-1]))

    def processor(self) -> CancellationProcessor:
        """Return what works on the cancellations."""
        if self._processor is None:
            self._processor = self._process.new_processor(self)
        return self._processor

    def texts(self) -> Texts:
        """Return the texts of every till here."""
        return _TEXTS

    def wake(self, *, retry: bool = False) -> None:
        """Let the worker look at once."""
        super().wake(retry=retry)
        self._process.wake()

    def yield_to_sale(self) -> bool:
        """Wait up to 1 s while a money hook runs; return whether none does."""
        stage = self._process.stage
        limit = stage.monotonic() + 1.0
        while self._active is not None and stage.monotonic() < limit:
            stage.sleep(_LOOKS_EVERY_S)
        return self._active is None

    @property
    def is_leader(self) -> bool:
        """Whether this process is the leader."""
        return self._leader.is_leader

    def lead(self) -> bool:
        """Become the leader if nobody else is, as another till on this folder would; return whether it is."""
        return self._try_lead()

    @property
    def unstored(self) -> Collection[str]:
        """The payments whose result was returned and could not be stored yet."""
        return self._unstored

    def run_worker(self) -> float:
        """Let the worker deliver what is due; return the seconds until it looks again."""
        self._worker._wake.clear()
        idle_s = self._worker._run_once()
        return 0.0 if self._worker._wake.is_set() else _STRETCHED.get(idle_s, idle_s)


class _Service:
    """What the dispatcher takes for its ``Service``."""

    def __init__(self, process: Process, host: GuardedHost, background: Background) -> None:
        self.clock: Clock = process.stage
        self.storage = process.storage
        self.settings = SimpleNamespace(payment_type=lambda: TENDER)
        self.host = host
        self.background = background
        self._process = process

    def start(self) -> None:
        pass

    def context(self) -> Context:
        process = self._process
        settings = process.settings()
        client = process.sale_client(settings)
        account = MerchantClient(settings.pos_id, settings.url, cast("PaymeGoClient", client), limits_of(settings))
        return Context(
            client=client,
            clock=process.stage,
            journal=process.storage.journal(),
            owner=process.storage.owner,
            leases=process.storage.leases,
            settings=settings,
            texts=_TEXTS,
            slips=cast("PaymentSlips", SimpleNamespace(render=lambda *_: ())),
            notice=self.host.notice,
            files=process.storage.opened.file,
            keep_result=self.background.keep_result,
            merchants={settings.pos_id: account},
        )

    def texts(self) -> Texts:
        return _TEXTS

    def journal_fault(self, error: JournalError, what: str) -> None:
        self.host.notice("payme.journal", _TEXTS(Text.NOTICE_JOURNAL_UNWRITABLE))

    def stop(self) -> None:
        self.background.stop()


class _Dispatcher(HookDispatcher):
    """The real dispatcher; who waits in it waits on virtual time."""

    def __init__(self, service: Service, stage: Stage) -> None:
        super().__init__(service)
        self._changed = cast("Condition", StageCondition(stage))

    @property
    def is_busy(self) -> bool:
        """Whether a money hook runs."""
        return self._running is not None


class Process:
    """A process that has the plugin loaded: a till, or a command beside it.

    Args:
        stage: the time.
        disk: the data folder.
        paymego: the other side.
        broker: the other side of its relay.
        life: the process itself.
        host: the till as this process sees it.
        settings: gives the settings of this moment; raises ``SettingsError`` where they can't be used.
        rng: for the jitter.

    Attributes:
        dispatcher: serves its hooks.
        clients: the client of what it delivers.
        background: its recovery and its delivery.
        storage: its hold on the data folder.
    """

    def __init__(
        self,
        stage: Stage,
        disk: Disk,
        paymego: SimPaymeGo,
        broker: SimBroker,
        life: Life,
        host: Host,
        settings: Callable[[], Settings],
        rng: Random,
    ) -> None:
        self.stage = stage
        self.broker = broker
        self.life = life
        self._read_settings = settings
        self._last_good: Settings | None = None
        self.host = GuardedHost(host)
        self.storage = SimStorage(disk, life, IDENTITY)
        self.clients = ClientCache(stage, lambda settings, _: cast("PaymeGoClient", self.client(settings)))
        self._rng = rng
        self.background = _Background(self.host, cast("Storage", self.storage), self)
        self.dispatcher = _Dispatcher(cast("Service", _Service(self, self.host, self.background)), stage)
        self.dispatcher.start()
        self._paymego = paymego
        self._sale_client: tuple[Settings, SimClient] | None = None
        self._idle: list[Actor] = []
        life.at_end(self.background._leader.release)

    def settings(self) -> Settings:
        """Return the settings: those of this moment, or the last good ones, as the plugin's reader does.

        Raises:
            SettingsError: they can't be used, and there never were good ones.
        """
        try:
            self._last_good = self._read_settings()
        except SettingsError:
            if self._last_good is None:
                raise
        return self._last_good

    def client(self, settings: Settings, *, is_of_sales: bool = False) -> SimClient:
        """Return a new client of the merchant account in the settings."""
        key = settings.pos_key.reveal()
        return SimClient(self._paymego, self.life, settings.pos_id, key, is_of_sales=is_of_sales)

    def sale_client(self, settings: Settings) -> SimClient:
        """Return the client of the sales."""
        if self._sale_client is None or self._sale_client[0] != settings:
            self._sale_client = (settings, self.client(settings, is_of_sales=True))
        return self._sale_client[1]

    def new_processor(self, host: DeliveryHost | None = None) -> CancellationProcessor:
        """Return what works on the cancellations, over a connection of its own; it asks ``host``, or the till's."""
        journal = self.storage.another_journal()
        return CancellationProcessor(journal, self.storage.leases, host or self.host, self.stage, self._rng.random)

    def start_worker(self) -> None:
        """Let its worker run."""
        self.stage.spawn(self.life, self.work)

    def wake(self) -> None:
        """Let the worker look at once for what is due."""
        for actor in self._idle:
            self.stage.rouse(actor)

    def stop(self) -> None:
        """Stop, as ``on_stop`` does: what is under way in the background is cut off."""
        self.dispatcher.stop()
        self.stage.enter(None)
        self.life.end()
        self.stage.discard(self.life)
        self.storage.discard()

    def discard(self) -> None:
        """Close what it had open when it was killed."""
        self.stage.discard(self.life)
        self.storage.discard()

    def work(self) -> None:
        """Do what the till's worker does, until the process ends."""
        while True:
            idle_s = max(self.background.run_worker(), _SHORTEST_IDLE_S)
            self._idle.append(self.stage.current)
            self.stage.sleep(idle_s)
            self._idle.remove(self.stage.current)

    def work_beside(self) -> None:
        """Deliver what is due beside a till, round after round, until the process ends."""
        processor = None
        while True:
            idle_s = _RETRY_S
            try:
                processor = processor or self.new_processor()
                merchant = self.background.merchants()
                if merchant is not None:
                    for row in processor.cancellations.due(_MOST_DUE):
                        processor.deliver(row, merchant)
                    next_due_ms = processor.cancellations.next_due_in_ms()
                    idle_s = _STRETCHED[_LONGEST_IDLE_S] if next_due_ms is None else next_due_ms / 1000 + 0.001
            except JournalError:
                pass  # the disk is full: it tries again
            self.stage.sleep(max(idle_s, _SHORTEST_IDLE_S))
