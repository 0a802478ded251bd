"""I/O threads are reused, bounded, and never block the end of the process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from payme_plugin.paymego.threads import IoThreads

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.floor


@pytest.fixture
def threads() -> Iterator[IoThreads]:
    threads = IoThreads(limit=3)
    yield threads
    threads.close()


def hold(release: threading.Event) -> None:
    release.wait(5)


def idents_of(threads: IoThreads, jobs: int) -> set[int]:
    """Run jobs one after another, each when the one before left its thread idle, and return the threads' idents."""
    found: set[int] = set()
    for _ in range(jobs):
        done = threading.Event()

        def job(done: threading.Event = done) -> None:
            found.add(threading.get_ident())
            done.set()

        threads.run(job)
        assert done.wait(5)
        while threads._idle != threads._threads:
            time.sleep(0)
    return found


def test_an_idle_thread_takes_the_next_job(threads: IoThreads) -> None:
    assert len(idents_of(threads, 20)) == 1


def test_a_stuck_job_holds_up_no_other(threads: IoThreads) -> None:
    release = threading.Event()
    for _ in range(2):
        threads.run(partial(hold, release))
    done = threading.Event()
    threads.run(done.set)
    assert done.wait(2)
    release.set()


def test_when_all_are_stuck_jobs_queue_and_no_more_threads_start(threads: IoThreads) -> None:
    release, done = threading.Event(), threading.Event()
    for _ in range(5):
        threads.run(partial(hold, release))
    threads.run(done.set)
    assert threads._threads == 3
    assert not done.is_set()
    release.set()
    assert done.wait(5)


def test_idle_threads_end_after_a_while() -> None:
    threads = IoThreads(linger_s=0.01)
    done = threading.Event()
    threads.run(done.set)
    assert done.wait(5)
    until = time.monotonic() + 5
    while threads._threads:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_closing_ends_idle_threads(threads: IoThreads) -> None:
    idents_of(threads, 1)
    threads.close()
    until = time.monotonic() + 5
    while threads._threads:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_many_jobs_at_once_are_each_run_once(threads: IoThreads) -> None:
    ran: list[int] = []
    done = threading.Event()

    def job(number: int) -> None:
        ran.append(number)
        if len(ran) == 1000:
            done.set()

    for number in range(1000):
        threads.run(partial(job, number))
    assert done.wait(10)
    assert sorted(ran) == list(range(1000))


def test_a_stuck_thread_does_not_hold_up_the_end_of_the_process() -> None:
    program = (
        "import threading\n"
        "from payme_plugin.paymego.threads import IoThreads\n"
        "IoThreads().run(lambda: threading.Event().wait())\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)  # noqa: S603 - our own interpreter
