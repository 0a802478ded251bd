"""The other side of the crash tests: it starts lives against a sandbox, ends them, and counts the money afterwards."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from faults import fork_server
from faults.child_process import PYTHON_PATH
from faults.host_record import SalesRecord
from faults.killed_host import BOUNDARIES_FILE, RECORD_FILE, TENDER, LifeOrder
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import IO

    from faults.host_record import Sale
    from payme_plugin.sandbox import ReceiptView, Sandbox

_POLL_S = 0.002


@final
class Nursery:
    """Starts lives, one at a time; a context manager that owns the process which forks them."""

    def __enter__(self) -> Nursery:
        path = os.pathsep.join(filter(None, [PYTHON_PATH, os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, fork_server.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path},
        )
        self._is_ready = False
        self._last: Life | None = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._process:
            if self._last is not None:
                self._last.kill()
            self._to.close()

    def begin(self, order: LifeOrder) -> Life:
        """Start a life."""
        self.wait_until_ready()
        self._to.write(order.to_json() + "\n")
        self._to.flush()
        self._last = Life(int(self._from.readline()), self._from)
        return self._last

    def wait_until_ready(self) -> None:
        """Wait until a life would start at once."""
        if not self._is_ready:
            self._from.readline()
            self._is_ready = True

    @property
    def _to(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _from(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout


class Life:
    """A life that was started.

    Attributes:
        process_id: its process.
    """

    def __init__(self, process_id: int, told: IO[str]) -> None:
        self.process_id = process_id
        self._told = told
        self._status: int | None = None

    def is_over_within(self, duration_s: float) -> bool:
        """Wait for its end, at most ``duration_s`` seconds; return whether it is over."""
        return self._status is not None or bool(select.select([self._told], [], [], duration_s)[0])

    def kill(self) -> None:
        """End it with SIGKILL; nothing where it is over."""
        if not self.is_over_within(0):
            os.kill(self.process_id, signal.SIGKILL)

    def status(self) -> int:
        """Wait for its end and return how it ended: -9 by SIGKILL, 0 well, else a fault of its own."""
        if self._status is None:
            self._status = int(self._told.readline())
        return self._status


@dataclass(frozen=True)
class CrashTill:
    """A till that crashes, at a sandbox.

    Attributes:
        nursery: starts its lives.
        sandbox: PaymeGO.
        folder: its folder.
        asks_again: see ``LifeOrder``.
        shown: the codes that its scanner may have read.
    """

    nursery: Nursery
    sandbox: Sandbox
    folder: Path
    asks_again: bool
    shown: list[str] = field(default_factory=list, repr=False)

    def begin(
        self,
        *,
        settings: Mapping[str, str],
        sales: tuple[int, ...] = (),
        codes: tuple[str, ...] = (),
        ending: str = "closes",
        last_boundary: int = 0,
        stops_after_s: float | None = None,
        quiet_within_s: float = 45.0,
        sells_at_once: bool = False,
    ) -> Life:
        """Start a life; see ``LifeOrder`` for its arguments. The kassa is added to the settings."""
        self.shown.extend(codes)
        whole = {
            "url": self.sandbox.url,
            "posId": self.sandbox.pos_id,
            "posKey": self.sandbox.pos_key,
            "paymentType": str(TENDER),
            **settings,
        }
        return self.nursery.begin(
            LifeOrder(
                folder=str(self.folder),
                settings=whole,
                asks_again=self.asks_again,
                sales=sales,
                codes=codes,
                ending=ending,
                last_boundary=last_boundary,
                stops_after_s=stops_after_s,
                quiet_within_s=quiet_within_s,
                sells_at_once=sells_at_once,
            )
        )

    def boundaries(self) -> tuple[str, ...]:
        """Return the boundaries that the last life which ended well came to."""
        return tuple(json.loads((self.folder / BOUNDARIES_FILE).read_text("utf-8")))

    def sales(self) -> tuple[Sale, ...]:
        """Return the sales as the host remembers them."""
        return SalesRecord(self.folder / RECORD_FILE).sales

    def kill_at_arrival(self, life: Life, requests: int) -> None:
        """Kill a life as soon as the sandbox has seen so many requests in all."""
        while len(self.sandbox.requests) < requests:
            if life.is_over_within(_POLL_S):
                return
        life.kill()

    def faults(self, *, but_last: bool = False) -> list[str]:
        """Say, sale by sale, where the money at Payme is not what the host recorded, and what else must not be.

        Args:
            but_last: the last sale was just cut off: whatever it left is not counted.
        """
        sales = self.sales()[:-1] if but_last else self.sales()
        found = [*self._money_faults(sales), *self._journal_faults(sales), *self._code_faults()]
        return found if but_last else found + self._leaks()

    def story(self) -> str:
        """Return what the journal tells of all payments, for a test that failed."""
        with ExitStack() as open_now:
            reader = JournalReader.open_read_only(self.folder / "payme" / FILE_NAME)
            if reader is None:
                return "no journal"
            open_now.callback(reader.close)
            lines = []
            for payment in reversed(reader.payments()):
                lines.append(f"{payment.payment_id}: {payment.state.value}, receipt {payment.receipt_id}")
                lines += [f"    {event.text}" for event in reader.events(payment.payment_id)]
            return "\n".join(lines)

    def charged(self) -> set[int]:
        """Return the numbers of the sales that a buyer was charged for, also if the money went back."""
        numbers = {receipt.receipt_id: _sale_number(receipt) for receipt in self.sandbox.receipts()}
        moves = self.sandbox.bank.movements(self.sandbox.now_ms())
        return {numbers[move.receipt_id] for move in moves if move.amount > 0}

    def _money_faults(self, sales: tuple[Sale, ...]) -> list[str]:
        held: Counter[int] = Counter()
        for receipt in self.sandbox.receipts():
            held[_sale_number(receipt)] += receipt.held
        faults = []
        for sale in sales:
            recorded = sale.amount if sale.is_paid else 0
            if held[sale.number] != recorded:
                faults.append(f"sale {sale.number}: Payme holds {held[sale.number]}, the host recorded {recorded}")
        moves = self.sandbox.bank.movements(self.sandbox.now_ms())
        debits = Counter(move.receipt_id for move in moves if move.amount > 0)
        return faults + [
            f"receipt {receipt_id} was paid {times} times" for receipt_id, times in debits.items() if times > 1
        ]

    def _journal_faults(self, sales: tuple[Sale, ...]) -> list[str]:
        faults = [f"sale {sale.number} is still open" for sale in sales if sale.is_open]
        ids = {sale.payment_id for sale in sales}
        with ExitStack() as open_now:
            reader = JournalReader.open_read_only(self.folder / "payme" / FILE_NAME)
            if reader is None:
                return faults
            open_now.callback(reader.close)
            live = [row.payment_id for row in reader.live_cancellations()]
            faults += [f"the cancellation of {payment_id} is still live" for payment_id in live if payment_id in ids]
            unfinished = [row for row in reader.unfinished() if row.payment_id in ids]
            return faults + [f"payment {row.payment_id} is still {row.state.value}" for row in unfinished]

    def _code_faults(self) -> list[str]:
        return [
            f"code number {number} was in {self.sandbox.pays(code)} pays"
            for number, code in enumerate(dict.fromkeys(self.shown), 1)
            if self.sandbox.pays(code) > 1
        ]

    def _leaks(self) -> list[str]:
        secrets = [self.sandbox.pos_key.encode(), *(code.encode() for code in self.shown)]
        faults = []
        for path in self.folder.rglob("*"):
            written = path.read_bytes() if path.is_file() else b""
            faults += [f"{path.name} holds the key or a code" for secret in secrets if secret in written]
        return faults


def _sale_number(receipt: ReceiptView) -> int:
    return int(str(receipt.account["order_id"]).split("-")[-2])
