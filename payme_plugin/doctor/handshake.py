"""The client's own connections, watched: which certificate was verified, or why none was."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from payme_plugin.doctor.facts import Certificate
from payme_plugin.paymego.connection import HttpsConnection, HttpsPool, SocketHandle, new_pool
from payme_plugin.paymego.errors import TransportError
from payme_plugin.paymego.tls import HOSTNAME_MISMATCH, TlsContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import urllib3

    from payme_plugin.paymego.connection import Endpoint

__all__ = ["RefusedHandshake", "WatchedHandle", "verify_code", "watched_pool"]


class WatchedHandle(SocketHandle):
    """A handle that remembers the handshake of its connection.

    Attributes:
        certificate: what was verified, or None.
        refusal: why nothing was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.certificate: Certificate | None = None
        self.refusal: BaseException | None = None


class _WatchedConnection(HttpsConnection):
    _handle: WatchedHandle

    def connect(self) -> None:
        """Connect and verify, and remember what came of it."""
        try:
            super().connect()
        except TransportError as fault:
            self._handle.refusal = fault.__context__
            raise
        if isinstance(self.sock, ssl.SSLSocket):
            self._handle.certificate = _certificate_of(self.sock)


def _certificate_of(connection: ssl.SSLSocket) -> Certificate:
    shown: Any = connection.getpeercert() or {}
    ends_s = [ssl.cert_time_to_seconds(shown["notAfter"])]
    # Python 3.13 is the first that tells the chain; before, the server's own certificate is all that is known.
    verified_chain: Callable[[], list[bytes]] | None = getattr(connection, "get_verified_chain", None)
    above = [] if verified_chain is None else verified_chain()[1:]
    if above:
        # What is above the server's own are authorities, and a context reads those.
        reader = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        reader.load_verify_locations(cadata=b"".join(above))
        authorities: Any = reader.get_ca_certs()
        ends_s += [ssl.cert_time_to_seconds(each["notAfter"]) for each in authorities]
    is_chain = verified_chain is not None and len(ends_s) == 1 + len(above)
    return Certificate(connection.version() or "TLS", min(ends_s) * 1000, is_chain)


class _WatchedPool(HttpsPool):
    ConnectionCls = _WatchedConnection


class RefusedHandshake(TransportError):
    """A handshake that failed, with what the layer below said."""

    def __init__(self, fault: TransportError, refusal: BaseException | None) -> None:
        super().__init__(fault.fault, fault.explanation)
        self.refusal = refusal


def watched_pool(endpoint: Endpoint, ca_file: Path | None, handle: WatchedHandle) -> urllib3.HTTPConnectionPool:
    """Return a pool of one connection to ``endpoint``, which ``handle`` watches; nothing is connected yet.

    Args:
        endpoint: the server.
        ca_file: certificates to trust instead of the system's; None: the system's.
        handle: what is told of the connection.

    Raises:
        TransportError: the certificates can't be loaded.
    """
    context = TlsContext(endpoint.host, ca_file).get() if endpoint.scheme == "https" else None
    return new_pool(endpoint, context, handle, https_pool=_WatchedPool)


def verify_code(fault: TransportError) -> int | None:
    """Return OpenSSL's number of what is wrong with the certificate; None where the fault is not that."""
    refusal = fault.refusal if isinstance(fault, RefusedHandshake) else None
    if isinstance(refusal, ssl.SSLCertVerificationError):
        return getattr(refusal, "verify_code", HOSTNAME_MISMATCH)
    return HOSTNAME_MISMATCH if isinstance(refusal, ValueError) else None
