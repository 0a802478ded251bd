"""What the simulator found stays mended: each case by itself, in the fewest steps."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from hookspecs import BaseUi, PaymentStatus, ReversalStatus
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, Fault, FaultKind
from sim_cashier import People
from sim_director import deliver_everything
from sim_history import settings_for_both
from sim_world import SimWorld
from virtual_paymego import Passage
from virtual_till import PowerCut
from virtual_world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sim_shop import Sale

STALE = -31400
CHANGED = -31800


class _Ui(BaseUi):
    """A cashier who scans one code and stops nothing."""

    def __init__(self, code: str | None = None) -> None:
        self._code = code

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        return self._code


@pytest.fixture
def world() -> Iterator[SimWorld]:
    settings = settings_for_both(timeout=5, payDuration=10_000, frequency=1_000, ignoredErrors=CHANGED)
    world = SimWorld(Random(1), settings)  # noqa: S311 - nothing here is random
    yield world
    world.close()


def _sell(world: SimWorld, cancel: CancelPlan | None = None) -> Sale:
    if world.shop.process is None:
        world.shop.start(with_worker=False)
    sale = world.shop.open_sale(1_500_000)
    code = world.paymego.bank.issue_code(world.paymego.now_ms, Behaviour(BuyerAction.PAYS, cancel=cancel))
    assert world.shop.pay(sale, _Ui(code)) is PaymentStatus.PAID
    return sale


def _die_at(world: SimWorld, method: str, action: Callable[[], object]) -> None:
    """Let the till die when a request of a method has left."""
    shop = world.shop
    assert shop.process is not None
    life = shop.process.life

    def passage(name: str) -> Passage:
        if name == method:
            world.stage.at(world.stage.monotonic() + 0.005, life.kill)
        return Passage()

    world.paymego.passage = passage
    with pytest.raises(PowerCut):
        action()
    shop.bury()
    world.paymego.passage = lambda _: Passage()


def _held_and_faults(world: SimWorld) -> tuple[int, list[str]]:
    deliver_everything(world.shop, People(world.shop, Random(1)))  # noqa: S311 - nobody scans any more
    return world.paymego.held(), world.witness.faults


def test_scans_after_a_stale_code_share_the_time_that_is_left(tmp_path: Path) -> None:
    # Each had the whole of it once: the verdict was durable after 54 s of 26.
    world = World(tmp_path)
    ui = world.cashier(world.paymego.code(BuyerAction.FAILS, error_code=STALE), "12", "13", "14")
    scan = ui.scan

    def slow(prompt: str, timeout_s: float) -> str | None:
        ui.takes_s = 18.0 if ui.prompts else 0.0
        return scan(prompt, timeout_s)

    ui.scan = slow  # type: ignore[method-assign]
    world.pay(ui=ui)

    assert world.clock.monotonic() == pytest.approx(20, abs=0.1)
    world.close()


def test_a_recorded_payment_that_could_not_be_told_again_goes_back(world: SimWorld) -> None:
    # Asked again after a restart with broken settings it is REFUSED; the host removes it, and nobody looked again.
    sale = _sell(world)
    second = _sell(world)
    assert world.witness.rows.payments()[0].state == "recorded"
    world.shop.close(second)
    assert world.shop.process is not None
    world.shop.process.life.kill()
    world.shop.bury()
    world.shop.broken_until = world.stage.monotonic() + 60

    world.shop.start(with_worker=False)
    world.shop.restore(_Ui)

    assert sale.paid is None
    assert _held_and_faults(world) == (1_500_000, [])


@pytest.mark.parametrize("trouble", ["another kassa", "broken settings"])
def test_a_cancel_that_is_asked_for_again_is_not_refused_while_its_money_goes_back(
    world: SimWorld, trouble: str
) -> None:
    # REFUSED would have the host keep the sale.
    sale = _sell(world, CancelPlan(settle_s=40))
    _die_at(world, "receipts.cancel", lambda: world.shop.annul(sale, _Ui()))
    if trouble == "another kassa":
        world.shop.kassa = 1
    else:
        world.shop.broken_until = world.stage.monotonic() + 60

    world.shop.start(with_worker=False)
    sale.annulling = False
    status = world.shop.annul(sale, _Ui())

    assert status is ReversalStatus.QUEUED
    assert _held_and_faults(world) == (0, [])


@pytest.mark.parametrize("trouble", ["another kassa", "broken settings"])
def test_a_refund_that_is_asked_for_again_is_not_refused_while_its_money_goes_back(
    world: SimWorld, trouble: str
) -> None:
    sale = _sell(world, CancelPlan(settle_s=40))
    world.shop.close(sale)
    _die_at(world, "receipts.cancel", lambda: world.shop.refund(sale, _Ui()))
    if trouble == "another kassa":
        world.shop.kassa = 1
    else:
        world.shop.broken_until = world.stage.monotonic() + 60
    world.shop.asks_again = False

    world.shop.start(with_worker=False)
    world.shop.restore(_Ui)

    assert [refund.outcome for refund in sale.refunds] == [ReversalStatus.QUEUED]
    assert _held_and_faults(world) == (0, [])


def test_while_a_till_waits_after_a_refused_cancel_no_other_process_sends_one(world: SimWorld) -> None:
    # The till's cancel is refused and its code is ignored. While the till asked for the state, which is 4, the cancel
    # of another process arrived: the payment stood and its money went back. Today the till holds the row's lease.
    sale = _sell(world, CancelPlan(settle_s=40))
    asked = 0

    def passage(method: str) -> Passage:
        nonlocal asked
        asked += method == "receipts.check"
        is_after_the_refusal = method == "receipts.check" and asked == 2
        return Passage(back_s=1.0) if is_after_the_refusal else Passage()

    def deliver() -> None:
        world.stage.sleep(0.1)
        merchant = process.background.merchants()
        assert merchant is not None
        process.new_processor().deliver_until_empty(merchant, 1.0)

    process = world.shop.new_process("command")
    world.paymego.passage = passage
    world.paymego.weather.inject(Fault(FaultKind.ERROR, "receipts.cancel", error_code=CHANGED))
    world.stage.spawn(process.life, deliver)

    status = world.shop.annul(sale, _Ui())

    assert asked == 2
    assert status is ReversalStatus.REFUSED
    assert _held_and_faults(world) == (1_500_000, [])


def test_a_cancel_that_payme_refused_leaves_the_payment_as_it_was(world: SimWorld) -> None:
    sale = _sell(world)
    world.paymego.weather.inject(Fault(FaultKind.ERROR, "receipts.cancel", error_code=CHANGED))

    assert world.shop.annul(sale, _Ui()) is ReversalStatus.REFUSED
    assert _held_and_faults(world) == (1_500_000, [])
