"""A till that is a script: it loads the plugin by its entry point, takes one payment and says what became of it.

It runs under the distribution's own Python, which sees nothing but the packages that apt installed. Its arguments are a
buyer's code and, where the till is to close the sale, the word ``close``.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from logging.handlers import WatchedFileHandler
from pathlib import Path

import payme_plugin
from hookspecs import (
    BaseHost,
    BaseUi,
    HookFailed,
    Item,
    PaymentRequest,
    PaymentStatus,
    PosPlugins,
    Receipt,
    ReceiptKind,
)
from payme_plugin.till import TerminalLogFormatter

LOG = Path("/linuxcash/logs/current/terminal.log")
LAYOUT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?:INFO |WARN |ERROR|FATAL) (?:payme|pos[.a-z]*)  - \S.*")
AMOUNT = 1_500_000


class Till(BaseHost):
    """An Artix till, as far as the plugin sees it."""

    @property
    def identity(self) -> str:
        return "till-1"

    def data_dir(self, plugin: str) -> Path:
        return Path("/linuxcash/cash/data") / plugin


def log_to(path: Path) -> int:
    """Write what the plugin logs into the till's main log, as docs/host.md says; return how long the log is now."""
    handler = WatchedFileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(TerminalLogFormatter())
    for name in ("payme", "pos"):
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.INFO)
    return path.stat().st_size


def assert_layout(path: Path, begin: int) -> None:
    """Make sure that all that was logged from ``begin`` on has the layout of the till's main log."""
    lines = path.read_bytes()[begin:].decode().splitlines()
    assert any("request receipts.create" in line for line in lines), lines
    assert [line for line in lines if not LAYOUT.fullmatch(line)] == []


def main(code: str, *words: str) -> None:
    plugins = PosPlugins()
    plugins.load_entry_points()
    plugins.on_start(Till())
    with suppress(HookFailed):
        plugins.on_ready()  # this till keeps nothing that it would have to repeat or to acknowledge
    tenders = plugins.payment_types()
    tea = Item(name="Чай", quantity=Decimal(1), price=AMOUNT, amount=AMOUNT)
    sale = Receipt(till="1", shift=12, number=118, kind=ReceiptKind.SALE, items=(tea,), total=AMOUNT)
    request = PaymentRequest(
        payment_id=f"sale-118-{code[-6:]}", payment_type=tenders[0].number, amount=AMOUNT, receipt=sale, qr_code=code
    )
    result = plugins.on_payment(request, BaseUi())
    assert result is not None
    if "close" in words and result.status is PaymentStatus.PAID and result.payment is not None:
        plugins.on_payment_recorded(result.payment)
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
        begin = log_to(LOG)
        main(*sys.argv[1:])
        assert_layout(LOG, begin)
    else:
        main(*sys.argv[1:])
