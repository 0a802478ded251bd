"""A host in a process of its own, which may be killed anywhere: it restores what an earlier process left, then sells.

What it is to do comes as a ``HostOrder``. What it remembers is in a file, each line on the disk before it goes on.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fakes.till import TENDER, VirtualHost, open_sale, request_for
from faults.boundaries import Boundaries, count_commits
from hookspecs import (
    BaseUi,
    CancelRequest,
    PaymentRecord,
    PaymentStatus,
    PosPlugins,
    Receipt,
    ReceiptKind,
    RefundRequest,
    ReversalStatus,
)
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.plugin import PaymePlugin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hookspecs import ReversalResult

IDENTITY = "till-1"
RECORD_FILE = "sales.jsonl"
BOUNDARIES_FILE = "boundaries.json"

QUIET_WITHIN_S = 45
"""How long a host waits, before its first sale and at its end, until every payment is decided and no money is owed."""

_REFUND = 100_000
_PAUSE_S = 0.01
_WORK = """
    SELECT 1 FROM payment WHERE state IN ('intent', 'created', 'paying', 'paid')
    UNION ALL SELECT 1 FROM cancellation WHERE ended_at IS NULL AND confirmed_at IS NULL
    LIMIT 1
"""


@dataclass(frozen=True, kw_only=True)
class HostOrder:
    """What a process is to do.

    Attributes:
        settings: the plugin's settings.
        folder: the host's folder; the plugin's is in it.
        asks_again: what the host does after a restart with open sales that have no result: it asks ``on_payment``
            again, or it gives them up. It acknowledges what it has stored, and is ready.
        sales: the amounts of the sales to make, tiyin.
        codes: what the scanner reads, scan by scan; after the last one nobody scans.
        ending: what becomes of a paid sale: it ``closes``; the cashier ``annuls`` it before it closes; or it closes and
            the buyer ``refunds`` it.
        last_boundary: the boundary at which the process dies, counted from its first sale, or from its start where it
            makes none; 0: it runs on.
        forks: how a child ends that is forked there, or at each boundary; see ``Boundaries``.
        stops_after_s: the cashier stops a wait after so long; None: never.
        syncs: False: SQLite does not sync, which a test must notice.
    """

    settings: Mapping[str, str]
    folder: str = ""
    asks_again: bool = True
    sales: tuple[int, ...] = ()
    codes: tuple[str, ...] = field(default=(), repr=False)
    ending: str = "closes"
    last_boundary: int = 0
    forks: str = ""
    stops_after_s: float | None = None
    syncs: bool = True


@dataclass(frozen=True)
class Sale:
    """A sale with one tender of ours.

    Attributes:
        number: its receipt number.
        payment_id: its payment.
        amount: tiyin.
        status: what ``on_payment`` returned; None: it has not returned, as far as the host knows.
        data: what the host stores with a paid one.
        closed_at: when its receipt closed, Unix milliseconds; None while it is open.
        is_closing_known: ``on_receipt_closed`` has returned.
        giving_back: ``cancel`` or ``refund`` once the host has begun it.
        given_back: what ``on_cancel`` or ``on_full_refund`` returned.
        is_dropped: the host came back after a crash, and gave the sale up without asking again.
    """

    number: int
    payment_id: str
    amount: int
    status: str | None = None
    data: dict[str, Any] | None = None
    closed_at: int | None = None
    is_closing_known: bool = False
    giving_back: str | None = None
    given_back: str | None = None
    is_dropped: bool = False

    @property
    def is_paid(self) -> bool:
        """Whether the till has the payment: it was PAID, and was not given back."""
        is_gone = self.given_back in {ReversalStatus.REVERSED.name, ReversalStatus.QUEUED.name}
        return self.status == PaymentStatus.PAID.name and not is_gone

    @property
    def is_undecided(self) -> bool:
        """Whether the sale waits for a result."""
        return self.status is None and not self.is_dropped

    @property
    def is_open(self) -> bool:
        """Whether the sale waits for a result, or for its receipt to close."""
        return self.is_undecided or (not self.is_dropped and self.is_paid and self.closed_at is None)

    def payment(self) -> PaymentRecord:
        """Return the record of a paid one."""
        assert self.data is not None
        return PaymentRecord(payment_id=self.payment_id, payment_type=TENDER, amount=self.amount, data=self.data)

    def receipt(self) -> Receipt:
        """Return its receipt as it is now."""
        payments = () if self.data is None else (self.payment(),)
        return open_sale(self.number, amount=self.amount, payments=payments, closed_at=self.closed_at)


def read_sales(path: Path) -> dict[int, Sale]:
    """Return the sales in a file by number, each as its last line says. A line that a kill cut short is removed."""
    if not path.exists():
        return {}
    written = path.read_bytes()
    os.truncate(path, written.rfind(b"\n") + 1)
    found = [Sale(**json.loads(line)) for line in path.read_bytes().splitlines()]
    return {sale.number: sale for sale in found}


def run(order: HostOrder) -> bool:
    """Restore, deliver, sell, deliver, stop. Return whether nothing was left to decide or to deliver.

    Money effect: charges and returns, as the buyers of the sandbox want it.
    """
    folder = Path(order.folder)
    logging.basicConfig(
        filename=folder / "host.log", level=logging.INFO, format="%(process)d %(threadName)s %(message)s"
    )
    boundaries = Boundaries(order.last_boundary, from_now=not order.sales, forks=order.forks)
    count_commits(boundaries, syncs=order.syncs)
    till = _Till(order, folder, boundaries)
    till.restore()
    is_quiet = till.wait_until_quiet()
    if is_quiet and order.sales:
        boundaries.count_anew()
        for amount in order.sales:
            till.sell(amount)
        is_quiet = till.wait_until_quiet()
    till.plugins.on_stop()
    (folder / BOUNDARIES_FILE).write_text(json.dumps(boundaries.reached), "utf-8")
    return is_quiet


class _Ui(BaseUi):
    """The cashier: scans the codes of the order, and stops after ``stops_after_s``."""

    def __init__(self, order: HostOrder, boundaries: Boundaries) -> None:
        self._codes = list(order.codes)
        self._stops_after_s = order.stops_after_s
        self._boundaries = boundaries

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        self._boundaries.reach("in the scan")
        return self._codes.pop(0) if self._codes else None

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        return self._stops_after_s is not None and elapsed_s >= self._stops_after_s


class _Till(VirtualHost):
    """A host that does what the contract asks of one, each of its own steps between two boundaries."""

    def __init__(self, order: HostOrder, folder: Path, boundaries: Boundaries) -> None:
        # Ignore the machine's own settings file.
        conf = folder / "payme.go.conf"
        conf.write_text("[Main]\n", "utf-8")
        super().__init__(folder / "payme", {**order.settings, "confFile": str(conf)}, name=IDENTITY)
        self._order = order
        self._reach = boundaries.reach
        self._file = folder / RECORD_FILE
        self._sales = read_sales(self._file)
        self._ui = _Ui(order, boundaries)
        if not order.asks_again:
            for sale in self._undecided():
                self._store(sale, "after the host dropped a sale", is_dropped=True)
        self.plugins = PosPlugins()
        self.plugins.register(PaymePlugin(), "payme")
        self.plugins.on_start(self)

    def is_recorded(self, payment_id: str) -> bool | None:
        sale = next((sale for sale in self._sales.values() if sale.payment_id == payment_id), None)
        if sale is None or sale.is_dropped:
            return False
        return None if sale.status is None else sale.is_paid

    def restore(self) -> None:
        """Finish the sales of an earlier process: repeat, acknowledge, be ready."""
        for sale in list(self._sales.values()):
            if sale.giving_back is not None and sale.given_back is None:
                self._give_back(sale)
            elif sale.is_undecided:
                self._ask(sale, repeated=True)
            elif sale.is_open:
                self._keep(sale)
            elif sale.closed_at is not None and not sale.is_closing_known:
                self._say_closed(sale)
        self._reach("before on_ready")
        self.plugins.on_ready()
        self._reach("after on_ready returned")

    def sell(self, amount: int) -> None:
        """Make a sale of one item."""
        number = len(self._sales) + 1
        sale = Sale(number, f"sale-{number}-of-{self.folder.parent.name}", amount)
        self._ask(self._store(sale, "after the host stored the tender"), repeated=False)

    def wait_until_quiet(self) -> bool:
        """Wait until every payment is decided and no cancellation is live; return whether that came to pass in time."""
        gives_up_at = time.monotonic() + QUIET_WITHIN_S
        while self._has_work():
            for sale in self._undecided():
                self._ask(sale, repeated=True)
            if time.monotonic() >= gives_up_at:
                return False
            time.sleep(_PAUSE_S)
        return True

    def _has_work(self) -> bool:
        reader = JournalReader.open_read_only(self.folder / FILE_NAME)
        if reader is None:
            return False
        try:
            with reader.reading() as connection:
                return connection.execute(_WORK).fetchone() is not None
        finally:
            reader.close()

    def _undecided(self) -> list[Sale]:
        return [sale for sale in self._sales.values() if sale.is_undecided]

    def _store(self, sale: Sale, boundary: str, **changes: Any) -> Sale:  # noqa: ANN401 - fields of a sale
        """Write a sale down as it is now."""
        sale = replace(sale, **changes)
        file = os.open(self._file, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, json.dumps(asdict(sale)).encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
        self._sales[sale.number] = sale
        self._reach(boundary)
        return sale

    def _ask(self, sale: Sale, *, repeated: bool) -> None:
        request = request_for(sale.payment_id, amount=sale.amount, receipt=sale.receipt(), repeated=repeated)
        result = self.plugins.on_payment(request, self._ui)
        assert result is not None
        self._reach(f"after on_payment returned {result.status.name}")
        if result.status is PaymentStatus.PENDING:
            return
        data = None if result.payment is None else dict(result.payment.data)
        sale = self._store(sale, "after the host stored the result", status=result.status.name, data=data)
        if sale.is_paid:
            self._keep(sale)

    def _keep(self, sale: Sale) -> None:
        self.plugins.on_payment_recorded(sale.payment())
        self._reach("after on_payment_recorded returned")
        if self._order.ending == "annuls":
            self._begin_giving_back(sale, "cancel")
        else:
            self._close(sale)

    def _close(self, sale: Sale) -> None:
        closed_at = time.time_ns() // 1_000_000
        self._say_closed(self._store(sale, "after the host closed the receipt", closed_at=closed_at))

    def _say_closed(self, sale: Sale) -> None:
        self.plugins.on_receipt_closed(sale.receipt())
        sale = self._store(sale, "after on_receipt_closed returned", is_closing_known=True)
        if self._order.ending == "refunds":
            self._begin_giving_back(sale, "refund")

    def _begin_giving_back(self, sale: Sale, how: str) -> None:
        self._give_back(self._store(sale, f"after the host began a {how}", giving_back=how, given_back=None))

    def _give_back(self, sale: Sale) -> None:
        if sale.giving_back == "cancel":
            result = self.plugins.on_cancel(CancelRequest(payment=sale.payment(), receipt=sale.receipt()), self._ui)
        else:
            result = self._refund(sale)
        assert result is not None
        self._reach(f"after the {sale.giving_back} returned {result.status.name}")
        boundary = f"after the host stored what the {sale.giving_back} came to"
        sale = self._store(sale, boundary, given_back=result.status.name)
        if sale.is_open:
            self._close(sale)

    def _refund(self, sale: Sale) -> ReversalResult | None:
        sold = sale.receipt()
        request = RefundRequest(
            refund_id=f"refund-of-{sale.payment_id}",
            payment_type=TENDER,
            payment=sale.payment(),
            sale=sold,
            refund=replace(sold, number=sale.number + _REFUND, kind=ReceiptKind.REFUND, payments=(), closed_at=None),
            amount=sale.amount,
            manual_selection=False,
            currency_selection=False,
        )
        return self.plugins.on_full_refund(request, self._ui)
