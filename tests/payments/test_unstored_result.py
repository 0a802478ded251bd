"""A result that can't be stored: UNKNOWN is told if a code may have left, and it is stored as soon as a write succeeds.

The disk is full for real, from the moment that a test chooses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import meanwhile
from fakes.journal_rows import walk
from fakes.till import TENDER, PowerCut, open_sale, scan_after
from faults.full_disk import fill_disk, free_disk
from hookspecs import PaymentRecord, PaymentStatus
from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.operations.payment import _Payment
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.hooked_world import HookedWorld
    from fakes.world import World

CREATE, PAY, CHECK, GET = "receipts.create", "receipts.pay", "receipts.check", "receipts.get"
STALE = "11112222333344445555"


@pytest.fixture(autouse=True)
def _room_again() -> Iterator[None]:
    yield
    free_disk()


def test_paid_is_never_told_before_it_is_stored(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))

    result = world.pay(world.paymego.code())

    assert (result.status, result.message) == (PaymentStatus.UNKNOWN, world.text(Text.PAYMENT_CHARGE_MAY_HANG))
    assert (result.payment, result.slips, result.receipt_attributes) == (None, (), {})
    assert (world.path_of(), world.unstored) == (["intent", "paying"], ["p1"])
    assert world.host.notices == {"payme.journal": world.text(Text.NOTICE_JOURNAL_UNWRITABLE)}
    assert GET not in [sent.method for sent in world.paymego.sent]


def test_it_is_stored_as_unknown_with_its_cancellation_once_a_write_succeeds(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))
    world.pay(world.paymego.code())
    free_disk()

    world.store_results()

    assert world.path_of() == ["intent", "paying", "unknown"]
    assert [row.cause for row in world.live()] == [Cause.UNRECORDED]
    assert world.pay().status is PaymentStatus.UNKNOWN


@pytest.mark.parametrize(
    "action",
    [BuyerAction.LACKS_FUNDS, BuyerAction.NEVER_ANSWERS, BuyerAction.DECLINES],
    ids=lambda each: each.value,
)
def test_any_other_result_is_told_as_unknown_and_stored_as_that(world: World, action: BuyerAction) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))

    result = world.pay(world.paymego.code(action))

    assert (result.status, result.message) == (PaymentStatus.UNKNOWN, world.text(Text.PAYMENT_CHARGE_MAY_HANG))
    assert not result.cancellation_queued
    assert world.path_of() == ["intent", "paying"]
    assert world.unstored == ["p1"]
    assert "payme.journal" in world.host.notices
    free_disk()
    world.store_results()
    assert (world.row().state, len(world.live())) == (PaymentState.UNKNOWN, 1)


def test_what_was_told_but_not_stored_is_stored_even_if_the_payment_became_paid_meanwhile(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))
    world.pay(world.paymego.code())
    free_disk()
    world.journal.move(world.row(), PaymentState.PAID, "a commit whose failure was told")

    world.store_results()

    assert (world.row().state, len(world.live())) == (PaymentState.REVERSING, 1)


def test_a_payment_that_has_a_result_by_then_keeps_it(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))
    world.pay(world.paymego.code())
    free_disk()
    world.journal.move(world.row(), PaymentState.ABORTED, "another thread decides")

    world.store_results()

    assert (world.row().state, world.live()) == (PaymentState.ABORTED, [])


def test_an_acknowledgement_of_what_was_told_as_unknown_returns_the_money_all_the_same(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))
    world.pay(world.paymego.code())
    free_disk()
    world.journal.acknowledge(world.row())

    world.store_results()

    assert (world.row().state, len(world.live())) == (PaymentState.UNKNOWN, 1)


def test_a_payment_that_was_acknowledged_while_it_ran_is_recorded_once_a_write_succeeds(till: HookedWorld) -> None:
    def acknowledge() -> None:
        data = {"plugin": "payme", "receipt_id": str(till.row().receipt_id), "posId": till.settings.pos_id}
        record = PaymentRecord(payment_id="p1", payment_type=TENDER, amount=1_500_000, data=data)
        till.dispatcher.acknowledge(record)
        till.journal.after = fail_after_paid

    def fail_after_paid(_: int) -> None:
        if till.row().state is PaymentState.PAID:
            till.journal.fail_from(1)

    till.paymego.change(PAY, meanwhile(acknowledge))
    assert till.ask(till.paymego.code()).status is PaymentStatus.UNKNOWN
    assert till.row().state is PaymentState.PAID
    till.journal.recover()

    till.background.store_results()

    assert till.path_of() == ["intent", "paying", "paid", "recorded"]
    till.work(3600)
    assert (till.paymego.count("receipts.cancel"), till.paymego.held()) == (0, 1_500_000)


def test_one_payment_whose_row_is_damaged_does_not_keep_the_others_waiting(till: HookedWorld) -> None:
    others = [f"p{number}" for number in range(8)]
    for payment_id in ("damaged", *others):
        walk(till.journal, PaymentState.PAYING, payment_id)
        till.keep_result(payment_id)
    with till.journal.writing() as connection:
        connection.execute("UPDATE payment SET owner = CAST(x'ff' AS TEXT) WHERE payment_id = 'damaged'")

    till.background.store_results()

    assert {till.row(payment_id).state for payment_id in others} == {PaymentState.UNKNOWN}
    assert [len(till.live(payment_id)) for payment_id in others] == [1] * len(others)


def test_a_stop_that_can_not_be_stored_is_unknown(world: World) -> None:
    world.paymego.change(CHECK, meanwhile(fill_disk))
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS), stops_at=3)

    result = world.pay(ui=ui)

    assert (result.status, world.row().state) == (PaymentStatus.UNKNOWN, PaymentState.PAYING)
    free_disk()
    world.store_results()
    assert (world.row().state, len(world.live())) == (PaymentState.UNKNOWN, 1)


def test_a_stale_code_whose_return_can_not_be_stored_is_unknown_and_sends_no_other(world: World) -> None:
    world.paymego.change(CHECK, meanwhile(fill_disk))
    ui = world.cashier(STALE, world.paymego.code())

    result = world.pay(ui=ui)

    assert (result.status, result.message) == (PaymentStatus.UNKNOWN, world.text(Text.PAYMENT_CHARGE_MAY_HANG))
    assert (len(ui.prompts), world.paymego.count(PAY)) == (1, 1)
    assert world.row().state is PaymentState.PAYING
    free_disk()
    world.store_results()
    assert (world.row().state, len(world.live())) == (PaymentState.UNKNOWN, 1)


def test_a_receipt_that_can_not_be_stored_is_not_paid(world: World) -> None:
    world.paymego.change(CREATE, meanwhile(fill_disk))

    result = world.pay(world.paymego.code())

    assert (result.status, result.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_JOURNAL_UNWRITABLE))
    assert world.paymego.count(PAY) == 0
    free_disk()
    world.store_results()
    assert (world.row().state, world.live()) == (PaymentState.REFUSED, [])


def test_a_stop_that_can_not_be_stored_is_refused_if_no_code_can_be_charged(world: World) -> None:
    result = world.pay(STALE, scan_after(fill_disk, None))

    assert (result.status, world.row().state) == (PaymentStatus.REFUSED, PaymentState.CREATED)
    free_disk()
    world.store_results()
    assert (world.row().state, len(world.live())) == (PaymentState.REFUSED, 1)


def test_nothing_more_is_charged_until_a_write_succeeds(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))
    world.pay(world.paymego.code())
    sent = len(world.paymego.sent)

    refused = world.pay(world.paymego.code(), payment_id="p2", receipt=open_sale(2))
    free_disk()
    paid = world.pay(world.paymego.code(), payment_id="p3", receipt=open_sale(3))

    assert refused.status is PaymentStatus.REFUSED
    assert paid.status is PaymentStatus.PAID
    assert [sent_.method for sent_ in world.paymego.sent[sent:]] == [CREATE, PAY]


def test_a_process_that_dies_with_it_leaves_an_orphan(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))
    world.pay(world.paymego.code())
    free_disk()
    world.restart()

    assert world.decide_orphans() == 1
    assert (world.row().state, len(world.live())) == (PaymentState.UNKNOWN, 1)


@pytest.mark.parametrize(
    ("action", "kind"),
    [(BuyerAction.PAYS, FaultKind.SILENT_AFTER_EFFECT), (BuyerAction.NEVER_ANSWERS, FaultKind.SILENT)],
    ids=["charged", "not charged"],
)
def test_a_repeated_payment_whose_result_can_not_be_stored_stays_undecided_until_it_is_asked_again(
    world: World, action: BuyerAction, kind: FaultKind
) -> None:
    world.paymego.befall(kind, PAY)
    ui = world.cashier(world.paymego.code(action))
    ui.hand = ui.cut_while_waiting
    with pytest.raises(PowerCut):
        world.pay(ui=ui)
    world.restart()
    world.paymego.change(CHECK, meanwhile(fill_disk))

    with pytest.raises(JournalError):
        world.pay()
    assert (world.row().state, world.unstored) == (PaymentState.PAYING, [])
    free_disk()

    decided = PaymentStatus.PAID if action is BuyerAction.PAYS else PaymentStatus.UNKNOWN
    assert world.pay().status is decided


@pytest.mark.parametrize(
    ("step", "status", "text", "ends_as", "cancellations"),
    [
        ("_code_to_send", PaymentStatus.REFUSED, Text.PAYMENT_TILL_FAULT, PaymentState.REFUSED, 0),
        ("_poll", PaymentStatus.UNKNOWN, Text.PAYMENT_CHARGE_MAY_HANG, PaymentState.UNKNOWN, 1),
        ("_paid", PaymentStatus.UNKNOWN, Text.PAYMENT_CHARGE_MAY_HANG, PaymentState.REVERSING, 1),
    ],
    ids=["before the code leaves", "after it", "after paid was stored"],
)
def test_a_fault_of_the_plugin_is_decided_in_the_same_way(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    status: PaymentStatus,
    text: Text,
    ends_as: PaymentState,
    cancellations: int,
) -> None:
    def fault(*_: object, **__: object) -> None:
        raise KeyError("canary")

    monkeypatch.setattr(_Payment, step, fault)

    result = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS if step == "_poll" else BuyerAction.PAYS))
    world.store_results()

    assert (result.status, result.message) == (status, world.text(text))
    assert (world.row().state, len(world.live())) == (ends_as, cancellations)


def test_while_the_disk_is_full_one_attempt_is_made_however_many_results_wait(till: HookedWorld) -> None:
    for payment_id in ("p1", "p2", "p3"):
        walk(till.journal, PaymentState.PAYING, payment_id)
        till.keep_result(payment_id)
    till.journal.fail_from(1)
    before = till.journal.commits

    till.background.store_results()

    assert till.journal.commits - before == 1
    till.journal.recover()
    till.background.store_results()
    assert {till.row(payment_id).state for payment_id in ("p1", "p2", "p3")} == {PaymentState.UNKNOWN}
