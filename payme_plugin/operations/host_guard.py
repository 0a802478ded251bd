"""The host behind a guard: what it raises is logged and counts as the safe answer, so that a flow never meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.log import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import Host, QueueMessage, Ui

__all__ = ["GuardedHost", "GuardedUi"]

_log = Log()


class GuardedUi:
    """The cashier's screen and scanner; a fault in them scans nothing and stops nothing."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        """Return what was scanned, or None: nothing, a fault, or something that is no text."""
        try:
            return _text_or_none(self._ui.scan(prompt, timeout_s))
        except Exception as error:  # noqa: BLE001 - the host may raise anything
            _told("Ui.scan", error)
            return None

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool:
        """Show a wait; return whether the cashier stops it. A fault goes on."""
        try:
            return self._ui.progress(elapsed_s, total_s, text) is True
        except Exception as error:  # noqa: BLE001 - the host may raise anything
            _told("Ui.progress", error)
            return False


class GuardedHost:
    """The till; a fault in it knows nothing, takes nothing and shows nothing."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._shown: dict[str, str] = {}

    def is_recorded(self, payment_id: str) -> bool | None:
        """Return the host's answer, or None where it raises or answers with no bool."""
        answer = self._asked("Host.is_recorded", lambda: self._host.is_recorded(payment_id))
        return answer if isinstance(answer, bool) else None

    def enqueue(self, message: QueueMessage) -> bool:
        """Return whether the host took the message; False where it raises."""
        return self._asked("Host.enqueue", lambda: self._host.enqueue(message)) is True

    def notice(self, key: str, text: str | None) -> None:
        """Show a notice, or withdraw one that is shown, if the host can; it is not told again what it shows already."""
        if self._shown.get(key) == text:
            return
        if text is None:
            self._shown.pop(key, None)
        else:
            self._shown[key] = text
        self._asked("Host.notice", lambda: self._host.notice(key, text))

    def slip_width(self, default: int) -> int:
        """Return the host's slip width, or ``default`` where it raises or is no positive integer."""
        width = self._asked("Host.slip_width", lambda: self._host.slip_width)
        return width if isinstance(width, int) and not isinstance(width, bool) and width > 0 else default

    def language(self, default: str) -> str:
        """Return the host's language, or ``default`` where it raises or is no text."""
        language = self._asked("Host.language", lambda: self._host.language)
        return language if isinstance(language, str) and language else default

    @staticmethod
    def _asked(what: str, ask: Callable[[], object]) -> object:
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 - the host may raise anything
            _told(what, error)
            return None


def _text_or_none(scanned: object) -> str | None:
    if scanned is None:
        return None
    if isinstance(scanned, str):
        return str.__str__(scanned)  # plain text, whatever a class of the host's makes of it
    _log.error("the host's Ui.scan returned %s", type(scanned).__name__)
    return None


def _told(what: str, error: Exception) -> None:
    # Only the class: the text of a foreign exception may repeat a scanned code.
    _log.error("the host's %s raised %s", what, type(error).__name__)
