"""Connections that end badly, on purpose: closed without an answer, or left open without one.

uvicorn hands each request the connection's ``state``; the protocol class here puts the way to cut it into that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Receive, Scope, Send

__all__ = ["CuttableProtocol", "Dropped", "Silent"]


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with one thing more: a request's ``state`` has ``cut``, which ends its connection at once."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember how to cut this connection."""
        self.app_state = {**self.app_state, "cut": transport.abort}
        super().connection_made(transport)


class Silent(Response):
    """No answer: the connection stays open until the other side, or the end of the sandbox, closes it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        """Wait for the end of the connection."""
        while (await receive())["type"] != "http.disconnect":
            pass


class Dropped(Silent):
    """No answer: the connection is closed at once, without a byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Cut the connection."""
        scope["state"]["cut"]()
        await super().__call__(scope, receive, send)
