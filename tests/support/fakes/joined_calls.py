"""Money hooks on real threads: one that waits until a test lets it go on, and calls during that time."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.hooked_world import HookedWorld

_LONGEST_S = 60.0

_Result = TypeVar("_Result")


class RunningCall(Generic[_Result]):
    """A money hook that runs on a thread of its own.

    Attributes:
        result: what it returns.
    """

    def __init__(
        self, till: HookedWorld, go_on: threading.Event, result: Future[_Result], pool: ThreadPoolExecutor
    ) -> None:
        self.result = result
        self._go_on = go_on
        self._pool = pool
        self._joined = threading.Semaphore(0)
        running = till.dispatcher._running
        assert running is not None, "the hook has returned without waiting"
        wait = running.result.result

        def wait_noted(timeout: float | None = None) -> object:
            self._joined.release()
            return wait(timeout)

        running.result.result = wait_noted  # type: ignore[method-assign]

    def join(self, call: Callable[[], _Result]) -> Future[_Result]:
        """Call a hook on another thread; return once it waits for the running one, or has returned."""
        joining = self._pool.submit(call)
        joining.add_done_callback(lambda _: self._joined.release())
        assert self._joined.acquire(timeout=_LONGEST_S)
        return joining

    def beside(self, call: Callable[[], object]) -> Future[object]:
        """Call something on another thread and do not wait."""
        return self._pool.submit(call)

    def go_on(self) -> None:
        """Let the running hook go on."""
        self._go_on.set()


@contextmanager
def running_call(till: HookedWorld, call: Callable[[Callable[[], None]], _Result]) -> Iterator[RunningCall[_Result]]:
    """Run a money hook on a thread until it waits in the middle; it ends with the block at the latest.

    Args:
        till: whose dispatcher runs it.
        call: calls the hook; it is given a function that its cashier calls to wait.
    """
    reached, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        assert go_on.wait(_LONGEST_S)

    with ThreadPoolExecutor(8) as pool:
        try:
            result = pool.submit(call, wait)
            result.add_done_callback(lambda _: reached.set())
            assert reached.wait(_LONGEST_S)
            yield RunningCall(till, go_on, result, pool)
        finally:
            go_on.set()
