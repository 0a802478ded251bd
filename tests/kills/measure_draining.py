"""Measures how fast cancellations are delivered, and in how much memory. Run it by hand:

    python tests/kills/measure_draining.py [--rows 10000] [--by till|worker|deliver]

A sandbox in a process of its own holds so many paid receipts, a journal on this disk owes them all, and one process
delivers them: a till's background thread, ``payme worker``, or ``payme queue deliver --until-empty``. It prints the
rows per second, and the process's memory (RSS) at the first row, at the most, and at the last one.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from faults.backlog import owe  # noqa: E402 - the path comes first
from faults.killed_till import CrashTill, Nursery  # noqa: E402
from faults.sandbox_process import served  # noqa: E402
from payme_plugin.ledger.journal import FILE_NAME  # noqa: E402
from payme_plugin.ledger.reader import JournalReader  # noqa: E402
from payme_plugin.sandbox import Sandbox  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.sandbox_process import Served

LOOKS_EVERY_S = 0.05
SETTINGS = {"timeout": "10", "payDuration": "600000", "frequency": "1000"}


def memory_mib(process_id: int, field: str) -> float:
    """Return a process's memory: ``VmRSS`` now, ``VmHWM`` at the most."""
    for line in Path(f"/proc/{process_id}/status").read_text("ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def left(folder: Path) -> int:
    """Return how many cancellations are live."""
    reader = JournalReader.open_read_only(folder / FILE_NAME)
    assert reader is not None
    try:
        with reader.reading() as connection:
            return int(
                connection.execute(
                    "SELECT count(*) FROM cancellation WHERE ended_at IS NULL AND confirmed_at IS NULL"
                ).fetchone()[0]
            )
    finally:
        reader.close()


@contextmanager
def till_at_work(kassa: Served, folder: Path) -> Iterator[int]:
    """Start a till that sells nothing; yield its process id."""
    with Nursery() as nursery, Sandbox() as unused:
        till = CrashTill(nursery, unused, folder, asks_again=True)
        life = till.begin(settings={**SETTINGS, "url": kassa.url}, quiet_within_s=3600)
        yield life.process_id
        life.status()


@contextmanager
def command_at_work(kassa: Served, folder: Path, *arguments: str) -> Iterator[int]:
    """Start a command; yield its process id."""
    conf = folder / "payme.go.conf"
    values = {**SETTINGS, "url": kassa.url, "posId": kassa.pos_id, "posKey": f'"{kassa.pos_key}"'}
    conf.write_text("[Main]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()), "utf-8")
    options = ("--conf", str(conf), "--data-dir", str(folder / "payme"))
    script = "from payme_plugin.cli import main; main(prog_name='payme')"
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", script, *options, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        yield process.pid
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)


def measure(rows: int, by: str) -> None:
    """Deliver so many rows and print what it took."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kassa = stack.enter_context(served(rows, is_drained=True))
        owe(folder / "payme", kassa.receipt_ids, pos_id=kassa.pos_id, url=kassa.url)
        ways = {"worker": ("worker",), "deliver": ("queue", "deliver", "--until-empty")}
        began = command_at_work(kassa, folder, *ways[by]) if by in ways else till_at_work(kassa, folder)
        process_id = stack.enter_context(began)
        while left(folder / "payme") == rows:
            time.sleep(LOOKS_EVERY_S)
        before_mib, began_at, counted = memory_mib(process_id, "VmRSS"), time.monotonic(), left(folder / "payme")
        peak_mib = after_mib = before_mib
        while left(folder / "payme"):
            peak_mib, after_mib = memory_mib(process_id, "VmHWM"), memory_mib(process_id, "VmRSS")
            time.sleep(LOOKS_EVERY_S)
        took_s = time.monotonic() - began_at
        print(  # noqa: T201 - what it is for
            f"{by}: {rows} rows, {counted / took_s:.0f} rows/s;"
            f" memory {before_mib:.1f} MiB at first, {peak_mib:.1f} at the most, {after_mib:.1f} at last"
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure how fast cancellations are delivered.")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--by", choices=["till", "worker", "deliver"], action="append")
    given = parser.parse_args()
    for by in given.by or ["till", "worker", "deliver"]:
        measure(given.rows, by)


if __name__ == "__main__":
    main()
