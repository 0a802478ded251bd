"""When a row is due: at its moment, and at once where the clock on the wall has jumped since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from journal_walks import walk
from payme_plugin.ledger.cancellations import FARTHEST_DUE_MS, Cancellations
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.ledger.journal import Journal
    from virtual_clock import VirtualClock

    Rows = Cancellations | FiscalLinks
    Wait = Callable[[str, int], Rows]

pytestmark = pytest.mark.floor


@pytest.fixture(params=[Cancellations, FiscalLinks])
def wait(request: pytest.FixtureRequest, journal: Journal) -> Wait:
    """Add a row that is due in so many milliseconds, and return its queue."""

    def add(payment_id: str, pause_ms: int) -> Rows:
        if request.param is Cancellations:
            rows = Cancellations(journal)
            walk(journal, PaymentState.UNKNOWN, payment_id)
            rows.postpone(rows.live_of(payment_id), pause_ms, "no answer")
            return rows
        links = FiscalLinks(journal)
        links.add(walk(journal, PaymentState.RECORDED, payment_id), "https://ofd.soliq.uz/check?t=1")
        links.postpone(links.live()[-1], pause_ms, "no answer")
        return links

    return add


def due(rows: Rows) -> list[str]:
    return [row.payment_id for row in rows.due(9)]


def test_a_row_is_due_at_its_moment_the_longest_due_first(wait: Wait, clock: VirtualClock) -> None:
    wait("p1", 9000)
    rows = wait("p2", 5000)

    assert (rows.next_due_in_ms(), due(rows)) == (5000, [])
    clock.sleep(5)
    assert (rows.next_due_in_ms(), due(rows)) == (0, ["p2"])
    clock.sleep(5)
    assert (rows.next_due_in_ms(), due(rows)) == (0, ["p2", "p1"])


def test_a_clock_set_back_by_less_than_the_longest_pause_is_waited_for(wait: Wait, clock: VirtualClock) -> None:
    rows = wait("p1", 5000)
    clock.set_wall(5000 - FARTHEST_DUE_MS)

    assert (rows.next_due_in_ms(), due(rows)) == (FARTHEST_DUE_MS, [])


def test_a_clock_set_back_by_more_makes_a_row_due_at_once(wait: Wait, clock: VirtualClock) -> None:
    wait("p1", 5000)
    clock.set_wall(4999 - FARTHEST_DUE_MS)
    rows = wait("p2", 5000)

    assert (rows.next_due_in_ms(), due(rows)) == (0, ["p1"])


def test_a_clock_set_forward_makes_a_row_due_at_once(wait: Wait, clock: VirtualClock) -> None:
    rows = wait("p1", 5000)
    clock.set_wall(86_400_000)

    assert (rows.next_due_in_ms(), due(rows)) == (0, ["p1"])


def test_where_no_row_is_live_none_is_due(journal: Journal) -> None:
    for rows in (Cancellations(journal), FiscalLinks(journal)):
        assert (rows.next_due_in_ms(), rows.due(9)) == (None, [])
