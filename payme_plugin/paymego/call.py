"""One request to PaymeGO: its state between the flow and the I/O thread, and its log lines."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from payme_plugin.paymego.errors import Fault, NotSent, ServerError, Unclear
from payme_plugin.paymego.protocols import Answer
from payme_plugin.paymego.receipts import MAX_ID
from payme_plugin.paymego.redaction import RECEIPT_ID, display_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payme_plugin.clock import Clock
    from payme_plugin.log import Log
    from payme_plugin.secret import Secret

Outcome = Answer | NotSent | ServerError | Unclear

_MAX_WAIT_S = 3600.0
_MIN_TIMEOUT_S = 0.001


class CallFinished(Exception):
    """The call has ended, so nothing more of it may be written."""


class Call:
    """A ``Pending`` over a real connection.

    It ends once: with the outcome from the I/O thread, at its deadline, or when it is abandoned, whichever is first.
    Its lock guarantees that nothing is written after the end, and that no byte was written before ``NotSent``.

    Attributes:
        sent: a byte of it may have been sent.
    """

    def __init__(
        self, method: str, deadline: float, clock: Clock, on_finish: Callable[[Call, Outcome], None] | None = None
    ) -> None:
        self.method = method
        self.deadline = deadline
        self._clock = clock
        self._on_finish = on_finish
        self._changed = threading.Condition(threading.Lock())
        self._abort: Callable[[], None] | None = None
        self.sent = False
        self._outcome: Outcome | None = None
        self._notified = False

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self._outcome is not None

    def remaining_s(self) -> float:
        """Return the seconds until the deadline; zero or less if it has passed."""
        return self.deadline - self._clock.monotonic()

    def timeout_s(self, share: int = 1) -> float:
        """Return how long one blocking step may take: a ``share``-th of the remaining time, never zero."""
        return max(self.remaining_s() / share, _MIN_TIMEOUT_S)

    def wait(self, until: float) -> bool:
        """Wait until it has ended or the monotonic clock shows ``until``; return whether it has ended."""
        limit = min(until, self.deadline)
        with self._changed:
            while not self._notified and (left_s := limit - self._clock.monotonic()) > 0:
                self._changed.wait(min(left_s, _MAX_WAIT_S))
        self.expire_if_due()
        return self.finished

    def answer(self) -> Answer:
        """Return the answer; wait for it until the deadline at most.

        Raises:
            NotSent: nothing was sent.
            ServerError: the server answered with an error code.
            Unclear: the request may have arrived, and no usable answer came.
        """
        outcome: Outcome | None = None
        while outcome is None:
            self.wait(self.deadline)
            outcome = self._outcome
        if isinstance(outcome, Answer):
            return outcome
        raise outcome.with_traceback(None)

    def abandon(self) -> None:
        """End it now, as at its deadline; do nothing if it has ended."""
        if self.fail(Fault.STOPPED, "abandoned before an answer came"):
            self._shut_connection()

    def expire_if_due(self) -> None:
        """End it if its deadline has passed: nothing more is written, and its socket is shut."""
        if not self.finished and self.remaining_s() <= 0 and self.fail(Fault.TIME_OVER, "no answer in time"):
            self._shut_connection()

    def attach(self, abort: Callable[[], None]) -> None:
        """Have ``abort`` shut the connection if the call ends without an answer.

        Raises:
            CallFinished: it has ended.
        """
        with self._changed:
            self._abort = abort
        self.check()

    def check(self) -> None:
        """Do nothing if it has not ended.

        Raises:
            CallFinished: it has ended, or its deadline has passed.
        """
        if self.finished or self.remaining_s() <= 0:
            raise CallFinished

    def allow_write(self) -> None:
        """Record that a byte of it may be sent from now on. The connection calls this before every write.

        Raises:
            CallFinished: it has ended, or its deadline has passed; the byte must not be written.
        """
        with self._changed:
            self.check()
            self.sent = True

    def set_result(self, outcome: Outcome) -> bool:
        """End it with the server's answer or error; the caller must call ``notify`` afterwards.

        Returns:
            False if it has ended already or the outcome comes too late; then the outcome is discarded.
        """
        self.expire_if_due()
        with self._changed:
            if self._outcome is not None:
                return False
            self._outcome = outcome
        return True

    def fail(self, fault: Fault, explanation: str) -> bool:
        """End it without an answer: ``Unclear`` if a byte may have been sent, else ``NotSent``.

        Returns:
            False if it has ended already.
        """
        with self._changed:
            if self._outcome is not None:
                return False
            kind = Unclear if self.sent else NotSent
            self._outcome = kind(self.method, fault, explanation)
        self.notify()
        return True

    def notify(self) -> None:
        """Call ``on_finish`` and wake up the threads that wait."""
        # The log line is written first, so that it precedes what the flow logs next. A log that blocks delays no flow
        # beyond the deadline, because the outcome can already be read.
        try:
            if self._on_finish is not None and self._outcome is not None:
                self._on_finish(self, self._outcome)
        finally:
            with self._changed:
                self._notified = True
                self._changed.notify_all()

    def _shut_connection(self) -> None:
        if self._abort is not None:
            self._abort()


class CallLog:
    """The two log lines of one request: one when it begins, written at once, and one when it ends.

    They contain the method, the receipt's id, a state or an error code, the duration, and the server's message after
    redaction. They never contain the key, the buyer's code, a phone or a card.

    Args:
        log: where they are written.
        method: the request's method.
        params: its parameters; only ``id`` is read.
        secrets: redacted in text from outside.
    """

    def __init__(self, log: Log, method: str, params: Mapping[str, object], secrets: Sequence[Secret]) -> None:
        self._log = log
        self._method = method
        self._secrets = secrets
        self._receipt = self._display_id(params.get("id"))
        log.info("request %s%s", method, self._receipt)

    def ended(self, outcome: Outcome, duration_s: float) -> None:
        """Log the end of the request: INFO if the server answered, else WARNING."""
        write = self._log.warning if isinstance(outcome, (NotSent, Unclear)) else self._log.info
        write("answer %s%s %.0f ms", self._method, self._description(outcome), duration_s * 1000)

    def _description(self, outcome: Outcome) -> str:
        if isinstance(outcome, Answer):
            return self._result(outcome.result)
        if isinstance(outcome, ServerError):
            return f"{self._receipt} error={outcome.code} {outcome.text.in_language('ru')!r}"
        sent = "unclear" if outcome.sent else "not sent"
        return f"{self._receipt} {sent}: {outcome.fault.value} ({outcome.explanation})"

    def _result(self, result: object) -> str:
        if not isinstance(result, Mapping):
            return f" count={len(result)}" if isinstance(result, list) else ""
        receipt = result.get("receipt")
        described = receipt if isinstance(receipt, Mapping) else result
        state = described.get("state")
        shown_state = f" state={display_text(str(state), ())}" if isinstance(state, int) else ""
        return f"{self._receipt or self._display_id(described.get('_id'))}{shown_state}"

    def _display_id(self, value: object) -> str:
        if not isinstance(value, str) or not value:
            return ""
        text = value if RECEIPT_ID.fullmatch(value) else display_text(value, self._secrets)
        return f" receipt={text[:MAX_ID]}"
