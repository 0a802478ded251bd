"""One HTTP connection to PaymeGO, kept alive from request to request, on top of urllib3.

urllib3's own timeouts bound single reads and single addresses, never a whole call, and its exceptions do not show
whether a request left. So the connection asks its call before every address, every handshake and every write, and
another thread can shut its socket at the call's deadline.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from http.client import BadStatusLine, HTTPException, HTTPResponse, RemoteDisconnected
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError, ProtocolError, ProxyError
from urllib3.exceptions import TimeoutError as HttpTimeoutError
from urllib3.util.url import Url, parse_url

from payme_plugin.paymego.call import CallFinished
from payme_plugin.paymego.errors import Fault, TransportError
from payme_plugin.paymego.tls import handshake_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3.response import BaseHTTPResponse

    from payme_plugin.paymego.call import Call
    from payme_plugin.settings.parsers import ProxyAddress

MAX_ANSWER_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_HTTP_OK = 200
_MAX_ADDRESSES = 8

Address = tuple[socket.AddressFamily, int, tuple[object, ...]]
"""Family, protocol, and what a socket of that family connects to; its host comes first."""


class Endpoint(NamedTuple):
    """Where requests go.

    Attributes:
        scheme: ``http`` or ``https``.
        host: a name or an address.
        port: the port; None for the scheme's default.
        target: path and query; for plain http through a proxy the whole URL.
        proxy: the HTTP proxy, or None.
    """

    scheme: str
    host: str
    port: int | None
    target: str
    proxy: ProxyAddress | None = None

    @classmethod
    def of(cls, url: str, proxy: ProxyAddress | None = None) -> Endpoint:
        """Split a complete URL into its parts.

        Raises:
            ValueError: it is not an http or https URL with a host.
        """
        try:
            parts = parse_url(url)
        except LocationParseError:
            parts = Url()
        if parts.scheme not in ("http", "https") or not parts.host:
            raise ValueError("url must be a complete address, e.g. https://checkout.paycom.uz/api")
        target = parts.url if proxy is not None and parts.scheme == "http" else parts.request_uri
        return cls(parts.scheme, parts.host, parts.port, target, proxy)


# ---------------------------------------------------------------------------------------------------------------------
# The socket of a call
# ---------------------------------------------------------------------------------------------------------------------


class SocketHandle:
    """Lets another thread end a blocked read or write of the call that uses a socket.

    It keeps a duplicate of the socket's descriptor. The connection's own socket object is not enough: TLS detaches it
    before the handshake, and an answer with ``Connection: close`` takes it away before the body is read.

    Attributes:
        call: the call that uses the socket now, once ``bind`` was called.
        address: the address that it is connected to; before, the one to try first, or None.
    """

    call: Call

    def __init__(self, address: Address | None = None) -> None:
        self.address = address
        self.connected = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def bind(self, call: Call) -> None:
        """Make ``call`` the user of the socket, and have it abort the socket when it ends without an answer.

        Raises:
            CallFinished: the call has ended.
        """
        self.call = call
        call.attach(self.abort)

    def set_socket(self, connection: socket.socket) -> None:
        """Keep a duplicate of a new socket instead of the previous one.

        Raises:
            CallFinished: the call has ended.
            OSError: no descriptor is free.
        """
        self._replace(connection.dup())
        self.call.check()

    def abort(self) -> None:
        """Shut the socket in both directions: blocked reads and writes return, later ones fail."""
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Shut the socket and close the duplicate."""
        self.abort()
        self._replace(None)

    def _replace(self, new: socket.socket | None) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = new


# ---------------------------------------------------------------------------------------------------------------------
# One request and its answer
# ---------------------------------------------------------------------------------------------------------------------


class Connection:
    """Sends one request at a time; it connects when it is first used.

    Args:
        endpoint: where requests go.
        context: the client's SSL context, for https.
        first: the address to try first, or None.

    Attributes:
        answered_at: when it last received a whole answer, on the monotonic clock; set by its user.
    """

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None, first: Address | None = None) -> None:
        self.answered_at = float("-inf")
        self._target = endpoint.target
        self._handle = SocketHandle(first)
        self._pool = new_pool(endpoint, context, self._handle)

    @property
    def reusable(self) -> bool:
        """Whether the connection is still open: the server did not ask to close it."""
        return self._handle.connected

    @property
    def address(self) -> Address | None:
        """The address that it is connected to."""
        return self._handle.address

    def post(self, call: Call, headers: Mapping[str, str], body: bytes) -> bytes:
        """Send a request once and return the whole body of its answer, which had status 200.

        Raises:
            CallFinished: the call ended meanwhile.
            TransportError: the answer can't be used. Other exceptions of the layers below are raised unchanged:
                ``transport_error`` translates them.
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
            answer = _read(response, call)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()
        self._handle.close()


def _read(response: BaseHTTPResponse, call: Call) -> bytes:
    if response.status != _HTTP_OK:
        raise TransportError(Fault.HTTP_STATUS, f"HTTP status {response.status}")
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise TransportError(Fault.NOT_JSON, "the answer is compressed, which was not asked for")
    parts: list[bytes] = []
    size = 0
    while part := response.read(_CHUNK_BYTES, decode_content=False):
        call.check()
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise TransportError(Fault.TOO_LARGE, f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)


class _StrictResponse(HTTPResponse):
    """An HTTP answer that fails on broken headers and on negative chunk sizes.

    urllib3 would log a broken header word by word, even if it repeats our key. http.client accepts a negative chunk
    size and then reads everything at once, without a bound.
    """

    def begin(self) -> None:
        """Read the status line and the headers."""
        super().begin()
        if self.msg.defects or self.msg.get_payload():
            raise TransportError(Fault.HTTP_STATUS, "the answer's headers are broken")

    def _read_next_chunk_size(self) -> int:
        # A private method, but every Python from 3.10 on has it; a test sends such a chunk.
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise TransportError(Fault.CONNECTION_LOST, "the answer's chunks are broken")
        return size


# ---------------------------------------------------------------------------------------------------------------------
# Connecting and writing, under urllib3
# ---------------------------------------------------------------------------------------------------------------------


class HttpConnection(HTTPConnection):
    """urllib3's connection; it asks the call of its handle before it connects or writes."""

    response_class = _StrictResponse

    # A host may switch on http.client's debug output for all connections: it would show the key.
    debuglevel = 0

    def __init__(self, host: str, port: int | None = None, *, handle: SocketHandle, **options: Any) -> None:  # noqa: ANN401
        super().__init__(host, port, **options)
        self._handle = handle
        self._asks_proxy = False
        self._unsent: list[bytes] | None = None

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers. Both urllib3 1.26 and 2 call this in ``connect``."""
        found = look_up(self.host, self.port)
        addresses = sorted(found, key=lambda address: address != self._handle.address)[:_MAX_ADDRESSES]
        reason = "the name has no address"
        for position, address in enumerate(addresses):
            try:
                return self._connect_to(address, share=len(addresses) - position)
            except OSError as error:
                reason = error.strerror or ("no answer" if isinstance(error, TimeoutError) else type(error).__name__)
        self._handle.call.check()
        raise TransportError(Fault.NOT_CONNECTED, f"can't connect to {self.host} port {self.port}: {reason}")

    def _connect_to(self, address: Address, *, share: int) -> socket.socket:
        family, protocol, target = address
        call = self._handle.call
        call.check()
        connection = socket.socket(family, socket.SOCK_STREAM, protocol)
        with contextlib.ExitStack() as undo:
            undo.callback(connection.close)
            for option in self.socket_options or ():
                connection.setsockopt(*option)
            self._handle.set_socket(connection)
            # An address that never answers must leave time for the ones after it.
            connection.settimeout(call.timeout_s(share))
            connection.connect(target)
            connection.settimeout(call.timeout_s())
            undo.pop_all()
        self._handle.connected, self._handle.address = True, address
        return connection

    def request(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """Write a request at once, because http.client writes headers and body apart, which is two TLS records."""
        parts: list[bytes] = []
        self._unsent = parts
        try:
            super().request(*arguments, **options)
        finally:
            self._unsent = None
        self.send(b"".join(parts))

    def send(self, data: object) -> None:
        """Write ``data`` to the socket if the call has not ended; inside ``request``, keep it."""
        if self._unsent is not None:
            self._unsent.append(cast("bytes", data))
            return
        if self.sock is None:
            self.connect()
        # What asks a proxy for a tunnel is not yet the request.
        (self._handle.call.check if self._asks_proxy else self._handle.call.allow_write)()
        super().send(cast("bytes", data))

    def _tunnel(self) -> None:
        # A private method, but urllib3 calls it too; a test refuses a tunnel.
        self._asks_proxy = True
        try:
            super()._tunnel()
        except TimeoutError:
            raise
        except OSError:
            # The proxy chose the words of the exception.
            raise TransportError(Fault.NOT_CONNECTED, f"the proxy {self.host} did not connect to the server") from None
        finally:
            self._asks_proxy = False

    def close(self) -> None:
        """Close the socket."""
        self._handle.connected = False
        super().close()


class HttpsConnection(HttpConnection, HTTPSConnection):
    """The same over https: a request is never written to a server whose certificate was not verified."""

    def connect(self) -> None:
        """Connect and verify the server's certificate."""
        try:
            super().connect()
        except (CallFinished, TransportError, TimeoutError):
            raise
        except (OSError, ValueError) as error:
            raise handshake_error(error) from None
        if not self.is_verified:
            raise TransportError(Fault.TLS, "the server's certificate was not verified")


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = HttpConnection


class HttpsPool(urllib3.HTTPSConnectionPool):
    """A pool whose connection verifies the server; a subclass may name another class of connection."""

    ConnectionCls: type[HttpsConnection] = HttpsConnection


def new_pool(
    endpoint: Endpoint, context: ssl.SSLContext | None, handle: SocketHandle, *, https_pool: type[HttpsPool] = HttpsPool
) -> urllib3.HTTPConnectionPool:
    """Return a pool of one connection to ``endpoint``; nothing is connected yet.

    Proxies of the environment have no effect: only urllib3's pool managers read them, and none is used. The arguments
    ``_proxy`` and ``_proxy_headers`` are those that urllib3's ``ProxyManager`` gives to its pools.

    Args:
        endpoint: where requests go.
        context: the client's SSL context; None for plain http.
        handle: the handle of the connection.
        https_pool: the class of the pool for https.
    """
    options: dict[str, Any] = {"maxsize": 1, "handle": handle}
    host, port, proxy = endpoint.host, endpoint.port, endpoint.proxy
    if proxy is not None:
        login = b"" if proxy.login is None else base64.b64encode(proxy.login.reveal().encode())
        options["_proxy"] = Url("http", host=proxy.host, port=proxy.port)
        options["_proxy_headers"] = {"Proxy-Authorization": f"Basic {login.decode()}"} if login else {}
        options["socket_options"] = HTTPConnection.default_socket_options
    if context is None:
        return _HttpPool(*((host, port) if proxy is None else (proxy.host, proxy.port)), **options)
    return https_pool(
        host,
        port,
        **options,
        ssl_context=context,
        cert_reqs="CERT_REQUIRED",
        # Otherwise Debian's urllib3 loads the system's authorities into the context for every connection.
        ca_certs=None,
    )


def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses of a host, in the order of the system.

    Raises:
        TransportError: it is not a host name, or it can't be looked up.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise TransportError(Fault.NAME_NOT_FOUND, f"{host} is not a host name") from None
    except OSError as error:
        raise TransportError(Fault.NAME_NOT_FOUND, f"can't look up {host}: {error.strerror}") from None
    return [(family, protocol, address) for family, _, protocol, _, address in found]


# ---------------------------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------------------------


def transport_error(error: Exception) -> TransportError:
    """Translate an exception of the socket, TLS or HTTP layer.

    The result does not show whether a byte left: the call recorded that.
    """
    if isinstance(error, TransportError):
        return error
    cause = error.args[-1] if isinstance(error, (ProtocolError, ProxyError)) and error.args else error
    if isinstance(cause, (TimeoutError, HttpTimeoutError)):
        return TransportError(Fault.TIME_OVER, "no answer in time")
    if isinstance(cause, RemoteDisconnected):
        return TransportError(Fault.CONNECTION_LOST, "the server closed the connection without an answer")
    if isinstance(cause, BadStatusLine):
        return TransportError(Fault.HTTP_STATUS, "the answer does not begin with an HTTP status line")
    if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, ssl.SSLError):
        return TransportError(Fault.CONNECTION_LOST, f"the connection broke: {cause.strerror}")
    if isinstance(cause, (OSError, HTTPError, HTTPException)):
        return TransportError(Fault.CONNECTION_LOST, f"the answer broke off or is not HTTP ({type(cause).__name__})")
    return TransportError(Fault.CONNECTION_LOST, f"the request failed ({type(cause).__name__})")
