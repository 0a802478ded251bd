"""An end to everything that may hang: a look-up, a server, a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from payme_plugin.paymego.call import Call, CallFinished
from payme_plugin.paymego.connection import transport_error
from payme_plugin.paymego.errors import NotSent, TransportError, Unclear
from payme_plugin.paymego.protocols import Answer
from payme_plugin.paymego.threads import IoThreads

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.clock import Clock

__all__ = ["Limits"]

_Found = TypeVar("_Found")


class Limits:
    """Runs work that may block on threads that nobody has to wait for.

    Args:
        clock: the clock of all limits.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._threads = IoThreads()

    def within(self, limit_s: float, work: Callable[[Call], _Found]) -> _Found:
        """Return what ``work`` returns, at the latest after ``limit_s`` seconds.

        Args:
            limit_s: its time; at its end the connection that carries its call is shut.
            work: does it; a connection of ``paymego`` in it rides on the call that it is given.

        Raises:
            TransportError: it failed, or its time is over.
        """
        found: list[_Found] = []
        call = Call("doctor", self.clock.monotonic() + limit_s, self.clock)

        def run() -> None:
            try:
                found.append(work(call))
            except CallFinished:
                call.expire_if_due()
            except Exception as error:  # noqa: BLE001 - whatever the layers below raise, the doctor gets one of our own
                fault = transport_error(error)
                call.fail(fault.fault, fault.explanation)
            else:
                if call.set_result(Answer(call.method, {}, bound=True)):
                    call.notify()

        self._threads.run(run)
        try:
            call.answer()
        except (NotSent, Unclear) as failure:
            raise TransportError(failure.fault, failure.explanation) from None
        return found[0]

    def close(self) -> None:
        """Let the threads end, each after its work."""
        self._threads.close()
