"""What a bound on time excuses: a machine that stands still, up to a second, and nothing that the product does."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stalls import MOST_EXCUSED_S, watching_stalls
from unmeasured import without_coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stalls import Stalls

HUNG_S = 0.8
TRIES = 5
STOPPED_S = 1.3

UNDER_WATCH = """
from stalls import watching_stalls

with watching_stalls() as stalls:
    since_s = stalls.total_s()
    print("ready", flush=True)
    input()
    print(stalls.total_s() - since_s, stalls.excused_s(since_s), flush=True)
"""
"""A process that watches, waits for a line, and tells what was withheld and what of it is excused."""


@pytest.fixture
def stalls() -> Iterator[Stalls]:
    with watching_stalls() as stalls:
        yield stalls


def hold_the_interpreter(seconds: float) -> None:
    """Do what a call into C does that never lets another thread of this process run."""
    ctypes.PyDLL(None).usleep(round(seconds * 1e6))


def never_rest(seconds: float) -> None:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        pass


def least_excused_s(stalls: Stalls, hang: Callable[[float], None]) -> float:
    """Return what is excused of a hang, at the best of some tries: a busy machine withholds time of its own."""
    least_s = HUNG_S
    for _ in range(TRIES):
        since_s = stalls.total_s()
        hang(HUNG_S)
        least_s = min(least_s, stalls.excused_s(since_s))
        if least_s < HUNG_S / 2:
            break
    return least_s


@contextmanager
def another_thread_that_only_sleeps() -> Iterator[list[float]]:
    """Let one sleep beside a block; yield the seconds of its rests, which are complete after the block."""
    rests_s: list[float] = []
    has_begun, is_over = threading.Event(), threading.Event()

    def only_sleep() -> None:
        last_at = time.monotonic()
        ends = False
        while not ends:
            time.sleep(0.01)
            ends = is_over.is_set()  # before the look at the clock: no rest goes unmeasured
            now = time.monotonic()
            rests_s.append(now - last_at)
            last_at = now
            has_begun.set()

    thread = threading.Thread(target=only_sleep)
    thread.start()
    has_begun.wait()
    try:
        yield rests_s
    finally:
        is_over.set()
        thread.join()


def test_a_hang_that_holds_the_interpreter_is_not_excused(stalls: Stalls) -> None:
    with another_thread_that_only_sleeps() as rests_s:
        excused_s = least_excused_s(stalls, hold_the_interpreter)

    assert max(rests_s) > HUNG_S / 2  # a watch in this process would have called it the machine's
    assert excused_s < HUNG_S / 2


def test_a_thread_that_never_rests_is_not_excused(stalls: Stalls) -> None:
    assert least_excused_s(stalls, never_rest) < HUNG_S / 2


def test_a_machine_that_stands_still_is_excused_up_to_a_second() -> None:
    support = Path(__file__).parents[1] / "support"
    with subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-c", UNDER_WATCH],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**without_coverage(os.environ), "PYTHONPATH": str(support)},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGSTOP)  # it and its watch, as a machine stops all that it runs
        time.sleep(STOPPED_S)
        os.killpg(process.pid, signal.SIGCONT)
        withheld_s, excused_s = map(float, process.communicate("\n", timeout=30)[0].split())

    assert withheld_s > STOPPED_S - 0.1
    assert excused_s == MOST_EXCUSED_S


def test_a_watch_that_has_ended_excuses_nothing(stalls: Stalls) -> None:
    stalls._watch.kill()
    stalls._watch.wait()

    with pytest.raises(ChildProcessError, match="watch of stalls"):
        stalls.total_s()
