"""The two lines that a request leaves in the log: what went out, and what came of it.

They hold the method, the receipt's id, a state or a code, and the duration; of the server's own words only what is
masked. Never the key, the buyer's code, a phone or a card.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from payme_plugin.paymego.errors import NotSent, ServerError, Unclear
from payme_plugin.paymego.jsonrpc import display_text
from payme_plugin.paymego.protocols import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payme_plugin.paymego.call import Outcome
    from payme_plugin.secret import Secret

__all__ = ["CallLog"]

_MAX_ID = 64
_USUAL_ID = re.compile(r"[0-9a-fA-F]{24}")


class CallLog:
    """The log lines of one request.

    Args:
        log: where they go.
        method: the request's method.
        params: its parameters; only ``id`` is looked at.
        secrets: what must not be seen in any text that comes from outside.
    """

    def __init__(
        self, log: logging.Logger, method: str, params: Mapping[str, object], secrets: Sequence[Secret]
    ) -> None:
        self._log = log
        self._method = method
        self._secrets = secrets
        self._receipt = self._shown_id(params.get("id"))

    def began(self) -> None:
        """Write the line of the request."""
        self._write(logging.INFO, "request %s%s", self._method, self._receipt)

    def ended(self, outcome: Outcome, duration_s: float) -> None:
        """Write the line of its end: INFO where the server answered, WARNING where no usable answer came."""
        if not self._log.isEnabledFor(logging.INFO):
            return
        level = logging.WARNING if isinstance(outcome, (NotSent, Unclear)) else logging.INFO
        self._write(level, "answer %s%s %.0f ms", self._method, self._story(outcome), duration_s * 1000)

    def _write(self, level: int, form: str, *details: object) -> None:
        # A handler of the host's that raises must not become the outcome of a payment.
        with contextlib.suppress(Exception):
            self._log.log(level, form, *details)

    def _story(self, outcome: Outcome) -> str:
        if isinstance(outcome, Answer):
            return self._result(outcome.result)
        if isinstance(outcome, ServerError):
            return f"{self._receipt} error={outcome.code} {outcome.text.in_language('ru')!r}"
        if isinstance(outcome, (NotSent, Unclear)):
            fate = "unclear" if outcome.sent else "not sent"
            return f"{self._receipt} {fate}: {outcome.fault.value} ({outcome.explanation})"
        return self._receipt

    def _result(self, result: object) -> str:
        if not isinstance(result, Mapping):
            return f" count={len(result)}" if isinstance(result, list) else ""
        receipt = result.get("receipt")
        described = receipt if isinstance(receipt, Mapping) else result
        state = described.get("state")
        shown_state = f" state={display_text(str(state), ())}" if isinstance(state, int) else ""
        return f"{self._receipt or self._shown_id(described.get('_id'))}{shown_state}"

    def _shown_id(self, value: object) -> str:
        if not isinstance(value, str) or not value:
            return ""
        text = value if _USUAL_ID.fullmatch(value) else display_text(value, self._secrets)
        return f" receipt={text[:_MAX_ID]}"
