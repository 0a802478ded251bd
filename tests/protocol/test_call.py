"""A call ends once, at its deadline at the latest; what ended is never written; "not sent" is certain."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from faults.network import Unreachable
from payme_plugin.clock import SystemClock
from payme_plugin.paymego import receipts
from payme_plugin.paymego.call import Call, CallFinished
from payme_plugin.paymego.errors import Fault, NotSent, Unclear
from payme_plugin.paymego.protocols import Answer
from tests.protocol.conftest import CODE, begin_check, begin_pay, check, failure_of, fault_of, honest, silent

if TYPE_CHECKING:
    from pathlib import Path

    from faults.server import Connection, Script
    from tests.protocol.conftest import ClientOf, Serve, Time

pytestmark = pytest.mark.floor

OK = b"HTTP/1.1 200 OK\r\n"
LIMIT_S = 0.3
SLACK_S = 2.0
ANSWER = Answer("receipts.check", {"state": 4}, bound=True)


class ManualClock:
    """A clock that moves when a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return 0

    def sleep(self, duration_s: float) -> None:
        self.now += duration_s


class FakeConnection:
    """A connection that only counts how often it was shut."""

    def __init__(self) -> None:
        self.aborts = 0

    def abort(self) -> None:
        self.aborts += 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def call(clock: ManualClock) -> Call:
    return Call("receipts.pay", 110.0, clock)


def test_a_byte_may_leave_while_the_call_is_under_way(call: Call) -> None:
    assert not call.sent
    call.allow_write()
    assert call.sent


@pytest.mark.parametrize("late_by_s", [0.0, 1.0])
def test_no_byte_leaves_from_the_deadline_on_even_if_nobody_ended_the_call(
    call: Call, clock: ManualClock, late_by_s: float
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


def test_ending_without_an_answer_shuts_the_connection_once(call: Call, clock: ManualClock) -> None:
    connection = FakeConnection()
    call.attach(connection.abort)
    clock.now = 110.0
    assert call.wait(110.0)
    call.abandon()
    assert connection.aborts == 1


def test_an_answer_in_time_is_kept_however_late_it_is_read_and_the_connection_is_not_used(
    call: Call, clock: ManualClock
) -> None:
    connection = FakeConnection()
    call.attach(connection.abort)
    assert call.set_result(ANSWER)
    call.notify()
    clock.now = 200.0
    call.abandon()
    assert call.wait(200.0)
    assert (call.answer(), connection.aborts) == (ANSWER, 0)


def test_a_call_that_ended_takes_no_connection(call: Call) -> None:
    call.abandon()
    with pytest.raises(CallFinished):
        call.attach(FakeConnection().abort)


def test_an_answer_after_the_deadline_is_thrown_away(call: Call, clock: ManualClock) -> None:
    call.allow_write()
    clock.now = 110.0
    assert not call.set_result(ANSWER)
    with pytest.raises(Unclear) as caught:
        call.answer()
    assert caught.value.fault is Fault.TIME_OVER


def test_only_the_first_end_counts(call: Call) -> None:
    assert call.fail(Fault.CONNECTION_LOST, "lost")
    assert not call.fail(Fault.TLS, "again")
    assert not call.set_result(ANSWER)
    with pytest.raises(NotSent, match="lost"):
        call.answer()


def test_its_end_is_reported_once_and_a_blocked_listener_delays_no_other(clock: ManualClock) -> None:
    outcomes: list[object] = []
    listening, release = threading.Event(), threading.Event()

    def listener(ended: Call, outcome: object) -> None:
        outcomes.append(outcome)
        listening.set()
        release.wait(5)

    call = Call("receipts.pay", 110.0, clock, listener)
    assert call.set_result(ANSWER)
    notifying = threading.Thread(target=call.notify)
    notifying.start()
    assert listening.wait(5)
    clock.now = 110.0
    assert call.wait(110.0)
    assert call.answer() == ANSWER
    release.set()
    notifying.join(5)
    assert outcomes == [ANSWER]


def test_an_outcome_is_handed_over_only_after_its_end_was_reported(clock: ManualClock) -> None:
    order: list[str] = []
    listening, release = threading.Event(), threading.Event()

    def listener(ended: Call, outcome: object) -> None:
        listening.set()
        release.wait(5)
        order.append("reported")

    call = Call("receipts.pay", 110.0, clock, listener)

    def flow() -> None:
        call.answer()
        order.append("answered")

    assert call.set_result(ANSWER)
    notifying, asking = threading.Thread(target=call.notify), threading.Thread(target=flow)
    notifying.start()
    assert listening.wait(5)
    asking.start()
    release.set()
    notifying.join(5)
    asking.join(5)
    assert order == ["reported", "answered"]


def test_whoever_waits_is_woken_by_the_end() -> None:
    clock = SystemClock()
    call = Call("receipts.pay", clock.monotonic() + 30, clock)
    waiter = threading.Thread(target=call.wait, args=(call.deadline,))
    waiter.start()
    call.abandon()
    waiter.join(5)
    assert not waiter.is_alive()


def dripping(head: bytes, part: bytes) -> Script:
    """Return a script that sends one part of an answer after the other."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(head)
        connection.drip(part * 5000, 0.02, size=len(part))

    return script


@pytest.mark.parametrize(
    "script",
    [
        silent,
        dripping(b"", b"H"),
        dripping(OK, b"X-Slow: yes\r\n"),
        dripping(OK + b"Content-Length: 10000\r\n\r\n", b" "),
        dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        dripping(OK + b"Connection: close\r\n\r\n", b" "),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silent", "status line", "headers", "body", "chunks", "body until the end", "continues"],
)
def test_a_request_ends_at_its_deadline_however_slow_the_server_is(
    serve: Serve, client_of: ClientOf, time: Time, script: Script
) -> None:
    peer = serve(script, honest)
    client = client_of(peer.url)
    began_at = time.monotonic()
    assert fault_of(begin_pay(client, LIMIT_S)) == (Unclear, Fault.TIME_OVER)
    assert LIMIT_S <= time.monotonic() - began_at < LIMIT_S + SLACK_S

    # The server sees its connection end, and the next request is held up by nothing.
    assert peer.has_ended(1)
    assert check(client) == 4


def test_a_name_look_up_that_hangs_ends_at_the_deadline_and_leads_nowhere_later(
    serve: Serve, client_of: ClientOf, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, looked_up = threading.Event(), threading.Event()
    look_up = socket.getaddrinfo

    def hanging(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the resolver's own signature
        release.wait(10)
        try:
            return look_up(*arguments, **options)
        finally:
            looked_up.set()

    peer = serve()
    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    client = client_of(peer.url)
    began_at = time.monotonic()
    assert fault_of(begin_pay(client, LIMIT_S)) == (NotSent, Fault.TIME_OVER)
    assert time.monotonic() - began_at < LIMIT_S + SLACK_S

    monkeypatch.undo()
    check(client)
    release.set()
    assert looked_up.wait(5)
    check(client)
    assert (peer.methods, peer.connections) == (["receipts.check", "receipts.check"], 1)


def test_addresses_that_never_answer_leave_time_for_the_one_that_does(
    serve: Serve, client_of: ClientOf, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = serve()
    with contextlib.ExitStack() as undo:
        dead = Unreachable(undo).dead
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in (dead, dead, peer.port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        began_at = time.monotonic()
        begin_check(client_of(peer.url), 3).answer()
        assert 1.5 < time.monotonic() - began_at < 3


def test_a_request_that_nobody_waits_for_ends_too(serve: Serve, client_of: ClientOf, time: Time) -> None:
    peer = serve(dripping(OK + b"Content-Length: 10000\r\n\r\n", b" "))
    client = client_of(peer.url)
    pending = client.begin("receipts.create", receipts.create(100, {}), time.monotonic() + LIMIT_S)
    while not peer.requests:
        peer.stopping.wait(0.01)
    time.ahead_s += 1
    assert peer.has_ended(1)
    assert failure_of(pending).sent


def test_a_deadline_that_has_passed_sends_nothing(serve: Serve, client_of: ClientOf) -> None:
    peer = serve()
    assert fault_of(begin_check(client_of(peer.url), -1)) == (NotSent, Fault.TIME_OVER)
    assert peer.connections == 0


@pytest.mark.parametrize("fault", [Fault.STOPPED, Fault.TIME_OVER])
def test_a_request_that_ended_during_the_handshake_is_never_written(
    serve: Serve, client_of: ClientOf, ca_file: Path, fault: Fault
) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def stalling(connection: Connection) -> None:
        arrived.set()
        go_on.wait(5)
        connection.until_gone()

    peer = serve(stalling)
    client = client_of(f"https://localhost:{peer.port}/api", ca_file)
    pending = begin_pay(client, LIMIT_S if fault is Fault.TIME_OVER else 60)
    assert arrived.wait(5)
    if fault is Fault.STOPPED:
        pending.abandon()
    assert fault_of(pending) == (NotSent, fault)
    go_on.set()
    assert peer.has_ended(1)
    assert CODE.encode() not in peer.received


def test_a_body_that_the_server_does_not_read_ends_at_the_deadline(
    serve: Serve, client_of: ClientOf, time: Time
) -> None:
    def unreading(connection: Connection) -> None:
        connection.socket.recv(1)
        connection.peer.stopping.wait(5)

    # More than the sockets of both sides hold; putting it together takes a part of the limit.
    params = receipts.create(100, {"note": "x" * 12 * 1024 * 1024})
    limit_s = 3 * LIMIT_S
    began_at = time.monotonic()
    pending = client_of(serve(unreading).url).begin("receipts.create", params, began_at + limit_s)
    assert fault_of(pending) == (Unclear, Fault.TIME_OVER)
    assert time.monotonic() - began_at < limit_s + SLACK_S


def test_a_stuck_request_does_not_hold_up_the_next(serve: Serve, client_of: ClientOf, time: Time) -> None:
    peer = serve(silent, silent, silent, honest)
    client = client_of(peer.url)
    stuck = [begin_check(client, 60) for _ in range(3)]
    while len(peer.requests) < 3:
        peer.stopping.wait(0.01)
    began_at = time.monotonic()
    assert check(client) == 4
    assert time.monotonic() - began_at < 1
    for pending in stuck:
        pending.abandon()
        failure_of(pending)
