"""Slips for an operation: the till's template, else the shipped one, else a plain slip: no sale waits for paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookspecs import Slip
from payme_plugin.ledger.states import PaymentState
from payme_plugin.log import Log
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.secret import classes_and_places
from payme_plugin.texts import Text
from slips import SlipError, is_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hookspecs import Receipt
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.texts import Texts
    from slips import MadeSlip, SlipPress, Template

__all__ = ["SLIP_NOTICE", "PaymentSlips", "TemplateCache", "import_slip_parts", "warm_up_slips"]

_log = Log()

SLIP_NOTICE = "payme.slip"


class TemplateCache:
    """The templates that were loaded, each kept until its file changes."""

    def __init__(self, press: SlipPress) -> None:
        self._press = press
        self._shelf: dict[Path | None, tuple[tuple[int, int, int], Template]] = {}

    def get(self, path: Path | None) -> Template:
        """Return the template in ``path``, or the shipped one for None.

        Raises:
            TemplateError: it can't be read or has mistakes.
            SlipError: the schema of templates can't be used.
        """
        look = _look(path)
        kept = self._shelf.get(path)
        if kept is not None and kept[0] == look:
            return kept[1]
        template = self._press.load(path)
        self._shelf[path] = (look, template)
        return template


def import_slip_parts(press: SlipPress) -> None:
    """Import what slips are made with, on the calling thread; a till without it prints plain slips, and sells on."""
    try:
        press.import_parts()
    except Exception as error:  # noqa: BLE001 - a broken library may raise anything while it is imported
        _log_fault(error)


def warm_up_slips(
    press: SlipPress,
    shelf: TemplateCache,
    template: Path | None,
    texts: Texts,
    notice: Callable[[str, str | None], None],
) -> None:
    """Build the schemas and load the till's template before any sale; show at the till where it can't be used.

    Args:
        press: whose schemas are built.
        shelf: where the template is kept for the sales.
        template: the till's template; None: the shipped one.
        texts: the cashier's language.
        notice: shows a passive notice at the till, by key; None withdraws it.

    Money effect: none.
    """
    told: str | None = None
    try:
        press.warm_up()
        shelf.get(template)
    except Exception as error:  # noqa: BLE001 - a till goes on without its template
        _log_fault(error)
        told = texts(Text.NOTICE_SLIP_FALLBACK)
    notice(SLIP_NOTICE, told)


@dataclass(frozen=True, slots=True)
class PaymentSlips:
    """Makes the slips of one operation; it is a ``SlipMaker``.

    Attributes:
        press: fills, validates and lays out.
        shelf: where templates come from.
        template: the till's template; None: the shipped one.
        width: columns of the host's printer.
        copies: how often the host prints a slip; 0: no slip.
        texts: the cashier's language.
        notice: shows a passive notice at the till, by key; None withdraws it.
    """

    press: SlipPress
    shelf: TemplateCache
    template: Path | None
    width: int
    copies: int
    texts: Texts
    notice: Callable[[str, str | None], None]

    def make(
        self, operation: str, row: PaymentRow, receipt: Mapping[str, object], document: Receipt | None = None
    ) -> tuple[Slip, ...]:
        """Return the slips of an operation.

        Args:
            operation: ``pay``, ``cancel`` or ``refund``.
            row: the payment.
            receipt: the server's receipt as it came; empty where none did.
            document: the refund receipt, for a refund; the slip then names the sale as well.
        """
        if self.copies < 1:
            return ()
        data = _data(operation, row, receipt, document)
        made = self._made({**data, "is_accepted_only": not _is_returned(row, receipt)})
        return (Slip(xml=made.xml, lines=made.lines, copies=self.copies),)

    def _made(self, data: Mapping[str, object]) -> MadeSlip:
        """Make a slip by the till's template, else by the shipped one, else without any; tell the till which it was."""
        fallback = self.texts(Text.NOTICE_SLIP_FALLBACK)
        told: str | None = None
        for path in dict.fromkeys((self.template, None)):
            try:
                made = self.press.make(self.shelf.get(path), data, self.width)
            except Exception as error:  # noqa: BLE001 - no slip that can't be made turns a paid sale into an unpaid one
                _log_fault(error)
            else:
                self.notice(SLIP_NOTICE, told)
                return made
            told = fallback
        self.notice(SLIP_NOTICE, fallback)
        return self.press.make_plain(data, self.width, self.texts.language)


def _log_fault(error: Exception) -> None:
    if isinstance(error, SlipError):
        _log.error("slip: %s", error)
    else:
        _log.error("slip: it can't be made: %s", classes_and_places(error))


def _is_returned(row: PaymentRow, receipt: Mapping[str, object]) -> bool:
    """Say whether the money is known to be back; a slip claims no more than that a reversal was accepted otherwise."""
    return row.state is PaymentState.REVERSED or receipt.get("state") == ReceiptState.CANCELLED


def _data(
    operation: str, row: PaymentRow, receipt: Mapping[str, object], document: Receipt | None
) -> dict[str, object]:
    data: dict[str, object] = {
        "operation": operation,
        "amount": row.amount,
        "receipt_id": row.receipt_id or "",
        "payment_id": row.payment_id,
        "paid_at": row.paid_at,
        "till": row.till,
        "shift": row.shift,
        "number": row.number,
        "receipt": receipt,
    }
    if operation != "pay":
        cancelled_at = receipt.get("cancel_time")
        data["reversed_at"] = cancelled_at if is_moment(cancelled_at) else row.updated_at
    if operation == "refund" and document is not None:
        data["sale"] = {"till": row.till, "shift": row.shift, "number": row.number}
        data |= {"till": document.till, "shift": document.shift, "number": document.number}
    return data


def _look(path: Path | None) -> tuple[int, int, int]:
    if path is None:
        return (0, 0, 0)
    try:
        found = path.stat()
    except OSError:
        return (-1, -1, -1)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
