"""The host of a simulation: what it stores of its sales, and that it does what the contract asks of a host.

What a sale says here is durable; a point stands before and after each of the host's own steps, so that its process may
die between our commit and its record, and the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from hookspecs import (
    BaseHost,
    CancelRequest,
    Item,
    PaymentRecord,
    PaymentRequest,
    PaymentStatus,
    QueueMessage,
    QueueVerdict,
    Receipt,
    ReceiptKind,
    RefundRequest,
    ReversalResult,
    ReversalStatus,
)
from payme_plugin.settings import SettingsError
from sim_process import IDENTITY, Process
from sim_stage import Life
from virtual_till import TENDER, PowerCut
from virtual_world import settings_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from hookspecs import PaymentResult, Ui
    from payme_plugin.settings import Settings
    from sim_journal import Disk
    from sim_stage import Stage
    from sim_wire import SimPaymeGo
    from sim_witness import Witness

__all__ = ["Refund", "Sale", "Shop", "Tender", "TenderState"]

_SHIFT = 3
_T = TypeVar("_T")


class TenderState(Enum):
    """What the host knows of a tender."""

    ASKED = "asked"
    PAID = "paid"
    REMOVED = "removed"


@dataclass(eq=False)
class Tender:
    """A press of the tender, as the host stores it.

    Attributes:
        payment_id: its payment.
        state: what became of it.
        record: what the plugin gave for a paid one.
        asked_in: the process that last asked for it.
    """

    payment_id: str
    state: TenderState = TenderState.ASKED
    record: PaymentRecord | None = None
    asked_in: Life | None = None


@dataclass(eq=False)
class Refund:
    """A refund by sale receipt, as the host stores it.

    Attributes:
        refund_id: its id.
        loses_record: the host does not hand the payment's record back.
        outcome: what became of it; None: it began.
    """

    refund_id: str
    loses_record: bool = False
    outcome: ReversalStatus | None = None


@dataclass(eq=False)
class Sale:
    """A sale as the host stores it.

    Attributes:
        number: its receipt number.
        amount: tiyin.
        tenders: every press of the tender.
        closed_at: when its receipt closed, Unix milliseconds; None while it is open.
        told: ``on_receipt_closed`` has returned.
        annulling: an ``on_cancel`` began.
        annulled: it was annulled.
        refunds: every refund of it that began.
    """

    number: int
    amount: int
    tenders: list[Tender] = field(default_factory=list)
    closed_at: int | None = None
    told: bool = False
    annulling: bool = False
    annulled: bool = False
    refunds: list[Refund] = field(default_factory=list)

    @property
    def paid(self) -> Tender | None:
        """The tender that is in the sale, or None."""
        return next((tender for tender in self.tenders if tender.state is TenderState.PAID), None)

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor annulled."""
        return not self.annulled and self.closed_at is None

    @property
    def is_refunded(self) -> bool:
        """Whether a refund of it closed."""
        return any(refund.outcome in {ReversalStatus.REVERSED, ReversalStatus.QUEUED} for refund in self.refunds)

    @property
    def expected(self) -> dict[str, int]:
        """What Payme must hold for it in the end, by receipt id."""
        paid = self.paid
        if paid is None or paid.record is None or self.annulled or self.is_refunded:
            return {}
        return {paid.record.data["receipt_id"]: self.amount}


class _Host(BaseHost):
    """The till as one process sees it."""

    identity = IDENTITY

    def __init__(self, shop: Shop, life: Life) -> None:
        self._shop = shop
        self._life = life

    def data_dir(self, plugin: str) -> Path:
        return self._shop.disk.folder

    def is_recorded(self, payment_id: str) -> bool | None:
        shop = self._shop
        shop.stage.point()
        if shop.dice.random() < shop.forgets:
            if shop.dice.random() < 0.5:
                raise OSError("the till's database is busy")
            answer = None
        else:
            answer = shop.has_payment(payment_id, self._life)
        shop.witness.answered[self._life, payment_id] = answer
        return answer

    def enqueue(self, message: QueueMessage) -> bool:
        shop = self._shop
        if not shop.has_queue or shop.dice.random() < shop.forgets:
            return False
        shop.queue.append(message)
        shop.stage.point()
        return True


class Shop:
    """A till and its host.

    Args:
        stage: the time.
        paymego: the other side.
        disk: the data folder.
        dice: for the host's moods.
        settings: the till's settings; ``kassa`` chooses among them.

    Attributes:
        asks_again: after a restart it asks ``on_payment`` again for open sales; else it gives up those without a
            verdict, and keeps the paid ones.
        forgets: the chance that it can't tell, or raises, where it is asked.
        has_queue: whether it has a queue.
        sales: every sale, oldest first.
        queue: the messages in its queue.
        kassa: which of the settings are in force.
        broken_until: until then the settings can't be read, virtual seconds.
        process: the till's process; None: it is off.
        paid_out: how often a payment was given back, as far as the host is concerned.
    """

    def __init__(
        self, stage: Stage, paymego: SimPaymeGo, disk: Disk, dice: Random, settings: tuple[Settings, ...]
    ) -> None:
        self.stage = stage
        self.paymego = paymego
        self.disk = disk
        self.dice = dice
        self.asks_again = True
        self.forgets = 0.0
        self.has_queue = False
        self.sales: list[Sale] = []
        self.queue: list[QueueMessage] = []
        self.kassa = 0
        self.broken_until = 0.0
        self.process: Process | None = None
        self.witness: Witness
        self._settings = settings
        self._broken = _broken_settings()
        self._count = 0

    def settings(self) -> Settings:
        """Return the settings in force."""
        return self._settings[self.kassa]

    def _read_settings(self) -> Settings:
        if self.stage.monotonic() < self.broken_until:
            raise self._broken
        return self.settings()

    # What the host says of a payment.

    def find(self, payment_id: str) -> tuple[Sale, Tender] | None:
        """Return the sale and the tender of a payment."""
        for sale in self.sales:
            for tender in sale.tenders:
                if tender.payment_id == payment_id:
                    return sale, tender
        return None

    def has_payment(self, payment_id: str, life: Life | None = None) -> bool | None:
        """Say whether the host has a payment, as the contract defines it."""
        found = self.find(payment_id)
        if found is None:
            return False
        sale, tender = found
        if tender.state is TenderState.REMOVED or sale.annulled:
            return False
        if tender.state is TenderState.ASKED:
            return None
        if life is not None and self.asks_again and sale.is_open and tender.asked_in is not life:
            return self.dice.choice((True, None))
        return True

    # The life of its process.

    def new_process(self, name: str) -> Process:
        """Start a process that has the plugin, the till's or a command's."""
        life = Life(self.stage, name)
        process = Process(self.stage, self.disk, self.paymego, life, _Host(self, life), self._read_settings, self.dice)
        self.witness.processes[life] = process
        return process

    def start(self, *, with_worker: bool, fuse: int | None = None) -> None:
        """Start the till; it begins to die after ``fuse`` points."""
        for sale in () if self.asks_again else self.sales:
            for tender in sale.tenders:
                if tender.state is TenderState.ASKED:
                    tender.state = TenderState.REMOVED
        self.process = self.new_process(f"till-{len(self.stage.lives)}")
        self.process.life.fuse = fuse
        self.stage.enter(self.process.life)
        self.witness.tell("the till starts")
        if with_worker:
            self.process.start_worker()

    def stop(self) -> None:
        """Stop the till."""
        process = self._till()
        self.witness.tell("the till stops")
        self.call("on_stop", process.stop)
        self.process = None

    def bury(self) -> None:
        """Clear away the process that was killed."""
        process = self.process
        assert process is not None
        self.stage.enter(None)
        process.life.kill()
        process.bury()
        self.process = None
        self.witness.tell("the till is dead")

    def restore(self, ui: Callable[[], Ui]) -> None:
        """Do what the contract asks after a restart, sale by sale."""
        for sale in self.sales:
            if self.asks_again and sale.is_open:
                for tender in sale.tenders:
                    if tender.state is not TenderState.REMOVED:
                        self._ask(sale, tender, ui(), None)
            if sale.annulling and not sale.annulled:
                self.annul(sale, ui())
            if sale.closed_at is not None and not sale.told:
                self.tell(sale)
            for refund in sale.refunds:
                if refund.outcome is None:
                    self._refund(sale, refund, ui())

    # Its hooks.

    def open_sale(self, amount: int) -> Sale:
        """Open a sale."""
        self.stage.point()
        sale = Sale(len(self.sales) + 1, amount)
        self.sales.append(sale)
        return sale

    def pay(self, sale: Sale, ui: Ui, qr_code: str | None = None) -> PaymentStatus:
        """Pick the tender on an open sale."""
        self._count += 1
        tender = Tender(f"p{self._count}")
        self.stage.point()
        sale.tenders.append(tender)
        return self._ask(sale, tender, ui, qr_code)

    def close(self, sale: Sale) -> None:
        """Close the receipt of a paid sale, and tell the plugin."""
        self.stage.point()
        sale.closed_at = self.stage.wall_ms()
        self.tell(sale)

    def tell(self, sale: Sale) -> None:
        """Tell the plugin of a closed receipt, until that returned."""
        receipt = self._receipt(sale)
        self.stage.point()
        self.call("on_receipt_closed", lambda: self._till().dispatcher.receipt_closed(receipt))
        self.stage.point()
        sale.told = True

    def annul(self, sale: Sale, ui: Ui) -> ReversalStatus | None:
        """Annul an open sale that may hold a payment; None: it holds none, and nobody is asked."""
        self.stage.point()
        sale.annulling = True
        paid = sale.paid
        if paid is None or paid.record is None:
            sale.annulled = True
            return None
        self.witness.requested.add(("cancel", paid.payment_id, ""))
        request = CancelRequest(payment=paid.record, receipt=self._receipt(sale), reason="the buyer left")
        result = self._reversal("on_cancel", lambda: self._till().dispatcher.cancel(request, ui))
        self.witness.tell(f"{paid.payment_id}: on_cancel returned {result.status.name}")
        self.stage.point()
        if result.status is ReversalStatus.REFUSED:
            sale.annulling = False
        else:
            sale.annulled = True
        self.stage.point()
        return result.status

    def refund(self, sale: Sale, ui: Ui, *, loses_record: bool = False) -> ReversalStatus:
        """Refund a closed sale as a whole."""
        self._count += 1
        refund = Refund(f"r{self._count}", loses_record)
        self.stage.point()
        sale.refunds.append(refund)
        return self._refund(sale, refund, ui)

    def refund_partly(self, sale: Sale, ui: Ui) -> None:
        """Try to refund a part of a sale, which must be refused without a request."""
        self._count += 1
        request = self._refund_request(sale, Refund(f"r{self._count}"))
        half = tuple(
            replace(item, quantity=item.quantity / 2, amount=item.amount // 2) for item in request.refund.items
        )
        request = replace(
            request, refund=replace(request.refund, items=half, total=half[0].amount), amount=half[0].amount
        )
        result = self._reversal("on_full_refund", lambda: self._till().dispatcher.refund(request, ui))
        if result.status is not ReversalStatus.REFUSED:
            self.witness.fault(4, f"a part of sale {sale.number} was refunded: {result.status.name}")

    def deliver_message(self) -> None:
        """Deliver one message of its queue, any of them; nothing where there is none."""
        if not self.queue:
            return
        message = self.dice.choice(self.queue)
        verdict = self.call("on_queue_message", lambda: self._till().dispatcher.queue_message(message))
        self.witness.tell(f"{message.message_id[-8:]}: on_queue_message returned {verdict}")
        if verdict not in {QueueVerdict.DONE, QueueVerdict.RETRY}:
            self.witness.fault(4, f"a cancellation in the host's queue came to {verdict}")
        self.stage.point()
        if verdict is QueueVerdict.DONE and message in self.queue:
            self.queue.remove(message)

    def call(self, hook: str, run: Callable[[], _T]) -> _T | None:
        """Call a hook; whatever it raises breaks a statement."""
        try:
            return run()
        except PowerCut:
            raise
        except Exception as error:  # noqa: BLE001 - that is what is watched
            self.witness.fault(9, f"{hook} raised {type(error).__name__}: {error}")
            return None

    def _till(self) -> Process:
        assert self.process is not None
        return self.process

    def _ask(self, sale: Sale, tender: Tender, ui: Ui, qr_code: str | None) -> PaymentStatus:
        request = PaymentRequest(
            payment_id=tender.payment_id,
            payment_type=TENDER,
            amount=sale.amount,
            receipt=self._receipt(sale),
            qr_code=qr_code,
        )
        process = self._till()
        self.stage.point()
        self.witness.payment_began(tender.payment_id)
        result: PaymentResult | None = None
        try:
            result = self.call("on_payment", lambda: process.dispatcher.pay(request, ui))
        finally:
            self.witness.payment_ended(tender.payment_id, result)
        status = PaymentStatus.UNKNOWN if result is None else result.status
        record = None if result is None else result.payment
        if (status is PaymentStatus.PAID) != (record is not None):
            self.witness.fault(3, f"{tender.payment_id}: {status.name} with the record {record}")
        self.stage.point()
        tender.asked_in = process.life
        tender.record = record
        tender.state = TenderState.PAID if record is not None else TenderState.REMOVED
        self.stage.point()
        return status

    def _refund(self, sale: Sale, refund: Refund, ui: Ui) -> ReversalStatus:
        paid = sale.paid
        assert paid is not None
        self.witness.requested.add(("refund", paid.payment_id, refund.refund_id))
        request = self._refund_request(sale, refund)
        self.stage.point()
        broken = self.call("validate_refund", lambda: self._till().dispatcher.violations(request)) or []
        result = self._reversal("on_full_refund", lambda: self._till().dispatcher.refund(request, ui))
        self.witness.tell(f"{paid.payment_id}: on_full_refund {refund.refund_id} returned {result.status.name}")
        # A payment that only the journal knows may become known between the two calls.
        rules = [each.rule for each in broken if not (refund.loses_record and each.rule == "foreign-payment")]
        if rules and result.status is not ReversalStatus.REFUSED:
            self.witness.fault(4, f"{paid.payment_id} was refunded against {rules}")
        if sale.is_refunded and result.status is not ReversalStatus.REFUSED:
            self.witness.fault(4, f"{paid.payment_id} was refunded twice")
        self.stage.point()
        refund.outcome = result.status
        self.stage.point()
        return result.status

    def _reversal(self, hook: str, run: Callable[[], ReversalResult | None]) -> ReversalResult:
        result = self.call(hook, run)
        if result is None:
            self.witness.fault(4, f"{hook} did not know a payment of ours")
            return ReversalResult(status=ReversalStatus.REFUSED)
        return result

    def _receipt(self, sale: Sale) -> Receipt:
        paid = sale.paid
        return Receipt(
            till=IDENTITY,
            shift=_SHIFT,
            number=sale.number,
            kind=ReceiptKind.SALE,
            items=(_item(sale.amount),),
            total=sale.amount,
            payments=() if paid is None or paid.record is None else (paid.record,),
            closed_at=sale.closed_at,
        )

    def _refund_request(self, sale: Sale, refund: Refund) -> RefundRequest:
        receipt = self._receipt(sale)
        return RefundRequest(
            refund_id=refund.refund_id,
            payment_type=TENDER,
            payment=None if refund.loses_record or not receipt.payments else receipt.payments[0],
            sale=receipt,
            refund=replace(receipt, kind=ReceiptKind.REFUND, payments=(), closed_at=None, number=receipt.number + 5000),
            amount=sale.amount,
            manual_selection=False,
            currency_selection=False,
        )


def _broken_settings() -> SettingsError:
    try:
        settings_of(payDuration="soon")
    except SettingsError as error:
        return error
    raise AssertionError("they should be broken")


def _item(amount: int) -> Item:
    return Item(name="Хлеб", quantity=Decimal(1), price=amount, amount=amount)
