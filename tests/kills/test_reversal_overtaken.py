"""Another process may end a cancellation while the host's own call is about to: the call reads again and obeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.till import open_sale
from fakes.world import World
from hookspecs import CancelRequest, PaymentStatus, ReversalStatus
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.operations.reversal_requests import ReversalContext, return_payment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from payme_plugin.ledger.rows import PaymentRow


class OvertakenJournal(Journal):
    """A journal in which another process ends a payment's cancellation right after this one has read the payment."""

    rival: Journal | None = None

    def find(self, payment_id: str) -> PaymentRow | None:
        row = super().find(payment_id)
        rival, self.rival = self.rival, None
        if rival is not None:
            (live,) = rival.live_cancellations()
            Cancellations(rival).confirm(live, "Payme says cancelled (50)")
        return row


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_a_cancel_whose_money_another_process_has_just_returned_says_so(world: World, tmp_path: Path) -> None:
    paid = world.pay(world.paymego.code())
    assert paid.status is PaymentStatus.PAID
    assert paid.payment is not None
    cancellation = NewCancellation(cause=Cause.CANCEL)
    world.journal.move(world.row(), PaymentState.REVERSING, "begun before a crash", cancellation=cancellation)
    rival = world.journal
    world.journal = OvertakenJournal(tmp_path / FILE_NAME, host_identity=world.host.identity, clock=world.clock)
    world.journal.rival = rival

    merchant = world.context()
    context = ReversalContext(world.journal, world.owner, world.clock, world.texts, merchant)
    result = return_payment(context, CancelRequest(payment=paid.payment, receipt=open_sale()), world.cashier())

    assert result.status is ReversalStatus.REVERSED
    rival.close()
