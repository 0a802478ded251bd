"""Guarantee 7: while another connection holds the journal's lock, every hook answers within one busy timeout in all."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from fakes.till import open_sale
from hookspecs import HookFailed, PaymentStatus
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.states import PaymentState
from tests.plugin.conftest import hooks_about

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.served_till import ServedTill
    from hookspecs import PaymentRecord

BUSY_TIMEOUT_S = 2.0
SLACK_S = 1.0
"""What a busy machine adds; a second busy timeout would be more."""

RECEIPTS = 4


@contextmanager
def locked(till: ServedTill) -> Iterator[None]:
    """Hold the journal's write lock."""
    other = sqlite3.connect(till.host.folder / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


def sell(till: ServedTill) -> list[PaymentRecord]:
    """Sell several receipts that the host has not acknowledged."""
    results = [till.pay(till.code(), payment_id=f"p{n}", receipt=open_sale(n)) for n in range(1, RECEIPTS + 1)]
    return [result.payment for result in results if result.payment is not None]


def hooks(till: ServedTill, records: list[PaymentRecord]) -> dict[str, Callable[[], object]]:
    return {
        **{name: partial(hook, till.plugins) for name, hook in hooks_about(*records).items()},
        "on_payment": lambda: till.pay(till.code(), payment_id="new", receipt=open_sale(60)).status,
        "on_payment, repeated": lambda: till.pay(payment_id="p1", receipt=open_sale(1), repeated=True).status,
        "on_payment, result unstored": lambda: till.pay(payment_id="p4", receipt=open_sale(4), repeated=True).status,
        "on_ready": till.plugins.on_ready,
        "on_stop": till.plugins.on_stop,
    }


ANSWERS = {
    "on_payment": PaymentStatus.REFUSED,
    "on_payment, repeated": PaymentStatus.PENDING,
    "on_payment, result unstored": PaymentStatus.PENDING,
    "on_payment_recorded": HookFailed,
    "on_ready": HookFailed,
    "on_cancel": HookFailed,
    "validate_refund": [],
    "on_full_refund": HookFailed,
    "on_receipt_closed": HookFailed,
    "on_stop": None,
}


@pytest.mark.parametrize("hook", ANSWERS, ids=lambda hook: hook.replace(", ", "-").replace(" ", "-"))
def test_a_hook_waits_for_a_locked_journal_once_however_much_there_is_to_store(
    new_till: Callable[..., ServedTill], hook: str
) -> None:
    first = new_till()
    records = sell(first)
    first.plugins.on_stop()
    till = new_till(starts=False)
    till.plugins.on_start(till.host)
    (plugin,) = till.plugins._manager.get_plugins()
    keep_result = plugin._dispatcher._service.background.keep_result

    with locked(till):
        keep_result("p4")  # as a result that was returned and could not be stored
        began = time.monotonic()
        try:
            answer = hooks(till, records)[hook]()
        except HookFailed as failure:
            answer = type(failure)
        took_s = time.monotonic() - began

    assert answer == ANSWERS[hook]
    assert took_s < BUSY_TIMEOUT_S + SLACK_S


def test_a_host_whose_receipts_wait_sells_on_and_stores_them_once_the_lock_is_gone(
    new_till: Callable[..., ServedTill],
) -> None:
    till = new_till()
    records = sell(till)

    with locked(till):
        began = time.monotonic()
        for record in records:
            with pytest.raises(HookFailed):
                till.plugins.on_payment_recorded(record)
        took_s = time.monotonic() - began

    assert took_s < RECEIPTS * BUSY_TIMEOUT_S / 2 + SLACK_S
    for record in records:
        till.plugins.on_payment_recorded(record)
    assert {till.row(record.payment_id).state for record in records} == {PaymentState.RECORDED}
    assert till.pay(till.code(), payment_id="next", receipt=open_sale(9)).status is PaymentStatus.PAID
