"""One cell of the matrix played: what comes before the fault, the hook that it befalls, and the delivery after it."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fakes.hooked_world import OFD_LINK
from fakes.waiting import comes_true
from faults.canaries import CARD, KEY, PHONE, Witness
from faults.cases import FORGOTTEN, Scene, strike_of
from faults.route_faults import ROADS
from faults.stage import Stage
from hookspecs import PaymentResult, ReversalResult
from payme_plugin.cli.payme_list import ListUnavailable
from payme_plugin.clock import SystemClock
from payme_plugin.sandbox import BuyerAction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.cases import Cell
    from faults.host_names import LookUp
    from faults.log_capture import Ear
    from faults.shop import Shop
    from hookspecs import Receipt

_CONFIRMS_S = 0.15
_ASKS_AGAIN_MS = 2500
_FREQUENCY_MS = 300
"""Five questions until ``payDuration`` is over: more cost a TLS handshake each, and show nothing new."""
_DELIVERED_WITHIN_S = 20
_TRIED_WITHIN_S = 2.5
_LOOK_S = 0.05
"""A look opens the journal: more of them cost more than they save, because a worker waits for a second."""


@dataclass(frozen=True)
class Seen:
    """What came of a cell.

    Attributes:
        status: the hook's verdict; ``closed`` for ``on_receipt_closed``, which has none, and what came of a command.
        cancellation: the verdict wrote one.
        took_s: how long the hook took; ``on_receipt_closed``'s own time for a fiscal link.
        since_pay_s: the same, from the first ``receipts.pay`` on where there was one before the fault.
        stalled_s: what is excused of that, because the machine stood still.
        message: what the cashier reads.
        slips: how many slips came with it.
        held_then: tiyin that Payme held when the verdict came.
        pays: how many ``receipts.pay`` with the buyer's code were sent: as the bank saw them or, where that is more, as
            they arrived on the way to it.
        knows_receipt: the till had Payme's receipt on its disk when the verdict was there: without it no code leaves.
        creates: how many receipts the fault's hook made at Payme.
        held: tiyin that Payme holds after delivery.
        recorded: tiyin that the till has recorded.
        left: what was still to do when the time for delivery was over; empty: nothing.
        struck: how often the fault befell something.
        struck_again: it befell something after the hook too, before the network healed.
        faults: what the host's caller had to catch.
        leaks: secrets, each with where it was seen.
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
    knows_receipt: bool
    creates: int
    held: int
    recorded: int
    left: str
    struck: int
    struck_again: bool
    faults: tuple[str, ...]
    leaks: tuple[tuple[str, str], ...]


def play(cell: Cell, shop: Shop, ear: Ear, *, nth: int = 1) -> Seen:
    """Play a cell and return what came of it.

    Args:
        cell: which fault, when, and what it befalls.
        shop: what all cells share.
        ear: hears what this process says.
        nth: how often it was played by now, this time too: each time it has a till of its own.
    """
    # A question that is lost takes its whole timeout; the one after it must not depend on how busy the machine is.
    asks_again = cell.fault == FORGOTTEN and cell.scene is not Scene.PAY
    settings = {"frequency": _FREQUENCY_MS, **({"payDuration": _ASKS_AGAIN_MS} if asks_again else {})}
    with contextlib.closing(Stage(shop, f"{cell}-{nth}", plain=cell.plain, settings=settings)) as stage:
        return _Play(cell, stage, ear).run()


@dataclass(frozen=True)
class _Told:
    """What a hook or a command came to, one without a verdict too."""

    status: str
    cancellation: bool
    message: str
    slips: int


class _Play:
    def __init__(self, cell: Cell, stage: Stage, ear: Ear) -> None:
        self._cell = cell
        self._stage = stage
        self._ear = ear
        self._witness = Witness(stage.host.folder)
        self._on_the_fiscal_receipt = Witness(stage.host.folder)
        self._code = ""
        self._look_ups = 0

    def run(self) -> Seen:
        stage, scene = self._stage, self._cell.scene
        prepared = self._prepare()
        first = len(stage.proxy.arrivals)
        receipts_before = len(stage.sandbox.receipts())
        began_at, stalled_before_s = time.monotonic(), stage.shop.stalls.total_s()
        with self._befallen():
            came = prepared()
            ended_at, stalled_s = time.monotonic(), stage.shop.stalls.excused_s(stalled_before_s)
            struck_by_then = self._struck()
            held_then = stage.sandbox.held()
            knows_receipt = scene.hook == "on_payment" and stage.till.row().receipt_id is not None
            self._witness.note_files()
            if scene in {Scene.REFUND, Scene.FISCAL}:
                self._wait_for_a_try(struck_by_then)
            struck_again = self._struck() > struck_by_then
        stage.proxy.settle()
        delivered = comes_true(self._is_settled, _DELIVERED_WITHIN_S, look_s=_LOOK_S)
        arrivals = stage.proxy.arrivals[first:]
        methods = [arrival.method for arrival in arrivals]
        paid_at = [arrival.at_s for arrival in arrivals if arrival.method == "receipts.pay" and arrival.at_s < ended_at]
        return Seen(
            status=came.status,
            cancellation=came.cancellation,
            took_s=ended_at - began_at,
            since_pay_s=ended_at - (paid_at[0] if paid_at and scene is not Scene.PAY else began_at),
            stalled_s=stalled_s,
            message=came.message,
            slips=came.slips,
            held_then=held_then,
            pays=max(stage.sandbox.pays(self._code), methods.count("receipts.pay")) if self._code else 0,
            knows_receipt=knows_receipt,
            creates=len(stage.sandbox.receipts()) - receipts_before,
            held=stage.sandbox.held(),
            recorded=sum(stage.recorded.values()),
            left="" if delivered else self._left(),
            struck=self._struck(),
            struck_again=struck_again,
            faults=tuple(map(str, stage.till.plugins.faults)),
            leaks=self._leaks(),
        )

    def _prepare(self) -> Callable[[], _Told]:
        """Do what comes before the fault; return the hook's call that it befalls."""
        stage, scene = self._stage, self._cell.scene
        if scene.hook == "on_payment":
            if (self._cell.fault, scene) == (FORGOTTEN, Scene.CREATE):
                stage.close_sale(stage.sell("p0", 7))
            waits = scene in {Scene.CHECK, Scene.GET}
            self._code = stage.code(
                BuyerAction.CONFIRMS if waits else BuyerAction.PAYS, after_s=_CONFIRMS_S if waits else 0.0
            )
            return lambda: self._told(stage.pay(self._code))
        sale = stage.sell()
        if scene is Scene.FISCAL:
            return partial(self._close, sale)
        if scene.hook == "on_cancel":
            return lambda: self._told(stage.cancel(sale))
        closed = stage.close_sale(sale)
        return self._list if scene is Scene.LIST else lambda: self._told(stage.refund(closed))

    def _told(self, result: PaymentResult | ReversalResult) -> _Told:
        self._witness.note_result("a verdict", result)
        if isinstance(result, PaymentResult):
            self._on_the_fiscal_receipt.note("the receipt's attributes", result.receipt_attributes)
        return _Told(result.status.value, result.cancellation_queued, result.message, len(result.slips))

    def _close(self, sale: Receipt) -> _Told:
        self._stage.close_sale(sale, OFD_LINK)
        return _Told("closed", cancellation=False, message="", slips=0)

    def _list(self) -> _Told:
        try:
            listed = self._stage.listed()
        except ListUnavailable as failure:
            self._witness.note_error("the command's error", failure)
            return _Told("no list", cancellation=False, message=failure.format_message(), slips=0)
        self._witness.note("the list", *listed)
        return _Told("listed", cancellation=False, message=f"{len(listed)} receipts", slips=0)

    def _leaks(self) -> tuple[tuple[str, str], ...]:
        """Return which secrets were seen where: in all that the till showed, stored and returned.

        What the process logged meanwhile is searched when the batch is over, because all cells in it hear the same.
        """
        stage, witness = self._stage, self._witness
        witness.note_files()
        witness.note("the screen", *((one.prompts, one.shown) for one in stage.cashiers))
        witness.note("a notice", stage.host.notice_log)
        witness.note("a queue message", *stage.host.offered)
        witness.note("what a hook raised", *stage.till.plugins.faults)
        self._ear.codes += stage.codes
        on_fiscal = self._on_the_fiscal_receipt.leaks(KEY, CARD, *stage.codes)
        return tuple(sorted({*witness.leaks(KEY, CARD, PHONE, *stage.codes), *on_fiscal}))

    @contextlib.contextmanager
    def _befallen(self) -> Iterator[None]:
        cell, stage = self._cell, self._stage
        stage.proxy.bait_state = 50 if cell.scene.is_reversal else 4
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
            Scene.GET_CANCEL: lambda method, _: method == "receipts.cancel",
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

    def _wait_for_a_try(self, struck_by_then: int) -> None:
        """Let the worker meet the fault too, or find that nothing is left to do."""
        if self._cell.scene is Scene.FISCAL:
            comes_true(self._struck, _DELIVERED_WITHIN_S, look_s=_LOOK_S)
        else:
            comes_true(
                lambda: self._struck() > struck_by_then or not self._stage.till.live(), _TRIED_WITHIN_S, look_s=_LOOK_S
            )

    def _left(self) -> str:
        stage = self._stage
        now_ms = SystemClock().wall_ms()
        rows = [
            f"{row.attempts} attempts, due in {row.due_at - now_ms} ms, {row.last_error}" for row in stage.till.live()
        ]
        receipts = [f"state {one.state}, fiscal {bool(one.fiscal_data)}" for one in stage.sandbox.receipts()]
        threads = sorted({thread.name for thread in threading.enumerate()})
        return f"cancellations {rows}, receipts {receipts}, notices {stage.host.notices}, threads {threads}"

    def _is_settled(self) -> bool:
        stage = self._stage
        if self._cell.scene is Scene.FISCAL and not all(
            one.fiscal_data for one in stage.sandbox.receipts() if one.held
        ):
            return False
        return stage.is_settled()
