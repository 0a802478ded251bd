"""The till's data folder: the journal and this process as an owner of payments, opened when first needed.

A disk that failed at the start may be back at the next payment, so a failure is raised each time and tried again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Unwritable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.owners import Owner

if TYPE_CHECKING:
    from hookspecs import Host
    from payme_plugin.clock import Clock

__all__ = ["Storage"]

_PLUGIN_NAME = "payme"
_OWNERS_FOLDER = "owners"


class Storage:
    """What this process keeps in the host's data folder. Any thread may use it."""

    def __init__(self, host: Host, clock: Clock) -> None:
        self._host = host
        self._clock = clock
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._owner: Owner | None = None

    @property
    def owner(self) -> Owner:
        """This process, as an owner; it is there once ``journal`` was."""
        if self._owner is None:
            message = "the journal is not open"
            raise Unwritable(message)
        return self._owner

    def journal(self) -> Journal:
        """Return the journal; open it at the first call.

        Raises:
            Unwritable: the folder, the file or the disk can't be used.
            Damaged: the file is no journal.
            TooNew: a newer version wrote it.
            ForeignJournal: it belongs to another till.
        """
        with self._lock:
            if self._journal is None:
                self._open()
            assert self._journal is not None  # noqa: S101 - for the type checker
            return self._journal

    def close(self) -> None:
        """Close the journal and give up this process's token."""
        with self._lock:
            if self._journal is not None:
                self._journal.close()
            if self._owner is not None:
                self._owner.release()
            self._journal = self._owner = None

    def _open(self) -> None:
        try:
            folder = self._host.data_dir(_PLUGIN_NAME)
            identity = self._host.identity
        except Exception as error:
            message = f"the host gives no data folder ({type(error).__name__})"
            raise Unwritable(message) from error
        journal = Journal(folder / FILE_NAME, host_identity=identity, clock=self._clock)
        try:
            journal.require_host(identity)
            self._owner = Owner(folder / _OWNERS_FOLDER)
        except BaseException:
            journal.close()
            raise
        self._journal = journal
