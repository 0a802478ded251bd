"""The composition root: build client, journal, slip renderer and background, each when first needed."""

from __future__ import annotations

import secrets
import threading
from contextlib import ExitStack
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from hookspecs import PaymentType
from payme_plugin import PLUGIN_NAME
from payme_plugin.background import Background, texts_of
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.connection import FileIdentity
from payme_plugin.ledger.errors import Damaged, JournalError, Unavailable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import USERS, Leases
from payme_plugin.ledger.reader import close_inherited
from payme_plugin.locale import CatalogueUnreadable, load_catalogue
from payme_plugin.log import Log
from payme_plugin.operations.cancellation import MerchantClient
from payme_plugin.operations.context import Context, limits_of
from payme_plugin.operations.host_guard import GuardedHost
from payme_plugin.operations.payment_slips import (
    PaymentSlips,
    TemplateCache,
    import_slip_parts,
    new_renderer,
    warm_up_slips,
)
from payme_plugin.operations.results import JOURNAL_NOTICE, journal_notice
from payme_plugin.paymego import codes
from payme_plugin.paymego.client import client_of
from payme_plugin.paymego.protocols import MerchantAccount
from payme_plugin.settings import SettingsError, SettingsReader
from payme_plugin.texts import DOMAIN, LANGUAGES, Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from hookspecs import Host
    from payme_plugin.clock import Clock
    from payme_plugin.paymego.client import PaymeGoClient
    from payme_plugin.settings import Settings, SettingWarning

_log = Log()

_SETTINGS_NOTICE = "payme.settings"
_TENDER_NOTICE = "payme.tender"
_DEFAULT_SLIP_WIDTH = 32
_WARM_UP_AFTER_S = 0.02
"""The start has usually returned by then; a thread that computes beside it would delay it."""


class Service:
    """The parts of the plugin between the till's start and stop.

    Args:
        host: the till.
        clock: time; by default the machine's.

    Attributes:
        host: the till, guarded.
        clock: time.
        settings: reads the current settings.
        storage: the till's data folder.
        background: recovery, housekeeping, the worker and notices.
    """

    def __init__(self, host: Host, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.host = GuardedHost(host)
        self.settings = SettingsReader(lambda: host.settings(PLUGIN_NAME), codes)
        self.storage = Storage(self.host, self.clock)
        self._clients = ClientCache(self.clock)
        self._templates = lru_cache(maxsize=1)(lambda encoding: TemplateCache(partial(new_renderer, encoding)))
        self._warm_up: threading.Timer | None = None
        self.background = Background(self.host, self.storage, self.settings, ClientCache(self.clock), self.clock)

    def start(self) -> None:
        """Check texts and settings, open the journal, prepare the first payment and start the background."""
        settings = self._checked_settings()
        try:
            self.background.reconciler.load(self.storage.journal())
        except JournalError as error:
            self.journal_fault(error, "the till starts")
        else:
            self.host.notice(JOURNAL_NOTICE, None)
        templates = self._templates(settings.slip_encoding if settings is not None else None)
        import_slip_parts()
        if settings is not None:
            self._clients.of(settings).warm_up()
        # A template that is never printed is not checked.
        template = settings.slip_template if settings is not None and settings.slip_copies else None
        slips = (templates, template, texts_of(settings, self.host), self.background.notify)
        self._warm_up = threading.Timer(_WARM_UP_AFTER_S, _warm_up, slips)
        self._warm_up.name, self._warm_up.daemon = "payme-warm-up", True
        self._warm_up.start()
        self.background.start(run_worker=settings is None or settings.run_worker)

    def stop(self) -> None:
        """End the background, and close clients and journal; unfinished work is durable."""
        if self._warm_up is not None:
            self._warm_up.cancel()
        self.background.stop()
        self._clients.close()
        self.storage.close()

    def payment_types(self) -> list[PaymentType]:
        """Return the tender of the settings; without one, show a notice that says how to set it."""
        texts = texts_of(self._checked_settings(), self.host)
        number = self.settings.payment_type()
        self.host.notice(_TENDER_NOTICE, None if number is not None else texts(Text.NOTICE_NO_PAYMENT_TYPE))
        return [] if number is None else [PaymentType(number=number, name=texts(Text.TENDER_NAME))]

    def context(self) -> Context:
        """Return the context of one operation, with the current settings.

        Raises:
            SettingsError: the settings can't be used.
            JournalError: the journal can't be used.
        """
        settings = self.settings.read()
        self._notify_settings(settings)
        texts = texts_of(settings, self.host)
        journal = self.storage.journal()
        return Context(
            client=self._clients.of(settings),
            clock=self.clock,
            journal=journal,
            owner=self.storage.owner,
            leases=self.storage.opened.leases,
            settings=settings,
            texts=texts,
            slips=PaymentSlips(
                templates=self._templates(settings.slip_encoding),
                template=settings.slip_template,
                width=self.host.slip_width(_DEFAULT_SLIP_WIDTH),
                copies=settings.slip_copies,
                texts=texts,
                notice=self.host.notice,
            ),
            notice=self.host.notice,
            files=self.storage.opened.file,
            keep_result=self.background.keep_result,
            merchants=self._clients.merchants(settings),
        )

    def texts(self) -> Texts:
        """Return the texts in the cashier's current language."""
        return self.background.texts()

    def journal_fault(self, error: JournalError, what: str) -> None:
        """Log that the journal could not store something, and show a notice."""
        _log.error("%s: the journal can't be used: %s", what, error)
        self.host.notice(JOURNAL_NOTICE, self.texts()(journal_notice(error)))

    def _checked_settings(self) -> Settings | None:
        try:
            settings = self.settings.read()
        except SettingsError as error:
            _log.error("the settings can't be used: %s", error)
            _log_warnings(error.warnings)
            text = texts_of(None, self.host)(Text.NOTICE_SETTINGS_BROKEN, fault=error.faults[0].short)
            self.host.notice(_SETTINGS_NOTICE, text)
            return None
        self._notify_settings(settings)
        problem = self.settings.problem
        _log_warnings(dict.fromkeys((*settings.warnings, *(problem.warnings if problem is not None else ()))))
        return settings

    def _notify_settings(self, settings: Settings) -> None:
        problem = self.settings.problem
        if problem is None:
            self.host.notice(_SETTINGS_NOTICE, None)
            return
        _log.error("the changed settings can't be used, the former ones stay in force: %s", problem)
        texts = texts_of(settings, self.host)
        self.host.notice(_SETTINGS_NOTICE, texts(Text.NOTICE_SETTINGS_KEPT_LAST_GOOD, fault=problem.faults[0].short))


class ClientCache:
    """Keeps the clients of the merchant accounts in the settings, and replaces those that change. Thread-safe.

    Args:
        clock: time.
        new_client: makes a client.
    """

    def __init__(self, clock: Clock, new_client: Callable[[Settings, Clock], PaymeGoClient] = client_of) -> None:
        self._clock = clock
        self._new_client = new_client
        self._lock = threading.Lock()
        self._clients: dict[object, PaymeGoClient] = {}
        self._is_closed = False

    def of(self, settings: Settings) -> PaymeGoClient:
        """Return the client of the current merchant account; after ``close``, one that sends nothing."""
        return self._clients_of(settings)[0]

    def merchants(self, settings: Settings) -> dict[str, MerchantClient]:
        """Return the merchant accounts in ``settings`` by posId; a former one goes before the current one."""
        limits, clients = limits_of(settings), self._clients_of(settings)
        pairs = zip(settings.accounts, clients, strict=True)
        return {each.pos_id: MerchantClient(each.pos_id, each.url, client, limits) for each, client in pairs}

    def close(self) -> None:
        """Close the clients: end every wait for an answer and send nothing more."""
        with self._lock:
            self._is_closed = True
            clients = tuple(self._clients.values())
        for client in clients:
            client.close()

    def _clients_of(self, settings: Settings) -> list[PaymeGoClient]:
        """Return a client for each of ``settings.accounts``; close those that no account needs any more."""
        keys = [(MerchantAccount.of(each), each.ca_file, each.proxy) for each in settings.accounts]
        with self._lock:
            former, self._clients = self._clients, {}
            for key, each in zip(keys, settings.accounts, strict=True):
                if key not in self._clients:
                    self._clients[key] = former.pop(key) if key in former else self._new_client(each, self._clock)
            clients = [self._clients[key] for key in keys]
            unneeded = [*former.values(), *(clients if self._is_closed else ())]
        for client in unneeded:
            client.close()
        return clients


class OpenStorage(NamedTuple):
    """What is open in the till's data folder.

    Attributes:
        path: the journal's file.
        journal: the journal.
        file: detects that the file was deleted, moved or replaced.
        leases: the journal's locks.
        closing: closes the journal.
    """

    path: Path
    journal: Journal
    file: FileIdentity
    leases: Leases
    closing: ExitStack


class Storage:
    """Opens the journal and its locks in the till's data folder. Any thread may use it.

    It opens them when first needed. If that fails it tries again at the next call, because a disk that failed at the
    start may work at the next payment.

    Attributes:
        owner: the token of this till's run in the journal's rows.
    """

    def __init__(self, host: GuardedHost, clock: Clock) -> None:
        self.owner = secrets.token_hex(16)
        self._host = host
        self._clock = clock
        self._lock = threading.Lock()
        self._opened: OpenStorage | None = None
        self._is_closed = False
        self._others: list[Journal] = []

    @property
    def opened(self) -> OpenStorage:
        """What ``journal`` has opened; raises ``Unavailable`` before its first call."""
        if self._opened is None:
            message = "the journal is not open"
            raise Unavailable(message)
        return self._opened

    def journal(self) -> Journal:
        """Return the journal: open it at the first call, check its file at each later one.

        Raises:
            Unavailable: the folder, the file or the disk can't be used.
            FileMoved: the file was deleted, moved or replaced since it was opened.
            Damaged: the file is not a journal.
            TooNew: a newer version wrote it.
            ForeignJournal: it belongs to another till.
        """
        with self._lock:
            if self._is_closed:
                message = "the till has stopped"
                raise Unavailable(message)
            if self._opened is None:
                self._opened = self._open()
            else:
                self._opened.file.require()
            for other in self._others:
                # Damage that the worker found stops the sale too.
                if other.damage is not None:
                    self._opened.journal.note_damage(other.damage)
            return self._opened.journal

    def fault(self) -> JournalError | None:
        """Return the known fault of the open journal, or None."""
        if self._opened is None:
            return None
        try:
            damage = self.journal().damage
        except JournalError as error:
            return error
        return None if damage is None else Damaged(damage)

    def another_journal(self) -> Journal:
        """Return a new connection to the journal for another thread.

        Raises:
            JournalError: as ``journal``.
        """
        self.journal()
        with self._lock:
            opened = self.opened
            journal = Journal(opened.path, host_identity=opened.journal.host_identity, clock=self._clock)
            self._others.append(journal)
            return journal

    def close(self) -> None:
        """Close the journal; a thread that is late can't open it again."""
        with self._lock:
            self._is_closed = True
            for other in self._others:
                other.close()
            self._others.clear()
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.closing.close()

    def _open(self) -> OpenStorage:
        folder, identity = self._host.data_dir(), self._host.identity()
        path, leases = folder / FILE_NAME, Leases(folder)
        close_inherited()
        with ExitStack() as closing:
            journal = Journal(path, host_identity=identity, clock=self._clock)
            closing.callback(journal.close)
            journal.require_host(identity)
            if not closing.enter_context(leases.try_acquire(USERS, shared=True)):
                message = f"{path} is being repaired"
                raise Unavailable(message)
            return OpenStorage(path, journal, FileIdentity(path, leases.path), leases, closing.pop_all())


def _log_warnings(warnings: Iterable[SettingWarning]) -> None:
    for warning in warnings:
        _log.warning("settings: %s", warning)


def _warm_up(
    templates: TemplateCache, template: Path | None, texts: Texts, notice: Callable[[str, str | None], None]
) -> None:
    """Read the texts, and prepare the slips; see ``warm_up_slips``."""
    for language in LANGUAGES:
        try:
            load_catalogue(language, DOMAIN)
        except CatalogueUnreadable as error:
            _log.error("the texts for cashiers are incomplete, install payme-plugin again: %s", error)
    warm_up_slips(templates, template, texts, notice)
