"""Play one cell of the matrix: prepare a sale, call the hook that the fault hits, and wait for the delivery."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fakes.hooked_world import OFD_LINK
from fakes.waiting import comes_true
from faults.cases import ANSWER_FAULTS, FORGOTTEN, Target
from faults.network import RESET_UNREAD, ROUTE_FAULTS
from faults.proxied_till import PAY_DURATION_S, ProxiedTill
from payme_plugin.cli.payme_list import ListUnavailable, list_receipts
from payme_plugin.clock import SystemClock
from payme_plugin.paymego import codes
from payme_plugin.sandbox import BuyerAction
from payme_plugin.settings import SettingsReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.cases import Cell
    from faults.log_capture import LogCapture
    from faults.network import Network
    from hookspecs import PaymentResult, ReversalResult

_CONFIRMS_S = 0.15
_ASKS_AGAIN_MS = 2500
_FREQUENCY_MS = 300
"""Five polls within ``payDuration``: each costs a TLS handshake, and more would show nothing new."""
_DELIVERED_WITHIN_S = 20
_TRIED_WITHIN_S = 2.5
_LOOK_S = 0.05
"""Each look opens the journal, and a worker pauses for a second: shorter pauses would save nothing."""


@dataclass(frozen=True)
class Seen:
    """What was observed in a cell.

    Attributes:
        status: the status of the hook's result; ``closed`` for ``on_receipt_closed``; a command's own words.
        cancellation: whether the result queued one.
        took_s: how long the hook took.
        since_pay_s: the same, but from the first ``receipts.pay`` if one arrived before the fault.
        message: what the cashier reads.
        slips: how many slips came with it.
        held_then: tiyin that Payme held when the result came.
        pays: how many ``receipts.pay`` with the buyer's code reached the bank, or the proxy if that is more.
        knows_receipt: whether the journal had the receipt id when the hook returned.
        creates: how many receipts the hook created at Payme.
        held: tiyin that Payme holds after delivery.
        recorded: tiyin that the till has recorded.
        left: what was still to deliver when the time was over, or empty.
        hits: how often the fault hit something.
        hit_again: whether it hit something after the hook too, before it was healed.
        faults: the exceptions of hooks.
        leaks: secrets, each with where it was seen.
    """

    status: str
    cancellation: bool
    took_s: float
    since_pay_s: float
    message: str
    slips: int
    held_then: int
    pays: int
    knows_receipt: bool
    creates: int
    held: int
    recorded: int
    left: str
    hits: int
    hit_again: bool
    faults: tuple[str, ...]
    leaks: tuple[tuple[str, str], ...]


def play(cell: Cell, network: Network, log: LogCapture, *, nth: int = 1) -> Seen:
    """Play a cell for the n-th time with a till of its own; return what was observed."""
    # A lost query takes its whole timeout; there must be time for the next one, also on a busy machine.
    asks_again = cell.fault == FORGOTTEN and cell.target is not Target.PAY
    duration_ms = _ASKS_AGAIN_MS if asks_again else round(1000 * PAY_DURATION_S)
    till = ProxiedTill(network, f"{cell}-{nth}", plain=cell.plain, frequency=_FREQUENCY_MS, payDuration=duration_ms)
    with contextlib.closing(till):
        seen = _Play(cell, till).run()
        log.codes += till.codes
        return seen


@dataclass(frozen=True)
class _Outcome:
    """The result of a hook or a command."""

    status: str
    cancellation: bool = False
    message: str = ""
    slips: int = 0


def _outcome(result: PaymentResult | ReversalResult) -> _Outcome:
    return _Outcome(result.status.value, result.cancellation_queued, result.message, len(result.slips))


class _Play:
    def __init__(self, cell: Cell, till: ProxiedTill) -> None:
        self._cell = cell
        self._till = till
        self._code = ""
        self._look_ups = 0

    def run(self) -> Seen:
        till, target = self._till, self._cell.target
        prepared = self._prepare()
        first = len(till.proxy.arrivals)
        receipts_before = len(till.sandbox.receipts())
        began_at = time.monotonic()
        with self._faulty():
            outcome = prepared()
            ended_at = time.monotonic()
            hits = self._hits()
            held_then = till.sandbox.held()
            knows_receipt = target.hook == "on_payment" and till.till.row().receipt_id is not None
            till.search.add_files()
            self._wait_for_a_try(hits)
            hit_again = self._hits() > hits
        till.proxy.settle()
        delivered = comes_true(self._is_settled, _DELIVERED_WITHIN_S, look_s=_LOOK_S)
        arrivals = till.proxy.arrivals[first:]
        pays_at = [arrival.at_s for arrival in arrivals if arrival.method == "receipts.pay"]
        paid_at = [at_s for at_s in pays_at if at_s < ended_at and target is not Target.PAY]
        return Seen(
            status=outcome.status,
            cancellation=outcome.cancellation,
            took_s=ended_at - began_at,
            since_pay_s=ended_at - (paid_at[0] if paid_at else began_at),
            message=outcome.message,
            slips=outcome.slips,
            held_then=held_then,
            pays=max(till.sandbox.pays(self._code), len(pays_at)) if self._code else 0,
            knows_receipt=knows_receipt,
            creates=len(till.sandbox.receipts()) - receipts_before,
            held=till.sandbox.held(),
            recorded=sum(till.recorded.values()),
            left="" if delivered else self._left(),
            hits=self._hits(),
            hit_again=hit_again,
            faults=tuple(map(str, till.till.plugins.faults)),
            leaks=tuple(till.leaks()),
        )

    def _prepare(self) -> Callable[[], _Outcome]:
        """Prepare the sale; return a function that calls the hook that the fault hits."""
        till, target = self._till, self._cell.target
        if target.hook == "on_payment":
            if (self._cell.fault, target) == (FORGOTTEN, Target.CREATE):
                till.close_sale(till.sell("p0", 7))
            is_asked_after = target in {Target.CHECK, Target.GET}
            self._code = till.code(BuyerAction.CONFIRMS, _CONFIRMS_S) if is_asked_after else till.code()
            return lambda: _outcome(till.pay(self._code))
        sale = till.sell()
        if target is Target.FISCAL:
            return partial(self._close, partial(till.close_sale, sale, OFD_LINK))
        if target.hook == "on_cancel":
            return lambda: _outcome(till.cancel(sale))
        closed = till.close_sale(sale)
        return self._list if target is Target.LIST else lambda: _outcome(till.refund(closed))

    @staticmethod
    def _close(close: Callable[[], object]) -> _Outcome:
        close()
        return _Outcome("closed")

    def _list(self) -> _Outcome:
        """Ask Payme for its list, as ``payme reconcile`` does."""
        now_ms = SystemClock().wall_ms()
        settings = SettingsReader(lambda: self._till.host.given, codes).read()
        try:
            listed = list_receipts(self._till.host.folder, settings, now_ms, now_ms).receipts
        except ListUnavailable as failure:
            self._till.search.add_error("the command's error", failure)
            return _Outcome("no list", message=failure.format_message())
        self._till.search.add("the list", *listed)
        return _Outcome("listed", message=f"{len(listed)} receipts")

    @contextlib.contextmanager
    def _faulty(self) -> Iterator[None]:
        cell, till = self._cell, self._till
        till.proxy.untrue_state = 50 if cell.target.is_reversal else 4
        if cell.fault in ROUTE_FAULTS:
            self._break_route()
        else:
            from_nth = 2 if cell.fault == FORGOTTEN else 1
            till.proxy.inject(ANSWER_FAULTS[cell.fault], cell.phase, cell.target.method, from_nth=from_nth)
        try:
            yield
        finally:
            till.network.names.lead(till.host_name, lambda: [till.proxy.port])
            till.proxy.heal()

    def _break_route(self) -> None:
        """Let the route fail as soon as the answer before the target's request has passed."""
        till, fault = self._till, self._cell.fault
        before = {
            Target.PAY: "receipts.create",
            Target.CHECK: "receipts.pay",
            Target.GET: "receipts.check",
            Target.CANCEL: "receipts.check",
            Target.GET_CANCEL: "receipts.cancel",
            Target.REFUND: "receipts.check",
        }.get(self._cell.target)

        def look_up() -> list[int]:
            self._look_ups += 1
            return ROUTE_FAULTS[fault](till.proxy, till.network.unreachable)

        def break_after(method: str, answer: bytes) -> bool:
            if method != before or (self._cell.target is Target.GET and b'"state": 4' not in answer):
                return False
            break_now()
            return fault != RESET_UNREAD

        def break_now() -> None:
            till.proxy.resets_unread = fault == RESET_UNREAD
            if fault != RESET_UNREAD:
                till.network.names.lead(till.host_name, look_up)

        till.proxy.healed.clear()
        if before is None:
            break_now()
            till.proxy.cut()  # an open connection of an earlier sale must not bypass the fault
        else:
            till.proxy.trigger = break_after

    def _hits(self) -> int:
        proxy = self._till.proxy
        return self._look_ups + proxy.reset_count + sum(arrival.hit for arrival in proxy.arrivals)

    def _wait_for_a_try(self, hits: int) -> None:
        """Wait until the fault has hit the worker too, or nothing is left to do."""
        if self._cell.target is Target.FISCAL:
            comes_true(self._hits, _DELIVERED_WITHIN_S, look_s=_LOOK_S)
        elif self._cell.target is Target.REFUND:
            comes_true(lambda: self._hits() > hits or not self._till.till.live(), _TRIED_WITHIN_S, look_s=_LOOK_S)

    def _left(self) -> str:
        till, now_ms = self._till, SystemClock().wall_ms()
        rows = [
            f"{row.attempts} attempts, due in {row.due_at - now_ms} ms, {row.last_error}" for row in till.till.live()
        ]
        receipts = [f"state {one.state}, fiscal {bool(one.fiscal_data)}" for one in till.sandbox.receipts()]
        threads = sorted({thread.name for thread in threading.enumerate()})
        return f"cancellations {rows}, receipts {receipts}, notices {till.host.notices}, threads {threads}"

    def _is_settled(self) -> bool:
        receipts = self._till.sandbox.receipts() if self._cell.target is Target.FISCAL else ()
        return all(one.fiscal_data for one in receipts if one.held) and self._till.is_settled()
