"""Whose key a request may go out with: a receipt is asked about, and cancelled, by its own kassa alone."""

from __future__ import annotations

from typing import Protocol

__all__ = ["OfKassa", "is_same_kassa"]


class OfKassa(Protocol):
    """What belongs to a kassa: a row of the journal, or the settings that hold its key."""

    @property
    def pos_id(self) -> str:
        """The kassa's id."""

    @property
    def url(self) -> str:
        """The server's address."""


def is_same_kassa(one: OfKassa, other: OfKassa) -> bool:
    """Say whether both belong to one kassa of one server.

    Money effect: none; where it is False no request about the one may leave with the key of the other.
    """
    return (one.pos_id, one.url) == (other.pos_id, other.url)
