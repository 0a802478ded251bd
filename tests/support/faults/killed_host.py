"""One life of the host of the crash tests: from its start, over what an earlier life left and new sales, to its end.

It runs in a process of its own, which may be killed anywhere. What it is to do comes as a ``LifeOrder``.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from faults.boundaries import Boundaries, count_commits
from faults.host_record import Sale, SalesRecord
from hookspecs import (
    BaseHost,
    BaseUi,
    CancelRequest,
    HookFailed,
    Item,
    PaymentRecord,
    PaymentRequest,
    PaymentStatus,
    PosPlugins,
    Receipt,
    ReceiptKind,
    RefundRequest,
)
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.plugin import PaymePlugin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hookspecs import ReversalResult

IDENTITY = "crash-till"
TENDER = 7
RECORD_FILE = "sales.jsonl"
BOUNDARIES_FILE = "boundaries.json"

_LOG_FILE = "host.log"
_SHIFT = 1
_REFUND = 100_000
_PAUSE_S = 0.01
_WORK = """
    SELECT 1 FROM payment WHERE state IN ('intent', 'created', 'paying', 'paid')
    UNION ALL SELECT 1 FROM cancellation WHERE ended_at IS NULL AND confirmed_at IS NULL
    LIMIT 1
"""


@dataclass(frozen=True, kw_only=True)
class LifeOrder:
    """What a life is to do.

    Attributes:
        folder: the host's folder; the plugin's is in it.
        settings: the plugin's settings.
        asks_again: what the host does after a restart with open sales that have no result: it asks ``on_payment``
            again, or it gives them up. It acknowledges what it has stored, and is ready.
        sales: the amounts of the sales to make, tiyin.
        codes: what the scanner reads, scan by scan; after the last one nobody scans.
        ending: what becomes of a paid sale: it ``closes``; the cashier ``annuls`` it before it closes; or it closes and
            the buyer ``refunds`` it.
        last_boundary: the boundary at which the process dies, counted from its first sale, or from its start where it
            makes none; 0: it lives.
        stops_after_s: the cashier stops a wait after so long; None: never.
        syncs: False: SQLite does not sync, which a test must notice.
        quiet_within_s: how long the life waits, before its first sale and at its end, for every payment to be decided
            and the queue of cancellations to become empty.
        sells_at_once: it does not wait before its first sale, and sells also if another till is the leader.
    """

    folder: str
    settings: Mapping[str, str]
    asks_again: bool
    sales: tuple[int, ...] = ()
    codes: tuple[str, ...] = field(default=(), repr=False)
    ending: str = "closes"
    last_boundary: int = 0
    stops_after_s: float | None = None
    syncs: bool = True
    quiet_within_s: float = 45.0
    sells_at_once: bool = False

    def to_json(self) -> str:
        """Return the order as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> LifeOrder:
        """Return the order in ``line``."""
        values = json.loads(line)
        return cls(**{**values, "sales": tuple(values["sales"]), "codes": tuple(values["codes"])})


def live(order: LifeOrder) -> bool:
    """Live: restore, deliver, sell, deliver, stop. Return whether nothing was left to decide or to deliver.

    Money effect: charges and returns, as the buyers of the sandbox want it.
    """
    folder = Path(order.folder)
    logging.basicConfig(
        filename=folder / _LOG_FILE, level=logging.INFO, format="%(process)d %(threadName)s %(message)s"
    )
    boundaries = Boundaries(order.last_boundary, from_now=not order.sales)
    count_commits(boundaries, syncs=order.syncs)
    till = _Till(order, folder, boundaries)
    till.restore()
    is_quiet = order.sells_at_once or till.wait_until_quiet()
    if is_quiet and order.sales:
        boundaries.count_anew()
        for amount in order.sales:
            till.sell(amount)
        is_quiet = till.wait_until_quiet()
    till.stop()
    (folder / BOUNDARIES_FILE).write_text(json.dumps(boundaries.reached), "utf-8")
    return is_quiet


class _Host(BaseHost):
    """The till as the plugin sees it: what it says of a payment is what its record says."""

    identity = IDENTITY

    def __init__(self, order: LifeOrder, folder: Path, record: SalesRecord) -> None:
        # The machine's own settings file has no say.
        conf = folder / "payme.go.conf"
        conf.write_text("[Main]\n", "utf-8")
        self._settings = {**order.settings, "confFile": str(conf)}
        self._folder = folder
        self._record = record

    def settings(self, plugin: str) -> Mapping[str, str]:
        return self._settings

    def data_dir(self, plugin: str) -> Path:
        return self._folder / plugin

    def is_recorded(self, payment_id: str) -> bool | None:
        sale = self._record.by_payment(payment_id)
        if sale is None or sale.dropped:
            return False
        return None if sale.verdict is None else sale.is_paid


class _Ui(BaseUi):
    """The cashier: scans what the buyers show, and stops when told to."""

    def __init__(self, order: LifeOrder) -> None:
        self._codes = list(order.codes)
        self._stops_after_s = order.stops_after_s

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        return self._codes.pop(0) if self._codes else None

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        return self._stops_after_s is not None and elapsed_s >= self._stops_after_s


class _Till:
    """A host that does what the contract asks of one, each of its own steps between two boundaries."""

    def __init__(self, order: LifeOrder, folder: Path, boundaries: Boundaries) -> None:
        self._order = order
        self._name = folder.name
        self._boundaries = boundaries
        self._record = SalesRecord(folder / RECORD_FILE)
        self._journal = folder / "payme" / FILE_NAME
        self._ui = _Ui(order)
        self._drop_open_sales()
        self._plugins = PosPlugins()
        self._plugins.register(PaymePlugin(), "payme")
        self._plugins.on_start(_Host(order, folder, self._record))

    def restore(self) -> None:
        """Finish the sales of an earlier life: repeat, acknowledge, be ready."""
        for sale in self._record.sales:
            if sale.is_being_given_back:
                self._give_back(sale)
            elif sale.verdict is None and not sale.dropped:
                self._ask(sale, repeated=True)
            elif sale.is_open:
                self._keep(sale)
            elif sale.closed_at is not None and not sale.told:
                self._tell(sale)
        self._boundaries.reach("before on_ready")
        with suppress(*((HookFailed,) if self._order.sells_at_once else ())):
            self._plugins.on_ready()
        self._boundaries.reach("after on_ready returned")

    def sell(self, amount: int) -> None:
        """Make a sale of one item."""
        number = self._record.next_number()
        sale = self._record.open(f"sale-{number}-of-{self._name}", amount)
        self._boundaries.reach("after the host stored the tender")
        self._ask(sale, repeated=False)

    def wait_until_quiet(self) -> bool:
        """Wait until every payment is decided and no cancellation is live; return whether that came to pass in time."""
        gives_up_at = time.monotonic() + self._order.quiet_within_s
        while self._has_work():
            self._ask_pending()
            if time.monotonic() >= gives_up_at:
                return False
            time.sleep(_PAUSE_S)
        return True

    def _ask_pending(self) -> None:
        for sale in self._record.sales:
            if sale.verdict is None and not sale.dropped:
                self._ask(sale, repeated=True)

    def stop(self) -> None:
        """Stop the till."""
        self._plugins.on_stop()

    def _has_work(self) -> bool:
        reader = JournalReader.open_read_only(self._journal)
        if reader is None:
            return False
        try:
            with reader.reading() as connection:
                return connection.execute(_WORK).fetchone() is not None
        finally:
            reader.close()

    def _drop_open_sales(self) -> None:
        if self._order.asks_again:
            return
        for sale in self._record.sales:
            if sale.verdict is None and not sale.dropped:
                self._record.drop(sale)
                self._boundaries.reach("after the host dropped a sale")

    def _ask(self, sale: Sale, *, repeated: bool) -> None:
        request = PaymentRequest(
            payment_id=sale.payment_id,
            payment_type=TENDER,
            amount=sale.amount,
            receipt=_receipt(sale),
            repeated=repeated,
        )
        result = self._plugins.on_payment(request, self._ui)
        assert result is not None
        self._boundaries.reach(f"after on_payment returned {result.status.name}")
        if result.status is PaymentStatus.PENDING:
            return
        sale = self._record.decide(sale, result.status, result.payment)
        self._boundaries.reach("after the host stored the verdict")
        if sale.is_paid:
            self._keep(sale)

    def _keep(self, sale: Sale) -> None:
        assert sale.payment is not None
        self._plugins.on_payment_recorded(sale.payment)
        self._boundaries.reach("after on_payment_recorded returned")
        if self._order.ending == "annuls":
            self._begin_giving_back(sale, "cancel")
        else:
            self._close(sale)

    def _close(self, sale: Sale) -> None:
        sale = self._record.close(sale, time.time_ns() // 1_000_000)
        self._boundaries.reach("after the host closed the receipt")
        self._tell(sale)

    def _tell(self, sale: Sale) -> None:
        self._plugins.on_receipt_closed(_receipt(sale))
        self._boundaries.reach("after on_receipt_closed returned")
        sale = self._record.tell(sale)
        if self._order.ending == "refunds":
            self._begin_giving_back(sale, "refund")

    def _begin_giving_back(self, sale: Sale, how: str) -> None:
        sale = self._record.begin_giving_back(sale, how)
        self._boundaries.reach(f"after the host began a {how}")
        self._give_back(sale)

    def _give_back(self, sale: Sale) -> None:
        result = self._cancel(sale) if sale.giving_back == "cancel" else self._refund(sale)
        assert result is not None
        self._boundaries.reach(f"after the {sale.giving_back} returned {result.status.name}")
        sale = self._record.end_giving_back(sale, result.status)
        self._boundaries.reach(f"after the host stored what the {sale.giving_back} came to")
        if sale.is_open:
            self._close(sale)

    def _cancel(self, sale: Sale) -> ReversalResult | None:
        assert sale.payment is not None
        return self._plugins.on_cancel(CancelRequest(payment=sale.payment, receipt=_receipt(sale)), self._ui)

    def _refund(self, sale: Sale) -> ReversalResult | None:
        sold = _receipt(sale)
        request = RefundRequest(
            refund_id=f"refund-of-{sale.payment_id}",
            payment_type=TENDER,
            payment=sale.payment,
            sale=sold,
            refund=replace(sold, number=sale.number + _REFUND, kind=ReceiptKind.REFUND, payments=(), closed_at=None),
            amount=sale.amount,
            manual_selection=False,
            currency_selection=False,
        )
        return self._plugins.on_full_refund(request, self._ui)


def _receipt(sale: Sale) -> Receipt:
    item = Item(name="Хлеб", quantity=Decimal(1), price=sale.amount, amount=sale.amount)
    payments: tuple[PaymentRecord, ...] = () if sale.payment is None else (sale.payment,)
    return Receipt(
        till=IDENTITY,
        shift=_SHIFT,
        number=sale.number,
        kind=ReceiptKind.SALE,
        items=(item,),
        total=sale.amount,
        payments=payments,
        closed_at=sale.closed_at,
    )
