"""A chain's broker in memory, and a till on virtual time that hands its cancellations over to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fakes.hooked_world import HookedWorld
from payme_plugin.delivery.chain_messages import OutcomeMessage
from payme_plugin.delivery.relay import RelayCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from payme_plugin.clock import Clock
    from payme_plugin.delivery.chain_messages import ChainMessage
    from payme_plugin.ledger.rows import CancellationRow

BROKER_URL = "amqp://till-1:canary-of-the-broker@localhost/%2f"


@dataclass(eq=False)
class MemoryBroker:
    """Takes messages and delivers outcomes as a test says.

    Attributes:
        messages: what the broker has confirmed, in order.
        takes: whether it confirms.
        on_publish: is called before a message is confirmed or not.
        relays: the relays to it, in order.
    """

    messages: list[ChainMessage] = field(default_factory=list)
    takes: bool = True
    on_publish: Callable[[ChainMessage], object] = lambda _: None
    relays: list[MemoryRelay] = field(default_factory=list)

    def new_relay(self, url: str, ca_file: Path | None, _: Clock, on_outcome: Callable[[], None]) -> MemoryRelay:
        """Return a relay to this broker, for a ``RelayCache``."""
        self.relays.append(MemoryRelay(self, url, ca_file, on_outcome))
        return self.relays[-1]


@dataclass(eq=False)
class MemoryRelay:
    """A ``payme_plugin.delivery.relay.Relay`` to a ``MemoryBroker``.

    Attributes:
        broker: the broker.
        url: its address.
        ca_file: the certificates to trust.
        on_outcome: wakes the worker.
        needs_operator: whether the broker refuses the till.
        listens_to: the merchant accounts whose outcomes the till awaits.
        is_closed: whether the till has closed it.
    """

    broker: MemoryBroker
    url: str
    ca_file: Path | None
    on_outcome: Callable[[], None]
    needs_operator: bool = False
    listens_to: set[str] = field(default_factory=set)
    is_closed: bool = False
    _outcomes: list[OutcomeMessage] = field(default_factory=list)

    def publish(self, message: ChainMessage) -> bool:
        """Return whether the broker takes a message."""
        assert not self.is_closed
        self.broker.on_publish(message)
        if self.broker.takes:
            self.broker.messages.append(message)
        return self.broker.takes

    def listen(self, pos_ids: Iterable[str]) -> None:
        """Listen for the outcomes of merchant accounts."""
        self.listens_to.update(pos_ids)

    def outcomes(self) -> list[OutcomeMessage]:
        """Return the outcomes that have come since the last call."""
        came, self._outcomes = self._outcomes, []
        return came

    def deliver(self, *outcomes: OutcomeMessage) -> None:
        """Let outcomes come."""
        self._outcomes += outcomes
        self.on_outcome()

    def close(self) -> None:
        """Take no message any more."""
        self.is_closed = True


class ChainTill(HookedWorld):
    """A till of a chain.

    Attributes:
        broker: the chain's broker.
    """

    def __init__(self, folder: Path) -> None:
        self.broker = MemoryBroker()
        super().__init__(folder, queueUrl=BROKER_URL)

    @property
    def relay(self) -> MemoryRelay:
        """The latest relay to the broker."""
        return self.broker.relays[-1]

    def _begin(self) -> None:
        super()._begin()
        background = self.background
        background._relays = RelayCache(self.clock, background.wake, self.broker.new_relay)


def outcome(row: CancellationRow, state: int = 50, **changes: object) -> OutcomeMessage:
    """Return what a central worker says about a row."""
    values = {"cancellation_id": row.cancellation_id, "receipt_id": row.receipt_id, "state": state, "at": 1}
    return OutcomeMessage(**(values | changes))  # type: ignore[arg-type]
