"""A journal that fails in the middle of a payment: its disk is full, or its files are no longer in place.

The result is UNKNOWN if a code may have been sent, and it is stored as soon as a write succeeds. Each test fills the
disk at the moment that it needs.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import meanwhile
from fakes.journal_rows import walk
from fakes.till import STALE, open_sale, scan_after
from faults.full_disk import fill_disk, free_disk
from hookspecs import PaymentStatus
from payme_plugin.ledger.connection import files_of
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.operations.payment import _Payment
from payme_plugin.sandbox import BuyerAction
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.hooked_world import HookedWorld
    from fakes.world import World

CREATE, PAY, CHECK, GET = "receipts.create", "receipts.pay", "receipts.check", "receipts.get"


@pytest.fixture(autouse=True)
def _room_again() -> Iterator[None]:
    yield
    free_disk()


@pytest.mark.parametrize(
    ("method", "action", "stops_at"),
    [
        (PAY, BuyerAction.PAYS, None),
        (PAY, BuyerAction.LACKS_FUNDS, None),
        (PAY, BuyerAction.NEVER_ANSWERS, None),
        (PAY, BuyerAction.DECLINES, None),
        (CHECK, BuyerAction.NEVER_ANSWERS, 3),
        (CHECK, None, None),
    ],
    ids=["paid", "refused", "unknown", "declined", "aborted", "stale"],
)
def test_after_a_code_was_sent_the_result_is_unknown_and_stored_with_a_cancellation_once_a_write_succeeds(
    world: World, method: str, action: BuyerAction | None, stops_at: float | None
) -> None:
    world.paymego.change(method, meanwhile(fill_disk))
    code = STALE if action is None else world.paymego.code(action)
    ui = world.cashier(code, world.paymego.code(), stops_at=stops_at)

    outcome = world.pay(ui=ui)

    assert (outcome.status, outcome.message) == (PaymentStatus.UNKNOWN, world.text(Text.PAYMENT_CHARGE_MAY_HANG))
    assert (outcome.payment, outcome.slips, outcome.receipt_attributes, outcome.cancellation_queued) == (
        None,
        (),
        {},
        False,
    )
    assert (world.path_of(), world.unstored) == (["intent", "paying"], ["p1"])
    assert world.host.notices == {"payme.journal": world.text(Text.NOTICE_JOURNAL_UNWRITABLE)}
    assert (len(ui.prompts), world.paymego.count(PAY), world.paymego.count(GET)) == (1, 1, 0)
    free_disk()
    world.store_results()
    assert world.path_of() == ["intent", "paying", "unknown"]
    assert [row.cause for row in world.live()] == [Cause.UNRECORDED]
    assert world.pay().status is PaymentStatus.UNKNOWN


def _fill_at_create(world: World) -> list[object]:
    world.paymego.change(CREATE, meanwhile(fill_disk))
    return [world.paymego.code()]


@pytest.mark.parametrize(
    ("scan", "cancellations"),
    [
        (_fill_at_create, 0),
        (lambda world: [STALE, scan_after(fill_disk, world.paymego.code())], 1),
        (lambda world: [STALE, scan_after(fill_disk, None)], 1),
    ],
    ids=["its receipt", "its next code", "the stop"],
)
def test_a_payment_of_which_no_code_can_be_charged_is_refused_if_it_can_not_be_stored(
    world: World, scan: Callable[[World], list[object]], cancellations: int
) -> None:
    outcome = world.pay(*scan(world))

    assert (outcome.status, outcome.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_JOURNAL_UNWRITABLE))
    assert [sent.code for sent in world.paymego.sent if sent.method == PAY] == [STALE] * cancellations
    free_disk()
    world.store_results()
    assert (world.row().state, len(world.live())) == (PaymentState.REFUSED, cancellations)


@pytest.mark.parametrize(
    ("state", "is_acknowledged", "after"),
    [
        (PaymentState.INTENT, False, PaymentState.REFUSED),
        (PaymentState.CREATED, False, PaymentState.REFUSED),
        (PaymentState.PAYING, False, PaymentState.UNKNOWN),
        (PaymentState.PAYING, True, PaymentState.UNKNOWN),
        (PaymentState.PAID, False, PaymentState.REVERSING),
        (PaymentState.PAID, True, PaymentState.RECORDED),
        (PaymentState.ABORTED, False, PaymentState.ABORTED),
    ],
)
def test_a_kept_result_is_stored_from_any_state_unless_the_payment_has_ended(
    world: World, state: PaymentState, is_acknowledged: bool, after: PaymentState
) -> None:
    row = walk(world.journal, PaymentState.PAYING if is_acknowledged else state)
    if is_acknowledged:
        row = world.journal.acknowledge(row)
    if is_acknowledged and state is PaymentState.PAID:
        world.journal.move(row, state, "Payme says paid (4)")
    world.keep_result("p1")

    world.store_results()

    without = {PaymentState.INTENT: 0, PaymentState.PAID: int(not is_acknowledged)}
    assert (world.row().state, len(world.live())) == (after, without.get(state, 1))


def test_kept_results_are_stored_at_one_attempt_while_none_can_be_and_without_one_whose_row_is_damaged(
    till: HookedWorld,
) -> None:
    others = ["p1", "p2", "p3"]
    for payment_id in ("damaged", *others):
        walk(till.journal, PaymentState.PAYING, payment_id)
        till.keep_result(payment_id)
    till.journal.fail_from(1)
    before = till.journal.commits
    till.background.store_results()
    assert till.journal.commits - before == 1

    till.journal.recover()
    with till.journal.writing() as connection:
        connection.execute("UPDATE payment SET owner = CAST(x'ff' AS TEXT) WHERE payment_id = 'damaged'")
    till.background.store_results()

    assert {till.row(payment_id).state for payment_id in others} == {PaymentState.UNKNOWN}
    assert [len(till.live(payment_id)) for payment_id in others] == [1, 1, 1]


def test_nothing_more_is_charged_until_a_write_succeeds(world: World) -> None:
    world.paymego.change(PAY, meanwhile(fill_disk))
    world.pay(world.paymego.code())

    refused = world.pay(world.paymego.code(), payment_id="p2", receipt=open_sale(2))
    free_disk()
    paid = world.pay(world.paymego.code(), payment_id="p3", receipt=open_sale(3))

    assert (refused.status, paid.status) == (PaymentStatus.REFUSED, PaymentStatus.PAID)
    assert world.paymego.methods == ["create", "pay", "create", "pay"]


@pytest.mark.parametrize(
    ("step", "status", "text", "ends_as"),
    [
        ("_code_to_send", PaymentStatus.REFUSED, Text.PAYMENT_TILL_FAULT, PaymentState.REFUSED),
        ("_poll", PaymentStatus.UNKNOWN, Text.PAYMENT_CHARGE_MAY_HANG, PaymentState.UNKNOWN),
        ("_paid", PaymentStatus.UNKNOWN, Text.PAYMENT_CHARGE_MAY_HANG, PaymentState.REVERSING),
    ],
    ids=["before the code is sent", "after it", "after paid was stored"],
)
def test_a_fault_of_the_plugin_is_decided_in_the_same_way(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str, status: PaymentStatus, text: Text, ends_as: PaymentState
) -> None:
    def fault(*_: object, **__: object) -> None:
        raise KeyError("canary")

    monkeypatch.setattr(_Payment, step, fault)

    outcome = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS if step == "_poll" else BuyerAction.PAYS))
    world.store_results()

    assert (outcome.status, outcome.message) == (status, world.text(text))
    assert (world.row().state, len(world.live())) == (ends_as, int(status is PaymentStatus.UNKNOWN))


# ---------------------------------------------------------------------------------------------------------------------
# Its files were moved: a restart would not find the payment
# ---------------------------------------------------------------------------------------------------------------------


def _replace(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    copy.replace(path)


def _move_away(path: Path) -> None:
    path.rename(path.with_name("aside"))


MOVES = pytest.mark.parametrize("move", [_move_away, _replace], ids=["moved away", "replaced"])
FILES = pytest.mark.parametrize("file", [0, 1, 2], ids=["database", "wal", "shm"])


@MOVES
@FILES
@pytest.mark.parametrize("before", [[], [STALE]], ids=["first code", "second code"])
def test_if_they_are_moved_during_the_scan_no_code_is_sent(
    world: World, before: list[str], file: int, move: Callable[[Path], None]
) -> None:
    path, code = files_of(world.host.folder / FILE_NAME)[file], world.paymego.code()

    refused = world.pay(*before, scan_after(lambda: move(path), code))

    assert (refused.status, refused.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_JOURNAL_UNWRITABLE))
    assert (world.paymego.count(PAY), world.paymego.bank.pays(code)) == (len(before), 0)
    assert world.host.notices["payme.journal"] == world.text(Text.NOTICE_JOURNAL_MOVED)
    if move is _move_away:
        path.with_name("aside").rename(path)
        assert world.pay(world.paymego.code(), payment_id="p2").status is PaymentStatus.PAID
    world.store_results()
    assert world.row().state in {PaymentState.REFUSED, PaymentState.UNKNOWN}
    assert len(world.live()) == 1


@MOVES
@FILES
@pytest.mark.parametrize("method", [PAY, CHECK])
def test_if_they_are_moved_while_payme_answers_4_it_is_unknown_with_a_cancellation(
    world: World, method: str, file: int, move: Callable[[Path], None]
) -> None:
    path = files_of(world.host.folder / FILE_NAME)[file]
    world.paymego.change(method, meanwhile(lambda: move(path)))
    action = BuyerAction.PAYS if method == PAY else BuyerAction.CONFIRMS

    outcome = world.pay(world.paymego.code(action, after_s=0.02))

    assert (outcome.status, outcome.payment) == (PaymentStatus.UNKNOWN, None)
    # This process still has the files: its worker returns the money.
    assert (world.row().state, len(world.live())) == (PaymentState.UNKNOWN, 1)
    assert world.host.notices["payme.journal"] == world.text(Text.NOTICE_JOURNAL_MOVED)
