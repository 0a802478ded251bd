"""The steps to Payme: name look-up, connection, TLS and certificate, the server's clock, the merchant account's key.

No step follows one that fails. No step takes much longer than ``timeout``, and no money moves: the key is tried
with a query for a receipt that can't exist.
"""

from __future__ import annotations

import concurrent.futures
import logging
import re
import socket
import ssl
import threading
from base64 import b64encode
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, TypeVar

from payme_plugin.doctor.finding import DAY_MS, HOUR_MS, Check, Finding, Result, Unchecked, duration
from payme_plugin.locale import Message, message
from payme_plugin.log import Log
from payme_plugin.paymego import receipts
from payme_plugin.paymego.client import client_of
from payme_plugin.paymego.connection import Endpoint
from payme_plugin.paymego.errors import Fault, NotSent, ServerError, TransportError, Unclear
from payme_plugin.paymego.protocols import Answer
from payme_plugin.paymego.tls import HOSTNAME_MISMATCH, TlsContext
from payme_plugin.settings.parsers import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.clock import Clock
    from payme_plugin.paymego.call import Outcome
    from payme_plugin.settings import Settings

SERVER_CHECKS = (Check.NAME, Check.CONNECTION, Check.TLS, Check.CLOCK, Check.KEY)

_NO_SUCH_RECEIPT = "0" * 24
"""A valid id of a receipt that does not exist: Payme's ids contain their time, and this one's is 1970."""

_FEW_DAYS = 14
_CLOCK_WARNING_MS = 30_000
_SECOND_MS = 1_000
"""The precision of a ``Date`` header."""

_KEY_ACCEPTED = frozenset({-31602, -31003, -31008})
"""Codes for a receipt that does not exist: an answer with one was authorised."""
_KEY_REFUSED = -32504
_ACCOUNT_UNKNOWN = -31601

# OpenSSL's X509_V_ERR_* numbers.
_CERTIFICATE_FAULTS = {
    9: "doctor.tls.not_yet_valid",
    10: "doctor.tls.expired",
    **dict.fromkeys((2, 18, 19, 20, 21), "doctor.tls.untrusted"),
    **dict.fromkeys((HOSTNAME_MISMATCH, 64), "doctor.tls.other_host"),
}
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What each step to Payme found; the fields of a step that was not reached keep their defaults.

    Attributes:
        host: name or address of the server, or of the proxy.
        port: its port.
        setting: the setting that names it: ``url``, or ``proxy``.
        is_https: requests are encrypted.
        addresses: those of the name.
        is_connected: its port accepts a connection.
        protocol: e.g. ``TLSv1.3``.
        certificate_end_ms: when the server's verified certificate ends, Unix milliseconds.
        ahead_ms: by how much this machine's clock is ahead of the ``Date`` of the server; None: it sent none.
        doubt_ms: by how much that may be wrong because of the time the answer took.
        outcome: the answer to the request with the key, or why there is none.
        error: why the last step failed.
    """

    host: str
    port: int
    setting: str = "url"
    is_https: bool = True
    addresses: tuple[str, ...] = ()
    is_connected: bool = False
    protocol: str = ""
    certificate_end_ms: int | None = None
    ahead_ms: int | None = None
    doubt_ms: int = 0
    outcome: Outcome | None = None
    error: Exception | None = None


def bounded(limit_s: float | None, work: Callable[[], _T]) -> _T:
    """Return what ``work`` returns, or raise what it raises; work that hangs is left to a daemon thread.

    Raises:
        TimeoutError: it takes longer than ``limit_s`` seconds.
    """
    future: concurrent.futures.Future[_T] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            future.set_exception(error)

    threading.Thread(target=run, name="payme-doctor", daemon=True).start()
    try:
        return future.result(limit_s)
    except concurrent.futures.TimeoutError as error:  # not the built-in one before Python 3.11
        raise TimeoutError from error


# ---------------------------------------------------------------------------------------------------------------------
# Look
# ---------------------------------------------------------------------------------------------------------------------


def look_at_server(settings: Settings, clock: Clock, log: logging.Logger | None = None) -> ServerFacts:
    """Connect to the server of ``settings`` step by step; return what was found up to the first fault.

    Args:
        settings: the merchant account and its server.
        clock: time.
        log: where the request is logged; None: nowhere.
    """
    endpoint = Endpoint.of(settings.url, settings.proxy)
    first = settings.proxy or endpoint
    is_https = endpoint.scheme == "https"
    facts = ServerFacts(
        host=first.host.strip("[]"),
        port=first.port or (443 if is_https else 80),
        setting="proxy" if settings.proxy else "url",
        is_https=is_https,
    )
    timeout_s = settings.timeout_s
    for limit_s, step in (
        (timeout_s, _look_up),
        (timeout_s, partial(_connect, timeout_s)),
        (2 * timeout_s + 1, partial(_greet, clock, settings, endpoint)),  # a handshake and one answer
        (2 * timeout_s + 1, partial(_ask, clock, settings, log)),  # it ends at its own deadline, ``timeout_s``
    ):
        try:
            facts = bounded(limit_s, partial(step, facts))
        except Exception as error:  # noqa: BLE001 - whatever the layers below raise is the fault of this step
            return replace(facts, error=error.with_traceback(None))
    return facts


def _look_up(facts: ServerFacts) -> ServerFacts:
    found = socket.getaddrinfo(facts.host, facts.port, type=socket.SOCK_STREAM)
    return replace(facts, addresses=tuple(dict.fromkeys(str(address[0]) for *_, address in found)))


def _connect(timeout_s: float, facts: ServerFacts) -> ServerFacts:
    socket.create_connection((facts.host, facts.port), timeout_s).close()
    return replace(facts, is_connected=True)


def _greet(clock: Clock, settings: Settings, endpoint: Endpoint, facts: ServerFacts) -> ServerFacts:
    """Verify the server's certificate and read its ``Date``; a server may refuse to send one."""
    login = None if settings.proxy is None else settings.proxy.login
    headers = {} if login is None else {"Proxy-Authorization": f"Basic {b64encode(login.reveal().encode()).decode()}"}
    connection = HTTPConnection(facts.host, facts.port, timeout=settings.timeout_s)
    if facts.is_https:
        context = TlsContext(endpoint.host, settings.ca_file).get()
        context.check_hostname = True  # the client's own leaves addresses to urllib3
        connection = HTTPSConnection(facts.host, facts.port, timeout=settings.timeout_s, context=context)
        if facts.setting == "proxy":
            connection.set_tunnel(endpoint.host.strip("[]"), endpoint.port or 443, headers)
            headers = {}
    with closing(connection):
        connection.connect()
        if isinstance(connection.sock, ssl.SSLSocket):
            certificate = connection.sock.getpeercert() or {}
            end_s = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
            facts = replace(facts, protocol=connection.sock.version() or "TLS", certificate_end_ms=end_s * 1000)
        with suppress(OSError, HTTPException, ValueError, TypeError, OverflowError, IndexError):
            before_ms = clock.wall_ms()
            connection.request("HEAD", endpoint.target, headers={**headers, "User-Agent": "payme-plugin"})
            date = connection.getresponse().headers["Date"]
            doubt_ms = abs(clock.wall_ms() - before_ms) // 2
            ahead_ms = before_ms + doubt_ms - int(parsedate_to_datetime(date).timestamp()) * 1000
            return replace(facts, ahead_ms=ahead_ms, doubt_ms=doubt_ms)
    return facts


def _ask(clock: Clock, settings: Settings, log: logging.Logger | None, facts: ServerFacts) -> ServerFacts:
    # A logger of the tree would print its warnings if no logging is set up.
    log = log or logging.Logger("payme.doctor", logging.CRITICAL)  # noqa: LOG001
    with closing(client_of(settings, clock, Log(log))) as client:
        call = client.begin("receipts.check", receipts.by_id(_NO_SUCH_RECEIPT), clock.monotonic() + settings.timeout_s)
        try:
            return replace(facts, outcome=call.answer())
        except (NotSent, ServerError, Unclear) as failure:
            return replace(facts, outcome=failure.with_traceback(None))


# ---------------------------------------------------------------------------------------------------------------------
# Check
# ---------------------------------------------------------------------------------------------------------------------


def check_server(facts: ServerFacts, now_ms: int) -> list[Result]:
    """Judge every step; those after a failed one are unchecked.

    Args:
        facts: what was found.
        now_ms: now, Unix milliseconds.
    """
    results: list[Result] = [_check_name(facts)]
    if facts.addresses:
        results.append(_check_connection(facts))
    if facts.is_connected:
        results.append(_check_tls(facts, now_ms))
    if facts.outcome is not None:
        results += [_check_clock(facts), _check_key(facts.outcome)]
    checked = [each.check for each in results]
    reason = message("doctor.not_reached", check=checked[-1].value)
    return results + [Unchecked(check, reason) for check in SERVER_CHECKS if check not in checked]


def _check_name(facts: ServerFacts) -> Finding:
    values = {"host": facts.host, "setting": facts.setting, "addresses": ", ".join(facts.addresses)}
    if not facts.addresses:
        return Finding.fault("doctor.name.not_found", reason=_reason(facts.error), **values)
    if facts.addresses == (facts.host,):
        return Finding.ok("doctor.name.address", **values)
    return Finding.ok("doctor.name.found", **values)


def _check_connection(facts: ServerFacts) -> Finding:
    values = {"host": facts.host, "port": facts.port, "setting": facts.setting}
    if not facts.is_connected:
        return Finding.fault("doctor.connection.none", reason=_reason(facts.error), **values)
    return Finding.ok("doctor.connection.open", **values)


def _check_tls(facts: ServerFacts, now_ms: int) -> Result:
    if not facts.is_https:
        host = f"[{facts.host}]" if ":" in facts.host else facts.host
        if facts.setting == "url" and is_loopback(f"http://{host}"):
            return Unchecked(Check.TLS, message("doctor.loopback"))
        return Finding.warning("doctor.tls.plain_http")
    if facts.certificate_end_ms is None:
        return _refused_handshake(facts)
    days = (facts.certificate_end_ms - now_ms) // DAY_MS
    end = datetime.fromtimestamp(facts.certificate_end_ms / 1000, tz=timezone.utc)
    level = Finding.warning if days < _FEW_DAYS else Finding.ok
    return level("doctor.tls.verified", protocol=facts.protocol, days=days, end=f"{end:%Y-%m-%d}")


def _refused_handshake(facts: ServerFacts) -> Finding:
    error = facts.error
    if isinstance(error, ssl.SSLCertVerificationError):
        key = _CERTIFICATE_FAULTS.get(error.verify_code, "doctor.tls.refused")
        return Finding.fault(key, reason=error.verify_message)
    if isinstance(error, ssl.SSLError) and error.reason in _NOT_TLS:
        return Finding.fault("doctor.tls.not_spoken", port=facts.port)
    if facts.setting == "proxy" and isinstance(error, OSError) and (status := re.search(r"\b\d{3}\b", str(error))):
        return Finding.fault("doctor.tls.no_tunnel", host=facts.host, status=status[0])
    return Finding.fault("doctor.tls.failed", reason=_reason(error), setting=facts.setting)


def _check_clock(facts: ServerFacts) -> Result:
    if facts.ahead_ms is None:
        return Unchecked(Check.CLOCK, message("doctor.no_date"))
    ahead_ms = facts.ahead_ms - _SECOND_MS // 2
    apart_ms = max(0, abs(ahead_ms) - facts.doubt_ms - _SECOND_MS // 2)
    if apart_ms < _CLOCK_WARNING_MS:
        return Finding.ok("doctor.clock.right")
    key = "doctor.clock.ahead" if ahead_ms > 0 else "doctor.clock.behind"
    return (Finding.fault if apart_ms >= HOUR_MS else Finding.warning)(key, time=duration(apart_ms))


def _check_key(outcome: Outcome) -> Finding:
    """Judge the answer to a query for a receipt that does not exist."""
    if isinstance(outcome, Answer) or (isinstance(outcome, ServerError) and outcome.code in _KEY_ACCEPTED):
        return Finding.ok("doctor.key.accepted")
    if isinstance(outcome, ServerError):
        if outcome.code == _KEY_REFUSED:
            return Finding.fault("doctor.key.refused", code=outcome.code)
        if outcome.code == _ACCOUNT_UNKNOWN:
            return Finding.fault("doctor.key.unknown_account", code=outcome.code)
        return Finding.warning("doctor.key.other_error", code=outcome.code)
    if outcome.fault in {Fault.NOT_JSON, Fault.WRONG_SHAPE, Fault.TOO_LARGE, Fault.FOREIGN_ANSWER, Fault.HTTP_STATUS}:
        return Finding.fault("doctor.key.not_payme", reason=outcome.explanation)
    reason = message("doctor.timeout") if outcome.fault is Fault.TIME_OVER else outcome.explanation
    return Finding.fault("doctor.key.no_answer", reason=reason)


def _reason(error: Exception | None) -> Message | str:
    if isinstance(error, TimeoutError):
        return message("doctor.timeout")
    if isinstance(error, TransportError):
        return error.explanation
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
