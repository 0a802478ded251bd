"""The matrix played: in a few processes, so that they hold up one another less, and in each several cells side by side.

A cell waits more than it works. Each has a till, a proxy and a sandbox of its own. Where an answer took its second and
more because the machine was busy, another verdict is right: such a cell is played once more, without its neighbours,
and the second play counts. One that broke a promise of another kind is not played again, and few may be.
"""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from faults.case_run import play
from faults.child_process import children_unmeasured
from faults.log_capture import listening
from faults.rules import keeps_what_nothing_excuses, lapses_of
from faults.shop import open_shop
from faults.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from faults.case_run import Seen
    from faults.cases import Cell
    from faults.log_capture import Ear
    from faults.shop import Shop

_PROCESSES = 3
_AT_ONCE = 8
_BATCH = 32


@dataclass(frozen=True)
class _Played:
    seen: dict[Cell, Seen | Exception]
    complaints: list[str]
    again: list[Cell]


class Matrix:
    """Cells under way or played, asked for one by one."""

    def __init__(self, batches: dict[Cell, Future[_Played]]) -> None:
        self._batches = batches

    def seen(self, cell: Cell) -> Seen:
        """Return what came of a cell; what went wrong while it was played is raised."""
        seen = self._batches[cell].result().seen[cell]
        if isinstance(seen, Exception):
            raise seen
        return seen

    def complaints(self, cell: Cell) -> list[str]:
        """Return the plugin's own faults and the secrets in the log while a cell and its neighbours were played."""
        return self._batches[cell].result().complaints

    def played_again(self) -> list[Cell]:
        """Return the cells that were played twice."""
        return [cell for batch in set(self._batches.values()) for cell in batch.result().again]


@contextmanager
def playing(cells: Iterable[Cell], folder: Path) -> Iterator[Matrix]:
    """Play cells in the background, in their order, for the time of a block; the folder has the certificates."""
    # Not forked: the test process may have threads by now.
    pool = ProcessPoolExecutor(_PROCESSES, mp_context=multiprocessing.get_context("spawn"))
    try:
        with children_unmeasured():
            batches = {
                cell: batch
                for some in _batches(cells)
                for batch in [pool.submit(_play_all, some, folder)]
                for cell in some
            }
        yield Matrix(batches)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _batches(cells: Iterable[Cell]) -> Iterator[list[Cell]]:
    left = list(cells)
    while left:
        yield left[:_BATCH]
        del left[:_BATCH]


def _play_all(cells: list[Cell], folder: Path) -> _Played:
    """Play a batch in a process of the pool."""
    with listening(folder) as ear, ThreadPoolExecutor(_AT_ONCE) as pool:
        shop = _shop_in(folder)
        seen = dict(zip(cells, pool.map(partial(_play, shop=shop, ear=ear), cells), strict=True))
        again = [cell for cell in cells if _is_held_up(cell, seen[cell])]
        seen.update({cell: _play(cell, shop, ear, nth=2) for cell in again})
    complaints = [*ear.complaints, *(f"secrets were seen: {leak}" for leak in ear.leaks())]
    return _Played(seen, complaints, again)


def _is_held_up(cell: Cell, seen: Seen | Exception) -> bool:
    """Return whether a cell did not come to what is due, and a busy machine is enough to explain that."""
    if isinstance(seen, Exception) or not keeps_what_nothing_excuses(cell, seen):
        return False
    return lapses_of(cell, seen) != []


def _play(cell: Cell, shop: Shop, ear: Ear, *, nth: int = 1) -> Seen | Exception:
    try:
        return play(cell, shop, ear, nth=nth)
    except Exception as error:  # noqa: BLE001 - told by the test of that cell alone
        return error


@functools.cache
def _shop_in(folder: Path) -> Shop:
    """Return the shop of this process, which stays open as long as it."""
    stack = ExitStack()
    atexit.register(stack.close)
    shop = stack.enter_context(open_shop(folder))
    with closing(Stage(shop, f"first-{os.getpid()}")) as stage:
        stage.sell()  # what a process does once for all its tills is no cell's time
    return shop
