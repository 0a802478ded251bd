"""What steps the cancellations of a journal from the command line, whichever till the journal belongs to.

Rows are shared with the till and its other workers by leases alone. Nothing here recovers: nobody is asked what became
of a payment without a verdict.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookspecs import BaseHost
from payme_plugin.background import Background
from payme_plugin.cli.checkout import LANGUAGE
from payme_plugin.cli.log_place import command_log, has_log
from payme_plugin.cli.output import UsageFault
from payme_plugin.clock import SystemClock
from payme_plugin.operations.host_guard import GuardedHost
from payme_plugin.paymego import codes
from payme_plugin.paymego.client import client_of
from payme_plugin.settings import SettingsReader
from payme_plugin.storage import Storage
from payme_plugin.texts import Texts
from payme_plugin.till import FolderUnusable, ReceiptBook, reference_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from payme_plugin.clock import Clock
    from payme_plugin.delivery.processor import CancellationProcessor
    from payme_plugin.ledger.errors import JournalError
    from payme_plugin.operations.cancellation import MerchantClient
    from payme_plugin.paymego.client import PaymeGoClient
    from payme_plugin.settings import Settings

__all__ = ["Delivery", "log_of", "open_asking_client", "open_delivery"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What steps the cancellations of one journal.

    Attributes:
        rounds: works on the rows; the journal is open.
        settings: gives the settings of this moment; None: they can't be used.
        desk: gives the kassa of given settings with a client of its own, by number; None once it was cut off.
        cut_off: shuts the connections of the desks, for good.
        is_recorded: whether the till has a payment; None where nobody here can tell.
        fault: what is wrong with the journal since it was opened; None: nothing that is known.
        clock: time.
    """

    rounds: CancellationProcessor
    settings: Callable[[], Settings | None]
    desk: Callable[[int, Settings], MerchantClient | None]
    cut_off: Callable[[], None]
    is_recorded: Callable[[str], bool | None]
    fault: Callable[[], JournalError | None]
    clock: Clock

    def own_kassa(self) -> MerchantClient:
        """Return the kassa for the command's own thread.

        Money effect: none by itself; a step that is taken with it may cancel.

        Raises:
            UsageFault: the settings can't be used.
        """
        settings = self.settings()
        kassa = None if settings is None else self.desk(0, settings)
        if kassa is None:
            message = "the settings can't be used any more; `payme settings check` says why"
            raise UsageFault(message)
        return kassa


@contextmanager
def open_delivery(folder: Path, conf_file: Path, identity: str) -> Iterator[Delivery]:
    """Open the journal in ``folder`` for delivery.

    Args:
        folder: where the journal is.
        conf_file: the settings.
        identity: the till that the journal says it belongs to.

    Money effect: none at once; whatever works with what it gives may cancel.

    Raises:
        JournalError: the journal can't be used.
    """
    clock = SystemClock()
    host = _JournalsHost(identity, folder)
    reader = SettingsReader(dict, codes, file=conf_file)
    with ExitStack() as opened:
        storage = Storage(host, clock)
        opened.callback(storage.close)
        background = Background(
            GuardedHost(host),
            storage,
            settings=reader.read,
            texts=lambda: Texts(LANGUAGE),
            new_client=lambda settings: opened.enter_context(open_client(settings, clock)),
            clock=clock,
        )
        yield Delivery(
            rounds=background.rounds(),
            settings=background.settings,
            desk=background.desk,
            cut_off=background.cut_off,
            is_recorded=host.is_recorded,
            fault=storage.fault,
            clock=clock,
        )


def log_of(folder: Path, identity: str, otherwise: AbstractContextManager[None]) -> AbstractContextManager[None]:
    """Return what logs into the main log or the folder's; ``otherwise`` where another host's folder has none."""
    return command_log(folder) if identity == reference_identity() or has_log(folder) else otherwise


@contextmanager
def open_client(settings: Settings, clock: Clock) -> Iterator[PaymeGoClient]:
    """Open a client for the kassa in ``settings``.

    Money effect: none by itself; a request that is sent with it has its method's.
    """
    client = client_of(settings, clock)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def open_asking_client(folder: Path, settings: Settings, clock: Clock) -> Iterator[PaymeGoClient]:
    """Open a client for a command that only asks; its requests are logged where there is a log, and none is made.

    Money effect: none, as long as questions alone are sent with it.
    """
    with command_log(folder) if has_log(folder) else nullcontext(), open_client(settings, clock) as client:
        yield client


class _JournalsHost(BaseHost):
    """The till that a journal belongs to, as far as the command can stand for it."""

    def __init__(self, identity: str, folder: Path) -> None:
        self._identity = identity
        self._folder = folder
        self._book = _BookOnDisk(folder / "receipts") if identity == reference_identity() else None

    @property
    def identity(self) -> str:
        """The name that is in the journal."""
        return self._identity

    def data_dir(self, plugin: str) -> Path:  # noqa: ARG002 - there is one
        """Return the journal's folder."""
        return self._folder

    def is_recorded(self, payment_id: str) -> bool | None:
        """Say what the reference till's book says; None for any other till."""
        return None if self._book is None else self._book.is_recorded(payment_id)


class _BookOnDisk:
    """The reference till's book, which other commands write meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: tuple[int, ReceiptBook] | None = None

    def is_recorded(self, payment_id: str) -> bool | None:
        """Say what the book says now; None where it can't be read."""
        try:
            changed_at = self._folder.stat().st_mtime_ns
            if self._read is None or self._read[0] != changed_at:
                self._read = (changed_at, ReceiptBook(self._folder))
        except (OSError, FolderUnusable):
            return None
        return self._read[1].is_recorded(payment_id)
