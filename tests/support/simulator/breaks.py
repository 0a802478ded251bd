"""The ten statements, each broken on purpose: patches that the simulator must catch."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING

from payme_plugin import background, dispatcher
from payme_plugin.background import Background
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.dispatcher import HookDispatcher
from payme_plugin.ledger import journal as journal_room
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.journal import Journal, SentCodes, add_events
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import End, Hold, PaymentState
from payme_plugin.operations import payment, receipt_queries, recovery, results
from payme_plugin.operations.cancellation import CancellationStep, MerchantClient, StepOutcome
from payme_plugin.operations.event_log import EventLog
from payme_plugin.operations.pay_outcome import AskAgain, classify_pay_failure
from payme_plugin.operations.payment import _Payment, take_payment
from payme_plugin.operations.receipt_queries import ReceiptQueries
from payme_plugin.operations.reversal import _Reversal
from payme_plugin.operations.wait import CashierWait
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed, ServerError
from payme_plugin.secret import Secret
from simulator.shop import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from pytest import MonkeyPatch  # noqa: PT013 - for the type alone

    from payme_plugin.ledger.rows import CancellationRow, Event, PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.paymego.protocols import Params
    from payme_plugin.texts import Texts


@dataclass(frozen=True)
class Break:
    """One way to break a statement.

    Attributes:
        statement: its number.
        what: what is done wrong, in a few words.
        patch: does it wrong, until the test is over.
        behaviour: how the host behaves in every history; the rest is random.
    """

    statement: int
    what: str
    patch: Callable[[MonkeyPatch], None]
    behaviour: Mapping[str, object] = field(default_factory=dict)


def _create_before_intent(monkeypatch: MonkeyPatch) -> None:
    add_intent = _Payment.add_intent

    @wraps(add_intent)
    def broken(self: _Payment) -> object:
        sale = self._request.receipt
        account = {"order_id": f"{sale.till}-{sale.shift}-{sale.number}-99"}
        limit = self._context.clock.monotonic() + 1
        pending = self._context.client.begin("receipts.create", receipts.create(self._request.amount, account), limit)
        pending.wait(limit)
        return add_intent(self)

    monkeypatch.setattr(_Payment, "add_intent", broken)


def _move(monkeypatch: MonkeyPatch, change: Callable[[PaymentRow, PaymentState, dict[str, object]], None]) -> None:
    """Let ``change`` rewrite the arguments of every transition."""
    move = Journal.move

    @wraps(move)
    def broken(self: Journal, row: PaymentRow, after: PaymentState, reason: str, **given: object) -> object:
        change(row, after, given)
        return move(self, row, after, reason, **given)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(Journal, "move", broken)


def _pay_before_fingerprint(monkeypatch: MonkeyPatch) -> None:
    def change(_row: PaymentRow, _after: PaymentState, given: dict[str, object]) -> None:
        given.pop("fingerprint", None)

    _move(monkeypatch, change)


def _pay_before_receipt_id(monkeypatch: MonkeyPatch) -> None:
    """Send the code while the journal still says intent: the transition to paying is not stored."""
    begin = Journal.move

    @wraps(begin)
    def broken(self: Journal, row: PaymentRow, after: PaymentState, reason: str, **given: object) -> object:
        if after is PaymentState.PAYING:
            return replace(row, state=after, receipt_id=str(given["receipt_id"] or row.receipt_id))
        return begin(self, row, after, reason, **given)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(Journal, "move", broken)


def _cancel_before_its_row(monkeypatch: MonkeyPatch) -> None:
    run = _Reversal.run

    @wraps(run)
    def broken(self: _Reversal) -> object:
        self._wait.start()
        self._queries.cancel(self._wait.request_limit())
        return run(self)

    monkeypatch.setattr(_Reversal, "run", broken)


def _codes_forgotten(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(SentCodes, "is_sent", lambda *_: False)


def _second_pay_blindly(monkeypatch: MonkeyPatch) -> None:
    def broken(
        context: Context, about: ReceiptQueries, wait: CashierWait, failure: CallFailed, *, may_ask: bool
    ) -> object:
        if isinstance(failure, ServerError) and may_ask:
            return AskAgain(failure.code)
        return classify_pay_failure(context, about, wait, failure, may_ask=may_ask)

    monkeypatch.setattr(payment, "classify_pay_failure", broken)


def _unbound_counts(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(receipt_queries, "_DECISIVE", frozenset())


def _result_without_row(monkeypatch: MonkeyPatch) -> None:
    def change(row: PaymentRow, after: PaymentState, given: dict[str, object]) -> None:
        if row.state is PaymentState.PAYING and after.is_not_paid:
            given["cancellation"] = None

    _move(monkeypatch, change)


def _veto_ignored(monkeypatch: MonkeyPatch) -> None:
    is_recorded = CancellationProcessor.is_recorded

    def broken(self: CancellationProcessor, row: CancellationRow) -> None:
        is_recorded(self, row)

    monkeypatch.setattr(CancellationProcessor, "is_recorded", broken)


def _no_moves_money(monkeypatch: MonkeyPatch) -> None:
    """Return the money of a recorded payment if the host says that it does not have it."""
    decide = Background.decide_orphans

    def broken(self: Background) -> None:
        decide(self)
        journal = self._storage.journal()
        for row in journal.in_open_sales():
            if self._host.is_recorded(row.payment_id) is False:
                recovery.abandon(journal, row, "the till says no", self.texts())

    monkeypatch.setattr(Background, "decide_orphans", broken)


def _nobody_waits_for_ready(monkeypatch: MonkeyPatch) -> None:
    housekeeping = Background.do_housekeeping

    def broken(self: Background) -> None:
        housekeeping(self)
        if self._try_lead():
            recovery.cancel_orphans(self._storage.journal(), self._storage.owner, self.pending, self.texts())

    monkeypatch.setattr(Background, "do_housekeeping", broken)


def _acknowledgement_ignored(monkeypatch: MonkeyPatch) -> None:
    def broken(self: Journal, row: PaymentRow, *, closed_at: int | None = None) -> PaymentRow:
        return self.payment(row.payment_id)

    monkeypatch.setattr(Journal, "acknowledge", broken)


def _acknowledged_orphans(monkeypatch: MonkeyPatch) -> None:
    orphans = JournalReader.orphans

    def broken(self: JournalReader, owner: str) -> list[PaymentRow]:
        return [*orphans(self, owner), *(row for row in self.in_open_sales() if row.owner != owner)]

    monkeypatch.setattr(JournalReader, "orphans", broken)


def _begun_blindly(monkeypatch: MonkeyPatch) -> None:
    def broken(self: Cancellations, row: CancellationRow, *, events: Sequence[Event] = ()) -> None:
        with self._journal.writing() as connection:
            query = "UPDATE cancellation SET attempts = attempts + 1, begun_at = coalesce(begun_at, ?)"
            connection.execute(f"{query} WHERE cancellation_id = ?", (self._journal.now_ms(), row.cancellation_id))
            add_events(connection, row.payment_id, events)

    monkeypatch.setattr(Cancellations, "begin", broken)


def _pending_orphaned(monkeypatch: MonkeyPatch) -> None:
    cancel = recovery.cancel_orphans

    def broken(journal: Journal, owner: str, _pending: Collection[str], texts: Texts) -> int:
        return cancel(journal, owner, (), texts)

    monkeypatch.setattr(background, "cancel_orphans", broken)


def _repeated_charges(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "find_lost_payment", take_payment)


def _joined_runs_twice(monkeypatch: MonkeyPatch) -> None:
    exclusively = HookDispatcher._exclusively

    @wraps(exclusively)
    def broken(self: HookDispatcher, key: tuple[str, str, str], work: Callable[[], object], busy: object) -> object:
        if self._running is not None and self._running.key == key:
            return work()
        return exclusively(self, key, work, busy)  # type: ignore[type-var,arg-type] # as they came

    monkeypatch.setattr(HookDispatcher, "_exclusively", broken)


def _paid_before_commit(monkeypatch: MonkeyPatch) -> None:
    commit = results.commit

    @wraps(commit)
    def broken(context: Context, row: PaymentRow, outcome: object, *given: object) -> object:
        if isinstance(outcome, results.Paid):
            return replace(row, state=PaymentState.PAID)
        return commit(context, row, outcome, *given)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(results, "commit", broken)


def _unstored_forgotten(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(Background, "keep_result", lambda *_: None)


def _one_confirmation(monkeypatch: MonkeyPatch) -> None:
    def broken(self: Cancellations, row: CancellationRow, result: str, *, events: Sequence[Event] = ()) -> None:
        self.end(row, End.CANCELLED, result)

    monkeypatch.setattr(Cancellations, "confirm", broken)


def _old_cancelled(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(CancellationStep, "_may_be_old", lambda *_: False)


def _another_commit(monkeypatch: MonkeyPatch) -> None:
    add_intent = Journal.add_intent

    @wraps(add_intent)
    def broken(self: Journal, *given: object) -> object:
        with self.writing() as connection:
            connection.execute("UPDATE about SET value = '1' WHERE name = 'ready'")
        return add_intent(self, *given)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(Journal, "add_intent", broken)


def _row_without_cause(monkeypatch: MonkeyPatch) -> None:
    def change(_row: PaymentRow, _after: PaymentState, given: dict[str, object]) -> None:
        if isinstance(given.get("cancellation"), NewCancellation):
            given["cancellation"] = replace(given["cancellation"], request_id="another")  # type: ignore[type-var]

    _move(monkeypatch, change)


def _ended_at_21(monkeypatch: MonkeyPatch) -> None:
    cancel = CancellationStep._cancel_unless_cancelled

    @wraps(cancel)
    def broken(
        self: CancellationStep,
        row: CancellationRow,
        merchant: MerchantClient | None,
        is_recorded: bool | None,
        events: EventLog,
    ) -> tuple[StepOutcome, str, Hold | None]:
        outcome, came, held = cancel(self, row, merchant, is_recorded, events)
        if outcome is StepOutcome.ACCEPTED:
            self._rows.end(row, End.CANCELLED, came)
        return outcome, came, held

    monkeypatch.setattr(CancellationStep, "_cancel_unless_cancelled", broken)


def _leases_ignored(monkeypatch: MonkeyPatch) -> None:
    hold = Leases.try_acquire

    @contextmanager
    def broken(self: Leases, number: int, *, shared: bool = False) -> Iterator[bool]:
        with hold(self, number, shared=shared) as is_ours:
            yield is_ours or number != LEADER

    monkeypatch.setattr(Leases, "try_acquire", broken)


def _ended_processes_spared(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(background, "cancel_orphans", lambda *_: 0)


def _nobody_leads(monkeypatch: MonkeyPatch) -> None:
    hold = Leases.try_acquire

    @contextmanager
    def broken(self: Leases, number: int, *, shared: bool = False) -> Iterator[bool]:
        with hold(self, number, shared=shared) as is_ours:
            yield is_ours or number == LEADER

    monkeypatch.setattr(Leases, "try_acquire", broken)


def _limits_of_hours(monkeypatch: MonkeyPatch) -> None:
    def broken(self: CashierWait) -> float:
        return self.now + 3_600

    monkeypatch.setattr(CashierWait, "request_limit", broken)
    monkeypatch.setattr(CashierWait, "question_limit", broken)


def _code_in_the_events(monkeypatch: MonkeyPatch) -> None:
    call = ReceiptQueries.call

    @wraps(call)
    def broken(self: ReceiptQueries, method: str, params: Params, limit: float) -> object:
        token = params.get("token")
        self._events.add_answer(f"{method}: {token.reveal() if isinstance(token, Secret) else '-'}")
        return call(self, method, params, limit)

    monkeypatch.setattr(ReceiptQueries, "call", broken)


def _key_in_the_events(monkeypatch: MonkeyPatch) -> None:
    add_event = EventLog.add_answer
    finish = _Payment._poll

    @wraps(finish)
    def broken(self: _Payment, row: PaymentRow, **given: object) -> object:
        add_event(self._events, f"polling with {self._context.settings.pos_key.reveal()}")
        return finish(self, row, **given)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(_Payment, "_poll", broken)


def _hook_raises(monkeypatch: MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such table")

    monkeypatch.setattr(dispatcher, "acknowledge", broken)


def _flow_raises(monkeypatch: MonkeyPatch) -> None:
    resume = _Payment.resume

    @wraps(resume)
    def broken(self: _Payment, row: PaymentRow) -> object:
        if row.state is PaymentState.PAYING:
            raise KeyError("receipt")
        return resume(self, row)

    monkeypatch.setattr(_Payment, "resume", broken)


def _unpaid_becomes_paid(monkeypatch: MonkeyPatch) -> None:
    """Call a payment paid that has a receipt and ended unpaid, when the host asks for it again."""
    resume = _Payment.resume

    @wraps(resume)
    def broken(self: _Payment, row: PaymentRow) -> object:
        if row.state.is_not_paid and row.receipt_id is not None:
            return self._result_of(row, results.Paid(None))
        return resume(self, row)

    monkeypatch.setattr(_Payment, "resume", broken)
    monkeypatch.setattr(journal_room, "is_allowed", lambda *_: True)


_ASKS_AGAIN = {"asks_again": True, "loses": 0.3, "readiness": Readiness.ON_TIME}
_TOO_EARLY = {
    "readiness": Readiness.EARLY, "acknowledges_later": 1.0, "dies": 0.5, "forgets": 0.6, "has_queue": False,
}  # fmt: skip

BREAKS = (
    Break(1, "receipts.create leaves before its intent is durable", _create_before_intent),
    Break(1, "receipts.pay leaves before the code's fingerprint is durable", _pay_before_fingerprint),
    Break(1, "receipts.pay leaves while the journal says intent", _pay_before_receipt_id),
    Break(1, "receipts.cancel leaves before its row is durable", _cancel_before_its_row),
    Break(2, "sent codes are not remembered", _codes_forgotten),
    Break(2, "a second code is sent after any refusal, without asking for the state", _second_pay_blindly),
    Break(2, "a repeated request for a payment unknown to the journal begins a charge", _repeated_charges, _ASKS_AGAIN),
    Break(2, "a repeated call runs in parallel instead of joining the running one", _joined_runs_twice),
    Break(3, "an answer without our request's id counts like one with it", _unbound_counts),
    Break(3, "a result after a pay is stored without its cancellation", _result_without_row),
    Break(3, "PAID is returned without its commit", _paid_before_commit),
    Break(3, "a result that could not be stored is forgotten", _unstored_forgotten),
    Break(4, "an acknowledgement is ignored", _acknowledgement_ignored),
    Break(4, "on_ready cancels acknowledged payments too", _acknowledged_orphans),
    Break(4, "on_ready cancels payments that were answered with PENDING", _pending_orphaned, _ASKS_AGAIN),
    Break(4, "orphans are cancelled before on_ready", _nobody_waits_for_ready),
    Break(4, "the host's veto is ignored", _veto_ignored),
    Break(4, "is_recorded False returns the money of an acknowledged payment", _no_moves_money),
    Break(4, "a cancel begins although its cancellation has ended", _begun_blindly, _TOO_EARLY),
    Break(4, "a cancellation does not carry the host's request", _row_without_cause),
    Break(5, "a cancellation ends when Payme has accepted it (21)", _ended_at_21),
    Break(5, "a cancellation ends when Payme has said cancelled (50) once", _one_confirmation),
    Break(5, "an orphan older than a week is cancelled", _old_cancelled, _TOO_EARLY),
    Break(5, "cancellations are delivered without their lease", _leases_ignored),
    Break(6, "on_ready ignores the payments of ended processes", _ended_processes_spared),
    Break(6, "a second process becomes the leader too", _nobody_leads),
    Break(7, "a request may take an hour", _limits_of_hours),
    Break(7, "a payment takes four commits", _another_commit),
    Break(8, "the events of a payment name the buyer's code", _code_in_the_events),
    Break(8, "the events of a payment name the key of the merchant account", _key_in_the_events),
    Break(9, "on_receipt_closed raises", _hook_raises),
    Break(9, "a repeated request raises inside the plugin", _flow_raises),
    Break(10, "a payment that ended unpaid becomes paid by a repeated request", _unpaid_becomes_paid, _ASKS_AGAIN),
)
"""At least one a statement."""
