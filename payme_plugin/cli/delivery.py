"""Delivery of a journal's cancellations from the command line, whichever till the journal belongs to.

Leases divide the rows between the till, its workers and a command. Nothing here does recovery.
"""

from __future__ import annotations

from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING

from hookspecs import BaseHost
from payme_plugin import PLUGIN_NAME
from payme_plugin.cli.files import command_log, existing_data_dir, has_log, journal_identity, unusable
from payme_plugin.cli.output import UsageFault
from payme_plugin.clock import SystemClock
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.delivery.relay import RelayCache
from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.locale import message
from payme_plugin.operations.host_guard import GuardedHost
from payme_plugin.paymego import codes
from payme_plugin.service import ClientCache, Storage
from payme_plugin.settings import SettingsError, SettingsReader
from payme_plugin.till import FolderUnusable, ReceiptStore, reference_identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from hookspecs import Host, SaleRecord
    from payme_plugin.cli.options import GlobalOptions
    from payme_plugin.cli.output import CommandFailed
    from payme_plugin.clock import Clock
    from payme_plugin.delivery.relay import Relay
    from payme_plugin.operations.cancellation import MerchantClient


class JournalDelivery:
    """Delivers the cancellations of one journal; a ``Delivery`` for a worker, without housekeeping and sales.

    Args:
        host: the till that the journal belongs to.
        storage: the journal and its locks; the caller closes it.
        settings: reads the current settings.
        clock: time.

    Raises:
        JournalError: the journal can't be used.

    Attributes:
        host: the till, guarded.
        storage: as given.
        clock: as given.
        folder: the data folder.
    """

    def __init__(self, host: Host, storage: Storage, settings: SettingsReader, clock: Clock) -> None:
        self.host = GuardedHost(host)
        self.storage = storage
        self.clock = clock
        self.folder = self.host.data_dir()
        self._settings = settings
        self._clients = ClientCache(clock)
        self._relays = RelayCache(clock, lambda: None)
        journal = storage.another_journal()
        self._processor = CancellationProcessor(journal, storage.opened.leases, self.host, clock)

    def require_merchants(self) -> Mapping[str, MerchantClient]:
        """Return the merchant accounts in the settings, by posId.

        Raises:
            UsageFault: the settings can't be used.
        """
        merchants = self.merchants()
        if merchants is None:
            raise UsageFault(message("cli.settings_unusable"))
        return merchants

    def processor(self) -> CancellationProcessor:
        """Return what works on the rows."""
        return self._processor

    def merchants(self) -> Mapping[str, MerchantClient] | None:
        """Return the merchant accounts in the settings of this moment, by posId, or None if they can't be used."""
        try:
            settings = self._settings.read()
        except SettingsError as error:
            if error.for_returns is None:
                return None
            settings = error.for_returns
        return self._clients.merchants(settings)

    def relay(self) -> Relay | None:
        """Return the relay to the broker in the settings, or None if they name none or can't be used."""
        try:
            return self._relays.of(self._settings.read())
        except SettingsError as error:
            return self._relays.of(error.for_returns)

    def do_housekeeping(self) -> None:
        """Leave recovery and notices to the till."""

    def yield_to_sale(self) -> bool:
        """Do nothing, because sales are made in another process; return True."""
        return True

    def abort_requests(self) -> None:
        """Abort the request under way and send no other."""
        self._relays.close()
        self._clients.close()


@contextmanager
def open_delivery(
    options: GlobalOptions, missing: CommandFailed | None = None, log: AbstractContextManager[None] | None = None
) -> Iterator[JournalDelivery]:
    """Open the journal in the data folder for delivery.

    Args:
        options: the options of the command.
        missing: is raised if there is no journal; by default a ``UsageFault``.
        log: logs while the journal is open; by default into the log of the till or of the folder, if it has one.

    Raises:
        UsageFault: the folder or the journal can't be used.
    """
    folder = existing_data_dir(options)
    identity = journal_identity(folder)
    if identity is None:
        raise missing or UsageFault(message("cli.no_journal", path=folder))
    clock, host = SystemClock(), JournalsHost(identity, folder)
    try:
        with log or log_of(folder, identity, nullcontext()), closing(Storage(GuardedHost(host), clock)) as storage:
            delivery = JournalDelivery(host, storage, SettingsReader(dict, codes, file=options.conf_file), clock)
            try:
                yield delivery
            finally:
                delivery.abort_requests()
    except JournalError as error:
        raise unusable(folder / FILE_NAME, error) from error


def log_of(folder: Path, identity: str, otherwise: AbstractContextManager[None]) -> AbstractContextManager[None]:
    """Return what logs into the main log or the folder's; ``otherwise`` if another host's folder has none."""
    return command_log(folder) if identity == reference_identity() or has_log(folder) else otherwise


class JournalsHost(BaseHost):
    """The till that a journal belongs to, as far as the command knows it."""

    def __init__(self, identity: str, folder: Path) -> None:
        self._identity = identity
        self._folder = folder
        self._read: tuple[int, ReceiptStore] | None = None

    @property
    def identity(self) -> str:
        """The name that is in the journal."""
        return self._identity

    def data_dir(self, plugin: str) -> Path:  # noqa: ARG002 - there is one
        """Return the journal's folder."""
        return self._folder

    def is_recorded(self, payment_id: str) -> bool | None:
        """Return the reference till's answer; None if its receipts can't be read, and for any other till."""
        store = self._store()
        return None if store is None else store.is_recorded(payment_id)

    def sales(self, since: int, until: int) -> Iterable[SaleRecord] | None:
        """Return the reference till's sales; None if its receipts can't be read, and for any other till."""
        store = self._store()
        return None if store is None else store.sales(PLUGIN_NAME, since, until)

    def _store(self) -> ReceiptStore | None:
        """Return the reference till's receipts as they are now."""
        if self._identity != reference_identity():
            return None
        folder = self._folder / "receipts"
        try:
            # Other commands may write it meanwhile.
            changed_at = folder.stat().st_mtime_ns
            if self._read is None or self._read[0] != changed_at:
                self._read = (changed_at, ReceiptStore(folder))
        except (OSError, FolderUnusable):
            return None
        return self._read[1]
