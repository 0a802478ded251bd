"""A closed receipt confirms the payments in it, once, and whatever else is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from payme_plugin.operations.closed_receipts import ClosedReceipts, confirm_payments

from full_disk import full_disk
from hookspecs import PaymentRecord
from journal_walks import UNRECORDED, contents
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import BuyerAction
from virtual_till import open_sale

if TYPE_CHECKING:
    from virtual_world import World


def _paid(world: World, payment_id: str = "p1") -> PaymentRecord:
    record = world.pay(world.paymego.code(), payment_id=payment_id).payment
    assert record is not None
    return record


def _close(world: World, *payments: PaymentRecord, closed_at: int | None = 777) -> None:
    receipt = open_sale(payments=payments, closed_at=closed_at)
    confirm_payments(world.journal, receipt, world.owner)


def test_a_paid_payment_is_recorded_with_the_time_of_its_receipt(world: World) -> None:
    _close(world, _paid(world))

    assert (world.row().state, world.row().closed_at) == (PaymentState.RECORDED, 777)


def test_a_receipt_that_does_not_say_when_it_closed_closed_now(world: World) -> None:
    receipts = ClosedReceipts(lambda: world.journal, world.owner, world.clock, lambda _: False)
    receipts.store(open_sale(payments=(_paid(world),)))

    assert world.row().closed_at == world.clock.wall_ms()


def test_told_again_nothing_changes(world: World) -> None:
    record = _paid(world)
    _close(world, record)
    held = contents(world.journal)

    _close(world, record, closed_at=888)

    assert contents(world.journal) == held


def test_a_payment_that_was_recorded_while_its_sale_was_open_is_closed(world: World) -> None:
    record = _paid(world)
    world.journal.move(world.row(), PaymentState.RECORDED, "is_recorded says True")

    _close(world, record)

    assert world.row().closed_at == 777


def test_every_payment_in_it_is_confirmed(world: World) -> None:
    records = [_paid(world, f"p{index}") for index in range(3)]

    _close(world, *records)

    assert {world.row(f"p{index}").state for index in range(3)} == {PaymentState.RECORDED}


@pytest.mark.parametrize("data", [{}, {"plugin": "other"}, {"plugin": "Payme"}, {"v": "1"}])
def test_other_plugins_payments_are_none_of_ours_even_under_an_id_of_ours(world: World, data: dict[str, str]) -> None:
    _paid(world)
    held = contents(world.journal)

    _close(world, PaymentRecord(payment_id="p1", payment_type=7, amount=1_500_000, data=data))

    assert contents(world.journal) == held


def test_a_payment_that_the_journal_lacks_is_logged_and_stops_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    lost = PaymentRecord(payment_id="lost", payment_type=7, amount=1, data={"plugin": "payme"})

    _close(world, lost, _paid(world))

    assert world.row().state is PaymentState.RECORDED
    assert "payment lost is in a closed receipt but not in the journal" in caplog.text


@pytest.mark.parametrize("action", [BuyerAction.LACKS_FUNDS, BuyerAction.NEVER_ANSWERS], ids=lambda one: one.value)
def test_a_payment_that_was_not_paid_stays_so_and_keeps_its_cancellation(
    world: World, caplog: pytest.LogCaptureFixture, action: BuyerAction
) -> None:
    world.pay(world.paymego.code(action))
    before = world.row()

    _close(world, PaymentRecord(payment_id="p1", payment_type=7, amount=1_500_000, data={"plugin": "payme"}))

    assert (world.row().state, len(world.live())) == (before.state, 1)
    assert f"but the journal has it as {before.state.value}" in caplog.text


@pytest.mark.parametrize("action", [BuyerAction.PAYS, BuyerAction.NEVER_ANSWERS], ids=lambda one: one.value)
def test_a_record_that_names_another_receipt_of_payme_under_an_id_of_ours_confirms_nothing(
    world: World, caplog: pytest.LogCaptureFixture, action: BuyerAction
) -> None:
    """A till whose numbers begin anew tells of an old sale: the money of the new one is not the old one's."""
    world.pay(world.paymego.code(action))
    held = contents(world.journal)
    data = {"plugin": "payme", "receipt_id": "f" * 24, "posId": world.row().pos_id, "url": world.row().url}

    _close(world, PaymentRecord(payment_id="p1", payment_type=7, amount=700, data=data))

    assert contents(world.journal) == held
    assert "payment p1 is in a closed receipt with another receipt of Payme's" in caplog.text


def test_a_payment_whose_cancel_has_begun_stays_on_its_way_back(world: World) -> None:
    record = _paid(world)
    world.journal.move(world.row(), PaymentState.REVERSING, "annulled", cancellation=UNRECORDED)
    Cancellations(world.journal).begin(world.live()[0])

    _close(world, record)

    assert world.row().state is PaymentState.REVERSING
    assert len(world.live()) == 1


def test_what_can_not_be_stored_is_told_and_stays_paid_for_the_next_time(world: World) -> None:
    record = _paid(world)

    with full_disk(), pytest.raises(Unavailable):
        _close(world, record)

    assert world.row().state is PaymentState.PAID
    _close(world, record)
    assert world.row().state is PaymentState.RECORDED
