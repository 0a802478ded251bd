"""The checks of a simulation: it reads the wire and the journal's file, and says which of the ten statements broke.

It shares no code with what it watches. The statements are those of the contract (what must always hold), by number.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hookspecs import PaymentStatus
from payme_plugin.ledger.states import Hold
from payme_plugin.paymego.errors import ServerError
from payme_plugin.paymego.protocols import Answer
from simulator.journal_file import CancellationLook, PaymentLook, Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fakes.paymego import Heard, Sent
    from hookspecs import PaymentResult
    from payme_plugin.settings import Settings
    from simulator.journal import Disk
    from simulator.process import Process
    from simulator.stage import Actor, Life, Stage
    from simulator.wire import SimClient, SimPaymeGo

_HOUR_MS = 3_600_000
_CONFIRMING_MS = 600_000
_WEEK_MS = 7 * 24 * 3_600_000
_LONGEST_PAUSE_MS = 900_000
_NOT_PAID = frozenset({"refused", "aborted", "unknown"})
_MAY_CANCEL_AT = frozenset({0, 1, 2, 3, 4, 5, 6, 20, 30})
_UNFINISHED = frozenset({"intent", "created", "paying"})
_PAID = frozenset({"paid", "recorded"})
_MOST_COMMITS = 3

# The codes that prove no charge, copied from the published tables: the product's own list is what is watched.
_PROOFS = frozenset(
    {
        -32300, -32700, -32600, -32601, -32602, -32504, -31301, -31300, -31303, -31400, -31101, -31102, -31103, -31110,
        -31613, -31630, -31601, -31900, -31901, -32500,
    }
)  # fmt: skip

ALLOWED = frozenset(
    {
        (None, "intent"), (None, "recorded"), (None, "paying"), ("intent", "paying"), ("intent", "refused"),
        ("intent", "aborted"), ("created", "paying"), ("paying", "created"), ("paying", "paid"),
        *((before, after) for before in ("created", "paying") for after in _NOT_PAID),
        ("paid", "recorded"), ("paid", "reversing"), ("recorded", "reversing"),
        ("reversing", "reversed"), ("reversing", "recorded"), ("reversed", "reversing"),
    }
)  # fmt: skip
"""The contract's table of transitions."""


class GuaranteeChecks:
    """Watches one till.

    Args:
        stage: the time.
        paymego: the wire and the bank.
        disk: where the journal is.
        settings: gives the till's settings of this moment.
        sales: the host's sales so far; only counted.

    Attributes:
        faults: the statements that broke, with what happened.
        broken_after: how many sales there were when the first one broke; None: none did.
        trace: what happened, line by line.
        answered: what the host answered to ``is_recorded``, by payment, in order: to which process, the answer, and
            how many writes had failed by then.
        requested: the cancels and refunds that the host asked for: cause, payment, id of the refund.
        processes: every process, by its life.
        rows: the journal, read from its file.
    """

    def __init__(
        self,
        stage: Stage,
        paymego: SimPaymeGo,
        disk: Disk,
        settings: Callable[[], Settings],
        sales: Sequence[object],
    ) -> None:
        self.faults: list[str] = []
        self.broken_after: int | None = None
        self.trace: list[str] = []
        self.answered: defaultdict[str, list[tuple[Life, bool | None, int]]] = defaultdict(list)
        self.requested: set[tuple[str, str, str]] = set()
        self.processes: dict[Life, Process] = {}
        self._stage = stage
        self._paymego = paymego
        self._disk = disk
        self.rows = Rows(disk.folder)
        self._settings = settings
        self._sales = sales
        self._heard: defaultdict[str, list[tuple[SimClient, Heard]]] = defaultdict(list)
        self._sent: defaultdict[str, list[tuple[SimClient, Sent]]] = defaultdict(list)
        self._fifties: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        self._codes: dict[str, list[int]] = {}
        self._state: dict[str, str] = {}
        self._before: dict[str, str | None] = {}
        self._owner: dict[str, str] = {}
        self._event_id = 0
        self._cancellations: dict[int, CancellationLook] = {}
        self._tokens: dict[str, Life] = {}
        self._running: dict[str, Actor] = {}
        self._repeating: set[str] = set()
        self._readying: set[Life] = set()
        self._pending: dict[str, Life | None] = {}
        self._returned: dict[str, Life | None] = {}
        self._stepping: dict[str, SimClient] = {}
        self._sent_before: dict[str, int] = {}
        self._commits: dict[str, int] = {}
        self._refusals: dict[str, int] = {}
        self._result_at: dict[str, float] = {}
        paymego.checks = self
        disk.committed = self.saw_commit

    def add_process(self, life: Life, process: Process) -> None:
        """Note a process that starts."""
        self.processes[life] = process
        self._tokens[process.storage.owner] = life

    def note(self, text: str, who: str | None = None) -> None:
        """Add a line to the trace, of the process that runs or of another."""
        life = self._stage.current.life
        name = who or (life.name if life is not None else "-")
        self.trace.append(f"{self._stage.monotonic():12.3f} {name:<10} {text}")

    def fault(self, statement: int, text: str) -> None:
        """Note that a statement broke; 0: the sums at the end."""
        if not self.faults:
            self.broken_after = len(self._sales)
        self.note(f"BROKEN {statement}: {text}")
        self.faults.append(f"guarantee {statement}: {text}" if statement else f"the sums at the end: {text}")

    # What leaves, and what comes back.

    def saw_request(self, client: SimClient, sent: Sent) -> None:
        """Check what must be durable when the first byte of a request leaves."""
        method = sent.method.partition(".")[2]
        receipt_id = sent.receipt_id or ""
        self._check_stepper(client, receipt_id)
        self.note(f"sent {method} {receipt_id[-6:]}", client.life.name)
        if method == "create":
            self._saw_create(sent)
        elif method == "pay":
            self._saw_pay(client, sent, receipt_id)
        elif method == "cancel":
            self._saw_cancel(client, sent, receipt_id)
        self._sent[receipt_id].append((client, sent))

    def saw_outcome(self, client: SimClient, heard: Heard) -> None:
        """Note what a till got for a request."""
        outcome = heard.outcome
        short = f"error {outcome.code}" if isinstance(outcome, ServerError) else type(outcome).__name__
        if isinstance(outcome, Answer):
            short = f"{'' if outcome.bound else 'unbound '}state {_state_of(heard, outcome)}"
        self.note(f"heard {heard.method.partition('.')[2]} {(heard.receipt_id or '')[-6:]}: {short}", client.life.name)
        if self._stepping.get(heard.receipt_id or "") is client:
            del self._stepping[heard.receipt_id or ""]
        if heard.receipt_id is not None:
            self._heard[heard.receipt_id].append((client, heard))
            if isinstance(outcome, Answer) and _state_of(heard, outcome) == 50:
                self._fifties[heard.receipt_id].append((self._stage.monotonic() * 1000, self._stage.wall_ms()))

    def _check_stepper(self, client: SimClient, receipt_id: str) -> None:
        """Check that no two workers step the same row at a time."""
        if client.is_of_sales or client.is_central:
            return
        other = self._stepping.get(receipt_id)
        if other is not None and other is not client and not other.life.is_dead:
            self.fault(5, f"two workers deliver the cancellation of {receipt_id[-6:]} at the same time")
        self._stepping[receipt_id] = client

    def _saw_create(self, sent: Sent) -> None:
        account = sent.params.get("account")
        order = str(account.get("order_id")) if isinstance(account, Mapping) else ""
        number, attempt = order.split("-")[-2:]
        payment = self.rows.of_sale(int(number), int(attempt))
        if payment is None:
            self.fault(1, f"receipts.create of {order} left before its intent was durable")
        elif payment.payment_id in self._repeating:
            self.fault(2, f"a repeated request for {payment.payment_id} made a receipt")

    def _saw_pay(self, client: SimClient, sent: Sent, receipt_id: str) -> None:
        code = sent.code or ""
        row = self.rows.of_receipt(receipt_id)
        if row is None or row.state != "paying":
            self.fault(1, f"receipts.pay left while its payment was {row.state if row else 'not in the journal'}")
        elif not self.rows.has_code(code, row.payment_id):
            self.fault(1, "receipts.pay left before the code's fingerprint was durable")
        if row is not None and row.pos_id != client.pos_id:
            self.fault(1, "receipts.pay left with another merchant account's key")
        if row is not None and row.payment_id in self._repeating:
            self.fault(2, f"a repeated request for {row.payment_id} sent a code")
        now_ms = round(self._stage.monotonic() * 1000)
        before = self._codes.setdefault(code, [])
        # An hour that really passed, whatever the clock on the wall shows.
        if before and now_ms - max(before) < _HOUR_MS:
            self.fault(2, f"code {code[-4:]} was in two pays that may have arrived")
        before.append(now_ms)
        if any(earlier.method == "receipts.pay" for _, earlier in self._sent[receipt_id]):
            self._check_second_pay(receipt_id)

    def _check_second_pay(self, receipt_id: str) -> None:
        proven = False
        state: object = None
        for _, heard in self._heard[receipt_id]:
            if heard.method == "receipts.pay":
                proven = _proves(heard.outcome)
                state = None
            elif isinstance(heard.outcome, Answer):
                state = _state_of(heard, heard.outcome)
        if not proven or state != 0:
            self.fault(2, f"a second pay on receipt {receipt_id[-6:]} without a proof and state 0")

    def _saw_cancel(self, client: SimClient, sent: Sent, receipt_id: str) -> None:
        payment = self.rows.of_receipt(receipt_id)
        live = self.rows.live_of_receipt(receipt_id)
        if payment is not None and payment.pos_id != client.pos_id:
            self.fault(5, "receipts.cancel left with another merchant account's key")
        if client.is_central:
            self._check_central_cancel(receipt_id)
        elif live is None:
            # An ignored error may have an unpaid receipt cancelled: its row in paying is the intent.
            if payment is None or payment.state != "paying":
                self.fault(1, "receipts.cancel left without a live cancellation")
        elif live.begun_at is None:
            self.fault(1, "receipts.cancel left before it was durable that it had begun")
        state = self._known_since_cancel(client, receipt_id)
        if state is None:
            self.fault(2, f"receipts.cancel of {receipt_id[-6:]} was repeated without asking for the state")
        elif state not in _MAY_CANCEL_AT and not client.is_of_sales:
            self.fault(5, f"receipts.cancel at state {state}")

    def _check_central_cancel(self, receipt_id: str) -> None:
        """Check that a central worker cancels only what the till has decided to cancel; its row may have ended."""
        payment = self.rows.of_receipt(receipt_id)
        rows = [] if payment is None else self.rows.cancellations_of(payment.payment_id)
        if not any(row.begun_at is not None and row.ended_as in {None, "cancelled"} for row in rows):
            self.fault(1, "a central worker cancels without a cancellation that has begun")
        elif payment is not None and payment.state in _PAID:
            self.fault(4, f"a central worker cancels {payment.payment_id}, which is {payment.state}")

    def saw_published(self, body: bytes) -> None:
        """Check that what a till hands over is on its disk: a cancellation that has begun and that nothing holds."""
        message = json.loads(body)
        row = self.rows.cancellation(message["cancellation_id"])
        payment_id = message["payment_id"]
        self.note(f"{payment_id}: its cancellation is published")
        if row is None or row.begun_at is None:
            self.fault(1, f"the cancellation of {payment_id} was published before it was durable that it had begun")
        elif (row.payment_id, row.receipt_id, row.ended_at) != (payment_id, message["receipt_id"], None):
            self.fault(5, f"the message of {payment_id} is not a live cancellation")
        elif row.held == Hold.OLD.value:  # that one vetoed before is decided when it begins
            self.fault(4, f"the cancellation of {payment_id} was published, but people must decide about it")
        else:
            payment = self.rows.payment(payment_id)
            if payment is None or payment.state in _PAID or payment.pos_id != message["posId"]:
                self.fault(4, f"the cancellation of {payment_id} was published, which is not to be cancelled")

    def _known_since_cancel(self, client: SimClient, receipt_id: str) -> object:
        """Return the last state that this client heard of a receipt since it last cancelled it; None: none."""
        cancelled_at = max(
            (s.at_s for c, s in self._sent[receipt_id] if c is client and s.method == "receipts.cancel"), default=-1.0
        )
        for asked_by, heard in reversed(self._heard[receipt_id]):
            if asked_by is client and heard.at_s >= cancelled_at and heard.method != "receipts.cancel":
                state = _state_of(heard, heard.outcome) if isinstance(heard.outcome, Answer) else None
                if state is not None:
                    return state
        return None

    # What is durable.

    def saw_commit(self, life: Life | None) -> None:
        """Check every transition and every row that a commit changed."""
        for payment_id, actor in self._running.items():
            if actor is self._stage.current:
                self._commits[payment_id] += 1
        for event_id, payment_id, before, after, text in self.rows.events_after(self._event_id):
            self._event_id = event_id
            payment = self.rows.payment(payment_id)
            assert payment is not None
            self._check_owner(payment, life)
            if after is None:
                continue
            self.note(f"{payment_id}: {before} -> {after}, {text}")
            self._check_transition(payment, before, after, text)
            if after == "paid":
                self._check_paid(payment, life)
            if before in {"created", "paying"} and after in _NOT_PAID:
                self._check_result(payment, life)
            self._before[payment_id] = before
            if before not in {"reversing", "reversed"}:  # whoever delivers a row may move these
                self._check_decider(payment, life, text)
            if after == "paid" or after in _NOT_PAID:
                self._result_at[payment_id] = self._stage.monotonic()
        self._check_cancellations()

    def _check_transition(self, payment: PaymentLook, before: str | None, after: str, text: str) -> None:
        known = self._state.get(payment.payment_id)
        if known != before:
            self.fault(10, f"{payment.payment_id} left {before} for {after}, but it was {known} ({text})")
        if (before, after) not in ALLOWED:
            self.fault(10, f"no payment goes from {before} to {after}")
        if after == "paid" and self.rows.cancellations_of(payment.payment_id):
            self.fault(10, f"{payment.payment_id} has a cancellation and became paid")
        self._state[payment.payment_id] = after

    def _check_paid(self, payment: PaymentLook, life: Life | None) -> None:
        is_returned = payment.payment_id not in self._running and ("cancel", payment.payment_id, "") in self.requested
        said = self._said(payment, life)
        # The host returns a payment without a result: it counts as paid, and Payme is asked before it is cancelled.
        if said != 4 and not is_returned:
            self.fault(3, f"{payment.payment_id} became paid, but the latest answer bound to its receipt said {said}")

    def _check_unrecorded(self, payment: PaymentLook, before: str | None, life: Life | None) -> None:
        """Check that money goes back on an event only, and never for a payment that the host has acknowledged."""
        payment_id = payment.payment_id
        if before in _PAID and payment.acknowledged_at is not None:
            self.fault(4, f"{payment_id} is acknowledged and was cancelled as unrecorded")
        if life in self._readying:
            if self._pending.get(payment_id) is life:
                self.fault(4, f"{payment_id} was pending and on_ready cancelled it")
            return
        process = self.processes.get(life) if life is not None else None
        is_kept = process is not None and payment_id in process.background.unstored
        if payment_id not in self._running and not is_kept:
            self.fault(4, f"{payment_id} was cancelled as unrecorded, and no event asked for it")

    def _check_result(self, payment: PaymentLook, life: Life | None) -> None:
        live = [row for row in self.rows.cancellations_of(payment.payment_id) if row.ended_at is None]
        if len(live) == 1 or self._said(payment, life) == 50:
            return
        pays = [heard for _, heard in self._heard[payment.receipt_id or ""] if heard.method == "receipts.pay"]
        outcome = pays[-1].outcome if pays else None
        ignored = self._settings().ignored_errors
        if isinstance(outcome, ServerError) and _proves(outcome) and outcome.code in ignored:
            return
        self.fault(3, f"{payment.payment_id} ended {payment.state} with {len(live)} live cancellations and no proof")

    def _check_owner(self, payment: PaymentLook, life: Life | None) -> None:
        """Check that nobody takes a payment from a living process."""
        former = self._owner.get(payment.payment_id)
        if former is not None and former != payment.owner:
            owner = self._tokens.get(former)
            if owner is not None and not owner.is_dead and owner is not life:
                self.fault(6, f"{payment.payment_id} was taken from a running process")
        self._owner[payment.payment_id] = payment.owner

    def _check_decider(self, payment: PaymentLook, life: Life | None, text: str) -> None:
        owner = self._tokens.get(payment.owner)
        if owner is not None and owner is not life and not owner.is_dead:
            self.fault(6, f"another process decided {payment.payment_id} while its own process was running ({text})")
        if life is None:
            return
        actor, background = self._running.get(payment.payment_id), self.processes[life].background
        # The worker may store what a hook could not; the hook has returned by then, or is about to.
        is_behind = actor is not None and actor is not self._stage.current and actor.life is owner
        if is_behind and payment.payment_id not in background.unstored:
            self.fault(6, f"{payment.payment_id} was decided while its hook was running ({text})")
        if actor is None and life in self._readying and not background.is_leader:
            self.fault(6, f"{payment.payment_id} was decided without the leader's lock")

    def _check_cancellations(self) -> None:
        rows = {row.cancellation_id: row for row in self.rows.cancellations()}
        for cancellation_id, row in rows.items():
            known = self._cancellations.get(cancellation_id)
            if known != row:
                self._check_row(row, known)
        if not self._cancellations.keys() <= rows.keys():
            self.fault(4, "a cancellation is gone from the journal")
        self._cancellations = rows

    def _check_row(self, row: CancellationLook, known: CancellationLook | None) -> None:
        if known is None:
            asked = (row.cause, row.payment_id, row.request_id) in self.requested
            if row.cause not in {"unrecorded", "cancel", "refund"} or (row.cause != "unrecorded" and not asked):
                self.fault(4, f"a cancellation of {row.payment_id} without a cause: {row.cause} {row.request_id}")
            payment = self.rows.payment(row.payment_id)
            if row.cause == "unrecorded" and payment is not None:
                self._check_unrecorded(payment, self._before.get(row.payment_id), self._stage.current.life)
            return
        if known.ended_at is not None:
            self.fault(5, f"the ended cancellation {row.cancellation_id} changed")
            return
        if row.cause == "unrecorded" and known.begun_at is None and row.begun_at is not None:
            self._check_begun(row, known.held)
        if known.confirmed_at is None and row.confirmed_at is not None and not self._fifties[row.receipt_id]:
            self.fault(5, f"cancellation {row.cancellation_id} is confirming, but Payme never said cancelled (50)")
        if row.ended_at is not None:
            self._check_end(row)
        elif row.due_at > known.due_at and row.offered_at == known.offered_at:
            # A hook that gives up leaves its row to whoever comes first.
            is_left = any(payment_id == row.payment_id for _, payment_id, _ in self.requested)
            shortest_ms = 0 if is_left else 500
            pause_ms = row.due_at - self._stage.wall_ms()
            # The host's queue has a row that it took to itself for an hour.
            is_the_queues = row.offered_at is not None and row.due_at == row.offered_at + _HOUR_MS
            # Payme took its "cancelled" back: it is asked at once.
            is_reopened = row.reopened_at != known.reopened_at
            if not (is_the_queues or is_reopened or shortest_ms <= pause_ms <= _LONGEST_PAUSE_MS):
                self.fault(5, f"cancellation {row.cancellation_id} pauses {pause_ms} ms")

    def _check_begun(self, row: CancellationLook, held: str | None) -> None:
        """Check that nobody has said that the money must stay before the first cancel of an orphan leaves."""
        payment = self.rows.payment(row.payment_id)
        if payment is None or (payment.acknowledged_at is not None and payment.state == "reversing"):
            self.fault(4, f"the cancellation of {row.payment_id} has begun, but the host has acknowledged the payment")
        if ("cancel", row.payment_id, "") in self.requested:
            return  # the host has it returned itself
        life = self._stage.current.life
        if (
            life is not None
            and self.processes[life].background.is_leader
            and not any(asked is life for asked, _, _ in self.answered[row.payment_id])
        ):
            self.fault(4, f"the cancellation of {row.payment_id} has begun, and the host was not asked")
        if self._is_vetoed(row.payment_id, held):
            self.fault(4, f"the cancellation of {row.payment_id} has begun against the host's veto")
        made_at = self._paymego.bank.receipt(self._paymego.now_ms, row.receipt_id).created_ms
        is_old = payment is not None and row.created_at - payment.created_at >= _WEEK_MS
        if is_old and row.created_at - made_at >= _WEEK_MS:
            self.fault(5, f"the cancellation of {row.payment_id} has begun, but the payment is older than a week")

    def _is_vetoed(self, payment_id: str, held: str | None) -> bool:
        """Return whether the process at work heard last that the host has the payment.

        It does not count if another process has heard otherwise since. What another one hears meanwhile holds nothing.
        Where it can't ask, what is stored counts. A veto that the disk did not take is lost.
        """
        for life, answer, refusals in reversed(self.answered[payment_id]):
            if answer is False:
                return False
            if life is self._stage.current.life and answer is True:
                return refusals == self._disk.refusals
            if life is self._stage.current.life:
                break
        return held == Hold.HOST.value

    def _check_end(self, row: CancellationLook) -> None:
        self.note(f"cancellation of {row.payment_id} ended: {row.ended_as}")
        state = self._paymego.state(row.receipt_id)
        if state == 50 and row.ended_as == "cancelled":
            # By the one true time, or by the till's clock, which somebody may have set in between.
            apart_ms = max(max(times) - min(times) for times in zip(*self._fifties[row.receipt_id], strict=True))
            waited_ms = 0 if row.confirmed_at is None else self._stage.wall_ms() - row.confirmed_at
            if min(waited_ms, apart_ms) < _CONFIRMING_MS:
                self.fault(5, f"cancellation {row.cancellation_id} ended, but Payme did not confirm it")
            return
        payment = self.rows.payment(row.payment_id)
        is_acknowledged = payment is not None and payment.acknowledged_at is not None
        if row.ended_as == "recorded" and row.cause == "unrecorded" and row.begun_at is None and is_acknowledged:
            return
        refusals = [h.outcome for _, h in self._heard[row.receipt_id] if isinstance(h.outcome, ServerError)]
        ignored = bool(refusals) and refusals[-1].code in self._settings().ignored_errors
        if payment is None or payment.state != "recorded" or not ignored:
            self.fault(5, f"cancellation {row.cancellation_id} ended while Payme was at {state}: {row.ended_as}")

    def _said(self, payment: PaymentLook, life: Life | None) -> int | None:
        """Return what the latest answer that is bound to a receipt said to a process; None: there is none."""
        for client, heard in reversed(self._heard[payment.receipt_id or ""]):
            if client.life is life and isinstance(heard.outcome, Answer):
                state = _bound_state(heard, heard.outcome, payment)
                if state is not None:
                    return state
        return None

    # What the host calls.

    @contextmanager
    def being_ready(self, life: Life) -> Iterator[None]:
        """Note that ``on_ready`` runs."""
        self._readying.add(life)
        try:
            yield
        finally:
            self._readying.discard(life)

    def check_ready(self, process: Process) -> None:
        """Check that ``on_ready`` has decided what earlier processes left."""
        self.note("on_ready returned")
        for payment in self.rows.payments():
            is_open = payment.state in {*_UNFINISHED, "paid"} and payment.acknowledged_at is None
            is_asked = self._pending.get(payment.payment_id) is process.life
            if is_open and payment.owner != process.storage.owner and not is_asked:
                self.fault(6, f"on_ready left {payment.payment_id} {payment.state}")

    def check_acknowledged(self, payment_id: str) -> None:
        """Check that an acknowledgement is durable when its hook has returned."""
        payment = self.rows.payment(payment_id)
        if payment is None or payment.acknowledged_at is None or payment.state == "paid":
            self.fault(4, f"{payment_id} is acknowledged, and the journal does not say so")
        self._pending.pop(payment_id, None)

    def cancel_ended(self, payment_id: str, returned: str) -> None:
        """Note that ``on_cancel`` has returned."""
        self.note(f"{payment_id}: on_cancel returned {returned}")
        self._pending.pop(payment_id, None)

    def check_stop(self, process: Process) -> None:
        """Check that every returned result is durable when the till has stopped."""
        if not self._disk.failing and self._stage.monotonic() >= self._disk.full_until:
            self._check_returned(process.life)

    def _check_returned(self, life: Life | None) -> None:
        """Check that every result that a process has returned is durable by now."""
        for payment_id, returned_by in self._returned.items():
            payment = self.rows.payment(payment_id) if returned_by is life else None
            if payment is not None and payment.state in _UNFINISHED:
                self.fault(3, f"the result of {payment_id} was returned and never stored: it is {payment.state}")

    def payment_began(self, payment_id: str, *, repeated: bool) -> None:
        """Note that ``on_payment`` begins."""
        self._running[payment_id] = self._stage.current
        self._sent_before[payment_id] = len(self._paymego.sent)
        life = self._stage.current.life
        # What could not be stored before is stored first.
        self._commits[payment_id] = 0 if life is None else -len(self.processes[life].background.unstored)
        self._result_at.pop(payment_id, None)
        self._returned.pop(payment_id, None)
        self._refusals[payment_id] = self._disk.refusals
        if repeated:
            self._repeating.add(payment_id)

    def payment_ended(self, payment_id: str, result: PaymentResult | None) -> None:
        """Check what ``on_payment`` returned, and the time that it took; None: its process died in it."""
        self._running.pop(payment_id, None)
        is_repeated = payment_id in self._repeating
        self._repeating.discard(payment_id)
        if result is None:
            return
        self.note(f"{payment_id}: on_payment returned {result.status.name}")
        if result.status is PaymentStatus.PENDING:
            self._pending[payment_id] = self._stage.current.life
            return
        self._pending.pop(payment_id, None)
        if result.status is PaymentStatus.PAID and self._refusals[payment_id] == self._disk.refusals:
            # What could not be stored is stored before anything else, and now the disk takes everything.
            self._check_returned(self._stage.current.life)
        self._returned[payment_id] = self._stage.current.life
        if result.status is PaymentStatus.PAID:
            self._check_returned_paid(payment_id, is_repeated=is_repeated)
        self._check_time(payment_id, result.receipt_id)

    def _check_time(self, payment_id: str, receipt_id: str | None) -> None:
        """Check the time from the first pay until the result was durable, and until the hook returned."""
        sent = self._paymego.sent[self._sent_before[payment_id] :]
        pays = [each.at_s for each in sent if each.method == "receipts.pay" and each.receipt_id == receipt_id]
        if not pays:
            return
        settings, now_s = self._settings(), self._stage.monotonic()
        limit_s = max(settings.pay_duration_ms / 1000, settings.timeout_s) + settings.timeout_s + 1
        durable_s = self._result_at.get(payment_id, pays[0]) - pays[0]
        if durable_s > limit_s:
            self.fault(7, f"the result of {payment_id} was durable after {durable_s:.1f} s, not {limit_s:.0f} s")
        if now_s - pays[0] > limit_s + settings.timeout_s:
            self.fault(7, f"on_payment of {payment_id} took {now_s - pays[0]:.1f} s after its first pay")

    def _check_returned_paid(self, payment_id: str, *, is_repeated: bool) -> None:
        payment = self.rows.payment(payment_id)
        if payment is None or payment.state not in _PAID:
            says = payment.state if payment else "nothing"
            self.fault(3, f"PAID was returned for {payment_id}, and the journal says {says}")
            return
        pays = sum(sent.method == "receipts.pay" for _, sent in self._sent[payment.receipt_id or ""])
        if not is_repeated and pays == 1 and self._commits[payment_id] > _MOST_COMMITS:
            self.fault(7, f"{payment_id} took {self._commits[payment_id]} commits")

    # At the end.

    def check_rest(self, secrets: tuple[str, ...], logged: str) -> None:
        """Check that no secret was written down, and that the events tell what the rows say."""
        written = self.rows.dump() + logged
        for secret in secrets:
            if secret in written:
                self.fault(8, f"a secret of {len(secret)} characters was written down")
        for payment in self.rows.payments():
            if self._state.get(payment.payment_id) != payment.state:
                self.fault(10, f"{payment.payment_id} is {payment.state}, its trace says otherwise")


def _state_of(heard: Heard, answer: Answer) -> int | None:
    """Return the state that an answer gives, whoever's it is."""
    result = answer.result
    if isinstance(result, Mapping) and heard.method != "receipts.check":
        result = result.get("receipt") or {}  # type: ignore[assignment] # whatever the server sent
    state = result.get("state") if isinstance(result, Mapping) else None
    return state if isinstance(state, int) and not isinstance(state, bool) else None


def _proves(outcome: object) -> bool:
    """Say whether an answer to a pay, which is ours by its id, proves that nothing was charged."""
    return isinstance(outcome, ServerError) and outcome.bound and outcome.code in _PROOFS


def _bound_state(heard: Heard, answer: Answer, payment: PaymentLook) -> int | None:
    """Return the state in an answer that is bound to a payment's receipt, by the contract's rule; else None."""
    state = _state_of(heard, answer)
    if heard.method == "receipts.check":
        result = answer.result if isinstance(answer.result, Mapping) else {}
        fits = result.get("_id") in {None, payment.receipt_id} and result.get("amount") in {None, payment.amount}
        return state if answer.bound and fits else None
    receipt = answer.result.get("receipt") if isinstance(answer.result, Mapping) else None
    if not isinstance(receipt, Mapping):
        return None
    facts = (receipt.get("_id"), receipt.get("amount"))
    if heard.method == "receipts.get":
        return state if facts == (payment.receipt_id, payment.amount) else None
    fits = facts[0] in {None, payment.receipt_id} and facts[1] in {None, payment.amount}
    return state if answer.bound and fits else None
