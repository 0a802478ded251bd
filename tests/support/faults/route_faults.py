"""What a hostile network does to the road: a request meets it before a server has read any of it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faults.host_names import LookUp, Nowhere
    from faults.proxy import FaultProxy

_SLOW_S = 3.0

Road = Callable[["FaultProxy", "Nowhere"], "LookUp | None"]
"""Gives where the till's name leads from the next connection on; None: the fault needs no new connection."""


def refused(proxy: FaultProxy, nowhere: Nowhere) -> LookUp:
    """Refuse every connection."""
    return lambda: [nowhere.refusing]


def no_address_answers(proxy: FaultProxy, nowhere: Nowhere) -> LookUp:
    """Lead to hosts that are off."""
    return lambda: [nowhere.dead, nowhere.dead]


def some_addresses_dead(proxy: FaultProxy, nowhere: Nowhere) -> LookUp:
    """Lead to one that refuses and one that is off, and then to the server, by several ways as large sites have."""
    return lambda: [nowhere.refusing, nowhere.dead, *(3 * [proxy.port])]


def accepted_and_mute(proxy: FaultProxy, nowhere: Nowhere) -> LookUp:
    """Accept, and say not even what TLS begins with."""
    return lambda: [nowhere.mute]


def slow_look_up(proxy: FaultProxy, nowhere: Nowhere) -> LookUp:
    """Take longer for the name than anyone waits."""

    def look_up() -> list[int]:
        proxy.healed.wait(_SLOW_S)
        return [proxy.port]

    return look_up


def no_such_name(proxy: FaultProxy, nowhere: Nowhere) -> LookUp:
    """Know the name no longer."""

    def look_up() -> list[int]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    return look_up


def reset_unread(proxy: FaultProxy, nowhere: Nowhere) -> None:
    """Break off when a request begins to come."""
    proxy.resets_unread = True


ROADS: dict[str, Road] = {
    "connection refused": refused,
    "no address answers": no_address_answers,
    "the first addresses dead, a later one not": some_addresses_dead,
    "accepted, then mute before TLS": accepted_and_mute,
    "slow name look-up": slow_look_up,
    "no such name": no_such_name,
    "reset before the request is read": reset_unread,
}
"""The faults of the road, by name."""
