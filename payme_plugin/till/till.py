"""The reference till: a small POS that does what the contract asks of a host, and nothing else."""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, final

from hookspecs import BaseUi, HookFailed, PosPlugins, ReceiptKind
from payme_plugin.till.book import ReceiptBook
from payme_plugin.till.desk import Desk
from payme_plugin.till.errors import NoPlugin, OutcomeUnknown
from payme_plugin.till.host import PAYMENT_TYPE, TillHost
from payme_plugin.till.lock import locked
from payme_plugin.till.reversal import cancel_payment, refund_again, refund_payment
from payme_plugin.till.sale import ask_again, take_payment
from payme_plugin.till.terminal_log import terminal_log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from hookspecs import Item, PluginFault, Ui
    from payme_plugin.till.desk import PrintSlip
    from payme_plugin.till.receipts import BookedReceipt
    from payme_plugin.till.reversal import Reversal
    from payme_plugin.till.sale import Payment

__all__ = ["Restored", "Till"]


_log = logging.getLogger("pos.till")


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _new_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A receipt that an earlier run had left unfinished.

    Attributes:
        number: its number.
        payment_id: its payment, or None where it had none.
        outcome: what it came to: a result's name, ``CLOSED``, or why it is still unfinished.
        is_unknown: a plugin failed, so that it must be repeated before the till is ready.
    """

    number: int
    payment_id: str | None
    outcome: str
    is_unknown: bool = False


@final
class Till:
    """The reference till on one folder; a context manager: it starts on entry and stops on exit.

    Args:
        folder: keeps the receipts, the log ``terminal.log`` and what the plugin ``payme`` stores.
        settings: settings of the plugin ``payme``; the till adds ``paymentType``.
        ui: the cashier's screen and scanner.
        language: ``ru``, ``uz`` or ``en``.
        slip_width: characters in a line of a slip.
        print_slip: prints one slip, all its copies.
        notice: takes a notice's key and its text, or None when it is over; called from any thread.
        main_log: a log that is taken in the place of ``terminal.log`` as long as it is there.
        plugins: the plugins; by default those that are installed, by entry point.
        now_ms: the wall clock in Unix milliseconds.
        new_id: makes ids that were never used.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        ui: Ui,
        *,
        language: str,
        slip_width: int,
        print_slip: PrintSlip,
        notice: Callable[[str, str | None], None],
        main_log: Path | None = None,
        plugins: PosPlugins | None = None,
        now_ms: Callable[[], int] = _wall_ms,
        new_id: Callable[[], str] = _new_id,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._ui = ui
        self._language = language
        self._slip_width = slip_width
        self._print_slip = print_slip
        self._notice = notice
        self._main_log = main_log
        self._given_plugins = plugins
        self._now_ms = now_ms
        self._new_id = new_id
        self._is_ready = False
        self._owes_repeats = False
        self._running = ExitStack()

    def __enter__(self) -> Till:
        """Take the folder, read the book, load and start the plugins.

        Raises:
            FolderUnusable: the folder can't be made, read or written.
            TillBusy: another process works with it.
        """
        with ExitStack() as running:
            running.enter_context(locked(self._folder))
            running.enter_context(terminal_log(self._folder / "terminal.log", main=self._main_log))
            self._desk = self._open_desk()
            running.callback(self._stop)
            self._running = running.pop_all()
        return self

    def _open_desk(self) -> Desk:
        book = ReceiptBook(self._folder / "receipts")
        for page in book.unreadable:
            self._notice(
                f"till.{page.name}", f"{page} is damaged and left as it is; its payments are shown, not decided."
            )
        host = TillHost(
            self._folder,
            book,
            self._settings,
            language=self._language,
            slip_width=self._slip_width,
            notice=self._notice,
        )
        plugins = self._given_plugins
        if plugins is None:
            plugins = PosPlugins()
            plugins.load_entry_points()
        plugins.on_start(host)
        return Desk(
            identity=host.identity,
            language=self._language,
            plugins=plugins,
            book=book,
            print_slip=self._print_slip,
            now_ms=self._now_ms,
            new_id=self._new_id,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the plugins, give the folder back.

        Money effect: may cancel, later; see ``PosPlugins.on_stop``.
        """
        self._running.close()

    def _stop(self) -> None:
        self._desk.plugins.on_stop()

    @property
    def identity(self) -> str:
        """The till's stable name."""
        return self._desk.identity

    @property
    def faults(self) -> tuple[PluginFault, ...]:
        """Why installed plugins are not in service."""
        return self._desk.plugins.faults

    @property
    def plugin_names(self) -> tuple[str, ...]:
        """The plugins in service."""
        return self._desk.plugins.names

    @property
    def is_ready(self) -> bool:
        """Whether ``on_ready`` has returned in this run."""
        return self._is_ready

    @property
    def receipts(self) -> tuple[BookedReceipt, ...]:
        """All receipts in the till's book, oldest first."""
        return self._desk.book.receipts()

    def restore(
        self,
        is_stopped: Callable[[], bool] = lambda: False,
        /,
        *,
        but_payment: str | None = None,
        but_cancel: str | None = None,
        but_refund: str | None = None,
    ) -> tuple[Restored, ...]:
        """Finish what an earlier run left: ask again, acknowledge, close or annul, tell and print; then be ready.

        The till is ready once all of it was repeated and no plugin failed. What the caller repeats itself comes before.

        Args:
            is_stopped: asked before each step; once it returns True no other step begins, and the till is not ready.
            but_payment: a payment that the caller asks for itself.
            but_cancel: a payment whose cancel, if it had begun, the caller goes on with itself.
            but_refund: a payment whose refund, if it had begun, the caller goes on with itself.

        Money effect: may charge, never twice, and may return what had begun to be returned.

        Raises:
            FolderUnusable: the book can't be written.
        """
        skipped = {
            (_Unfinished.PAYMENT, but_payment),
            (_Unfinished.CANCEL, but_cancel),
            (_Unfinished.REFUND, but_refund),
        }
        unfinished = {receipt.number: _unfinished_of(receipt) for receipt in self.receipts}
        kept = [receipt for receipt in self.receipts if unfinished[receipt.number] not in skipped]
        ended = [self._restore(receipt) for receipt in kept if not is_stopped()]
        self._owes_repeats = is_stopped() or any(each is not None and each.is_unknown for each in ended)
        if skipped.isdisjoint(unfinished.values()):
            self._be_ready()
        return tuple(each for each in ended if each is not None)

    def _be_ready(self) -> None:
        """Acknowledge what is stored and say ``on_ready`` once; what fails is repeated with the next sale.

        Money effect: may cancel, later: payments of an earlier run that the till does not have.
        """
        if self._is_ready or self._owes_repeats or not self._desk.acknowledge_all():
            return
        try:
            self._desk.plugins.on_ready()
        except HookFailed as failure:
            _log.error("the till is ready but %s; it says so again", failure)
        else:
            self._is_ready = True

    def _restore(self, receipt: BookedReceipt) -> Restored | None:
        payment_id = _payment_id(receipt)
        is_unknown = False
        try:
            outcome = self._finish(receipt)
        except (NoPlugin, OutcomeUnknown) as error:
            outcome, is_unknown = str(error), isinstance(error, OutcomeUnknown)
        if outcome is None:
            return None
        return Restored(number=receipt.number, payment_id=payment_id, outcome=outcome, is_unknown=is_unknown)

    def _finish(self, receipt: BookedReceipt) -> str | None:
        absent = _AbsentBuyer(self._ui)
        if receipt.cancelling is not None:
            reversal = cancel_payment(self._desk, absent, receipt.cancelling, "begun before a restart")
            return reversal.result.status.name
        if receipt.kind is ReceiptKind.REFUND and receipt.is_open:
            return refund_again(self._desk, absent, receipt).result.status.name
        if receipt.is_open:
            payment = ask_again(self._desk, absent, receipt)
            return "CLOSED" if payment is None else payment.result.status.name
        if receipt.closed_at is not None and not receipt.annulled and (not receipt.told or receipt.slips):
            self._desk.close(receipt)
            return "CLOSED"
        return None

    def sell(
        self,
        items: tuple[Item, ...],
        *,
        payment_id: str | None = None,
        qr_code: str | None = None,
        fiscal_url: str | None = None,
    ) -> Payment:
        """Sell ``items``; see ``take_payment`` for its effects and errors.

        Args:
            items: the lines of the sale.
            payment_id: asks for this payment again; None: a new one.
            qr_code: the buyer's code; None: the plugin asks for a scan.
            fiscal_url: the OFD link of the receipt once it is closed; None: it has none.
        """
        payment = take_payment(
            self._desk,
            self._ui,
            payment_type=PAYMENT_TYPE,
            payment_id=self._new_id() if payment_id is None else payment_id,
            items=items,
            qr_code=qr_code,
            fiscal_url=fiscal_url,
        )
        self._be_ready()
        return payment

    def cancel(self, payment_id: str, reason: str) -> Reversal:
        """Annul the sale of a payment; see ``cancel_payment`` for its effects and errors."""
        reversal = cancel_payment(self._desk, self._ui, payment_id, reason)
        self._be_ready()
        return reversal

    def refund(
        self,
        payment_id: str,
        *,
        items: tuple[Item, ...] | None = None,
        manual_selection: bool = False,
        currency_selection: bool = False,
    ) -> Reversal:
        """Refund the sale of a payment; see ``refund_payment`` for its effects and errors."""
        reversal = refund_payment(
            self._desk,
            self._ui,
            payment_id,
            items=items,
            manual_selection=manual_selection,
            currency_selection=currency_selection,
        )
        self._be_ready()
        return reversal


class _AbsentBuyer(BaseUi):
    """The screen after a restart: the buyer of then doesn't scan again, the cashier may still stop."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        """Hand the progress on."""
        return self._ui.progress(elapsed_s, total_s, text)


def _payment_id(receipt: BookedReceipt) -> str | None:
    if receipt.refund is not None:
        return receipt.refund.payment_id
    return receipt.tenders[-1].payment_id if receipt.tenders else None


class _Unfinished(Enum):
    """What an earlier run had begun and not finished."""

    PAYMENT = "payment"
    CANCEL = "cancel"
    REFUND = "refund"


def _unfinished_of(receipt: BookedReceipt) -> tuple[_Unfinished, str] | None:
    """Return what an earlier run had begun with ``receipt``, and for which payment; None: nothing."""
    if receipt.cancelling is not None:
        return _Unfinished.CANCEL, receipt.cancelling
    payment_id = _payment_id(receipt)
    if not receipt.is_open or payment_id is None:
        return None
    return (_Unfinished.PAYMENT if receipt.refund is None else _Unfinished.REFUND), payment_id
