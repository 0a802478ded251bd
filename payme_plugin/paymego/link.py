"""One connection to the processing, kept alive from request to request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import urllib3
from urllib3.exceptions import LocationParseError
from urllib3.util.url import Url, parse_url

from payme_plugin.paymego.errors import Fault
from payme_plugin.paymego.link_fault import TransportError
from payme_plugin.paymego.pool import new_pool
from payme_plugin.paymego.wire import SocketHandle

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from urllib3.response import BaseHTTPResponse

    from payme_plugin.paymego.call import Call

__all__ = ["MAX_ANSWER_BYTES", "Connection", "Endpoint"]

MAX_ANSWER_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_HTTP_OK = 200


@dataclass(frozen=True)
class Endpoint:
    """Where requests go.

    Attributes:
        scheme: ``http`` or ``https``.
        host: a name or an address.
        port: the port; None for the scheme's own.
        target: path and query.
    """

    scheme: str
    host: str
    port: int | None
    target: str

    @classmethod
    def of(cls, url: str) -> Endpoint:
        """Take a complete URL apart.

        Raises:
            ValueError: it is no http or https URL with a host.
        """
        try:
            parts = parse_url(url)
        except LocationParseError:
            parts = Url()
        if parts.scheme not in ("http", "https") or not parts.host:
            raise ValueError("url must be a complete address, as https://checkout.paycom.uz/api is")
        return cls(parts.scheme, parts.host, parts.port, parts.request_uri)


class Connection:
    """A connection that carries one call at a time; it connects when it is first used.

    Args:
        endpoint: where it leads.
        context: the client's SSL context, for https.

    Attributes:
        answered_at: when it last brought a whole answer, on the monotonic clock; set by its user.
    """

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        self.answered_at = float("-inf")
        self._target = endpoint.target
        self._handle = SocketHandle()
        self._pool = new_pool(endpoint, context, self._handle)

    @property
    def reusable(self) -> bool:
        """Whether the connection is still there: the server did not ask to close it."""
        return self._handle.connected

    def post(self, call: Call, headers: Mapping[str, str], body: bytes) -> bytes:
        """Send a request once and return the whole body of its answer, which had status 200.

        Raises:
            CallFinished: the call ended meanwhile.
            TransportError: the answer is no usable one. Other exceptions of the layers below come as they are: see
                ``link_fault.transport_error``.
        """
        self._handle.bind(call)
        response = self._pool.urlopen(
            "POST",
            self._target,
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(connect=call.timeout_s(), read=call.timeout_s()),
            preload_content=False,
            decode_content=False,
            enforce_content_length=True,
        )
        try:
            _check_head(response)
            whole = _read_whole(response, call)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return whole

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()
        self._handle.close()


def _check_head(response: BaseHTTPResponse) -> None:
    if response.status != _HTTP_OK:
        raise TransportError(Fault.HTTP_STATUS, f"HTTP status {response.status}")
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise TransportError(Fault.NOT_JSON, "the answer is compressed, which was not asked for")


def _read_whole(response: BaseHTTPResponse, call: Call) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := response.read(_CHUNK_BYTES, decode_content=False):
        call.check()
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise TransportError(Fault.TOO_LARGE, f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)
