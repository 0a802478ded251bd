"""Which fault an exception of the socket, TLS or HTTP layer is."""

from __future__ import annotations

import ssl
from http.client import BadStatusLine, HTTPException, RemoteDisconnected

from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from payme_plugin.paymego.errors import Fault

__all__ = ["TransportError", "transport_error"]


class TransportError(Exception):
    """Why a connection brought no answer.

    Attributes:
        fault: the kind.
        explanation: the same in words, none of which a server chose.
    """

    def __init__(self, fault: Fault, explanation: str) -> None:
        super().__init__(explanation)
        self.fault = fault
        self.explanation = explanation


def transport_error(error: Exception) -> TransportError:
    """Return what ``error`` means for a request. It says nothing of whether a byte left: the call recorded that."""
    if isinstance(error, TransportError):
        return error
    cause = error.args[-1] if isinstance(error, ProtocolError) and error.args else error
    if isinstance(cause, (TimeoutError, HttpTimeoutError)):
        return TransportError(Fault.TIME_OVER, "no answer in time")
    if isinstance(cause, RemoteDisconnected):
        return TransportError(Fault.CONNECTION_LOST, "the server closed the connection without an answer")
    if isinstance(cause, BadStatusLine):
        return TransportError(Fault.HTTP_STATUS, "the answer does not begin with an HTTP status line")
    if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, ssl.SSLError):
        return TransportError(Fault.CONNECTION_LOST, f"the connection broke: {cause.strerror}")
    if isinstance(cause, (OSError, HTTPError, HTTPException)):
        return TransportError(Fault.CONNECTION_LOST, f"the answer broke off or is no HTTP ({type(cause).__name__})")
    return TransportError(Fault.CONNECTION_LOST, f"the request failed ({type(cause).__name__})")
