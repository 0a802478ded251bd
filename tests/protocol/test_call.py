"""A call ends once, at its deadline at the latest; what ended is never written; "not sent" is certain."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from payme_plugin.clock import SystemClock
from payme_plugin.paymego import receipts
from payme_plugin.paymego.call import Call, CallFinished
from payme_plugin.paymego.errors import CallFailed, Fault, NotSent, Unclear
from payme_plugin.paymego.protocols import Answer
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from payme_plugin.paymego.client import PaymeGoClient
    from tests.protocol.conftest import Peer, Script, Time, Visit

    ClientOf = Callable[..., PaymeGoClient]
    Serve = Callable[..., Peer]

pytestmark = pytest.mark.floor

RECEIPT = "65f0a1b2c3d4e5f601234567"
LIMIT_S = 0.3
SLACK_S = 2.0
ANSWER = Answer("receipts.check", {"state": 4}, bound=True)


class HandClock:
    """A clock that moves when a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return 0

    def sleep(self, duration_s: float) -> None:
        self.now += duration_s


class Cable:
    """A connection that only counts how often it was shut."""

    def __init__(self) -> None:
        self.aborts = 0

    def abort(self) -> None:
        self.aborts += 1


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def call(clock: HandClock) -> Call:
    return Call("receipts.pay", 110.0, clock)


def test_a_byte_may_leave_while_the_call_is_under_way(call: Call) -> None:
    assert not call.sent
    call.allow_write()
    assert call.sent


@pytest.mark.parametrize("late_by_s", [0.0, 1.0])
def test_no_byte_leaves_from_the_deadline_on_even_if_nobody_ended_the_call(
    call: Call, clock: HandClock, late_by_s: float
) -> None:
    clock.now = 110.0 + late_by_s
    with pytest.raises(CallFinished):
        call.allow_write()
    assert not call.sent


def test_no_byte_leaves_after_the_call_was_abandoned(call: Call) -> None:
    call.abandon()
    with pytest.raises(CallFinished):
        call.allow_write()
    with pytest.raises(NotSent) as caught:
        call.answer()
    assert caught.value.fault is Fault.STOPPED


def test_the_rest_of_a_body_does_not_leave_either(call: Call) -> None:
    call.allow_write()
    call.abandon()
    with pytest.raises(CallFinished):
        call.allow_write()
    with pytest.raises(Unclear):
        call.answer()


def test_ending_without_an_answer_shuts_the_connection_once(call: Call, clock: HandClock) -> None:
    cable = Cable()
    call.attach(cable.abort)
    clock.now = 110.0
    assert call.wait(110.0)
    call.abandon()
    assert cable.aborts == 1


def test_an_answer_leaves_the_connection_alone(call: Call, clock: HandClock) -> None:
    cable = Cable()
    call.attach(cable.abort)
    assert call.set_result(ANSWER)
    call.notify()
    clock.now = 200.0
    call.abandon()
    assert call.wait(200.0)
    assert (call.answer(), cable.aborts) == (ANSWER, 0)


def test_a_call_that_ended_takes_no_connection(call: Call) -> None:
    call.abandon()
    with pytest.raises(CallFinished):
        call.attach(Cable().abort)


def test_an_answer_after_the_deadline_is_thrown_away(call: Call, clock: HandClock) -> None:
    call.allow_write()
    clock.now = 110.0
    assert not call.set_result(ANSWER)
    with pytest.raises(Unclear) as caught:
        call.answer()
    assert caught.value.fault is Fault.TIME_OVER


def test_an_answer_in_time_stands_however_late_it_is_asked_for(call: Call, clock: HandClock) -> None:
    assert call.set_result(ANSWER)
    call.notify()
    clock.now = 500.0
    assert call.answer() == ANSWER


def test_only_the_first_end_counts(call: Call) -> None:
    assert call.fail(Fault.CONNECTION_LOST, "lost")
    assert not call.fail(Fault.TLS, "again")
    assert not call.set_result(ANSWER)
    with pytest.raises(NotSent, match="lost"):
        call.answer()


def test_its_end_is_told_once_and_a_blocked_listener_holds_up_nobody(clock: HandClock) -> None:
    told: list[object] = []
    listening, release = threading.Event(), threading.Event()

    def listener(ended: Call, outcome: object) -> None:
        told.append(outcome)
        listening.set()
        release.wait(5)

    call = Call("receipts.pay", 110.0, clock, listener)
    assert call.set_result(ANSWER)
    teller = threading.Thread(target=call.notify)
    teller.start()
    assert listening.wait(5)
    clock.now = 110.0
    assert call.wait(110.0)
    assert call.answer() == ANSWER
    release.set()
    teller.join(5)
    assert told == [ANSWER]


def test_an_outcome_is_handed_over_only_after_its_end_was_told(clock: HandClock) -> None:
    order: list[str] = []
    listening, release = threading.Event(), threading.Event()

    def listener(ended: Call, outcome: object) -> None:
        listening.set()
        release.wait(5)
        order.append("told")

    call = Call("receipts.pay", 110.0, clock, listener)

    def flow() -> None:
        call.answer()
        order.append("answered")

    assert call.set_result(ANSWER)
    teller, asker = threading.Thread(target=call.notify), threading.Thread(target=flow)
    teller.start()
    assert listening.wait(5)
    asker.start()
    release.set()
    teller.join(5)
    asker.join(5)
    assert order == ["told", "answered"]


def test_whoever_waits_is_woken_by_the_end() -> None:
    clock = SystemClock()
    call = Call("receipts.pay", clock.monotonic() + 30, clock)
    waiter = threading.Thread(target=call.wait, args=(call.deadline,))
    waiter.start()
    call.abandon()
    waiter.join(5)
    assert not waiter.is_alive()


def silent(visit: Visit) -> None:
    visit.request()
    visit.until_gone()


def dripping_status_line(visit: Visit) -> None:
    visit.request()
    visit.drip(b"HTTP/1.1 200 " + b"O" * 10_000)


def dripping_headers(visit: Visit) -> None:
    visit.request()
    visit.send(b"HTTP/1.1 200 OK\r\n")
    visit.drip(b"X-Slow: yes\r\n" * 1000)


def dripping_body(visit: Visit) -> None:
    visit.request()
    visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    visit.drip(b" " * 10_000)


def dripping_chunks(visit: Visit) -> None:
    visit.request()
    visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    visit.drip(b"1\r\n \r\n" * 1000)


def dripping_until_close(visit: Visit) -> None:
    visit.request()
    visit.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    visit.drip(b" " * 10_000)


def flood_of_continues(visit: Visit) -> None:
    visit.request()
    while not visit.peer.stopping.wait(0.01):
        visit.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize(
    "script",
    [
        silent,
        dripping_status_line,
        dripping_headers,
        dripping_body,
        dripping_chunks,
        dripping_until_close,
        flood_of_continues,
    ],
)
def test_a_request_ends_at_its_deadline_however_slow_the_server_is(
    serve: Serve, client_of: ClientOf, time: Time, script: Script, honest: Script
) -> None:
    peer = serve(script, honest)
    client = client_of(peer.url)
    began_at = time.monotonic()
    with pytest.raises(Unclear) as caught:
        client.begin("receipts.pay", receipts.pay(RECEIPT, Secret("0027161293")), time.after(LIMIT_S)).answer()
    assert LIMIT_S <= time.monotonic() - began_at < LIMIT_S + SLACK_S
    assert caught.value.fault is Fault.TIME_OVER

    # The server sees its connection end, and the next request is held up by nothing.
    peer._threads[1].join(5)
    assert not peer._threads[1].is_alive()
    assert client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(2)).answer().bound


def test_a_name_look_up_that_hangs_ends_at_the_deadline_and_leads_nowhere_later(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, looked_up = threading.Event(), threading.Event()
    look_up = socket.getaddrinfo

    def hanging(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the resolver's own signature
        release.wait(10)
        try:
            return look_up(*arguments, **options)
        finally:
            looked_up.set()

    peer = serve(honest)
    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    client = client_of(peer.url)
    began_at = time.monotonic()
    pending = client.begin("receipts.pay", receipts.pay(RECEIPT, Secret("0027161293")), time.after(LIMIT_S))
    with pytest.raises(NotSent) as caught:
        pending.answer()
    assert time.monotonic() - began_at < LIMIT_S + SLACK_S
    assert caught.value.fault is Fault.TIME_OVER

    monkeypatch.undo()
    client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(2)).answer()
    release.set()
    assert looked_up.wait(5)
    client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(2)).answer()
    assert (peer.methods, peer.connections) == (["receipts.check", "receipts.check"], 1)


def test_addresses_that_never_answer_leave_time_for_the_one_that_does(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = serve(honest)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as dead, contextlib.ExitStack() as callers:
        # A full backlog: the kernel drops what comes next, as a host that is off does.
        for _ in range(4):
            caller = callers.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(dead.getsockname())
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))
            for port in (dead.getsockname()[1], dead.getsockname()[1], peer.port)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        began_at = time.monotonic()
        client_of(peer.url).begin("receipts.check", receipts.by_id(RECEIPT), time.after(3)).answer()
        assert 1.5 < time.monotonic() - began_at < 3


def test_a_request_that_nobody_waits_for_ends_too(serve: Serve, client_of: ClientOf, time: Time) -> None:
    peer = serve(dripping_headers)
    client = client_of(peer.url)
    client.begin("receipts.create", receipts.create(100, {}), time.after(LIMIT_S))
    while not peer.requests:
        peer.stopping.wait(0.01)
    time.ahead_s += 1
    client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(LIMIT_S))
    peer._threads[1].join(2)
    assert not peer._threads[1].is_alive()


def test_a_deadline_that_has_passed_sends_nothing(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script
) -> None:
    peer = serve(honest)
    pending = client_of(peer.url).begin("receipts.check", receipts.by_id(RECEIPT), time.after(-1))
    assert pending.wait(time.after(5))
    with pytest.raises(NotSent) as caught:
        pending.answer()
    assert caught.value.fault is Fault.TIME_OVER
    assert peer.connections == 0


@pytest.mark.parametrize("by_hand", [False, True], ids=["deadline", "abandon"])
def test_a_request_that_ended_during_the_handshake_is_never_written(
    serve: Serve, client_of: ClientOf, time: Time, tmp_path: Path, by_hand: bool
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    arrived, go_on = threading.Event(), threading.Event()

    def stalling(visit: Visit) -> None:
        arrived.set()
        go_on.wait(5)
        visit.until_gone()

    peer = serve(stalling)
    client = client_of(f"https://localhost:{peer.port}/api", ca_file=tmp_path / "ca.pem")
    pending = client.begin(
        "receipts.pay", receipts.pay(RECEIPT, Secret("0027161293")), time.after(60 if by_hand else LIMIT_S)
    )
    assert arrived.wait(5)
    if by_hand:
        pending.abandon()
    with pytest.raises(NotSent) as caught:
        pending.answer()
    go_on.set()
    peer._threads[1].join(5)
    assert caught.value.fault is (Fault.STOPPED if by_hand else Fault.TIME_OVER)
    assert b"0027161293" not in peer.received
    assert not peer._threads[1].is_alive()


def test_a_body_that_the_server_does_not_read_ends_at_the_deadline(
    serve: Serve, client_of: ClientOf, time: Time
) -> None:
    def unreading(visit: Visit) -> None:
        visit.connection.recv(1)
        visit.peer.stopping.wait(5)

    # More than the sockets of both sides hold; putting it together takes a part of the limit.
    params = receipts.create(100, {"note": "x" * 12 * 1024 * 1024})
    limit_s = 3 * LIMIT_S
    began_at = time.monotonic()
    pending = client_of(serve(unreading).url).begin("receipts.create", params, time.after(limit_s))
    with pytest.raises(Unclear) as caught:
        pending.answer()
    assert time.monotonic() - began_at < limit_s + SLACK_S
    assert caught.value.fault is Fault.TIME_OVER


def test_a_stuck_request_does_not_hold_up_the_next(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script
) -> None:
    peer = serve(silent, silent, silent, honest)
    client = client_of(peer.url)
    stuck = [client.begin("receipts.create", receipts.create(100, {}), time.after(60)) for _ in range(3)]
    while len(peer.requests) < 3:
        peer.stopping.wait(0.01)
    began_at = time.monotonic()
    client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(5)).answer()
    assert time.monotonic() - began_at < 1
    for pending in stuck:
        pending.abandon()
        with pytest.raises(CallFailed):
            pending.answer()
