"""The journal of a simulated process: the real one, on a disk that may be full and among points where it may die."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import USERS, Leases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from random import Random

    from payme_plugin.ledger.errors import JournalError
    from payme_plugin.service import OpenStorage
    from simulator.stage import Life, Stage


class Disk:
    """The disk that all processes of a till share.

    Attributes:
        folder: where the journal is.
        full_until: until then nothing can be written, virtual seconds.
        failing: the chance that a commit fails, from 0 to 1.
        refusals: how many writes have failed.
        committed: called after every commit, with the process that made it.
    """

    def __init__(self, folder: Path, stage: Stage, rng: Random) -> None:
        self.folder = folder
        self.stage = stage
        self.full_until = 0.0
        self.failing = 0.0
        self.refusals = 0
        self.committed: Callable[[Life | None], None] = lambda _: None
        self._rng = rng

    def clear(self) -> None:
        """Let every write succeed from now on."""
        self.full_until = self.failing = 0.0

    def is_full(self) -> bool:
        """Say whether the next write fails."""
        is_full = self.stage.monotonic() < self.full_until
        is_full = is_full or (bool(self.failing) and self._rng.random() < self.failing)
        self.refusals += is_full
        return is_full


class WatchedJournal(Journal):
    """A journal whose every use is a point, before a commit and after it as well."""

    def __init__(self, disk: Disk, identity: str) -> None:
        self._disk = disk
        self._is_watched = False
        super().__init__(disk.folder / FILE_NAME, host_identity=identity, clock=disk.stage)
        self._is_watched = True

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection, after a point."""
        if self._is_watched:
            self._disk.stage.point()
        with super().reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection inside a transaction; come to a point just before its commit, and after it."""
        stage = self._disk.stage
        with super().writing() as connection:
            yield connection
            if self._disk.is_full():
                raise sqlite3.OperationalError("database or disk is full")
            self._burn()
        self._disk.committed(stage.current.life)
        stage.point()

    def _burn(self) -> None:
        # A point inside the transaction: the process may die here, but nobody else may run.
        stage = self._disk.stage
        slowness, stage.slowness = stage.slowness, 0.0
        try:
            stage.point()
        finally:
            stage.slowness = slowness


class SimStorage:
    """What ``payme_plugin.service.Storage`` is, for a process that may be killed."""

    def __init__(self, disk: Disk, life: Life, identity: str) -> None:
        self._disk = disk
        self._life = life
        self._identity = identity
        self._journal: WatchedJournal | None = None
        self._others: list[WatchedJournal] = []
        self.owner = secrets.token_hex(16)
        self.leases = Leases(disk.folder)
        self._held = ExitStack()
        life.at_end(self._held.close)

    @property
    def opened(self) -> OpenStorage:
        """What ``journal`` has opened."""
        if self._journal is None:
            message = "the journal is not open"
            raise Unavailable(message)
        in_place = SimpleNamespace(require=lambda: None)  # nobody moves the files here
        return cast("OpenStorage", SimpleNamespace(journal=self._journal, leases=self.leases, file=in_place))

    def journal(self) -> WatchedJournal:
        """Return the journal; open it at the first call."""
        if self._journal is None:
            self._journal = WatchedJournal(self._disk, self._identity)
            self._journal.require_host(self._identity)
            self._held.enter_context(self.leases.try_acquire(USERS, shared=True))
        return self._journal

    def another_journal(self) -> WatchedJournal:
        """Return one more connection."""
        self.journal()
        other = WatchedJournal(self._disk, self._identity)
        self._others.append(other)
        return other

    def fault(self) -> JournalError | None:
        """Return what is wrong with the journal since it was opened: nothing ever is."""
        return None

    def discard(self) -> None:
        """Close what a dead process had open."""
        for journal in (self._journal, *self._others):
            if journal is not None:
                journal.close()
