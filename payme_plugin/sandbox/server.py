"""``Sandbox``: a local PaymeGO on a thread of this process, with all of its controls at hand."""

from __future__ import annotations

import errno
import os
import random
import socket
import time
from typing import TYPE_CHECKING, final

from payme_plugin.sandbox.bank import Bank
from payme_plugin.sandbox.desk import Desk, WireRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from payme_plugin.sandbox.behaviour import Behaviour, CancelPlan
    from payme_plugin.sandbox.faults import Fault
    from payme_plugin.sandbox.receipt import Buyer, ReceiptView
    from payme_plugin.sandbox.serving import Serving

__all__ = ["SANDBOX_POS_ID", "SANDBOX_POS_KEY", "ExtraMissing", "PortUnavailable", "Sandbox"]

SANDBOX_POS_ID = "65aa00112233445566778899"
SANDBOX_POS_KEY = "no%secret#just&a?key@for=the;sandbox"
"""Not a secret: it opens nothing but a sandbox. It has every character that real keys have and settings files fear."""

_HOST = "127.0.0.1"
_LARGEST_PORT = 65_535


class PortUnavailable(OSError):
    """The sandbox can't listen on the port asked for.

    Attributes:
        port: that port.
    """

    def __init__(self, port: int, reason: str) -> None:
        super().__init__(f"port {port} on {_HOST} {reason}; choose another, or 0 for any free one")
        self.port = port


class ExtraMissing(ImportError):
    """The sandbox's own libraries are not installed."""


@final
class Sandbox:
    """A PaymeGO on loopback, from ``start`` (or ``with``) to ``stop``.

    It is made for tests and demonstrations: no money moves anywhere. Its methods may be called from any thread.

    Args:
        port: where to listen; 0: any free port.
        pos_id: the kassa's id that ``X-Auth`` must carry.
        pos_key: the kassa's key that ``X-Auth`` must carry.
        clock: returns Unix milliseconds; by default the machine's at the start, going on without jumps. Delays on the
            wire pass in real time whatever it says.
        cancel: how cancellations go; see ``CancelPlan``.
        buyer: whose phone and card paid receipts show.
        rng: where receipt ids and codes come from; by default the system's.
        certfile: a PEM file with a certificate: https is served.
        keyfile: a PEM file with its key, where ``certfile`` has none.

    Raises:
        ValueError: a ``keyfile`` without a ``certfile``.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        pos_id: str = SANDBOX_POS_ID,
        pos_key: str = SANDBOX_POS_KEY,
        clock: Callable[[], int] | None = None,
        cancel: CancelPlan | None = None,
        buyer: Buyer | None = None,
        rng: random.Random | None = None,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
    ) -> None:
        if keyfile is not None and certfile is None:
            raise ValueError("keyfile is of no use without certfile")
        self.pos_id = pos_id
        self.pos_key = pos_key
        self.bank = Bank(rng or random.SystemRandom(), cancel=cancel, buyer=buyer, kassa_id=pos_id)
        self.now_ms = clock or _steady_clock()
        self._desk = Desk(self.bank, self.now_ms, f"{pos_id}:{pos_key}")
        self._asked_port = port
        self._port: int | None = None
        self._certfile = None if certfile is None else os.fspath(certfile)
        self._keyfile = None if keyfile is None else os.fspath(keyfile)
        self._serving: Serving | None = None

    def start(self) -> Sandbox:
        """Listen, and return itself when the first request can come. Once stopped it may be started again.

        The bank keeps its receipts over a restart, and so does the port.

        Raises:
            PortUnavailable: the port is taken, not allowed, or no port at all.
            ExtraMissing: the extra ``sandbox`` is not installed.
            OSError: the certificate or its key can't be used.
        """
        if self._serving is not None:
            return self
        try:
            from payme_plugin.sandbox.serving import Serving  # noqa: PLC0415 - an extra, needed from here on only
        except ImportError as missing:
            raise ExtraMissing(f"{missing.name} is missing: install payme-plugin[sandbox]") from missing
        listener = _listen(self._asked_port if self._port is None else self._port)
        try:
            self._serving = Serving(self._desk, listener, self._certfile, self._keyfile)
        except BaseException:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        return self

    def stop(self) -> None:
        """Cut every connection and stop listening; nothing happens where it is not running."""
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.stop()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port that it listens on. RuntimeError before the first start."""
        if self._port is None:
            raise RuntimeError("the sandbox has not been started")
        return self._port

    @property
    def origin(self) -> str:
        """Scheme, address and port, without a path."""
        return f"{'https' if self._certfile else 'http'}://{_HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The address for the setting ``url``."""
        return f"{self.origin}/api"

    @property
    def phone_url(self) -> str:
        """The page with the buyer's phone."""
        return f"{self.origin}/phone"

    @property
    def requests(self) -> tuple[WireRequest, ...]:
        """The wire log: the last 10,000 requests, oldest first, codes masked."""
        return self._desk.requests

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults still to happen."""
        return self._desk.faults

    def issue_code(self, behaviour: Behaviour | None = None) -> str:
        """Return a new code of the buyer's phone, which pays at once where no ``behaviour`` is given."""
        return self._desk.issue_code(behaviour)

    def inject(self, fault: Fault) -> None:
        """Let a fault befall coming requests."""
        self._desk.inject(fault)

    def clear_faults(self) -> None:
        """Forget every fault still to happen."""
        self._desk.clear_faults()

    def buyer_answers(self, code: str, *, confirms: bool) -> bool:
        """Let the buyer confirm or decline by hand; return whether a payment waited for it."""
        return self._desk.buyer_answers(code, confirms=confirms)

    def plan_cancel(self, receipt_id: str, plan: CancelPlan) -> None:
        """Let the next cancellations of a receipt go by ``plan``. KeyError where there is no such receipt."""
        self._desk.plan_cancel(receipt_id, plan)

    def put_state(self, receipt_id: str, state: int) -> None:
        """Put a receipt into a state as Payme's staff might; see ``Bank.put_state``."""
        self._desk.put_state(receipt_id, state)

    def receipts(self) -> tuple[ReceiptView, ...]:
        """Return all receipts as they are now, oldest first."""
        return self._desk.receipts()

    def held(self, receipt_id: str | None = None) -> int:
        """Return the tiyin that Payme holds now, for one receipt or for all."""
        return sum(one.held for one in self.receipts() if receipt_id in {None, one.receipt_id})

    def pays(self, code: str) -> int:
        """Return how many ``receipts.pay`` with this code reached the bank."""
        return self.bank.pays(code)


def _steady_clock() -> Callable[[], int]:
    """Return a clock of Unix milliseconds that starts at the machine's time and then never jumps."""
    offset_ns = time.time_ns() - time.monotonic_ns()
    return lambda: (time.monotonic_ns() + offset_ns) // 1_000_000


def _listen(port: int) -> socket.socket:
    """Return a socket bound to ``port`` on loopback.

    Raises:
        PortUnavailable: it can't be.
    """
    if not 0 <= port <= _LARGEST_PORT:
        raise PortUnavailable(port, f"does not exist: 0 to {_LARGEST_PORT} are allowed")
    # asyncio turns the delay of small packets off only for sockets that name their protocol: 40 ms a request.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        listener.close()
        reasons = {errno.EADDRINUSE: "is in use", errno.EACCES: "is not allowed to this user"}
        raise PortUnavailable(port, reasons.get(error.errno or 0, f"can't be used: {error.strerror}")) from error
    return listener
