"""The shop of the demo: a till with the plugin from its entry point, a sandbox as its server, and buyers."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, nullcontext
from signal import Signals
from subprocess import DEVNULL, Popen
from typing import TYPE_CHECKING

from payme_plugin.cli.delivery import open_delivery
from payme_plugin.cli.files import read_journal
from payme_plugin.cli.options import GlobalOptions
from payme_plugin.cli.screen import Screen
from payme_plugin.cli.till import NO_WORKER, SLIP_WIDTH, require_plugin
from payme_plugin.clock import SystemClock
from payme_plugin.sandbox import CancelPlan, Sandbox
from payme_plugin.till import Reversal, Till

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from hookspecs import Item, Slip
    from payme_plugin.cli.demo.report import DemoReport
    from payme_plugin.cli.demo.steps import Step
    from payme_plugin.sandbox import Behaviour
    from payme_plugin.till import Payment, StoredReceipt

Code = tuple["Behaviour", float]
"""What the buyer does, and how many seconds old the code is when it is scanned."""

Outcome = tuple[str, str]
"""The result, and what the cashier reads; empty if nothing."""

_SETTINGS = {"paymentType": 141, "timeout": 5, "payDuration": 30_000, "frequency": 250}
_PROGRAM = "from payme_plugin.cli import main; main(prog_name='payme')"


class DemoShop:
    """A till in a folder, its cashier, and its server.

    Attributes:
        language: the cashier's language.
        sandbox: the server, to be started first.
        running: stops the till.
        till: the till.
        slips: the slips printed in this step.
        waits: how often the plugin showed its progress in this step.
    """

    def __init__(self, folder: Path, report: DemoReport, language: str, port: int = 0) -> None:
        self.sandbox = Sandbox(port, clock=self._server_ms, cancel=CancelPlan(settle_s=0.2))
        self.slips: list[Slip] = []
        self.waits = 0
        self._folder = folder
        self._conf = folder / "payme.go.conf"
        self._report = report
        self.language = language
        self._screen = Screen(SystemClock())
        self._ahead_ms = time.time_ns() // 1_000_000 - time.monotonic_ns() // 1_000_000
        self._codes: list[Code] = []
        self._payment_id = ""
        self._sales: list[tuple[str, int, int]] = []
        self.running = ExitStack()

    def _server_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self._ahead_ms

    def scan(self, prompt: str, timeout_s: float) -> str:  # noqa: ARG002 - this cashier is quick
        """Return the next code; a ``Ui``'s method."""
        if "\n" in prompt:  # it says why the last code was not accepted
            self._report.screen(prompt)
        buyer, age_s = self._codes.pop(0)
        code = self.sandbox.issue_code(buyer)
        self._ahead_ms += round(age_s * 1000)
        return code

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        """Draw the wait as on any till; a ``Ui``'s method."""
        self.waits += 1
        return self._screen.progress(elapsed_s, total_s, text)

    def write_settings(self, changed: Mapping[str, int]) -> None:
        """Write the settings file; ``changed``: values other than the demo's own."""
        account = {"url": self.sandbox.url, "posId": self.sandbox.pos_id, "posKey": self.sandbox.pos_key}
        lines = [f'{name} = "{value}"\n' for name, value in {**_SETTINGS, **changed, **account}.items()]
        self._conf.touch(mode=0o600)
        self._conf.write_text("".join(["[Main]\n", *lines]), encoding="utf-8")

    def _print(self, slip: Slip) -> None:
        if not self.till.store.receipts()[-1].is_open:  # a slip printed before the receipt has closed doesn't count
            self.slips.append(slip)

    def do(self, step: Step) -> Outcome:
        """Prepare a step and do what it says. A step with codes begins a sale."""
        if step.codes:
            self._sales.append((step.text, len(self.till.store.receipts()), len(self.sandbox.receipts())))
        self._codes, self.waits = list(step.codes), 0
        self.slips.clear()
        for fault in step.faults:
            self.sandbox.inject(fault)
        self.write_settings(step.settings)
        self._seen = len(self.sandbox.requests)
        try:
            return step.do(self)
        finally:
            self._screen.clear()
            self.sandbox.clear_faults()

    def sent(self, method: str = "") -> int:
        """Return how many requests arrived in this step, of methods that begin with ``method``."""
        return sum(request.method.startswith(method) for request in self.sandbox.requests[self._seen :])

    def sell(self, items: tuple[Item, ...]) -> Outcome:
        """Sell ``items``."""
        payment = self.till.sell(items)
        self._payment_id = payment.payment_id
        return _outcome(payment)

    def cancel(self) -> Outcome:
        """Annul the last sale."""
        return _outcome(self.till.cancel(self._payment_id, "the buyer changed their mind"))

    def refund(self, items: tuple[Item, ...] | None = None, *, by_hand: bool = False) -> Outcome:
        """Refund the last sale, or ``items`` of it; ``by_hand``: the cashier scanned the goods one by one."""
        return _outcome(self.till.refund(self._payment_id, items=items, manual_selection=by_hand))

    def cut_power(self, amount: int, when: Callable[[DemoShop], object]) -> Outcome:
        """Stop the till, sell for ``amount`` tiyin in another process, and kill it with SIGKILL at the moment given."""
        self.running.close()
        paying = ["pay", "--amount", f"{amount / 100:.2f}", "--qr", self.scan("", 0.0)]
        command = [sys.executable, "-c", _PROGRAM, "--conf", str(self._conf), "--data-dir", str(self._folder), *paying]
        with Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL) as process:  # noqa: S603 - our own command
            while not when(self) and process.poll() is None:
                time.sleep(0.01)
            process.kill()
        status = process.returncode
        return f"till killed by {Signals(-status).name}" if status < 0 else f"till ended with {status}", ""

    def restart(self, *, loses_sale: bool = False) -> Outcome:
        """Start the till and ask again; ``loses_sale``: its disk has lost the last receipt.

        Raises:
            Refusal: the plugin is not in service.
        """
        if loses_sale:
            max((self._folder / "receipts").glob("*.json")).unlink()
        self.till = Till(
            self._folder,
            {"confFile": str(self._conf), **NO_WORKER},
            self,
            language=self.language,
            slip_width=SLIP_WIDTH,
            print_slip=self._print,
            notice=lambda _key, _text: None,
        )
        self.running.enter_context(self.till)
        require_plugin(self.till)
        return self.ask_again()

    def ask_again(self) -> Outcome:
        """Ask again for unfinished payments."""
        results = [each.outcome for each in self.till.restore()] or ["nothing to ask again"]
        return ", ".join([*results, "on_ready called"] if self.till.is_ready else results), ""

    def deliver(self) -> Outcome:
        """Deliver the cancellations, as ``payme queue deliver --until-empty`` does."""
        with open_delivery(GlobalOptions(self._conf, self._folder), log=nullcontext()) as delivery:
            is_empty = delivery.processor().deliver_until_empty(delivery.require_merchants(), 10.0)
            return "delivered" if is_empty else "not delivered", ""

    def buyer_confirms(self) -> Outcome:
        """Put the server's clock forward, so that the buyer has confirmed."""
        self._ahead_ms += 60_000
        return "charged", ""

    def journal(self) -> str:
        """Return the states of the newest payment in the journal on the disk, and whether a cancellation is queued."""
        with read_journal(self._folder) as journal:
            if journal is None:
                raise FileNotFoundError(self._folder)
            row = journal.payments()[0]
            states = [event.after.value for event in journal.events(row.payment_id) if event.after is not None]
            queued = [each.payment_id for each in journal.live_cancellations()].count(row.payment_id)
        return " -> ".join(states) + ", one cancellation queued" * queued

    def held(self) -> int:
        """Return the tiyin that Payme holds for the current sale."""
        return sum(receipt.held for receipt in self.sandbox.receipts()[self._sales[-1][2] :])

    def totals(self) -> list[tuple[str, int, int]]:
        """Return title, tiyin at the till and tiyin at Payme of each sale."""
        booked, receipts = self.till.store.receipts(), self.sandbox.receipts()
        ends = [*self._sales[1:], ("", len(booked), len(receipts))]
        return [
            (title, _net(booked[first:end]), sum(receipt.held for receipt in receipts[first_held:end_held]))
            for (title, first, first_held), (_, end, end_held) in zip(self._sales, ends, strict=True)
        ]


def _outcome(done: Payment | Reversal) -> Outcome:
    rules = {each.rule for each in done.violations} if isinstance(done, Reversal) else ()
    reason = ", ".join(sorted(rules)) or done.result.error_code
    return f"{done.result.status.name} ({reason})" if reason else done.result.status.name, done.result.message


def _net(receipts: Sequence[StoredReceipt]) -> int:
    """Return the tiyin of closed sales less those of closed refunds."""
    closed = [each for each in receipts if each.closed_at is not None and not each.annulled]
    refunded = sum(each.refund.amount for each in closed if each.refund is not None)
    return sum(tender.record.amount for each in closed for tender in each.tenders if tender.record) - refunded
