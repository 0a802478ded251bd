"""A worker steps a row while the hook that wrote it waits: what it sends, the hook knows of, or it is not sent."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from fakes.hooked_world import HookedWorld
from hookspecs import ReversalStatus
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.sandbox import FaultKind

if TYPE_CHECKING:
    from pathlib import Path

IGNORED = -31800


def test_no_cancel_leaves_before_it_is_stored_that_it_begins(tmp_path: Path) -> None:
    world = HookedWorld(tmp_path)
    receipt_id = world.pay(world.paymego.code()).receipt_id
    world.restart()
    world.dispatcher.ready()
    processor, merchant = world.background.processor(), world.background.merchants()
    (row,) = processor.cancellations.live()
    assert merchant is not None
    assert (row.cause, row.begun_at) == (Cause.UNRECORDED, None)
    world.journal.fail_from(1)
    processor.journal.fail_from(1)  # type: ignore[attr-defined]

    assert processor.step(row, merchant, is_recorded=None) is None

    assert world.paymego.count("receipts.cancel") == 0
    world.journal.recover()
    processor.journal.recover()  # type: ignore[attr-defined]
    world.work(120)
    assert world.paymego.held(receipt_id) == 0
    world.close()


def test_a_step_that_could_not_be_noted_sends_nothing_that_the_hook_would_not_know_of(tmp_path: Path) -> None:
    world = HookedWorld(tmp_path, ignoredErrors=str(IGNORED))
    sold = world.sell_and_close()
    world.host.recorded["p1"] = True
    world.paymego.befall(FaultKind.ERROR, "receipts.cancel", error_code=IGNORED)
    processor, merchant = world.background.processor(), world.background.merchants()
    assert merchant is not None
    stepped: list[object] = []
    carry_out = world.paymego.carry_out

    def step_beside(request: object, fault: object) -> object:
        answer = carry_out(request, fault)  # type: ignore[arg-type]
        if request.method == "receipts.check" and world.paymego.count("receipts.cancel") == 1 and not stepped:  # type: ignore[attr-defined]
            # The answer that the receipt is paid is on its way to the hook, and a worker comes first.
            stepped.append(None)
            processor.journal.before = fail_once  # type: ignore[attr-defined]
            stepped[0] = processor.step(processor.cancellations.live()[0], merchant, is_recorded=None)
        return answer

    def fail_once(number: int) -> None:
        processor.journal.before = lambda _: None  # type: ignore[attr-defined]
        message = "database is locked"
        raise sqlite3.OperationalError(message)

    world.paymego.carry_out = step_beside  # type: ignore[method-assign,assignment]
    result = world.refund(sold)
    world.work(120)

    assert stepped == [None]
    assert result.status is ReversalStatus.REFUSED
    assert (world.row().state, world.live()) == (PaymentState.RECORDED, [])
    assert world.paymego.held(sold.receipt_id) > 0
    world.close()
