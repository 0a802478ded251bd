"""What the kit plays. Each play has a sandbox and a folder of its own, and ends with the money compared.

A play breaks off with ``NotPlayed`` if the host did not do what the rest needs; the reason is then a failure already.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from hookspecs import PaymentStatus, ReversalResult, ReversalStatus
from hookspecs.structure import unstructure
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault
from payme_plugin.testing.conformance import duties
from payme_plugin.testing.conformance.decider import Act, Disturbance
from payme_plugin.testing.conformance.process import Killed
from payme_plugin.testing.conformance.protocol import SaleState
from payme_plugin.testing.conformance.stage import NotPlayed

if TYPE_CHECKING:
    from payme_plugin.testing.conformance.stage import Stage
    from payme_plugin.testing.conformance.watch import Payment

_DAY_S = 86_400.0
_RANDOM_KILLS = 12
_LONGEST_KILL_S = 0.3
_LATER_S = 4.0
_MOMENTS = ("entry", "exit")

_REFUSED = unstructure(ReversalResult(status=ReversalStatus.REFUSED, receipt_id=None))
_VIOLATION = [{"rule": "partial-refund", "message": "not all of it"}]


def _fails(hook: str, moment: str = "entry", times: int = 1) -> Disturbance:
    return Disturbance(hook=hook, act=Act.FAIL, moment=moment, times=times)


def _sold(stage: Stage, *, closes: bool = True) -> Payment:
    """Return the payment of a sale that is paid; the rest of a play needs one.

    On a busy machine a payment may end UNKNOWN, because the settings allow it little time; then another sale is made.
    """
    for _attempt in range(2):
        payment = stage.sell(closes=closes)
        if payment.status is PaymentStatus.PAID:
            return payment
    raise NotPlayed


def a_quiet_day(stage: Stage, _: random.Random) -> None:
    """Sell, close, annul and refund with nothing in the way; ask ``is_recorded`` about every payment so far."""
    stage.start()
    first = _sold(stage)
    stage.hooks.ask_at("on_payment_recorded", stage.hooks.all_ids)
    kept = _sold(stage, closes=False)
    stage.close(kept)
    for action in (BuyerAction.LACKS_FUNDS, BuyerAction.DECLINES):
        stage.sell(Behaviour(action))
    stage.annul(_sold(stage, closes=False))
    stage.hooks.ask_at("on_payment_recorded", stage.hooks.all_ids)
    _sold(stage)
    stage.refund(first)
    stage.tick()
    stage.stop()


def acknowledgements(stage: Stage, _: random.Random) -> None:
    """Let acknowledgements fail and be lost; they are repeated before the next payment, each minute, at a start."""
    stage.start()
    stage.hooks.disturb(_fails("on_payment_recorded"), _fails("on_receipt_closed"))
    _sold(stage)
    _sold(stage)
    stage.tick()
    stage.hooks.disturb(_fails("on_payment_recorded", times=2))
    kept = _sold(stage, closes=False)
    for _minute in range(2):
        stage.tick()
    stage.watch.check(not kept.owes_acknowledgement, duties.NOT_ACKNOWLEDGED_AGAIN, kept)
    stage.close(kept)
    stage.hooks.disturb(_fails("on_payment_recorded", moment="exit"))
    _sold(stage, closes=False)
    stage.kill()
    stage.restart()
    stage.hooks.disturb(_fails("on_payment_recorded", times=3))
    lost = _sold(stage, closes=False)
    stage.kill()
    stage.restart()
    for _minute in range(3):
        stage.tick()
    stage.watch.check(not lost.owes_acknowledgement, duties.NOT_ACKNOWLEDGED_AGAIN, lost)
    for moment in _MOMENTS:
        stage.hooks.disturb(_fails("on_receipt_closed", moment=moment))
        closed = _sold(stage)
        stage.kill()
        stage.restart()
        stage.watch.check(closed.is_reported, duties.NOT_REPORTED, closed)


def without_a_result(stage: Stage, _: random.Random) -> None:
    """Let payments fail, and be PENDING over a start and a minute; one is annulled then, another one is paid."""
    stage.start()
    for moment in _MOMENTS:
        stage.hooks.disturb(_fails("on_payment", moment))
        payment = stage.sell()
        stage.tick()
        stage.watch.check(payment.status is not None, duties.NOT_REPEATED, payment, "after HookFailed")
        stage.close_open_sales()
    stage.stop()
    for is_annulled in (True, False):
        stage.start()
        payment = _killed_in_sale(stage, "on_payment", "exit")
        stage.write_settings(usable=False)
        stage.start()
        state = stage.sales().get(payment.payment_id)
        text = "not listed" if state is None else f"PENDING is {state.value}"
        stage.watch.check(state is SaleState.PENDING, duties.PENDING_ENDED, payment, text)
        payment.run = 0
        stage.tick()
        stage.watch.check(payment.run > 0, duties.NOT_REPEATED, payment, "at the next minute")
        if is_annulled:
            stage.annul(payment)
        stage.write_settings()
        stage.tick()
        is_paid = is_annulled or payment.status is PaymentStatus.PAID
        stage.watch.check(is_paid, duties.NOT_REPEATED, payment, "after the settings were corrected")
        stage.stop()


def _until_killed(stage: Stage, operation: Callable[[], object], hook: str = "", moment: str = "") -> None:
    """Carry out an operation with a kill at a hook; kill the host afterwards if it did not come to that."""
    if hook:
        stage.hooks.disturb(Disturbance(hook=hook, moment=moment, act=Act.KILL))
    with suppress(Killed):
        operation()
        stage.kill()


def _killed_in_sale(stage: Stage, hook: str, moment: str) -> Payment:
    """Kill the host at a hook of a sale and return the payment.

    A host that acknowledges earlier payments again before a sale may be killed there; then it is the last of those.
    """
    before = set(stage.watch.payments)
    _until_killed(stage, stage.sell, hook, moment)
    new = [payment for payment_id, payment in stage.watch.payments.items() if payment_id not in before]
    if not new and hook == "on_payment":
        raise NotPlayed
    return (new or list(stage.watch.payments.values()))[-1]


def results_of_reversals(stage: Stage, _: random.Random) -> None:
    """Let ``on_cancel`` and ``on_full_refund`` be QUEUED, REFUSED and fail; a refund is forbidden."""
    stage.start()
    sold = _sold(stage)
    stage.hooks.disturb(
        Disturbance(hook="validate_refund", act=Act.ANSWER, result=_VIOLATION),
        Disturbance(hook="on_full_refund", act=Act.ANSWER, result=_REFUSED),
        Disturbance(hook="on_cancel", act=Act.ANSWER, result=_REFUSED),
    )
    stage.refund(sold, is_forbidden=True)
    stage.refund(sold)
    sold.refund = None
    kept = _sold(stage, closes=False)
    stage.annul(kept)
    kept.cancel = None
    stage.sandbox.inject(InjectedFault(FaultKind.HTTP_ERROR, "receipts.cancel", times=None))
    stage.annul(kept)
    stage.refund(sold)
    stage.sandbox.clear_faults()
    for moment in _MOMENTS:
        stage.hooks.disturb(_fails("on_full_refund", moment))
        stage.refund(_sold(stage))
        stage.kill()
        stage.restart()
        stage.hooks.disturb(_fails("on_cancel", moment))
        stage.annul(_sold(stage, closes=False))
        stage.kill()
        stage.restart()


def failing_start(stage: Stage, _: random.Random) -> None:
    """Let repeats and ``on_ready`` itself fail at a start: ``on_ready`` waits, and is called again."""
    stage.start()
    payment = _killed_in_sale(stage, "on_payment", "exit")
    stage.restart(_fails("on_payment"))
    stage.tick()
    stage.watch.check(payment.status is PaymentStatus.PAID, duties.NOT_REPEATED, payment, "after HookFailed")
    stage.watch.check(stage.watch.run.ready_returned > 0, duties.READY_MISSING, detail="after a repeat had failed")
    for moment in _MOMENTS:
        _killed_in_sale(stage, "on_payment_recorded", moment)
        stage.restart(_fails("on_payment"))  # which no host needs to know that the sale is paid
        stage.tick()
    stage.stop()
    stage.restart(_fails("on_ready"))
    stage.tick()
    stage.watch.check(stage.watch.run.ready_returned > 0, duties.READY_MISSING, detail="after HookFailed from on_ready")
    _sold(stage)


def kills_in_a_sale(stage: Stage, _: random.Random) -> None:
    """Kill the host at every hook of a sale, and of the start after it."""
    stage.start()
    for hook in ("on_payment", "on_payment_recorded", "on_receipt_closed"):
        for moment in _MOMENTS:
            _killed_in_sale(stage, hook, moment)
            stage.restart()
    for hook in ("on_start", "on_payment", "on_payment_recorded", "on_receipt_closed", "on_ready"):
        for moment in _MOMENTS:
            _killed_in_sale(stage, "on_payment", "exit")
            _until_killed(stage, stage.restart, hook, moment)
            stage.restart()


def kills_in_reversals(stage: Stage, _: random.Random) -> None:
    """Kill the host at every hook of a cancel, of a refund and of the end."""
    stage.start()
    for moment in _MOMENTS:
        kept = _sold(stage, closes=False)
        _until_killed(stage, partial(stage.annul, kept), "on_cancel", moment)
        stage.restart()
    for hook in ("validate_refund", "on_full_refund"):
        for moment in _MOMENTS:
            sold = _sold(stage)
            _until_killed(stage, partial(stage.refund, sold), hook, moment)
            stage.restart()
    for moment in _MOMENTS:
        _sold(stage, closes=False)
        stage.hooks.disturb(Disturbance(hook="on_stop", moment=moment, act=Act.KILL))
        with suppress(Killed):
            stage.stop()
        stage.restart()


def a_bad_network(stage: Stage, _: random.Random) -> None:
    """Sell while requests and answers are lost, late, refused or wrong, and to buyers who do not answer."""
    stage.start()
    for method, kind in (
        ("receipts.pay", FaultKind.ANSWER_LOST),
        ("receipts.pay", FaultKind.SILENT_AFTER_EFFECT),
        ("receipts.pay", FaultKind.HTTP_ERROR),
        ("receipts.pay", FaultKind.ERROR),
        ("receipts.create", FaultKind.REQUEST_LOST),
    ):
        stage.sandbox.inject(InjectedFault(kind, method))
        stage.sell()
        stage.sandbox.clear_faults()
    stage.sell(Behaviour(BuyerAction.NEVER_ANSWERS))
    stage.sandbox.stop()
    stage.sell()
    kept = None
    stage.sandbox.start()
    with suppress(NotPlayed):
        kept = _sold(stage, closes=False)
    if kept is not None:
        for receipt_id in _receipt_ids(kept):
            stage.sandbox.plan_cancel(receipt_id, CancelPlan(settle_s=_LATER_S))
        stage.annul(kept)


def a_wrong_clock(stage: Stage, _: random.Random) -> None:
    """Run the host with its clock a day behind, and then a day ahead."""
    for days in (-1, 1):
        stage.start(clock_s=days * _DAY_S)
        stage.refund(_sold(stage))
        stage.annul(_sold(stage, closes=False))
        _killed_in_sale(stage, "on_payment", "exit")


def a_restored_backup(stage: Stage, _: random.Random) -> None:
    """Lose a paid sale with a restored backup: its money goes back, and its payment id is not used again."""
    stage.start()
    _sold(stage)
    stage.stop()
    backup = stage.back_up()
    stage.start()
    lost = _killed_in_sale(stage, "on_payment", "exit")
    stage.lose_sales_since(backup)
    lost.is_lost = True
    receipts = [each.receipt_id for each in stage.sandbox.receipts() if each.amount == lost.amount]
    stage.hooks.ask_at("on_ready", lambda: [lost.payment_id, *receipts])
    stage.restart()
    _sold(stage)


def kills_at_random(stage: Stage, rng: random.Random) -> None:
    """Kill the host at random moments of sales, cancels, refunds and minutes."""
    stage.start()
    operation: Callable[..., object]
    for _number in range(_RANDOM_KILLS):
        after_s = rng.uniform(0.0, _LONGEST_KILL_S)
        what = rng.choice(("sell", "sell", "annul", "refund", "tick"))
        if what == "sell":
            operation = partial(stage.sell, closes=rng.choice((True, False)))
        elif what == "annul":
            operation = partial(stage.annul, _sold(stage, closes=False))
        elif what == "refund":
            operation = partial(stage.refund, _sold(stage))
        else:
            operation = stage.tick
        _until_killed(stage, partial(operation, kill_after_s=after_s))
        stage.restart()


def _receipt_ids(*payments: Payment) -> list[str]:
    return [each.record.data["receipt_id"] for each in payments if each.record is not None]


Play = Callable[["Stage", random.Random], None]

PLAYS: tuple[Play, ...] = (
    kills_in_a_sale,
    kills_in_reversals,
    kills_at_random,
    a_bad_network,
    results_of_reversals,
    acknowledgements,
    without_a_result,
    failing_start,
    a_wrong_clock,
    a_restored_backup,
    a_quiet_day,
)
"""Every play; the longest first, because several run at a time."""
