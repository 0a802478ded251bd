"""The journal is deleted, moved or replaced under a till that works: nothing is charged that only a lost file knows."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from fakes.till import open_sale
from fakes.waiting import comes_true
from hookspecs import HookFailed, PaymentStatus
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox import BuyerAction, FaultKind, InjectedFault
from payme_plugin.texts import Text, Texts
from tests.plugin.conftest import hooks_about

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.served_till import ServedTill

RU = Texts("ru")


def folder_deleted(folder: Path) -> None:
    shutil.rmtree(folder)


def folder_moved(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


def folder_replaced(folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    shutil.copytree(folder.with_name("away"), folder)


def journal_deleted(folder: Path) -> None:
    for file in folder.glob(f"{FILE_NAME}*"):
        file.unlink()


def log_deleted(folder: Path) -> None:
    (folder / f"{FILE_NAME}-wal").unlink()


def index_deleted(folder: Path) -> None:
    (folder / f"{FILE_NAME}-shm").unlink()


def locks_deleted(folder: Path) -> None:
    """Then another process could lead beside this one."""
    (folder / "leases").unlink()


def journal_replaced(folder: Path) -> None:
    """As a backup is brought back: another file under the same name."""
    for file in list(folder.glob(f"{FILE_NAME}*")):
        shutil.copy2(file, folder / "copy")
        (folder / "copy").replace(file)


HARMS = [
    folder_deleted, folder_moved, folder_replaced, journal_deleted, log_deleted, index_deleted, locks_deleted,
    journal_replaced,
]  # fmt: skip


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_nothing_is_charged_or_stored_and_the_till_says_why(till: ServedTill, harm: Callable[[Path], None]) -> None:
    record = till.pay(till.code()).payment
    assert record is not None
    harm(till.host.folder)
    was_there, sent = till.host.folder.exists(), len(till.sandbox.requests)
    hooks = hooks_about(record)

    refused = till.pay(till.code(), payment_id="p2", receipt=open_sale(2))
    for name in ("on_payment_recorded", "on_cancel", "on_full_refund", "on_receipt_closed"):
        with pytest.raises(HookFailed):
            hooks[name](till.plugins)
    with pytest.raises(HookFailed):
        till.plugins.on_ready()

    assert (refused.status, refused.message) == (PaymentStatus.REFUSED, RU(Text.PAYMENT_JOURNAL_UNWRITABLE))
    assert till.pay(repeated=True).status is PaymentStatus.PENDING
    assert till.host.notices["payme.journal"] == RU(Text.NOTICE_JOURNAL_MOVED)
    assert till.requests_since(sent) == []
    assert till.host.folder.exists() is was_there, "no new journal is begun in the place of the old one"
    assert till.plugins.faults == ()


def test_put_back_where_it_was_it_is_used_again(till: ServedTill) -> None:
    assert till.pay(till.code(), payment_id="p1").status is PaymentStatus.PAID
    folder_moved(till.host.folder)
    assert till.pay(till.code(), payment_id="p2", receipt=open_sale(2)).status is PaymentStatus.REFUSED
    till.host.folder.with_name("away").rename(till.host.folder)

    assert till.pay(till.code(), payment_id="p3", receipt=open_sale(3)).status is PaymentStatus.PAID
    assert "payme.journal" not in till.host.notices
    assert {till.row("p1").state.value, till.row("p3").state.value} == {"paid"}


def test_what_a_deleted_journal_still_owes_goes_back_before_it_is_lost(till: ServedTill) -> None:
    till.sandbox.inject(InjectedFault(FaultKind.ERROR, "receipts.cancel", times=None, error_code=-31900))
    unknown = till.pay(till.code(BuyerAction.NEVER_ANSWERS))
    assert unknown.status is PaymentStatus.UNKNOWN
    assert comes_true(lambda: "cancel" in till.requests_since(0)[-3:])
    journal_deleted(till.host.folder)
    till.sandbox.clear_faults()

    (receipt,) = [each for each in till.sandbox.receipts() if each.receipt_id == unknown.receipt_id]
    bank = till.sandbox.bank
    assert comes_true(lambda: bank.receipt(till.sandbox.now_ms(), receipt.receipt_id).state == ReceiptState.CANCELLED)


def test_the_worker_shows_it_without_a_sale(till: ServedTill) -> None:
    till.sandbox.inject(InjectedFault(FaultKind.ERROR, "receipts.cancel", times=None, error_code=-31900))
    assert till.pay(till.code(BuyerAction.NEVER_ANSWERS)).status is PaymentStatus.UNKNOWN
    journal_replaced(till.host.folder)

    # A run that is under way leaves it to the next one, at most 20 s later.
    assert comes_true(lambda: till.host.notices.get("payme.journal") == RU(Text.NOTICE_JOURNAL_MOVED), 40)


def test_what_the_worker_finds_damaged_stops_the_sale(till: ServedTill, caplog: pytest.LogCaptureFixture) -> None:
    till.sandbox.inject(InjectedFault(FaultKind.ERROR, "receipts.cancel", times=None, error_code=-31900))
    assert till.pay(till.code(BuyerAction.NEVER_ANSWERS), payment_id="p1").status is PaymentStatus.UNKNOWN
    with closing(sqlite3.connect(till.host.folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("PRAGMA ignore_check_constraints = ON")
        other.execute("UPDATE cancellation SET cause = 'whim'")
    assert comes_true(lambda: "the cancellation 1 is invalid" in caplog.text)
    sent = len(till.sandbox.requests)
    refused = till.pay(till.code(), payment_id="p2", receipt=open_sale(2))

    assert (refused.status, till.requests_since(sent)) == (PaymentStatus.REFUSED, [])
    assert till.host.notices["payme.journal"] == RU(Text.NOTICE_JOURNAL_DAMAGED)
