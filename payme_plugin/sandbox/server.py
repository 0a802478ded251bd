"""``Sandbox``: a local PaymeGO in this process, with all of its controls at hand."""

from __future__ import annotations

import random
import ssl
import time
from threading import Event
from typing import TYPE_CHECKING, final

from payme_plugin.sandbox.app import App
from payme_plugin.sandbox.bank import Bank
from payme_plugin.sandbox.gateway import Gateway
from payme_plugin.sandbox.http_server import HttpServer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType

    from payme_plugin.sandbox.behaviour import CancelPlan
    from payme_plugin.sandbox.receipt import Buyer

SANDBOX_POS_ID = "65aa00112233445566778899"
SANDBOX_POS_KEY = "no%secret#just&a?key@for=the;sandbox"
"""Not a secret: it opens only a sandbox. It has every character of real keys that is special in settings files."""

_HOST = "127.0.0.1"


class PortUnavailable(OSError):
    """The sandbox can't listen on the port asked for.

    Attributes:
        port: that port.
        reason: why, in the words of the system.
    """

    def __init__(self, port: int, reason: Exception) -> None:
        super().__init__(f"port {port} on {_HOST} can't be used ({reason}); choose another, or 0 for any free one")
        self.port = port
        self.reason = str(reason)


@final
class Sandbox(Gateway):
    """A PaymeGO on loopback, from ``start`` (or ``with``) to ``stop``, for tests and demonstrations. No money moves.

    Args:
        port: where to listen; 0: any free port.
        pos_id: the merchant account's id that ``X-Auth`` must carry.
        pos_key: the key that ``X-Auth`` must carry.
        clock: returns Unix milliseconds; default: the machine's time at the start, then without jumps. Delays on the
            wire pass in real time nevertheless.
        cancel: how cancellations go; see ``CancelPlan``.
        buyer: whose phone and card paid receipts show.
        rng: where receipt ids and codes come from; default: the system's.
        certfile: a PEM file with a certificate: https is served.
        keyfile: a PEM file with its key, if ``certfile`` has none.

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
            raise ValueError("keyfile needs certfile")
        bank = Bank(rng or random.SystemRandom(), cancel=cancel, buyer=buyer, pos_id=pos_id)
        super().__init__(bank, clock or _steady_clock(), f"{pos_id}:{pos_key}")
        self.pos_id = pos_id
        self.pos_key = pos_key
        self._port = port
        self._certfile = certfile
        self._keyfile = keyfile
        self._server: HttpServer | None = None

    def start(self) -> Sandbox:
        """Listen, and return itself. Once stopped it may be started again: it keeps its receipts and its port.

        Raises:
            PortUnavailable: the port is taken, not allowed, or out of range.
            OSError: the certificate or its key can't be used.
        """
        if self._server is None:
            tls = None
            if self._certfile is not None:
                tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                tls.load_cert_chain(self._certfile, self._keyfile)
            stopping = Event()
            try:
                self._server = HttpServer(_HOST, self._port, App(self, stopping), stopping, tls)
            except (OSError, OverflowError) as error:
                raise PortUnavailable(self._port, error) from error
            self._port = self._server.port
        return self

    def stop(self) -> None:
        """Cut every connection and stop listening; nothing happens if it is not running."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port that it listens on. RuntimeError before the first start."""
        if not self._port:
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
    def control_url(self) -> str:
        """The address of the control calls, e.g. ``/codes`` below it."""
        return f"{self.origin}/sandbox"

    @property
    def phone_url(self) -> str:
        """The page with the buyer's phone."""
        return f"{self.origin}/phone"


def _steady_clock() -> Callable[[], int]:
    """Return a clock of Unix milliseconds that starts at the machine's time and then never jumps."""
    offset_ns = time.time_ns() - time.monotonic_ns()
    return lambda: (time.monotonic_ns() + offset_ns) // 1_000_000
