"""The demo of a chain: ten tills in two stores, a broker and central workers, and a connection to Payme that fails."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, final

from hookspecs import PosPlugins
from payme_plugin import PLUGIN_NAME
from payme_plugin.cli.files import read_journal
from payme_plugin.cli.till import SLIP_WIDTH
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import Behaviour, CancelPlan, FaultKind, InjectedFault, Sandbox
from payme_plugin.till import Till, one_line_sale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from hookspecs import PaymentResult
    from payme_plugin.cli.demo.report import DemoReport
    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.paymego.protocols import MerchantAccount

_FIRST_STORE = tuple(range(1, 8))
_SECOND_STORE = (8, 9, 10)
_SWITCHED_OFF = (8, 9)
_PRICE = 1_500_000
_SETTINGS = {"timeout": "2", "payDuration": "2000", "frequency": "250"}
_PATIENCE_S = 60.0
_POLL_S = 0.1
_MOST_BYTES = 65_536
_NO_ANSWER = InjectedFault(FaultKind.SILENT_AFTER_EFFECT, method="receipts.pay", times=len(_SECOND_STORE))


def run_chain(folder: Path, report: DemoReport, account: MerchantAccount, broker: str, language: str) -> None:
    """Play the demo; its checks are in ``report``.

    Args:
        folder: an empty folder, for the tills.
        report: prints what happens.
        account: the merchant account of all tills, at a port of this machine where the demo's server listens.
        broker: the broker's address.
        language: of the tills.

    Raises:
        PortUnavailable: the server can't listen there.
    """
    port = int(account.url.rpartition(":")[2].partition("/")[0])
    sandbox = Sandbox(port, pos_id=account.pos_id, pos_key=account.pos_key.reveal(), cancel=CancelPlan(settle_s=0.2))
    with sandbox, _Line(port) as line, ExitStack() as running:
        chain = _Chain(folder, sandbox, line, account, broker, language)
        running.callback(chain.stop)
        chain.play(report)


class _Chain:
    """The tills of two stores. The second one's requests go over a line that can be unplugged."""

    def __init__(
        self, folder: Path, sandbox: Sandbox, line: _Line, account: MerchantAccount, broker: str, language: str
    ) -> None:
        self._folder = folder
        self._sandbox = sandbox
        self._line = line
        self._language = language
        self._settings = {
            **_SETTINGS, "posId": account.pos_id, "posKey": account.pos_key.reveal(), "queueUrl": broker,
        }  # fmt: skip
        self._tills: dict[int, Till] = {}
        self._running: dict[int, ExitStack] = {}

    def play(self, report: DemoReport) -> None:
        """Play a day and the next morning."""
        report.step("Ten tills in two stores sell")
        everyone = (*_FIRST_STORE, *_SECOND_STORE)
        for number in everyone:
            self._start(number)
        paid = [self._sell(number).status.name for number in everyone]
        report.check((f"PAID {paid.count('PAID')} times", paid == ["PAID"] * len(everyone)))

        report.step("The line of store 2 is unplugged while three buyers pay")
        self._sandbox.inject(_NO_ANSWER)
        with ThreadPoolExecutor(len(_SECOND_STORE)) as sales:
            results = list(sales.map(self._sell, _SECOND_STORE))
        report.screen(results[0].message)
        unknown = [result.status.name for result in results].count("UNKNOWN")
        report.check(
            (f"UNKNOWN {unknown} times", unknown == len(_SECOND_STORE)),
            (f"{len(self._charged())} buyers charged without a sale", len(self._charged()) == len(_SECOND_STORE)),
        )

        report.step("The tills hand the cancellations over, and two are switched off")
        report.check(("the broker has confirmed them", _becomes_true(self._are_handed_over)))
        for number in _SWITCHED_OFF:
            self._stop(number)

        report.step("Central workers return the money")
        report.check(("no buyer is charged without a sale", _becomes_true(lambda: not self._charged())))
        has_learnt = _becomes_true(lambda: not self._open(set(_SECOND_STORE) - set(_SWITCHED_OFF)))
        report.check(("the till that is on learnt it from the broker", has_learnt))

        report.step("Next morning the line works again, and the tills are switched on")
        self._line.plug_in()
        for number in _SWITCHED_OFF:
            self._start(number)
        done = _becomes_true(lambda: not self._open(everyone))
        report.check((f"open cancellations: {len(self._open(everyone))}", done))

    def stop(self) -> None:
        """Switch every till off."""
        for number in list(self._running):
            self._stop(number)

    def _start(self, number: int) -> None:
        plugins = PosPlugins()
        plugins.register(PaymePlugin(), PLUGIN_NAME)
        port = self._line.port if number in _SECOND_STORE else self._sandbox.port
        till = Till(
            self._folder_of(number),
            {**self._settings, "url": f"http://127.0.0.1:{port}/api"},
            self,
            language=self._language,
            slip_width=SLIP_WIDTH,
            print_slip=lambda _slip: None,
            notice=lambda _key, _text: None,
            plugins=plugins,
        )
        till.identity = f"store-{2 if number in _SECOND_STORE else 1}-till-{number}"
        self._tills[number], self._running[number] = till, ExitStack()
        self._running[number].enter_context(till)
        till.restore()

    def _stop(self, number: int) -> None:
        self._running.pop(number).close()

    def _sell(self, number: int) -> PaymentResult:
        return self._tills[number].sell(one_line_sale("Чай", _PRICE)).result

    def scan(self, prompt: str, timeout_s: float) -> str:  # noqa: ARG002 - this cashier is quick
        """Return a new code; a ``Ui``'s method."""
        return self._sandbox.issue_code(Behaviour())

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:  # noqa: ARG002
        """Unplug the line as soon as every buyer of store 2 is charged; a ``Ui``'s method."""
        if len(self._charged()) == len(_SECOND_STORE):
            self._line.unplug()
        return None

    def _charged(self) -> list[str]:
        """Return the receipts that hold money without a sale."""
        sold = {
            tender.record.data["receipt_id"]
            for till in self._tills.values()
            for receipt in till.store.receipts()
            for tender in receipt.tenders
            if tender.record is not None
        }
        return [each.receipt_id for each in self._sandbox.receipts() if each.held and each.receipt_id not in sold]

    def _are_handed_over(self) -> bool:
        times = [row.offered_at for row in self._open(_SECOND_STORE)]
        return len(times) == len(_SECOND_STORE) and None not in times

    def _open(self, numbers: Iterable[int]) -> list[CancellationRow]:
        found = []
        for number in numbers:
            with read_journal(self._folder_of(number)) as journal:
                found += journal.live_cancellations() if journal is not None else []
        return found

    def _folder_of(self, number: int) -> Path:
        return self._folder / f"till-{number}"


@final
class _Line:
    """A store's line to Payme: it forwards TCP connections to a port of this machine until it is unplugged."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._is_plugged_in = threading.Event()
        self._is_plugged_in.set()
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> _Line:
        threading.Thread(target=self._accept, name="payme-demo-line", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def unplug(self) -> None:
        """Cut the connections, and those that are opened from now on."""
        self._is_plugged_in.clear()

    def plug_in(self) -> None:
        """Forward new connections again."""
        self._is_plugged_in.set()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                caller = self._listener.accept()[0]
                threading.Thread(target=self._forward, args=(caller,), daemon=True).start()

    def _forward(self, caller: socket.socket) -> None:
        with suppress(OSError), ExitStack() as opened:
            opened.enter_context(caller)
            server = opened.enter_context(socket.create_connection(("127.0.0.1", self._to_port)))
            ready = opened.enter_context(selectors.DefaultSelector())
            for one, other in ((caller, server), (server, caller)):
                ready.register(one, selectors.EVENT_READ, (one, other))
            while self._is_plugged_in.is_set():
                for key, _ in ready.select(_POLL_S):
                    source, target = key.data
                    received = source.recv(_MOST_BYTES)
                    if not received:
                        return
                    target.sendall(received)


def _becomes_true(is_true: Callable[[], bool]) -> bool:
    """Wait up to a minute until something is true; return whether it is."""
    ends_at = time.monotonic() + _PATIENCE_S
    while not is_true():
        if time.monotonic() >= ends_at:
            return False
        time.sleep(_POLL_S)
    return True
