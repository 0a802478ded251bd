"""The fiscal link over real HTTP: the worker delivers it, and a silent server holds up no till."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fakes.hooked_world import OFD_LINK
from fakes.till import open_sale
from fakes.waiting import comes_true
from hookspecs import PaymentStatus, Receipt, ReceiptFiscal
from payme_plugin.sandbox import FaultKind, InjectedFault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.served_till import ServedTill

TELL = "receipts.set_fiscal_data"


def sell(till: ServedTill) -> Receipt:
    result = till.pay(till.code())
    assert result.status is PaymentStatus.PAID
    assert result.payment is not None
    sale = open_sale(payments=(result.payment,), closed_at=1)
    return Receipt(
        till=sale.till,
        shift=sale.shift,
        number=sale.number,
        kind=sale.kind,
        items=sale.items,
        total=sale.total,
        payments=sale.payments,
        closed_at=sale.closed_at,
        fiscal=ReceiptFiscal(url=OFD_LINK),
    )


def told(sandbox: Sandbox, receipt: Receipt) -> object:
    (record,) = receipt.payments
    (view,) = [view for view in sandbox.receipts() if view.receipt_id == record.data["receipt_id"]]
    return view.fiscal_data


def test_the_worker_tells_payme_after_the_receipt_closed(new_till: Callable[..., ServedTill], sandbox: Sandbox) -> None:
    till = new_till()
    receipt = sell(till)

    till.plugins.on_receipt_closed(receipt)

    assert comes_true(lambda: told(sandbox, receipt))
    assert told(sandbox, receipt) == {
        "receipt_id": 121,
        "qr_code_url": OFD_LINK,
        "status_code": 0,
        "message": "accepted",
        "terminal_id": "UZ000000000000",
        "date": "20240312184051",
        "fiscal_sign": "123456789012",
    }


def test_it_is_told_again_after_a_fault_of_the_wire(new_till: Callable[..., ServedTill], sandbox: Sandbox) -> None:
    till = new_till()
    receipt = sell(till)
    sandbox.inject(InjectedFault(FaultKind.REQUEST_LOST, TELL))

    till.plugins.on_receipt_closed(receipt)

    assert comes_true(lambda: told(sandbox, receipt))


def test_a_server_that_never_answers_holds_up_no_closing_receipt(
    new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    till = new_till(timeout=5)
    receipt = sell(till)
    sandbox.inject(InjectedFault(FaultKind.SILENT, TELL, times=None))
    began = time.monotonic()

    till.plugins.on_receipt_closed(receipt)
    till.plugins.on_receipt_closed(receipt)

    assert time.monotonic() - began < 4
    assert till.row().state.value == "recorded"
