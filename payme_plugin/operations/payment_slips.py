"""The slips of an operation, by the till's template, else by the shipped one, else plain.

No sale waits for its slip.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from hookspecs import Slip
from payme_plugin.ledger.states import PaymentState
from payme_plugin.log import Log
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.secret import safe_traceback
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hookspecs import Receipt
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.texts import Texts
    from slips import RenderedSlip, SlipRenderer, Template

_log = Log()

SLIP_NOTICE = "payme.slip"
_FIRST_ELEMENTPATH_THAT_SWAPS_NOTHING = 5


class TemplateCache:
    """The loaded templates. Each is kept until its file changes.

    Args:
        new_renderer: makes the renderer when first needed.
    """

    def __init__(self, new_renderer: Callable[[], SlipRenderer]) -> None:
        self._new_renderer = new_renderer
        self._renderers: dict[None, SlipRenderer] = {}
        self._loaded: dict[Path | None, tuple[tuple[int, ...], Template]] = {}

    @property
    def renderer(self) -> SlipRenderer:
        """What loads the templates, and renders slips with them; the same for all threads."""
        return self._renderers.get(None) or self._renderers.setdefault(None, self._new_renderer())

    def get(self, path: Path | None) -> Template:
        """Return the template in ``path``, or the shipped one for None.

        Raises:
            TemplateError: it can't be read or has mistakes.
            SlipError: the schema of templates can't be used.
        """
        stamp = _file_stamp(path)
        loaded = self._loaded.get(path)
        if loaded is None or loaded[0] != stamp:
            loaded = self._loaded[path] = (stamp, self.renderer.load(path))
        return loaded[1]


def import_slip_parts() -> None:
    """Import defusedxml on the calling thread, and xmlschema if its elementpath is older than 5.

    While they load, these replace an entry of ``sys.modules`` that another thread might be importing. A newer
    elementpath replaces nothing, and ``warm_up_slips`` imports it. Without them slips are plain.
    """
    try:
        import defusedxml.ElementTree  # noqa: F401, PLC0415

        if int(version("elementpath").partition(".")[0]) < _FIRST_ELEMENTPATH_THAT_SWAPS_NOTHING:
            import xmlschema  # noqa: F401, PLC0415
    except ImportError as error:
        _log.error("slip: what slips are made with can't be imported: %s", error)
    except Exception as error:  # noqa: BLE001 - a broken library may raise anything while it is imported
        _log_fault(error)


def new_renderer(encoding: str | None) -> SlipRenderer:
    """Return a renderer for the code page of a printer. This imports ``slips``, for which no start waits."""
    from slips import SlipRenderer  # noqa: PLC0415

    return SlipRenderer(encoding=encoding)


def warm_up_slips(
    templates: TemplateCache, template: Path | None, texts: Texts, notice: Callable[[str, str | None], None]
) -> None:
    """Build the schemas and load the till's template before any sale; show a notice if it can't be used.

    Args:
        templates: where the template is kept for the sales; the schemas of its renderer are built.
        template: the till's template; None: the shipped one.
        texts: the cashier's language.
        notice: shows a notice at the till, by key; None withdraws it.
    """
    text: str | None = None
    try:
        templates.renderer.warm_up()
        templates.get(template)
    except Exception as error:  # noqa: BLE001 - a till goes on without its template
        _log_fault(error)
        text = texts(Text.NOTICE_SLIP_FALLBACK)
    notice(SLIP_NOTICE, text)


class PaymentSlips(NamedTuple):
    """Renders the slips of one operation. It never raises: at least it returns a plain slip, or none without ``slips``.

    Attributes:
        templates: the templates and their renderer.
        template: the till's template; None: the shipped one.
        width: columns of the host's printer.
        copies: how many copies of a slip the host prints; 0: no slip.
        texts: the cashier's language.
        notice: shows a notice at the till, by key; None withdraws it.
    """

    templates: TemplateCache
    template: Path | None
    width: int
    copies: int
    texts: Texts
    notice: Callable[[str, str | None], None]

    def render(
        self, operation: str, row: PaymentRow, receipt: Mapping[str, object], document: Receipt | None = None
    ) -> tuple[Slip, ...]:
        """Return the slips of an operation.

        Args:
            operation: ``pay``, ``cancel`` or ``refund``.
            row: the payment.
            receipt: the server's receipt as received; empty if there is none.
            document: the refund receipt, for a refund; the slip then names the sale as well.
        """
        if self.copies < 1:
            return ()
        try:
            made = self._render(_data(operation, row, receipt, document))
        except Exception as error:  # noqa: BLE001 - an installation that lost files may not even have the plain slip
            _log_fault(error)
            self.notice(SLIP_NOTICE, self.texts(Text.NOTICE_SLIP_FALLBACK))
            return ()
        return (Slip(xml=made.xml, lines=made.lines, copies=self.copies),)

    def _render(self, data: Mapping[str, object]) -> RenderedSlip:
        """Render with the till's template, else the shipped one, else plainly; a fallback is a notice."""
        fallback = self.texts(Text.NOTICE_SLIP_FALLBACK)
        for path in dict.fromkeys((self.template, None)):
            try:
                made = self.templates.renderer.render(self.templates.get(path), data, self.width)
            except Exception as error:  # noqa: BLE001 - a slip that can't be rendered never makes a paid sale unpaid
                _log_fault(error)
            else:
                self.notice(SLIP_NOTICE, None if path == self.template else fallback)
                return made
        self.notice(SLIP_NOTICE, fallback)
        return self.templates.renderer.render_plain(data, self.width, self.texts.language)


def _log_fault(error: Exception) -> None:
    is_known = type(error).__module__ == "slips.errors"  # ``slips`` itself may be what can't be imported
    _log.error("slip: %s", error if is_known else f"it can't be made: {safe_traceback(error)}")


def _data(
    operation: str, row: PaymentRow, receipt: Mapping[str, object], document: Receipt | None
) -> dict[str, object]:
    from slips import is_moment  # noqa: PLC0415

    # Without a proof that the money is back, a slip says only that the reversal was accepted.
    is_returned = row.state is PaymentState.REVERSED or receipt.get("state") == ReceiptState.CANCELLED
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
        "is_accepted_only": not is_returned,
    }
    if operation != "pay":
        cancelled_at = receipt.get("cancel_time")
        data["reversed_at"] = cancelled_at if is_moment(cancelled_at) else row.updated_at
    if operation == "refund" and document is not None:
        data["sale"] = {"till": row.till, "shift": row.shift, "number": row.number}
        data |= {"till": document.till, "shift": document.shift, "number": document.number}
    return data


def _file_stamp(path: Path | None) -> tuple[int, ...]:
    """Return what changes with the file in ``path``."""
    if path is None:
        return ()
    try:
        found = path.stat()
    except OSError:
        return (-1,)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
