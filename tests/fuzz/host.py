"""The till of the fuzz: a durable list of sales, the order of calls of the contract, and a random plan.

``host.py FOLDER URL RUN`` sells until it is killed. ``host.py FOLDER URL RUN rest`` sells nothing: it decides what an
earlier process left, prints as JSON which receipts it has the money of, and works until its standard input ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from hookspecs import (
    BaseHost,
    BaseUi,
    CancelRequest,
    HookFailed,
    Item,
    PaymentRecord,
    PaymentRequest,
    PaymentResult,
    PaymentStatus,
    PosPlugins,
    Receipt,
    ReceiptKind,
    RefundRequest,
    ReversalStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable

TENDER = 7
HELD = {"paid", "acknowledged", "closed", "told"}
"""The steps of a sale in which the shop has the money; the others are begun, annulling, refunding and ended."""


class Book:
    """The sales, one line of JSON for each step, each on the disk before the till goes on."""

    def __init__(self, path: Path) -> None:
        self.sales: dict[str, dict[str, Any]] = {}
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        os.ftruncate(self._file, whole)  # a line that a kill cut off was never written
        os.lseek(self._file, 0, os.SEEK_END)
        for line in text[:whole].splitlines():
            self._apply(json.loads(line))

    def set(self, payment_id: str, step: str, *, is_stored: bool = True, **facts: object) -> None:
        self._apply({"id": payment_id, "step": step, **facts})
        if is_stored:
            os.write(self._file, json.dumps(self.sales[payment_id]).encode() + b"\n")
            os.fsync(self._file)

    def _apply(self, line: dict[str, Any]) -> None:
        self.sales.setdefault(line["id"], {}).update(line)

    def at(self, *steps: str) -> list[str]:
        return [payment_id for payment_id, sale in list(self.sales.items()) if sale["step"] in steps]


class Till(BaseHost):
    """The host of one process."""

    identity = "fuzzed till"

    def __init__(self, folder: Path, url: str, run: str) -> None:
        self.book = Book(folder / "sales")
        self.random = Random(run)  # noqa: S311 - a plan
        self.plugins = PosPlugins()
        self._run = run
        self._sold = 0
        self._folder = folder
        self._url = url

    def settings(self, plugin: str) -> dict[str, str]:
        given = {"url": self._url, "posId": "fuzz", "posKey": "f4zz", "paymentType": str(TENDER)}
        return given | {"timeout": "1", "payDuration": "1500", "frequency": "100", "slipCopies": "0"}

    def data_dir(self, plugin: str) -> Path:
        return self._folder / plugin

    def is_recorded(self, payment_id: str) -> bool | None:
        """Veto what the till has; now and then it can't tell."""
        return None if self.random.random() < 0.1 else payment_id in self.book.at(*HELD)

    def start(self) -> None:
        """Start in the order of the contract: repeat what had begun, acknowledge what is held, then ``on_ready``."""
        self.plugins.load_entry_points()
        self.plugins.on_start(self)
        self.repeat()
        until_it_returns(self.plugins.on_ready)

    def repeat(self) -> None:
        """Ask again for everything that has begun and has no end."""
        for payment_id in self.book.at("begun"):
            self.pay(payment_id, repeated=True)
        for payment_id in self.book.at("paid"):
            self.acknowledge(payment_id)
        for payment_id in self.book.at("annulling"):
            self.annul(payment_id)
        for payment_id in self.book.at("closed"):
            self.close(payment_id)
        for payment_id in self.book.at("refunding"):
            self.refund(payment_id)

    def sell(self) -> None:
        """Take one payment, and decide at random what becomes of its sale and of an older one."""
        self.repeat()
        self._sold += 1
        payment_id = f"{self._run}-{self._sold}"
        sale = {"number": len(self.book.sales) + 1, "amount": self.random.randint(1, 99) * 1000}
        # After a kill an open sale that was not stored is lost: its payment is an orphan.
        self.book.set(payment_id, "begun", is_stored=self.random.random() < 0.6, **sale)
        self.pay(payment_id)
        if self.book.sales[payment_id]["step"] == "acknowledged":
            if self.random.random() < 0.15:
                self.annul(payment_id)
            else:
                self.close(payment_id)
        if (closed := self.book.at("told")) and self.random.random() < 0.15:
            self.refund(self.random.choice(closed))

    def pay(self, payment_id: str, *, repeated: bool = False) -> None:
        code = new_code(self.random) if self.random.random() < 0.5 else None
        request = PaymentRequest(
            payment_id=payment_id,
            payment_type=TENDER,
            amount=self.book.sales[payment_id]["amount"],
            receipt=self.receipt(payment_id),
            qr_code=None if repeated else code,
            repeated=repeated,
        )
        try:
            result = self.plugins.on_payment(request, Cashier(self.random, is_idle=repeated))
        except HookFailed:
            return  # it is asked for again
        assert result is not None
        if result.status is PaymentStatus.PAID:
            self.keep(payment_id, result)
        elif result.status is not PaymentStatus.PENDING:
            self.book.set(payment_id, "ended", result=result.status.value)

    def keep(self, payment_id: str, result: PaymentResult) -> None:
        """Store a PAID and acknowledge it; now and then the till can't store it and gives the money back."""
        assert result.payment is not None
        record = dict(result.payment.data)
        if self.random.random() < 0.05:
            self.book.set(payment_id, "annulling", record=record)
            self.annul(payment_id)
        else:
            self.book.set(payment_id, "paid", record=record)
            self.acknowledge(payment_id)

    def acknowledge(self, payment_id: str) -> None:
        try:
            self.plugins.on_payment_recorded(self.record(payment_id))
        except HookFailed:
            return
        self.book.set(payment_id, "acknowledged")

    def annul(self, payment_id: str) -> None:
        self.book.set(payment_id, "annulling")
        request = CancelRequest(payment=self.record(payment_id), receipt=self.receipt(payment_id), reason="fuzz")
        try:
            result = self.plugins.on_cancel(request, Cashier(self.random))
        except HookFailed:
            return
        assert result is not None
        self.book.set(payment_id, "paid" if result.status is ReversalStatus.REFUSED else "ended")

    def close(self, payment_id: str) -> None:
        self.book.set(payment_id, "closed")
        try:
            self.plugins.on_receipt_closed(self.receipt(payment_id, closed_at=time.time_ns() // 1_000_000))
        except HookFailed:
            return
        self.book.set(payment_id, "told")

    def refund(self, payment_id: str) -> None:
        self.book.set(payment_id, "refunding")
        sale = self.receipt(payment_id, closed_at=time.time_ns() // 1_000_000)
        request = RefundRequest(
            refund_id=f"refund of {payment_id}",
            payment_type=TENDER,
            payment=self.record(payment_id),
            sale=sale,
            refund=replace(sale, number=sale.number + 1_000_000, kind=ReceiptKind.REFUND, payments=()),
            amount=sale.total,
            manual_selection=False,
            currency_selection=False,
        )
        try:
            violations = self.plugins.validate_refund(request)
            result = None if violations else self.plugins.on_full_refund(request, Cashier(self.random))
        except HookFailed:
            return
        assert result is not None, violations
        self.book.set(payment_id, "told" if result.status is ReversalStatus.REFUSED else "ended")

    def record(self, payment_id: str) -> PaymentRecord:
        sale = self.book.sales[payment_id]
        return PaymentRecord(payment_id=payment_id, payment_type=TENDER, amount=sale["amount"], data=sale["record"])

    def receipt(self, payment_id: str, closed_at: int | None = None) -> Receipt:
        sale = self.book.sales[payment_id]
        amount = sale["amount"]
        goods = Item(name="Goods", quantity=Decimal(1), price=amount, amount=amount)
        paid = (self.record(payment_id),) if "record" in sale else ()
        return Receipt(
            till="fuzz",
            shift=1,
            number=sale["number"],
            kind=ReceiptKind.SALE,
            items=(goods,),
            total=amount,
            payments=paid,
            closed_at=closed_at,
        )


class Cashier(BaseUi):
    """A cashier who scans a new code and now and then stops the wait; an idle one does neither."""

    def __init__(self, random: Random, *, is_idle: bool = False) -> None:
        self._random = random
        self._is_idle = is_idle

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        assert not self._is_idle, "a repeated request must not scan"
        return new_code(self._random)

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        return not self._is_idle and self._random.random() < 0.02


def new_code(random: Random) -> str:
    return str(random.randrange(10**19, 10**20))


def until_it_returns(hook: Callable[[], None]) -> None:
    while True:
        try:
            hook()
        except HookFailed:
            time.sleep(0.2)
        else:
            return


def main() -> None:
    folder, url, run, *mode = sys.argv[1:]
    till = Till(Path(folder), url, run)
    print("imported", flush=True)  # noqa: T201 - from now on it may be killed
    till.start()
    while not mode:
        till.sell()
    deadline = time.monotonic() + 60
    while till.book.at("begun", "paid", "annulling", "closed", "refunding"):
        assert time.monotonic() < deadline, till.book.sales
        till.repeat()
    held = {
        till.book.sales[each]["record"]["receipt_id"]: till.book.sales[each]["amount"] for each in till.book.at(*HELD)
    }
    print(json.dumps({"held": held, "faults": [str(each) for each in till.plugins.faults]}), flush=True)  # noqa: T201
    sys.stdin.read()
    till.plugins.on_stop()


if __name__ == "__main__":
    main()
