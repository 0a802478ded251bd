"""The day: a sandbox on a free port, a real settings file, the reference till with the plugin from its entry point."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, final

from payme_plugin.cli.delivery import open_delivery
from payme_plugin.cli.demo.cashier import BuyersCode, Cashier
from payme_plugin.cli.demo.outcomes import GivenBack, Restarted, Sale, Sold
from payme_plugin.cli.demo.power_cut import killed_while_paying
from payme_plugin.cli.journal import read_journal
from payme_plugin.cli.output import Refusal
from payme_plugin.cli.queue_deliver import deliver_all
from payme_plugin.cli.till import GOODS, NO_WORKER, SLIP_WIDTH
from payme_plugin.sandbox import Behaviour, CancelPlan, Sandbox
from payme_plugin.till import Till, one_line_sale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from hookspecs import Item, Slip
    from payme_plugin.cli.demo.stage import Stage
    from payme_plugin.ledger.rows import CancellationRow, EventRow, PaymentRow
    from payme_plugin.sandbox import WireRequest
    from payme_plugin.till import Reversal

__all__ = ["Day"]

_FILE_MODE = 0o600
_SETTLE_S = 0.5
_PATIENCE_S = 10.0


class _Clock:
    """The server's clock, which a scene may put forward."""

    def __init__(self) -> None:
        self._ahead_ms = 0
        self._start_ms = time.time_ns() // 1_000_000 - time.monotonic_ns() // 1_000_000

    def __call__(self) -> int:
        return self._start_ms + time.monotonic_ns() // 1_000_000 + self._ahead_ms

    def advance(self, duration_s: float) -> None:
        self._ahead_ms += round(duration_s * 1000)


@final
class Day:
    """Everything that the scenes play with; a context manager.

    Args:
        folder: a folder of its own.
        stage: where it is shown.
        quiet: draw no waiting either.

    Money effect: that of a till, at its own sandbox alone; no money moves anywhere.
    """

    def __init__(self, folder: Path, stage: Stage, *, quiet: bool) -> None:
        self.stage = stage
        self.sales: list[Sale] = []
        self._folder = folder / "data"
        self._conf = folder / "payme.go.conf"
        self._clock = _Clock()
        self.sandbox = Sandbox(clock=self._clock, cancel=CancelPlan(settle_s=_SETTLE_S))
        self.cashier = Cashier(stage, quiet=quiet)
        self._slips: list[Slip] = []
        self._notices: dict[str, str] = {}
        self._running = ExitStack()
        self._till_running = ExitStack()

    def __enter__(self) -> Day:
        """Start the server and the till.

        Raises:
            ExtraMissing: the sandbox's libraries are not installed.
            PortUnavailable: no port is free.
            Refusal: the plugin is not in service.
        """
        with ExitStack() as running:
            running.enter_context(self.sandbox)
            self.write_settings()
            running.callback(self.stop_till)
            self._start_till()
            self._running = running.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop both."""
        self._running.close()

    def stop_till(self) -> None:
        """Stop the till, as it is stopped in the evening."""
        self._till_running.close()

    def _start_till(self) -> None:
        self._till_running = ExitStack()
        self._till = self._till_running.enter_context(self._new_till())
        if "payme" not in self._till.plugin_names:
            reasons = "; ".join(f"{each.plugin} {each.reason}" for each in self._till.faults)
            message = f"the plugin 'payme' is not in service ({reasons or 'is the distribution installed?'})"
            raise Refusal(message)

    def _new_till(self) -> Till:
        return Till(
            self._folder,
            {"confFile": str(self._conf), **NO_WORKER},
            self.cashier,
            language="ru",
            slip_width=SLIP_WIDTH,
            print_slip=self._slips.append,
            notice=self._notice,
        )

    def _notice(self, key: str, text: str | None) -> None:
        if text is None:
            self._notices.pop(key, None)
        else:
            self._notices[key] = text

    def write_settings(self, **changed: int) -> None:
        """Write the settings file anew, with ``changed`` values; the till takes it up at its next operation."""
        values: dict[str, object] = {"timeout": 5, "payDuration": 30_000, "frequency": 500, **changed}
        values |= {name: f'"{value}"' for name, value in self._kassa().items()}
        text = "[Main]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())
        fresh = self._conf.with_suffix(".new")
        fresh.touch(mode=_FILE_MODE)
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self._conf)

    def _kassa(self) -> dict[str, str]:
        return {"url": self.sandbox.url, "posId": self.sandbox.pos_id, "posKey": self.sandbox.pos_key}

    def buyer(self, behaviour: Behaviour | None = None, *, waits_s: float = 0.0) -> BuyersCode:
        """Return a buyer whose phone shows a code that is ``waits_s`` seconds old when it is scanned."""

        def code() -> str:
            shown = self.sandbox.issue_code(behaviour)
            self._clock.advance(waits_s)
            return shown

        return code

    def sell(self, title: str, amount: int, *codes: BuyersCode) -> Sold:
        """Sell something for ``amount`` tiyin to a buyer who shows ``codes``, and show what the cashier reads."""
        return self.sell_items(title, one_line_sale(GOODS, amount), *codes)

    def sell_items(self, title: str, items: tuple[Item, ...], *codes: BuyersCode) -> Sold:
        """Sell ``items`` to a buyer who shows ``codes``, and show what the cashier reads."""
        self.cashier.begin(*codes)
        started = time.monotonic()
        with self._watched() as (slips, wire):
            payment = self._till.sell(items)
        sold = Sold(payment=payment, elapsed_s=time.monotonic() - started, slips=tuple(slips), wire=tuple(wire))
        self.sales.append(Sale(title=title, number=payment.number, receipt_id=payment.result.receipt_id))
        self._quote(payment.result.message)
        return sold

    def cancel(self, sold: Sold) -> GivenBack:
        """Annul a sale, as if it were still open, and show what the cashier reads."""
        return self._give_back(lambda: self._till.cancel(sold.payment.payment_id, "the buyer changed his mind"))

    def refund(self, sold: Sold, *, items: tuple[Item, ...] | None = None, manual_selection: bool = False) -> GivenBack:
        """Refund a sale, or ``items`` of it, and show what the cashier reads."""
        payment_id = sold.payment.payment_id
        return self._give_back(lambda: self._till.refund(payment_id, items=items, manual_selection=manual_selection))

    def _give_back(self, reverse: Callable[[], Reversal]) -> GivenBack:
        self.cashier.begin()
        with self._watched() as (slips, wire):
            reversal = reverse()
        self._quote(reversal.result.message)
        return GivenBack(reversal=reversal, slips=tuple(slips), wire=tuple(wire))

    def power_fails(self, amount: int, code: str, *, after: str) -> int:
        """Let another process sell, and kill it once a request ``after`` of it arrived; return how it ended.

        Args:
            amount: tiyin.
            code: the buyer's code.
            after: ``receipts.pay`` say.
        """
        self.stop_till()
        seen = len(self.sandbox.requests)

        def has_come() -> bool:
            return any(request.method == after for request in self.sandbox.requests[seen:])

        return killed_while_paying(self._conf, self._folder, amount, code, has_come)

    def lose_last_sale(self) -> None:
        """Let the till's disk lose its last receipt."""
        max((self._folder / "receipts").glob("*.json")).unlink()

    def restart(self, title: str) -> Restarted:
        """Start the till after a power cut, and let it restore; show what the cashier reads."""
        self._start_till()
        return self.restore(title)

    def restore(self, title: str) -> Restarted:
        """Let the till ask again, acknowledge and be ready; show what the cashier reads."""
        self.cashier.begin()
        with self._watched() as (slips, wire):
            restored = self._till.restore()
        for each in restored:
            row = self.row(each.payment_id)
            sale = Sale(title=title, number=each.number, receipt_id=None if row is None else row.receipt_id)
            if sale not in self.sales:
                self.sales.append(sale)
            self._quote("" if row is None else row.message)
        return Restarted(restored=restored, slips=tuple(slips), wire=tuple(wire), is_ready=self._till.is_ready)

    @contextmanager
    def _watched(self) -> Iterator[tuple[list[Slip], list[WireRequest]]]:
        """Collect what is printed and what reaches the server within the block."""
        self.stage.blank()
        self._slips.clear()
        before = len(self.sandbox.requests)
        slips: list[Slip] = []
        wire: list[WireRequest] = []
        try:
            yield slips, wire
        finally:
            self.cashier.end()
            slips += self._slips
            wire += self.sandbox.requests[before:]

    def _quote(self, message: str) -> None:
        self.stage.quote(message)
        self.stage.blank()

    def deliver(self) -> bool:
        """Deliver every cancellation, as ``payme queue deliver --until-empty`` does; return whether none is left."""
        with open_delivery(self._folder, self._conf, self._till.identity) as delivery:
            return deliver_all(delivery, _PATIENCE_S)

    def row(self, payment_id: str | None) -> PaymentRow | None:
        """Return a payment from the journal on the disk, or None."""
        if payment_id is None:
            return None
        with read_journal(self._folder) as reader:
            return None if reader is None else reader.find(payment_id)

    def last_row(self) -> PaymentRow | None:
        """Return the payment that began last from the journal on the disk, or None."""
        with read_journal(self._folder) as reader:
            return None if reader is None else next(iter(reader.payments()), None)

    def first_story(self) -> tuple[PaymentRow, list[EventRow]]:
        """Return the first payment of the day and its events from the journal on the disk."""
        with read_journal(self._folder) as reader:
            if reader is None:
                message = f"there is no journal in {self._folder}"
                raise Refusal(message)
            row = reader.payments()[-1]
            return row, reader.events(row.payment_id)

    def cancellations(self, payment_id: str) -> Sequence[CancellationRow]:
        """Return the live cancellations of a payment from the journal on the disk."""
        with read_journal(self._folder) as reader:
            rows = [] if reader is None else reader.live_cancellations()
        return [row for row in rows if row.payment_id == payment_id]

    def at_till(self, sale: Sale) -> int:
        """Return the tiyin that the till's book has for a sale, less what it refunded of it."""
        receipts = {each.number: each for each in self._till.receipts}
        sold = receipts[sale.number]
        if sold.closed_at is None or sold.annulled:
            return 0
        refunded = sum(
            each.refund.amount
            for each in receipts.values()
            if each.refund is not None and each.refund.sale_number == sale.number and each.closed_at is not None
        )
        return sum(tender.record.amount for tender in sold.tenders if tender.record is not None) - refunded

    def at_payme(self, sale: Sale) -> int:
        """Return the tiyin that the server holds for a sale."""
        return 0 if sale.receipt_id is None else self.sandbox.held(sale.receipt_id)
