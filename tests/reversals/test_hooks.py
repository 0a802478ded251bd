"""No reversal hook raises because of its host, its cashier or its settings."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from fakes.hooked_world import OFD_LINK, Sold
from fakes.till import TENDER
from faults.full_disk import full_disk
from hookspecs import CancelRequest, HookFailed, PaymentRecord, ReversalStatus
from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.states import PaymentState
from payme_plugin.plugin import PaymePlugin
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld
    from fakes.reversal_calls import Reversal
    from payme_plugin.ledger.rows import PaymentRow

NO_TEXT = "\ud800"
HUGE = 2**80


def test_without_usable_settings_it_is_queued_and_returned_once_they_can_be_used(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    sent = len(till.paymego.sent)
    till.broken = True

    result = reversal.run(till, sold)
    again = reversal.run(till, sold)

    for each in (result, again):
        assert (each.status, each.message) == (ReversalStatus.QUEUED, till.text(Text.REVERSAL_QUEUED))
        assert (each.slips, each.cancellation_queued) == ((), True)
    (row,) = till.live()
    assert (row.cause, row.is_queued) == (reversal.cause, True)
    till.work(600)
    assert len(till.paymego.sent) == sent
    till.broken = False
    till.work(1000)
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


@pytest.mark.parametrize(
    "answer", [1, "yes", object(), RuntimeError("no screen")], ids=["1", "yes", "an object", "an error"]
)
def test_only_true_stops_and_a_ui_that_raises_does_not(till: HookedWorld, reversal: Reversal, answer: object) -> None:
    ui = till.meanwhile(lambda: answer)

    assert reversal.run(till, reversal.sell(till), ui=ui).status is ReversalStatus.REVERSED


@pytest.mark.parametrize(
    "changes",
    [
        {"payment_id": NO_TEXT},
        {"data": {"plugin": "payme", "receipt_id": NO_TEXT}},
        {"payment_type": HUGE, "amount": HUGE},
        {"amount": -5},
        {"payment_id": "", "amount": 0, "data": {"plugin": "payme"}},
    ],
    ids=["id no text", "receipt no text", "huge", "negative", "empty"],
)
@pytest.mark.parametrize("is_whole", [False, True])
def test_a_senseless_record_is_refused(till: HookedWorld, changes: dict[str, Any], is_whole: bool) -> None:
    sold = till.sell_and_close()
    small = PaymentRecord(payment_id="p", payment_type=TENDER, amount=1, data={"plugin": "payme", "receipt_id": "x"})
    record = replace(small, **changes)
    account = {"posId": till.settings.pos_id, "url": till.settings.url, "paid_at": "x"} if is_whole else {}
    record = replace(record, data={**record.data, **account})
    sent = till.paymego.count("receipts.cancel")

    assert till.cancel(sold, record=record).status in {ReversalStatus.REFUSED, ReversalStatus.QUEUED}
    assert till.violations(sold, payment=record) is not None
    till.refund(sold, payment=record)
    till.close_sale(Sold(record, replace(sold.receipt, payments=(record,))), link=OFD_LINK)

    assert till.paymego.count("receipts.cancel") == sent
    assert till.paymego.held() == 1_500_000


def test_a_senseless_sale_is_refused(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    item = replace(sold.receipt.items[0], name=NO_TEXT, quantity=Decimal("sNaN"), price=HUGE, amount=-HUGE)
    sale = replace(sold.receipt, till=NO_TEXT, shift=HUGE, number=-HUGE, items=(item,))
    for payment in (None, sold.record):
        assert till.violations(sold, payment=payment, sale=sale) != []
        assert till.refund(sold, payment=payment, sale=sale).status is ReversalStatus.REFUSED

    assert till.paymego.held() == 1_500_000


def test_without_a_journal_a_refund_is_checked_by_the_other_rules_but_not_carried_out(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    journal = till.journal

    def find(*_: object) -> PaymentRow | None:
        raise Damaged("the file is no journal any more")

    whole = journal.one, journal._every
    journal.one = journal._every = find  # type: ignore[method-assign, assignment]
    allowed, partial = till.violations(sold), till.violations(sold, amount=5)
    lost = till.violations(sold, payment=None)
    with pytest.raises(Damaged):
        till.refund(sold)
    journal.one, journal._every = whole  # type: ignore[method-assign]

    assert (allowed, lost) == ([], []), "whose the lost payment is only the journal knows"
    assert [violation.rule for violation in partial] == ["partial-refund"]
    assert "payme.journal" in till.host.notices
    assert till.refund(sold).status is ReversalStatus.REVERSED


def test_on_a_full_disk_the_rules_are_checked_as_usual(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    with full_disk():
        assert till.violations(sold) == []
        assert [violation.rule for violation in till.violations(sold, amount=5)] == ["partial-refund"]


def test_wrong_types_raise_and_a_plugin_that_is_not_started_fails_for_a_payment_of_ours_only(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    plugin, ui = PaymePlugin(), till.cashier()
    cancel, refund = CancelRequest(payment=sold.record, receipt=sold.receipt), till.refund_of(sold)
    other = replace(sold.record, data={"plugin": "other"})

    for call in (plugin.on_cancel, plugin.on_full_refund, lambda request, _: plugin.validate_refund(request)):
        request: Any = cancel if call == plugin.on_cancel else refund
        with pytest.raises(HookFailed):
            call(request, ui)
        assert not call(replace(request, payment=other), ui)
        with pytest.raises(TypeError, match=f"expected {type(request).__name__}"):
            call(sold, ui)  # type: ignore[arg-type]
