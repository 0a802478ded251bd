"""8. Load and life: fifty tills against one sandbox, thousands of payments in one process; the money is balanced."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from fakes.memory_folder import folder_in_memory
from fakes.restarted_tills import new_till
from fakes.till import ScriptedUi, open_sale
from fakes.waiting import comes_true
from faults.child_process import without_coverage
from hookspecs import CancelRequest, PaymentStatus, ReversalStatus
from payme_plugin.clock import SystemClock
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.served_till import ServedTill


ROOT = Path(__file__).parents[2]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(cancel=CancelPlan(settle_s=0)) as running:
        yield running


# Fifty tills at once


_TILLS = 50
_BUYERS = (
    Behaviour(BuyerAction.PAYS),
    Behaviour(BuyerAction.LACKS_FUNDS),
    Behaviour(BuyerAction.CONFIRMS, after_s=0.05),
    Behaviour(BuyerAction.NEVER_ANSWERS),
    Behaviour(BuyerAction.PAYS),
)


def _a_day(sandbox: Sandbox, folder: Path, name: str, start: threading.Barrier) -> tuple[ServedTill, int]:
    """Sell to every kind of buyer, annul the first sale, and return the till and the tiyin that it has."""
    till = new_till(sandbox, folder, name, payDuration=1000, timeout=20)
    start.wait(60)
    results = []
    for number, buyer in enumerate(_BUYERS, start=1):
        result = till.pay(sandbox.issue_code(buyer), payment_id=f"p{number}", receipt=open_sale(number, till=name))
        if result.status is PaymentStatus.PAID:
            till.acknowledge(result)
        results.append(result)
    first = results[0]
    if first.payment is not None:
        sale = open_sale(1, till=name, payments=(first.payment,))
        back = till.plugins.on_cancel(CancelRequest(payment=first.payment, receipt=sale), ScriptedUi(SystemClock()))
        assert back is not None
        assert back.status in {ReversalStatus.REVERSED, ReversalStatus.QUEUED}
    return till, sum(one.amount for one in results[1:] if one.status is PaymentStatus.PAID)


@pytest.mark.timeout(300)
def test_fifty_tills_in_threads_against_one_server_share_nothing_and_are_balanced(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    start = threading.Barrier(_TILLS)
    days: dict[str, tuple[ServedTill, int]] = {}

    def run(name: str) -> None:
        days[name] = _a_day(sandbox, tmp_path, name, start)

    threads = [threading.Thread(target=run, args=(f"till-{number}",)) for number in range(_TILLS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(200)

    assert len(days) == _TILLS
    owed = sum(tiyin for _, tiyin in days.values())
    comes_true(lambda: sandbox.held() == owed and not _live(days), within_s=60)
    live, held = _live(days), sandbox.held()
    for till, _ in days.values():
        till.plugins.on_stop()
    assert live == []
    assert held == owed
    assert owed >= _TILLS * 1_500_000
    for name, (till, _) in days.items():
        assert till.plugins.faults == ()
        assert [till.row(f"p{number}").till for number in range(1, len(_BUYERS) + 1)] == [name] * len(_BUYERS)


def _live(days: dict[str, tuple[ServedTill, int]]) -> list[str]:
    return [f"{name}: {row}" for name, (till, _) in days.items() for row in till.live()]


# Thousands of payments


@contextmanager
def lean_server() -> Iterator[str]:
    """Run the server that does as little as it can, in a process of its own; yield its port."""
    command = [sys.executable, str(ROOT / "tests" / "benchmarks" / "lean_server.py")]
    environment = without_coverage(os.environ)
    with subprocess.Popen(  # noqa: S603 - our own script
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
        process.communicate(timeout=30)


class Kept(NamedTuple):
    """What a till's process keeps: resident bytes, the objects that the collector knows, all blocks of memory."""

    resident: int
    objects: int
    blocks: int


def sell(folder: Path, *counts: int) -> dict[int, Kept]:
    """Return what is kept in a till's process after so many payments each."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    script = ROOT / "tests" / "support" / "faults" / "long_run.py"
    with lean_server() as port:
        done = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, str(script), port, str(folder), *map(str, counts)],
            env={**without_coverage(os.environ), "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
            timeout=900,
        )
    lines = ([int(number) for number in line.split()] for line in done.stdout.splitlines())
    return {count: Kept(*kept) for count, *kept in lines}


@pytest.mark.timeout(300)
def test_payments_leave_no_object_behind(tmp_path: Path) -> None:
    kept = sell(tmp_path, 260, 860)

    assert kept[860].objects - kept[260].objects < 200
    assert kept[860].blocks - kept[260].blocks < 200


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_memory_after_10_000_payments_is_that_after_3_000(capfd: pytest.CaptureFixture[str]) -> None:
    with folder_in_memory() as folder:
        kept = sell(folder, 3_000, 10_000)
    ratio = kept[10_000].resident / kept[3_000].resident

    with capfd.disabled():
        megabytes = [kept[count].resident / 1e6 for count in (3_000, 10_000)]
        sys.stdout.write(f"\nmemory: {ratio:.3f} x ({megabytes[1]:.1f} MB against {megabytes[0]:.1f} MB)\n")
    assert ratio <= 1.02
