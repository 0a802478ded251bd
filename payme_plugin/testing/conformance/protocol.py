"""The documents between the kit and a host's adapter, one JSON object a line; ``docs/conformance.md`` shows each."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read at run time by ``structure``
from dataclasses import dataclass, field
from enum import Enum

VERSION = 1

SOCKET = "PAYME_CONFORMANCE_SOCKET"
"""The variable that names the kit's socket, for the probe."""

CLOCK = "PAYME_CONFORMANCE_CLOCK_S"
"""The variable that says by how many seconds the wall clock of the host's process is wrong."""


class SaleState(Enum):
    """What a cashier sees of a sale or a refund."""

    OPEN = "open"
    """Paid and not closed."""
    CLOSED = "closed"
    PENDING = "pending"
    """A payment, a cancel or a refund in it has no result yet."""
    UNPAID = "unpaid"
    """It ended without a payment."""
    ANNULLED = "annulled"
    REFUNDED = "refunded"
    REFUSED = "refused"
    """Only as an answer: the cancel or the refund is refused, and the sale stands."""


STANDS = frozenset({SaleState.OPEN, SaleState.CLOSED})
"""The states in which the till has the money of a sale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The first line that the kit sends: what the host starts with.

    Attributes:
        settings: what ``Host.settings`` returns for ``payme``.
        folder: the host's own data; the same after a restart.
        plugin_folder: what ``Host.data_dir`` returns for ``payme``.
        payment_type: number of the tender.
    """

    settings: Mapping[str, str]
    folder: str
    plugin_folder: str
    payment_type: int
    version: int = VERSION
    do: str = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The answer to ``Start``, after the host has done what it owes at a start.

    Attributes:
        version: the version of the protocol that the adapter speaks.
    """

    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The answer to ``sell``, ``close``, ``annul`` and ``refund``.

    Attributes:
        state: what the cashier sees afterwards.
    """

    state: SaleState


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSale:
    """A sale in the answer to ``sales``.

    Attributes:
        payment_id: of its last payment.
        amount: tiyin.
        state: any state but REFUSED.
    """

    payment_id: str
    amount: int
    state: SaleState


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The answer to ``sales``."""

    sales: tuple[ListedSale, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The answer to ``tick``."""

    state: str = field(default="done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A line that the host sends by itself: it has just printed one copy of a slip.

    Attributes:
        printed: the lines of the slip.
    """

    printed: tuple[str, ...]
