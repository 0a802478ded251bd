"""The day: a sandbox on a free port, a real settings file, the reference till with the plugin from its entry point."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from payme_plugin.cli.checkout import GOODS, NO_WORKER, SLIP_WIDTH
from payme_plugin.cli.demo.cashier import BuyersCode, Cashier
from payme_plugin.cli.journal import read_journal
from payme_plugin.cli.output import Refusal
from payme_plugin.sandbox import Behaviour, Sandbox
from payme_plugin.till import Till

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from hookspecs import Slip
    from payme_plugin.cli.demo.stage import Stage
    from payme_plugin.ledger.rows import CancellationRow, EventRow, PaymentRow
    from payme_plugin.sandbox import WireRequest
    from payme_plugin.till import Payment

__all__ = ["Day", "Sold"]

_FILE_MODE = 0o600


@dataclass(frozen=True, kw_only=True)
class Sold:
    """A sale that was tried.

    Attributes:
        title: what it is called in the final table.
        payment: the verdict.
        elapsed_s: how long the cashier waited for it.
        slips: what was printed.
        wire: the requests that reached the server meanwhile.
    """

    title: str
    payment: Payment
    elapsed_s: float
    slips: tuple[Slip, ...]
    wire: tuple[WireRequest, ...]

    def sent(self, method: str) -> int:
        """Return how many requests of ``method`` reached the server."""
        return sum(request.method == method for request in self.wire)


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
    """

    def __init__(self, folder: Path, stage: Stage, *, quiet: bool) -> None:
        self.stage = stage
        self.sold: list[Sold] = []
        self._folder = folder / "data"
        self._conf = folder / "payme.go.conf"
        self._clock = _Clock()
        self.sandbox = Sandbox(clock=self._clock)
        self.cashier = Cashier(stage, quiet=quiet)
        self._slips: list[Slip] = []
        self._notices: dict[str, str] = {}
        self._running = ExitStack()

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
            self._till = running.enter_context(self._new_till())
            if "payme" not in self._till.plugin_names:
                reasons = "; ".join(f"{each.plugin} {each.reason}" for each in self._till.faults)
                message = f"the plugin 'payme' is not in service ({reasons or 'is the distribution installed?'})"
                raise Refusal(message)
            self._running = running.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop both."""
        self._running.close()

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
        self.stage.blank()
        self.cashier.begin(*codes)
        self._slips.clear()
        before, started = len(self.sandbox.requests), time.monotonic()
        try:
            payment = self._till.pay(amount, goods=GOODS)
        finally:
            self.cashier.end()
        sold = Sold(
            title=title,
            payment=payment,
            elapsed_s=time.monotonic() - started,
            slips=tuple(self._slips),
            wire=self.sandbox.requests[before:],
        )
        self.sold.append(sold)
        self.stage.quote(payment.result.message)
        self.stage.blank()
        return sold

    def story(self, payment_id: str) -> tuple[PaymentRow, list[EventRow]] | None:
        """Return a payment and its events from the journal on the disk, or None."""
        with read_journal(self._folder) as reader:
            row = None if reader is None else reader.find(payment_id)
            return None if reader is None or row is None else (row, reader.events(payment_id))

    def cancellations(self, payment_id: str) -> Sequence[CancellationRow]:
        """Return the live cancellations of a payment from the journal on the disk."""
        with read_journal(self._folder) as reader:
            rows = [] if reader is None else reader.live_cancellations()
        return [row for row in rows if row.payment_id == payment_id]

    def at_till(self, sold: Sold) -> int:
        """Return the tiyin that the till's book has for a sale."""
        receipt = next(each for each in self._till.receipts if each.number == sold.payment.number)
        if receipt.closed_at is None or receipt.annulled:
            return 0
        return sum(tender.record.amount for tender in receipt.tenders if tender.record is not None)

    def at_payme(self, sold: Sold) -> int:
        """Return the tiyin that the server holds for a sale."""
        receipt_id = sold.payment.result.receipt_id
        return 0 if receipt_id is None else self.sandbox.held(receipt_id)
