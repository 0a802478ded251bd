"""All that a history needs, in one place and in memory: a stage, PaymeGO, a disk, a shop, and the checks."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from payme_plugin import dispatcher
from simulator.chain import Chain
from simulator.invariants import GuaranteeChecks
from simulator.journal import Disk
from simulator.shop import Shop
from simulator.stage import Stage, StageFuture
from simulator.wire import SimPaymeGo

if TYPE_CHECKING:
    from random import Random

    from payme_plugin.settings import Settings

_FAULT = "a fault of the plugin"
"""What the plugin logs where something of its own raised; the words of the error are not in it."""


class LogWatch(logging.Handler):
    """Keeps what the plugin logs, and what it calls a fault of its own."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.faults: list[str] = []
        self._log = logging.getLogger("payme")
        self._former = (self._log.level, self._log.propagate)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        line = record.getMessage()
        self.lines.append(line)
        if record.exc_info or _FAULT in line:
            self.faults.append(line.partition(" < ")[0])  # not where it came through: lines move

    def begin(self) -> None:
        """Listen, instead of whoever listened before."""
        self._former = (self._log.level, self._log.propagate)
        self._log.setLevel(logging.INFO)
        self._log.propagate = False
        self._log.addHandler(self)

    def end(self) -> None:
        """Listen no more."""
        self._log.removeHandler(self)
        self._log.setLevel(self._former[0])
        self._log.propagate = self._former[1]


class SimWorld:
    """One till at one Payme, until ``close``.

    The journal is a real file in a folder in memory, where there is such a folder: nothing of SQLite is switched off,
    a commit is synced as on a disk, and that costs next to nothing there. That a disk really gets it is another test's.

    Args:
        rng: whatever is left to chance.
        settings: the till's settings, one for each merchant account.
        slowness: the chance that a point takes a little time.

    Attributes:
        stage: the time.
        paymego: the wire and the bank.
        disk: the data folder.
        chain: the broker and the central workers.
        shop: the till and its host.
        checks: what watches.
        log: what the plugin logged.
    """

    def __init__(self, rng: Random, settings: tuple[Settings, ...], slowness: float = 0.0) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sim-", dir=_memory()))
        self.stage = Stage(rng, slowness)
        self.paymego = SimPaymeGo(self.stage, rng)
        self.disk = Disk(self._folder, self.stage, rng)
        self.chain = Chain(self.stage, self.paymego, settings, rng)
        self.shop = Shop(self.stage, self.paymego, self.disk, rng, settings)
        self.shop.chain = self.chain
        self.checks = GuaranteeChecks(self.stage, self.paymego, self.disk, self.shop.settings, self.shop.sales)
        self.shop.checks = self.chain.broker.checks = self.checks
        self._future = vars(dispatcher)["Future"]
        vars(dispatcher)["Future"] = lambda: StageFuture(self.stage)  # until ``close``
        self.log = LogWatch()
        self.log.begin()

    def check_rest(self, secrets: tuple[str, ...]) -> None:
        """Check what can be checked at the end alone: that nothing raised, and that no secret was written down."""
        for fault in self.log.faults:
            self.checks.fault(9, fault)
        published = [body.decode() for body in self.chain.broker.bodies]
        self.checks.check_rest(secrets, "\n".join([*self.log.lines, *published]))

    def close(self) -> None:
        """End every process and every thread, and clear away.

        Raises:
            BaseException: what a thread ended with; a fault of the simulation itself.
        """
        try:
            self.stage.close()
        finally:
            self.log.end()
            vars(dispatcher)["Future"] = self._future
            for process in self.checks.processes.values():
                process.storage.discard()
            self.checks.rows.close()
            shutil.rmtree(self._folder)
        if self.stage.faults:
            raise self.stage.faults[0]


def _memory() -> Path | None:
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder is made in it
    return memory if memory.is_dir() else None
