"""What a host did so far, hook by hook, over all its processes on one folder, and which duties that breaks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hookspecs import (
    CancelRequest,
    PaymentRecord,
    PaymentRequest,
    PaymentResult,
    PaymentStatus,
    Receipt,
    ReceiptKind,
    RefundRequest,
    ReversalResult,
    ReversalStatus,
)
from hookspecs.structure import structure
from payme_plugin.testing.conformance import duties
from payme_plugin.testing.conformance.duties import Breach, Duty
from payme_plugin.testing.conformance.protocol import STANDS, SaleState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hookspecs import Slip
    from payme_plugin.testing.conformance.process import Call

_RETURNED = (ReversalStatus.REVERSED, ReversalStatus.QUEUED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A duty that the host broke.

    Attributes:
        breach: which, and how.
        play: what was being played.
        payment_id: the payment that it is about, or None.
        detail: what else the kit saw, or an empty string.
    """

    breach: Breach
    play: str
    payment_id: str | None
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Reversal:
    """A cancel or a refund of a payment.

    Attributes:
        refund_id: of a refund.
        status: the last result that the host got; None before, and after HookFailed.
        run: the last run of the host that called the hook.
    """

    refund_id: str | None = None
    status: ReversalStatus | None = None
    run: int = 0

    @property
    def is_returned(self) -> bool:
        """Whether the host was told that the money goes back."""
        return self.status in _RETURNED


@dataclass(slots=True, kw_only=True)
class Payment:
    """A payment as the kit saw it at the hooks.

    Attributes:
        payment_id: the host's id.
        amount: tiyin.
        run: the last run of the host that asked for it.
        status: the last result that the host got; None before, and after HookFailed.
        record: what the plugin gave the host to store.
        is_stored: the host has shown that it stored PAID.
        is_acknowledged: an acknowledgement has returned.
        has_tried: the host has called an acknowledgement.
        failed_in: the run in which an acknowledgement failed and has not returned since; also one that waits for
            a payment that the host asks for again although it is PAID.
        must_repeat: that call is owed before the next payment.
        is_reported: ``on_receipt_closed`` has returned.
        is_held_open: the kit has asked the host to keep the sale open.
        is_lost: the kit has taken the sale away from the host.
        is_disturbed: a hook for it failed, or the host was killed; a slip may then be printed again.
        is_broken: a failure about it was noted; what follows from that is not noted too.
        cancel: its cancel.
        refund: its refund.
        sale_slips: what is to be printed after the sale has closed.
        reversal_slips: what is to be printed at once.
    """

    payment_id: str
    amount: int
    run: int
    status: PaymentStatus | None = None
    record: PaymentRecord | None = None
    is_stored: bool = False
    is_acknowledged: bool = False
    has_tried: bool = False
    failed_in: int | None = None
    must_repeat: bool = False
    is_reported: bool = False
    is_held_open: bool = False
    is_lost: bool = False
    is_disturbed: bool = False
    is_broken: bool = False
    cancel: Reversal | None = None
    refund: Reversal | None = None
    sale_slips: tuple[Slip, ...] = ()
    reversal_slips: tuple[Slip, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing is owed for it at a start any more: its money goes back, or its sale is lost."""
        is_returned = any(each is not None and each.is_returned for each in (self.cancel, self.refund))
        return self.is_lost or is_returned

    @property
    def owes_result(self) -> bool:
        """Whether the host has to ask for it again."""
        return not self.is_over and (self.status in {None, PaymentStatus.PENDING} or self.is_unsure)

    @property
    def is_unsure(self) -> bool:
        """Whether the host got PAID and may not have stored it."""
        return self.status is PaymentStatus.PAID and not self.is_stored

    @property
    def owes_acknowledgement(self) -> bool:
        """Whether the host has PAID and its acknowledgement has not returned."""
        return self.status is PaymentStatus.PAID and not (self.is_acknowledged or self.is_over)

    @property
    def open_reversal(self) -> Reversal | None:
        """The cancel or refund that has begun and has no result."""
        return next((each for each in (self.cancel, self.refund) if each is not None and each.status is None), None)


@dataclass(slots=True)
class _Run:
    """One process of the host."""

    number: int = 0
    is_started: bool = False
    has_called: bool = False
    owed: dict[str, str] = field(default_factory=dict)
    ready_at_start: dict[str, str] = field(default_factory=dict)
    ready_entered: int = 0
    ready_returned: int = 0
    running: dict[str, int] = field(default_factory=dict)


class Watch:
    """Notes what a host does and which duty that breaks.

    Attributes:
        failures: what was broken.
        checks: how often each duty was checked.
        hidden: duties with a check that did not hold, and was not noted because of an earlier failure.
        payments: the payments that the host asked for, by id.
        reused: those whose id the host used for another payment.
        run: the host's present process.
        play: what is being played, for reports.
        last_message: what the last result of ``on_payment`` says to the cashier.
    """

    def __init__(self, play: str) -> None:
        self.failures: list[Failure] = []
        self.checks: Counter[Duty] = Counter()
        self.hidden: set[Duty] = set()
        self.payments: dict[str, Payment] = {}
        self.reused: list[Payment] = []
        self.run = _Run()
        self.play = play
        self.last_message = ""
        self._printed: Counter[tuple[str, ...]] = Counter()
        self._place: tuple[str, ...] = ()
        self._has_moved = False

    def check(self, holds: bool, breach: Breach, payment: Payment | None = None, detail: str = "") -> bool:
        """Count a check, note a failure if it does not hold, and return whether it does.

        What may follow from an earlier failure about the same payment, or from another name or data folder of the host,
        is neither counted nor noted, but hidden.
        """
        if not holds and (self._has_moved or (payment is not None and payment.is_broken)):
            self.hidden.add(breach.duty)
            return holds
        self.checks[breach.duty] += 1
        if not holds:
            payment_id = None if payment is None else payment.payment_id
            self.failures.append(Failure(breach=breach, play=self.play, payment_id=payment_id, detail=detail))
        if not holds and payment is not None:
            payment.is_broken = True
        return holds

    def begin_run(self) -> None:
        """Note that another process of the host begins; what was held open may be closed at its start."""
        for payment in self.payments.values():
            payment.is_disturbed = payment.is_disturbed or payment.owes_result
            payment.is_held_open = False
        self.run = _Run(self.run.number + 1)
        self.run.owed = self._owed()

    def begin_sale(self) -> None:
        """Note that a sale begins: acknowledgements that failed are owed before its payment."""
        for payment in self.payments.values():
            payment.must_repeat = payment.failed_in is not None

    def of(self, amount: int) -> Payment | None:
        """Return the last payment of an amount; each sale of a play has its own."""
        return next((each for each in (*reversed(self.payments.values()), *self.reused) if each.amount == amount), None)

    # ------------------------------------------------------------------------------------------------------------------
    # Hooks
    # ------------------------------------------------------------------------------------------------------------------

    def entered(self, call: Call) -> None:
        """Note that the host has called a hook."""
        run = self.run
        self._check_order(call)
        if call.hook == "on_start":
            run.is_started = True
            self._check_place(call.arguments)
        elif call.hook == "on_ready":
            self._ready_entered()
        elif call.hook == "on_payment":
            self._payment_entered(structure(PaymentRequest, call.arguments[0], "request"))
        elif call.hook == "on_cancel":
            payment = self._passed(structure(CancelRequest, call.arguments[0], "request").payment, call.hook)
            payment.cancel = Reversal(run=run.number)
        elif call.hook in {"validate_refund", "on_full_refund"}:
            self._refund_entered(call.hook, structure(RefundRequest, call.arguments[0], "request"))
        else:
            for payment in [self._passed(record, call.hook) for record in _acknowledged(call)]:
                payment.has_tried, payment.is_stored = True, True
                payment.must_repeat = False

    def _check_order(self, call: Call) -> None:
        """Check that hooks are called after ``on_start`` and one at a time, and PAID stored before the next one."""
        run = self.run
        run.has_called = True
        if call.hook != "on_start":
            self.check(run.is_started, duties.BEFORE_START, detail=call.hook)
        if call.hook == "on_stop":
            return
        others = [hook for hook, thread in run.running.items() if thread != call.thread]
        self.check(not others, duties.SIDE_BY_SIDE, detail=", ".join([call.hook, *others]))
        run.running[call.hook] = call.thread
        for paid in self.payments.values():
            paid.is_stored = paid.is_stored or paid.status is PaymentStatus.PAID

    def _check_place(self, place: tuple[str, ...]) -> None:
        """Check that the host has the name and the data folder of its earlier starts."""
        former, self._place = self._place, place
        changes = [f"{old} became {new}" for old, new in zip(former, place, strict=False) if old != new]
        if not self.check(not changes, duties.IDENTITY_CHANGED, detail=", ".join(changes)):
            self._has_moved = True

    def left(self, call: Call, *, failed: bool) -> None:
        """Note what the host got from a hook: its result, or HookFailed."""
        self.run.running.pop(call.hook, None)
        if call.hook == "on_ready":
            self.run.ready_returned += not failed
        elif call.hook == "on_payment":
            self._payment_left(structure(PaymentRequest, call.arguments[0], "request"), call.result, failed=failed)
        elif call.hook in {"on_cancel", "on_full_refund"}:
            self._reversal_left(call, failed=failed)
        for payment in map(self._payment, _acknowledged(call)):
            if failed:
                payment.failed_in, payment.is_disturbed = self.run.number, True
            else:
                payment.is_acknowledged, payment.failed_in = True, None
                payment.is_reported = payment.is_reported or call.hook == "on_receipt_closed"

    def _payment(self, record: PaymentRecord) -> Payment:
        known = Payment(payment_id=record.payment_id, amount=record.amount, run=0, is_lost=True)
        return self.payments.setdefault(record.payment_id, known)

    def _passed(self, record: PaymentRecord, hook: str) -> Payment:
        """Check that a hook gets the record that came with PAID, and return the payment."""
        payment = self._payment(record)
        if payment.status is PaymentStatus.PAID and payment.record is not None:
            returned = payment.record
            is_same = (record.payment_type, record.data) == (returned.payment_type, returned.data)
            # Another amount shows in the host's list of sales, and is a failure of its own.
            self.check(is_same, duties.RECORD_CHANGED, payment, f"{hook} got another one")
        return payment

    def _payment_entered(self, request: PaymentRequest) -> None:
        known = self.payments.get(request.payment_id)
        if known is None or known.is_lost:
            for other in self.payments.values():
                if other.failed_in is not None and other.owes_acknowledgement:
                    self.check(not other.must_repeat, duties.NOT_ACKNOWLEDGED_AGAIN, other, "before the next payment")
            self.check(known is None or request.repeated, duties.ID_REUSED, known)
            former = self.of(request.amount)  # each sale has an amount of its own
            is_new = known is not None or former is None or not former.owes_result
            self.check(is_new, duties.REPEATED_WITH_NEW_ID, former)
            self._begin(request, known)
            self.payments[request.payment_id].is_broken |= not is_new
            return
        if not request.repeated:
            if request.amount != known.amount or not known.owes_result:
                self.check(False, duties.ID_REUSED, known)
                self._begin(request, known)
                return
            self.check(False, duties.NOT_MARKED_REPEATED, known)
        known.run = self.run.number
        if known.status is not PaymentStatus.PAID:
            known.status = None

    def _begin(self, request: PaymentRequest, former: Payment | None) -> None:
        """Note a new payment; what follows from an id that was used before is not noted."""
        if former is not None:
            self.reused.append(former)
        self.payments[request.payment_id] = Payment(
            payment_id=request.payment_id,
            amount=request.amount,
            run=self.run.number,
            is_broken=former is not None,
        )

    def _payment_left(self, request: PaymentRequest, result: object, *, failed: bool) -> None:
        payment = self.payments[request.payment_id]
        if failed or result is None:
            payment.is_disturbed = True
            if payment.status is not PaymentStatus.PAID:
                payment.status = None if failed else PaymentStatus.REFUSED
            elif failed:
                payment.failed_in = self.run.number
            return
        told = structure(PaymentResult, result, "result")
        if payment.status is not PaymentStatus.PAID:
            payment.sale_slips = told.slips
        payment.status, self.last_message = told.status, told.message
        payment.record = told.payment or payment.record

    def _refund_entered(self, hook: str, request: RefundRequest) -> None:
        if request.payment is None:
            return
        payment = self._passed(request.payment, hook)
        begun = payment.refund
        if begun is not None and begun.status is None:
            self.check(begun.refund_id == request.refund_id, duties.REFUND_ID_CHANGED, payment)
        if hook == "on_full_refund":
            payment.refund = Reversal(refund_id=request.refund_id, run=self.run.number)

    def _reversal_left(self, call: Call, *, failed: bool) -> None:
        if call.hook == "on_cancel":
            record: PaymentRecord | None = structure(CancelRequest, call.arguments[0], "request").payment
        else:
            record = structure(RefundRequest, call.arguments[0], "request").payment
        if record is None:
            return
        payment = self._payment(record)
        reversal = payment.cancel if call.hook == "on_cancel" else payment.refund
        if reversal is None or failed or call.result is None:
            payment.is_disturbed = True
            return
        told = structure(ReversalResult, call.result, "result")
        reversal.status, payment.reversal_slips = told.status, told.slips

    # ------------------------------------------------------------------------------------------------------------------
    # A start
    # ------------------------------------------------------------------------------------------------------------------

    def _ready_entered(self) -> None:
        run = self.run
        run.ready_entered += 1
        self.check(not run.ready_returned, duties.READY_TWICE)
        run.ready_at_start = {} if run.ready_returned else self._owed()

    def _owed(self) -> dict[str, str]:
        """Return the payments for which a call is owed before ``on_ready``, each with the hook."""
        owed: dict[str, str] = {}
        for payment in self.payments.values():
            is_asked = payment.run == self.run.number and payment.status is not None
            reversal = payment.open_reversal
            if payment.is_lost:
                continue
            if reversal is not None:
                owed[payment.payment_id] = "on_full_refund" if reversal is payment.refund else "on_cancel"
            elif payment.owes_result and not is_asked:
                owed[payment.payment_id] = "on_payment"
            elif payment.owes_acknowledgement:
                owed[payment.payment_id] = "on_payment_recorded"
        return owed

    def end_start(self, listed: Mapping[str, SaleState]) -> None:
        """Check what the host owed at its start, which it says is over; ``listed`` are its sales.

        What was called after ``on_ready`` came too late, and what was not called was forgotten.
        """
        run, owed = self.run, self._owed()
        late = run.ready_at_start if run.ready_entered else {}
        for payment_id in late.keys() - owed.keys():
            self.check(False, duties.READY_EARLY, self.payments[payment_id], late[payment_id])
        for payment in self.payments.values():
            if payment.has_tried and payment.status is PaymentStatus.PAID:
                state = listed.get(payment.payment_id)
                is_known = payment.is_over or payment.open_reversal or state in STANDS
                lost = duties.NO_CANCEL if state is SaleState.ANNULLED else duties.PAID_NOT_STORED
                self.check(bool(is_known), lost, payment)
        is_waiting = False
        for payment_id, hook in owed.items():
            payment = self.payments[payment_id]
            # What the kit let fail in this run may be called again later, but before on_ready.
            reversal = payment.open_reversal
            tried_in = {"on_payment": payment.run, "on_payment_recorded": payment.failed_in}.get(
                hook, 0 if reversal is None else reversal.run
            )
            if tried_in == run.number:
                is_waiting = True
                self.check(payment_id not in late, duties.READY_EARLY, payment, hook)
            else:
                self.check(False, self._forgotten(payment, hook, listed), payment, hook)
        if not owed and not late:
            self.check(True, duties.READY_EARLY)
        for payment_id, hook in run.owed.items():
            if payment_id not in owed:
                payment = self.payments[payment_id]
                self.checks[self._forgotten(payment, hook, {payment_id: SaleState.PENDING}).duty] += 1
                self.checks[Duty.STORED_FIRST] += hook == "on_payment"
        if not is_waiting and not owed:
            self.check(run.ready_entered > 0, duties.READY_MISSING)

    def _forgotten(self, payment: Payment, hook: str, listed: Mapping[str, SaleState]) -> Breach:
        if hook in {"on_cancel", "on_full_refund"}:
            return duties.REVERSAL_NOT_REPEATED
        if hook == "on_payment" or (payment.is_unsure and payment.run != self.run.number):
            return duties.NOT_REPEATED if payment.payment_id in listed else duties.NOT_STORED
        return duties.NOT_ACKNOWLEDGED_AGAIN if payment.has_tried else duties.NOT_ACKNOWLEDGED

    # ------------------------------------------------------------------------------------------------------------------
    # Slips
    # ------------------------------------------------------------------------------------------------------------------

    def printed(self, lines: tuple[str, ...]) -> None:
        """Note that a copy of a slip was printed."""
        self._printed[lines] += 1
        for payment in self.payments.values():
            if any(slip.lines == lines for slip in payment.sale_slips):
                self.check(not payment.is_held_open, duties.PRINTED_EARLY, payment)

    def check_printed(self, payment: Payment, slips: tuple[Slip, ...], due: str) -> None:
        """Check that each of ``slips`` was printed as often as it asks for; more often only after a disturbance.

        ``due`` says when.
        """
        for slip in slips:
            count = self._printed[slip.lines]
            enough = count >= slip.copies if payment.is_disturbed else count == slip.copies
            self.check(enough, duties.NOT_PRINTED, payment, f"{count} instead of {slip.copies} copies, due {due}")


def _acknowledged(call: Call) -> tuple[PaymentRecord, ...]:
    """Return the records of the payments that a hook acknowledges."""
    if call.hook == "on_payment_recorded":
        return (structure(PaymentRecord, call.arguments[0], "record"),)
    if call.hook != "on_receipt_closed":
        return ()
    receipt = structure(Receipt, call.arguments[0], "receipt")
    return receipt.payments if receipt.kind is ReceiptKind.SALE else ()
