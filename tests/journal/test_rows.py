"""A row that a flipped bit made invalid raises ``Damaged`` and no other error."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.journal_rows import UNRECORDED, corrupt, intent_of, walk
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.ledger.journal import Journal
from payme_plugin.ledger.rows import CancellationRow, EventRow, FiscalLinkRow, PaymentRow, row_of
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.clock import VirtualClock

pytestmark = pytest.mark.floor

NO_UTF_8 = b"\xd0"


@pytest.mark.parametrize(
    ("table", "column", "value", "read"),
    [
        ("payment", "state", "paie", lambda journal: journal.find("p1")),
        ("payment", "message", NO_UTF_8, lambda journal: journal.find_receipt("receipt-of-p1")),
        ("payment", "state", "", lambda journal: journal.payments_of_sale("till-1", 3, 1)),
        ("event", "after", "unknowm", lambda journal: journal.events("p1")),
        ("cancellation", "cause", "unknown", lambda journal: journal.live_cancellations()),
        ("cancellation", "url", NO_UTF_8, lambda journal: journal.cancellation(1)),
        ("cancellation", "last_error", NO_UTF_8, lambda journal: Cancellations(journal).latest_of("p1")),
        ("about", "value", NO_UTF_8, lambda journal: journal.host_identity),
    ],
)
def test_reading_an_invalid_row_raises_damage(
    journal: Journal, path: Path, table: str, column: str, value: str | bytes, read: Callable[[Journal], object]
) -> None:
    walk(journal, PaymentState.UNKNOWN)
    corrupt(path, table, column, value)

    with pytest.raises(Damaged) as raised:
        read(journal)
    assert journal.damage is not None
    if isinstance(value, str):
        assert re.search(f"^the {table} .* is invalid: its {column}$", str(raised.value)), "not the value"


@pytest.mark.parametrize("kind", [PaymentRow, EventRow, CancellationRow, FiscalLinkRow])
@given(data=st.data())
def test_whatever_is_in_a_row_it_is_data_of_the_right_types_or_damage(kind: type[Any], data: st.DataObject) -> None:
    value = st.one_of(
        st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary(max_size=9),
        st.sampled_from([0, 1, "paid", "recorded", "cancel", "unrecorded", ""]),
    )  # fmt: skip
    names = list(kind._fields)
    missing = data.draw(st.sampled_from([None, *names]))
    columns = {name: data.draw(value) for name in names if name != missing}
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        question = ", ".join(f'? AS "{name}"' for name in columns)
        stored = connection.execute(f"SELECT {question}", list(columns.values())).fetchone()
    try:
        row = row_of(kind, stored)
    except Damaged:
        return
    assert missing is None
    for name, hint in get_type_hints(kind).items():
        assert type(getattr(row, name)) in (get_args(hint) or (hint,))


# ---------------------------------------------------------------------------------------------------------------------
# Work goes on beside it
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["unknown", NO_UTF_8])
def test_an_invalid_row_is_left_out_of_work_and_logged_once(
    journal: Journal, path: Path, caplog: pytest.LogCaptureFixture, value: str | bytes
) -> None:
    for name in ("p1", "p2", "p3"):
        walk(journal, PaymentState.UNKNOWN, name)
    corrupt(path, "cancellation", "cause", value, "payment_id = 'p2'")
    rows = Cancellations(journal)

    for _ in range(3):
        assert [row.payment_id for row in rows.due(2)] == ["p1", "p3"], "however few are asked for"
        assert [row.payment_id for row in rows.live()] == ["p1", "p3"]
    assert rows.backlog()[0] == 3
    assert [record.getMessage() for record in caplog.records] == [
        "the journal is damaged: the cancellation 2 is invalid: its cause"
    ]


def test_events_that_can_not_be_read_do_not_stop_cancellations(
    journal: Journal, path: Path, clock: VirtualClock
) -> None:
    walk(journal, PaymentState.UNKNOWN)
    journal.close()
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    whole = path.read_bytes()
    path.write_bytes(whole[: (page - 1) * size] + b"\xff" * size + whole[page * size :])

    again = Journal(path, host_identity="till-1", clock=clock)

    assert [row.payment_id for row in Cancellations(again).due(9)] == ["p1"]
    with pytest.raises(Damaged):
        again.add_intent(intent_of("p2"), "a tender was picked")
    assert again.find("p2") is None
    assert again.damage is not None
    again.close()


@pytest.mark.parametrize("where", ["payment_id = 'p1'", "payment_id = 'p3'"], ids=["first", "last"])
def test_an_invalid_row_does_not_decide_when_the_next_one_is_due(
    journal: Journal, path: Path, clock: VirtualClock, where: str
) -> None:
    rows = Cancellations(journal)
    for name in ("p1", "p2", "p3"):
        rows.postpone(rows.live_of(walk(journal, PaymentState.UNKNOWN, name).payment_id), 5000, "no answer")
        clock.sleep(1)
    corrupt(path, "cancellation", "cause", "unknown", where)
    with journal.writing() as connection:
        connection.execute(f"UPDATE cancellation SET due_at = {2**62 if '3' in where else 0} WHERE {where}")  # noqa: S608

    assert rows.next_due_in_ms() == (5000 - 2000 if "'p1'" in where else 5000 - 3000)
    corrupt(path, "cancellation", "cause", "unknown")
    assert rows.next_due_in_ms() is None


def test_recovery_and_fiscal_links_go_on_beside_an_invalid_row(journal: Journal, path: Path) -> None:
    for name in ("p1", "p2", "p3"):
        row = walk(journal, PaymentState.PAID, name)
        FiscalLinks(journal).add(row, "https://ofd.soliq.uz/check?t=1")
    assert [row.payment_id for row in FiscalLinks(journal).due(9)] == ["p1", "p2", "p3"]
    corrupt(path, "fiscal_link", "link", NO_UTF_8, "payment_id = 'p1'")
    assert [row.payment_id for row in FiscalLinks(journal).due(9)] == ["p2", "p3"]

    corrupt(path, "payment", "message", NO_UTF_8, "payment_id = 'p2'")
    assert [row.payment_id for row in journal.unfinished()] == ["p1", "p3"]
    corrupt(path, "payment", "state", "recorded")
    assert [row.payment_id for row in journal.in_open_sales()] == ["p1", "p3"]


# ---------------------------------------------------------------------------------------------------------------------
# Nothing is charged
# ---------------------------------------------------------------------------------------------------------------------


def test_after_damage_no_payment_begins_and_running_ones_end(journal: Journal, path: Path) -> None:
    under_way = walk(journal, PaymentState.PAYING, "p1")
    walk(journal, PaymentState.UNKNOWN, "p2")
    corrupt(path, "cancellation", "cause", "unknown")
    Cancellations(journal).live()

    with pytest.raises(Damaged, match="cancellation 1"):
        journal.add_intent(intent_of("p3"), "a tender was picked")
    assert journal.find("p3") is None
    assert journal.move(under_way, PaymentState.UNKNOWN, "over", cancellation=UNRECORDED).cancellation_queued
