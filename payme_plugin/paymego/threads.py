"""Threads for work that may block for longer than its caller waits."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class IoThreads:
    """A few daemon threads: an idle one takes the next job, and if none is idle a new one is started.

    A blocked job delays no other, unless ``limit`` jobs are blocked at once; then jobs queue. Daemon threads do not
    delay the end of the process either; the threads of ``concurrent.futures`` do.

    Args:
        limit: the largest number of threads.
        linger_s: an idle thread ends after this time.
    """

    def __init__(self, *, limit: int = 16, linger_s: float = 60.0) -> None:
        self._limit = limit
        self._linger_s = linger_s
        self._changed = threading.Condition(threading.Lock())
        self._jobs: deque[Callable[[], object]] = deque()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def run(self, job: Callable[[], object]) -> None:
        """Run ``job`` soon on one of the threads; return at once. A job must not raise, and may start late."""
        with self._changed:
            self._jobs.append(job)
            if len(self._jobs) <= self._idle or self._threads >= self._limit:
                self._changed.notify()
                return
            self._threads += 1
        try:
            threading.Thread(target=self._work, name="payme-io", daemon=True).start()
        except RuntimeError:  # the system can't start a thread: another one may take the job, or its deadline passes
            with self._changed:
                self._threads -= 1

    def close(self) -> None:
        """Let idle threads end now, and the others after their jobs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        try:
            while (job := self._next_job()) is not None:
                job()
                del job  # an idle thread keeps nothing of a call alive
        finally:
            with self._changed:
                self._threads -= 1

    def _next_job(self) -> Callable[[], object] | None:
        with self._changed:
            self._idle += 1
            try:
                self._changed.wait_for(lambda: self._jobs or self._closed, self._linger_s)
            finally:
                self._idle -= 1
            return self._jobs.popleft() if self._jobs else None
