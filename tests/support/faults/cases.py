"""The matrix: which fault hits which request of a sale, and when the request's effect comes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from faults.answer_faults import WIRE_FAULTS
from faults.network import ROUTE_FAULTS
from faults.proxy import Phase
from faults.wrong_answers import SHAPES, SOUND_BUT_NOT_OURS, STATUSES

FORGOTTEN = "a connection that a NAT forgot"
"""What is sent on it is lost without a sign; a new connection works."""

ANSWER_FAULTS = {**WIRE_FAULTS, **STATUSES, **SHAPES, FORGOTTEN: WIRE_FAULTS["accepted and silent"]}
"""What is done to an answer, by the fault's name."""


class Target(Enum):
    """The request that a fault hits: of which method, and in which hook or command."""

    CREATE = ("create", "receipts.create", "on_payment")
    PAY = ("pay", "receipts.pay", "on_payment")
    CHECK = ("check", "receipts.check", "on_payment")
    GET = ("get", "receipts.get", "on_payment")
    CANCEL = ("cancel", "receipts.cancel", "on_cancel")
    CHECK_CANCEL = ("check-cancel", "receipts.check", "on_cancel")
    GET_CANCEL = ("get-cancel", "receipts.get", "on_cancel")
    REFUND = ("refund", "receipts.cancel", "on_full_refund")
    CHECK_REFUND = ("check-refund", "receipts.check", "on_full_refund")
    FISCAL = ("fiscal", "receipts.set_fiscal_data", "on_receipt_closed")
    LIST = ("list", "receipts.get_all", "payme reconcile")

    def __init__(self, label: str, method: str, hook: str) -> None:
        self.label = label
        self.method = method
        self.hook = hook

    @property
    def is_reversal(self) -> bool:
        """Whether its hook gives money back."""
        return self.hook in {"on_cancel", "on_full_refund"}


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix.

    Attributes:
        fault: the fault's name.
        target: what it hits; it lasts until the hook has returned.
        phase: when the request's effect comes.
        plain: over plain http, else https.
    """

    fault: str
    target: Target
    phase: Phase
    plain: bool = False

    def __str__(self) -> str:
        name = f"{self.fault}-{self.phase.value}-{self.target.label}".replace(" ", "_").replace("/", "_")
        return f"{name}-http" if self.plain else name


# What certainly ends as another fault does, wherever its effect comes: these stand for all of their kind.
_REPRESENTATIVES = (
    *("accepted and silent", "reset in the middle of the answer", "dripping body", "cut in a chunk"),
    *("a portal's page with 200", "502", "an earlier call's answer", "result and error"),
)
_WITHOUT_A_RECEIPT = frozenset({Target.FISCAL, Target.LIST})
_NO_LIE = {
    **dict.fromkeys(SOUND_BUT_NOT_OURS, _WITHOUT_A_RECEIPT),
    "another receipt": {Target.CREATE} | _WITHOUT_A_RECEIPT,  # a new receipt has whatever id Payme gives it
}
"""What says nothing wrong in an answer that names no receipt, no amount or no state."""
_SAME_METHOD_AGAIN = (Target.CHECK_CANCEL, Target.GET_CANCEL, Target.REFUND, Target.CHECK_REFUND)
_MOVING_MONEY = (Target.PAY, Target.CANCEL, Target.REFUND)
_WITH_EFFECT = (*_MOVING_MONEY, Target.CREATE, Target.FISCAL)


def all_cells() -> list[Cell]:
    """Return the cells: every fault on every request, before its effect, and wherever else the till acts otherwise."""
    cells = [Cell(fault, target, Phase.BEFORE) for fault in ROUTE_FAULTS for target in Target]
    cells += [Cell(fault, target, phase) for fault in ANSWER_FAULTS for target in Target for phase in Phase]
    cells += [Cell(fault, Target.PAY, Phase.BEFORE, plain=True) for fault in (*ROUTE_FAULTS, *_REPRESENTATIVES)]
    return [cell for cell in cells if cell.fault in ROUTE_FAULTS or _is_played(cell)]


def _is_played(cell: Cell) -> bool:
    """Return whether a fault of an answer is played there and then.

    Where money moves, it is before and after the effect. Elsewhere the till can't know, and acts as before the effect.
    Every fault hits every method once; a method that another hook sends too is hit there by the representatives.
    """
    fault, target, phase = cell.fault, cell.target, cell.phase
    if target in _NO_LIE.get(fault, ()) or (fault == FORGOTTEN and target in _WITHOUT_A_RECEIPT):
        return False  # the first request on a connection can't meet a forgotten one
    if fault == "HTTP/1.0":  # the answer is whole: a made-up one would be the truth
        return phase is Phase.AFTER
    if fault in _REPRESENTATIVES:
        return phase is Phase.BEFORE or target in (_MOVING_MONEY if phase is Phase.LATE else _WITH_EFFECT)
    if target in _SAME_METHOD_AGAIN and not (fault in SOUND_BUT_NOT_OURS and target.hook == "on_cancel"):
        return False
    return phase is Phase.BEFORE or (phase is Phase.AFTER and target in _MOVING_MONEY)
