"""What the flows know of PaymeGO: begin a request, wait in slices, take the answer.

``paymego.client`` implements the Protocols over the network; a simulator implements them on virtual time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from payme_plugin.secret import Secret
    from payme_plugin.settings import Settings

Params = Mapping[str, object]


class MerchantAccount(NamedTuple):
    """A cash register as Payme knows it, and the server that knows it.

    Attributes:
        pos_id: its id.
        pos_key: its key; absent from ``repr``.
        url: the server's complete address, with the path, e.g. ``https://checkout.paycom.uz/api``.
    """

    pos_id: str
    pos_key: Secret
    url: str

    def __repr__(self) -> str:
        return f"MerchantAccount(pos_id={self.pos_id!r}, url={self.url!r})"

    @classmethod
    def of(cls, settings: Settings) -> MerchantAccount:
        """Return the merchant account in ``settings``."""
        return cls(settings.pos_id, settings.pos_key, settings.url)


class Answer(NamedTuple):
    """A result that the server sent.

    Attributes:
        method: the request's method.
        result: the ``result`` member: a list for ``receipts.get_all``, else an object. It is absent from ``repr``
            because it holds the buyer's phone and card.
        bound: whether the answer repeats our request's id. Without it the answer may belong to another request.
    """

    method: str
    result: Mapping[str, object] | Sequence[object]
    bound: bool

    def __repr__(self) -> str:
        return f"Answer({self.method!r}, bound={self.bound})"


class Pending(Protocol):
    """A request that runs on an I/O thread."""

    def wait(self, until: float) -> bool:
        """Wait until it has ended or the monotonic clock shows ``until``; return whether it has ended.

        A request ends at its own deadline at the latest: its socket is shut, what was not written is never written,
        and an answer that still comes is discarded.
        """
        ...

    def answer(self) -> Answer:
        """Return the answer; wait for it until the deadline at most.

        Raises:
            NotSent: nothing left the till.
            ServerError: the server answered with an error code.
            Unclear: the request may have arrived, and no usable answer came.
        """
        ...

    def abandon(self) -> None:
        """End it now, as at its deadline; do nothing if it has ended."""
        ...


class Client(Protocol):
    """A client of one merchant account."""

    def begin(self, method: str, params: Params, deadline: float) -> Pending:
        """Start a request and return at once; it never raises for what a network or server can do.

        Args:
            method: ``receipts.create``, ``receipts.pay``, ``receipts.check``, ``receipts.get``, ``receipts.cancel``,
                ``receipts.get_all`` or ``receipts.set_fiscal_data``.
            params: its parameters; amounts are integers in tiyin.
            deadline: when the request's time ends, on the monotonic clock. It spans name look-up, all addresses, TLS,
                sending and reading.

        Money effect: ``receipts.pay`` may charge, ``receipts.cancel`` may cancel, the others none.
        """
        ...

    def close(self) -> None:
        """Close idle connections and abandon requests that have not ended."""
        ...
