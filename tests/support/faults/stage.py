"""A till with the real plugin in front of a real sandbox, with a fault proxy between them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fakes.served_till import ServedTill
from fakes.till import TENDER, ScriptedUi, VirtualHost, open_sale
from fakes.waiting import comes_true
from faults.canaries import BUYER, CARD, KEY, PHONE, Witness
from faults.proxy import FaultProxy
from hookspecs import CancelRequest, PaymentStatus, Receipt, ReceiptFiscal, ReceiptKind, RefundRequest, ReversalStatus
from payme_plugin.cli.payme_list import list_receipts
from payme_plugin.clock import SystemClock
from payme_plugin.paymego import codes
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import BuyerAction, CancelPlan, Sandbox
from payme_plugin.settings import SettingsReader

if TYPE_CHECKING:
    import logging
    import ssl
    from collections.abc import Callable, Iterable, Mapping

    from faults.shop import Shop
    from hookspecs import PaymentRecord, PaymentResult, QueueMessage, ReversalResult
    from payme_plugin.paymego.receipts import ServerReceipt

TIMEOUT_S = 1
PAY_DURATION_S = 1.5
BOUND_S = max(PAY_DURATION_S, TIMEOUT_S) + TIMEOUT_S + 1
"""Guarantee 7: the verdict is durable so many seconds after the first ``receipts.pay``."""

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


class Stage:
    """A till, a proxy and a sandbox, from its making to ``close``; the key, the buyer's card and phone are canaries.

    Args:
        shop: what tills share.
        name: of its folder.
        plain: over plain http, else https.
        by_address: the proxy is named by its IP address.
        tls: what the proxy speaks https with, where it is not the shop's.
        settings: the till's, over those of the tests.

    Attributes:
        codes: those that the buyer's phone has shown.
        cashiers: who stood at the till, one for each hook.
        verdicts: what the hooks returned.
        recorded: tiyin that the till has, by payment id.
    """

    def __init__(
        self,
        shop: Shop,
        name: str,
        *,
        plain: bool = False,
        by_address: bool = False,
        tls: ssl.SSLContext | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self._undo = contextlib.ExitStack()
        self.shop = shop
        self._stalled_before_s = shop.stalls.total_s()
        self.sandbox = self._undo.enter_context(Sandbox(pos_key=KEY, buyer=BUYER, cancel=CancelPlan(settle_s=0)))
        self.proxy = FaultProxy(self.sandbox.port, None if plain else tls or shop.tls)
        self._undo.callback(self.proxy.close)
        self.host_name = shop.names.add(lambda: [self.proxy.port])
        address = f"127.0.0.1:{self.proxy.port}" if by_address else self.host_name
        given: dict[str, object] = {
            "url": f"{'http' if plain else 'https'}://{address}/api",
            "allowPlainHttp": 1 if plain else 0,
            "caFile": shop.ca_file,
            "posId": self.sandbox.pos_id,
            "posKey": self.sandbox.pos_key,
            "paymentType": TENDER,
            "timeout": TIMEOUT_S,
            "payDuration": round(1000 * PAY_DURATION_S),
            "frequency": 100,
        }
        given |= settings or {}
        self._timeout_s = float(str(given["timeout"]))
        values = {key: str(value) for key, value in given.items()}
        self.host = _Host(shop.folder / name, values)
        self.till = ServedTill(self.host, self.sandbox)
        self.till.plugins.register(PaymePlugin(), "payme")
        self.till.start()
        self._undo.callback(self.till.plugins.on_stop)
        self.codes: list[str] = []
        self.cashiers: list[ScriptedUi] = []
        self.verdicts: list[PaymentResult | ReversalResult] = []
        self.recorded: dict[str, int] = {}

    def bound_s(self) -> float:
        """Return how long a verdict may take: the contract's time, and what is excused of the machine's."""
        return max(PAY_DURATION_S, self._timeout_s) + self._timeout_s + 1 + self.excused_s()

    def excused_s(self) -> float:
        """Return what is excused of the time that the machine withheld since this stage was made."""
        return self.shop.stalls.excused_s(self._stalled_before_s)

    def close(self) -> None:
        """Stop the till, and what is around it."""
        self._undo.close()

    def code(self, action: BuyerAction = BuyerAction.PAYS, after_s: float = 0.0) -> str:
        """Return a new code of the buyer's phone."""
        self.codes.append(self.till.code(action, after_s=after_s))
        return self.codes[-1]

    def pay(
        self,
        scanned: str | Callable[[], str],
        payment_id: str = "p1",
        number: int = 1,
        *,
        hand: Callable[[float], object] | None = None,
    ) -> PaymentResult:
        """Take a payment, and record it as a host does; the hand on the till is by default nobody's."""
        sale, cashier = open_sale(number, amount=AMOUNT), self._cashier(scanned)
        cashier.hand = hand or cashier.hand
        result = self.till.pay(ui=cashier, payment_id=payment_id, amount=AMOUNT, receipt=sale)
        self.verdicts.append(result)
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
        """Close a sale, and tell the plugin."""
        fiscal = None if link is None else ReceiptFiscal(url=link)
        closed = replace(sale, closed_at=time.time_ns() // 1_000_000, fiscal=fiscal)
        self.till.plugins.on_receipt_closed(closed)
        return closed

    def listed(self) -> list[ServerReceipt]:
        """Return Payme's list of the kassa, as ``payme reconcile`` asks for it.

        Raises:
            ListUnavailable: it can't be had.
        """
        settings, now_ms = SettingsReader(lambda: self.host.given, codes).read(), SystemClock().wall_ms()
        return list_receipts(self.host.data_dir("payme"), settings, now_ms, now_ms)

    def is_settled(self) -> bool:
        """Say whether no cancellation waits, and Payme holds what the till has recorded."""
        return not self.till.live() and self.sandbox.held() == sum(self.recorded.values())

    def settles(self) -> bool:
        """Wait for what is still under way; say whether it comes to ``is_settled``."""
        self.proxy.settle()
        return comes_true(self.is_settled, _SETTLES_WITHIN_S)

    def leaks(self, records: Iterable[logging.LogRecord]) -> list[tuple[str, str]]:
        """Return which secrets were seen where: in log records, and in all that the till showed, stored and said."""
        witness = Witness(self.host.folder)
        for verdict in self.verdicts:
            witness.note_result("a verdict", verdict)
        witness.note("the screen", *((one.prompts, one.shown) for one in self.cashiers))
        witness.note("a notice", self.host.notice_log)
        witness.note("a queue message", *self.host.offered)
        witness.note("what a hook raised", *self.till.plugins.faults)
        witness.note_log(records)
        witness.note_files()
        return witness.leaks(KEY, CARD, PHONE, *self.codes)

    def _cashier(self, *scans: object) -> ScriptedUi:
        self.cashiers.append(ScriptedUi(SystemClock(), list(scans)))
        return self.cashiers[-1]

    def _reversed(self, record: PaymentRecord, result: ReversalResult | None) -> ReversalResult:
        assert result is not None
        self.verdicts.append(result)
        if result.status is not ReversalStatus.REFUSED:
            self.recorded[record.payment_id] = 0
        return result
