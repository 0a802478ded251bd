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
    till = HookedWorld(tmp_path)
    receipt_id = till.pay(till.paymego.code()).receipt_id
    till.restart()
    till.dispatcher.ready()
    processor, merchant = till.background.processor(), till.background.merchants()
    (row,) = processor.cancellations.live()
    assert merchant is not None
    assert (row.cause, row.begun_at) == (Cause.UNRECORDED, None)
    till.journal.fail_from(1)
    processor.journal.fail_from(1)  # type: ignore[attr-defined]

    assert processor.step(row, merchant, is_recorded=None) is None

    assert till.paymego.count("receipts.cancel") == 0
    till.journal.recover()
    processor.journal.recover()  # type: ignore[attr-defined]
    till.work(120)
    assert till.paymego.held(receipt_id) == 0
    till.close()


def test_a_step_that_could_not_be_noted_sends_nothing_that_the_hook_would_not_know_of(tmp_path: Path) -> None:
    till = HookedWorld(tmp_path, ignoredErrors=str(IGNORED))
    sold = till.sell_and_close()
    till.host.recorded["p1"] = True
    till.paymego.befall(FaultKind.ERROR, "receipts.cancel", error_code=IGNORED)
    processor, merchant = till.background.processor(), till.background.merchants()
    assert merchant is not None
    stepped: list[object] = []
    carry_out = till.paymego.carry_out

    def step_beside(request: object, fault: object) -> object:
        answer = carry_out(request, fault)  # type: ignore[arg-type]
        if request.method == "receipts.check" and till.paymego.count("receipts.cancel") == 1 and not stepped:  # type: ignore[attr-defined]
            # The answer that the receipt is paid is on its way to the hook, and a worker comes first.
            stepped.append(None)
            processor.journal.before = fail_once  # type: ignore[attr-defined]
            stepped[0] = processor.step(processor.cancellations.live()[0], merchant, is_recorded=None)
        return answer

    def fail_once(number: int) -> None:
        processor.journal.before = lambda _: None  # type: ignore[attr-defined]
        message = "database is locked"
        raise sqlite3.OperationalError(message)

    till.paymego.carry_out = step_beside  # type: ignore[method-assign,assignment]
    result = till.refund(sold)
    till.work(120)

    assert stepped == [None]
    assert result.status is ReversalStatus.REFUSED
    assert (till.row().state, till.live()) == (PaymentState.RECORDED, [])
    assert till.paymego.held(sold.receipt_id) > 0
    till.close()
