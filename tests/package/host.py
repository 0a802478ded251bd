"""A small host that imports only the contract: it sells once and prints as JSON what came of it.

It is run from a zip, as a program that PyInstaller made, and by the Python of a Debian that has the package installed,
with three arguments: settings as JSON, folder, code. Its log is the till's, or else stderr.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import hookspecs
from hookspecs import BaseHost, BaseUi, Item, PaymentRequest, PaymentStatus, PosPlugins, Receipt, ReceiptKind

LOG = Path("/linuxcash/logs/current/terminal.log")


class Till(BaseHost):
    """A till of one sale."""

    identity = "embedded till"

    def __init__(self, settings: dict[str, str], folder: Path) -> None:
        self._settings = settings
        self._folder = folder

    def settings(self, plugin: str) -> dict[str, str]:
        return self._settings

    def data_dir(self, plugin: str) -> Path:
        return self._folder

    def is_recorded(self, payment_id: str) -> bool | None:
        return None


def main() -> None:
    settings, folder, code = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, filename=LOG if LOG.parent.is_dir() else None)
    plugins = PosPlugins()
    plugins.load_entry_points()
    plugins.on_start(Till(json.loads(settings), Path(folder)))
    plugins.on_ready()
    (tender,) = plugins.payment_types()
    bread = Item(name="Bread", quantity=Decimal(1), price=1_500_000, amount=1_500_000)
    sale = Receipt(till="3", shift=1, number=1, kind=ReceiptKind.SALE, items=(bread,), total=1_500_000)
    request = PaymentRequest(
        payment_id=f"sale-{code[-6:]}", payment_type=tender.number, amount=sale.total, receipt=sale, qr_code=code
    )
    result = plugins.on_payment(request, BaseUi())
    if result is not None and result.payment is not None and result.status is PaymentStatus.PAID:
        plugins.on_payment_recorded(result.payment)
        plugins.on_receipt_closed(replace(sale, payments=(result.payment,), closed_at=1_769_851_996_000))
    plugins.on_stop()
    sold = {
        "home": str(hookspecs.__file__),
        "tender": tender.number,
        "payment_id": request.payment_id,
        "faults": [str(fault) for fault in plugins.faults],
        "status": result and result.status.value,
        "message": result and result.message,
        "slip": result and [line for slip in result.slips for line in slip.lines],
    }
    print(json.dumps(sold))  # noqa: T201 - for the test that started it


if __name__ == "__main__":
    main()
