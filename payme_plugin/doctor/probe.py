"""Walks the way to Payme step by step, and brings back how far it came. It judges nothing.

Name, connection, TLS and date are looked at with the client's own connections; the key is tried by the client itself,
with a question about a receipt that can't exist. No step takes longer than ``timeout``, and no money moves.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import urllib3

from payme_plugin.doctor.facts import KeyFacts, Outcome, ServerDate, ServerFacts, Stop
from payme_plugin.doctor.finding import Check
from payme_plugin.doctor.handshake import RefusedHandshake, WatchedHandle, verify_code, watched_pool
from payme_plugin.log import Log
from payme_plugin.paymego import receipts
from payme_plugin.paymego.client import client_of
from payme_plugin.paymego.connection import Endpoint, HttpConnection, SocketHandle, look_up
from payme_plugin.paymego.errors import NotSent, ServerError, TransportError, Unclear
from payme_plugin.paymego.protocols import Answer

if TYPE_CHECKING:
    from payme_plugin.doctor.limits import Limits
    from payme_plugin.paymego.call import Call
    from payme_plugin.paymego.client import PaymeGoClient
    from payme_plugin.settings import Settings

__all__ = ["look_at_server"]

_NO_SUCH_RECEIPT = "0" * 24
"""An id of Payme's form, made in the year 1970: there is no such receipt."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def look_at_server(settings: Settings, limits: Limits, log: logging.Logger | None = None) -> ServerFacts:
    """Walk the way to the server of ``settings``, as far as it goes.

    Args:
        settings: the kassa and its server.
        limits: end what hangs.
        log: where the lines of the requests go; None: nowhere.

    Money effect: none.
    """
    endpoint = Endpoint.of(settings.url, settings.proxy)
    walk = _Walk(settings, endpoint, limits, log or _silent_log())
    first = settings.proxy or endpoint
    facts = ServerFacts(
        host=first.host.strip("[]"),
        port=first.port or _DEFAULT_PORTS[endpoint.scheme],
        is_proxied=settings.proxy is not None,
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
        except TransportError as fault:
            return replace(facts, stop=Stop(check, fault.fault, fault.explanation, verify_code(fault)))
    return facts


class _Walk:
    """The steps; each returns the facts with what it found, and raises ``TransportError`` where the way ends."""

    def __init__(self, settings: Settings, endpoint: Endpoint, limits: Limits, log: logging.Logger) -> None:
        self._settings = settings
        self._log = log
        self._endpoint = endpoint
        self._limits = limits
        self._clock = limits.clock

    def look_up(self, facts: ServerFacts) -> ServerFacts:
        def work(_: Call) -> tuple[str, ...]:
            return tuple(dict.fromkeys(str(address[0]) for *_, address in look_up(facts.host, facts.port)))

        began_at = self._clock.monotonic()
        addresses = self._limits.within(self._settings.timeout_s, work)
        return replace(facts, addresses=addresses, look_up_ms=self._ms_since(began_at))

    def connect(self, facts: ServerFacts) -> ServerFacts:
        def work(call: Call) -> None:
            handle = SocketHandle()
            handle.bind(call)
            connection = HttpConnection(facts.host, facts.port, handle=handle)
            try:
                connection.connect()
            finally:
                connection.close()
                handle.close()

        began_at = self._clock.monotonic()
        self._limits.within(self._settings.timeout_s, work)
        return replace(facts, connect_ms=self._ms_since(began_at))

    def greet(self, facts: ServerFacts) -> ServerFacts:
        """Shake hands, and ask for the head of an answer, without the key; a server may refuse to give one."""
        handle = WatchedHandle()
        try:
            date = self._limits.within(self._settings.timeout_s, lambda call: self._date(call, handle))
        except TransportError as fault:
            if facts.is_https and handle.certificate is None:
                raise RefusedHandshake(fault, handle.refusal) from None
            date = None
        return replace(facts, certificate=handle.certificate, date=date)

    def ask(self, facts: ServerFacts) -> ServerFacts:
        client = client_of(self._settings, self._clock, Log(self._log))
        try:
            outcome, first_ms = self._asked(client)
            second, second_ms = self._asked(client) if _is_answer(outcome) else (outcome, 0.0)
            return replace(facts, key=KeyFacts(outcome, first_ms, second_ms if _is_answer(second) else None))
        finally:
            client.close()

    def _asked(self, client: PaymeGoClient) -> tuple[Outcome, float]:
        began_at = self._clock.monotonic()
        call = client.begin("receipts.check", receipts.by_id(_NO_SUCH_RECEIPT), began_at + self._settings.timeout_s)
        try:
            return call.answer(), self._ms_since(began_at)
        except (NotSent, ServerError, Unclear) as failure:
            return failure.with_traceback(None), self._ms_since(began_at)

    def _date(self, call: Call, handle: WatchedHandle) -> ServerDate | None:
        handle.bind(call)
        pool = watched_pool(self._endpoint, self._settings.ca_file, handle)
        try:
            before_ms = self._clock.wall_ms()
            response = pool.urlopen(
                "HEAD",
                self._endpoint.target,
                headers={"Connection": "close", "User-Agent": "payme-plugin"},
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(connect=call.timeout_s(), read=call.timeout_s()),
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
            handle.close()

    def _ms_since(self, began_at: float) -> float:
        return (self._clock.monotonic() - began_at) * 1000


def _silent_log() -> logging.Logger:
    # One of the tree of loggers would print its warnings wherever nobody has set logging up.
    return logging.Logger("payme.doctor", logging.CRITICAL)  # noqa: LOG001


def _is_answer(outcome: Outcome) -> bool:
    return isinstance(outcome, (Answer, ServerError))


def _date_ms(header: str) -> int | None:
    """Return the moment in a header ``Date`` in Unix milliseconds; None where it is none."""
    try:
        return int(parsedate_to_datetime(header).timestamp()) * 1000
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
