"""The table of transitions (docs/payment.md): what is in it passes, anything else changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from journal_walks import UNRECORDED, contents, walk
from payme_plugin.ledger.errors import StateMoved
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.rows import Verdict
from payme_plugin.ledger.states import PaymentState
from virtual_clock import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.floor

INTENT, CREATED, PAYING = PaymentState.INTENT, PaymentState.CREATED, PaymentState.PAYING
PAID, RECORDED = PaymentState.PAID, PaymentState.RECORDED
REFUSED, ABORTED, UNKNOWN = PaymentState.REFUSED, PaymentState.ABORTED, PaymentState.UNKNOWN
REVERSING, REVERSED = PaymentState.REVERSING, PaymentState.REVERSED

ALLOWED = {
    (INTENT, CREATED), (INTENT, REFUSED), (INTENT, ABORTED),
    (CREATED, PAYING), (CREATED, REFUSED), (CREATED, ABORTED), (CREATED, UNKNOWN),
    (PAYING, CREATED), (PAYING, PAID), (PAYING, REFUSED), (PAYING, ABORTED), (PAYING, UNKNOWN),
    (PAID, RECORDED), (PAID, REVERSING),
    (RECORDED, REVERSING),
    (REVERSING, REVERSED), (REVERSING, RECORDED),
}  # fmt: skip

PAIRS = [(before, after) for before in PaymentState for after in PaymentState]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    path = tmp_path_factory.mktemp("transitions") / FILE_NAME
    journal = Journal(path, host_identity="till-1", clock=VirtualClock())
    yield journal
    journal.close()


def _named(pair: tuple[PaymentState, PaymentState]) -> str:
    return f"{pair[0].value}-{pair[1].value}"


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair in ALLOWED], ids=_named)
def test_a_transition_in_the_table_is_taken_and_told(shared: Journal, pair: tuple[PaymentState, PaymentState]) -> None:
    before, after = pair
    row = walk(shared, before, _named(pair))

    moved = shared.move(row, after, "as the table says")

    assert moved == shared.payment(row.payment_id)
    assert moved.state is after
    last = shared.events(row.payment_id)[-1]
    assert (last.before, last.after, last.text) == (before, after, "as the table says")


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair not in ALLOWED], ids=_named)
def test_any_other_transition_raises_and_changes_nothing(
    shared: Journal, pair: tuple[PaymentState, PaymentState]
) -> None:
    before, after = pair
    row = walk(shared, before, _named(pair))
    held = contents(shared)

    with pytest.raises(StateMoved, match=f"from {before.value} to {after.value}"):
        shared.move(row, after, "no such road", verdict=Verdict(message="no"), cancellation=UNRECORDED)

    assert contents(shared) == held
