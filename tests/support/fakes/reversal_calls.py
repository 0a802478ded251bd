"""The two hooks by which a host returns a whole payment: the cancel of an open sale, the refund of a closed one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakes.hooked_world import HookedWorld
from payme_plugin.ledger.states import Cause

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import Sold
    from hookspecs import ReversalResult


@dataclass(frozen=True)
class Reversal:
    """A reversal hook, called through a ``HookedWorld``.

    Attributes:
        cause: why its cancellation exists; its value is the operation on a slip.
        sell: make a sale for which the hook may be called.
        run: call the hook.
    """

    cause: Cause
    sell: Callable[..., Sold]
    run: Callable[..., ReversalResult]

    def __str__(self) -> str:
        return self.cause.value


CANCEL = Reversal(Cause.CANCEL, HookedWorld.sell, HookedWorld.cancel)
REFUND = Reversal(Cause.REFUND, HookedWorld.sell_and_close, HookedWorld.refund)
REVERSALS = (CANCEL, REFUND)
