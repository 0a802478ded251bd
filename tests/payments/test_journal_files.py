"""The journal's files are compared before money moves and before PAID is told: a restart must find the payment."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import meanwhile
from fakes.till import scan_after
from hookspecs import PaymentStatus
from payme_plugin.ledger.connection import files_of
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import BuyerAction
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.world import World

CREATE, PAY, CHECK, GET = "receipts.create", "receipts.pay", "receipts.check", "receipts.get"
FILES = pytest.mark.parametrize("file", [0, 1, 2], ids=["database", "wal", "shm"])
WHAT = pytest.mark.parametrize("is_replaced", [False, True], ids=["deleted", "replaced"])


def _move(world: World, file: int, *, is_replaced: bool) -> None:
    path: Path = files_of(world.host.folder / FILE_NAME)[file]
    if is_replaced:
        copy = path.with_name("copy")
        shutil.copyfile(path, copy)
        copy.replace(path)
    else:
        path.unlink()


@WHAT
@FILES
def test_moved_during_the_scan_no_code_leaves(world: World, file: int, is_replaced: bool) -> None:
    code = world.paymego.code()

    result = world.pay(scan_after(lambda: _move(world, file, is_replaced=is_replaced), code))

    assert (result.status, result.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_JOURNAL_UNWRITABLE))
    assert (world.paymego.count(PAY), world.paymego.held()) == (0, 0)
    assert world.host.notices["payme.journal"] == world.text(Text.NOTICE_JOURNAL_MOVED)


@WHAT
@FILES
def test_moved_between_two_codes_the_second_does_not_leave(world: World, file: int, is_replaced: bool) -> None:
    code = world.paymego.code()

    result = world.pay("11112222333344445555", scan_after(lambda: _move(world, file, is_replaced=is_replaced), code))

    assert result.status is PaymentStatus.REFUSED
    assert (world.paymego.count(PAY), world.paymego.bank.pays(code)) == (1, 0)


@WHAT
@FILES
@pytest.mark.parametrize("method", [PAY, CHECK])
def test_moved_while_payme_answers_4_is_unknown_with_a_cancellation(
    world: World, method: str, file: int, is_replaced: bool
) -> None:
    world.paymego.change(method, meanwhile(lambda: _move(world, file, is_replaced=is_replaced)))
    action = BuyerAction.PAYS if method == PAY else BuyerAction.CONFIRMS

    result = world.pay(world.paymego.code(action, after_s=0.02))

    assert (result.status, result.payment) == (PaymentStatus.UNKNOWN, None)
    # This process still has the files: its worker returns the money.
    assert (world.row().state, len(world.live())) == (PaymentState.UNKNOWN, 1)
    assert world.host.notices["payme.journal"] == world.text(Text.NOTICE_JOURNAL_MOVED)


@FILES
def test_put_back_the_next_payment_is_taken(world: World, file: int) -> None:
    path = files_of(world.host.folder / FILE_NAME)[file]
    aside = path.with_name("aside")
    refused = world.pay(scan_after(lambda: path.rename(aside), world.paymego.code()))
    aside.rename(path)

    paid = world.pay(world.paymego.code(), payment_id="p2")

    assert (refused.status, paid.status) == (PaymentStatus.REFUSED, PaymentStatus.PAID)


def test_what_was_refused_is_ended_later_without_a_charge(world: World) -> None:
    world.pay(scan_after(lambda: _move(world, 0, is_replaced=False), world.paymego.code()))

    world.store_results()

    assert world.row().state in {PaymentState.REFUSED, PaymentState.UNKNOWN}
    assert (len(world.live()), world.paymego.held()) == (1, 0)
