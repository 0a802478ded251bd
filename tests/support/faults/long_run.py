"""A till that does nothing but sell, in a process of its own, to see what thousands of payments leave in its memory.

``python long_run.py PORT FOLDER COUNT...`` takes payments at the lean server on PORT, closes their sales, and prints
after each COUNT of them a line: the count, the resident bytes, the objects that Python keeps, and the blocks of memory
that it keeps, in which texts and numbers are too. Each is the least of several samples: a round of the worker, which a
closed sale wakes, holds some for as long as it lasts.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from hookspecs import BaseHost, BaseUi, Item, PaymentRequest, PaymentStatus, Receipt, ReceiptKind
from payme_plugin.plugin import PaymePlugin

if TYPE_CHECKING:
    from collections.abc import Mapping

_TENDER = 7
_AMOUNT = 1_500_000
_SAMPLES = 8
_QUIET_S = 0.1


class _Till(BaseHost):
    identity = "till-1"

    def __init__(self, folder: Path, port: str) -> None:
        self._folder = folder
        self._settings = {
            "paymentType": str(_TENDER),
            "url": f"http://127.0.0.1:{port}/api",
            "posId": "65aa00112233445566778899",
            "posKey": "key of the kassa",
        }

    def settings(self, plugin: str) -> Mapping[str, str]:
        return self._settings

    def data_dir(self, plugin: str) -> Path:
        return self._folder


class _Scanner(BaseUi):
    def __init__(self, code: str) -> None:
        self._code = code

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        return self._code


def _sell(plugin: PaymePlugin, number: int) -> None:
    item = Item(name="Non", quantity=Decimal(1), price=_AMOUNT, amount=_AMOUNT)
    sale = Receipt(till="1", shift=1, number=number, kind=ReceiptKind.SALE, items=(item,), total=_AMOUNT)
    request = PaymentRequest(payment_id=f"p{number}", payment_type=_TENDER, amount=_AMOUNT, receipt=sale)
    result = plugin.on_payment(request, _Scanner(f"{number:018d}"))
    assert result is not None
    assert result.status is PaymentStatus.PAID
    assert result.payment is not None
    plugin.on_payment_recorded(result.payment)
    closed = Receipt(
        till="1", shift=1, number=number, kind=ReceiptKind.SALE, items=(item,), total=_AMOUNT,
        payments=(result.payment,), closed_at=number,
    )  # fmt: skip
    plugin.on_receipt_closed(closed)


def _sample() -> tuple[int, int, int]:
    """Return the resident bytes, the objects and the blocks, after a little quiet."""
    time.sleep(_QUIET_S)
    gc.collect()
    objects, blocks = len(gc.get_objects()), sys.getallocatedblocks()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize(), objects, blocks


def _main(port: str, folder: str, counts: list[int]) -> None:
    plugin = PaymePlugin()
    plugin.on_start(_Till(Path(folder), port))
    plugin.on_ready()
    _sample()  # brings in what samples themselves need
    for number in range(1, counts[-1] + 1):
        _sell(plugin, number)
        if number in counts:
            resident, objects, blocks = map(min, *(_sample() for _ in range(_SAMPLES)))
            sys.stdout.write(f"{number} {resident} {objects} {blocks}\n")
            sys.stdout.flush()
    plugin.on_stop()


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], [int(count) for count in sys.argv[3:]])
