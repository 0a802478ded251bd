"""A backlog: payments that buyers have paid and no sale has, each with its cancellation, made without a till."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.journal_rows import UNRECORDED, intent_of
from faults.killed_host import IDENTITY
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.rows import StoredResult
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from payme_plugin.sandbox import Bank

AMOUNT = 1_500_000


def paid_receipts(bank: Bank, now_ms: int, count: int) -> list[str]:
    """Let so many buyers pay at a bank that nobody else uses meanwhile; return the receipts' ids."""
    return [_paid_receipt(bank, now_ms) for _ in range(count)]


def _paid_receipt(bank: Bank, now_ms: int) -> str:
    created = bank.call(now_ms, "receipts.create", {"amount": AMOUNT, "account": {"order_id": "1"}})
    assert isinstance(created, dict)
    receipt = created["receipt"]
    assert isinstance(receipt, dict)
    receipt_id = str(receipt["_id"])
    bank.call(now_ms, "receipts.pay", {"id": receipt_id, "token": bank.issue_code(now_ms)})
    return receipt_id


def owe(folder: Path, receipt_ids: Iterable[str], *, pos_id: str, url: str) -> None:
    """Write a journal in which the money of these receipts must go back, by the same steps as a till."""
    journal = Journal(folder / FILE_NAME, host_identity=IDENTITY, clock=SystemClock())
    with journal.reading() as connection:
        connection.execute("PRAGMA synchronous = OFF")  # only while the backlog is written
    for number, receipt_id in enumerate(receipt_ids, 1):
        intent = intent_of(f"owed-{number}", amount=AMOUNT, number=number)._replace(pos_id=pos_id, url=url)
        row = journal.add_intent(intent, "a payment")
        fingerprint = journal.fingerprint(str(number))
        row = journal.move(row, PaymentState.PAYING, "the code leaves", receipt_id=receipt_id, fingerprint=fingerprint)
        result = StoredResult(message="unknown")
        journal.move(row, PaymentState.UNKNOWN, "payDuration is over", result=result, cancellation=UNRECORDED)
    journal.close()
