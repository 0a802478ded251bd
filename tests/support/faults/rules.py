"""The result of a cell of the matrix, and what must hold of it, by docs/architecture.md and apart from the code."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from faults.cases import FORGOTTEN, Target
from faults.proxied_till import AMOUNT, BOUND_S, PAY_DURATION_S, TIMEOUT_S
from faults.proxy import Phase
from faults.wrong_answers import ANOTHER_AMOUNT, SOUND_BUT_NOT_OURS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.case_run import Seen
    from faults.cases import Cell

_PASSING = frozenset({"HTTP/1.0", "the first addresses dead, a later one not"})
"""They slow an answer down at most."""

_NEVER_SENT = frozenset({"connection refused", "no address answers", "slow name look-up", "no such name"})
"""Certainly not a byte of the request has left."""

_BUSY_MACHINE_S = 1.0
"""What a machine with other work may add. ``tests/payments`` holds the exact bound, on virtual time."""

_SILENT = "accepted, then silent before TLS"


def expected_status(cell: Cell) -> str:
    """Return the one result that a cell may have."""
    passes = cell.fault in _PASSING
    if cell.target is Target.FISCAL:
        return "closed"
    if cell.target is Target.LIST:
        return "listed" if passes else "no list"
    if cell.target is Target.CREATE:  # repeated once, on a new connection
        return "PAID" if passes or cell.fault == FORGOTTEN else "REFUSED"
    if cell.target is Target.PAY:
        return "PAID" if passes else _pay_status(cell)
    if cell.target is Target.CHECK:  # asked again, at the end on a new connection
        return "PAID" if passes or cell.fault == FORGOTTEN else "UNKNOWN"
    if cell.target is Target.GET:  # only the slip depends on it, unless it contradicts PAID
        return "REFUSED" if cell.fault == ANOTHER_AMOUNT else "PAID"
    return _reversal_status(cell, passes=passes)


def expected_cancellation(cell: Cell) -> bool:
    """Return whether the hook's result writes a cancellation."""
    if cell.target in {Target.CREATE, Target.FISCAL, Target.LIST}:  # no receipt is known, or nothing is to be returned
        return False
    # From the request to pay on there is a receipt: it is paid, it is cancelled at once, or it must be cancelled later.
    return expected_status(cell) not in {"PAID", "REVERSED"}


def _reversal_status(cell: Cell, *, passes: bool) -> str:
    if passes or cell.target is Target.GET_CANCEL:  # only the slip depends on that query
        return "REVERSED"
    if cell.target in {Target.CHECK_CANCEL, Target.CHECK_REFUND}:
        # A lost query is sent again on a new connection; a state that nobody knows does not keep from cancelling.
        return "REVERSED" if cell.fault in {FORGOTTEN, "an unknown state"} else "QUEUED"
    return "REVERSED" if cell.fault in SOUND_BUT_NOT_OURS and cell.phase is Phase.AFTER else "QUEUED"


def _pay_status(cell: Cell) -> str:
    if cell.phase in {Phase.DURING, Phase.AFTER}:
        return "PAID"
    never_sent = cell.fault in _NEVER_SENT or (cell.fault == _SILENT and not cell.plain)
    return "REFUSED" if never_sent else "UNKNOWN"


def _counted_s(cell: Cell, seen: Seen) -> float:
    """Return the time of a cell that is bound: from the first ``receipts.pay`` on, where the fault came after one."""
    return seen.took_s if cell.target is Target.CREATE else seen.since_pay_s


def _time_bound_s(cell: Cell) -> float:
    """Return how long that may be; guarantee 7's where a result is waited for."""
    bounds_s = {Target.CREATE: 2 * TIMEOUT_S + 1, Target.LIST: TIMEOUT_S + 1, Target.FISCAL: 1}
    return bounds_s.get(cell.target, BOUND_S)


def keeps_what_nothing_excuses(cell: Cell, seen: Seen) -> bool:
    """Return whether a cell kept every promise that no busy machine excuses."""
    return all(held for held, _ in _promises_in_any_case(cell, seen))


def violations(cell: Cell, seen: Seen) -> list[str]:
    """Return every promise that a cell broke, in words."""
    promises = chain(_promises_in_any_case(cell, seen), _promises_of_result_and_time(cell, seen))
    return [words for held, words in promises if not held]


def _promises_of_result_and_time(cell: Cell, seen: Seen) -> Iterator[tuple[bool, str]]:
    """Yield what a busy machine may break.

    If an answer is late, another result is right, and so are another cancellation and another request.
    """
    yield seen.hits > 0, "the fault hit nothing"
    yield seen.status == expected_status(cell), f"{seen.status} where {expected_status(cell)} is due"
    is_due = expected_cancellation(cell)
    yield seen.cancellation == is_due, f"a cancellation: {seen.cancellation} where {is_due} is due"
    time_s, bound_s = _counted_s(cell, seen), _time_bound_s(cell)
    yield time_s <= bound_s + _BUSY_MACHINE_S, f"{time_s:.2f} s"
    yield seen.hit_again or not _is_tried_again(cell, seen), "the worker's first try did not meet the fault"


def _is_tried_again(cell: Cell, seen: Seen) -> bool:
    """Return whether the worker has a cancellation to send while the fault lasts; one that had its effect is not."""
    is_without_effect = cell.phase in {Phase.BEFORE, Phase.LATE}
    return cell.target is Target.REFUND and seen.status == "QUEUED" and is_without_effect


def _promises_in_any_case(cell: Cell, seen: Seen) -> Iterator[tuple[bool, str]]:
    """Yield what holds of every result, the one that is due and any other."""
    yield seen.faults == (), f"a hook raised: {seen.faults}"
    yield not seen.left, f"left to do: {seen.left}"
    yield seen.held == seen.recorded, f"Payme holds {seen.held} tiyin, the till has recorded {seen.recorded}"
    yield seen.pays <= 1, f"the code was sent {seen.pays} times"
    yield seen.leaks == (), f"secrets were seen: {seen.leaks}"
    if cell.target is Target.FISCAL:  # its hook says nothing
        return
    yield 1 <= len(seen.message.splitlines()) <= 3 and "Traceback" not in seen.message, f"text: {seen.message!r}"
    if cell.target is Target.LIST:  # no hook's result
        return
    yield from _promises_of_payment(cell, seen) if cell.target.hook == "on_payment" else _promises_of_reversal(seen)


def _promises_of_payment(cell: Cell, seen: Seen) -> Iterator[tuple[bool, str]]:
    is_paid = seen.status == "PAID"
    yield seen.slips == is_paid, f"{seen.slips} slips"
    if is_paid:
        yield seen.held_then >= AMOUNT, "PAID, and Payme holds nothing"
        yield not seen.cancellation, "PAID with a cancellation"
    elif cell.target is Target.CREATE and expected_status(cell) != "PAID":
        yield seen.pays == 0, "a code was sent for a receipt that nobody knows"
        yield not seen.cancellation, "a cancellation of a receipt that nobody knows"
        yield seen.creates <= 2, f"{seen.creates} receipts for one payment"
    elif seen.status != "REFUSED" or _has_come_to_pay(cell, seen):
        yield seen.cancellation, "money may have moved, and no cancellation is durable"
    if expected_status(cell) == "REFUSED" and cell.target is Target.PAY:
        yield seen.pays == 0, "a code was sent after its time was over"
    yield seen.status != "UNKNOWN" or seen.took_s >= PAY_DURATION_S, "UNKNOWN before time was over"


def _has_come_to_pay(cell: Cell, seen: Seen) -> bool:
    """Return whether a code may have been sent: it arrived, or it met the fault, as what comes after it does.

    Where the answer to ``receipts.create`` was late, it was the second ``receipts.create`` that met the fault.
    """
    return seen.pays > 0 or (cell.target is not Target.CREATE and seen.hits > 0 and seen.knows_receipt)


def _promises_of_reversal(seen: Seen) -> Iterator[tuple[bool, str]]:
    is_reversed = seen.status == "REVERSED"
    yield seen.slips == is_reversed, f"{seen.slips} slips"
    yield seen.cancellation == (seen.status == "QUEUED"), f"a cancellation queued: {seen.cancellation}"
    yield not is_reversed or seen.held_then == 0, "REVERSED while Payme holds the money"
