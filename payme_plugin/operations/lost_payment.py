"""A repeated payment that the journal does not have.

Nothing was sent for it, because the intent is stored first. Only a journal that was created or repaired since the last
``on_ready`` may have lost the intent. Then Payme's list is searched for a receipt of the same sale and amount.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.host_guard import GuardedUi
from payme_plugin.operations.payment import intent_of, resume_payment
from payme_plugin.operations.results import pending_result, refused_result
from payme_plugin.operations.wait import CashierWait
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.settings import account_of
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from hookspecs import PaymentRequest, PaymentResult, Ui
    from payme_plugin.operations.context import Context
    from payme_plugin.paymego.receipts import ServerReceipt

_OLDEST_MS = 7 * 24 * 3_600_000
_CLOCKS_DIFFER_MS = 3_600_000
_MOST_ATTEMPTS = 20
"""The account's value may name the attempt, which the journal counted: this many are tried."""


def find_lost_payment(context: Context, request: PaymentRequest, ui: Ui) -> PaymentResult:
    """Return the result of a repeated payment that the journal does not have; never begin a charge.

    Raises:
        JournalError: the journal can't be used.

    Money effect: may leave a cancellation.
    """
    refused = refused_result(request.amount, context.texts(Text.PAYMENT_NOT_SENT))
    if context.journal.is_ready:
        return refused
    wait = CashierWait(context.clock, GuardedUi(ui), context.limits)
    wait.start()
    accounts = _accounts(context, request, request.receipt.number)
    try:
        found = _receipt_of(context, request, wait, accounts)
    except CallFailed:
        return pending_result(context.texts, request.amount)
    if found is None or found.receipt_id is None:
        return refused
    if accounts == _accounts(context, request, request.receipt.number + 1):  # the account does not name the sale
        return pending_result(context.texts, request.amount)
    row = context.journal.import_payment(
        intent_of(context, request),
        "from Payme's list; the journal did not have it",
        PaymentState.PAYING,
        receipt_id=found.receipt_id,
        paid_at=found.pay_time_ms,
    )
    return resume_payment(context, request, row, ui)


def _accounts(context: Context, request: PaymentRequest, number: int) -> list[dict[str, str]]:
    sale, template = request.receipt, context.settings.account
    attempts = range(1, _MOST_ATTEMPTS + 1)
    return [account_of(template, till=sale.till, shift=sale.shift, number=number, attempt=each) for each in attempts]


def _receipt_of(
    context: Context, request: PaymentRequest, wait: CashierWait, accounts: list[dict[str, str]]
) -> ServerReceipt | None:
    """Return Payme's receipt for the sale, a paid one first, or None.

    Raises:
        CallFailed: Payme can't be asked, or its whole list does not come within ``payDuration``.
    """
    now, fitting = context.clock.wall_ms(), []
    for page in itertools.count():
        params = receipts.get_all(now - _OLDEST_MS, now + _CLOCKS_DIFFER_MS, offset=page * receipts.MAX_RECEIPTS)
        pending = context.client.begin("receipts.get_all", params, min(wait.request_limit(), wait.ends))
        if not wait.wait_for(pending, context.progress(Text.PROGRESS_WAITING_FOR_BUYER)):
            pending.abandon()
        listed = receipts.receipts_of(pending.answer())
        for receipt in listed:
            is_new = receipt.receipt_id is not None and context.journal.find_receipt(receipt.receipt_id) is None
            if is_new and receipt.amount == request.amount and any(map(receipt.has_account, accounts)):
                fitting.append(receipt)
        if len(listed) < receipts.MAX_RECEIPTS:
            break
    return max(fitting, key=lambda each: (each.state == ReceiptState.PAID, each.create_time_ms or 0), default=None)
