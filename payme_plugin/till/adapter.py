"""The reference till behind the conformance kit's protocol (``docs/conformance.md``).

``payme conformance python3 -m payme_plugin.till.adapter`` checks it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hookspecs import BaseUi, PaymentStatus, ReceiptKind, ReversalStatus
from payme_plugin.till.errors import NoPlugin, OutcomeUnknown
from payme_plugin.till.host import PAYMENT_TYPE
from payme_plugin.till.sale import one_line_sale
from payme_plugin.till.till import Till

if TYPE_CHECKING:
    from hookspecs import Slip
    from payme_plugin.till.receipts import StoredReceipt

_SLIP_WIDTH = 32


def main() -> None:
    """Answer the lines on stdin until ``stop``."""
    start = _next()
    if start["payment_type"] != PAYMENT_TYPE:
        sys.exit(f"the tender of the reference till is {PAYMENT_TYPE}")
    with _till(start) as till:
        till.restore()
        _say({"version": 1})
        while (command := _next())["do"] != "stop":
            _say(_answer(till, command))


def _till(start: dict[str, Any]) -> Till:
    """Return the till; its receipts are the kit's folder for the host, the rest is the plugin's."""
    folder = Path(start["plugin_folder"])
    folder.mkdir(parents=True, exist_ok=True)
    receipts = folder / "receipts"
    if not receipts.is_symlink():
        receipts.symlink_to(start["folder"])
    return Till(
        folder,
        start["settings"],
        BaseUi(),
        language="en",
        slip_width=_SLIP_WIDTH,
        print_slip=_print,
        notice=lambda _key, _text: None,
    )


def _answer(till: Till, command: dict[str, Any]) -> dict[str, Any]:
    payment_id = command.get("payment_id", "")
    if command["do"] == "sell":
        return {"state": _sell(till, command)}
    if command["do"] == "close":
        till.close(payment_id)
        return {"state": "closed"}
    if command["do"] in {"annul", "refund"}:
        return {"state": _reverse(till, payment_id, is_refund=command["do"] == "refund")}
    if command["do"] == "tick":
        till.tick()
        return {"state": "done"}
    sales = [each for each in till.store.receipts() if each.kind is ReceiptKind.SALE and each.payment_id is not None]
    return {
        "sales": [{"payment_id": each.payment_id, "amount": each.total, "state": _state(till, each)} for each in sales]
    }


def _sell(till: Till, command: dict[str, Any]) -> str:
    items = one_line_sale("Bread", command["amount"])
    try:
        payment = till.sell(items, qr_code=command["code"], is_kept_open=not command["close"])
    except NoPlugin:
        return "unpaid"
    except OutcomeUnknown:
        return "pending"
    if payment.result.status is PaymentStatus.PAID:
        return "closed" if command["close"] else "open"
    return "pending" if payment.result.status is PaymentStatus.PENDING else "unpaid"


def _reverse(till: Till, payment_id: str, *, is_refund: bool) -> str:
    try:
        result = (till.refund(payment_id) if is_refund else till.cancel(payment_id, "annulled by the cashier")).result
    except OutcomeUnknown:
        return "pending"
    if result.status is ReversalStatus.REFUSED:
        return "refused"
    return "refunded" if is_refund else "annulled"


def _state(till: Till, sale: StoredReceipt) -> str:
    refunds = till.store.refunds_of(sale.payment_id or "")
    if any(not refund.is_open for refund in refunds):
        return "refunded"
    is_paid = any(tender.status is PaymentStatus.PAID for tender in sale.tenders)
    if sale.annulled:
        return "annulled" if is_paid or sale.is_pending else "unpaid"
    if sale.cancelling is not None or sale.is_pending or refunds:
        return "pending"
    return "open" if sale.is_open else "closed"


def _print(slip: Slip) -> None:
    for _copy in range(slip.copies):
        _say({"printed": slip.lines})


def _next() -> dict[str, Any]:
    command: dict[str, Any] = json.loads(sys.stdin.readline() or '{"do": "stop"}')
    return command


def _say(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)  # noqa: T201 - stdout is the protocol


if __name__ == "__main__":
    main()
