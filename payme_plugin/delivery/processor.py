"""Deliver cancellations and fiscal receipts: offer a row to the host's queue, hand it over to a broker, or step it.

Several threads and processes may work on one journal; a row is stepped only by the holder of its lease.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from payme_plugin.delivery.host_queue import message_of
from payme_plugin.ledger.cancellations import CONFIRMING_MS, FARTHEST_DUE_MS, Cancellations
from payme_plugin.ledger.errors import Conflict, JournalError
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.log import Log
from payme_plugin.operations.cancellation import CancellationStep, StepOutcome, pause_ms
from payme_plugin.operations.fiscal import send_fiscal_link
from payme_plugin.paymego.states import ReceiptState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hookspecs import QueueMessage
    from payme_plugin.clock import Clock
    from payme_plugin.delivery.chain_messages import OutcomeMessage
    from payme_plugin.delivery.relay import Relay
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.locks import Leases
    from payme_plugin.ledger.rows import CancellationRow, FiscalLinkRow
    from payme_plugin.operations.cancellation import MerchantClient

    Merchants = Mapping[str, MerchantClient]

_log = Log()

_FIRST_LINK_LEASE = 1 << 40
"""Leases of fiscal links are numbered from here, because those of cancellations have the numbers of their rows."""
_RANDOM = secrets.SystemRandom()
_PAUSE_S = 0.5
_LONGEST_WAIT_MS = 60_000
"""The longest pause of a row after the broker could not be reached."""
_WAITED_FOR = frozenset({StepOutcome.ACCEPTED, None})


class DeliveryHost(Protocol):
    """What a processor needs from the host. Either method may raise ``JournalError``."""

    def is_recorded(self, payment_id: str) -> bool | None:
        """Return whether the host has a payment, or None if that is unknown."""

    def enqueue(self, message: QueueMessage) -> bool:
        """Return whether the host's queue took a message."""


class Delivery(Protocol):
    """What a worker and the host's queue need; a till's background or a command implements it."""

    def processor(self) -> CancellationProcessor:
        """Return the processor of the rows; raise ``JournalError`` if the journal can't be used."""

    def merchants(self) -> Merchants | None:
        """Return the merchant accounts in the current settings, by posId, or None if they can't be used."""

    def relay(self) -> Relay | None:
        """Return the relay to the central workers of a chain, or None if the settings name no broker."""

    def do_housekeeping(self) -> None:
        """Do the housekeeping before a worker delivers what is due."""

    def yield_to_sale(self) -> bool:
        """Wait a short time while a sale is running; return whether none is."""

    def abort_requests(self) -> None:
        """Abort the running request, so that no thread waits for its answer, and send no other."""


class CancellationProcessor:
    """Works on the cancellations and fiscal links of one journal; any thread may use it.

    Args:
        journal: a connection of its own.
        leases: the leases of the journal's rows.
        host: has the payments, and perhaps a queue.
        clock: time.
        jitter: returns numbers from 0 to 1, for the pauses; by default random ones.

    Attributes:
        journal: as given.
        cancellations: those of the journal.
        links: its fiscal links.
        steps: makes one step of a row.
        links_ended: how many fiscal receipts Payme did not take in 3 days.
        unknown_at: by row, the server where a receipt was made and the one that was asked and does not know it.
        busy: the cancellations whose lease was taken at their last step, and since when, on the monotonic clock.
    """

    def __init__(
        self,
        journal: Journal,
        leases: Leases,
        host: DeliveryHost,
        clock: Clock,
        jitter: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self.journal = journal
        self.cancellations = Cancellations(journal)
        self.links = FiscalLinks(journal)
        self.steps = CancellationStep(journal, clock, jitter)
        self.links_ended = 0
        self.unknown_at: dict[int, tuple[str, str]] = {}
        self.busy: dict[int, float] = {}
        self._leases = leases
        self._host = host
        self._clock = clock
        self._jitter = jitter
        self._offered_here: set[int] = set()  # taken by a queue, and that could not be stored

    def offer(self, row: CancellationRow) -> bool:
        """Offer a row to the host's queue once, under its lease; return whether the queue took it.

        Only the queue works on it for an hour, then our worker does too. If it can't be stored that the queue took it,
        this process steps the row at once and does not offer it again. A row in both places is harmless, because each
        step asks for the state first.
        """
        if row.offered_at is not None or row.confirmed_at is not None or row.cancellation_id in self._offered_here:
            return False
        try:
            with self._leases.try_acquire(row.cancellation_id) as is_ours:
                if not is_ours or not self._host.enqueue(message_of(row)):
                    return False
                self._offered_here.add(row.cancellation_id)
                with contextlib.suppress(Conflict):
                    self.cancellations.offer(row, FARTHEST_DUE_MS, "the host's queue")
                self._offered_here.discard(row.cancellation_id)
        except JournalError as error:
            _log.error("cancellation %d is offered to the host's queue: %s", row.cancellation_id, error)
            return False
        return True

    def is_recorded(self, row: CancellationRow) -> bool | None:
        """Return whether the host vetoes the row's ``receipts.cancel``, or None if it can't tell or isn't asked.

        Raises:
            JournalError: it is unknown whether this host may be asked.
        """
        return self._host.is_recorded(row.payment_id) if row.may_be_vetoed else None

    def step(
        self, row: CancellationRow, merchants: Merchants | None, *, is_recorded: bool | None, relay: Relay | None = None
    ) -> StepOutcome | None:
        """Hand a row over, or step it; return None if no next due time was stored, e.g. because its lease is taken.

        Args:
            row: the row as it was read.
            merchants: the merchant accounts by posId, or None if they can't be used.
            is_recorded: the host's answer about the payment.
            relay: hands rows over to the central workers of a chain; None: there are none.

        Money effect: may cancel, the whole amount of the row's receipt.
        """
        try:
            with self._leases.try_acquire(row.cancellation_id) as is_ours:
                if not is_ours:
                    self.busy.setdefault(row.cancellation_id, self._clock.monotonic())
                    return None
                self.busy.pop(row.cancellation_id, None)
                payment = self.journal.payment(row.payment_id)
                if row.may_be_vetoed and (is_recorded or payment.acknowledged_at is not None):
                    self.journal.acknowledge(payment)
                current = self.journal.cancellation(row.cancellation_id)
                if current is None or current.ended_at is not None:
                    return StepOutcome.DONE
                if (current.confirmed_at is None) is not (row.confirmed_at is None):  # by another process meanwhile
                    return StepOutcome.DONE
                if relay is not None and (outcome := self._hand_over(current, relay, is_recorded)) is not None:
                    return outcome
                if merchants is None:
                    return None
                merchant = merchants.get(current.pos_id)
                outcome = self.steps.step(current, merchant, is_recorded=is_recorded)
                self.unknown_at.pop(row.cancellation_id, None)
                if outcome is StepOutcome.UNKNOWN and merchant is not None:
                    self.unknown_at[row.cancellation_id] = _host_of(row.url), _host_of(merchant.url)
                return outcome
        except JournalError as error:
            _log.error("cancellation %d: %s", row.cancellation_id, error)
            return None

    def _hand_over(self, row: CancellationRow, relay: Relay, is_recorded: bool | None) -> StepOutcome | None:
        """Hand a row over to the central workers; return None if this till has to step it itself.

        A till steps a row itself if it was handed over before (an hour ago, unless that could not be stored), if the
        row is an hour old, or if it is confirming. It also does so if the row may be held: if the host has the payment,
        or for its age.

        Money effect: a central worker may cancel, the whole amount of the row's receipt.
        """
        from payme_plugin.delivery.chain_messages import ChainMessage  # noqa: PLC0415 - only a till of a chain needs it

        if row.offered_at is not None or row.confirmed_at is not None or row.cancellation_id in self._offered_here:
            return None
        age_ms = self.journal.now_ms() - row.created_at
        is_late = not 0 <= age_ms < FARTHEST_DUE_MS  # below 0: the clock was set back, so nobody knows the age
        if is_late or row.is_vetoed(is_recorded) or self.steps.may_be_old(row):
            return None
        try:
            if row.begun_at is None:
                self.cancellations.begin(row)
                row = self.cancellations.still_live(row)
            if not relay.publish(ChainMessage.of(row, self.journal.host_identity)):
                pause = min(pause_ms(row.attempts, self._jitter()), _LONGEST_WAIT_MS)
                self.cancellations.postpone(row, pause, "the broker can't be reached")
                return StepOutcome.LATER
            # A row that can't be stored as handed over is stepped here too; that is harmless.
            self._offered_here.add(row.cancellation_id)
            self.cancellations.offer(row, FARTHEST_DUE_MS, "the broker")
            self._offered_here.discard(row.cancellation_id)
        except Conflict:
            return StepOutcome.DONE
        return StepOutcome.ACCEPTED

    def take_outcome(self, outcome: OutcomeMessage) -> None:
        """Store what Payme said to a central worker; ignore what isn't about a live row of this journal.

        Raises:
            JournalError: it could not be stored; this till asks Payme itself later.
        """
        row = self.journal.cancellation(outcome.cancellation_id)
        if row is None or row.receipt_id != outcome.receipt_id or row.begun_at is None:
            return
        if outcome.state != ReceiptState.CANCELLED:
            return
        # The times of Payme's answers count: a till may read two outcomes of the same minute long after each other.
        is_second = outcome.confirmed_at is not None and outcome.at - outcome.confirmed_at >= CONFIRMING_MS
        # An outcome may be older than the state for which this till reopened the row, so the till asks Payme itself.
        if row.confirmed_at is not None and (not is_second or row.reopened_at is not None):
            return
        with self._leases.try_acquire(row.cancellation_id) as is_ours, contextlib.suppress(Conflict):
            if is_ours:
                self.cancellations.confirm(row, "Payme says cancelled (50), to a central worker")

    def deliver(self, row: CancellationRow, merchants: Merchants) -> StepOutcome | None:
        """Ask the host whether it has the row's payment, then step the row; return as ``step``.

        Raises:
            JournalError: it is unknown whether this host may be asked.

        Money effect: may cancel, the whole amount of the row's receipt.
        """
        return self.step(row, merchants, is_recorded=self.is_recorded(row))

    def send_link(self, row: FiscalLinkRow, merchants: Merchants) -> bool:
        """Send a fiscal receipt to Payme; return False if the lease is taken or nothing was stored."""
        try:
            with self._leases.try_acquire(_FIRST_LINK_LEASE + row.fiscal_link_id) as is_ours:
                if is_ours and self.links.is_live(row):
                    self.links_ended += send_fiscal_link(
                        self.journal, row, merchants.get(row.pos_id), self._clock, self._jitter()
                    )
                return is_ours
        except JournalError as error:
            _log.error("fiscal link %d: %s", row.fiscal_link_id, error)
            return False

    def deliver_due(self, merchants: Merchants) -> None:
        """Step every row that is due, once.

        Money effect: may cancel.
        """
        for row in self.cancellations.due():
            self.deliver(row, merchants)

    def deliver_until_empty(self, merchants: Merchants, patience_s: float) -> bool:
        """Step all live rows once, ignoring their pauses; return whether none is live any more.

        Before them, confirming rows that are due are stepped. Rows in state 21 or with a taken lease are stepped
        repeatedly, until ``patience_s`` seconds (``payDuration``) after the first pass, or after the last row that
        ended.

        Money effect: may cancel.
        """
        for row in self.cancellations.due():
            if row.confirmed_at is not None:
                self.deliver(row, merchants)
        gives_up_at: float | None = None
        rows = self.cancellations.live()
        while rows:
            outcomes = {row.cancellation_id: self.deliver(row, merchants) for row in rows}
            now = self._clock.monotonic()
            if gives_up_at is None or StepOutcome.DONE in outcomes.values():
                gives_up_at = now + patience_s
            if now >= gives_up_at:
                return False
            waits_for = {number for number, outcome in outcomes.items() if outcome in _WAITED_FOR}
            rows = [row for row in self.cancellations.live() if row.cancellation_id in waits_for]
            if rows:
                self._clock.sleep(_PAUSE_S)
        return self.cancellations.backlog()[0] == 0

    def send_links(self, merchants: Merchants, patience_s: float, *, due_only: bool) -> None:
        """Send each pending fiscal receipt once; begin none after ``patience_s`` seconds.

        Args:
            merchants: the merchant accounts in the settings, by posId.
            patience_s: seconds after which no request is begun.
            due_only: skip rows whose pause is not over.

        Raises:
            JournalError: they can't be read.
        """
        gives_up_at = self._clock.monotonic() + patience_s
        for row in self.links.due() if due_only else self.links.live():
            if self._clock.monotonic() >= gives_up_at:
                return
            self.send_link(row, merchants)


def _host_of(url: str) -> str:
    return urlsplit(url).hostname or url
