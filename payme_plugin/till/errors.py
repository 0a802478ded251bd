"""Why the reference till can't do what it was asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.locale import Message, message

if TYPE_CHECKING:
    from pathlib import Path

    from hookspecs import HookFailed


class TillError(Exception):
    """The till can't do what it was asked to; ``str`` returns its text in English.

    Attributes:
        text: what, where, and what helps.
    """

    def __init__(self, text: Message) -> None:
        super().__init__(str(text))
        self.text = text


class FolderUnusable(TillError):
    """The till's folder can't be made, read or written."""

    def __init__(self, path: Path, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        super().__init__(message("till.folder_unusable", path=path, reason=reason))


class TillBusy(TillError):
    """Another process works with the same folder: a till does one thing at a time."""


class NoPlugin(TillError):
    """No plugin in service answers for the tender or the payment; nothing was charged and nothing returned."""


class UnknownPayment(TillError):
    """The till has no paid payment with this id."""


class PaymentMismatch(TillError):
    """The payment id belongs to a sale of another amount; no plugin was asked."""


class OutcomeUnknown(TillError):
    """A plugin failed in a hook that moves money; the receipt is kept, and the next start asks again.

    Attributes:
        payment_id: the payment whose outcome is unknown.
    """

    def __init__(self, payment_id: str, reason: Message | HookFailed) -> None:
        super().__init__(message("till.outcome_unknown", payment_id=payment_id, reason=reason))
        self.payment_id = payment_id
