"""The comparison of the journal with Payme's list and the till's sales."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fakes.journal_rows import walk
from hookspecs import SaleRecord
from payme_plugin.ledger.states import PaymentState as Ours
from payme_plugin.operations.receipt_list import ReceiptList
from payme_plugin.operations.reconciliation import Difference, Reconciled, Stored, reconcile
from payme_plugin.paymego.receipts import ServerReceipt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fakes.world import World
    from payme_plugin.ledger.rows import PaymentRow

    Payments = Callable[..., PaymentRow]

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
PERIOD = DAY_MS, 2 * DAY_MS
LATER_MS = 3 * DAY_MS
CLOSED_AT = DAY_MS + 5
STATES = [0, 1, 2, 3, 4, 5, 6, 20, 21, 30, 50, 77, None]
AGREES: dict[Ours, set[int | None]] = {
    **{ours: {*STATES} - {4, 5, None} for ours in (Ours.INTENT, Ours.CREATED, Ours.PAYING)},
    **{ours: {4} for ours in (Ours.PAID, Ours.RECORDED)},
    **{ours: {0, 50} for ours in (Ours.REFUSED, Ours.ABORTED, Ours.UNKNOWN)},
    **{ours: {50} for ours in (Ours.REVERSING, Ours.REVERSED)},
}
MAY_BE_SOLD = {Ours.PAID, Ours.RECORDED}


@pytest.fixture
def payment(world: World) -> Payments:
    row = walk(world.journal, Ours.RECORDED)

    def changed(receipt_id: str | None = "r1", state: Ours = Ours.RECORDED, **changes: int | None) -> PaymentRow:
        given: dict[str, Any] = {"amount": 1000, "created_at": DAY_MS, "updated_at": DAY_MS} | changes
        return row._replace(payment_id=f"payment of {receipt_id}", receipt_id=receipt_id, state=state, **given)

    return changed


def receipt(
    receipt_id: str | None = "r1",
    state: int | None = 4,
    *,
    amount: int | None = 1000,
    created_at: int | None = DAY_MS,
    pay_time: int | None = None,
) -> ServerReceipt:
    return ServerReceipt(
        receipt_id=receipt_id,
        state=state,
        amount=amount,
        create_time_ms=created_at,
        pay_time_ms=pay_time,
        phone=None,
        raw={},
    )


def sale(receipt_id: str = "r1", *, amount: int = 1000, sold_at: int = DAY_MS) -> SaleRecord:
    return SaleRecord(payment_id=f"payment of {receipt_id}", amount=amount, receipt_id=receipt_id, sold_at=sold_at)


def compared(
    payments: list[PaymentRow],
    receipts: list[ServerReceipt],
    live: Mapping[str, int] | None = None,
    *,
    sales: list[SaleRecord] | None = None,
    others: tuple[PaymentRow, ...] = (),
    is_ours: Callable[[ServerReceipt], bool] = lambda _: True,
    server_ms: int = 0,
    as_of_ms: int = LATER_MS,
) -> Reconciled:
    stored = Stored(payments=tuple(payments), others=others, live=live or {})
    listed = ReceiptList(tuple(receipts), server_ms)
    return reconcile(stored, listed, sales, is_ours, PERIOD, as_of_ms=as_of_ms)


def kinds_and_ids(differences: tuple[Difference, ...]) -> list[tuple[str, str]]:
    return [(each.kind.value, each.match.receipt_id) for each in differences]


# ---------------------------------------------------------------------------------------------------------------------
# The journal and Payme
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ours", Ours, ids=str)
def test_which_states_agree(payment: Payments, ours: Ours) -> None:
    found = {theirs: compared([payment(state=ours)], [receipt(state=theirs)]) for theirs in STATES}

    assert {theirs for theirs, one in found.items() if one.agreed} == AGREES[ours]
    assert all(kinds_and_ids(one.differences) == [("state", "r1")] * (1 - one.agreed) for one in found.values())


def test_while_a_cancellation_is_live_another_state_is_not_a_difference_but_another_amount_is(
    payment: Payments,
) -> None:
    ours = payment(state=Ours.UNKNOWN)
    found = compared([ours], [receipt(state=4)], {ours.payment_id: DAY_MS})
    assert (kinds_and_ids(found.differences), kinds_and_ids(found.returning)) == ([], [("state", "r1")])

    wrong = compared([ours], [receipt(state=4, amount=5)], {ours.payment_id: DAY_MS})
    assert (kinds_and_ids(wrong.differences), kinds_and_ids(wrong.returning)) == ([("amount", "r1")], [("state", "r1")])
    assert wrong.agreed == 0


def test_receipts_on_one_side_only(payment: Payments) -> None:
    found = compared([payment("here")], [receipt("there")])
    assert sorted(kinds_and_ids(found.differences)) == [("only-here", "here"), ("only-there", "there")]


def test_a_payment_without_a_receipt_and_a_receipt_without_an_id_are_ignored(payment: Payments) -> None:
    assert compared([payment(None, Ours.REFUSED)], [receipt(None)]).differences == ()


@pytest.mark.parametrize(("state", "is_different"), [(each, each not in {0, 50}) for each in STATES])
def test_an_unknown_receipt_is_a_difference_only_if_it_may_hold_money(state: int | None, is_different: bool) -> None:
    found = compared([], [receipt(state=state)])
    assert (len(found.differences), found.agreed) == (is_different, 0)


def test_the_most_money_comes_first(payment: Payments) -> None:
    found = compared(
        [payment("b", amount=20), payment("c", Ours.UNKNOWN, amount=30)],
        [receipt("c", 4, amount=30), receipt("d", 1, amount=99), receipt("e", 4, amount=10)],
    )
    assert [each.match.receipt_id for each in found.differences] == ["c", "b", "e", "d"]


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


@pytest.mark.parametrize(
    ("state", "updated_at", "counts"),
    [
        (Ours.RECORDED, LATER_MS - 1, True),
        (Ours.RECORDED, LATER_MS, False),
        (Ours.PAYING, LATER_MS - HOUR_MS - 1, True),
        (Ours.PAYING, LATER_MS - HOUR_MS, False),
    ],
)
def test_what_changed_while_the_list_was_read_or_is_still_being_paid_is_left_out(
    payment: Payments, state: Ours, updated_at: int, counts: bool
) -> None:
    found = compared([payment(state=state, updated_at=updated_at)], [receipt(state=5)])
    assert (len(found.differences), found.in_progress) == (counts, not counts)


@pytest.mark.parametrize("state", [21, 30])
@pytest.mark.parametrize("ours", [Ours.REVERSING, Ours.RECORDED, Ours.PAYING], ids=str)
def test_a_passing_state_is_stuck_after_an_hour_by_paymes_times(payment: Payments, state: int, ours: Ours) -> None:
    row, since = payment(state=ours), DAY_MS + 7

    def kinds(server_ms: int, cancelled_at: int = 0) -> list[tuple[str, str]]:
        theirs = [receipt(state=state, pay_time=since)]
        return kinds_and_ids(compared([row], theirs, {row.payment_id: cancelled_at}, server_ms=server_ms).differences)

    assert kinds(since + HOUR_MS) == []
    assert kinds(since + HOUR_MS + 1) == [("stuck", "r1")]
    # A refund of an old payment has just begun: Payme has no time of that.
    assert kinds(since + HOUR_MS + 1, since + 1) == []


# ---------------------------------------------------------------------------------------------------------------------
# Other tills of the merchant account
# ---------------------------------------------------------------------------------------------------------------------


def test_an_unknown_receipt_of_another_till_is_reported_apart() -> None:
    theirs = [receipt("ours", amount=3), receipt("theirs", amount=5), receipt("theirs, unpaid", 0)]
    found = compared([], theirs, is_ours=lambda each: each.receipt_id == "ours")

    assert kinds_and_ids(found.differences) == [("only-there", "ours")]
    assert [each.receipt_id for each in found.of_other_tills] == ["theirs"]
    assert (found.agreed, found.at_payme) == (0, 3)


def test_a_receipt_that_the_journal_or_a_sale_names_is_ours_whatever_its_account_says(payment: Payments) -> None:
    found = compared(
        [payment("r1", closed_at=CLOSED_AT)],
        [receipt("r1", 50), receipt("r2")],
        sales=[sale("r1"), sale("r2")],
        is_ours=lambda _: False,
    )
    assert sorted(kinds_and_ids(found.differences)) == [("only-there", "r2"), ("state", "r1")]
    assert found.of_other_tills == ()


# ---------------------------------------------------------------------------------------------------------------------
# The till's sales
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed_at", [None, CLOSED_AT])
@pytest.mark.parametrize("ours", [each for each in Ours if each is not Ours.INTENT], ids=str)
def test_which_payments_may_be_in_a_closed_sale(payment: Payments, ours: Ours, closed_at: int | None) -> None:
    row, theirs = (
        payment(state=ours, closed_at=closed_at),
        receipt(state=min(each for each in AGREES[ours] if each is not None)),
    )
    is_refunded = ours in {Ours.REVERSING, Ours.REVERSED} and closed_at is not None

    with_sale = kinds_and_ids(compared([row], [theirs], sales=[sale()]).differences)
    without = kinds_and_ids(compared([row], [theirs], sales=[]).differences)
    unlisted = kinds_and_ids(compared([row], [theirs], sales=None).differences)

    assert with_sale == ([] if ours in MAY_BE_SOLD or is_refunded else [("only-in-sales", "r1")])
    assert without == ([("not-in-sales", "r1")] if ours is Ours.RECORDED and closed_at is not None else [])
    assert unlisted == []


def test_an_open_sale_and_one_that_closed_long_after_the_period_agree(payment: Payments) -> None:
    late = payment("late", closed_at=10 * DAY_MS)
    found = compared(
        [payment("open"), late],
        [receipt("open"), receipt("late")],
        sales=[sale("late", sold_at=10 * DAY_MS)],
    )
    assert (found.differences, found.agreed) == ((), 2)


def test_a_sale_that_was_paid_before_the_period_does_not_count(payment: Payments) -> None:
    earlier = payment("r1", created_at=DAY_MS - 1, closed_at=CLOSED_AT)
    found = compared([earlier], [receipt("r1", created_at=DAY_MS - 1)], sales=[sale("r1", sold_at=CLOSED_AT)])
    assert (found.differences, found.agreed) == ((), 0)


@pytest.mark.parametrize(("sold_at", "counts"), [(DAY_MS - 1, 0), (DAY_MS, 1), (2 * DAY_MS - 1, 1), (2 * DAY_MS, 0)])
def test_a_sale_that_neither_the_journal_nor_payme_has_is_a_difference(sold_at: int, counts: int) -> None:
    assert (
        kinds_and_ids(compared([], [], sales=[sale(sold_at=sold_at)]).differences) == [("only-in-sales", "r1")] * counts
    )


@pytest.mark.parametrize(("state", "kinds"), [(4, ["only-there"]), (50, ["only-in-sales", "only-there"])])
def test_a_sale_that_the_journal_lacks_is_a_difference(state: int, kinds: list[str]) -> None:
    found = compared([], [receipt(state=state)], sales=[sale()])
    assert sorted(each.kind.value for each in found.differences) == kinds


def test_a_payment_in_two_sales_is_a_difference(payment: Payments) -> None:
    found = compared([payment(closed_at=CLOSED_AT)], [receipt()], sales=[sale(), sale()])
    assert kinds_and_ids(found.differences) == [("only-in-sales", "r1")]


def test_a_sale_of_another_amount_is_a_difference(payment: Payments) -> None:
    found = compared([payment(closed_at=CLOSED_AT)], [receipt()], sales=[sale(amount=999)])
    assert kinds_and_ids(found.differences) == [("amount", "r1")]


def test_a_sale_that_another_merchant_account_took_does_not_count(payment: Payments) -> None:
    other = payment("r1", closed_at=CLOSED_AT)
    assert compared([], [], sales=[sale()], others=(other,)).differences == ()
