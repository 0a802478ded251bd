"""The one place that builds the parts and hands them to the operations, for the plugin and for the command."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hookspecs import PaymentType
from payme_plugin.background import Background
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.errors import JournalError
from payme_plugin.log import Log
from payme_plugin.operations.context import Context
from payme_plugin.operations.host_guard import GuardedHost
from payme_plugin.operations.payment_slips import PaymentSlips, TemplateCache, import_slip_parts, warm_up_slips
from payme_plugin.operations.results import JOURNAL_NOTICE, journal_notice
from payme_plugin.paymego import codes
from payme_plugin.paymego.client import client_of
from payme_plugin.paymego.protocols import MerchantAccount
from payme_plugin.settings import SettingsError, SettingsReader
from payme_plugin.storage import Storage
from payme_plugin.texts import Text, Texts
from slips import SlipPress

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hookspecs import Host
    from payme_plugin.clock import Clock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.paymego.client import PaymeGoClient
    from payme_plugin.settings import Settings, SettingWarning

__all__ = ["PLUGIN_NAME", "Service"]

PLUGIN_NAME = "payme"

_log = Log()

_SETTINGS_NOTICE = "payme.settings"
_TENDER_NOTICE = "payme.tender"
_DEFAULT_SLIP_WIDTH = 32
_DEFAULT_LANGUAGE = "ru"


class Service:
    """The parts of the plugin, from the till's start to its stop.

    Args:
        host: the till.
        clock: time; the machine's own unless another is handed in.

    Attributes:
        host: the till, guarded.
        clock: time.
        background: what goes on behind the sales.
    """

    def __init__(self, host: Host, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.host = GuardedHost(host)
        self._settings = SettingsReader(lambda: host.settings(PLUGIN_NAME), codes)
        self._storage = Storage(host, self.clock)
        self._client: tuple[tuple[MerchantAccount, Path | None], PaymeGoClient] | None = None
        self._templates: tuple[str | None, TemplateCache] | None = None
        self._lock = threading.Lock()
        self.background = Background(
            self.host,
            self._storage,
            settings=self._settings.read,
            texts=self.texts,
            new_client=lambda settings: client_of(settings, self.clock),
            clock=self.clock,
        )

    def start(self) -> None:
        """Check the settings, open the journal, and warm up in the background what the first payment would wait for.

        Money effect: may cancel, later: what an earlier run left.
        """
        settings = self._checked_settings()
        self._tell_journal()
        templates = self._slip_templates(settings)
        import_slip_parts(templates.renderer)
        client = self._client_of(settings) if settings is not None else None
        # A template that is never printed is no fault of this till.
        template = settings.slip_template if settings is not None and settings.slip_copies else None
        texts = self._texts(settings)

        def warm_up() -> None:
            try:
                if client is not None:
                    client.warm_up()
            except Exception as error:  # noqa: BLE001 - told again when a payment connects
                _log.warning("warming up: %s", error)
            warm_up_slips(templates, template, texts, self.background.tell_in_turn)

        threading.Thread(target=warm_up, name="payme-warm-up", daemon=True).start()
        self.background.start(run_worker=settings is None or settings.run_worker)

    def stop(self, *, ask_host: bool = True) -> None:
        """End the background and close what is open; unfinished payments and cancellations stay durable.

        Args:
            ask_host: ask the host once more which payments of this process it has; it must have recorded them by now.

        Money effect: may cancel, later: payments that the host does not have.
        """
        self.background.stop(ask_host=ask_host)
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client[1].close()
        self._storage.close()

    def payment_type(self) -> int | None:
        """Return the tender's number, even where other settings can't be used; None where it has none."""
        return self._settings.payment_type()

    def payment_types(self) -> list[PaymentType]:
        """Return the tender of the settings, or none, with a notice that says how to set it."""
        settings = self._checked_settings()
        texts = self._texts(settings)
        number = self._settings.payment_type()
        self.host.notice(_TENDER_NOTICE, None if number is not None else texts(Text.NOTICE_NO_PAYMENT_TYPE))
        return [] if number is None else [PaymentType(number=number, name=texts(Text.TENDER_NAME))]

    def operation(self) -> Context:
        """Return the tools for one operation, with the settings of this moment.

        Raises:
            SettingsError: the settings can't be used, and there never were good ones.
            JournalError: the journal can't be used.
        """
        settings = self._settings.read()
        self._tell_settings(settings)
        return self._context(settings, self._texts(settings))

    def journal(self) -> Journal:
        """Return the journal.

        Raises:
            JournalError: it can't be used.
        """
        return self._storage.journal()

    def texts(self) -> Texts:
        """Return the texts in the cashier's language of this moment."""
        try:
            return self._texts(self._settings.read())
        except SettingsError:
            return self._texts(None)

    def journal_fault(self, error: JournalError, what: str) -> None:
        """Log that the journal could not take something, and show it at the till."""
        _log.error("%s: the journal can't be used: %s", what, error)
        self.host.notice(JOURNAL_NOTICE, self.texts()(journal_notice(error)))

    def _context(self, settings: Settings, texts: Texts) -> Context:
        journal = self._storage.journal()
        return Context(
            client=self._client_of(settings),
            clock=self.clock,
            journal=journal,
            owner=self._storage.owner.token,
            leases=self._storage.leases,
            is_alive=self._storage.owner.is_alive,
            settings=settings,
            texts=texts,
            slips=PaymentSlips(
                templates=self._slip_templates(settings),
                template=settings.slip_template,
                width=self.host.slip_width(_DEFAULT_SLIP_WIDTH),
                copies=settings.slip_copies,
                texts=texts,
                notice=self.host.notice,
            ),
            notice=self.host.notice,
        )

    def _client_of(self, settings: Settings) -> PaymeGoClient:
        wanted = (MerchantAccount.of(settings), settings.ca_file)
        with self._lock:
            if self._client is not None and self._client[0] == wanted:
                return self._client[1]
            former, client = self._client, client_of(settings, self.clock)
            self._client = (wanted, client)
        if former is not None:
            former[1].close()
        return client

    def _slip_templates(self, settings: Settings | None) -> TemplateCache:
        encoding = settings.slip_encoding if settings is not None else None
        with self._lock:
            if self._templates is None or self._templates[0] != encoding:
                self._templates = (encoding, TemplateCache(SlipPress(encoding=encoding)))
            return self._templates[1]

    def _checked_settings(self) -> Settings | None:
        try:
            settings = self._settings.read()
        except SettingsError as error:
            _log.error("the settings can't be used: %s", error)
            _log_warnings(error.warnings)
            first = error.faults[0].short
            self.host.notice(_SETTINGS_NOTICE, self._texts(None)(Text.NOTICE_SETTINGS_BROKEN, fault=first))
            return None
        self._tell_settings(settings)
        problem = self._settings.problem
        _log_warnings(dict.fromkeys((*settings.warnings, *(problem.warnings if problem is not None else ()))))
        return settings

    def _tell_settings(self, settings: Settings) -> None:
        problem = self._settings.problem
        if problem is None:
            self.host.notice(_SETTINGS_NOTICE, None)
            return
        _log.error("the changed settings can't be used, the former ones stay in force: %s", problem)
        first = problem.faults[0].short
        text = self._texts(settings)(Text.NOTICE_SETTINGS_KEPT_LAST_GOOD, fault=first)
        self.host.notice(_SETTINGS_NOTICE, text)

    def _tell_journal(self) -> None:
        try:
            self._storage.journal()
        except JournalError as error:
            self.journal_fault(error, "the till starts")
        else:
            self.host.notice(JOURNAL_NOTICE, None)

    def _texts(self, settings: Settings | None) -> Texts:
        chosen = settings.language if settings is not None else None
        return Texts(chosen or self.host.language(_DEFAULT_LANGUAGE))


def _log_warnings(warnings: Iterable[SettingWarning]) -> None:
    for warning in warnings:
        _log.warning("settings: %s", warning)
