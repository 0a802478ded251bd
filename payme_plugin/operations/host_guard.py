"""Wrappers of the host's services: an exception is logged with its text, and the safe default returned."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hookspecs import SaleRecord
from payme_plugin import PLUGIN_NAME
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.log import Log
from payme_plugin.secret import foreign_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hookspecs import Host, QueueMessage, Ui

_log = Log()

_T = TypeVar("_T")


class GuardedUi:
    """Wrap ``Ui``; if a method raises, nothing is scanned and the wait is not stopped."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        """Return the scanned text; None if there is none, or if the host raises or returns no ``str``."""
        return _guarded("Ui.scan", lambda: _text_or_none(self._ui.scan(prompt, timeout_s)))

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool:
        """Show the progress; return whether the cashier stops the wait. If it raises, return False."""
        return _guarded("Ui.progress", lambda: self._ui.progress(elapsed_s, total_s, text)) is True


class GuardedHost:
    """Wrap ``Host``: log any exception and return the safe default."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._shown: dict[str, str] = {}

    def is_recorded(self, payment_id: str) -> bool | None:
        """Return the host's answer; None if it raises or does not answer with a bool."""
        answer: object = _guarded("Host.is_recorded", lambda: self._host.is_recorded(payment_id))
        return answer if isinstance(answer, bool) else None

    def enqueue(self, message: QueueMessage) -> bool:
        """Return whether the host took the message; False if it raises."""
        return _guarded("Host.enqueue", lambda: self._host.enqueue(message)) is True

    def sales(self, since: int, until: int) -> tuple[SaleRecord, ...] | None:
        """Return the host's closed sales; None if it can't list them, raises, or returns anything but sales."""
        list_sales = getattr(self._host, "sales", None)
        answer: object = None if list_sales is None else _guarded("Host.sales", lambda: _all(list_sales(since, until)))
        if not isinstance(answer, tuple):
            return None
        if not all(isinstance(each, SaleRecord) for each in answer):
            _log.error("the host's Host.sales returned something else than sales")
            return None
        return answer

    def notice(self, key: str, text: str | None) -> None:
        """Show or withdraw a notice, unless it is already shown or withdrawn."""
        if self._shown.get(key) == text:
            return
        if text is None:
            self._shown.pop(key, None)
        else:
            self._shown[key] = text
        _guarded("Host.notice", lambda: self._host.notice(key, text))

    def slip_width(self, default: int) -> int:
        """Return the host's slip width; ``default`` if it raises or returns no positive integer."""
        width: object = _guarded("Host.slip_width", lambda: self._host.slip_width)
        return width if isinstance(width, int) and not isinstance(width, bool) and width > 0 else default

    def data_dir(self) -> Path:
        """Return the plugin's data folder.

        Raises:
            Unavailable: the host raises or returns no path; the message names the method.
        """
        return Path(_required("Host.data_dir", lambda: os.fspath(self._host.data_dir(PLUGIN_NAME))))

    def identity(self) -> str:
        """Return the till's name; raise as ``data_dir``."""
        return _required("Host.identity", lambda: self._host.identity)

    def language(self, default: str) -> str:
        """Return the host's language; ``default`` if it raises or returns no text."""
        language: object = _guarded("Host.language", lambda: self._host.language)
        return language if isinstance(language, str) and language else default


def _guarded(what: str, call: Callable[[], _T]) -> _T | None:
    """Return what the host returns, or None if it raises."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the host may raise anything
        _log.error("the host's %s raised %s", what, foreign_fault(error))
        return None


def _all(sales: Iterable[SaleRecord] | None) -> tuple[SaleRecord, ...] | None:
    """Return every sale; a host may make them one by one."""
    return None if sales is None else tuple(sales)


def _required(what: str, call: Callable[[], object]) -> str:
    """Return a text of the host; raise ``Unavailable`` if it raises or returns no text."""
    try:
        value = call()
    except Exception as error:
        message = f"the host's {what} raised {foreign_fault(error)}"
        raise Unavailable(message) from error
    if not isinstance(value, str) or not value:
        message = f"the host's {what} returned {type(value).__name__}, expected a text that is not empty"
        raise Unavailable(message)
    return value


def _text_or_none(scanned: object) -> str | None:
    if isinstance(scanned, str):
        return str.__str__(scanned)  # a plain str, even if the host returns a subclass
    if scanned is not None:
        _log.error("the host's Ui.scan returned %s", type(scanned).__name__)
    return None
