"""A till that does nothing but sell, in a process of its own, to see what thousands of payments leave in its memory.

``python long_run.py PORT FOLDER COUNT...`` takes payments at the lean server on PORT, closes their sales, and prints
after each COUNT of them a line: the count, the resident bytes, the objects that Python keeps, and the blocks of memory
that it keeps, in which texts and numbers are too. Each is the least of several samples: a round of the worker holds
some for as long as it lasts.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

from fakes.till import TENDER, ScriptedUi, VirtualHost, open_sale, request_for
from hookspecs import PaymentStatus
from payme_plugin.clock import SystemClock
from payme_plugin.plugin import PaymePlugin

_SAMPLES = 8
_QUIET_S = 0.1


def _sell(plugin: PaymePlugin, number: int) -> None:
    sale = open_sale(number)
    result = plugin.on_payment(request_for(f"p{number}", receipt=sale), ScriptedUi(SystemClock(), [f"{number:018d}"]))
    assert result is not None
    assert result.status is PaymentStatus.PAID
    assert result.payment is not None
    plugin.on_payment_recorded(result.payment)
    plugin.on_receipt_closed(replace(sale, payments=(result.payment,), closed_at=number))


def _sample() -> tuple[int, int, int]:
    """Return the resident bytes, the objects and the blocks, after a little quiet."""
    time.sleep(_QUIET_S)
    gc.collect()
    objects, blocks = len(gc.get_objects()), sys.getallocatedblocks()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize(), objects, blocks


def _main(port: str, folder: str, counts: list[int]) -> None:
    plugin = PaymePlugin()
    given = {"paymentType": str(TENDER), "url": f"http://127.0.0.1:{port}/api", "posId": "65aa", "posKey": "key"}
    plugin.on_start(VirtualHost(Path(folder), given))
    plugin.on_ready()
    # A minute after a new journal's start it is compared with Payme's list, which takes memory of its own.
    assert plugin._dispatcher is not None
    plugin._dispatcher._service.background.reconciler.is_enabled = False
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
