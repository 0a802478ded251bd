"""TLS: the SSL context of a client, and the reason of a failed handshake in words."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from typing import TYPE_CHECKING

from payme_plugin.paymego.errors import Fault, TransportError

if TYPE_CHECKING:
    from pathlib import Path

HOSTNAME_MISMATCH = 62
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH; the keys below are X509_V_ERR_* numbers too."""

_CERTIFICATE_FAULTS = {
    2: "it is signed by an authority that this till does not trust (a site's own authority is named by caFile)",
    9: "it is not valid yet: is the till's clock right?",
    10: "it has expired: is the till's clock right?",
    18: "it is self-signed (a site's own certificate is named by caFile)",
    19: "a self-signed authority that this till does not trust is in its chain (a site's own is named by caFile)",
    20: "it is signed by an authority that this till does not trust (a site's own authority is named by caFile)",
    21: "it is signed by an authority that this till does not trust (a site's own authority is named by caFile)",
    23: "it was revoked",
    HOSTNAME_MISMATCH: "it was made out to another host",
    64: "it was made out to another address",
    66: "its key is too weak",
}
_TOO_OLD = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "WRONG_SSL_VERSION")
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
_PROTOCOL_FAULTS = {
    **dict.fromkeys(_TOO_OLD, "the server speaks only protocols older than TLS 1.2"),
    **dict.fromkeys(_NOT_TLS, "the server does not speak TLS on this port"),
}
_CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class TlsContext:
    """The SSL context of a client, built at the first use because that takes 30 to 40 ms.

    TLS 1.2 or newer; certificates are verified against the system's authorities, or only against ``ca_file``.
    """

    def __init__(self, host: str, ca_file: Path | None) -> None:
        self._host = host
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def get(self) -> ssl.SSLContext:
        """Return the context; build it if there is none yet.

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
        except OSError as error:  # ssl.SSLError is a subclass
            reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise TransportError(Fault.TLS, f"caFile {self._ca_file} can't be used: {reason}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        # For an IP address urllib3 1.26 passes no name to the handshake and matches the certificate itself; 2.x does
        # both.
        context.check_hostname = not is_ip_address(self._host)
        return context


def handshake_error(error: OSError | ValueError) -> TransportError:
    """Return why a handshake failed, in our own words.

    A connection that just ended is not a fault of TLS: a network cuts it off as well as a server.
    """
    if isinstance(error, ValueError):  # ssl.SSLCertVerificationError is a subclass
        # Python's and urllib3's own checks of the name raise an error without OpenSSL's number.
        number = getattr(error, "verify_code", HOSTNAME_MISMATCH)
        reason = _CERTIFICATE_FAULTS.get(number) or getattr(error, "verify_message", "")
        return TransportError(Fault.TLS, f"the server's certificate is refused: {reason}")
    if isinstance(error, ssl.SSLError) and not isinstance(error, _CUT_OFF):
        reason = error.reason or type(error).__name__
        return TransportError(Fault.TLS, f"TLS failed: {_PROTOCOL_FAULTS.get(reason, reason)}")
    return TransportError(Fault.NOT_CONNECTED, "the connection was cut off in the TLS handshake")


def is_ip_address(host: str) -> bool:
    """Return whether ``host`` is an IP address, IPv6 with or without its brackets."""
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True
