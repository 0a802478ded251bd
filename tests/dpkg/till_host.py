"""A till that is a script: it loads the plugin by its entry point, takes one payment and says what became of it.

It runs under the distribution's own Python, which sees nothing but the packages that apt installed. Its arguments are a
buyer's code and, where the till is to close the sale, the word ``close``.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import payme_plugin
from hookspecs import BaseHost, BaseUi, Item, PaymentRequest, PaymentStatus, PosPlugins, Receipt, ReceiptKind

LOG = Path("/linuxcash/logs/current/terminal.log")
AMOUNT = 1_500_000


class Till(BaseHost):
    """An Artix till, as far as the plugin sees it."""

    @property
    def identity(self) -> str:
        return "till-1"

    def data_dir(self, plugin: str) -> Path:
        return Path("/linuxcash/cash/data") / plugin


def main(code: str, *words: str) -> None:
    plugins = PosPlugins()
    plugins.load_entry_points()
    plugins.on_start(Till())
    tenders = plugins.payment_types()
    tea = Item(name="Чай", quantity=Decimal(1), price=AMOUNT, amount=AMOUNT)
    sale = Receipt(till="1", shift=12, number=118, kind=ReceiptKind.SALE, items=(tea,), total=AMOUNT)
    request = PaymentRequest(
        payment_id=f"sale-118-{code[-6:]}", payment_type=tenders[0].number, amount=AMOUNT, receipt=sale, qr_code=code
    )
    result = plugins.on_payment(request, BaseUi())
    assert result is not None
    if "close" in words and result.status is PaymentStatus.PAID and result.payment is not None:
        plugins.on_receipt_closed(replace(sale, payments=(result.payment,), closed_at=time.time_ns() // 1_000_000))
    plugins.on_stop()
    document = {
        "payment_id": request.payment_id,
        "plugin": payme_plugin.__file__,
        "faults": [fault.reason for fault in plugins.faults],
        "tender": tenders[0].number,
        "status": result.status.name,
        "slips": [{"copies": slip.copies, "lines": list(slip.lines)} for slip in result.slips],
    }
    sys.stdout.write(json.dumps(document))


if __name__ == "__main__":
    if LOG.parent.is_dir():
        logging.basicConfig(filename=LOG, level=logging.INFO)
    main(*sys.argv[1:])
