"""The host's services, guarded: what one raises is logged and counts as the safe answer, so a flow never sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from payme_plugin.log import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import Host, QueueMessage, Ui

__all__ = ["GuardedHost", "GuardedUi"]

_log = Log()

_T = TypeVar("_T")


class GuardedUi:
    """Wrap ``Ui``. If a method raises, nothing is scanned and nothing is stopped."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        """Return what was scanned; None if nothing was, if it raises, or if it returns something else than text."""
        return _guarded("Ui.scan", lambda: _text_or_none(self._ui.scan(prompt, timeout_s)))

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool:
        """Show a wait; return whether the cashier stops it. If it raises, the wait goes on."""
        return _guarded("Ui.progress", lambda: self._ui.progress(elapsed_s, total_s, text)) is True


class GuardedHost:
    """Wrap ``Host``. If a service raises, it is logged and the safe default returned."""

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

    def notice(self, key: str, text: str | None) -> None:
        """Show a notice, or withdraw one that is shown, if the host can; what is shown already is not repeated."""
        if self._shown.get(key) == text:
            return
        if text is None:
            self._shown.pop(key, None)
        else:
            self._shown[key] = text
        _guarded("Host.notice", lambda: self._host.notice(key, text))

    def slip_width(self, default: int) -> int:
        """Return the host's slip width; ``default`` if it raises or is not a positive integer."""
        width: object = _guarded("Host.slip_width", lambda: self._host.slip_width)
        return width if isinstance(width, int) and not isinstance(width, bool) and width > 0 else default

    def language(self, default: str) -> str:
        """Return the host's language; ``default`` if it raises or is not text."""
        language: object = _guarded("Host.language", lambda: self._host.language)
        return language if isinstance(language, str) and language else default


def _guarded(what: str, call: Callable[[], _T]) -> _T | None:
    """Return what the host returns, or None if it raises."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the host may raise anything
        # Only the class: the text of a foreign exception may repeat a scanned code.
        _log.error("the host's %s raised %s", what, type(error).__name__)
        return None


def _text_or_none(scanned: object) -> str | None:
    if isinstance(scanned, str):
        return str.__str__(scanned)  # plain text, whatever a class of the host's makes of it
    if scanned is not None:
        _log.error("the host's Ui.scan returned %s", type(scanned).__name__)
    return None
