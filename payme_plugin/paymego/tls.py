"""TLS: one context per client, and the cause of a refusal in words."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from typing import TYPE_CHECKING

from payme_plugin.paymego.errors import Fault, TransportError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TlsContext", "handshake_error", "is_ip_address"]

# OpenSSL's X509_V_ERR_* numbers.
_CERTIFICATE_FAULTS = {
    2: "it is signed by an authority that this till does not trust (a site's own authority is named by caFile)",
    9: "it is not valid yet: is the till's clock right?",
    10: "it has expired: is the till's clock right?",
    18: "it is self-signed (a site's own certificate is named by caFile)",
    19: "a self-signed authority that this till does not trust is in its chain (a site's own is named by caFile)",
    20: "it is signed by an authority that this till does not trust (a site's own authority is named by caFile)",
    21: "it is signed by an authority that this till does not trust (a site's own authority is named by caFile)",
    23: "it was revoked",
    62: "it was made out to another host",
    64: "it was made out to another address",
    66: "its key is too weak",
}
_PROTOCOL_FAULTS = {
    "UNSUPPORTED_PROTOCOL": "the server speaks only protocols older than TLS 1.2",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the server speaks only protocols older than TLS 1.2",
    "WRONG_SSL_VERSION": "the server speaks only protocols older than TLS 1.2",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS on this port",
    "HTTP_REQUEST": "the server does not speak TLS on this port",
    "RECORD_LAYER_FAILURE": "the server does not speak TLS on this port",
}
_CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class TlsContext:
    """The one SSL context of a client, made when it is first asked for: that takes 30 to 40 ms.

    TLS 1.2 or newer, certificates verified against the system's authorities, or against ``ca_file`` alone.
    """

    def __init__(self, host: str, ca_file: Path | None) -> None:
        self._host = host
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def get(self) -> ssl.SSLContext:
        """Return the context.

        Raises:
            TransportError: ``ca_file`` can't be read, or holds no certificate.
        """
        with self._lock:
            if self._context is None:
                self._context = self._make()
            return self._context

    def _make(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=None if self._ca_file is None else str(self._ca_file))
        except OSError as error:  # ssl.SSLError is one
            reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise TransportError(Fault.TLS, f"caFile {self._ca_file} can't be used: {reason}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        # urllib3 1.26 hands no name to the handshake for an IP address and then matches the certificate by itself;
        # 2.x does either.
        context.check_hostname = not is_ip_address(self._host)
        return context


def handshake_error(error: OSError | ValueError) -> TransportError:
    """Return why a TLS connection did not come about, in words that hold nothing that a server chose.

    Where the connection just ended, that says nothing of TLS: a network cuts it off as well as a server.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        # Python's own name check raises the class without OpenSSL's number.
        fault = _CERTIFICATE_FAULTS.get(getattr(error, "verify_code", 62))
        return TransportError(Fault.TLS, f"the server's certificate is refused: {fault or error.verify_message}")
    if isinstance(error, ssl.SSLError) and not isinstance(error, _CUT_OFF):
        reason = error.reason or type(error).__name__
        return TransportError(Fault.TLS, f"TLS failed: {_PROTOCOL_FAULTS.get(reason, reason)}")
    if isinstance(error, ValueError):
        return TransportError(Fault.TLS, f"the server's certificate is refused: {_CERTIFICATE_FAULTS[62]}")
    return TransportError(Fault.NOT_CONNECTED, "the connection was cut off in the TLS handshake")


def is_ip_address(host: str) -> bool:
    """Return whether ``host`` is an IP address and not a name; IPv6 with or without its brackets."""
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True
