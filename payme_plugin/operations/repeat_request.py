"""A payment that the journal knows: the host asks again after a crash, or by mistake. It is never charged twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookspecs import PaymentResult, PaymentStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.context import is_same_account
from payme_plugin.operations.event_log import EventLog
from payme_plugin.operations.results import JOURNAL_NOTICE, NotPaid, commit, journal_notice, refusal, stored_result
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from hookspecs import PaymentRequest
    from payme_plugin.ledger.errors import JournalError
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.texts import Texts

__all__ = ["Roads", "answer", "may_hang", "not_writable", "obey", "told_elsewhere"]

_log = Log()

_Road = Callable[["PaymentRow"], PaymentResult]


@dataclass(frozen=True, slots=True)
class Roads:
    """How a payment goes on from where it stands.

    Attributes:
        paid: the answer of a paid one.
        intent: from an intent without a receipt.
        created: from a receipt that no code was sent for.
        paying: from a code that may have arrived.
    """

    paid: _Road
    intent: _Road
    created: _Road
    paying: _Road


def answer(context: Context, request: PaymentRequest, row: PaymentRow, roads: Roads) -> PaymentResult:
    """Return the answer to a ``payment_id`` that is in the journal already.

    A verdict is told again; an unfinished payment whose owner is dead, or whose ``on_payment`` has returned without a
    verdict, goes on from where it stands.

    Raises:
        Conflict: another process took it meanwhile: read again and obey.

    Money effect: none for one that has a verdict; else it may charge what the first call would have charged.
    """
    if not _is_same(request, row):
        return refusal(request.amount, context.texts(Text.PAYMENT_ID_REUSED))
    if row.state.is_unfinished:
        return _go_on(context, row, roads)
    return _told_again(context.texts, request, row, roads.paid)


def told_elsewhere(texts: Texts, request: PaymentRequest, row: PaymentRow) -> PaymentResult | None:
    """Return the answer to a ``payment_id`` that is in the journal, where this process may carry nothing on.

    A payment that may be charged is UNKNOWN here, also a paid one; who works on it, or the host's word, decides later.
    None: no code of it has left, so that it may be refused.

    Money effect: none.
    """
    if not _is_same(request, row):
        return refusal(request.amount, texts(Text.PAYMENT_ID_REUSED))
    if row.state in {PaymentState.INTENT, PaymentState.CREATED}:
        return None
    if row.state is PaymentState.PAYING:
        return may_hang(texts, request)
    return _told_again(texts, request, row, lambda _: may_hang(texts, request))


def obey(context: Context, request: PaymentRequest, paid: _Road) -> PaymentResult:
    """Return what the journal says after another process or thread moved the payment on.

    Money effect: none.
    """
    row = context.journal.find(request.payment_id)
    if row is None or row.state.is_unfinished:
        return may_hang(context.texts, request)
    return _told_again(context.texts, request, row, paid)


def not_writable(
    context: Context, request: PaymentRequest, error: JournalError, *, may_be_charged: bool
) -> PaymentResult:
    """Return REFUSED for a payment that the journal could not take: what can't be cancelled is not charged.

    UNKNOWN where a code may have arrived already: its row in state paying is itself the durable intent to cancel.

    Money effect: none.
    """
    _log.error("payment %s: the journal can't store it: %s", request.payment_id, error)
    context.notice(JOURNAL_NOTICE, context.texts(journal_notice(error)))
    if may_be_charged:
        return may_hang(context.texts, request)
    return refusal(request.amount, context.texts(Text.PAYMENT_JOURNAL_UNWRITABLE))


def may_hang(texts: Texts, request: PaymentRequest) -> PaymentResult:
    """Return UNKNOWN for a payment of which a code may have left, and no verdict can be told.

    Money effect: none.
    """
    return PaymentResult(
        status=PaymentStatus.UNKNOWN, amount=request.amount, message=texts(Text.PAYMENT_CHARGE_MAY_HANG)
    )


def _is_same(request: PaymentRequest, row: PaymentRow) -> bool:
    sale = request.receipt
    return (request.amount, sale.till, sale.shift, sale.number) == (row.amount, row.till, row.shift, row.number)


def _told_again(texts: Texts, request: PaymentRequest, row: PaymentRow, paid: _Road) -> PaymentResult:
    if row.state.is_not_paid:
        return stored_result(row)
    if row.state is PaymentState.PAID:
        return paid(row)
    if row.state is PaymentState.RECORDED:
        if row.closed_at is None and request.receipt.closed_at is None:
            return paid(row)
        return refusal(request.amount, texts(Text.PAYMENT_ID_REUSED))
    return refusal(request.amount, texts(Text.PAYMENT_ALREADY_REVERSED))


def _go_on(context: Context, row: PaymentRow, roads: Roads) -> PaymentResult:
    if row.owner != context.owner and context.is_alive(row.owner):
        return refusal(row.amount, context.texts(Text.PAYMENT_BUSY))
    row = context.journal.take_over(row, context.owner, "the host asks again; the process that worked on it has ended")
    if not is_same_account(row, context.settings):
        return commit(context, row, _other_kassa(context, row), EventLog(context.clock))
    if row.state is PaymentState.INTENT:
        return roads.intent(row)
    if row.state is PaymentState.CREATED:
        return roads.created(row)
    return roads.paying(row)


def _other_kassa(context: Context, row: PaymentRow) -> NotPaid:
    # A request about it may go out only with the key of its own kassa, which is not the one in the settings.
    return NotPaid(
        status=PaymentStatus.REFUSED,
        message=context.texts(Text.PAYMENT_ABORTED),
        reason="the settings name another kassa than the one that took it",
        needs_cancellation=row.receipt_id is not None,
    )
