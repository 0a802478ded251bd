"""The till's data folder: the journal and this process as an owner of payments, opened when first needed.

A disk that failed at the start may be back at the next payment, so a failure is raised each time and tried again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from payme_plugin.ledger.connection import FileIdentity
from payme_plugin.ledger.errors import Damaged, JournalError, Unavailable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import OWNERS_FOLDER, Leases, Owner

if TYPE_CHECKING:
    from pathlib import Path

    from hookspecs import Host
    from payme_plugin.clock import Clock

__all__ = ["Storage"]

_PLUGIN_NAME = "payme"
_NOT_OPEN = "the journal is not open"


class Storage:
    """What this process keeps in the host's data folder. Any thread may use it."""

    def __init__(self, host: Host, clock: Clock) -> None:
        self._host = host
        self._clock = clock
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._others: list[Journal] = []
        self._leases: Leases | None = None
        self._owner: Owner | None = None
        self._path: Path | None = None
        self._place: FileIdentity | None = None
        self._identity = ""

    @property
    def owner(self) -> Owner:
        """This process, as an owner; it is there once ``journal`` was."""
        if self._owner is None:
            raise Unavailable(_NOT_OPEN)
        return self._owner

    def journal(self) -> Journal:
        """Return the journal; open it at the first call, and see that its file is still there at each later one.

        Raises:
            Unavailable: the folder, the file or the disk can't be used.
            FileMoved: the file was deleted, moved or replaced since it was opened.
            Damaged: the file is no journal.
            TooNew: a newer version wrote it.
            ForeignJournal: it belongs to another till.
        """
        with self._lock:
            if self._journal is None:
                self._open()
            elif self._place is not None:
                self._place.require()
            assert self._journal is not None  # noqa: S101 - for the type checker
            for other in self._others:
                # What the worker met stops the sale as well.
                if other.damage is not None:
                    self._journal.note_damage(other.damage)
            return self._journal

    def fault(self) -> JournalError | None:
        """Return what is wrong with the journal since it was opened; None: nothing that is known, or it is not open."""
        with self._lock:
            if self._journal is None or self._place is None:
                return None
            try:
                self._place.require()
            except JournalError as error:
                return error
            met = [each.damage for each in (self._journal, *self._others) if each.damage is not None]
            return Damaged(met[0]) if met else None

    @property
    def leases(self) -> Leases:
        """The locks of the journal; they are there once ``journal`` was."""
        if self._leases is None:
            raise Unavailable(_NOT_OPEN)
        return self._leases

    def another_journal(self) -> Journal:
        """Return one more connection to the journal, for another thread's long work.

        Raises:
            JournalError: as ``journal``.
        """
        self.journal()
        with self._lock:
            if self._path is None:
                raise Unavailable(_NOT_OPEN)
            journal = Journal(self._path, host_identity=self._identity, clock=self._clock)
            self._others.append(journal)
            return journal

    def close(self) -> None:
        """Close the journal and give up this process's token."""
        with self._lock:
            for other in self._others:
                other.close()
            self._others.clear()
            if self._journal is not None:
                self._journal.close()
            if self._owner is not None:
                self._owner.release()
            self._journal = self._owner = self._leases = self._path = self._place = None

    def _open(self) -> None:
        try:
            folder = self._host.data_dir(_PLUGIN_NAME)
            self._identity = self._host.identity
        except Exception as error:
            message = f"the host gives no data folder ({type(error).__name__})"
            raise Unavailable(message) from error
        path = folder / FILE_NAME
        journal = Journal(path, host_identity=self._identity, clock=self._clock)
        try:
            journal.require_host(self._identity)
            place = FileIdentity(path)
            self._owner = Owner(folder / OWNERS_FOLDER)
        except BaseException:
            journal.close()
            raise
        self._journal, self._path, self._place, self._leases = journal, path, place, Leases(folder)
