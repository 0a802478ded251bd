"""The other side of the killed host: it starts hosts against a sandbox, kills them, and counts the money afterwards."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, final

from fakes.till import TENDER
from faults import fork_server
from faults.child_process import PYTHON_PATH
from faults.killed_host import BOUNDARIES_FILE, RECORD_FILE, read_sales
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

    from faults.killed_host import HostOrder, Sale
    from payme_plugin.sandbox import ReceiptView, Sandbox

_POLL_S = 0.002


@final
class ForkServer:
    """Starts hosts, one at a time; a context manager that owns the process which forks them."""

    def __enter__(self) -> ForkServer:
        path = os.pathsep.join(filter(None, [PYTHON_PATH, os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, fork_server.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path},
        )
        self._is_ready = False
        self._last: HostProcess | None = None
        return self

    def __exit__(self, *error: object) -> None:
        with self._process:
            if self._last is not None:
                self._last.kill()
            self._process.communicate()

    def start(self, order: HostOrder) -> HostProcess:
        """Start a host."""
        to, answers = self._process.stdin, self._process.stdout
        assert to is not None
        assert answers is not None
        if not self._is_ready:
            answers.readline()
            self._is_ready = True
        to.write(json.dumps(asdict(order)) + "\n")
        to.flush()
        self._last = HostProcess(int(answers.readline()), answers)
        return self._last


class HostProcess:
    """A host that was started.

    Attributes:
        process_id: its process.
    """

    def __init__(self, process_id: int, answers: IO[str]) -> None:
        self.process_id = process_id
        self._answers = answers
        self._status: int | None = None

    def is_over_within(self, duration_s: float) -> bool:
        """Wait for its end, at most ``duration_s`` seconds; return whether it is over."""
        return self._status is not None or bool(select.select([self._answers], [], [], duration_s)[0])

    def kill(self) -> None:
        """End it with SIGKILL; nothing where it is over."""
        if not self.is_over_within(0):
            os.kill(self.process_id, signal.SIGKILL)

    def status(self) -> int:
        """Wait for its end and return how it ended: -9 by SIGKILL, 0 well, else a fault of its own."""
        if self._status is None:
            self._status = int(self._answers.readline())
        return self._status


@dataclass(frozen=True)
class KilledTill:
    """A till at a sandbox, whose processes come one after the other.

    Attributes:
        server: starts its processes.
        sandbox: PaymeGO.
        folder: its folder.
        shown: the codes that its scanner may have read.
    """

    server: ForkServer
    sandbox: Sandbox
    folder: Path
    shown: list[str] = field(default_factory=list, repr=False)

    def start(self, order: HostOrder) -> HostProcess:
        """Start a process with the till's folder and merchant account."""
        self.shown.extend(order.codes)
        account = {
            "url": self.sandbox.url, "posId": self.sandbox.pos_id, "posKey": self.sandbox.pos_key,
            "paymentType": str(TENDER),
        }  # fmt: skip
        return self.server.start(replace(order, folder=str(self.folder), settings={**account, **order.settings}))

    def kill_at_arrival(self, process: HostProcess, requests: int) -> None:
        """Kill a process as soon as the sandbox has seen so many requests in all."""
        while len(self.sandbox.requests) < requests:
            if process.is_over_within(_POLL_S):
                return
        process.kill()

    def boundaries(self) -> tuple[str, ...]:
        """Return the boundaries that the last process which ended well came to."""
        return tuple(json.loads((self.folder / BOUNDARIES_FILE).read_text("utf-8")))

    def sales(self) -> list[Sale]:
        """Return the sales as the host remembers them."""
        return list(read_sales(self.folder / RECORD_FILE).values())

    def charged(self) -> set[int]:
        """Return the numbers of the sales that a buyer was charged for, also if the money went back."""
        numbers = {receipt.receipt_id: _sale_number(receipt) for receipt in self.sandbox.receipts()}
        return {numbers[receipt_id] for receipt_id in self._debits()}

    def faults(self, *, but_last: bool = False) -> list[str]:
        """Return, sale by sale, where the money at Payme is not what the host recorded, and what else must not be.

        Args:
            but_last: the last sale was just cut off: whatever it left is not counted.
        """
        sales = self.sales()[:-1] if but_last else self.sales()
        held: Counter[int] = Counter()
        for receipt in self.sandbox.receipts():
            held[_sale_number(receipt)] += receipt.held
        found = [f"sale {sale.number} is still open" for sale in sales if sale.is_open]
        for sale in sales:
            recorded = sale.amount if sale.is_paid else 0
            if held[sale.number] != recorded:
                found.append(f"sale {sale.number}: Payme holds {held[sale.number]}, the host recorded {recorded}")
        found += [f"receipt {name} was paid {times} times" for name, times in self._debits().items() if times > 1]
        pays = {code: self.sandbox.pays(code) for code in self.shown}
        found += [f"a code was in {times} pays" for times in pays.values() if times > 1]
        return found + self._journal_faults({sale.payment_id for sale in sales})

    def events(self) -> str:
        """Return the payments in the journal with their events, for a test that failed."""
        reader = JournalReader.open_read_only(self.folder / "payme" / FILE_NAME)
        if reader is None:
            return "no journal"
        with closing(reader):
            lines = []
            for payment in reversed(reader.payments()):
                lines.append(f"{payment.payment_id}: {payment.state.value}, receipt {payment.receipt_id}")
                lines += [f"    {event.text}" for event in reader.events(payment.payment_id)]
            return "\n".join(lines)

    def _debits(self) -> Counter[str]:
        moves = self.sandbox.bank.movements(self.sandbox.now_ms())
        return Counter(move.receipt_id for move in moves if move.amount > 0)

    def _journal_faults(self, payment_ids: set[str]) -> list[str]:
        reader = JournalReader.open_read_only(self.folder / "payme" / FILE_NAME)
        if reader is None:
            return []
        with closing(reader):
            live = {row.payment_id for row in reader.live_cancellations()}
            unfinished = {row.payment_id for row in reader.unfinished()}
            with reader.reading() as connection:
                (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
        return [
            *(f"the cancellation of {name} is still live" for name in live & payment_ids),
            *(f"payment {name} is not finished" for name in unfinished & payment_ids),
            *([] if integrity == "ok" else [f"the journal is damaged: {integrity}"]),
        ]


def _sale_number(receipt: ReceiptView) -> int:
    return int(str(receipt.account["order_id"]).split("-")[-2])
