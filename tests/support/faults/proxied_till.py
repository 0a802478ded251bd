"""A till with the real plugin in front of a real sandbox, with a fault proxy between them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fakes.served_till import ServedTill
from fakes.till import TENDER, ScriptedUi, VirtualHost, open_sale
from fakes.waiting import comes_true
from faults.canaries import BUYER, CARD, KEY, PHONE, LeakSearch
from faults.proxy import FaultProxy
from hookspecs import CancelRequest, PaymentStatus, Receipt, ReceiptFiscal, ReceiptKind, RefundRequest, ReversalStatus
from payme_plugin.clock import SystemClock
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import BuyerAction, CancelPlan, Sandbox

if TYPE_CHECKING:
    import ssl

    from faults.network import Network
    from hookspecs import PaymentRecord, PaymentResult, QueueMessage, ReversalResult

TIMEOUT_S = 1
PAY_DURATION_S = 1.5
BOUND_S = max(PAY_DURATION_S, TIMEOUT_S) + TIMEOUT_S + 1
"""Guarantee 7: the result is durable so many seconds after the first ``receipts.pay``."""

AMOUNT = 1_500_000
_MOST_ATTEMPTS = 4
_SETTLES_WITHIN_S = 20


@dataclass(eq=False)
class _Host(VirtualHost):
    """A host without a queue that remembers what it was offered for one."""

    offered: list[QueueMessage] = field(default_factory=list)

    def enqueue(self, message: QueueMessage) -> bool:
        """Take nothing."""
        self.offered.append(message)
        return False


class ProxiedTill:
    """A till, a proxy and a sandbox, from its making to ``close``; the key, the buyer's card and phone are canaries.

    Args:
        network: what tills share.
        name: of its folder.
        plain: over plain http, else https.
        tls: what the proxy speaks https with, if it is not the network's.
        settings: the till's, over those of the tests.

    Attributes:
        codes: those that the buyer's phone has shown.
        recorded: tiyin that the till has, by payment id.
        search: what the till has shown and returned until now.
    """

    def __init__(
        self, network: Network, name: str, *, plain: bool = False, tls: ssl.SSLContext | None = None, **settings: object
    ) -> None:
        self._undo = contextlib.ExitStack()
        self.network = network
        self.sandbox = self._undo.enter_context(Sandbox(pos_key=KEY, buyer=BUYER, cancel=CancelPlan(settle_s=0)))
        self.proxy = FaultProxy(self.sandbox.port, None if plain else tls or network.tls)
        self._undo.callback(self.proxy.close)
        self.host_name = network.names.add(lambda: [self.proxy.port])
        given: dict[str, object] = {
            "url": f"{'http' if plain else 'https'}://{self.host_name}/api",
            "allowPlainHttp": 1 if plain else 0,
            "caFile": network.ca_file,
            "posId": self.sandbox.pos_id,
            "posKey": self.sandbox.pos_key,
            "paymentType": TENDER,
            "timeout": TIMEOUT_S,
            "payDuration": round(1000 * PAY_DURATION_S),
            "frequency": 100,
        }
        self.host = _Host(network.folder / name, {key: str(value) for key, value in (given | settings).items()})
        self.till = ServedTill(self.host, self.sandbox)
        self.till.plugins.register(PaymePlugin(), "payme")
        self.till.start()
        self._undo.callback(self.till.plugins.on_stop)
        self.codes: list[str] = []
        self.recorded: dict[str, int] = {}
        self.search = LeakSearch(self.host.folder)
        self._cashiers: list[ScriptedUi] = []

    def close(self) -> None:
        """Stop the till, and what is around it."""
        self._undo.close()

    def code(self, action: BuyerAction = BuyerAction.PAYS, after_s: float = 0.0) -> str:
        """Return a new code of the buyer's phone."""
        self.codes.append(self.till.code(action, after_s=after_s))
        return self.codes[-1]

    def pay(self, scanned: str, payment_id: str = "p1", number: int = 1) -> PaymentResult:
        """Take a payment, and record it as a host does."""
        sale = open_sale(number, amount=AMOUNT)
        result = self.till.pay(ui=self._cashier(scanned), payment_id=payment_id, amount=AMOUNT, receipt=sale)
        self.search.add_result(result)
        self.recorded[payment_id] = AMOUNT if result.status is PaymentStatus.PAID else 0
        if result.status is PaymentStatus.PAID:
            self.till.acknowledge(result)
        return result

    def sell(self, payment_id: str = "p1", number: int = 1) -> Receipt:
        """Sell something without a fault; the sale is still open.

        A machine that is busy with other things may let even that run out of time: then it is tried again.
        """
        for attempt in range(_MOST_ATTEMPTS):
            record = self.pay(self.code(), f"{payment_id}-{attempt}", number).payment
            if record is not None:
                return open_sale(number, amount=AMOUNT, payments=(record,))
        raise TimeoutError("this machine is too busy for a sale")

    def cancel(self, sale: Receipt) -> ReversalResult:
        """Annul an open sale, as a host does."""
        (record,) = sale.payments
        request = CancelRequest(payment=record, receipt=sale, reason="the buyer left")
        return self._reversed(record, self.till.plugins.on_cancel(request, self._cashier()))

    def refund(self, sale: Receipt) -> ReversalResult:
        """Refund a closed sale, as a host does."""
        (record,) = sale.payments
        request = RefundRequest(
            refund_id="f1",
            payment_type=TENDER,
            payment=record,
            sale=sale,
            refund=replace(sale, number=900, kind=ReceiptKind.REFUND, payments=(), closed_at=None, fiscal=None),
            amount=record.amount,
            manual_selection=False,
            currency_selection=False,
        )
        return self._reversed(record, self.till.plugins.on_full_refund(request, self._cashier()))

    def close_sale(self, sale: Receipt, link: str | None = None) -> Receipt:
        """Close a sale and call ``on_receipt_closed``."""
        fiscal = None if link is None else ReceiptFiscal(url=link)
        closed = replace(sale, closed_at=time.time_ns() // 1_000_000, fiscal=fiscal)
        self.till.plugins.on_receipt_closed(closed)
        return closed

    def is_settled(self) -> bool:
        """Return whether no cancellation waits, and Payme holds what the till has recorded."""
        return not self.till.live() and self.sandbox.held() == sum(self.recorded.values())

    def settles(self) -> bool:
        """Wait for what is still under way; return whether it comes to ``is_settled``."""
        self.proxy.settle()
        return comes_true(self.is_settled, _SETTLES_WITHIN_S)

    def leaks(self) -> list[tuple[str, str]]:
        """Return which secrets were seen where, in all that the till showed, stored and returned."""
        search = self.search
        search.add("the screen", *((one.prompts, one.shown) for one in self._cashiers))
        search.add("a notice", self.host.notice_log)
        search.add("a queue message", *self.host.offered)
        search.add("what a hook raised", *self.till.plugins.faults)
        search.add_files()
        return search.leaks(KEY, CARD, PHONE, *self.codes)

    def _cashier(self, *scans: object) -> ScriptedUi:
        self._cashiers.append(ScriptedUi(SystemClock(), list(scans)))
        return self._cashiers[-1]

    def _reversed(self, record: PaymentRecord, result: ReversalResult | None) -> ReversalResult:
        assert result is not None
        self.search.add_result(result)
        if result.status is not ReversalStatus.REFUSED:
            self.recorded[record.payment_id] = 0
        return result
