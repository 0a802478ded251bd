"""The ten guarantees, each broken on purpose: patches that the simulator must catch, and how soon it does."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin import background, dispatcher
from payme_plugin.background import Background
from payme_plugin.delivery import central_worker
from payme_plugin.delivery.central_worker import CentralWorker
from payme_plugin.delivery.chain_messages import ChainMessage
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.dispatcher import HookDispatcher
from payme_plugin.ledger import journal as journal_module
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.journal import Journal, add_events
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.sent_codes import SentCodes
from payme_plugin.ledger.states import End, PaymentState
from payme_plugin.operations import payment, receipt_queries, recovery, results
from payme_plugin.operations.cancellation import CancellationStep, StepOutcome
from payme_plugin.operations.event_log import EventLog
from payme_plugin.operations.pay_outcome import StaleCode
from payme_plugin.operations.payment import _Payment, take_payment
from payme_plugin.operations.receipt_queries import ReceiptQueries
from payme_plugin.operations.reversal import _Reversal
from payme_plugin.operations.wait import CashierWait
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed, ServerError
from payme_plugin.secret import Secret
from simulator.history import simulate
from simulator.shop import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from payme_plugin.delivery.chain_messages import OutcomeMessage
    from payme_plugin.delivery.relay import Relay
    from payme_plugin.ledger.rows import CancellationRow, Event, PaymentRow
    from payme_plugin.paymego.protocols import Params

_MOST_HISTORIES = 200
_EACH = 20
_ASKS_AGAIN = {"asks_again": True, "loses": 0.3, "readiness": Readiness.ON_TIME}
_TOO_EARLY = {
    "readiness": Readiness.EARLY, "acknowledges_later": 1.0, "dies": 0.5, "forgets": 0.6, "has_queue": False,
}  # fmt: skip


@dataclass(frozen=True)
class Break:
    """One way to break a guarantee.

    Attributes:
        guarantee: its number.
        what: what is done wrong, in a few words.
        patches: what does it wrong: an object, the name of an attribute, and what stands in its place.
        behaviour: how the host behaves in every history, and whether it ``has_chain``; the rest is random.
    """

    guarantee: int
    what: str
    patches: tuple[tuple[object, str, object], ...]
    behaviour: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Caught:
    """What caught a break.

    Attributes:
        after: how many sales it took.
        check: what the check said first.
    """

    after: int
    check: str


def caught_by_simulation(broken: Break) -> Caught | None:
    """Return what the simulator catches of a break, or None."""
    made = 0
    with pytest.MonkeyPatch.context() as monkeypatch:
        for owner, name, value in broken.patches:
            monkeypatch.setattr(owner, name, value)
        for seed in range(1, 1 + _MOST_HISTORIES):
            history = simulate(seed, _EACH, broken.behaviour)
            if history.broken_after is not None:
                return Caught(made + history.broken_after, history.faults[0])
            made += history.sales
    return None


BREAKS: list[Break] = []
"""At least one a guarantee."""

# A function of the product, as it was.
_Former = Any


def _breaks(
    guarantee: int, what: str, *places: tuple[object, str], **behaviour: object
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Let a function stand in these places; its first argument is the function that it replaces."""

    def instead(owner: object, name: str, broken: Callable[..., object]) -> tuple[object, str, object]:
        former = getattr(owner, name)

        @wraps(former)
        def patched(*given: object, **named: object) -> object:
            return broken(former, *given, **named)

        return owner, name, patched

    def register(broken: Callable[..., object]) -> Callable[..., object]:
        BREAKS.append(Break(guarantee, what, tuple(instead(*place, broken) for place in places), behaviour))
        return broken

    return register


def _replaces(guarantee: int, what: str, owner: object, name: str, value: object, **behaviour: object) -> None:
    """Let a value stand in one place."""
    BREAKS.append(Break(guarantee, what, ((owner, name, value),), behaviour))


@_breaks(1, "receipts.create leaves before its intent is durable", (_Payment, "add_intent"))
def _create_before_intent(add_intent: _Former, self: _Payment) -> object:
    sale = self._request.receipt
    account = {"order_id": f"{sale.till}-{sale.shift}-{sale.number}-99"}
    limit = self._context.clock.monotonic() + 1
    pending = self._context.client.begin("receipts.create", receipts.create(self._request.amount, account), limit)
    pending.wait(limit)
    return add_intent(self)


@_breaks(1, "receipts.pay leaves before the code's fingerprint is durable", (Journal, "move"))
def _pay_before_fingerprint(move: _Former, self: Journal, row: PaymentRow, *given: object, **named: object) -> object:
    named.pop("fingerprint", None)
    return move(self, row, *given, **named)


@_breaks(1, "receipts.pay leaves while the journal says intent", (Journal, "move"))
def _pay_before_receipt_id(
    move: _Former, self: Journal, row: PaymentRow, after: PaymentState, *given: object, **named: object
) -> object:
    if after is PaymentState.PAYING:
        return row._replace(state=after, receipt_id=str(named["receipt_id"] or row.receipt_id))
    return move(self, row, after, *given, **named)


@_breaks(1, "receipts.cancel leaves before its row is durable", (_Reversal, "run"))
def _cancel_before_its_row(run: _Former, self: _Reversal) -> object:
    self._wait.start()
    self._queries.cancel(self._wait.request_limit())
    return run(self)


_replaces(2, "sent codes are not remembered", SentCodes, "is_sent", lambda *_: False)


@_breaks(2, "a second code is sent after any refusal, without asking for the state", (payment, "classify_pay_failure"))
def _second_pay_blindly(classify: _Former, *given: object, may_scan_again: bool) -> object:
    failure: CallFailed = given[3]  # type: ignore[assignment] # context, queries, wait, failure
    if isinstance(failure, ServerError) and may_scan_again:
        return StaleCode(failure.code)
    return classify(*given, may_scan_again=may_scan_again)


_replaces(
    2, "a repeated request for a payment unknown to the journal begins a charge",
    dispatcher, "find_lost_payment", take_payment, **_ASKS_AGAIN,
)  # fmt: skip


@_breaks(2, "a repeated call runs in parallel instead of joining the running one", (HookDispatcher, "_exclusively"))
def _joined_runs_twice(
    exclusively: _Former, self: HookDispatcher, key: tuple[str, str, str], work: Callable[[], object], busy: object
) -> object:
    if self._running is not None and self._running.key == key:
        return work()
    return exclusively(self, key, work, busy)


_replaces(3, "an answer without our request's id counts like one with it", receipt_queries, "_DECISIVE", frozenset())


@_breaks(3, "a result after a pay is stored without its cancellation", (Journal, "move"))
def _result_without_row(
    move: _Former, self: Journal, row: PaymentRow, after: PaymentState, *given: object, **named: object
) -> object:
    if row.state is PaymentState.PAYING and after.is_not_paid:
        named["cancellation"] = None
    return move(self, row, after, *given, **named)


@_breaks(3, "PAID is returned without its commit", (results, "commit"))
def _paid_before_commit(commit: _Former, context: object, row: PaymentRow, outcome: object, *given: object) -> object:
    if isinstance(outcome, results.Paid):
        return row._replace(state=PaymentState.PAID)
    return commit(context, row, outcome, *given)


_replaces(3, "a result that could not be stored is forgotten", Background, "keep_result", lambda *_: None)


@_breaks(4, "an acknowledgement is ignored", (Journal, "acknowledge"))
def _acknowledgement_ignored(_: _Former, self: Journal, row: PaymentRow, **_times: object) -> PaymentRow:
    return self.payment(row.payment_id)


@_breaks(4, "on_ready cancels acknowledged payments too", (JournalReader, "orphans"))
def _acknowledged_orphans(orphans: _Former, self: JournalReader, owner: str) -> list[PaymentRow]:
    return [*orphans(self, owner), *(row for row in self.in_open_sales() if row.owner != owner)]


@_breaks(4, "on_ready cancels payments that were answered with PENDING", (background, "cancel_orphans"), **_ASKS_AGAIN)
def _pending_orphaned(cancel: _Former, journal: Journal, owner: str, _pending: object, texts: object) -> object:
    return cancel(journal, owner, (), texts)


@_breaks(4, "orphans are cancelled before on_ready", (Background, "do_housekeeping"))
def _nobody_waits_for_ready(housekeeping: _Former, self: Background) -> None:
    housekeeping(self)
    if self._try_lead():
        recovery.cancel_orphans(self._storage.journal(), self._storage.owner, self.pending, self.texts())


@_breaks(4, "the host's veto is ignored", (CancellationProcessor, "is_recorded"))
def _veto_ignored(is_recorded: _Former, self: CancellationProcessor, row: CancellationRow) -> None:
    is_recorded(self, row)


@_breaks(4, "is_recorded False returns the money of an acknowledged payment", (Background, "decide_orphans"))
def _no_moves_money(decide: _Former, self: Background) -> None:
    decide(self)
    journal = self._storage.journal()
    for row in journal.in_open_sales():
        if self._host.is_recorded(row.payment_id) is False:
            recovery.end_without_sale(journal, row, "the till says no", self.texts())


@_breaks(4, "a cancel begins although its cancellation has ended", (Cancellations, "begin"), **_TOO_EARLY)
def _begun_blindly(_: _Former, self: Cancellations, row: CancellationRow, *, events: Sequence[Event] = ()) -> None:
    with self._journal.writing() as connection:
        query = "UPDATE cancellation SET attempts = attempts + 1, begun_at = coalesce(begun_at, ?)"
        connection.execute(f"{query} WHERE cancellation_id = ?", (self._journal.now_ms(), row.cancellation_id))
        add_events(connection, row.payment_id, events)


@_breaks(4, "a cancellation does not carry the host's request", (Journal, "move"))
def _row_without_cause(move: _Former, self: Journal, row: PaymentRow, *given: object, **named: object) -> object:
    cancellation = named.get("cancellation")
    if isinstance(cancellation, NewCancellation):
        named["cancellation"] = cancellation._replace(request_id="another")
    return move(self, row, *given, **named)


@_breaks(5, "a cancellation ends when Payme has accepted it (21)", (CancellationStep, "_cancel_unless_cancelled"))
def _ended_at_21(cancel: _Former, self: CancellationStep, row: CancellationRow, *given: object) -> object:
    outcome, came, held = cancel(self, row, *given)
    if outcome is StepOutcome.ACCEPTED:
        self._rows.end(row, End.CANCELLED, came)
    return outcome, came, held


@_breaks(5, "a cancellation ends when Payme has said cancelled (50) once", (Cancellations, "confirm"))
def _one_confirmation(_: _Former, self: Cancellations, row: CancellationRow, result: str, **_events: object) -> None:
    self.end(row, End.CANCELLED, result)


_replaces(
    5, "an orphan older than a week is cancelled", CancellationStep, "may_be_old", lambda *_: False,
    **_TOO_EARLY, stays_off=0.5,
)  # fmt: skip


@_breaks(5, "cancellations are delivered without their lease", (Leases, "try_acquire"))
@contextmanager
def _leases_ignored(hold: _Former, self: Leases, number: int, *, shared: bool = False) -> Iterator[bool]:
    with hold(self, number, shared=shared) as is_ours:
        yield is_ours or number != LEADER


_replaces(6, "on_ready ignores the payments of ended processes", background, "cancel_orphans", lambda *_: 0)


@_breaks(6, "a second process becomes the leader too", (Leases, "try_acquire"))
@contextmanager
def _nobody_leads(hold: _Former, self: Leases, number: int, *, shared: bool = False) -> Iterator[bool]:
    with hold(self, number, shared=shared) as is_ours:
        yield is_ours or number == LEADER


@_breaks(7, "a request may take an hour", (CashierWait, "request_limit"), (CashierWait, "query_limit"))
def _limits_of_hours(_: _Former, self: CashierWait) -> float:
    return self.now + 3_600


@_breaks(7, "a payment takes four commits", (Journal, "add_intent"))
def _another_commit(add_intent: _Former, self: Journal, *given: object) -> object:
    with self.writing() as connection:
        connection.execute("UPDATE about SET value = '1' WHERE name = 'ready'")
    return add_intent(self, *given)


@_breaks(8, "the events of a payment name the buyer's code", (ReceiptQueries, "call"))
def _code_in_the_events(call: _Former, self: ReceiptQueries, method: str, params: Params, limit: float) -> object:
    token = params.get("token")
    self._events.add_answer(f"{method}: {token.reveal() if isinstance(token, Secret) else '-'}")
    return call(self, method, params, limit)


@_breaks(8, "the events of a payment name the key of the merchant account", (_Payment, "_poll"))
def _key_in_the_events(poll: _Former, self: _Payment, row: PaymentRow, **named: object) -> object:
    EventLog.add_answer(self._events, f"polling with {self._context.settings.pos_key.reveal()}")
    return poll(self, row, **named)


@_breaks(9, "on_receipt_closed raises", (dispatcher, "acknowledge"))
def _hook_raises(*_: object) -> None:
    raise RuntimeError("no such table")


@_breaks(9, "a repeated request raises inside the plugin", (_Payment, "resume"))
def _flow_raises(resume: _Former, self: _Payment, row: PaymentRow) -> object:
    if row.state is PaymentState.PAYING:
        raise KeyError("receipt")
    return resume(self, row)


@_breaks(10, "a payment that ended unpaid becomes paid by a repeated request", (_Payment, "resume"), **_ASKS_AGAIN)
def _unpaid_becomes_paid(resume: _Former, self: _Payment, row: PaymentRow) -> object:
    if row.state.is_not_paid and row.receipt_id is not None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(journal_module, "is_allowed", lambda *_: True)
            return self._result_of(row, results.Paid(None))
    return resume(self, row)


# A till of a chain, and its central workers.


@_breaks(1, "a cancellation is published before it has begun", (CancellationProcessor, "_hand_over"), has_chain=True)
def _published_before_begun(
    hand_over: _Former, self: CancellationProcessor, row: CancellationRow, relay: Relay, is_recorded: bool | None
) -> object:
    if row.begun_at is None and not row.is_vetoed(is_recorded):
        relay.publish(ChainMessage.of(row, self.journal.host_identity))
    return hand_over(self, row, relay, is_recorded)


@_breaks(4, "the host is not asked before a cancellation is published", (CancellationProcessor, "is_recorded"))
def _host_not_asked(*_: object) -> None:
    return None


@_breaks(4, "a cancellation that the host vetoed is published", (CancellationProcessor, "_hand_over"), has_chain=True)
def _held_row_published(
    hand_over: _Former, self: CancellationProcessor, row: CancellationRow, relay: Relay, _: bool | None
) -> object:
    return hand_over(self, row, relay, False)


@_breaks(5, "a central worker's first outcome ends a row", (CancellationProcessor, "take_outcome"), has_chain=True)
def _ended_by_one_outcome(_: _Former, self: CancellationProcessor, outcome: OutcomeMessage) -> None:
    row = self.journal.cancellation(outcome.cancellation_id)
    if row is not None and row.receipt_id == outcome.receipt_id and row.ended_at is None:
        self.cancellations.end(row, End.CANCELLED, "a central worker says so")


@_breaks(5, "an outcome is matched by the row's number only", (CancellationProcessor, "take_outcome"), has_chain=True)
def _outcome_of_another_till(take: _Former, self: CancellationProcessor, outcome: OutcomeMessage) -> None:
    row = self.journal.cancellation(outcome.cancellation_id)
    take(self, outcome if row is None else replace(outcome, receipt_id=row.receipt_id))


@_breaks(5, "a till never continues what it handed over", (CancellationProcessor, "_hand_over"), has_chain=True)
def _never_continued(hand_over: _Former, self: CancellationProcessor, row: CancellationRow, *given: object) -> object:
    if row.offered_at is None:
        return hand_over(self, row, *given)
    self.cancellations.postpone(row, 900_000, "the central workers have it")
    return StepOutcome.LATER


_replaces(4, "a central worker publishes no next attempt", CentralWorker, "_publish", lambda *_: None, has_chain=True)
_replaces(5, "a central worker cancels in any state", central_worker, "needs_cancel", lambda _: True, has_chain=True)
