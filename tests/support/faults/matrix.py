"""The matrix played: in a few processes, so that they hold up one another less, and in each several cells side by side.

A cell waits more than it works. Each has a till, a proxy and a sandbox of its own. Where an answer took its second and
more because the machine was busy, another result is right: such a cell is played once more, without its neighbours,
and the second play counts. One that broke a promise of another kind is not played again, and few may be.
"""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from faults.case_run import play
from faults.child_process import children_unmeasured
from faults.log_capture import capturing
from faults.network import open_network
from faults.proxied_till import ProxiedTill
from faults.rules import keeps_what_nothing_excuses, violations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.case_run import Seen
    from faults.cases import Cell
    from faults.log_capture import LogCapture
    from faults.network import Network

_PROCESSES = 3
_AT_ONCE = 8
_BATCH = 32


@dataclass(frozen=True)
class Batch:
    """Cells that were played beside one another.

    Attributes:
        seen: what came of each, or what went wrong while it was played.
        complaints: the plugin's own faults, and the secrets in the log.
        again: the cells that were played twice.
    """

    seen: dict[Cell, Seen | Exception]
    complaints: list[str]
    again: list[Cell]


@contextmanager
def playing(cells: list[Cell], folder: Path) -> Iterator[dict[Cell, Future[Batch]]]:
    """Play cells in the background, in their order, for the time of a block; the folder has the certificates."""
    # Not forked: the test process may have threads by now.
    pool = ProcessPoolExecutor(_PROCESSES, mp_context=multiprocessing.get_context("spawn"))
    try:
        with children_unmeasured():
            batches: dict[Cell, Future[Batch]] = {}
            for start in range(0, len(cells), _BATCH):
                some = cells[start : start + _BATCH]
                batches |= dict.fromkeys(some, pool.submit(_play_all, some, folder))
        yield batches
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _play_all(cells: list[Cell], folder: Path) -> Batch:
    """Play a batch in a process of the pool."""
    with capturing(folder) as log, ThreadPoolExecutor(_AT_ONCE) as pool:
        network = _network_in(folder)
        seen = dict(zip(cells, pool.map(partial(_play, network=network, log=log), cells), strict=True))
        again = [cell for cell in cells if _is_held_up(cell, seen[cell])]
        seen.update({cell: _play(cell, network, log, nth=2) for cell in again})
    return Batch(seen, [*log.complaints, *(f"secrets were seen: {leak}" for leak in log.leaks())], again)


def _is_held_up(cell: Cell, seen: Seen | Exception) -> bool:
    """Return whether a cell did not come to what is due, and a busy machine is enough to explain that."""
    if isinstance(seen, Exception) or not keeps_what_nothing_excuses(cell, seen):
        return False
    return violations(cell, seen) != []


def _play(cell: Cell, network: Network, log: LogCapture, *, nth: int = 1) -> Seen | Exception:
    try:
        return play(cell, network, log, nth=nth)
    except Exception as error:  # noqa: BLE001 - raised by the test of that cell
        return error


@functools.cache
def _network_in(folder: Path) -> Network:
    """Return the network of this process, which stays open as long as it."""
    stack = ExitStack()
    atexit.register(stack.close)
    network = stack.enter_context(open_network(folder))
    with closing(ProxiedTill(network, f"first-{os.getpid()}")) as till:
        till.sell()  # the work of a process at its first sale is not measured
    return network
