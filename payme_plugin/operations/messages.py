"""From what happened to what the cashier reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.paymego.errors import CallFailed, Fault, NotSent, ServerError
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from payme_plugin.texts import Texts

__all__ = ["failed_before_paying", "refused"]

_NOT_SENT = {
    Fault.NAME_NOT_FOUND: Text.PAYMENT_NO_CONNECTION_NAME_NOT_FOUND,
    Fault.TLS: Text.PAYMENT_NO_CONNECTION_TLS,
    Fault.TIME_OVER: Text.PAYMENT_NO_CONNECTION_TIME_OVER,
}


def refused(texts: Texts, refusal: ServerError) -> str:
    """Return the text for a server's error code: our catalogue's, the server's own words only where it has none."""
    return texts.of_error(refusal.code, refusal.text.in_language(texts.language))


def failed_before_paying(texts: Texts, failure: CallFailed) -> str:
    """Return the text for a request that failed while certainly nothing was charged."""
    if isinstance(failure, ServerError):
        return refused(texts, failure)
    if isinstance(failure, NotSent):
        return texts(_NOT_SENT.get(failure.fault, Text.PAYMENT_NO_CONNECTION))
    return texts(Text.PAYMENT_RECEIPT_NOT_CREATED)
