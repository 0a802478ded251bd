"""Walks the way to Payme step by step, and brings back how far it came. It judges nothing.

Name, connection, TLS and date are looked at with the client's own connections; the key is tried by the client itself,
with a question about a receipt that can't exist. No step takes longer than ``timeout``, and no money moves.
"""

from __future__ import annotations

import logging
import secrets
import socket
import ssl
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import urllib3

from payme_plugin.doctor.finding import Check
from payme_plugin.paymego import receipts
from payme_plugin.paymego.calls import Answer
from payme_plugin.paymego.client import PaymeGoClient
from payme_plugin.paymego.connection import PlainConnection, TlsConnection
from payme_plugin.paymego.errors import Fault, NotSent, Refused, Unclear
from payme_plugin.paymego.kassa import Kassa
from payme_plugin.paymego.link import Endpoint
from payme_plugin.paymego.link_fault import LinkFault
from payme_plugin.paymego.tls import TlsContext
from payme_plugin.paymego.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.doctor.limits import Limits
    from payme_plugin.paymego.call import Call
    from payme_plugin.settings import Settings

__all__ = ["Certificate", "KeyFacts", "Outcome", "ServerDate", "ServerFacts", "Stop", "look_at_server"]

_NO_SUCH_RECEIPT = "0" * 24
"""An id of Payme's form, made in the year 1970: there is no such receipt."""

_REQUEST_ID_BITS = 53
Outcome = Answer | Refused | NotSent | Unclear
"""What may come of a question."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_WRONG_HOST = 62  # X509_V_ERR_HOSTNAME_MISMATCH, which Python's and urllib3's own checks of the name do not number


@dataclass(frozen=True, slots=True)
class Stop:
    """Where the way ended.

    Attributes:
        check: the step.
        fault: the kind of its failure.
        explanation: the same in words, none of which a server chose.
        verify_code: OpenSSL's number of what is wrong with the certificate; None where it is not that.
    """

    check: Check
    fault: Fault
    explanation: str
    verify_code: int | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that was verified, and how it was shown.

    Attributes:
        protocol: ``TLSv1.3`` say.
        expires_at_ms: its end, or the first end in its chain where that is known, Unix milliseconds.
        is_chain: the ends of all certificates up to the authority's are known.
    """

    protocol: str
    expires_at_ms: int
    is_chain: bool


@dataclass(frozen=True, slots=True)
class ServerDate:
    """The server's clock beside ours.

    Attributes:
        theirs_ms: the header ``Date``, Unix milliseconds, cut to a second.
        ours_ms: the machine's clock halfway between question and answer.
        doubt_ms: half of the time between them.
    """

    theirs_ms: int
    ours_ms: int
    doubt_ms: int


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What came of two questions with the kassa's key, one behind the other on one connection.

    Attributes:
        outcome: the first answer, or why there was none.
        first_ms: how long it took, with connecting.
        second_ms: how long the second took; None where it was not asked, or not answered.
    """

    outcome: Outcome
    first_ms: float
    second_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """How far the way to Payme could be walked; a step behind ``stop`` was not taken.

    Attributes:
        host: the server's name or address.
        port: its port.
        is_https: the way is encrypted.
        timeout_ms: what one step may take.
        walked_at_ms: when the walk began, Unix milliseconds of the machine.
        addresses: what the name stands for.
        look_up_ms: how long that took to find out.
        connect_ms: how long a connection took, or None.
        certificate: the server's, or None.
        date: its clock beside ours, or None.
        key: what came of the key, or None.
        stop: where the way ended; None: nowhere.
    """

    host: str
    port: int
    is_https: bool
    timeout_ms: int
    walked_at_ms: int
    addresses: tuple[str, ...] = ()
    look_up_ms: float = 0.0
    connect_ms: float | None = None
    certificate: Certificate | None = None
    date: ServerDate | None = None
    key: KeyFacts | None = None
    stop: Stop | None = None


def look_at_server(settings: Settings, limits: Limits, log: logging.Logger | None = None) -> ServerFacts:
    """Walk the way to the server of ``settings``, as far as it goes.

    Args:
        settings: the kassa and its server.
        limits: end what hangs.
        log: where the lines of the requests go; None: nowhere.

    Money effect: none.
    """
    endpoint = Endpoint.of(settings.url)
    walk = _Walk(settings, endpoint, limits, log or _silent_log())
    facts = ServerFacts(
        host=endpoint.host.strip("[]"),
        port=endpoint.port or _DEFAULT_PORTS[endpoint.scheme],
        is_https=endpoint.scheme == "https",
        timeout_ms=settings.timeout_s * 1000,
        walked_at_ms=limits.clock.wall_ms(),
    )
    for check, step in (
        (Check.NAME, walk.look_up),
        (Check.CONNECTION, walk.connect),
        (Check.TLS, walk.greet),
        (Check.KEY, walk.ask),
    ):
        try:
            facts = step(facts)
        except LinkFault as fault:
            return replace(facts, stop=Stop(check, fault.fault, fault.explanation, _verify_code(fault)))
    return facts


class _Walk:
    """The steps; each returns the facts with what it found, and raises ``LinkFault`` where the way ends."""

    def __init__(self, settings: Settings, endpoint: Endpoint, limits: Limits, log: logging.Logger) -> None:
        self._settings = settings
        self._log = log
        self._endpoint = endpoint
        self._limits = limits
        self._clock = limits.clock

    def look_up(self, facts: ServerFacts) -> ServerFacts:
        def work(_: Call) -> tuple[str, ...]:
            try:
                found = socket.getaddrinfo(facts.host, facts.port, type=socket.SOCK_STREAM)
            except UnicodeError:
                raise LinkFault(Fault.NAME_NOT_FOUND, f"{facts.host} is no host name") from None
            except OSError as error:
                raise LinkFault(Fault.NAME_NOT_FOUND, f"can't look up {facts.host}: {error.strerror}") from None
            return tuple(dict.fromkeys(str(address[0]) for *_, address in found))

        began_at = self._clock.monotonic()
        addresses = self._limits.within(self._settings.timeout_s, work)
        return replace(facts, addresses=addresses, look_up_ms=self._ms_since(began_at))

    def connect(self, facts: ServerFacts) -> ServerFacts:
        def work(call: Call) -> None:
            wire = Wire()
            wire.carry(call)
            connection = PlainConnection(self._endpoint.host, facts.port, wire=wire)
            try:
                connection.connect()
            finally:
                connection.close()
                wire.close()

        began_at = self._clock.monotonic()
        self._limits.within(self._settings.timeout_s, work)
        return replace(facts, connect_ms=self._ms_since(began_at))

    def greet(self, facts: ServerFacts) -> ServerFacts:
        """Shake hands, and ask for the head of an answer, without the key; a server may refuse to give one."""
        wire = _WatchedWire()
        try:
            date = self._limits.within(self._settings.timeout_s, lambda call: self._date(call, wire))
        except LinkFault as fault:
            if facts.is_https and wire.certificate is None:
                raise _Refused(fault, wire.refusal) from None
            date = None
        return replace(facts, certificate=wire.certificate, date=date)

    def ask(self, facts: ServerFacts) -> ServerFacts:
        settings = self._settings
        client = PaymeGoClient(
            Kassa(settings.pos_id, settings.pos_key, settings.url),
            clock=self._clock,
            ca_file=settings.ca_file,
            request_ids=lambda: secrets.randbits(_REQUEST_ID_BITS),
            log=self._log,
        )
        try:
            outcome, first_ms = self._asked(client)
            second, second_ms = self._asked(client) if _is_answer(outcome) else (outcome, 0.0)
            return replace(facts, key=KeyFacts(outcome, first_ms, second_ms if _is_answer(second) else None))
        finally:
            client.close()

    def _asked(self, client: PaymeGoClient) -> tuple[Outcome, float]:
        began_at = self._clock.monotonic()
        call = client.begin("receipts.check", receipts.check(_NO_SUCH_RECEIPT), began_at + self._settings.timeout_s)
        try:
            return call.answer(), self._ms_since(began_at)
        except (NotSent, Refused, Unclear) as failure:
            return failure.with_traceback(None), self._ms_since(began_at)

    def _date(self, call: Call, wire: _WatchedWire) -> ServerDate | None:
        wire.carry(call)
        pool = self._pool(wire)
        try:
            before_ms = self._clock.wall_ms()
            response = pool.urlopen(
                "HEAD",
                self._endpoint.target,
                headers={"Connection": "close", "User-Agent": "payme-plugin"},
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(connect=call.patience_s(), read=call.patience_s()),
                preload_content=False,
            )
            response.close()
            after_ms = self._clock.wall_ms()
            theirs_ms = _date_ms(response.headers.get("Date", ""))
            if theirs_ms is None:
                return None
            return ServerDate(theirs_ms, (before_ms + after_ms) // 2, abs(after_ms - before_ms) // 2)
        finally:
            pool.close()
            wire.close()

    def _pool(self, wire: _WatchedWire) -> urllib3.HTTPConnectionPool:
        endpoint = self._endpoint
        if endpoint.scheme == "http":
            return _PlainPool(endpoint.host, endpoint.port, maxsize=1, block=False, wire=wire)
        context = TlsContext(endpoint.host, self._settings.ca_file).get()
        return _TlsPool(
            endpoint.host,
            endpoint.port,
            maxsize=1,
            block=False,
            wire=wire,
            ssl_context=context,
            cert_reqs="CERT_REQUIRED",
            ca_certs=None,
        )

    def _ms_since(self, began_at: float) -> float:
        return (self._clock.monotonic() - began_at) * 1000


class _WatchedWire(Wire):
    """A wire that remembers the handshake of its connection.

    Attributes:
        certificate: what was verified, or None.
        refusal: why nothing was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.certificate: Certificate | None = None
        self.refusal: BaseException | None = None


class _WatchedConnection(TlsConnection):
    _wire: _WatchedWire

    def connect(self) -> None:
        """Connect and verify, and remember what came of it."""
        try:
            super().connect()
        except LinkFault as fault:
            self._wire.refusal = fault.__context__
            raise
        if isinstance(self.sock, ssl.SSLSocket):
            self._wire.certificate = _certificate_of(self.sock)


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


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _WatchedConnection


class _Refused(LinkFault):
    """A handshake that failed, with what the layer below said."""

    def __init__(self, fault: LinkFault, refusal: BaseException | None) -> None:
        super().__init__(fault.fault, fault.explanation)
        self.refusal = refusal


def _silent_log() -> logging.Logger:
    # One of the tree of loggers would print its warnings wherever nobody has set logging up.
    return logging.Logger("payme.doctor", logging.CRITICAL)  # noqa: LOG001


def _is_answer(outcome: Outcome) -> bool:
    return isinstance(outcome, (Answer, Refused))


def _verify_code(fault: LinkFault) -> int | None:
    refusal = fault.refusal if isinstance(fault, _Refused) else None
    if isinstance(refusal, ssl.SSLCertVerificationError):
        return getattr(refusal, "verify_code", _WRONG_HOST)
    return _WRONG_HOST if isinstance(refusal, ValueError) else None


def _date_ms(header: str) -> int | None:
    """Return the moment in a header ``Date`` in Unix milliseconds; None where it is none."""
    try:
        return int(parsedate_to_datetime(header).timestamp()) * 1000
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
