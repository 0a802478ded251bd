"""After the host has acknowledged a payment, only a cancel or a refund returns its money.

The rows of the table in ``payme_plugin/operations/acknowledgement.py``. What then becomes of a cancellation is in
``tests/journal``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fakes.answer_changes import meanwhile
from fakes.journal_rows import contents, walk
from fakes.till import TENDER, open_sale
from faults.full_disk import full_disk
from hookspecs import PaymentRecord, PaymentStatus
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import BuyerAction
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.world import World
    from hookspecs import Receipt

SALE_NOTICE = "payme.sale"
CLOSED = open_sale(closed_at=777)
HOW = pytest.mark.parametrize("sale", [None, CLOSED], ids=["recorded", "closed"])


def _record(world: World) -> PaymentRecord:
    """Return what a host stores about the payment, paid or not."""
    data = {"plugin": "payme", "receipt_id": str(world.row().receipt_id), "posId": world.settings.pos_id}
    return PaymentRecord(payment_id="p1", payment_type=TENDER, amount=1_500_000, data=data)


def _paid(world: World) -> PaymentRecord:
    record = world.pay(world.paymego.code()).payment
    assert record is not None
    return record


# ---------------------------------------------------------------------------------------------------------------------
# A payment with a result
# ---------------------------------------------------------------------------------------------------------------------


@HOW
@pytest.mark.parametrize("state", [PaymentState.PAID, PaymentState.REVERSING], ids=["paid", "cancel not begun"])
def test_a_payment_whose_money_is_there_is_recorded_with_the_time_at_which_its_receipt_closed(
    world: World, state: PaymentState, sale: Receipt | None
) -> None:
    walk(world.journal, state)

    world.acknowledge(_record(world), sale)

    row = world.row()
    assert (row.state, row.acknowledged_at) == (PaymentState.RECORDED, world.clock.wall_ms())
    assert (row.closed_at, world.live(), world.host.notices) == (None if sale is None else 777, [], {})


@HOW
@pytest.mark.parametrize(
    "state",
    [PaymentState.REFUSED, PaymentState.ABORTED, PaymentState.UNKNOWN, PaymentState.REVERSING, PaymentState.REVERSED],
)
def test_a_payment_without_money_is_acknowledged_its_cancellation_goes_on_and_a_notice_names_the_sale(
    world: World, state: PaymentState, sale: Receipt | None
) -> None:
    walk(world.journal, state)
    Cancellations(world.journal).begin(world.live()[0])
    live = world.live()

    world.acknowledge(_record(world), sale)

    row = world.row()
    assert (row.state, row.acknowledged_at, world.live()) == (state, world.clock.wall_ms(), live)
    assert world.host.notices[SALE_NOTICE] == world.text(Text.NOTICE_SALE_UNPAID, number=CLOSED.number)


# ---------------------------------------------------------------------------------------------------------------------
# Without a result
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "status", "state"),
    [
        (BuyerAction.PAYS, PaymentStatus.PAID, PaymentState.RECORDED),
        (BuyerAction.NEVER_ANSWERS, PaymentStatus.UNKNOWN, PaymentState.UNKNOWN),
    ],
)
def test_during_the_payment_it_is_stored_and_applied_to_the_result(
    world: World, action: BuyerAction, status: PaymentStatus, state: PaymentState
) -> None:
    world.paymego.change("receipts.pay", meanwhile(lambda: world.acknowledge(_record(world))))

    outcome = world.pay(world.paymego.code(action))

    assert (outcome.status, world.row().state) == (status, state)
    assert len(world.live()) == (state is PaymentState.UNKNOWN)
    assert world.row().acknowledged_at is not None


@pytest.mark.parametrize("restarts", [False, True], ids=["same process", "after a restart"])
def test_one_without_a_result_is_recorded_if_its_process_died_else_once_it_has_one(
    world: World, restarts: bool
) -> None:
    world.cut_after_pay(world.paymego.code())
    if restarts:
        world.restart()

    world.acknowledge(_record(world))

    assert (world.row().acknowledged_at is not None, world.host.notices) == (True, {})
    assert world.row().state is (PaymentState.RECORDED if restarts else PaymentState.PAYING)
    assert (world.decide_orphans(), world.live()) == (0, [])
    assert (world.pay().status, world.row().state) == (PaymentStatus.PAID, PaymentState.RECORDED)


# ---------------------------------------------------------------------------------------------------------------------
# Not in the journal
# ---------------------------------------------------------------------------------------------------------------------


def _paid_and_lost(world: World) -> PaymentRecord:
    record = _paid(world)
    with world.journal.writing() as connection:
        for table in ("event", "code", "cancellation", "fiscal_link", "payment"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
    return record


@HOW
def test_one_that_the_journal_lost_is_adopted_from_the_record(world: World, sale: Receipt | None) -> None:
    record = _paid_and_lost(world)

    world.acknowledge(record, sale)

    row = world.row()
    assert (row.state, row.closed_at) == (PaymentState.RECORDED, None if sale is None else 777)
    assert row.acknowledged_at is not None
    data = {"receipt_id": row.receipt_id, "posId": row.pos_id, "url": row.url, "paid_at": str(row.paid_at)}
    assert (row.amount, {**record.data, **data}) == (record.amount, record.data)


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"plugin": "payme", "posId": "account-1"}},
        {"data": {"plugin": "payme", "receipt_id": "0" * 24}},
        {"payment_id": "\ud800"},
        {"amount": -5},
        {"payment_type": 2**80},
    ],
    ids=["no receipt", "no account", "id no text", "negative", "huge tender"],
)
def test_one_whose_record_is_incomplete_or_fits_no_row_is_a_notice_because_it_would_fail_for_ever(
    world: World, changes: dict[str, Any]
) -> None:
    record = _paid_and_lost(world)

    assert world.acknowledge(replace(record, **changes), CLOSED) is None

    assert world.journal.payments() == []
    assert world.host.notices[SALE_NOTICE] == world.text(Text.NOTICE_SALE_UNPAID, number=1)


@pytest.mark.parametrize(
    "changes", [{"payment_id": "renamed"}, {"data": {"plugin": "payme", "receipt_id": "0" * 24, "posId": "account-1"}}]
)
def test_a_record_that_contradicts_the_journal_changes_nothing_and_is_a_notice(
    world: World, changes: dict[str, Any]
) -> None:
    record = replace(_paid(world), **changes)
    held = contents(world.journal)

    assert world.acknowledge(record) is None

    assert contents(world.journal) == held
    assert SALE_NOTICE in world.host.notices


@pytest.mark.parametrize("data", [{}, {"plugin": "other"}, {"plugin": "Payme"}, {"v": "1"}])
def test_other_plugins_payments_are_not_ours_even_under_an_id_of_ours(world: World, data: dict[str, str]) -> None:
    record = replace(_paid(world), data=data)
    held = contents(world.journal)

    assert world.acknowledge(record) is None

    assert (contents(world.journal), world.host.notices) == (held, {})


def test_what_can_not_be_stored_raises_and_is_stored_by_the_next_call(world: World) -> None:
    record = _paid(world)

    with full_disk(), pytest.raises(Unavailable):
        world.acknowledge(record)

    assert (world.row().state, world.row().acknowledged_at) == (PaymentState.PAID, None)
    world.acknowledge(record)
    assert world.row().state is PaymentState.RECORDED
