"""With an invalid row, as a bad disk leaves it, nothing is charged and the other rows are delivered."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from fakes.owed_money import owe_paid
from fakes.till import open_sale, request_for
from hookspecs import PaymentStatus, QueueVerdict, ReversalStatus
from payme_plugin.delivery.host_queue import message_of
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.states import PaymentState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld

DAY_MS = 86_400_000

CORRUPTIONS = {
    "payment.state": "UPDATE payment SET state = 'paie'",
    "payment.message": "UPDATE payment SET message = CAST(x'd0' AS TEXT)",
    "payment.receipt_id": "UPDATE payment SET receipt_id = CAST(x'd0' || rowid AS TEXT)",
    "cancellation.cause": "UPDATE cancellation SET cause = 'whim'",
    "cancellation.url": "UPDATE cancellation SET url = CAST(x'd0' AS TEXT)",
    "payment.owner": "UPDATE payment SET owner = 'a' || char(0) || 'b'",
    "event.after": "UPDATE event SET after = 'lost'",
}


def corrupt(till: HookedWorld, statement: str) -> None:
    with closing(sqlite3.connect(till.host.folder / FILE_NAME, isolation_level=None)) as other:
        other.execute("PRAGMA ignore_check_constraints = ON")
        other.execute(statement)


@pytest.mark.parametrize("invalid", CORRUPTIONS)
def test_a_hook_raises_only_what_the_host_repeats(till: HookedWorld, invalid: str) -> None:
    row = owe_paid(till, "p1", 1)
    sold = till.sell("p2", 2)
    closed = till.sell_and_close("p3", 3)
    corrupt(till, CORRUPTIONS[invalid])

    assert till.message(message_of(row)) in {QueueVerdict.RETRY, QueueVerdict.DONE}
    till.violations(closed)
    hooks: list[Callable[[], object]] = [
        lambda: till.refund(closed),
        lambda: till.cancel(sold),
        lambda: till.close_sale(sold),
        lambda: till.dispatcher.acknowledge(sold.record),
    ]
    for hook in hooks:
        with suppress(Damaged):  # the host keeps it and repeats it
            hook()
    for number in (2, 4):
        till.dispatcher.pay(request_for(f"p{number}", receipt=open_sale(number)), till.cashier(till.paymego.code()))
    till.work(60)
    till.restart()
    with suppress(Damaged):
        till.dispatcher.ready()
    till.work(60)
    till.background.stop()


def test_an_invalid_cancellation_that_ended_does_not_stop_a_cancel(till: HookedWorld) -> None:
    sold = till.sell("p1", 1)
    corrupt(
        till,
        "INSERT INTO cancellation"
        " (payment_id, receipt_id, amount, pos_id, url, cause, created_at, due_at, ended_at, ended_as)"
        " SELECT payment_id, receipt_id, amount, pos_id, url, 'nonsense', 1, 1, 1, 'withdrawn' FROM payment",
    )

    assert till.cancel(sold).status is ReversalStatus.REVERSED
    assert till.paymego.held() == 0


def test_the_money_of_the_others_goes_back_and_nothing_more_is_charged(till: HookedWorld) -> None:
    for number in (1, 2, 3):
        owe_paid(till, f"p{number}", number)
    corrupt(till, f"{CORRUPTIONS['cancellation.cause']} WHERE payment_id = 'p2'")
    till.work(60)
    assert till.paymego.held() == 1_500_000
    sent = len(till.paymego.sent)
    refused = till.dispatcher.pay(request_for("p4", receipt=open_sale(4)), till.cashier())

    assert till.host.notices["payme.journal"] == till.text(Text.NOTICE_JOURNAL_DAMAGED)
    assert refused is not None
    assert (refused.status, refused.message) == (
        PaymentStatus.REFUSED,
        till.text(Text.PAYMENT_JOURNAL_UNWRITABLE),
    )
    assert len(till.paymego.sent) == sent


@pytest.mark.parametrize("column", ["cause", "pos_id", "created_at", "reopened_at"])
def test_an_invalid_cancellation_stops_none_of_the_others_whichever_column_it_is(
    till: HookedWorld, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = owe_paid(till, "p1", 1)
    owe_paid(till, "p2", 2)
    value = {"cause": "'whim'", "pos_id": "CAST(x'd0' AS TEXT)"}.get(column, "-9223372036854775808")
    corrupt(till, f"UPDATE cancellation SET {column} = {value} WHERE payment_id = 'p2'")  # noqa: S608 - our own names

    till.work(60)

    assert till.paymego.state(first.receipt_id) == 50
    assert "met a fault" not in caplog.text, "the notices are updated too"


def test_damage_that_only_a_look_at_all_rows_meets_stops_no_delivery(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe_paid(till)
    damaged = Mock(side_effect=Damaged("database disk image is malformed"))
    monkeypatch.setattr(Cancellations, "backlog", damaged)

    till.work(60)

    assert till.paymego.held() == 0


def test_a_state_in_no_list_of_what_is_to_be_done_is_found_by_the_daily_check(till: HookedWorld) -> None:
    till.sell("p1", 1)
    till.work()
    corrupt(till, CORRUPTIONS["payment.state"])
    till.work(DAY_MS / 1000 + 60)

    assert till.host.notices["payme.journal"] == till.text(Text.NOTICE_JOURNAL_DAMAGED)


def test_a_payment_with_an_invalid_owner_is_acknowledged_and_keeps_its_money(till: HookedWorld) -> None:
    sold = till.sell("p1")
    corrupt(till, CORRUPTIONS["payment.owner"])
    till.restart()
    till.dispatcher.acknowledge(sold.record)
    till.dispatcher.ready()
    till.work(5)

    assert till.row("p1").state is PaymentState.RECORDED
    assert till.paymego.held() == sold.record.amount
