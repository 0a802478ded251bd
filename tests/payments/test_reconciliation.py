"""The journal against Payme's list: the verdict equals a slow, obvious second definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.ledger.rows import PaymentRow
from payme_plugin.ledger.states import PaymentState as Ours
from payme_plugin.operations.reconciliation import Difference, DifferenceKind, Reconciled, reconcile
from payme_plugin.paymego.receipts import ServerReceipt

DAY_MS = 86_400_000
STATES = [0, 1, 2, 3, 4, 5, 6, 20, 21, 30, 50, 77, None]
PAID_HERE = {Ours.PAID, Ours.RECORDED}


def payment(
    receipt_id: str | None = "r1", state: Ours = Ours.RECORDED, *, amount: int = 1000, created_at: int = DAY_MS
) -> PaymentRow:
    return PaymentRow(
        payment_id=f"payment of {receipt_id}",
        payment_type=7,
        amount=amount,
        till="till-1",
        shift=1,
        number=1,
        attempt=1,
        pos_id="kassa",
        url="http://localhost/api",
        owner="process-1",
        state=state,
        receipt_id=receipt_id,
        paid_at=None,
        acknowledged_at=None,
        closed_at=None,
        message="",
        error_code=None,
        cancellation_queued=False,
        created_at=created_at,
        updated_at=created_at,
    )


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


def told(differences: tuple[Difference, ...]) -> list[tuple[str, str]]:
    return [(each.kind.value, each.pair.receipt_id) for each in differences]


@pytest.mark.parametrize("theirs", STATES)
@pytest.mark.parametrize("ours", Ours)
def test_which_states_agree(ours: Ours, theirs: int | None) -> None:
    expected = {
        Ours.INTENT: theirs not in {4, 5, None},
        Ours.CREATED: theirs not in {4, 5, None},
        Ours.PAYING: theirs not in {4, 5, None},
        Ours.PAID: theirs == 4,
        Ours.RECORDED: theirs == 4,
        Ours.REFUSED: theirs in {0, 50},
        Ours.ABORTED: theirs in {0, 50},
        Ours.UNKNOWN: theirs in {0, 50},
        Ours.REVERSING: theirs == 50,
        Ours.REVERSED: theirs == 50,
    }[ours]
    found = compared([payment(state=ours)], [receipt(state=theirs)])

    assert told(found.differences) == ([] if expected else [("state", "r1")])
    assert found.agreed == int(expected)


def test_while_a_cancellation_is_live_its_state_is_no_difference_but_its_amount_is() -> None:
    ours = payment(state=Ours.UNKNOWN)
    found = compared([ours], [receipt(state=4)], frozenset({ours.payment_id}))
    assert (told(found.differences), told(found.returning)) == ([], [("state", "r1")])

    wrong = compared([ours], [receipt(state=4, amount=5)], frozenset({ours.payment_id}))
    assert (told(wrong.differences), told(wrong.returning)) == ([("amount", "r1")], [("state", "r1")])
    assert wrong.agreed == 0


def test_receipts_on_one_side_alone() -> None:
    found = compared([payment("here")], [receipt("there")])
    assert sorted(told(found.differences)) == [("only-here", "here"), ("only-there", "there")]


def test_a_payment_without_a_receipt_and_a_receipt_without_an_id_are_nobodys() -> None:
    assert compared([payment(None, Ours.REFUSED)], [receipt(None)]).differences == ()


def test_the_most_money_comes_first() -> None:
    found = compared(
        [payment("b", amount=20), payment("c", Ours.UNKNOWN, amount=30)],
        [receipt("c", 4, amount=30), receipt("d", 0, amount=99), receipt("e", 4, amount=10)],
    )
    assert [each.pair.receipt_id for each in found.differences] == ["c", "b", "e", "d"]


def test_what_both_sides_hold_is_added_up() -> None:
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
def test_a_receipt_counts_when_either_clock_has_it_in_the_span(ours_at: int, theirs_at: int, counts: bool) -> None:
    found = compared([payment(created_at=ours_at)], [receipt(created_at=theirs_at)])
    assert (found.agreed, found.differences) == (int(counts), ())


def test_a_receipt_without_a_time_is_not_passed_over() -> None:
    assert told(compared([], [receipt(created_at=None)]).differences) == [("only-there", "r1")]


ROWS = st.builds(
    payment,
    st.sampled_from(["r1", "r2", "r3", "r4"]),
    st.sampled_from(Ours),
    amount=st.integers(1, 3),
    created_at=st.integers(DAY_MS - 2, 2 * DAY_MS + 2),
)
RECEIPTS = st.builds(
    receipt,
    st.sampled_from(["r1", "r2", "r3", "r4", "r5"]),
    st.sampled_from(STATES),
    amount=st.integers(1, 3) | st.none(),
    created_at=st.integers(DAY_MS - 2, 2 * DAY_MS + 2) | st.none(),
)


def obvious(row: PaymentRow | None, listed: ServerReceipt | None) -> set[DifferenceKind]:
    """The second definition: one receipt at a time, by the words of the page."""
    times = [row.created_at] if row is not None else []
    if listed is not None and listed.create_time_ms is not None:
        times.append(listed.create_time_ms)
    if times and not any(DAY_MS <= time < 2 * DAY_MS for time in times):
        return set()
    if row is None:
        return {DifferenceKind.ONLY_THERE}
    if listed is None:
        return {DifferenceKind.ONLY_HERE}
    found = set()
    if row.amount != listed.amount:
        found.add(DifferenceKind.AMOUNT)
    charged, returned = {4, 5}, {0, 50}
    if row.state in PAID_HERE:
        right = listed.state == 4
    elif row.state.is_unfinished:
        right = listed.state is not None and listed.state not in charged
    elif row.state.is_not_paid:
        right = listed.state in returned
    else:
        right = listed.state == 50
    return found if right else found | {DifferenceKind.STATE}


@given(
    rows=st.lists(ROWS, unique_by=lambda row: row.receipt_id),
    listed=st.lists(RECEIPTS, unique_by=lambda each: each.receipt_id),
    live=st.frozensets(st.sampled_from(["payment of r1", "payment of r2"])),
)
def test_the_comparison_equals_the_obvious_one(
    rows: list[PaymentRow], listed: list[ServerReceipt], live: frozenset[str]
) -> None:
    found = compared(rows, listed, live)
    ours = {row.receipt_id: row for row in rows}
    theirs = {each.receipt_id: each for each in listed}
    expected = {(kind, key) for key in {*ours, *theirs} for kind in obvious(ours.get(key), theirs.get(key))}

    assert {(each.kind, each.pair.receipt_id) for each in (*found.differences, *found.returning)} == expected
    for each in found.returning:
        assert each.kind is DifferenceKind.STATE
        assert each.pair.payment is not None
        assert each.pair.payment.payment_id in live
    assert not any(
        each.kind is DifferenceKind.STATE and each.pair.payment is not None and each.pair.payment.payment_id in live
        for each in found.differences
    )
