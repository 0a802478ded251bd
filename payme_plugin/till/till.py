"""The reference till: a small POS that does what the contract asks of a host, and nothing else."""

from __future__ import annotations

import logging
import re
import time
import uuid
from contextlib import ExitStack
from copy import copy
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Literal, final

from hookspecs import BaseUi, HookFailed, PaymentStatus, PosPlugins, ReceiptKind, Ui
from payme_plugin.locale import message
from payme_plugin.till.errors import NoPlugin, OutcomeUnknown, UnknownPayment
from payme_plugin.till.host import TillHost, locked, reference_identity
from payme_plugin.till.receipts import ReceiptStore
from payme_plugin.till.reversal import cancel_payment, finish_refund, refund_payment
from payme_plugin.till.sale import acknowledge_all, close, repeat_payments, take_payment
from payme_plugin.till.terminal_log import terminal_log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from hookspecs import Item, Slip
    from payme_plugin.till.receipts import StoredReceipt
    from payme_plugin.till.reversal import Reversal
    from payme_plugin.till.sale import Payment

Operation = Literal["payment", "cancel", "refund"]
"""What a command asks for a payment."""

_log = logging.getLogger("pos.till")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A receipt that an earlier run had left unfinished.

    Attributes:
        number: its number.
        payment_id: its payment, or None.
        outcome: the name of the result, ``CLOSED``, or why it is still unfinished, in the till's language.
        is_unknown: a plugin failed; ``on_ready`` waits until the receipt is repeated.
    """

    number: int
    payment_id: str | None
    outcome: str
    is_unknown: bool = False


@final
@dataclass(eq=False, repr=False)
class Till:
    """The reference till in one folder; a context manager: it starts on entry and stops on exit.

    Attributes:
        folder: holds the receipts, the log ``terminal.log`` and the data of the plugin ``payme``.
        settings: settings of the plugin ``payme``; the till adds ``paymentType``.
        ui: the cashier's screen and scanner.
        language: ``ru``, ``uz`` or ``en``.
        slip_width: characters in a line of a slip.
        print_slip: prints one slip, all its copies.
        notice: takes a notice's key and its text, or None when it is over; called from any thread.
        main_log: a log that is used instead of ``terminal.log`` while it exists.
        plugins: the plugins; by default the installed ones, by entry point.
        now_ms: the wall clock, Unix milliseconds.
        new_id: makes ids that were never used.
        identity: the till's stable name.
        hooks: calls the hooks of the plugins, from the start on.
        store: the stored receipts, from the start on.
        is_ready: ``on_ready`` has returned in this run.
    """

    folder: Path
    settings: Mapping[str, str]
    ui: Ui
    _: KW_ONLY
    language: str
    slip_width: int
    print_slip: Callable[[Slip], None]
    notice: Callable[[str, str | None], None]
    main_log: Path | None = None
    plugins: PosPlugins | None = None
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    identity: str = field(default_factory=reference_identity, init=False)
    hooks: PosPlugins = field(init=False)
    store: ReceiptStore = field(init=False)
    is_ready: bool = field(default=False, init=False)
    _has_failed_repeats: bool = field(default=False, init=False)
    _running: ExitStack = field(default_factory=ExitStack, init=False)

    def __enter__(self) -> Till:
        """Lock the folder, read the receipts, load and start the plugins.

        Raises:
            FolderUnusable: the folder can't be made, read or written.
            TillBusy: another process works with it.
        """
        with ExitStack() as running:
            running.enter_context(locked(self.folder))
            running.enter_context(terminal_log(self.folder / "terminal.log", main=self.main_log))
            self._start()
            running.callback(self.hooks.on_stop)
            self._running = running.pop_all()
        return self

    def _start(self) -> None:
        self.store = ReceiptStore(self.folder / "receipts")
        for path in self.store.unreadable:
            self.notice(f"till.{path.name}", message("till.receipt_damaged", path=path).text(self.text_language))
        self.hooks = PosPlugins() if self.plugins is None else self.plugins
        if self.plugins is None:
            self.hooks.load_entry_points()
        self.hooks.on_start(TillHost(self))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the plugins and unlock the folder.

        Money effect: may cancel, later; see ``PosPlugins.on_stop``.
        """
        self._running.close()

    @property
    def text_language(self) -> str:
        """The language of the till's own texts, without region and script; Russian if there are none in it."""
        language = re.split(r"[-_.@]", self.language, maxsplit=1)[0].lower()
        return language if language in {"uz", "en"} else "ru"

    def restore(
        self, is_stopped: Callable[[], bool] = lambda: False, /, *, own: tuple[Operation, str] | None = None
    ) -> tuple[Restored, ...]:
        """Finish what an earlier run left: repeat, acknowledge, close or annul, report, print; then call ``on_ready``.

        ``on_ready`` waits until no plugin fails. If ``own`` is skipped it is called after the caller's own operation.

        Args:
            is_stopped: asked before each receipt; once it returns True no other one begins, and the till is not ready.
            own: what the caller repeats itself if it has begun, e.g. the cancel of a payment: ``("cancel", "p1")``.

        Money effect: may charge, never twice, and may return what had begun to be returned.

        Raises:
            FolderUnusable: a receipt can't be stored.
        """
        receipts = self.store.receipts()
        left = [receipt for receipt in receipts if own is None or unfinished(receipt) != own]
        ended = [self._restore(receipt) for receipt in left if not is_stopped()]
        self._has_failed_repeats = is_stopped() or any(each is not None and each.is_unknown for each in ended)
        if len(left) == len(receipts):
            self._be_ready()
        return tuple(each for each in ended if each is not None)

    def tick(self) -> None:
        """Do what a till does every minute: as ``restore``, but a paid sale that is open stays open.

        Money effect: as ``restore``.

        Raises:
            FolderUnusable: a receipt can't be stored.
        """
        receipts = self.store.receipts()
        kept = [each for each in receipts if each.is_open and each.refund is None and not each.is_pending]
        ended = [self._restore(each) for each in receipts if each not in kept or each.cancelling is not None]
        self._has_failed_repeats = any(each is not None and each.is_unknown for each in ended)
        acknowledge_all(self)
        self._be_ready()

    def _be_ready(self) -> None:
        """Acknowledge what is stored and call ``on_ready`` once; what fails is repeated with the next sale.

        Money effect: may cancel, later: payments of an earlier run that the till does not have.
        """
        if self.is_ready or self._has_failed_repeats or not acknowledge_all(self):
            return
        try:
            self.hooks.on_ready()
        except HookFailed as failure:
            _log.error("the till is ready but %s; it is repeated", failure)
        else:
            self.is_ready = True

    def _restore(self, receipt: StoredReceipt) -> Restored | None:
        is_unknown = False
        at_start = copy(self)
        at_start.ui = _AbsentBuyer(self.ui)
        try:
            outcome = _finish(at_start, receipt)
        except (NoPlugin, OutcomeUnknown) as error:
            outcome, is_unknown = error.text.text(self.text_language), isinstance(error, OutcomeUnknown)
        if outcome is None:
            return None
        return Restored(number=receipt.number, payment_id=receipt.payment_id, outcome=outcome, is_unknown=is_unknown)

    def sell(
        self,
        items: tuple[Item, ...],
        *,
        payment_id: str | None = None,
        qr_code: str | None = None,
        fiscal_url: str | None = None,
        is_kept_open: bool = False,
    ) -> Payment:
        """Sell ``items``; see ``take_payment`` for its effects and errors.

        Args:
            items: the lines of the sale.
            payment_id: repeats this payment; None: a new one.
            qr_code: the buyer's code; None: the plugin asks for a scan.
            fiscal_url: the OFD link of the closed receipt, or None.
            is_kept_open: the sale stays open if it is PAID, until ``close`` or the next start.
        """
        payment_id = self.new_id() if payment_id is None else payment_id
        payment = take_payment(self, payment_id, items, qr_code, fiscal_url, is_kept_open=is_kept_open)
        self._be_ready()
        return payment

    def close(self, payment_id: str) -> None:
        """Close the sale of a payment that was kept open; see ``sale.close`` for its effects and errors.

        Raises:
            UnknownPayment: the till has no such payment.
        """
        found = self.store.find(payment_id)
        if found is None or found[1].status is not PaymentStatus.PAID:
            raise UnknownPayment(message("till.unknown_payment", payment_id=payment_id))
        close(self, found[0])

    def cancel(self, payment_id: str, reason: str) -> Reversal:
        """Annul the sale of a payment; see ``cancel_payment`` for its effects and errors."""
        reversal = cancel_payment(self, payment_id, reason)
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
            self, payment_id, items, manual_selection=manual_selection, currency_selection=currency_selection
        )
        self._be_ready()
        return reversal


def _finish(till: Till, receipt: StoredReceipt) -> str | None:
    """Finish what was begun with ``receipt`` and return the name of the result; None: nothing was."""
    if receipt.cancelling is not None:
        return cancel_payment(till, receipt.cancelling, "begun before a restart").result.status.name
    if receipt.kind is ReceiptKind.REFUND and receipt.is_open:
        return finish_refund(till, receipt).result.status.name
    if receipt.is_open:
        payment = repeat_payments(till, receipt)
        return "CLOSED" if payment is None else payment.result.status.name
    if receipt.closed_at is not None and not receipt.annulled and (not receipt.reported or receipt.slips):
        close(till, receipt)
        return "CLOSED"
    return None


class _AbsentBuyer(BaseUi):
    """The screen after a restart: the buyer doesn't scan again, but the cashier may stop."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        """Show the progress; return True if the cashier stops."""
        return self._ui.progress(elapsed_s, total_s, text)


def unfinished(receipt: StoredReceipt) -> tuple[Operation, str] | None:
    """Return what an earlier run had begun with ``receipt``, and for which payment; None: nothing."""
    if receipt.cancelling is not None:
        return "cancel", receipt.cancelling
    if not receipt.is_open or receipt.payment_id is None:
        return None
    return ("payment" if receipt.refund is None else "refund"), receipt.payment_id
