"""What a till's process keeps while it has nothing to do, and what its first sale takes beside a later one."""

from __future__ import annotations

from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.benchmarks.measure import CONTRACT, Figure, fresh, lean_server, quartiles, ratio_of

if TYPE_CHECKING:
    from collections.abc import Sequence

IDLE = "A till that starts"
"""The section of the table for rows without a limit."""
THREADS_AT_MOST = 3
_IDLE_S = 10.0
_TENTH = 10

_RESIDENT = """
def resident_mb():
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024 / 1e6
"""

IMPORTED = f"""
import click, defusedxml.ElementTree, pluggy, urllib3, xmlschema
{_RESIDENT}
print(resident_mb())
"""

STARTED = f"""
import sys, threading, time
from pathlib import Path
from hookspecs import BaseHost, BaseUi, PaymentRequest, PaymentStatus, PosPlugins, Receipt, ReceiptKind
{_RESIDENT}
class Till(BaseHost):
    identity = "till-1"
    def settings(self, plugin):
        return {{"paymentType": "7", "url": sys.argv[2], "posId": "65aa00112233445566778899", "posKey": "key"}}
    def data_dir(self, plugin):
        return Path(sys.argv[1])
plugins = PosPlugins()
plugins.load_entry_points()
before = threading.active_count()
plugins.on_start(Till())
plugins.on_ready()
time.sleep(float(sys.argv[3]))
print(threading.active_count() - before, resident_mb())
for number in range(1, int(sys.argv[4]) + 1):
    sale = Receipt(till="till-1", shift=1, number=number, kind=ReceiptKind.SALE, items=(), total=1000)
    code, name = f"1{{number:017d}}", f"p{{number}}"
    request = PaymentRequest(payment_id=name, payment_type=7, amount=1000, receipt=sale, qr_code=code)
    begin = time.perf_counter()
    result = plugins.on_payment(request, BaseUi())
    print(time.perf_counter() - begin)
    assert result.status is PaymentStatus.PAID, result
    plugins.on_payment_recorded(result.payment)
plugins.on_stop()
"""


def threads(rounds: int) -> list[Figure]:
    """Count the threads of a till that has nothing to do, and compare its memory with that of the libraries."""
    counts, ours, theirs = [], [], []
    for _ in range(rounds):
        count, resident = _started(_IDLE_S, 0)[:2]
        counts.append(count)
        ours.append(resident)
        theirs.append(float(fresh(IMPORTED)))
    low, count, high = quartiles(counts)
    name = f"threads of ours alive {_IDLE_S:.0f} s after `on_start`, nothing due"
    memory = ratio_of(ours, theirs)
    return [
        Figure(CONTRACT, name, count, "", low, high, limit=THREADS_AT_MOST),
        Figure(
            IDLE, "memory of an idle till", memory.value, "x", memory.low, memory.high, memory.ours, memory.theirs,
            "importing the five libraries", measured_in="MB",
        ),
    ]  # fmt: skip


def first_sale(rounds: int) -> list[Figure]:
    """Compare the first ``on_payment`` with the tenth: right after the start, and once the till has warmed up."""
    return [_first_sale(rounds, 0.0, "right after `on_start`"), _first_sale(rounds, 3.0, "3 s after `on_start`")]


def _first_sale(rounds: int, wait_s: float, when: str) -> Figure:
    taken = [_started(wait_s, _TENTH)[2:] for _ in range(rounds)]
    ratio = ratio_of([each[0] for each in taken], [each[-1] for each in taken])
    return ratio.figure(IDLE, f"first `on_payment`, {when}", "the tenth")


def _started(wait_s: float, sales: int) -> Sequence[float]:
    """Return threads, memory and the seconds of each payment of a till that sells some time after its start."""
    with TemporaryDirectory() as folder, lean_server() as port:
        printed = partial(fresh, STARTED, folder, f"http://127.0.0.1:{port}/api")(str(wait_s), str(sales))
    return [float(number) for number in printed.split()]
