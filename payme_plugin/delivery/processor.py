"""What a cancellation that is due gets: an offer to the host's queue, or a step under its lease.

Several threads and processes may work on the same journal: a row is stepped by the one that holds its lease.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from payme_plugin.delivery.messages import message_of
from payme_plugin.ledger.cancellations import FARTHEST_DUE_MS, Cancellations
from payme_plugin.ledger.errors import Conflict, JournalError
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.log import Log
from payme_plugin.operations.cancellation import CancellationStep, StepOutcome
from payme_plugin.operations.fiscal import send_fiscal_link

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import QueueMessage
    from payme_plugin.clock import Clock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.locks import Leases
    from payme_plugin.ledger.rows import CancellationRow, FiscalLinkRow
    from payme_plugin.operations.cancellation import MerchantClient

__all__ = ["OFFER_PAUSE_MS", "CancellationProcessor"]

_log = Log()

_FIRST_LINK_LEASE = 1 << 40

OFFER_PAUSE_MS = FARTHEST_DUE_MS
"""How long the host's queue has a row to itself before our own worker takes it too: one hour."""


class CancellationProcessor:
    """Works on the cancellations of one journal; any thread may.

    Args:
        journal: where they are; a connection of the worker's own.
        leases: the locks on its rows.
        clock: time.
        jitter: gives numbers from 0 to 1 for the pauses.

    Attributes:
        journal: as given.
        rows: its cancellations.
        links: its fiscal links.
        stepper: makes the steps.
    """

    def __init__(self, journal: Journal, leases: Leases, clock: Clock, jitter: Callable[[], float]) -> None:
        self.journal = journal
        self.rows = Cancellations(journal)
        self.links = FiscalLinks(journal)
        self.stepper = CancellationStep(journal, clock, jitter)
        self._clock = clock
        self._leases = leases
        self._jitter = jitter
        self._offered_here: set[int] = set()

    def offer(self, row: CancellationRow, enqueue: Callable[[QueueMessage], bool]) -> bool:
        """Offer a row to the host's queue once, under its lease; return whether the queue took it and has it to itself.

        Where it can't be stored that the queue took it, this process steps the row itself and offers it no more: both
        may step it, which harms nobody.

        Args:
            row: a live row.
            enqueue: the host's; False: it has no queue, or it can't take the message.

        Raises:
            JournalError: from ``enqueue``, or there is no lease to take; nothing was offered.

        Money effect: none.
        """
        if row.offered_at is not None or row.cancellation_id in self._offered_here:
            return False
        with self._leases.try_acquire(row.cancellation_id) as is_ours:
            if not is_ours or not enqueue(message_of(row)):
                return False
            try:
                with contextlib.suppress(Conflict):
                    self.rows.offer(row, OFFER_PAUSE_MS)
            except JournalError as error:
                _log.error("cancellation %d: %s", row.cancellation_id, error)
                self._offered_here.add(row.cancellation_id)
                return False
        return True

    def step(self, row: CancellationRow, kassa: MerchantClient, *, is_recorded: bool | None) -> StepOutcome | None:
        """Step a row, if its lease is free; None: another one has it, or nothing could be stored.

        Money effect: may cancel, the whole amount of the row's receipt.
        """
        try:
            with self._leases.try_acquire(row.cancellation_id) as is_ours:
                if not is_ours:
                    return None
                now = self.journal.cancellation(row.cancellation_id)
                if now is None or now.ended_at is not None:
                    return StepOutcome.DONE
                return self.stepper.step(now, kassa, is_recorded=is_recorded)
        except JournalError as error:
            _log.error("cancellation %d: %s", row.cancellation_id, error)
            return None

    def send_link(self, row: FiscalLinkRow, kassa: MerchantClient) -> bool:
        """Tell Payme of a fiscal receipt, if the row's lease is free; False: another one has it, or nothing was stored.

        Money effect: none.
        """
        try:
            with self._leases.try_acquire(_FIRST_LINK_LEASE + row.fiscal_link_id) as is_ours:
                if is_ours and self.links.is_live(row):
                    send_fiscal_link(self.journal, row, kassa, self._clock, self._jitter())
                return is_ours
        except JournalError as error:
            _log.error("fiscal link %d: %s", row.fiscal_link_id, error)
            return False
