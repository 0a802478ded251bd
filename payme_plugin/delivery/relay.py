"""What a till needs of a relay, the connection to its chain's broker, and the relay to the broker in the settings.

The relay itself is in ``amqp``, which only a till of a chain imports: the others start without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from payme_plugin.clock import Clock
    from payme_plugin.delivery.chain_messages import ChainMessage, OutcomeMessage
    from payme_plugin.settings import Settings


class Relay(Protocol):
    """What a processor and a till's background need of a relay."""

    @property
    def needs_operator(self) -> bool:
        """Whether the broker refuses this till, or could not be used for an hour."""

    def publish(self, message: ChainMessage) -> bool:
        """Return whether the broker has confirmed a message, within 5 s."""

    def listen(self, pos_ids: Iterable[str]) -> None:
        """Listen for the outcomes of merchant accounts for an hour, after which a till asks Payme itself."""

    def outcomes(self) -> list[OutcomeMessage]:
        """Return the outcomes that have come since the last call."""

    def close(self) -> None:
        """End the thread and the connection, within a second. What is not confirmed counts as not published."""


class RelayCache:
    """Keeps the relay to the broker in the settings, and replaces it when they change.

    Args:
        clock: time.
        on_outcome: as of ``AmqpRelay``.
        new_relay: makes a relay; by default an ``AmqpRelay``.
    """

    def __init__(
        self,
        clock: Clock,
        on_outcome: Callable[[], None],
        new_relay: Callable[[str, Path | None, Clock, Callable[[], None]], Relay] | None = None,
    ) -> None:
        self._clock = clock
        self._on_outcome = on_outcome
        self._new_relay = new_relay or _new_amqp_relay
        self._place: tuple[str, Path | None] | None = None
        self._relay: Relay | None = None

    def of(self, settings: Settings | None) -> Relay | None:
        """Return the relay to the broker in ``settings``, or None if they name none."""
        place = None if settings is None or not settings.queue_url else (settings.queue_url, settings.ca_file)
        if place != self._place:
            self.close()
            self._place = place
            self._relay = None if place is None else self._new_relay(*place, self._clock, self._on_outcome)
        return self._relay

    def close(self) -> None:
        """Close the relay; there is no other until the settings change."""
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.close()


def _new_amqp_relay(url: str, ca_file: Path | None, clock: Clock, on_outcome: Callable[[], None]) -> Relay:
    from payme_plugin.delivery.amqp import AmqpRelay  # noqa: PLC0415 - only a till of a chain needs it

    return AmqpRelay(url, ca_file, clock, on_outcome)
