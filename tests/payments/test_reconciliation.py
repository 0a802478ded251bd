"""The comparison of the journal with Payme's list: differences, pending cancellations and totals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import walk
from payme_plugin.ledger.states import PaymentState as Ours
from payme_plugin.operations.reconciliation import Difference, Reconciled, reconcile
from payme_plugin.paymego.receipts import ServerReceipt

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.world import World
    from payme_plugin.ledger.rows import PaymentRow

    Payments = Callable[..., PaymentRow]

DAY_MS = 86_400_000
STATES = [0, 1, 2, 3, 4, 5, 6, 20, 21, 30, 50, 77, None]
AGREES = {
    **{ours: {*STATES} - {4, 5, None} for ours in (Ours.INTENT, Ours.CREATED, Ours.PAYING)},
    **{ours: {4} for ours in (Ours.PAID, Ours.RECORDED)},
    **{ours: {0, 50} for ours in (Ours.REFUSED, Ours.ABORTED, Ours.UNKNOWN)},
    **{ours: {50} for ours in (Ours.REVERSING, Ours.REVERSED)},
}


@pytest.fixture
def payment(world: World) -> Payments:
    row = walk(world.journal, Ours.RECORDED)

    def changed(receipt_id: str | None = "r1", state: Ours = Ours.RECORDED, **changes: int) -> PaymentRow:
        changes = {"amount": 1000, "created_at": DAY_MS} | changes
        return replace(row, payment_id=f"payment of {receipt_id}", receipt_id=receipt_id, state=state, **changes)  # type: ignore[arg-type]

    return changed


def receipt(
    receipt_id: str | None = "r1", state: int | None = 4, *, amount: int | None = 1000, created_at: int | None = DAY_MS
) -> ServerReceipt:
    return ServerReceipt(
        receipt_id=receipt_id,
        state=state,
        amount=amount,
        create_time_ms=created_at,
        pay_time_ms=None,
        phone=None,
        raw={},
    )


def compared(
    payments: list[PaymentRow], receipts: list[ServerReceipt], live: frozenset[str] = frozenset()
) -> Reconciled:
    return reconcile(payments, receipts, live, begin_ms=DAY_MS, end_ms=2 * DAY_MS)


def kinds_and_ids(differences: tuple[Difference, ...]) -> list[tuple[str, str]]:
    return [(each.kind.value, each.pair.receipt_id) for each in differences]


@pytest.mark.parametrize("ours", Ours, ids=str)
def test_which_states_agree(payment: Payments, ours: Ours) -> None:
    found = {theirs: compared([payment(state=ours)], [receipt(state=theirs)]) for theirs in STATES}

    assert {theirs for theirs, one in found.items() if one.agreed} == AGREES[ours]
    assert all(kinds_and_ids(one.differences) == [("state", "r1")] * (1 - one.agreed) for one in found.values())


def test_while_a_cancellation_is_live_another_state_is_not_a_difference_but_another_amount_is(
    payment: Payments,
) -> None:
    ours = payment(state=Ours.UNKNOWN)
    found = compared([ours], [receipt(state=4)], frozenset({ours.payment_id}))
    assert (kinds_and_ids(found.differences), kinds_and_ids(found.returning)) == ([], [("state", "r1")])

    wrong = compared([ours], [receipt(state=4, amount=5)], frozenset({ours.payment_id}))
    assert (kinds_and_ids(wrong.differences), kinds_and_ids(wrong.returning)) == ([("amount", "r1")], [("state", "r1")])
    assert wrong.agreed == 0


def test_receipts_on_one_side_only(payment: Payments) -> None:
    found = compared([payment("here")], [receipt("there")])
    assert sorted(kinds_and_ids(found.differences)) == [("only-here", "here"), ("only-there", "there")]


def test_a_payment_without_a_receipt_and_a_receipt_without_an_id_are_ignored(payment: Payments) -> None:
    assert compared([payment(None, Ours.REFUSED)], [receipt(None)]).differences == ()


def test_the_most_money_comes_first(payment: Payments) -> None:
    found = compared(
        [payment("b", amount=20), payment("c", Ours.UNKNOWN, amount=30)],
        [receipt("c", 4, amount=30), receipt("d", 0, amount=99), receipt("e", 4, amount=10)],
    )
    assert [each.pair.receipt_id for each in found.differences] == ["c", "b", "e", "d"]


def test_what_both_sides_hold_is_added_up(payment: Payments) -> None:
    found = compared(
        [payment("a", amount=10), payment("b", Ours.REVERSED, amount=20), payment("c", Ours.PAID, amount=40)],
        [receipt("a", 4, amount=10), receipt("b", 21, amount=20), receipt("d", 50, amount=80), receipt("e", 1)],
    )
    assert (found.in_journal, found.at_payme) == (50, 30)


@pytest.mark.parametrize(
    ("ours_at", "theirs_at", "counts"),
    [
        (DAY_MS, DAY_MS, True),
        (2 * DAY_MS - 1, 2 * DAY_MS - 1, True),
        (DAY_MS - 1, DAY_MS - 1, False),
        (2 * DAY_MS, 2 * DAY_MS, False),
        (DAY_MS - 1, DAY_MS, True),
        (2 * DAY_MS - 1, 2 * DAY_MS, True),
    ],
)
def test_a_receipt_counts_if_either_clock_has_it_in_the_span(
    payment: Payments, ours_at: int, theirs_at: int, counts: bool
) -> None:
    found = compared([payment(created_at=ours_at)], [receipt(created_at=theirs_at)])
    assert (found.agreed, found.differences) == (int(counts), ())


def test_a_receipt_that_only_payme_has_counts_even_without_a_time() -> None:
    assert kinds_and_ids(compared([], [receipt(created_at=None)]).differences) == [("only-there", "r1")]
