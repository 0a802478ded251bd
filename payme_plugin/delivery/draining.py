"""The queue of cancellations worked off at once, for a person who waits for it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from payme_plugin.ledger.states import Cause
from payme_plugin.operations.cancellation import Stepped

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.clock import Clock
    from payme_plugin.delivery.rounds import Rounds
    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.operations.cancellation import KassaDesk

__all__ = ["Drained", "deliver_due", "deliver_until_empty"]

_PAUSE_S = 0.5
_MOST_DUE = 1000


class Drained(Enum):
    """How the work on the queue ended."""

    EMPTY = "empty"
    """Nothing is live any more."""
    LEFT = "left"
    """Rows are left that can't be ended now."""


def deliver_due(rounds: Rounds, kassa: KassaDesk, is_recorded: Callable[[str], bool | None]) -> Drained:
    """Step every row that is due, once.

    Money effect: may cancel.
    """
    for row in rounds.rows.due(_MOST_DUE):
        rounds.step(row, kassa, is_recorded=_asked(row, is_recorded))
    return Drained.LEFT if rounds.rows.backlog()[0] else Drained.EMPTY


def deliver_until_empty(
    rounds: Rounds, kassa: KassaDesk, is_recorded: Callable[[str], bool | None], clock: Clock, patience_s: float
) -> Drained:
    """Step every live row whatever its pause, round after round.

    It ends when nothing is live; or when a whole round changed nothing and nothing is at 21. A row at 21, or in the
    hands of another worker, is waited for up to ``patience_s`` seconds (``payDuration``) after the last row that ended.

    Money effect: may cancel.
    """
    gives_up_at: float | None = None
    while True:
        came = [rounds.step(row, kassa, is_recorded=_asked(row, is_recorded)) for row in rounds.rows.live()]
        if not rounds.rows.backlog()[0]:
            return Drained.EMPTY
        if Stepped.DONE in came:
            gives_up_at = None
            continue
        if Stepped.ACCEPTED not in came and None not in came:
            return Drained.LEFT
        if gives_up_at is None:
            gives_up_at = clock.monotonic() + patience_s
        if clock.monotonic() >= gives_up_at:
            return Drained.LEFT
        clock.sleep(_PAUSE_S)


def _asked(row: CancellationRow, is_recorded: Callable[[str], bool | None]) -> bool | None:
    return is_recorded(row.payment_id) if row.cause is Cause.UNRECORDED else None
