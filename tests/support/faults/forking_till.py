"""A till in a process of its own that forks at its boundaries; run with its order, a JSON object, as argument.

Its book is a file, as a real host has one: what it says of a payment after a restart is what it wrote before.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults.boundaries import count_commits
from hookspecs import (
    BaseHost,
    BaseUi,
    CancelRequest,
    Item,
    PaymentRecord,
    PaymentRequest,
    PaymentStatus,
    PosPlugins,
    Receipt,
    ReceiptKind,
)
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.plugin import PaymePlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AMOUNT = 100_000
BOOK = "book.json"
IDENTITY = "forking-till"
TENDER = 7
_QUIET_S = 20.0


def fork_in_c() -> int:
    """Fork as a host written in C does: Python does not learn of it."""
    return int(ctypes.PyDLL(None).fork())


class Boundaries:
    """Forks at one boundary and dies, or at every boundary and goes on.

    Args:
        ending: how a child ends: ``returns``, ``exits`` or by a ``signal``; empty: it never forks.
        killed_at: the number of the boundary, from 1, at which the parent dies as soon as its child has ended; 0: it
            forks at all of them.
    """

    def __init__(self, ending: str, killed_at: int) -> None:
        self.reached: list[str] = []
        self._ending = ending
        self._killed_at = killed_at

    def reach(self, name: str) -> None:
        """Come to a boundary. At a commit another thread forks, while this one holds its locks and transaction."""
        self.reached.append(name)
        if self._ending and self._killed_at in {0, len(self.reached)}:
            if "commit" in name:
                forking = threading.Thread(target=self._fork)
                forking.start()
                forking.join()
            else:
                self._fork()

    def _fork(self) -> None:
        child = os.fork()
        if child == 0:
            if self._ending == "signal":
                os.kill(os.getpid(), signal.SIGTERM)
            if self._ending == "exits":
                os._exit(0)
            sys.exit()
        os.waitpid(child, 0)
        if self._killed_at:
            os.kill(os.getpid(), signal.SIGKILL)


class _Ui(BaseUi):
    def __init__(self, code: str, reach: Callable[[str], None]) -> None:
        self._code = code
        self._reach = reach

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        self._reach("in scan")
        return self._code

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        return None


class ForkingTill(BaseHost):
    """A host with a book on the disk."""

    identity = IDENTITY
    language = "en"

    def __init__(
        self, folder: Path, settings: Mapping[str, str], reach: Callable[[str], None] = lambda _: None
    ) -> None:
        self.folder = folder
        self.notices: dict[str, str] = {}
        self.plugins = PosPlugins()
        self.plugins.register(PaymePlugin(), "payme")
        conf = folder / "payme.go.conf"
        conf.write_text("[Main]\n", "utf-8")
        self._settings = {**settings, "confFile": str(conf)}
        self._reach = reach
        self._file = folder / BOOK
        self.book: dict[str, list[Any]] = json.loads(self._file.read_text()) if self._file.exists() else {}

    def settings(self, plugin: str) -> Mapping[str, str]:
        return self._settings

    def data_dir(self, plugin: str) -> Path:
        return self.folder / plugin

    def is_recorded(self, payment_id: str) -> bool | None:
        return self.book.get(payment_id, [""])[0] in {"paid", "closed"}

    def notice(self, key: str, text: str | None) -> None:
        self.notices[key] = text or ""

    def start(self) -> None:
        """Start, repeat and acknowledge what the book has, and say so."""
        self.plugins.on_start(self)
        self._reach("after on_start")
        for payment_id, (state, *_record) in list(self.book.items()):
            if state == "begun":
                self.pay(payment_id, "", repeated=True)
            elif state == "paid":
                self.close(payment_id)
            elif state == "cancelling":
                self.cancel(payment_id)
        self.plugins.on_ready()
        self._reach("after on_ready")

    def pay(self, payment_id: str, code: str, *, repeated: bool = False) -> PaymentStatus:
        """Take a payment, and note what became of it."""
        self._note(payment_id, "begun")
        request = PaymentRequest(
            payment_id=payment_id,
            payment_type=TENDER,
            amount=AMOUNT,
            receipt=_receipt(payment_id),
            repeated=repeated,
        )
        result = self.plugins.on_payment(request, _Ui(code, self._reach))
        assert result is not None
        self._reach("after on_payment")
        if result.payment is not None:
            self._note(payment_id, "paid", dict(result.payment.data))
            self.plugins.on_payment_recorded(result.payment)
            self._reach("after on_payment_recorded")
        elif result.status is not PaymentStatus.PENDING:
            self._note(payment_id, result.status.value)
        return result.status

    def close(self, payment_id: str) -> None:
        """Close the receipt of a paid sale."""
        self.plugins.on_payment_recorded(self.record(payment_id))
        self.plugins.on_receipt_closed(_receipt(payment_id, self.record(payment_id), closed_at=time.time_ns() // 10**6))
        self._reach("after on_receipt_closed")
        self._note(payment_id, "closed", self.book[payment_id][1])

    def cancel(self, payment_id: str) -> None:
        """Annul a paid sale."""
        record = self.record(payment_id)
        self._note(payment_id, "cancelling", self.book[payment_id][1])
        request = CancelRequest(payment=record, receipt=_receipt(payment_id, record))
        assert self.plugins.on_cancel(request, _Ui("", self._reach)) is not None
        self._reach("after on_cancel")
        self._note(payment_id, "cancelled", self.book[payment_id][1])

    def record(self, payment_id: str) -> PaymentRecord:
        """Return the stored record of a paid sale."""
        data = self.book[payment_id][1]
        return PaymentRecord(payment_id=payment_id, payment_type=TENDER, amount=AMOUNT, data=data)

    def wait_until_quiet(self) -> bool:
        """Wait until no cancellation is live; return whether that came to pass."""
        ends = time.monotonic() + _QUIET_S
        while (reader := JournalReader.open_read_only(self.data_dir("payme") / FILE_NAME)) is not None:
            live = reader.live_cancellations()
            reader.close()
            if not live or time.monotonic() > ends:
                return not live
            time.sleep(0.05)
        return True

    def _note(self, payment_id: str, state: str, *record: object) -> None:
        self.book[payment_id] = [state, *record]
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(self.book))
        written.replace(self._file)


def _receipt(payment_id: str, *payments: PaymentRecord, closed_at: int | None = None) -> Receipt:
    item = Item(name="Bread", quantity=Decimal(1), price=AMOUNT, amount=AMOUNT)
    return Receipt(
        till=IDENTITY,
        shift=1,
        number=int(payment_id.rpartition("-")[2]),
        kind=ReceiptKind.SALE,
        items=(item,),
        total=AMOUNT,
        payments=payments,
        closed_at=closed_at,
    )


def main() -> None:
    """Live: restore, sell twice, annul the second sale, stop; print what was reached and what the book says."""
    order = json.loads(sys.argv[1])
    boundaries = Boundaries(order["ending"], order["killed_at"])
    count_commits(boundaries)  # type: ignore[arg-type]
    till = ForkingTill(Path(order["folder"]), order["settings"], boundaries.reach)
    till.start()
    first = len(till.book) + 1
    for number, code in enumerate(order["codes"], first):
        payment_id = f"sale-{number}"
        if till.pay(payment_id, code) is PaymentStatus.PAID:
            till.close(payment_id) if number == first else till.cancel(payment_id)
    is_quiet = till.wait_until_quiet()
    till.plugins.on_stop()
    boundaries.reach("after on_stop")
    print(json.dumps({"reached": boundaries.reached, "book": till.book, "is_quiet": is_quiet}))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
