"""The ten statements, each broken on purpose: patches that the simulator must catch."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING

from payme_plugin import background
from payme_plugin.ledger import journal as journal_room
from payme_plugin.ledger.journal import Journal, SentCodes
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations import closed_receipts, payment, receipt_queries, recovery
from payme_plugin.operations.cancellation import CancellationStep, MerchantClient, StepOutcome
from payme_plugin.operations.event_log import EventLog
from payme_plugin.operations.pay_outcome import AskAgain, classify_pay_failure
from payme_plugin.operations.payment import _Payment
from payme_plugin.operations.receipt_queries import ReceiptQueries
from payme_plugin.operations.reversal import _Reversal
from payme_plugin.operations.wait import CashierWait
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed, ServerError
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping

    from pytest import MonkeyPatch  # noqa: PT013 - for the type alone

    from payme_plugin.ledger.rows import CancellationRow, NewCancellation, PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.paymego.protocols import Params
    from payme_plugin.texts import Texts

__all__ = ["BREAKS", "Break"]


@dataclass(frozen=True)
class Break:
    """One way to break a statement.

    Attributes:
        statement: its number.
        what: what is done wrong, in a few words.
        patch: does it wrong, until the test is over.
    """

    statement: int
    what: str
    patch: Callable[[MonkeyPatch], None]


def _create_before_intent(monkeypatch: MonkeyPatch) -> None:
    add_intent = _Payment._add_intent

    @wraps(add_intent)
    def broken(self: _Payment) -> object:
        sale = self._request.receipt
        account = {"order_id": f"{sale.till}-{sale.shift}-{sale.number}-99"}
        limit = self._context.clock.monotonic() + 1
        pending = self._context.client.begin("receipts.create", receipts.create(self._request.amount, account), limit)
        pending.wait(limit)
        return add_intent(self)

    monkeypatch.setattr(_Payment, "_add_intent", broken)


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
    """Send the code while the journal still says created: the transition to paying follows the request."""
    begin = Journal.move

    @wraps(begin)
    def broken(self: Journal, row: PaymentRow, after: PaymentState, reason: str, **given: object) -> object:
        if after is PaymentState.PAYING:
            return replace(row, state=after)
        return begin(self, row, after, reason, **given)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(Journal, "move", broken)


def _cancel_before_its_row(monkeypatch: MonkeyPatch) -> None:
    commit = _Reversal._commit_cancellation

    @wraps(commit)
    def broken(self: _Reversal) -> None:
        self._queries.cancel(self._wait.request_limit())
        commit(self)

    monkeypatch.setattr(_Reversal, "_commit_cancellation", broken)


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


def _verdict_without_row(monkeypatch: MonkeyPatch) -> None:
    def change(row: PaymentRow, after: PaymentState, given: dict[str, object]) -> None:
        if row.state is PaymentState.PAYING and after.is_not_paid:
            given["cancellation"] = None

    _move(monkeypatch, change)


def _recorded_ignored(monkeypatch: MonkeyPatch) -> None:
    decide = recovery._decide

    def broken(journal: Journal, row: PaymentRow, recorded: bool | None, texts: Texts) -> object:
        return decide(journal, row, False if recorded else recorded, texts)

    monkeypatch.setattr(recovery, "_decide", broken)


def _row_without_cause(monkeypatch: MonkeyPatch) -> None:
    add = Journal._add_cancellation

    def broken(connection: sqlite3.Connection, payment_id: str, new: NewCancellation, now: int) -> None:
        add(connection, payment_id, replace(new, request_id="another"), now)

    monkeypatch.setattr(Journal, "_add_cancellation", staticmethod(broken))


def _ended_at_21(monkeypatch: MonkeyPatch) -> None:
    cancel = CancellationStep._cancel_unless_cancelled

    @wraps(cancel)
    def broken(
        self: CancellationStep,
        row: CancellationRow,
        merchant: MerchantClient,
        is_recorded: bool | None,
        events: EventLog,
    ) -> tuple[StepOutcome, str]:
        outcome, came = cancel(self, row, merchant, is_recorded, events)
        return (StepOutcome.DONE if outcome is StepOutcome.ACCEPTED else outcome), came

    monkeypatch.setattr(CancellationStep, "_cancel_unless_cancelled", broken)


def _leases_ignored(monkeypatch: MonkeyPatch) -> None:
    hold = Leases.try_acquire

    @contextmanager
    def broken(self: Leases, number: int, *, shared: bool = False) -> Iterator[bool]:
        with hold(self, number, shared=shared) as is_ours:
            yield is_ours or number != LEADER

    monkeypatch.setattr(Leases, "try_acquire", broken)


def _ended_processes_spared(monkeypatch: MonkeyPatch) -> None:
    recover = recovery.recover

    def broken(
        journal: Journal,
        may_decide: Callable[[PaymentRow], bool],
        is_recorded: Callable[[PaymentRow], bool | None],
        texts: Texts,
    ) -> Mapping[recovery.Outcome, list[PaymentRow]]:
        return recover(journal, lambda _: False, is_recorded, texts)

    monkeypatch.setattr(background, "recover", broken)


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


def _code_in_the_story(monkeypatch: MonkeyPatch) -> None:
    call = ReceiptQueries.call

    @wraps(call)
    def broken(self: ReceiptQueries, method: str, params: Params, limit: float) -> object:
        token = params.get("token")
        self._events.add_answer(f"{method}: {token.reveal() if isinstance(token, Secret) else '-'}")
        return call(self, method, params, limit)

    monkeypatch.setattr(ReceiptQueries, "call", broken)


def _key_in_the_story(monkeypatch: MonkeyPatch) -> None:
    add_event = EventLog.add_answer
    finish = _Payment._poll

    @wraps(finish)
    def broken(self: _Payment, row: PaymentRow) -> object:
        add_event(self._events, f"polling with {self._context.settings.pos_key.reveal()}")
        return finish(self, row)

    monkeypatch.setattr(_Payment, "_poll", broken)


def _hook_raises(monkeypatch: MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such table")

    monkeypatch.setattr(closed_receipts, "confirm_payments", broken)


def _flow_raises(monkeypatch: MonkeyPatch) -> None:
    outcome_without_code = _Payment._outcome_without_code

    @wraps(outcome_without_code)
    def broken(self: _Payment, row: PaymentRow) -> object:
        if row.state is PaymentState.PAYING:
            raise KeyError("receipt")
        return outcome_without_code(self, row)

    monkeypatch.setattr(_Payment, "_outcome_without_code", broken)


def _blind_writes(monkeypatch: MonkeyPatch) -> None:
    move = Journal.move

    @wraps(move)
    def broken(self: Journal, row: PaymentRow, after: PaymentState, reason: str, **given: object) -> object:
        seen = self.payment(row.payment_id)
        return move(self, seen, after, reason, **given)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(Journal, "move", broken)
    monkeypatch.setattr(journal_room, "is_allowed", lambda *_: True)


def _open_sales_forgotten(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(JournalReader, "in_open_sales", lambda _: [])


BREAKS = (
    Break(1, "receipts.create leaves before its intent is durable", _create_before_intent),
    Break(1, "receipts.pay leaves before the code's fingerprint is durable", _pay_before_fingerprint),
    Break(1, "receipts.pay leaves while the journal says created", _pay_before_receipt_id),
    Break(1, "receipts.cancel leaves before its row is durable", _cancel_before_its_row),
    Break(2, "a code that was sent is not remembered", _codes_forgotten),
    Break(2, "a second code is sent after any refusal, without asking for the state", _second_pay_blindly),
    Break(3, "an answer without our request's id counts like one with it", _unbound_counts),
    Break(3, "a verdict after a pay is stored without its cancellation", _verdict_without_row),
    Break(4, "recovery takes the host's yes for a no", _recorded_ignored),
    Break(4, "a cancellation does not carry the host's request", _row_without_cause),
    Break(5, "a cancellation ends when Payme has accepted it (21)", _ended_at_21),
    Break(5, "rows are stepped without their lease", _leases_ignored),
    Break(6, "recovery spares the payments of processes that have ended", _ended_processes_spared),
    Break(6, "recovery does not ask about recorded payments of open sales", _open_sales_forgotten),
    Break(6, "any process leads, beside another", _nobody_leads),
    Break(7, "a request may take an hour", _limits_of_hours),
    Break(8, "the story of a payment names the buyer's code", _code_in_the_story),
    Break(8, "the story of a payment names the key of the kassa", _key_in_the_story),
    Break(9, "on_receipt_closed raises", _hook_raises),
    Break(9, "a payment that is asked for again raises inside", _flow_raises),
    Break(10, "a transition does not look at the state that it leaves", _blind_writes),
)
"""At least one a statement."""
