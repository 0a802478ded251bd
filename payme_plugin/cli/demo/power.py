"""Scenes of a power cut between the request that charges and its answer, and of the restart after it."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from payme_plugin.cli.demo.checks import check_sent_once
from payme_plugin.cli.output import uzs
from payme_plugin.sandbox import Behaviour, BuyerAction, Fault, FaultKind

if TYPE_CHECKING:
    from payme_plugin.cli.demo.day import Day

__all__ = ["orphan", "pending", "power_cut", "power_cut_and_late_buyer"]

_KILLED = -signal.SIGKILL
_LONGEST_WAIT_S = 10.0


def power_cut(day: Day) -> None:
    """The money has moved; after the restart the sale is closed."""
    day.stage.tell("8 800.00 sums. The money moves, and the power fails before the answer.")
    seen = len(day.sandbox.requests)
    _charge_and_cut(day, 880_000)
    day.stage.blank()
    day.stage.tell("The power is back. The till finds the sale open and asks again for it.")
    restarted = day.restart("power cut")
    outcomes = [each.outcome for each in restarted.restored]
    day.stage.check(f"after the restart the result is {', '.join(outcomes)}", right=outcomes == ["PAID"])
    row = day.row(restarted.restored[0].payment_id)
    is_acknowledged = row is not None and row.acknowledged_at is not None
    day.stage.check("the till acknowledges it, and is ready", right=is_acknowledged and restarted.is_ready)
    check_sent_once(day, sum(request.method == "receipts.pay" for request in day.sandbox.requests[seen:]))
    day.stage.check(
        "the receipt is closed and the slip printed", right=[slip.copies for slip in restarted.slips] == [2]
    )


def power_cut_and_late_buyer(day: Day) -> None:
    """The buyer confirms after the till has given up; the money goes back."""
    day.stage.tell("9 900.00 sums. The power fails while the buyer thinks; payDuration = 1000.")
    day.write_settings(payDuration=1_000)
    late = day.buyer(Behaviour(BuyerAction.CONFIRMS, after_s=5.0))
    status = day.power_fails(990_000, late(), after="receipts.check")
    receipt_id = day.sandbox.receipts()[-1].receipt_id
    day.stage.blank()
    day.stage.check(f"the process was killed (signal {-status})", right=status == _KILLED)
    restarted = day.restart("power cut, late buyer")
    day.write_settings()
    outcomes = [each.outcome for each in restarted.restored]
    day.stage.check(f"after the restart the result is {', '.join(outcomes)}", right=outcomes == ["UNKNOWN"])
    day.stage.check("then the buyer confirms: the money moves", right=_is_charged(day, receipt_id))
    day.stage.check("the queue is delivered (payme queue deliver --until-empty)", right=day.deliver())
    day.stage.check("the money is back with the buyer", right=day.sandbox.held(receipt_id) == 0)


def pending(day: Day) -> None:
    """The payment can't be decided now; the sale waits, and no money is returned meanwhile."""
    day.stage.tell("7 700.00 sums. The power fails, and the settings are broken at the restart", "(frequency = 0).")
    receipt_id = _charge_and_cut(day, 770_000)
    day.write_settings(frequency=0)
    first = day.restart("pending, then paid")
    outcomes = [each.outcome for each in first.restored]
    day.stage.check(f"the till asks again, and the result is {', '.join(outcomes)}", right=outcomes == ["PENDING"])
    waits = not day.cancellations(first.restored[0].payment_id or "") and day.sandbox.held(receipt_id) > 0
    day.stage.check("the till is ready; the sale stays open, and the money stays", right=first.is_ready and waits)
    day.stage.blank()
    day.stage.tell("The settings are repaired, and the till asks once more.")
    day.write_settings()
    second = day.restore("pending, then paid")
    outcomes = [each.outcome for each in second.restored]
    day.stage.check(f"now the result is {', '.join(outcomes)}", right=outcomes == ["PAID"])


def orphan(day: Day) -> None:
    """The till has lost the sale; when it is ready, the money goes back."""
    day.stage.tell("6 600.00 sums. The power fails, and the till's disk loses the sale.")
    receipt_id = _charge_and_cut(day, 660_000)
    day.lose_last_sale()
    restarted = day.restart("lost with its sale")
    day.stage.check("the till has nothing to ask again, and is ready", right=restarted.is_ready)
    row = day.last_row()
    queued = [] if row is None else day.cancellations(row.payment_id)
    day.stage.check("the payment is an orphan: its cancellation waits", right=len(queued) == 1)
    day.stage.check("the queue is delivered (payme queue deliver --until-empty)", right=day.deliver())
    day.stage.check("the money is back with the buyer", right=day.sandbox.held(receipt_id) == 0)


def _charge_and_cut(day: Day, amount: int) -> str:
    """Let the power fail after the money moved and before the answer; return Payme's receipt id."""
    day.sandbox.inject(Fault(FaultKind.SILENT_AFTER_EFFECT, method="receipts.pay"))
    status = day.power_fails(amount, day.buyer()(), after="receipts.pay")
    receipt_id = day.sandbox.receipts()[-1].receipt_id
    day.stage.blank()
    day.stage.check(f"the process was killed (signal {-status})", right=status == _KILLED)
    is_charged = _is_charged(day, receipt_id)
    day.stage.check(f"Payme holds {uzs(day.sandbox.held(receipt_id))}, and no result was told", right=is_charged)
    return receipt_id


def _is_charged(day: Day, receipt_id: str) -> bool:
    """Wait until Payme holds the money."""
    gives_up_at = time.monotonic() + _LONGEST_WAIT_S
    while not day.sandbox.held(receipt_id) and time.monotonic() < gives_up_at:
        time.sleep(0.05)
    return day.sandbox.held(receipt_id) > 0
