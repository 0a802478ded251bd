"""What the simulator found stays mended: each case by itself, in the fewest steps."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from fakes.paymego import Passage
from fakes.till import PowerCut
from fakes.world import World
from hookspecs import BaseUi, PaymentStatus, ReversalStatus
from payme_plugin.ledger.cancellations import CONFIRMING_MS, Cancellations
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault
from simulator.cashier import People
from simulator.history import settings_for_both
from simulator.player import deliver_everything
from simulator.shop import TenderState
from simulator.world import SimWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.paymego import Envelope
    from payme_plugin.ledger.rows import CancellationRow
    from simulator.shop import Sale

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
    shop.discard()
    world.paymego.passage = lambda _: Passage()


def _held_and_faults(world: SimWorld) -> tuple[int, list[str]]:
    deliver_everything(world.shop, People(world.shop, Random(1)))  # noqa: S311 - nobody scans any more
    return world.paymego.held(), world.checks.faults


def test_scans_after_a_stale_code_share_the_time_that_is_left(tmp_path: Path) -> None:
    # Each had the whole of it once: the result was durable after 54 s of 26.
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


def test_a_payment_without_a_result_is_pending_while_the_settings_are_broken(world: SimWorld) -> None:
    # It was refused once, the host removed it, and its money stayed with Payme.
    world.shop.start(with_worker=False)
    sale = world.shop.open_sale(1_500_000)
    code = world.paymego.bank.issue_code(world.paymego.now_ms, Behaviour(BuyerAction.PAYS))
    _die_at(world, "receipts.pay", lambda: world.shop.pay(sale, _Ui(code)))
    world.shop.broken_until = 2 * round(world.stage.monotonic() / 2 + 30)  # even: the url is broken

    world.shop.start(with_worker=False)
    world.shop.restore(_Ui)
    assert [tender.state for tender in sale.tenders] == [TenderState.ASKED]
    world.stage.sleep(60)
    world.shop.do_duties(_Ui)

    assert sale.paid is not None
    assert _held_and_faults(world) == (1_500_000, [])


def test_a_result_that_could_not_be_stored_is_stored_without_the_receipt_that_was_not(world: SimWorld) -> None:
    # The receipt was made, no code was scanned, and the disk was full: every try to store that failed on a cancellation
    # without a receipt id, and no later result was stored either.
    world.shop.start(with_worker=False)
    sale = world.shop.open_sale(1_500_000)
    assert world.shop.process is not None

    class Ui(_Ui):
        def scan(self, prompt: str, timeout_s: float) -> str | None:
            world.stage.sleep(1)
            world.disk.full_until = world.stage.monotonic() + 1
            return None

    assert world.shop.pay(sale, Ui()) is PaymentStatus.REFUSED
    assert world.checks.rows.payments()[0].state == "intent"
    world.stage.sleep(2)
    world.shop.stop()

    assert world.checks.rows.payments()[0].state == "refused"
    assert _held_and_faults(world) == (0, [])


def test_a_paid_tender_stays_where_payme_names_no_state(world: SimWorld) -> None:
    # A receipts.get with our id and no usable state was taken for "the money went back".
    sale = _sell(world)
    world.paymego.change("receipts.get", lambda answer: {**answer, "result": {"receipt": _without_state(answer)}})
    world.shop.behaviour.asks_paid_again = True
    assert world.shop.process is not None
    world.shop.process.life.kill()
    world.shop.discard()

    world.shop.start(with_worker=False)
    world.shop.restore(_Ui)

    assert sale.paid is not None
    assert _held_and_faults(world) == (1_500_000, [])


def _without_state(answer: Envelope) -> dict[str, object]:
    result = answer["result"]
    assert isinstance(result, dict)
    return {name: value for name, value in result["receipt"].items() if name != "state"}


def _cancel(world: SimWorld) -> tuple[Cancellations, CancellationRow]:
    """Leave a payment that ended unpaid, with its cancellation."""
    world.shop.start(with_worker=False)
    sale = world.shop.open_sale(1_500_000)
    code = world.paymego.bank.issue_code(world.paymego.now_ms, Behaviour(BuyerAction.NEVER_ANSWERS))
    assert world.shop.pay(sale, _Ui(code)) is PaymentStatus.UNKNOWN
    assert world.shop.process is not None
    rows = Cancellations(world.shop.process.storage.journal())
    (row,) = rows.live()
    return rows, row


def test_a_veto_that_comes_after_the_cancel_has_begun_holds_nothing(world: SimWorld) -> None:
    # The host was asked, another process began the cancel, and the answer held the row for ever.
    rows, row = _cancel(world)
    rows.begin(row)
    process = world.shop.process
    assert process is not None
    merchant = process.background.merchants()
    assert merchant is not None

    process.new_processor().step(row, merchant, is_recorded=True)

    assert rows.latest_of("p1").held is None  # type: ignore[union-attr] # it has one
    assert _held_and_faults(world) == (0, [])


def test_a_host_is_not_asked_for_a_veto_that_nobody_would_store(world: SimWorld) -> None:
    # Its yes was lost while the settings were broken; later it could not tell, and the cancel left.
    _cancel(world)
    assert world.shop.process is not None
    world.shop.process.life.kill()
    world.shop.discard()
    world.shop.broken_until = 2 * round(world.stage.monotonic() / 2 + 30)  # even: the url is broken

    world.shop.start(with_worker=True)
    world.stage.sleep(10)

    assert world.checks.answered == {}
    assert _held_and_faults(world) == (0, [])


def test_a_confirming_cancellation_that_was_reopened_needs_two_new_confirmations(world: SimWorld) -> None:
    # The step went on with the row as it was read, and ended it with its first new 50.
    rows, row = _cancel(world)
    rows.confirm(row, "50")
    (read,) = [each for each in [rows.latest_of("p1")] if each is not None]
    world.stage.sleep(CONFIRMING_MS / 1000)
    rows.reopen(read, "4 after 50")

    rows.confirm(read, "50")

    now = rows.latest_of("p1")
    assert now is not None
    assert now.ended_at is None
    assert now.confirmed_at == world.stage.wall_ms()
    assert _held_and_faults(world) == (0, [])


@pytest.mark.parametrize("trouble", ["another account", "broken settings"])
def test_a_cancel_that_is_asked_for_again_is_not_refused_while_its_money_goes_back(
    world: SimWorld, trouble: str
) -> None:
    # REFUSED would have the host keep the sale.
    sale = _sell(world, CancelPlan(settle_s=40))
    _die_at(world, "receipts.cancel", lambda: world.shop.annul(sale, _Ui()))
    if trouble == "another account":
        world.shop.account = 1
    else:
        world.shop.broken_until = 2 * round(world.stage.monotonic() / 2 + 30)  # even: the url is broken

    world.shop.start(with_worker=False)
    sale.annulling = False
    status = world.shop.annul(sale, _Ui())

    assert status is ReversalStatus.QUEUED
    assert _held_and_faults(world) == (0, [])


@pytest.mark.parametrize("trouble", ["another account", "broken settings"])
def test_a_refund_that_is_asked_for_again_is_not_refused_while_its_money_goes_back(
    world: SimWorld, trouble: str
) -> None:
    sale = _sell(world, CancelPlan(settle_s=40))
    world.shop.close(sale)
    _die_at(world, "receipts.cancel", lambda: world.shop.refund(sale, _Ui()))
    if trouble == "another account":
        world.shop.account = 1
    else:
        world.shop.broken_until = 2 * round(world.stage.monotonic() / 2 + 30)  # even: the url is broken
    world.shop.behaviour.asks_again = False

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
    world.paymego.weather.inject(InjectedFault(FaultKind.ERROR, "receipts.cancel", error_code=CHANGED))
    world.stage.spawn(process.life, deliver)

    status = world.shop.annul(sale, _Ui())

    assert asked == 2
    assert status is ReversalStatus.REFUSED
    assert _held_and_faults(world) == (1_500_000, [])


def test_a_cancel_that_payme_refused_leaves_the_payment_as_it_was(world: SimWorld) -> None:
    sale = _sell(world)
    world.paymego.weather.inject(InjectedFault(FaultKind.ERROR, "receipts.cancel", error_code=CHANGED))

    assert world.shop.annul(sale, _Ui()) is ReversalStatus.REFUSED
    assert _held_and_faults(world) == (1_500_000, [])
