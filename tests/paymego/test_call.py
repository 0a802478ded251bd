"""A call ends once; what ended is never written; "not sent" is certain."""

from __future__ import annotations

import threading

import pytest

from payme_plugin.paymego.call import Call, CallFinished
from payme_plugin.paymego.errors import Fault, NotSent, Unclear
from payme_plugin.paymego.protocols import Answer

pytestmark = pytest.mark.floor

ANSWER = Answer("receipts.check", {"state": 4}, bound=True)


class HandClock:
    """A clock that moves when a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
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
    from payme_plugin.clock import SystemClock  # noqa: PLC0415 - the one test on real time

    clock = SystemClock()
    call = Call("receipts.pay", clock.monotonic() + 30, clock)
    waiter = threading.Thread(target=call.wait, args=(call.deadline,))
    waiter.start()
    call.abandon()
    waiter.join(5)
    assert not waiter.is_alive()
