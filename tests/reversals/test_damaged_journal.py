"""A journal whose file is damaged: what can't be made durable is not cancelled, and the notice names the repair.

Nothing is sent before it is durable (docs/architecture.md, guarantee 1). Refunds go on after ``payme journal repair``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.till import TENDER, ScriptedUi, open_sale
from hookspecs import CancelRequest, HookFailed, PosPlugins, ReceiptKind, RefundRequest, ReversalStatus
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.repair import repair
from payme_plugin.plugin import PaymePlugin
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.served_till import ServedTill
    from hookspecs import PaymentRecord, Receipt
    from payme_plugin.sandbox import Sandbox


def started(till: ServedTill) -> PosPlugins:
    plugins = PosPlugins()
    plugins.register(PaymePlugin(), "payme")
    plugins.on_start(till.host)
    return plugins


@pytest.fixture
def sold(new_till: Callable[..., ServedTill]) -> tuple[ServedTill, PaymentRecord, Receipt]:
    """A till with a paid and closed sale, stopped; its journal is damaged."""
    till = new_till()
    paid = till.pay(till.code())
    assert paid.payment is not None
    sale = replace(open_sale(), payments=(paid.payment,), closed_at=1)
    till.plugins.on_receipt_closed(sale)
    till.plugins.on_stop()
    for name in ("-wal", "-shm"):
        (till.host.folder / (FILE_NAME + name)).unlink(missing_ok=True)
    (till.host.folder / FILE_NAME).write_bytes(b"no journal" * 1000)
    return till, paid.payment, sale


def refund_of(record: PaymentRecord, sale: Receipt, *, amount: int | None = None) -> RefundRequest:
    return RefundRequest(
        refund_id="f1",
        payment_type=TENDER,
        payment=record,
        sale=sale,
        refund=replace(sale, number=9, kind=ReceiptKind.REFUND, payments=(), closed_at=None),
        amount=record.amount if amount is None else amount,
        manual_selection=False,
        currency_selection=False,
    )


def test_nothing_is_cancelled_until_it_is_repaired(
    sold: tuple[ServedTill, PaymentRecord, Receipt], sandbox: Sandbox
) -> None:
    till, record, sale = sold
    plugins = started(till)
    ui = ScriptedUi(SystemClock(), [])
    sent = len(sandbox.requests)

    refund = refund_of(record, sale)
    assert plugins.validate_refund(refund) == [], "what the journal alone knows is not told"
    assert [each.rule for each in plugins.validate_refund(replace(refund, amount=5))] == ["partial-refund"]
    with pytest.raises(HookFailed):
        plugins.on_full_refund(refund, ui)
    open_again = replace(sale, closed_at=None)
    with pytest.raises(HookFailed):
        plugins.on_cancel(CancelRequest(payment=record, receipt=open_again), ui)
    plugins.on_stop()

    assert till.host.notices["payme.journal"] == Texts("ru")(Text.NOTICE_JOURNAL_DAMAGED)
    assert [each.method for each in sandbox.requests[sent:] if each.method == "receipts.cancel"] == []


def test_after_the_repair_a_refund_goes_on_from_the_tills_record(
    sold: tuple[ServedTill, PaymentRecord, Receipt],
) -> None:
    till, record, sale = sold
    assert repair(till.host.folder / FILE_NAME, till.host.identity, "1") is not None
    plugins = started(till)

    result = plugins.on_full_refund(refund_of(record, sale), ScriptedUi(SystemClock(), []))
    plugins.on_stop()

    assert result is not None
    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, record.data["receipt_id"])


def test_a_cancel_whose_record_lost_its_data_fails_under_our_tender_and_is_not_ours_under_another(
    sold: tuple[ServedTill, PaymentRecord, Receipt],
) -> None:
    till, record, sale = sold
    plugins, ui = started(till), ScriptedUi(SystemClock(), [])
    lost = replace(record, data={})
    open_again = replace(sale, closed_at=None)

    with pytest.raises(HookFailed):
        plugins.on_cancel(CancelRequest(payment=lost, receipt=open_again, reason="x"), ui)
    another = plugins.on_cancel(
        CancelRequest(payment=replace(lost, payment_type=TENDER + 1), receipt=open_again, reason="x"), ui
    )
    plugins.on_stop()

    assert another is None
