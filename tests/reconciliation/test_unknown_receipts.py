"""The money of a paid receipt that nobody knows is returned only if every proof is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from fakes.till import PowerCut
from hookspecs import PaymentRecord
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.states import Cause, Hold, PaymentState
from payme_plugin.operations.receipt_list import ReceiptList
from payme_plugin.operations.reconciliation import TillAccounts
from payme_plugin.operations.unknown_receipts import Obstacle, cancel_unknown, obstacle_of
from payme_plugin.paymego.receipts import ServerReceipt

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld

HOUR_MS = 3_600_000
PAID_MS = 1_000_000
IS_OURS = TillAccounts("order_id={till}-{shift}-{number}-{attempt}", ["till-1"])


def receipt(account: str = "till-1-3-9-1") -> ServerReceipt:
    return ServerReceipt(
        receipt_id="r1",
        state=4,
        amount=500,
        create_time_ms=PAID_MS - 10,
        pay_time_ms=PAID_MS,
        phone=None,
        raw={"account": [{"name": "order_id", "value": account}]},
    )


PAID = receipt()


@dataclass(frozen=True)
class Proofs:
    """All proofs that the money of a receipt may be returned; a test leaves one out."""

    first: ServerReceipt = PAID
    second: ServerReceipt | None = PAID
    server_ms: int = PAID_MS + HOUR_MS
    is_recorded: bool | None = False
    is_ready: bool = True

    def obstacle(self) -> Obstacle | None:
        again = ReceiptList(() if self.second is None else (self.second,), self.server_ms)
        return obstacle_of(self.first, again, IS_OURS, lambda _: self.is_recorded, is_ready=self.is_ready)


def test_with_all_proofs_nothing_speaks_against_it() -> None:
    assert Proofs().obstacle() is None


@pytest.mark.parametrize(
    ("proofs", "obstacle"),
    [
        (Proofs(first=receipt("till-2-3-9-1"), second=receipt("till-2-3-9-1")), Obstacle.OTHER_TILL),
        (Proofs(second=receipt("till-2-3-9-1")), Obstacle.OTHER_TILL),
        (Proofs(first=replace(PAID, raw={}), second=replace(PAID, raw={})), Obstacle.OTHER_TILL),
        *((Proofs(first=replace(PAID, state=state)), Obstacle.NOT_PAID) for state in (0, 1, 5, 21, 30, 50, None)),
        *((Proofs(second=replace(PAID, state=state)), Obstacle.NOT_PAID) for state in (0, 1, 5, 21, 30, 50, None)),
        (Proofs(second=None), Obstacle.NOT_PAID),
        (Proofs(second=replace(PAID, amount=501)), Obstacle.NOT_PAID),
        (Proofs(first=replace(PAID, amount=None), second=replace(PAID, amount=None)), Obstacle.NOT_PAID),
        (Proofs(first=replace(PAID, amount=0), second=replace(PAID, amount=0)), Obstacle.NOT_PAID),
        (Proofs(server_ms=PAID_MS + HOUR_MS - 1), Obstacle.TOO_YOUNG),
        (Proofs(second=replace(PAID, create_time_ms=None)), Obstacle.TOO_YOUNG),
        (Proofs(is_ready=False), Obstacle.NOT_READY),
        (Proofs(is_recorded=True), Obstacle.RECORDED),
        (Proofs(is_recorded=None), Obstacle.NOT_ASKED),
    ],
)
def test_each_proof_that_is_missing_is_an_obstacle(proofs: Proofs, obstacle: Obstacle) -> None:
    assert proofs.obstacle() is obstacle


def test_the_till_is_asked_by_the_receipt_id_and_only_about_a_receipt_without_another_obstacle() -> None:
    asked: list[str] = []
    answer: Callable[[str], None] = asked.append
    young = ReceiptList((PAID,), PAID_MS)
    assert obstacle_of(PAID, young, IS_OURS, answer, is_ready=True) is Obstacle.TOO_YOUNG
    assert asked == []
    old = ReceiptList((PAID,), PAID_MS + HOUR_MS)
    assert obstacle_of(PAID, old, IS_OURS, answer, is_ready=True) is Obstacle.NOT_ASKED
    assert asked == ["r1"]


def unknown(till: HookedWorld) -> ServerReceipt:
    """Return a paid receipt of this till that its journal lacks."""
    order = {"amount": 700, "account": {"order_id": "till-1-3-9-1"}}
    answer = till.paymego.bank.call(till.paymego.now_ms, "receipts.create", order)
    assert isinstance(answer, dict)
    receipt_id = str(answer["receipt"]["_id"])  # type: ignore[index]
    till.paymego.bank.put_state(till.paymego.now_ms, receipt_id, 4)
    return replace(PAID, receipt_id=receipt_id, amount=700, pay_time_ms=till.paymego.now_ms)


def test_the_cancellation_is_delivered_like_any_other(till: HookedWorld) -> None:
    lost = unknown(till)
    assert till.paymego.held() == 700
    cancel_unknown(till.journal, "a command", till.settings, lost, till.texts)

    (row,) = till.journal.live_cancellations()
    assert (row.cause, row.amount, row.receipt_id) == (Cause.UNRECORDED, 700, lost.receipt_id)
    till.work(3600)
    assert till.paymego.held() == 0
    assert till.row(str(lost.receipt_id)).state is PaymentState.REVERSED


def test_a_receipt_of_more_than_a_week_ago_is_held_for_an_operator(till: HookedWorld) -> None:
    lost = unknown(till)
    till.clock.sleep(8 * 86_400)
    cancel_unknown(till.journal, "a command", till.settings, lost, till.texts)
    till.work(3600)

    assert till.paymego.held() == 700
    assert [row.held for row in till.journal.live_cancellations()] == [Hold.OLD]


def test_the_host_may_still_veto_it_before_the_cancel_leaves(till: HookedWorld) -> None:
    lost = unknown(till)
    cancel_unknown(till.journal, "a command", till.settings, lost, till.texts)
    till.host.recorded[str(lost.receipt_id)] = True
    till.work(3600)

    assert till.paymego.held() == 700
    assert till.row(str(lost.receipt_id)).state is PaymentState.RECORDED


def test_a_till_that_has_the_payment_after_all_ends_the_cancellation_by_its_acknowledgement(till: HookedWorld) -> None:
    lost = unknown(till)
    cancel_unknown(till.journal, "a command", till.settings, lost, till.texts)
    data = {"plugin": "payme", "receipt_id": str(lost.receipt_id), "posId": till.settings.pos_id}
    till.restart()
    till.dispatcher.acknowledge(PaymentRecord(payment_id="parked", payment_type=7, amount=700, data=data))
    till.dispatcher.ready()
    till.work(3600)

    assert till.paymego.held() == 700
    assert till.row(str(lost.receipt_id)).state is PaymentState.RECORDED


def test_a_power_cut_between_the_two_commits_leaves_an_orphan(till: HookedWorld) -> None:
    lost = unknown(till)
    till.journal.cut_at(1)
    with pytest.raises(PowerCut):
        cancel_unknown(till.journal, "a command", till.settings, lost, till.texts)
    till.restart()
    till.dispatcher.ready()
    assert [row.receipt_id for row in till.journal.live_cancellations()] == [lost.receipt_id]


def test_a_receipt_that_the_journal_has_is_not_cancelled_again(till: HookedWorld) -> None:
    lost = unknown(till)
    cancel_unknown(till.journal, "a command", till.settings, lost, till.texts)
    with pytest.raises(Conflict):
        cancel_unknown(till.journal, "a command", till.settings, lost, till.texts)
    assert len(till.journal.live_cancellations()) == 1
