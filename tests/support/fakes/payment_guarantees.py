"""The guarantees of docs/architecture.md for one payment, checked against the journal, the wire and Payme's money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from hookspecs import PaymentStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.paymego.codes import proves_no_charge
from payme_plugin.paymego.errors import ServerError
from payme_plugin.paymego.protocols import Answer

if TYPE_CHECKING:
    from fakes.paymego import Heard, Sent, VirtualPaymeGo
    from fakes.world import World
    from hookspecs import PaymentResult

LATER_S = 400.0
"""After so long, whatever was still on its way has happened."""

_STATE_OF = {
    PaymentStatus.PAID: PaymentState.PAID,
    PaymentStatus.REFUSED: PaymentState.REFUSED,
    PaymentStatus.ABORTED: PaymentState.ABORTED,
    PaymentStatus.UNKNOWN: PaymentState.UNKNOWN,
}


def check_codes_leave_once(paymego: VirtualPaymeGo) -> None:
    """Guarantee 2: a code leaves once; another one on the same receipt after a proof of no charge and state 0."""
    pays = [sent for sent in paymego.sent if sent.method == "receipts.pay"]
    assert all(count == 1 for count in Counter(sent.code for sent in pays).values()), "a code left twice"
    for first, second in pairwise(pays):
        if first.receipt_id == second.receipt_id:
            _check_between(paymego, first, second)


def _check_between(paymego: VirtualPaymeGo, first: Sent, second: Sent) -> None:
    between = [
        heard
        for heard in paymego.heard
        if heard.receipt_id == first.receipt_id and first.turn < heard.turn < second.turn
    ]
    refusal, *rest = between
    assert isinstance(refusal.outcome, ServerError), "a second pay without a refusal of the first"
    assert proves_no_charge(refusal.outcome.code), "a second pay after an error that proves nothing"
    assert refusal.outcome.bound, "a second pay after an error that may be another call's"
    # An answer to receipts.check without our request's id is confirmed by receipts.get.
    assert {_state(heard) for heard in rest} == {0}, "a second pay without state 0 asked after the refusal"
    assert isinstance(rest[-1].outcome, Answer)
    assert rest[-1].outcome.bound, "a second pay after a state 0 that may be another receipt's"


def _state(heard: Heard) -> object:
    result = heard.outcome.result if isinstance(heard.outcome, Answer) else None
    found = result.get("receipt", result) if isinstance(result, Mapping) else None
    return found.get("state") if isinstance(found, Mapping) else None


def check_order_of_durability(world: World, payment_id: str = "p1") -> None:
    """Guarantee 1: the intent is stored before create, and the receipt id with each code before its pay."""
    path = world.path_of(payment_id)
    assert path[0] == "intent"
    if world.paymego.count("receipts.pay"):
        assert path[1] == "paying"
    # Each code is stored on its own, and between two of them the receipt is in state 0.
    assert path.count("paying") >= world.paymego.count("receipts.pay")


def check_result(world: World, result: PaymentResult, payment_id: str = "p1") -> None:
    """Guarantee 3: PAID rests on state 4; any other result has one live cancellation, or a proof that needs none.

    REFUSED may also contradict a 4 that came before it: then the money of a stored PAID is returned.

    Time passes until whatever was still on its way has happened.
    """
    row, live = world.row(payment_id), world.live(payment_id)
    is_contradicted = result.status is PaymentStatus.REFUSED and row.state is PaymentState.REVERSING
    assert row.state is _STATE_OF[result.status] or is_contradicted
    assert (result.receipt_id, result.cancellation_queued) == (row.receipt_id, bool(live))
    assert len(live) <= 1
    if result.status is PaymentStatus.PAID:
        assert world.paymego.state(str(row.receipt_id)) == 4, "PAID, but Payme says otherwise"
        assert live == [], "a paid payment has a cancellation"
    world.clock.sleep(LATER_S)
    held = 0 if row.receipt_id is None else world.paymego.held(row.receipt_id)
    if result.status is PaymentStatus.PAID:
        assert held == row.amount
    elif not live:
        assert held == 0, "the buyer is charged, and nothing will ever return it"
        _check_needs_no_cancellation(world, result)
    charged_elsewhere = world.paymego.held() - held
    assert charged_elsewhere == 0, "money is held for a receipt that the journal does not know"


def _check_needs_no_cancellation(world: World, result: PaymentResult) -> None:
    if result.receipt_id is None:
        assert world.paymego.count("receipts.pay") == 0
        return
    is_ignored = result.error_code is not None and result.error_code in world.settings.ignored_errors
    is_proof = is_ignored and result.error_code is not None and proves_no_charge(result.error_code)
    assert is_proof or world.paymego.state(result.receipt_id) == 50, "no cancellation and no proof"


def check_time(world: World) -> None:
    """Guarantee 7: within max(payDuration, timeout) + timeout + 1 s of the first pay everything is over."""
    limits = world.context().limits
    pays = world.paymego.times_of("receipts.pay")
    if pays:
        longest = max(limits.duration_s, limits.timeout_s) + limits.timeout_s + 1
        assert world.clock.monotonic() <= pays[0] + longest
