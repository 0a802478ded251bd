"""What DESIGN promises for a cell of the matrix, told apart from the code: which verdict, and what must hold of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fault_proxy import Phase
from hostile_cells import FORGOTTEN, Scene
from hostile_stage import AMOUNT, BOUND_S, PAY_DURATION_S, TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hostile_cells import Cell
    from hostile_play import Seen

__all__ = ["expected_verdict", "lapses_of"]

_PASSING = frozenset({"HTTP/1.0", "the first addresses dead, a later one not"})
"""They slow an answer down at most."""

_NEVER_SENT = frozenset({"connection refused", "no address answers", "slow name look-up", "no such name"})
"""Certainly not a byte of the request has left."""

_MUTE = "accepted, then mute before TLS"

_SOUND_BUT_NOT_OURS = frozenset(
    {
        "another receipt",
        "an amount that is not ours",
        "the state as text",
        "the state true",
        "the state 4.0",
        "an unknown state",
    }
)
"""Answers that a server has given for certain, and that say nothing of our receipt."""


def expected_verdict(cell: Cell) -> str:
    """Return the one verdict that a cell may come to."""
    passes = cell.fault in _PASSING
    if cell.scene is Scene.FISCAL:
        return "closed"
    if cell.scene is Scene.CREATE:  # repeated once, on a new connection
        return "PAID" if passes or cell.fault == FORGOTTEN else "REFUSED"
    if cell.scene is Scene.PAY:
        return "PAID" if passes else _pay_verdict(cell)
    if cell.scene is Scene.CHECK:  # asked again, at the end on a new connection
        return "PAID" if passes or cell.fault == FORGOTTEN else "UNKNOWN"
    if cell.scene is Scene.GET:  # the slip alone depends on it
        return "PAID"
    if cell.scene is Scene.CHECK_CANCEL and cell.fault == FORGOTTEN:  # asked again on a new connection
        return "REVERSED"
    if passes or (cell.fault in _SOUND_BUT_NOT_OURS and cell.scene is Scene.CANCEL and cell.phase is Phase.AFTER):
        return "REVERSED"
    return "QUEUED"


def _pay_verdict(cell: Cell) -> str:
    if cell.phase in {Phase.DURING, Phase.AFTER}:
        return "PAID"
    never_sent = cell.fault in _NEVER_SENT or (cell.fault == _MUTE and not cell.plain)
    return "REFUSED" if never_sent else "UNKNOWN"


def lapses_of(cell: Cell, seen: Seen) -> list[str]:
    """Return every promise that a cell broke, in words."""
    return [words for held, words in _promises(cell, seen) if not held]


def _promises(cell: Cell, seen: Seen) -> Iterator[tuple[bool, str]]:
    yield seen.struck > 0, "the fault befell nothing"
    yield seen.faults == (), f"a hook raised: {seen.faults}"
    yield not seen.left, f"left to do: {seen.left}"
    yield seen.held == seen.recorded, f"Payme holds {seen.held} tiyin, the till has recorded {seen.recorded}"
    yield seen.pays <= 1, f"the code was sent {seen.pays} times"
    yield seen.status == expected_verdict(cell), f"{seen.status} where {expected_verdict(cell)} is due"
    if cell.scene is Scene.FISCAL:
        yield seen.took_s - seen.stalled_s < 1, f"the receipt closed only after {seen.took_s:.2f} s"
        return
    yield seen.since_pay_s - seen.stalled_s <= BOUND_S, f"{seen.since_pay_s:.2f} s from the first pay to the verdict"
    yield 1 <= len(seen.message.splitlines()) <= 3 and "Traceback" not in seen.message, f"text: {seen.message!r}"
    yield from _promises_of_payment(cell, seen) if cell.scene.hook == "on_payment" else _promises_of_reversal(seen)


def _promises_of_payment(cell: Cell, seen: Seen) -> Iterator[tuple[bool, str]]:
    is_paid = seen.status == "PAID"
    yield seen.slips == is_paid, f"{seen.slips} slips"
    if is_paid:
        yield seen.held_then >= AMOUNT, "PAID, and Payme holds nothing"
        yield not seen.cancellation, "PAID with a cancellation"
    elif cell.scene is Scene.CREATE:
        yield seen.pays == 0, "a code was sent for a receipt that nobody knows"
        yield not seen.cancellation, "a cancellation of a receipt that nobody knows"
        yield seen.creates <= 2, f"{seen.creates} receipts for one payment"
        yield seen.took_s - seen.stalled_s <= 2 * TIMEOUT_S + 1, f"refused only after {seen.took_s:.2f} s"
    else:
        yield seen.cancellation, "money may have moved, and no cancellation is durable"
    yield seen.status != "UNKNOWN" or seen.took_s >= PAY_DURATION_S, "UNKNOWN before time was over"


def _promises_of_reversal(seen: Seen) -> Iterator[tuple[bool, str]]:
    is_reversed = seen.status == "REVERSED"
    yield seen.slips == is_reversed, f"{seen.slips} slips"
    yield seen.cancellation == (seen.status == "QUEUED"), f"a cancellation queued: {seen.cancellation}"
    yield not is_reversed or seen.held_then == 0, "REVERSED while Payme holds the money"
