"""What a bound on time excuses: a machine that stands still, up to a second, and nothing that the product does."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stalls import MOST_EXCUSED_S, watching_stalls
from unmeasured import without_coverage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stalls import Stalls

HUNG_S = 0.8
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


def test_a_hang_that_holds_the_interpreter_is_not_excused(stalls: Stalls) -> None:
    others_late_s: list[float] = []

    def only_sleep() -> None:
        began_at = time.monotonic()
        time.sleep(0.01)
        others_late_s.append(time.monotonic() - began_at)

    thread = threading.Thread(target=only_sleep)
    since_s, began_at = stalls.total_s(), time.monotonic()
    thread.start()
    hold_the_interpreter(HUNG_S)
    took_s, excused_s = time.monotonic() - began_at, stalls.excused_s(since_s)
    thread.join()

    assert others_late_s[0] > HUNG_S / 2  # a watch in this process would have called it the machine's
    assert took_s - excused_s > HUNG_S / 2


def test_a_thread_that_never_rests_is_not_excused(stalls: Stalls) -> None:
    since_s, ends_at = stalls.total_s(), time.monotonic() + HUNG_S
    while time.monotonic() < ends_at:
        pass

    assert stalls.excused_s(since_s) < HUNG_S / 2


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
