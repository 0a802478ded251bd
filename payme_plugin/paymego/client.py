"""The client of one merchant account: requests on I/O threads, over a connection that is kept alive."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from payme_plugin.log import Log
from payme_plugin.paymego.call import Call, CallFinished, CallLog, Outcome
from payme_plugin.paymego.connection import Connection, Endpoint, transport_error
from payme_plugin.paymego.errors import Fault, ServerError, TransportError, Unclear
from payme_plugin.paymego.jsonrpc import Request, encode_request, read_answer
from payme_plugin.paymego.protocols import Answer, MerchantAccount
from payme_plugin.paymego.threads import IoThreads
from payme_plugin.paymego.tls import TlsContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from payme_plugin.clock import Clock
    from payme_plugin.paymego.connection import Address
    from payme_plugin.paymego.protocols import Params
    from payme_plugin.secret import Secret
    from payme_plugin.settings import Settings
    from payme_plugin.settings.parsers import ProxyAddress

_PAY_METHOD = "receipts.pay"
_CREATE_METHOD = "receipts.create"
"""It runs during the scan. Until a code is scanned, no flow waits for its answer or its deadline."""

_MAX_CODES = 4
"""How many codes are redacted in later answers, which may repeat them; a payment has at most four."""

_PAY_IDLE_S = 5.0
_IDLE_S = 30.0
_INVISIBLE_LETTERS = "\xa0\xad"  # not control characters; the settings allow them in a key
_random_id = partial(secrets.randbits, 53)


class PaymeGoClient:
    """Sends requests of one merchant account to PaymeGO; it implements ``paymego.protocols.Client``.

    Any thread may use it. It repeats nothing, follows no redirect and takes no proxy from the environment. Whatever the
    network or server does, a ``Pending`` ends with an ``Answer``, ``NotSent``, ``ServerError`` or ``Unclear``.

    Args:
        merchant: address and authorisation.
        clock: the clock of all deadlines.
        request_ids: returns the id of the next request. By default random, so that an answer to another request can't
            be taken for ours, and below 2**53, so that any server can repeat it.
        ca_file: certificates of the site's own authority, instead of the system's.
        proxy: the HTTP proxy that requests go through.
        log: where the two lines of each request are written.

    Raises:
        ValueError: ``url`` is not a complete http or https address, or ``posId`` or ``posKey`` holds a control
            character.
    """

    def __init__(
        self,
        merchant: MerchantAccount,
        *,
        clock: Clock,
        request_ids: Callable[[], int] = _random_id,
        ca_file: Path | None = None,
        proxy: ProxyAddress | None = None,
        log: Log | None = None,
    ) -> None:
        for name, text in (("posId", merchant.pos_id), ("posKey", merchant.pos_key.reveal())):
            if not all(letter.isprintable() or letter in _INVISIBLE_LETTERS for letter in text):
                raise ValueError(f"{name} holds a control character: use visible characters only")
        self._merchant = merchant
        self._endpoint = Endpoint.of(merchant.url, proxy)
        self._clock = clock
        self._request_ids = request_ids
        self._tls = TlsContext(self._endpoint.host, ca_file) if self._endpoint.scheme == "https" else None
        self._log = log or Log()
        self._threads = IoThreads()
        self._lock = threading.Lock()
        self._running: set[Call] = set()
        self._codes: deque[Secret] = deque(maxlen=_MAX_CODES)
        self._idle: Connection | None = None
        self._address: Address | None = None  # that answered last; a dead one before it would cost time again
        self._closed = False

    def begin(self, method: str, params: Params, deadline: float) -> Call:
        """Start a request and return at once, as ``paymego.protocols.Client`` describes.

        Money effect: ``receipts.pay`` may charge, ``receipts.cancel`` may cancel.

        Raises:
            TypeError: a value of ``params`` has no form in JSON.
            ValueError: a number of ``params`` is NaN or infinite.
        """
        request = encode_request(self._request_ids(), method, params)
        log = CallLog(self._log, method, params, (self._merchant.pos_key, *request.secrets))
        began_at = self._clock.monotonic()

        def on_finish(call: Call, outcome: Outcome) -> None:
            with self._lock:
                self._running.discard(call)
            log.ended(outcome, self._clock.monotonic() - began_at)

        call = Call(method, deadline, self._clock, on_finish)
        with self._lock:
            self._codes.extend(request.secrets)
            closed = self._closed
            earlier = tuple(self._running)
            self._running.add(call)
        for other in earlier:  # a call that no flow waits for must end at its deadline too
            other.expire_if_due()
        if closed:
            call.fail(Fault.STOPPED, "the client was closed")
        else:
            self._threads.run(lambda: self._run(call, request))
            if method == _CREATE_METHOD:
                self._threads.run(lambda: call.wait(call.deadline))
        return call

    def warm_up(self) -> None:
        """Build the SSL context in the background, so that the first request does not wait for it."""
        if self._tls is not None:
            self._threads.run(self._try_tls)

    def close(self) -> None:
        """Close the idle connection and abandon all running calls; later requests are ``NotSent``."""
        with self._lock:
            self._closed = True
            calls = tuple(self._running)
            idle, self._idle = self._idle, None
        for call in calls:
            call.abandon()
        if idle is not None:
            idle.close()
        self._threads.close()

    def _run(self, call: Call, request: Request) -> None:
        connection: Connection | None = None
        has_result = keep = False
        try:
            call.check()
            connection = self._take_connection(call.method)
            outcome = self._send(call, request, connection)
            has_result = call.set_result(outcome)
            keep = has_result and isinstance(outcome, (Answer, ServerError))
        except CallFinished:
            call.expire_if_due()
        except Exception as error:  # noqa: BLE001 - whatever the layers below raise, the flow gets our own exception
            fault = transport_error(error)
            call.fail(fault.fault, fault.explanation)
        if connection is not None:
            self._release(connection, keep=keep)
        # The connection is released first, so that the flow's next request finds it idle.
        if has_result:
            call.notify()

    def _send(self, call: Call, request: Request, connection: Connection) -> Outcome:
        body = connection.post(call, self._headers(), request.body)
        connection.answered_at, self._address = self._clock.monotonic(), connection.address
        try:
            with self._lock:
                codes = tuple(self._codes)
            return read_answer(body, request, (self._merchant.pos_key, *codes))
        except (ServerError, Unclear) as failure:
            # The context would keep the server's text alive, and the traceback's frames the request.
            failure.__context__ = None
            return failure.with_traceback(None)

    def _headers(self) -> dict[str, str]:
        # http.client encodes headers as Latin-1; decoded so, the UTF-8 bytes are sent unchanged.
        authorisation = f"{self._merchant.pos_id}:{self._merchant.pos_key.reveal()}".encode().decode("latin-1")
        return {
            "X-Auth": authorisation,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Cache-Control": "no-cache",
            "User-Agent": "payme-plugin",
        }

    def _take_connection(self, method: str) -> Connection:
        """Return the idle connection if it answered recently enough, else a new one.

        A NAT may drop an idle connection silently, and then a request seems sent but never arrives. That is
        most costly for ``receipts.pay``, so its limit is shorter.
        """
        with self._lock:
            connection, self._idle = self._idle, None
        if connection is not None:
            idle_s = self._clock.monotonic() - connection.answered_at
            if idle_s <= (_PAY_IDLE_S if method == _PAY_METHOD else _IDLE_S):
                return connection
            connection.close()
        return Connection(self._endpoint, None if self._tls is None else self._tls.get(), self._address)

    def _try_tls(self) -> None:
        # The first request reports a caFile that can't be used.
        with contextlib.suppress(TransportError):
            if self._tls is not None:
                self._tls.get()

    def _release(self, connection: Connection, *, keep: bool) -> None:
        with self._lock:
            surplus: Connection | None = connection
            if keep and connection.reusable and not self._closed:
                surplus, self._idle = self._idle, connection
        if surplus is not None:
            with contextlib.suppress(Exception):
                surplus.close()


def client_of(settings: Settings, clock: Clock, log: Log | None = None) -> PaymeGoClient:
    """Return a client of the merchant account in ``settings``.

    The other arguments are those of ``PaymeGoClient``.

    Raises:
        ValueError: as ``PaymeGoClient``; settings that passed validation never cause it.
    """
    merchant = MerchantAccount.of(settings)
    return PaymeGoClient(merchant, clock=clock, ca_file=settings.ca_file, proxy=settings.proxy, log=log)
