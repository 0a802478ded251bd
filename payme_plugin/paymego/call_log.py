"""The two log lines of a request: one when it begins, one when it ends.

They hold the method, the receipt's id, a state or a code, and the duration; the server's own words only after
redaction. Never the key, the buyer's code, a phone or a card.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from payme_plugin.paymego.errors import NotSent, ServerError, Unclear
from payme_plugin.paymego.protocols import Answer
from payme_plugin.paymego.receipts import MAX_ID
from payme_plugin.paymego.redaction import RECEIPT_ID, display_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payme_plugin.log import Log
    from payme_plugin.paymego.call import Outcome
    from payme_plugin.secret import Secret

__all__ = ["CallLog"]


class CallLog:
    """The log lines of one request; the first one is written at once.

    Args:
        log: where they are written.
        method: the request's method.
        params: its parameters; only ``id`` is read.
        secrets: what must not appear in a text that comes from outside.
    """

    def __init__(self, log: Log, method: str, params: Mapping[str, object], secrets: Sequence[Secret]) -> None:
        self._log = log
        self._method = method
        self._secrets = secrets
        self._receipt = self._display_id(params.get("id"))
        log.info("request %s%s", method, self._receipt)

    def ended(self, outcome: Outcome, duration_s: float) -> None:
        """Write the line of its end: INFO if the server answered, WARNING if no usable answer came."""
        if not self._log.is_enabled_for(logging.INFO):
            return
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
