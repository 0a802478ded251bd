"""What came of a sale, a return of money, and a restart, for the scenes to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hookspecs import Slip
    from payme_plugin.sandbox import WireRequest
    from payme_plugin.till import Payment, Restored, Reversal

__all__ = ["GivenBack", "Restarted", "Sale", "Sold"]


@dataclass(frozen=True, kw_only=True)
class Sale:
    """A sale as the final table has it.

    Attributes:
        title: what it is called there.
        number: its receipt number at the till.
        receipt_id: Payme's receipt id, or None.
    """

    title: str
    number: int
    receipt_id: str | None


@dataclass(frozen=True, kw_only=True)
class Sold:
    """A sale that was tried.

    Attributes:
        payment: the verdict.
        elapsed_s: how long the cashier waited for it.
        slips: what was printed.
        wire: the requests that reached the server meanwhile.
    """

    payment: Payment
    elapsed_s: float
    slips: tuple[Slip, ...]
    wire: tuple[WireRequest, ...]

    def sent(self, method: str) -> int:
        """Return how many requests of ``method`` reached the server."""
        return sum(request.method == method for request in self.wire)


@dataclass(frozen=True, kw_only=True)
class GivenBack:
    """A payment that was to be given back.

    Attributes:
        reversal: the verdict.
        slips: what was printed.
        wire: the requests that reached the server meanwhile.
    """

    reversal: Reversal
    slips: tuple[Slip, ...]
    wire: tuple[WireRequest, ...]


@dataclass(frozen=True, kw_only=True)
class Restarted:
    """The till after a power cut.

    Attributes:
        restored: what it finished.
        slips: what was printed.
        wire: the requests that reached the server meanwhile.
        is_ready: it said so to the plugins.
    """

    restored: tuple[Restored, ...]
    slips: tuple[Slip, ...]
    wire: tuple[WireRequest, ...]
    is_ready: bool
