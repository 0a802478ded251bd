"""The pool of one connection that urllib3 sends a request through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import urllib3

from payme_plugin.paymego.connection import HttpConnection, HttpsConnection

if TYPE_CHECKING:
    import ssl

    from payme_plugin.paymego.link import Endpoint
    from payme_plugin.paymego.wire import SocketHandle

__all__ = ["HttpsPool", "new_pool"]


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = HttpConnection


class HttpsPool(urllib3.HTTPSConnectionPool):
    """A pool whose connection verifies the server; one that watches it names a connection of its own."""

    ConnectionCls: type[HttpsConnection] = HttpsConnection


def new_pool(
    endpoint: Endpoint, context: ssl.SSLContext | None, handle: SocketHandle, *, https_pool: type[HttpsPool] = HttpsPool
) -> urllib3.HTTPConnectionPool:
    """Return a pool of one connection to ``endpoint``; nothing is connected yet.

    No environment variable reaches it: proxies are the business of urllib3's managers, which are not used.

    Args:
        endpoint: where it leads.
        context: the client's SSL context; None for plain http.
        handle: the handle of the connection.
        https_pool: what it is made of for https.
    """
    if context is None:
        return _HttpPool(endpoint.host, endpoint.port, maxsize=1, block=False, handle=handle)
    return https_pool(
        endpoint.host,
        endpoint.port,
        maxsize=1,
        block=False,
        handle=handle,
        ssl_context=context,
        cert_reqs="CERT_REQUIRED",
        # Debian's urllib3 would load the system's authorities into the context here, at every connection.
        ca_certs=None,
    )
