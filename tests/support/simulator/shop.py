"""The host of a simulation: what it stores of its sales, and that it does what the contract asks of a host.

What a sale says here is durable; a point stands before and after each of the host's own steps, so that its process may
die between our commit and its record, and the other way round. A host may also break a duty. ``Shop.at_fault`` then
names the payments whose money is the host's affair.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from fakes.hooked_world import HookedWorld, Sold
from fakes.till import TENDER, open_sale, request_for
from fakes.world import settings_of
from hookspecs import (
    BaseHost,
    CancelRequest,
    HookFailed,
    PaymentRecord,
    PaymentStatus,
    QueueMessage,
    QueueVerdict,
    ReversalResult,
    ReversalStatus,
)
from payme_plugin import PLUGIN_NAME
from payme_plugin.ledger.errors import AnotherTill, JournalError
from simulator.process import IDENTITY, Process
from simulator.stage import Life

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from hookspecs import PaymentResult, Receipt, RefundRequest, Ui
    from payme_plugin.settings import Settings
    from simulator.chain import Chain
    from simulator.invariants import GuaranteeChecks
    from simulator.journal import Disk
    from simulator.stage import Stage
    from simulator.wire import SimPaymeGo

_T = TypeVar("_T")
_MAY_FAIL = frozenset({"on_payment_recorded", "on_ready", "on_cancel", "on_full_refund", "on_receipt_closed"})
_GONE = frozenset({ReversalStatus.REVERSED, ReversalStatus.QUEUED})


class TenderState(Enum):
    """What the host knows of a tender."""

    ASKED = "asked"
    """It has no final result: the plugin was asked, and its process died, or it answered PENDING."""
    PAID = "paid"
    REMOVED = "removed"


class Readiness(Enum):
    """When a host calls ``on_ready``."""

    ON_TIME = "on time"
    LATE = "late"
    EARLY = "early"
    """Before it has repeated and acknowledged anything: it breaks the contract."""
    NEVER = "never"


@dataclass
class HostBehaviour:
    """How a host behaves; chances are from 0 to 1.

    Attributes:
        asks_again: after a restart it asks again for payments without a result; else it gives them up.
        asks_paid_again: after a restart it asks again for the paid tenders of open sales too.
        readiness: when it calls ``on_ready``.
        has_queue: it has a queue.
        forgets: the chance that it can't tell, or raises, where it is asked.
        says_yes: the chance that it vetoes for a payment that it does not have.
        says_no: the chance that it says that it does not have a payment that it has.
        acknowledges_later: the chance that it does not acknowledge a payment at once.
        repeats: the chance that it calls a hook once more that has returned.
        doubles: the chance that it calls a hook again from another thread while it runs.
        loses: the chance that it can't store a result: it returns a PAID, and asks again for any other.
        dies: the chance that its process dies between the record of a paid tender and its acknowledgement.
        stays_off: the chance that the till then stays off for eight days.
    """

    asks_again: bool = True
    asks_paid_again: bool = False
    readiness: Readiness = Readiness.ON_TIME
    has_queue: bool = False
    forgets: float = 0.0
    says_yes: float = 0.0
    says_no: float = 0.0
    acknowledges_later: float = 0.0
    repeats: float = 0.0
    doubles: float = 0.0
    loses: float = 0.0
    dies: float = 0.0
    stays_off: float = 0.02

    def calm(self) -> None:
        """Keep every duty from now on, but ``on_ready`` where it never comes."""
        self.forgets = self.says_yes = self.says_no = self.acknowledges_later = 0.0
        self.repeats = self.doubles = self.loses = self.dies = 0.0
        if self.readiness is not Readiness.NEVER:
            self.readiness = Readiness.ON_TIME


@dataclass(eq=False)
class Tender:
    """A press of the tender, as the host stores it.

    Attributes:
        payment_id: its payment.
        state: what became of it.
        record: what the plugin gave for a paid one.
        is_acknowledged: ``on_payment_recorded`` has returned.
    """

    payment_id: str
    state: TenderState = TenderState.ASKED
    record: PaymentRecord | None = None
    is_acknowledged: bool = False


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
        is_notified: ``on_receipt_closed`` has returned.
        annulling: an ``on_cancel`` began.
        annulled: it was annulled.
        refunds: every refund of it that began.
    """

    number: int
    amount: int
    tenders: list[Tender] = field(default_factory=list)
    closed_at: int | None = None
    is_notified: bool = False
    annulling: bool = False
    annulled: bool = False
    refunds: list[Refund] = field(default_factory=list)

    def tender(self, state: TenderState) -> Tender | None:
        """Return its tender in a state, or None."""
        return next((tender for tender in self.tenders if tender.state is state), None)

    @property
    def paid(self) -> Tender | None:
        """The tender that is in the sale, or None."""
        return self.tender(TenderState.PAID)

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor annulled."""
        return not self.annulled and self.closed_at is None

    @property
    def is_refunded(self) -> bool:
        """Whether a refund of it closed."""
        return any(refund.outcome in _GONE for refund in self.refunds)

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
        shop, behaviour = self._shop, self._shop.behaviour
        shop.stage.point()
        answer = shop.has_payment(payment_id)
        is_broken = False
        if shop.rng.random() < behaviour.forgets:
            is_broken = shop.rng.random() < 0.5
            answer = None
        elif answer is not True and shop.rng.random() < behaviour.says_yes:
            shop.at_fault[payment_id] = "the host vetoed for a payment that it does not have"
            answer = True
        elif answer is True and shop.rng.random() < behaviour.says_no:
            answer = False
        shop.checks.answered[payment_id].append((self._life, answer, shop.disk.refusals))
        if is_broken:
            raise OSError("the till's database is busy")
        return answer

    def enqueue(self, message: QueueMessage) -> bool:
        shop = self._shop
        if not shop.behaviour.has_queue or shop.rng.random() < shop.behaviour.forgets:
            return False
        shop.queue.append(message)
        shop.stage.point()
        return True

    def notice(self, key: str, text: str | None) -> None:
        self._shop.notices[self._life, key] = text


class Shop:
    """A till and its host.

    Args:
        stage: the time.
        paymego: the other side.
        disk: the data folder.
        rng: for the host's behaviour.
        settings: the till's settings; ``account`` chooses among them.

    Attributes:
        behaviour: how the host behaves.
        sales: every sale, oldest first.
        queue: the messages in its queue.
        notices: what was last shown, or None, by process and key.
        at_fault: the payments whose money is the host's affair, with the duty that it broke.
        account: which of the settings are in force.
        broken_until: until then the settings can't be read, virtual seconds.
        process: the till's process; None: it is off.
        chain: where its cancellations go, if its settings say so.
    """

    def __init__(
        self, stage: Stage, paymego: SimPaymeGo, disk: Disk, rng: Random, settings: tuple[Settings, ...]
    ) -> None:
        self.stage = stage
        self.paymego = paymego
        self.disk = disk
        self.rng = rng
        self.behaviour = HostBehaviour()
        self.sales: list[Sale] = []
        self.queue: list[QueueMessage] = []
        self.notices: dict[tuple[Life, str], str | None] = {}
        self.at_fault: dict[str, str] = {}
        self.account = 0
        self.broken_until = 0.0
        self.process: Process | None = None
        self.checks: GuaranteeChecks
        self.chain: Chain
        self._settings = settings
        self._count = 0
        self._ready_in: Life | None = None
        self._places: dict[str, tuple[Sale, Tender]] = {}

    def settings(self) -> Settings:
        """Return the settings in force."""
        return self._settings[self.account]

    def _read_settings(self) -> Settings:
        if self.stage.monotonic() < self.broken_until:
            # They can't be used, with or without a way to return money.
            return settings_of(**{"payDuration" if round(self.broken_until) % 2 else "url": "soon"})
        return self.settings()

    def has_payment(self, payment_id: str) -> bool | None:
        """Say whether the host has a payment, as the contract defines it."""
        sale, tender = self._places.get(payment_id, (None, None))
        if sale is None or tender is None or tender.state is TenderState.REMOVED or sale.annulled:
            return False
        return True if tender.state is TenderState.PAID else None

    # The life of its process.

    def new_process(self, name: str) -> Process:
        """Start a process that has the plugin, the till's or a command's."""
        life = Life(self.stage, name)
        host = _Host(self, life)
        read, broker = self._read_settings, self.chain.broker
        process = Process(self.stage, self.disk, self.paymego, broker, life, host, read, self.rng)
        self.checks.add_process(life, process)
        return process

    def start(self, *, with_worker: bool, fuse: int | None = None) -> None:
        """Start the till; it begins to die after ``fuse`` points."""
        if not self.behaviour.asks_again:
            for sale in self.sales:
                for tender in sale.tenders:
                    if tender.state is TenderState.ASKED:
                        tender.state = TenderState.REMOVED
        self.process = self.new_process(f"till-{len(self.stage.lives)}")
        self.process.life.fuse = fuse
        self.stage.enter(self.process.life)
        self.checks.note("the till starts")
        if with_worker:
            self.process.start_worker()

    def stop(self) -> None:
        """Stop the till."""
        process = self._till()
        self.checks.note("the till stops")
        self.call("on_stop", process.stop)
        self.checks.check_stop(process)
        self.process = None

    def discard(self) -> None:
        """Clear away the process that was killed."""
        process = self.process
        assert process is not None
        self.stage.enter(None)
        process.life.kill()
        process.discard()
        self.process = None
        self.checks.note("the till is dead")

    def restore(self, ui: Callable[[], Ui]) -> None:
        """Do what the contract asks of a host that has started: repeat and acknowledge, then be ready."""
        if self.behaviour.readiness is Readiness.EARLY:
            self.be_ready()
            # The worker is at its first steps when the acknowledgements come.
            self.stage.sleep(self.rng.choice((0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 5.0)))
        if self.behaviour.asks_paid_again:
            for sale in self.sales:
                if sale.is_open and not sale.annulling and sale.paid is not None:
                    self._ask(sale, sale.paid, ui(), None, repeated=True)
        self.do_duties(ui, at_once=self.behaviour.readiness is Readiness.ON_TIME)

    def do_duties(self, ui: Callable[[], Ui], *, at_once: bool = True) -> None:
        """Repeat what has no result yet and acknowledge what is stored, then be ready if that has not happened.

        Args:
            ui: the cashier.
            at_once: be ready now; else perhaps.
        """
        owes = False
        for sale in self.sales:
            if sale.annulling and not sale.annulled:
                owes |= self.annul(sale, ui()) is None and not sale.annulled
            elif sale.is_open and (asked := sale.tender(TenderState.ASKED)) is not None:
                self._ask(sale, asked, ui(), None, repeated=True)
            if sale.closed_at is not None and not sale.is_notified:
                owes |= not self.notify_closed(sale)
            for refund in sale.refunds:
                if refund.outcome is None:
                    owes |= self._refund(sale, refund, ui()) is None
        # One that fails stops no other.
        acknowledged = [self.acknowledge(sale.paid) for sale in self.sales if sale.is_open and sale.paid is not None]
        owes |= not all(acknowledged)
        is_due = self.behaviour.readiness is not Readiness.NEVER and self._ready_in is not self._till().life
        if is_due and not owes and (at_once or self.rng.random() < 0.2):
            self.be_ready()

    def acknowledge(self, tender: Tender, *, again: bool = False) -> bool:
        """Acknowledge a paid tender, or do so again; return whether it is acknowledged."""
        record = tender.record
        if record is None or (tender.is_acknowledged and not again):
            return True
        self.stage.point()
        try:
            self.call("on_payment_recorded", lambda: self._till().dispatcher.acknowledge(record))
        except HookFailed:
            return tender.is_acknowledged
        self.checks.check_acknowledged(record.payment_id)
        self.stage.point()
        tender.is_acknowledged = True
        return True

    def be_ready(self) -> None:
        """Call ``on_ready``; it is called again later if it fails."""
        process = self._till()
        self.stage.point()
        for tender in self._unacknowledged():
            # It may be acknowledged already, and the host does not know.
            self.at_fault[tender.payment_id] = "on_ready came before the acknowledgement"
        with contextlib.suppress(HookFailed), self.checks.being_ready(process.life):
            self.call("on_ready", process.dispatcher.ready)
            self._ready_in = process.life
            self.checks.check_ready(process)
        self.stage.point()

    def be_ready_beside(self, process: Process) -> None:
        """Let another till on the folder call ``on_ready``, which works only if this till has died meanwhile."""
        tenders = self._unacknowledged()
        with contextlib.suppress(JournalError), self.checks.being_ready(process.life):
            process.dispatcher.ready()
            for tender in tenders:
                self.at_fault[tender.payment_id] = "another till was ready before the acknowledgement"

    def _unacknowledged(self) -> list[Tender]:
        return [
            tender
            for sale in self.sales
            for tender in sale.tenders
            if tender.state is TenderState.PAID and not sale.annulled and not tender.is_acknowledged
        ]

    @property
    def is_ready(self) -> bool:
        """Whether ``on_ready`` has returned in this run."""
        return self.process is not None and self._ready_in is self.process.life

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
        self._places[tender.payment_id] = sale, tender
        return self._ask(sale, tender, ui, qr_code, repeated=False)

    def close(self, sale: Sale) -> None:
        """Close the receipt of a paid sale, and tell the plugin."""
        self.stage.point()
        sale.closed_at = self.stage.wall_ms()
        self.notify_closed(sale)

    def notify_closed(self, sale: Sale) -> bool:
        """Tell the plugin of a closed receipt; return whether that returned."""
        receipt = self._receipt(sale)
        self.stage.point()
        try:
            self.call("on_receipt_closed", lambda: self._till().dispatcher.receipt_closed(receipt))
        except HookFailed:
            return False
        for record in receipt.payments:
            self.checks.check_acknowledged(record.payment_id)
        self.stage.point()
        sale.is_notified = True
        return True

    def annul(self, sale: Sale, ui: Ui) -> ReversalStatus | None:
        """Annul an open sale; None: it holds no payment, or the hook failed and is called again."""
        self.stage.point()
        sale.annulling = True
        tender = sale.paid or sale.tender(TenderState.ASKED)
        if tender is None:
            sale.annulled = True
            return None
        try:
            result = self._cancel(sale, tender, ui)
        except HookFailed:
            return None
        self.stage.point()
        if result is not None and result.status is ReversalStatus.REFUSED:
            sale.annulling = False
        else:
            sale.annulled = True
        self.stage.point()
        return None if result is None else result.status

    def _cancel(self, sale: Sale, tender: Tender, ui: Ui) -> ReversalResult | None:
        """Cancel a tender; without a result the host has no record of it, only its id. None: it is not the plugin's."""
        record = tender.record or PaymentRecord(
            payment_id=tender.payment_id, payment_type=TENDER, amount=sale.amount, data={}
        )
        self.checks.requested.add(("cancel", record.payment_id, ""))
        request = CancelRequest(payment=record, receipt=self._receipt(sale), reason="the buyer left")
        result = self._twice("on_cancel", lambda: self._till().dispatcher.cancel(request, ui))
        if result is None and self.checks.rows.payment(record.payment_id) is not None:
            self.checks.fault(4, "on_cancel did not know a payment of ours")
        returned = "None" if result is None else result.status.name
        self.checks.cancel_ended(record.payment_id, returned)
        return result

    def refund(self, sale: Sale, ui: Ui, *, loses_record: bool = False) -> ReversalStatus | None:
        """Refund a closed sale as a whole; None: the hook failed and is called again."""
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
        with contextlib.suppress(HookFailed):
            result = self._reversal("on_full_refund", lambda: self._till().dispatcher.refund(request, ui))
            if result.status is not ReversalStatus.REFUSED:
                self.checks.fault(4, f"a part of sale {sale.number} was refunded: {result.status.name}")

    def deliver_message(self) -> None:
        """Deliver one message of its queue, any of them; nothing where there is none."""
        if not self.queue:
            return
        message = self.rng.choice(self.queue)
        result = self.call("on_queue_message", lambda: self._till().dispatcher.queue_message(message))
        self.checks.note(f"{message.message_id[-8:]}: on_queue_message returned {result}")
        if result not in {QueueVerdict.DONE, QueueVerdict.RETRY}:
            self.checks.fault(4, f"a cancellation in the host's queue came to {result}")
        self.stage.point()
        if result is QueueVerdict.DONE and message in self.queue:
            self.queue.remove(message)

    def call(self, hook: str, run: Callable[[], _T]) -> _T | None:
        """Call a hook; what it raises breaks a statement, but where the journal can't store and the hook may raise.

        Raises:
            HookFailed: the host calls it again.
        """
        refusals = self.disk.refusals
        try:
            return run()
        except Exception as error:
            why = f"{hook} raised {type(error).__name__}: {error}"
            is_excused = self.disk.refusals > refusals or isinstance(error, AnotherTill)
            if hook in _MAY_FAIL and isinstance(error, JournalError) and is_excused:
                self.checks.note(why)
                raise HookFailed(PLUGIN_NAME, hook, str(error), error) from error
            self.checks.fault(9, why)
            return None

    def _till(self) -> Process:
        assert self.process is not None
        return self.process

    def _ask(self, sale: Sale, tender: Tender, ui: Ui, qr_code: str | None, *, repeated: bool) -> PaymentStatus:
        request = request_for(
            tender.payment_id, amount=sale.amount, receipt=self._receipt(sale), qr_code=qr_code, repeated=repeated
        )
        process = self._till()
        self.stage.point()
        self.checks.payment_began(tender.payment_id, repeated=repeated)
        result: PaymentResult | None = None
        try:
            result = self._twice("on_payment", lambda: process.dispatcher.pay(request, ui))
        finally:
            self.checks.payment_ended(tender.payment_id, result)
        status = PaymentStatus.UNKNOWN if result is None else result.status
        record = None if result is None else result.payment
        if (status is PaymentStatus.PAID) != (record is not None):
            self.checks.fault(3, f"{tender.payment_id}: {status.name} with the record {record}")
        self.stage.point()
        if status is PaymentStatus.PENDING:
            if not repeated:
                self.checks.fault(3, f"{tender.payment_id} is new, and on_payment returned PENDING")
            return status
        if tender.state is TenderState.PAID and record is None:
            # The sale holds no money, says the plugin: the cashier annuls it.
            self.annul(sale, ui)
            return status
        if tender.record is None and self.rng.random() < self.behaviour.loses:
            self.checks.note(f"{tender.payment_id}: the host can't store it")
            if record is None:
                return PaymentStatus.PENDING
            return self._return(sale, replace(tender, record=record), tender, ui)
        tender.record = record
        tender.state = TenderState.PAID if record is not None else TenderState.REMOVED
        if record is not None and self.rng.random() < self.behaviour.dies:
            process.life.kill()
        self.stage.point()
        if record is not None and self.rng.random() >= self.behaviour.acknowledges_later:
            self.acknowledge(tender)
        return status

    def _return(self, sale: Sale, known: Tender, stored: Tender, ui: Ui) -> PaymentStatus:
        """Return a payment whose PAID can't be stored; if that fails the host asks again for it later."""
        with contextlib.suppress(HookFailed):
            result = self._cancel(sale, known, ui)
            self.stage.point()
            if result is not None and result.status in _GONE:
                stored.state = TenderState.REMOVED
                return PaymentStatus.REFUSED
        return PaymentStatus.PENDING

    def _refund(self, sale: Sale, refund: Refund, ui: Ui) -> ReversalStatus | None:
        paid = sale.paid
        assert paid is not None
        self.checks.requested.add(("refund", paid.payment_id, refund.refund_id))
        request = self._refund_request(sale, refund)
        self.stage.point()
        broken = self.call("validate_refund", lambda: self._till().dispatcher.violations(request)) or []
        try:
            result = self._reversal("on_full_refund", lambda: self._till().dispatcher.refund(request, ui))
        except HookFailed:
            return None
        self.checks.note(f"{paid.payment_id}: on_full_refund {refund.refund_id} returned {result.status.name}")
        # A payment that only the journal knows may become known between the two calls.
        rules = [each.rule for each in broken if not (refund.loses_record and each.rule == "foreign-payment")]
        if rules and result.status is not ReversalStatus.REFUSED:
            self.checks.fault(4, f"{paid.payment_id} was refunded against {rules}")
        if sale.is_refunded and result.status is not ReversalStatus.REFUSED:
            self.checks.fault(4, f"{paid.payment_id} was refunded twice")
        self.stage.point()
        refund.outcome = result.status
        self.stage.point()
        return result.status

    def _reversal(self, hook: str, run: Callable[[], ReversalResult | None]) -> ReversalResult:
        result = self._twice(hook, run)
        if result is None:
            self.checks.fault(4, f"{hook} did not know a payment of ours")
            return ReversalResult(status=ReversalStatus.REFUSED)
        return result

    def _twice(self, hook: str, run: Callable[[], _T]) -> _T | None:
        """Call a hook, and perhaps again from another thread while it runs: that call joins and gets the same result.

        Raises:
            HookFailed: as ``call``.
        """
        if self.rng.random() >= self.behaviour.doubles:
            return self.call(hook, run)
        stage, process, state = self.stage, self._till(), {"running": True}
        joined: list[object] = []

        def again() -> None:
            stage.sleep(self.rng.choice((0.0, 0.02, 0.5, 3.0)))
            if not state["running"] or not process.dispatcher.is_busy:
                return
            stage.current.has_joined = False
            with contextlib.suppress(HookFailed):
                result = self.call(hook, run)
                if stage.current.has_joined:
                    joined.append(result)
                elif state["running"]:
                    self.checks.fault(2, f"a repeated {hook} ran beside the call that it repeats")

        stage.spawn(process.life, again)
        try:
            result = self.call(hook, run)
        finally:
            state["running"] = False
        stage.sleep(0.0)  # who joined has the result now
        if any(other != result for other in joined):
            self.checks.fault(2, f"a repeated {hook} joined, but its result is another")
        return result

    def _receipt(self, sale: Sale) -> Receipt:
        paid = sale.paid
        payments = () if paid is None or paid.record is None else (paid.record,)
        return open_sale(sale.number, amount=sale.amount, payments=payments, closed_at=sale.closed_at)

    def _refund_request(self, sale: Sale, refund: Refund) -> RefundRequest:
        receipt = self._receipt(sale)
        (record,) = receipt.payments
        request = HookedWorld.refund_of(Sold(record, receipt), refund.refund_id)
        return replace(request, payment=None) if refund.loses_record else request
