"""The matrix: which fault befalls which request of a sale, and when its effect comes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from faults.answer_faults import STRIKES, phases_of
from faults.proxy import Phase
from faults.proxy_answers import SHAPES, SOUND_BUT_NOT_OURS, STATUSES
from faults.route_faults import ROADS

if TYPE_CHECKING:
    from faults.proxy import Strike

FORGOTTEN = "a connection that a NAT forgot"
"""What is sent on it is lost without a sign; a new connection works."""


class Scene(Enum):
    """A hook's work, or a command's, and the method in it that the fault befalls."""

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
    def has_effect(self) -> bool:
        """Whether the method changes anything at Payme."""
        return self.method not in {"receipts.check", "receipts.get", "receipts.get_all"}

    @property
    def is_reversal(self) -> bool:
        """Whether its hook gives money back."""
        return self.hook in {"on_cancel", "on_full_refund"}


_STRIKES = {**STRIKES, **STATUSES, **SHAPES, FORGOTTEN: STRIKES["accepted and silent"]}
_HOLDING_BACK = [fault for fault in STRIKES if Phase.BEFORE in phases_of(fault)]
_LATE_MATTERS = (Scene.PAY, Scene.CANCEL, Scene.REFUND)
_BOTH = (Phase.BEFORE, Phase.AFTER)
_ANSWERED_TOO_SOON = {
    "a portal's page with 200",
    "429 with Retry-After",
    "502",
    "an earlier call's answer",
    "result and error",
}
"""Answers of each kind that stand for all where the effect comes after them."""
_NAMES_NOTHING = frozenset({Scene.FISCAL, Scene.LIST})
_NO_LIE = {
    **dict.fromkeys(SOUND_BUT_NOT_OURS, _NAMES_NOTHING),
    "another receipt": {Scene.CREATE} | _NAMES_NOTHING,  # a new receipt has whatever id Payme gives it
}
"""What says nothing wrong in an answer that names no receipt, no amount or no state."""
_FIRST_ON_ITS_CONNECTION = (Scene.FISCAL, Scene.LIST)
_STANDING_FOR_ALL = {
    *ROADS,
    "accepted and silent",
    "reset in the middle of the answer",
    "dripping body",
    "cut in a chunk",
    "HTTP/1.0",
    *_ANSWERED_TOO_SOON,
}
"""What befalls a refund: it asks and cancels by the same code as a cancel, which all faults befall."""


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix.

    Attributes:
        fault: the fault's name.
        scene: what it befalls; it lasts until the hook has returned.
        phase: when the request's effect comes.
        plain: over plain http, else https.
    """

    fault: str
    scene: Scene
    phase: Phase
    plain: bool = False

    def __str__(self) -> str:
        name = f"{self.fault}-{self.phase.value}-{self.scene.label}".replace(" ", "_").replace("/", "_")
        return f"{name}-http" if self.plain else name


def wire_cells() -> list[Cell]:
    """Return the cells of the faults of the network."""
    cells = [Cell(road, scene, Phase.BEFORE) for road in ROADS for scene in Scene]
    cells += [
        Cell(strike, scene, phase)
        for strike in STRIKES
        for scene in Scene
        for phase in Phase
        if phase in phases_of(strike) and (phase is not Phase.DURING or scene.has_effect)
    ]
    cells += [Cell(strike, scene, Phase.LATE) for strike in _HOLDING_BACK for scene in _LATE_MATTERS]
    # The first request on a connection can't meet it.
    old = [scene for scene in Scene if scene not in _FIRST_ON_ITS_CONNECTION]
    cells += [Cell(FORGOTTEN, scene, phase) for scene in old for phase in _BOTH]
    plain = [cell for cell in cells if cell.scene is Scene.PAY and cell.phase in _BOTH]
    cells += [replace(cell, plain=True) for cell in plain]
    return [cell for cell in cells if _differs(cell, cells)]


def answer_cells() -> list[Cell]:
    """Return the cells of the answers that are not what the till may take."""
    cells = [
        Cell(status, scene, phase) for status in STATUSES for scene in Scene for phase in _answer_phases(status, scene)
    ]
    shaped = [
        Cell(shape, scene, phase) for shape in SHAPES for scene in Scene for phase in _answer_phases(shape, scene)
    ]
    cells += [cell for cell in shaped if cell.scene not in _NO_LIE.get(cell.fault, ())]
    return [cell for cell in cells if _differs(cell, cells)]


def _answer_phases(fault: str, scene: Scene) -> tuple[Phase, ...]:
    return tuple(Phase) if fault in _ANSWERED_TOO_SOON and scene in _LATE_MATTERS else _BOTH


def _differs(cell: Cell, among: list[Cell]) -> bool:
    """Return whether a cell shows something that no other does.

    Where a request has no effect the bait alone is shown, but for the questions that end a payment. A refund is
    befallen by what stands for all.
    """
    if cell.scene in {Scene.REFUND, Scene.CHECK_REFUND} and cell.fault not in _STANDING_FOR_ALL:
        return False
    is_asked_by_a_payment = cell.scene in {Scene.CHECK, Scene.GET}
    if cell.phase is not Phase.AFTER or cell.scene.has_effect or is_asked_by_a_payment:
        return True
    return replace(cell, phase=Phase.BEFORE) not in among


def strike_of(fault: str) -> Strike:
    """Return what a fault does to an answer; KeyError for a fault of the road."""
    return _STRIKES[fault]
