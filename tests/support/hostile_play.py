"""One cell of the matrix played: what comes before the fault, the hook that it befalls, and the delivery after it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fault_proxy_roads import ROADS
from hooked_world import OFD_LINK
from hostile_cells import FORGOTTEN, Scene, strike_of
from hostile_stage import Stage
from payme_plugin.sandbox import BuyerAction
from waiting import comes_true

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fault_proxy_names import LookUp
    from hookspecs import PaymentResult, Receipt, ReversalResult
    from hostile_cells import Cell
    from hostile_shop import Shop

__all__ = ["Seen", "play"]

_CONFIRMS_S = 0.15
_DELIVERED_WITHIN_S = 20
_TRIED_WITHIN_S = 2.5


@dataclass(frozen=True)
class Seen:
    """What came of a cell.

    Attributes:
        status: the hook's verdict; ``closed`` for ``on_receipt_closed``, which has none.
        cancellation: the verdict wrote one.
        took_s: how long the hook took; ``on_receipt_closed``'s own time for a fiscal link.
        since_pay_s: the same, from the first ``receipts.pay`` on where there was one before the fault.
        stalled_s: how much of that the machine withheld from the process.
        message: what the cashier reads.
        slips: how many slips came with it.
        held_then: tiyin that Payme held when the verdict came.
        pays: how many ``receipts.pay`` with the buyer's code the bank saw.
        creates: how many receipts the fault's hook made at Payme.
        held: tiyin that Payme holds after delivery.
        recorded: tiyin that the till has recorded.
        left: what was still to do when the time for delivery was over; empty: nothing.
        struck: how often the fault befell something.
        faults: what the host's caller had to catch.
    """

    status: str
    cancellation: bool
    took_s: float
    since_pay_s: float
    stalled_s: float
    message: str
    slips: int
    held_then: int
    pays: int
    creates: int
    held: int
    recorded: int
    left: str
    struck: int
    faults: tuple[str, ...]


def play(cell: Cell, shop: Shop) -> Seen:
    """Play a cell and return what came of it.

    Args:
        cell: which fault, when, and what it befalls.
        shop: what all cells share.
    """
    with contextlib.closing(Stage(shop, str(cell), plain=cell.plain)) as stage:
        return _Play(cell, stage).run()


class _Play:
    def __init__(self, cell: Cell, stage: Stage) -> None:
        self._cell = cell
        self._stage = stage
        self._code = ""
        self._look_ups = 0

    def run(self) -> Seen:
        stage, scene = self._stage, self._cell.scene
        prepared = self._prepare()
        first = len(stage.proxy.arrivals)
        receipts_before = len(stage.sandbox.receipts())
        began_at, stalled_s = time.monotonic(), stage.shop.stalls.total_s()
        with self._befallen():
            result = prepared()
            ended_at, stalled_s = time.monotonic(), stage.shop.stalls.total_s() - stalled_s
            held_then = stage.sandbox.held()
            if scene in {Scene.REFUND, Scene.FISCAL}:
                self._wait_for_a_try()
        stage.proxy.settle()
        delivered = comes_true(self._is_settled, _DELIVERED_WITHIN_S)
        arrivals = stage.proxy.arrivals[first:]
        paid_at = [arrival.at_s for arrival in arrivals if arrival.method == "receipts.pay" and arrival.at_s < ended_at]
        return Seen(
            status="closed" if result is None else result.status.value,
            cancellation=result is not None and result.cancellation_queued,
            took_s=ended_at - began_at,
            since_pay_s=ended_at - (paid_at[0] if paid_at and scene is not Scene.PAY else began_at),
            stalled_s=stalled_s,
            message="" if result is None else result.message,
            slips=0 if result is None else len(result.slips),
            held_then=held_then,
            pays=stage.sandbox.pays(self._code) if self._code else 0,
            creates=len(stage.sandbox.receipts()) - receipts_before,
            held=stage.sandbox.held(),
            recorded=sum(stage.recorded.values()),
            left="" if delivered else self._left(),
            struck=self._struck(),
            faults=tuple(map(str, stage.till.plugins.faults)),
        )

    def _prepare(self) -> Callable[[], PaymentResult | ReversalResult | None]:
        """Do what comes before the fault; return the hook's call that it befalls."""
        stage, scene = self._stage, self._cell.scene
        if scene.hook == "on_payment":
            if (self._cell.fault, scene) == (FORGOTTEN, Scene.CREATE):
                stage.close_sale(stage.sell("p0", 7))
            waits = scene in {Scene.CHECK, Scene.GET}
            self._code = stage.till.code(
                BuyerAction.CONFIRMS if waits else BuyerAction.PAYS, after_s=_CONFIRMS_S if waits else 0.0
            )
            return lambda: stage.pay(self._code)
        sale = stage.sell()
        if scene is Scene.FISCAL:
            return partial(self._close, sale)
        if scene is Scene.REFUND:
            closed = stage.close_sale(sale)
            return lambda: stage.refund(closed)
        return lambda: stage.cancel(sale)

    def _close(self, sale: Receipt) -> None:
        self._stage.close_sale(sale, OFD_LINK)

    @contextlib.contextmanager
    def _befallen(self) -> Iterator[None]:
        cell, stage = self._cell, self._stage
        if cell.fault in ROADS:
            self._befall_road()
        elif cell.fault == FORGOTTEN:
            stage.proxy.befall(cell.scene.method, strike_of(cell.fault), cell.phase, lambda one: one.nth > 1)
        else:
            stage.proxy.befall(cell.scene.method, strike_of(cell.fault), cell.phase)
        try:
            yield
        finally:
            stage.shop.names.lead(stage.host_name, lambda: [stage.proxy.port])
            stage.proxy.heal()

    def _befall_road(self) -> None:
        """Let the road fail from the request on that the fault befalls: when the answer before it has gone."""
        stage, scene = self._stage, self._cell.scene
        road = ROADS[self._cell.fault]
        befores: dict[Scene, Callable[[str, bytes], bool]] = {
            Scene.PAY: lambda method, _: method == "receipts.create",
            Scene.CHECK: lambda method, _: method == "receipts.pay",
            Scene.GET: lambda method, answer: method == "receipts.check" and b'"state": 4' in answer,
            Scene.CANCEL: lambda method, _: method == "receipts.check",
            Scene.REFUND: lambda method, _: method == "receipts.check",
        }
        before = befores.get(scene)

        def strike() -> bool:
            look_up = road(stage.proxy, stage.shop.nowhere)
            if look_up is None:
                return False
            stage.shop.names.lead(stage.host_name, partial(self._look_up, look_up))
            return True

        if before is None:
            strike()
            stage.proxy.cut()  # what is kept alive of an earlier sale must not lead around the fault
        else:
            stage.proxy.healed.clear()
            stage.proxy.trigger = lambda method, answer: before(method, answer) and strike()

    def _look_up(self, look_up: LookUp) -> list[int]:
        self._look_ups += 1
        return look_up()

    def _struck(self) -> int:
        proxy = self._stage.proxy
        return self._look_ups + proxy.reset_unread + sum(arrival.struck for arrival in proxy.arrivals)

    def _wait_for_a_try(self) -> None:
        """Let the worker meet the fault too."""
        stage, before = self._stage, self._struck()
        if self._cell.scene is Scene.FISCAL:
            comes_true(self._struck, _TRIED_WITHIN_S)
        elif stage.till.live():
            comes_true(lambda: self._struck() > before or not stage.till.live(), _TRIED_WITHIN_S)

    def _left(self) -> str:
        stage = self._stage
        rows = [f"{row.attempts} attempts, {row.last_error}" for row in stage.till.live()]
        receipts = [f"state {one.state}, fiscal {bool(one.fiscal_data)}" for one in stage.sandbox.receipts()]
        return f"cancellations {rows}, receipts {receipts}"

    def _is_settled(self) -> bool:
        stage = self._stage
        if self._cell.scene is Scene.FISCAL and not all(
            one.fiscal_data for one in stage.sandbox.receipts() if one.held
        ):
            return False
        return stage.is_settled()
