"""An exchange with PaymeGO, as the flows see it: begin a request, wait in slices, take the answer.

The real one is ``paymego.client``; a simulator lets the same Protocols live on virtual time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Answer", "Client", "Params", "Pending"]

Params = Mapping[str, object]


@dataclass(frozen=True)
class Answer:
    """A result that the server sent.

    Attributes:
        method: the request's method.
        result: the ``result`` member: an object for every method but ``receipts.get_all``, which brings a list; absent
            from ``repr``, for it holds the buyer's phone and card.
        bound: the answer repeats our request's id. Without an id it may be another call's: see ``Client``.
    """

    method: str
    result: Mapping[str, object] | Sequence[object] = field(repr=False)
    bound: bool


class Pending(Protocol):
    """A request under way on an I/O thread."""

    def wait(self, until: float) -> bool:
        """Wait until it is over, at most until ``until`` on the monotonic clock; return whether it is over.

        At its own deadline a request is over in any case: its socket is shut, a part not yet written is never written,
        and what still comes is thrown away.
        """
        ...

    def answer(self) -> Answer:
        """Return the answer; wait for it, at most until the deadline.

        Raises:
            NotSent: nothing left the till.
            ServerError: the server answered with an error code.
            Unclear: the request may have arrived, and no usable answer came.
        """
        ...

    def abandon(self) -> None:
        """End it now, as at its deadline; nothing where it is over."""
        ...


class Client(Protocol):
    """A client of one kassa."""

    def begin(self, method: str, params: Params, deadline: float) -> Pending:
        """Start a request and return at once; it never raises for what a network or server can do.

        Args:
            method: ``receipts.create``, ``receipts.pay``, ``receipts.check``, ``receipts.get``, ``receipts.cancel``,
                ``receipts.get_all`` or ``receipts.set_fiscal_data``.
            params: its parameters; amounts are integers in tiyin.
            deadline: end of the request's time on the monotonic clock: it spans name look-up, all addresses, TLS,
                sending and reading.

        Money effect: ``receipts.pay`` may charge, ``receipts.cancel`` may cancel, the others none.
        """
        ...

    def close(self) -> None:
        """Close idle connections and abandon what is under way."""
        ...
