"""The queue of cancellations worked off at once, for a person who waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.states import Cause
from payme_plugin.operations.cancellation import StepOutcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.clock import Clock
    from payme_plugin.delivery.processor import CancellationProcessor
    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.operations.cancellation import MerchantClient

__all__ = ["deliver_due", "deliver_until_empty", "send_links"]

_PAUSE_S = 0.5
_MOST_DUE = 1000
_WAITED_FOR = frozenset({StepOutcome.ACCEPTED, None})


def deliver_due(
    rounds: CancellationProcessor, kassa: MerchantClient, is_recorded: Callable[[str], bool | None]
) -> None:
    """Step every row that is due, once.

    Money effect: may cancel.
    """
    for row in rounds.rows.due(_MOST_DUE):
        rounds.step(row, kassa, is_recorded=_asked(row, is_recorded))


def deliver_until_empty(
    rounds: CancellationProcessor,
    kassa: MerchantClient,
    is_recorded: Callable[[str], bool | None],
    clock: Clock,
    patience_s: float,
) -> bool:
    """Step every live row whatever its pause, round after round; return whether none is left.

    It ends when nothing is live; or when a whole round changed nothing and nothing is at 21. A row at 21, or in the
    hands of another worker, is waited for up to ``patience_s`` seconds (``payDuration``) after the last row that ended;
    the others are left alone meanwhile.

    Money effect: may cancel.
    """
    gives_up_at: float | None = None
    waits_for: set[int] = set()
    has_changed = False
    while rows := rounds.rows.live():
        is_whole = not waits_for
        came = {
            row.cancellation_id: rounds.step(row, kassa, is_recorded=_asked(row, is_recorded))
            for row in rows
            if is_whole or row.cancellation_id in waits_for
        }
        has_ended = StepOutcome.DONE in came.values() or not (is_whole or came.keys() == waits_for)
        has_changed = has_ended or (has_changed and not is_whole)
        waits_for = {number for number, stepped in came.items() if stepped in _WAITED_FOR}
        gives_up_at = clock.monotonic() + patience_s if has_ended or gives_up_at is None else gives_up_at
        if not waits_for:
            if not has_changed:
                return False
        elif clock.monotonic() >= gives_up_at:
            return False
        elif not has_ended:
            clock.sleep(_PAUSE_S)
    return rounds.rows.backlog()[0] == 0


def send_links(
    rounds: CancellationProcessor, kassa: MerchantClient, clock: Clock, patience_s: float, *, due_only: bool
) -> None:
    """Tell Payme of the fiscal receipts that wait, each once, for at most ``patience_s`` seconds.

    Args:
        rounds: works on them.
        kassa: what the settings hold.
        clock: time.
        patience_s: nothing is begun after it.
        due_only: leave those alone whose pause is not over.

    Raises:
        JournalError: they can't be read.

    Money effect: none.
    """
    gives_up_at = clock.monotonic() + patience_s
    for row in rounds.links.due(_MOST_DUE) if due_only else rounds.links.live():
        if clock.monotonic() >= gives_up_at:
            return
        rounds.send_link(row, kassa)


def _asked(row: CancellationRow, is_recorded: Callable[[str], bool | None]) -> bool | None:
    return is_recorded(row.payment_id) if row.cause is Cause.UNRECORDED else None
