"""The two roads on which a host gives a whole payment back: the cancel of an open sale, the refund of a closed one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.ledger.states import Cause

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld, Sold
    from hookspecs import ReversalResult


@dataclass(frozen=True)
class Road:
    """One of them.

    Attributes:
        operation: its name on a slip.
        cause: why its cancellation exists.
        sell: sell something and bring the sale to where this road begins.
        give_back: call its hook.
    """

    operation: str
    cause: Cause
    sell: Callable[..., Sold]
    give_back: Callable[..., ReversalResult]

    def __str__(self) -> str:
        return self.operation


def _sell(world: HookedWorld, payment_id: str = "p1", number: int = 1) -> Sold:
    return world.sell(payment_id, number)


def _sell_and_close(world: HookedWorld, payment_id: str = "p1", number: int = 1) -> Sold:
    return world.sell_and_close(payment_id, number)


def _cancel(world: HookedWorld, sold: Sold, **how: object) -> ReversalResult:
    return world.cancel(sold, **how)  # type: ignore[arg-type]


def _refund(world: HookedWorld, sold: Sold, **how: object) -> ReversalResult:
    return world.refund(sold, **how)  # type: ignore[arg-type]


CANCEL = Road("cancel", Cause.CANCEL, _sell, _cancel)
REFUND = Road("refund", Cause.REFUND, _sell_and_close, _refund)
ROADS = (CANCEL, REFUND)
