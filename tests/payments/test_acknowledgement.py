"""The host has stored a payment, or closed its receipt: from then on only a cancel or a refund returns its money.

The rows of the table in ``payme_plugin/operations/acknowledgement.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import meanwhile
from fakes.journal_rows import UNRECORDED, contents
from fakes.till import PowerCut, open_sale
from faults.full_disk import full_disk
from hookspecs import PaymentRecord, PaymentStatus
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Conflict, Unavailable
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, End, PaymentState
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.world import World

PAY, CHECK = "receipts.pay", "receipts.check"
SALE_NOTICE = "payme.sale"
CLOSED = open_sale(closed_at=777)
HOW = pytest.mark.parametrize("sale", [None, CLOSED], ids=["recorded", "closed"])


def _paid(world: World, payment_id: str = "p1") -> PaymentRecord:
    record = world.pay(world.paymego.code(), payment_id=payment_id).payment
    assert record is not None
    return record


def _reversing(world: World, cause: Cause = Cause.UNRECORDED) -> PaymentRecord:
    record = _paid(world)
    world.journal.move(world.row(), PaymentState.REVERSING, "back", cancellation=NewCancellation(cause=cause))
    return record


def _record_of_unpaid(world: World, action: BuyerAction) -> PaymentRecord:
    """Return the record of a host that stored a payment which ended unpaid."""
    unpaid = world.pay(world.paymego.code(action))
    assert unpaid.status is not PaymentStatus.PAID
    data = {"plugin": "payme", "receipt_id": str(unpaid.receipt_id), "posId": world.settings.pos_id}
    return PaymentRecord(payment_id="p1", payment_type=7, amount=1_500_000, data=data)


# ---------------------------------------------------------------------------------------------------------------------
# Paid, recorded
# ---------------------------------------------------------------------------------------------------------------------


def test_a_paid_payment_is_recorded(world: World) -> None:
    world.acknowledge(_paid(world))

    row = world.row()
    assert (row.state, row.acknowledged_at, row.closed_at) == (PaymentState.RECORDED, world.clock.wall_ms(), None)


def test_a_paid_payment_in_a_closed_receipt_is_recorded_with_its_time(world: World) -> None:
    world.acknowledge(_paid(world), CLOSED)

    row = world.row()
    assert (row.state, row.acknowledged_at, row.closed_at) == (PaymentState.RECORDED, world.clock.wall_ms(), 777)


@HOW
def test_a_second_acknowledgement_changes_nothing(world: World, sale: None) -> None:
    record = _paid(world)
    world.acknowledge(record, sale)
    held = contents(world.journal)
    world.clock.sleep(60)

    world.acknowledge(record)
    world.acknowledge(record, sale)

    assert contents(world.journal) == held
    assert SALE_NOTICE not in world.host.notices


def test_its_receipt_that_closes_later_is_stored_once(world: World) -> None:
    record = _paid(world)
    world.acknowledge(record)
    acknowledged_at = world.row().acknowledged_at

    world.clock.sleep(60)
    world.acknowledge(record, CLOSED)
    world.acknowledge(record, open_sale(closed_at=888))

    assert (world.row().closed_at, world.row().acknowledged_at) == (777, acknowledged_at)


@HOW
def test_it_is_irrevocable(world: World, sale: None) -> None:
    world.acknowledge(_paid(world), sale)
    world.restart()

    assert world.decide_orphans() == 0
    assert (world.row().state, world.live()) == (PaymentState.RECORDED, [])


# ---------------------------------------------------------------------------------------------------------------------
# Reversing, reversed, ended unpaid
# ---------------------------------------------------------------------------------------------------------------------


@HOW
def test_an_unrecorded_cancellation_that_has_not_begun_ends_and_the_payment_is_recorded(
    world: World, sale: None
) -> None:
    record = _reversing(world)
    (row,) = world.live()

    world.acknowledge(record, sale)

    ended = world.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert (world.row().state, world.live(), ended.ended_as) == (PaymentState.RECORDED, [], End.RECORDED)
    assert SALE_NOTICE not in world.host.notices


@HOW
@pytest.mark.parametrize("cause", [Cause.UNRECORDED, Cause.CANCEL, Cause.REFUND], ids=lambda cause: cause.value)
def test_any_other_cancellation_goes_on_and_a_notice_names_the_sale(world: World, cause: Cause, sale: None) -> None:
    record = _reversing(world, cause)
    if cause is Cause.UNRECORDED:
        Cancellations(world.journal).begin(world.live()[0])

    world.acknowledge(record, sale)

    assert (world.row().state, len(world.live())) == (PaymentState.REVERSING, 1)
    assert world.row().acknowledged_at is not None
    assert world.host.notices[SALE_NOTICE] == world.text(Text.NOTICE_SALE_UNPAID, number=1)


@HOW
def test_a_reversed_payment_is_acknowledged_with_the_notice(world: World, sale: None) -> None:
    record = _reversing(world)
    (row,) = world.live()
    Cancellations(world.journal).end(row, End.CANCELLED, "Payme says cancelled (50)")

    world.acknowledge(record, sale)

    assert (world.row().state, world.row().acknowledged_at) == (PaymentState.REVERSED, world.clock.wall_ms())
    assert world.host.notices[SALE_NOTICE] == world.text(Text.NOTICE_SALE_UNPAID, number=1)


@HOW
@pytest.mark.parametrize("action", [BuyerAction.LACKS_FUNDS, BuyerAction.NEVER_ANSWERS], ids=lambda one: one.value)
def test_a_payment_that_ended_unpaid_is_acknowledged_with_the_notice_and_its_cancellation_stays(
    world: World, action: BuyerAction, sale: None
) -> None:
    record = _record_of_unpaid(world, action)
    state = world.row().state

    world.acknowledge(record, sale)

    assert (world.row().state, len(world.live())) == (state, 1)
    assert world.row().acknowledged_at is not None
    assert world.host.notices[SALE_NOTICE] == world.text(Text.NOTICE_SALE_UNPAID, number=1)


def test_the_cancellation_of_a_payment_that_ended_unpaid_goes_on(world: World) -> None:
    world.acknowledge(_record_of_unpaid(world, BuyerAction.NEVER_ANSWERS))

    Cancellations(world.journal).begin(world.live()[0])

    assert world.live()[0].begun_at is not None


def test_no_unrecorded_cancel_begins_for_an_acknowledged_payment(world: World) -> None:
    world.acknowledge(_paid(world))
    world.journal.move(world.row(), PaymentState.REVERSING, "by mistake", cancellation=UNRECORDED)

    with pytest.raises(Conflict):
        Cancellations(world.journal).begin(world.live()[0])
    assert world.live()[0].begun_at is None


# ---------------------------------------------------------------------------------------------------------------------
# Without a result
# ---------------------------------------------------------------------------------------------------------------------


def _acknowledge_while_running(world: World) -> None:
    receipt_id = str(world.row().receipt_id)
    data = {"plugin": "payme", "receipt_id": receipt_id, "posId": world.settings.pos_id}
    world.acknowledge(PaymentRecord(payment_id="p1", payment_type=7, amount=1_500_000, data=data))


def test_during_the_payment_it_is_applied_to_paid(world: World) -> None:
    world.paymego.change(PAY, meanwhile(lambda: _acknowledge_while_running(world)))

    result = world.pay(world.paymego.code())

    assert result.status is PaymentStatus.PAID
    assert (world.row().state, world.live()) == (PaymentState.RECORDED, [])


def test_during_a_payment_that_ends_unpaid_it_is_stored_and_the_cancellation_is_written(world: World) -> None:
    world.paymego.change(PAY, meanwhile(lambda: _acknowledge_while_running(world)))

    result = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert (result.status, len(world.live())) == (PaymentStatus.UNKNOWN, 1)
    assert world.row().acknowledged_at is not None


def _cut_after_the_pay(world: World) -> None:
    world.paymego.befall(FaultKind.SILENT_AFTER_EFFECT, PAY)
    ui = world.cashier(world.paymego.code())
    ui.hand = ui.cut_while_waiting
    with pytest.raises(PowerCut):
        world.pay(ui=ui)


def test_a_payment_whose_process_died_before_its_result_is_recorded(world: World) -> None:
    _cut_after_the_pay(world)
    world.restart()

    _acknowledge_while_running(world)

    assert (world.row().state, SALE_NOTICE in world.host.notices) == (PaymentState.RECORDED, False)
    assert world.row().acknowledged_at is not None
    assert (world.decide_orphans(), world.live()) == (0, [])
    assert world.pay().status is PaymentStatus.PAID


def test_one_without_a_result_in_this_process_stays_until_it_has_one(world: World) -> None:
    _cut_after_the_pay(world)

    _acknowledge_while_running(world)

    assert (world.row().state, world.row().acknowledged_at is not None) == (PaymentState.PAYING, True)
    assert world.pay().status is PaymentStatus.PAID
    assert world.row().state is PaymentState.RECORDED


# ---------------------------------------------------------------------------------------------------------------------
# Not in the journal
# ---------------------------------------------------------------------------------------------------------------------


def _forget(world: World) -> None:
    with world.journal.writing() as connection:
        for table in ("event", "code", "cancellation", "fiscal_link", "payment"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names


@pytest.mark.parametrize(("sale", "closed_at"), [(None, None), (CLOSED, 777)], ids=["recorded", "closed"])
def test_one_that_the_journal_lost_is_adopted_from_the_record(world: World, sale: None, closed_at: int | None) -> None:
    record = _paid(world)
    before = world.row()
    _forget(world)

    world.acknowledge(record, sale)

    row = world.row()
    assert (row.state, row.closed_at) == (PaymentState.RECORDED, closed_at)
    assert row.acknowledged_at is not None
    assert (row.receipt_id, row.amount, row.pos_id, row.url, row.paid_at) == (
        before.receipt_id,
        before.amount,
        before.pos_id,
        before.url,
        before.paid_at,
    )


@pytest.mark.parametrize("missing", ["receipt_id", "posId"])
def test_one_whose_record_names_no_receipt_or_account_is_a_notice(world: World, missing: str) -> None:
    record = _paid(world)
    _forget(world)
    data = {name: text for name, text in record.data.items() if name != missing}

    assert world.acknowledge(replace(record, data=data), CLOSED) is None

    assert world.journal.payments() == []
    assert world.host.notices[SALE_NOTICE] == world.text(Text.NOTICE_SALE_UNPAID, number=1)


@pytest.mark.parametrize("receipt_id", ["of another payment", "of none"])
def test_a_record_that_contradicts_the_journal_changes_nothing_and_is_a_notice(world: World, receipt_id: str) -> None:
    first, second = _paid(world, "p1"), _paid(world, "p2")
    other = second.data["receipt_id"] if receipt_id == "of another payment" else "0" * 24
    held = contents(world.journal)

    assert world.acknowledge(replace(first, data={**first.data, "receipt_id": other})) is None

    assert contents(world.journal) == held
    assert SALE_NOTICE in world.host.notices


def test_a_lost_payment_under_the_receipt_of_another_is_a_notice(world: World) -> None:
    record = _paid(world)
    held = contents(world.journal)

    assert world.acknowledge(replace(record, payment_id="renamed")) is None

    assert contents(world.journal) == held
    assert SALE_NOTICE in world.host.notices


# ---------------------------------------------------------------------------------------------------------------------
# Other plugins, faults
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [{}, {"plugin": "other"}, {"plugin": "Payme"}, {"v": "1"}])
def test_other_plugins_payments_are_not_ours_even_under_an_id_of_ours(world: World, data: dict[str, str]) -> None:
    _paid(world)
    held = contents(world.journal)

    assert world.acknowledge(PaymentRecord(payment_id="p1", payment_type=7, amount=1_500_000, data=data)) is None

    assert contents(world.journal) == held
    assert world.host.notices == {}


@HOW
def test_what_can_not_be_stored_raises_and_is_stored_by_the_next_call(world: World, sale: None) -> None:
    record = _paid(world)

    with full_disk(), pytest.raises(Unavailable):
        world.acknowledge(record, sale)

    assert (world.row().state, world.row().acknowledged_at) == (PaymentState.PAID, None)
    world.acknowledge(record, sale)
    assert world.row().state is PaymentState.RECORDED


NO_TEXT, HUGE = "\ud800", 2**80


@pytest.mark.parametrize(
    "changes",
    [{"payment_id": NO_TEXT}, {"amount": -5}, {"amount": HUGE}, {"payment_type": HUGE}],
    ids=["id no text", "negative", "huge", "huge tender"],
)
def test_a_record_that_no_row_can_hold_is_a_notice_because_it_would_fail_for_ever(
    world: World, changes: dict[str, int]
) -> None:
    record = _paid(world)
    _forget(world)

    assert world.acknowledge(replace(record, **changes)) is None  # type: ignore[arg-type]

    assert world.journal.payments() == []
    assert SALE_NOTICE in world.host.notices
