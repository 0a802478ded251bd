"""What the host of the crash tests remembers of its sales: lines of JSON, each on the disk before the host goes on."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hookspecs import PaymentRecord, PaymentStatus, ReversalStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FILE_MODE = 0o600
_GONE = (ReversalStatus.REVERSED, ReversalStatus.QUEUED)


@dataclass(frozen=True)
class Sale:
    """A sale with one tender of ours.

    Attributes:
        number: its receipt number.
        payment_id: its payment.
        amount: tiyin.
        verdict: what ``on_payment`` returned; None: it has not returned, as far as the host knows.
        payment: what the host stores for a paid one.
        closed_at: when its receipt closed, Unix milliseconds; None while it is open.
        told: ``on_receipt_closed`` has returned.
        giving_back: ``cancel`` or ``refund`` once the host has begun it.
        given_back: what ``on_cancel`` or ``on_full_refund`` returned.
        dropped: the host came back after a crash, and gave the sale up without asking again.
    """

    number: int
    payment_id: str
    amount: int
    verdict: PaymentStatus | None = None
    payment: PaymentRecord | None = None
    closed_at: int | None = None
    told: bool = False
    giving_back: str | None = None
    given_back: ReversalStatus | None = None
    dropped: bool = False

    @property
    def is_paid(self) -> bool:
        """Whether the till has the payment: it was told PAID, and did not give it back."""
        return self.verdict is PaymentStatus.PAID and self.given_back not in _GONE

    @property
    def is_open(self) -> bool:
        """Whether the sale waits for a verdict, or for its receipt to close."""
        return not self.dropped and (self.verdict is None or (self.is_paid and self.closed_at is None))

    @property
    def is_being_given_back(self) -> bool:
        """Whether a cancel or a refund was begun and has not returned."""
        return self.giving_back is not None and self.given_back is None


class SalesRecord:
    """The sales of one till, in a file that is only ever added to.

    Args:
        path: the file; a line that a crash cut short is no line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sales: dict[int, Sale] = {}
        written = path.read_bytes() if path.exists() else b""
        self._end = written.rfind(b"\n") + 1
        for line in written[: self._end].splitlines():
            self._take(json.loads(line))

    @property
    def sales(self) -> tuple[Sale, ...]:
        """All sales, oldest first."""
        return tuple(self._sales.values())

    def by_payment(self, payment_id: str) -> Sale | None:
        """Return the sale of a payment, or None."""
        return next((sale for sale in self._sales.values() if sale.payment_id == payment_id), None)

    def next_number(self) -> int:
        """Return the number of the next sale."""
        return len(self._sales) + 1

    def open(self, payment_id: str, amount: int) -> Sale:
        """Note that the tender was picked on a new sale."""
        number = self.next_number()
        return self._add({"sale": number, "payment_id": payment_id, "amount": amount})

    def decide(self, sale: Sale, verdict: PaymentStatus, payment: PaymentRecord | None) -> Sale:
        """Note a verdict, and the payment with it where it is PAID."""
        stored = None if payment is None else dict(payment.data)
        kind = 0 if payment is None else payment.payment_type
        return self._add({"sale": sale.number, "verdict": verdict.name, "data": stored, "type": kind})

    def close(self, sale: Sale, closed_at: int) -> Sale:
        """Note that the receipt is closed."""
        return self._add({"sale": sale.number, "closed_at": closed_at})

    def tell(self, sale: Sale) -> Sale:
        """Note that the plugin has heard of the closing."""
        return self._add({"sale": sale.number, "told": True})

    def begin_giving_back(self, sale: Sale, how: str) -> Sale:
        """Note that a ``cancel`` or a ``refund`` begins."""
        return self._add({"sale": sale.number, "giving_back": how})

    def end_giving_back(self, sale: Sale, status: ReversalStatus) -> Sale:
        """Note what the cancel or the refund came to."""
        return self._add({"sale": sale.number, "given_back": status.name})

    def drop(self, sale: Sale) -> Sale:
        """Note that the sale was given up."""
        return self._add({"sale": sale.number, "dropped": True})

    def _add(self, change: Mapping[str, object]) -> Sale:
        line = json.dumps(change).encode() + b"\n"
        file = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, _FILE_MODE)
        try:
            os.ftruncate(file, self._end)
            os.pwrite(file, line, self._end)
            os.fsync(file)
        finally:
            os.close(file)
        self._end += len(line)
        return self._take(change)

    def _take(self, change: Mapping[str, object]) -> Sale:
        number = _integer(change["sale"])
        sale = self._sales.get(number)
        if sale is None:
            sale = Sale(number=number, payment_id=str(change["payment_id"]), amount=_integer(change["amount"]))
        elif "verdict" in change:
            sale = _decided(sale, change)
        elif "closed_at" in change:
            sale = replace(sale, closed_at=_integer(change["closed_at"]))
        elif "told" in change:
            sale = replace(sale, told=True)
        elif "giving_back" in change:
            sale = replace(sale, giving_back=str(change["giving_back"]), given_back=None)
        elif "given_back" in change:
            sale = replace(sale, given_back=ReversalStatus[str(change["given_back"])])
        else:
            sale = replace(sale, dropped=True)
        self._sales[number] = sale
        return sale


def _decided(sale: Sale, change: Mapping[str, object]) -> Sale:
    data = change["data"]
    payment = None
    if isinstance(data, dict):
        payment = PaymentRecord(
            payment_id=sale.payment_id, payment_type=_integer(change["type"]), amount=sale.amount, data=data
        )
    return replace(sale, verdict=PaymentStatus[str(change["verdict"])], payment=payment)


def _integer(value: object) -> int:
    assert isinstance(value, int)
    return value
