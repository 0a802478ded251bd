"""One integer makes one history: sales, cancels and refunds at a till where anything may go wrong, and the sums."""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from typing_extensions import Self

from payme_plugin.paymego import codes
from sim_director import Director
from sim_journal import Disk
from sim_shop import Shop
from sim_stage import Stage
from sim_wire import SimPaymeGo
from sim_witness import Witness
from virtual_world import settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payme_plugin.settings import Settings

__all__ = ["History", "LogWatch", "random_settings", "shared_memory", "simulate"]

_KASSAS = ("65aa00112233445566778899", "65aa00112233445566778800")
_KEY = "canary-key-of-the-kassa"


@dataclass(frozen=True)
class History:
    """What a seed came to.

    Attributes:
        seed: the seed.
        sales: how many sales were made.
        faults: the statements that broke; empty: all held.
        story: what happened, line by line.
        crashes: how often a process was killed.
        requests: how many requests left.
        left: payments that were left to people because they were older than a week.
    """

    seed: int
    sales: int
    faults: tuple[str, ...]
    story: tuple[str, ...]
    crashes: int
    requests: int
    left: int

    @property
    def digest(self) -> str:
        """A digest of the story: the same seed has the same."""
        return hashlib.sha256("\n".join(self.story).encode()).hexdigest()


class LogWatch(logging.Handler):
    """Keeps what the plugin logs, and counts what it logs with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.tracebacks: list[str] = []
        self._log = logging.getLogger("payme")

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.lines.append(record.getMessage())
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            self.tracebacks.append(f"{record.getMessage()}: {type(error).__name__}: {error}")

    def __enter__(self) -> Self:
        self._former = (self._log.level, self._log.propagate)
        self._log.setLevel(logging.INFO)
        self._log.propagate = False
        self._log.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._log.removeHandler(self)
        self._log.setLevel(self._former[0])
        self._log.propagate = self._former[1]


def shared_memory() -> Path | None:
    """Return a folder in memory where there is one: a commit there is as the code makes it, only fast."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder is made in it
    return memory if memory.is_dir() else None


def random_settings(dice: Random) -> tuple[Settings, ...]:
    """Return the settings of a till, for each of two kassas."""
    safe = [code for code in codes.MANUAL_CODES if codes.proves_no_charge(code)]
    given: dict[str, object] = {
        "timeout": dice.choice((1, 3, 8)),
        "payDuration": dice.choice((2_000, 6_000, 15_000)),
        "frequency": dice.choice((300, 1_000, 4_000, 10_000)),
        "cancelAcceptedIsDone": dice.choice((0, 0, 1)),
        "ignoredErrors": ", ".join(map(str, dice.sample(codes.MANUAL_CODES, dice.choice((0, 3, 20, 32))))),
        "staleCodes": ", ".join(map(str, dice.sample(safe, dice.choice((1, 4, len(safe)))))),
    }
    return tuple(settings_of(**given, posId=kassa, posKey=f"{_KEY}-{kassa[-2:]}") for kassa in _KASSAS)


def simulate(seed: int, sales: int = 20) -> History:
    """Play one history.

    Args:
        seed: everything that happens follows from it.
        sales: how many sales are made.

    Raises:
        BaseException: what a thread of the simulation ended with; a fault of the simulation itself.
    """
    dice = Random(seed)  # noqa: S311 - a seed is to replay
    folder = Path(tempfile.mkdtemp(prefix="sim-", dir=shared_memory()))
    stage = Stage(dice, slowness=dice.choice((0.0, 0.03, 0.2)))
    paymego = SimPaymeGo(stage, dice)
    disk = Disk(folder, stage, dice)
    shop = Shop(stage, paymego, disk, dice, random_settings(dice))
    witness = shop.witness = Witness(stage, paymego, disk, shop.settings, shop.has_payment)
    director = Director(shop, dice, sales)
    try:
        with LogWatch() as log:
            try:
                director.play()
            finally:
                stage.close()
            for traceback in log.tracebacks:
                witness.fault(9, traceback)
            witness.check_rest((_KEY, *director.secrets), "\n".join(log.lines))
    finally:
        if shop.process is not None:
            shop.process.storage.bury()
        witness.close()
        shutil.rmtree(folder)
    if stage.faults:
        raise stage.faults[0]
    return History(
        seed=seed,
        sales=len(shop.sales),
        faults=tuple(witness.faults),
        story=tuple(witness.story),
        crashes=sum(life.was_killed for life in stage.lives),
        requests=len(paymego.sent),
        left=director.left,
    )


def histories(first_seed: int, sales: int, each: int) -> Iterator[History]:
    """Play histories of ``each`` sales, one seed after the other, until ``sales`` sales were made."""
    made = 0
    while made < sales:
        history = simulate(first_seed, each)
        made += history.sales
        first_seed += 1
        yield history
