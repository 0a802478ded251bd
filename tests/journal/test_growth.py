"""What a till reads and writes does not grow with its journal: SQLite takes as many steps in a long one.

Doctor and the repair read a whole journal. There SQLite works through the rows, and Python gets none of them.
"""

from __future__ import annotations

import sqlite3
import sys
import tracemalloc
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import UNRECORDED, intent_of
from fakes.long_journal import IDENTITY, make_long_journal
from fakes.memory_folder import folder_in_memory
from payme_plugin.clock import SystemClock
from payme_plugin.doctor.journal import look_at_journal
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.ledger.journal import Journal
from payme_plugin.ledger.repair import fault_in
from payme_plugin.ledger.retention import check_states, forget_finished
from payme_plugin.ledger.rows import NewCancellation, StoredResult
from payme_plugin.ledger.salvage import _rows
from payme_plugin.ledger.states import Cause, Hold, PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.floor

SHORT, LONG = 300, 3_000
AN_HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def paths() -> Iterator[tuple[Path, Path]]:
    """A short journal of finished payments and one with ten times as many."""
    with folder_in_memory() as folder:
        yield make_long_journal(folder / "short", SHORT), make_long_journal(folder / "long", LONG)


@pytest.fixture(scope="module")
def journals(paths: tuple[Path, Path]) -> Iterator[tuple[Journal, Journal]]:
    short, long = (Journal(path, host_identity=IDENTITY, clock=SystemClock()) for path in paths)
    with closing(short), closing(long):
        yield short, long


def steps(journal: Journal, work: Callable[[Journal], object]) -> int:
    """Return how many instructions SQLite carries out for ``work``."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    with journal.reading() as connection:
        connection.set_progress_handler(step, 1)
    work(journal)
    with journal.reading() as connection:
        connection.set_progress_handler(None, 1)
    return count


def sold(journal: Journal) -> str:
    return journal.payments(states={PaymentState.RECORDED}, most=1)[0].payment_id


def refund(journal: Journal) -> None:
    row = journal.payment(sold(journal))
    journal.move(row, PaymentState.REVERSING, "refunded", cancellation=NewCancellation(cause=Cause.REFUND))


def fail(journal: Journal) -> None:
    """Store a payment without a result, and its cancellation."""
    row = journal.add_intent(intent_of("failed", number=1_000_000), "a payment")
    fingerprint = journal.fingerprint("its code")
    row = journal.move(row, PaymentState.PAYING, "the code leaves", receipt_id="its receipt", fingerprint=fingerprint)
    result = StoredResult(message="unknown")
    journal.move(row, PaymentState.UNKNOWN, "time is up", result=result, cancellation=UNRECORDED)


def newest_hour(journal: Journal) -> object:
    newest = journal.payments(most=1)[0].created_at
    return journal.payments_between(newest - AN_HOUR_MS, newest)


AT_START: dict[str, Callable[[Journal], object]] = {
    "the orphans": lambda journal: journal.orphans("this process"),
    "payments in open sales": Journal.in_open_sales,
    "the last reconciliation": lambda journal: journal.last_reconciliation,
    "unacknowledged payments": lambda journal: journal.unacknowledged("this process"),
}
IN_THE_BACKGROUND: dict[str, Callable[[Journal], object]] = {
    "due cancellations": lambda journal: Cancellations(journal).due(64),
    "all due cancellations": lambda journal: Cancellations(journal).due(),
    "the next due cancellation": lambda journal: Cancellations(journal).next_due_in_ms(),
    "live cancellations": lambda journal: Cancellations(journal).live(),
    "the backlog": lambda journal: Cancellations(journal).backlog(),
    "accounts with a backlog": lambda journal: Cancellations(journal).accounts(),
    "recalled cancellations": lambda journal: Cancellations(journal).recall(),
    "held cancellations": lambda journal: Cancellations(journal).held(Hold.OLD),
    "due fiscal links": lambda journal: FiscalLinks(journal).due(64),
    "live fiscal links": lambda journal: FiscalLinks(journal).live(),
    "the next due fiscal link": lambda journal: FiscalLinks(journal).next_due_in_ms(),
    "a check of states": lambda journal: check_states(journal, 0, most=100),
    "nothing to delete": lambda journal: forget_finished(journal, 10_000, most=10),
    "the deletion of ten payments": lambda journal: forget_finished(journal, 0, most=10),
}
FOR_PEOPLE: dict[str, Callable[[Journal], object]] = {
    "thirty payments": lambda journal: journal.payments(most=30),
    "an hour's payments": newest_hour,
    "the time of the oldest payment": Journal.oldest_ms,
    "live cancellations for people": Journal.live_cancellations,
    "confirming cancellations": Journal.confirming_cancellations,
    "live fiscal links for people": Journal.live_fiscal_links,
    "unfinished payments": Journal.unfinished,
    "the events of a payment": lambda journal: journal.events(sold(journal)),
}
IN_A_SALE: dict[str, Callable[[Journal], object]] = {
    "a payment": lambda journal: journal.find(sold(journal)),
    "a payment by its receipt": lambda journal: journal.find_receipt(f"65aa{1:020x}"),
    "the payments of a sale": lambda journal: journal.payments_of_sale("till-1", 1_000_000, 1),
    "the latest cancellation of a payment": lambda journal: Cancellations(journal).latest_of(sold(journal)),
    "a failed payment": fail,
    "a refund": refund,
}


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(work, id=name)
        for work_of in (AT_START, IN_THE_BACKGROUND, FOR_PEOPLE, IN_A_SALE)
        for name, work in work_of.items()
    ],
)
def test_sqlite_takes_as_many_steps_in_a_journal_that_is_ten_times_as_long(
    journals: tuple[Journal, Journal], work: Callable[[Journal], object]
) -> None:
    short, long = (steps(journal, work) for journal in journals)

    assert 0 < long <= short + 50


def calls(work: Callable[[Path], object], path: Path) -> int:
    """Return how many functions Python calls for ``work``."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        work(path)
    finally:
        sys.setprofile(None)
    return count


def test_the_check_of_a_whole_journal_gives_python_no_row_of_it(paths: tuple[Path, Path]) -> None:
    assert look_at_journal(paths[1]).trouble is None  # what it imports is loaded now
    short, long = (calls(fault_in, path) for path in paths)

    assert 0 < long <= short + 50


def test_a_repair_remembers_the_numbers_of_a_tables_rows_in_a_few_bytes(paths: tuple[Path, Path]) -> None:
    def peak(path: Path) -> int:
        with closing(sqlite3.connect(path)) as source:
            source.row_factory = sqlite3.Row
            tracemalloc.start()
            try:
                assert sum(1 for _ in _rows(source, "event", set())) > SHORT
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    short, long = (peak(path) for path in paths)

    assert long <= short + LONG * 10  # of its 30,000 events
