"""Locks of the operating system: the leases of rows, the leader, the owners of payments.

The system releases them when their process has ended, also after a crash, without any timeout. A child that was forked
while a lock was held keeps it after a crash of its parent. Bytes of a file are locked
for the open file (an *open file description lock*), so that threads exclude each other like processes do, and SQLite
sees them beside its own. A process has a file named after its token and locks it with ``flock``.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import struct
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from payme_plugin.ledger.connection import translated
from payme_plugin.ledger.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "FILE_NAME",
    "LEADER",
    "OWNERS_FOLDER",
    "LeaderLock",
    "Leases",
    "Owner",
    "are_locked",
    "is_alive",
    "lock_bytes",
]

FILE_NAME = "leases"
OWNERS_FOLDER = "owners"
"""Folder of the tokens, beside the journal."""

LEADER = 0
"""The byte of the leader, the process that decides recovery.

The leases of rows are the bytes from 1 on.
"""

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_SUFFIX = ".owner"
_UNSEEN_SUFFIX = ".new"

# struct flock of the C library, in its native layout: type, whence, start, length, process.
_FLOCK = "hhqqi"


class Leases:
    """The leases of one journal, and the lock of its leader."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    @contextmanager
    def try_acquire(self, number: int) -> Iterator[bool]:
        """Yield whether the lease was free; if it was, keep it until the end of the block.

        Raises:
            Unavailable: the folder can't be written.
        """
        with translated():
            file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _FILE_MODE)
        try:
            with translated():
                is_ours = lock_bytes(file, number)
            owner = os.getpid() if is_ours else None
            try:
                yield is_ours
            finally:
                # A process forked meanwhile has the open file too, and would keep the lock. It must not release ours.
                if owner == os.getpid():
                    fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_UNLCK, os.SEEK_SET, number, 1, 0))
        finally:
            os.close(file)


class LeaderLock:
    """The lock of the process that decides recovery in a folder. Any thread may use it.

    Attributes:
        is_leader: this process is the leader.
    """

    def __init__(self) -> None:
        self.is_leader = False
        self._is_released = False
        self._lock = threading.Lock()
        self._held = ExitStack()

    def acquire(self, leases: Leases) -> bool:
        """Become the leader unless another process is; return whether this process leads.

        Raises:
            Unavailable: the folder can't be written, or the lock was released.
        """
        with self._lock:
            if self._is_released:
                message = "the till has stopped"
                raise Unavailable(message)
            if not self.is_leader:
                self.is_leader = self._held.enter_context(leases.try_acquire(LEADER))
                if not self.is_leader:
                    self._held.close()
            return self.is_leader

    def release(self) -> None:
        """Let another process become the leader; this one can't become it again."""
        with self._lock:
            self.is_leader = False
            self._is_released = True
            self._held.close()


class Owner:
    """This process as the owner of payments, until ``release`` or its end.

    Attributes:
        token: its name in the journal's rows.
    """

    def __init__(self, folder: Path) -> None:
        """Take a new token in ``folder``.

        Raises:
            Unavailable: the folder can't be written.
        """
        self._folder = folder
        self.token = secrets.token_hex(16)
        with translated():
            folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            self._path = folder / (self.token + _SUFFIX)
            # Renamed after it is locked, because an unlocked file looks dead and is removed.
            unseen = folder / (self.token + _UNSEEN_SUFFIX)
            self._file = os.open(unseen, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _FILE_MODE)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                unseen.rename(self._path)
            except OSError:
                os.close(self._file)
                unseen.unlink(missing_ok=True)
                raise

    def is_alive(self, token: str) -> bool:
        """Return whether the process of ``token`` is alive."""
        return is_alive(self._folder, token)

    def release(self) -> None:
        """Release the token, so that its payments may be taken over."""
        with suppress(OSError):
            self._path.unlink()
        os.close(self._file)


def is_alive(folder: Path, token: str) -> bool:
    """Return whether the process that holds ``token`` in ``folder`` is alive.

    A file that can't be read counts as alive, because its process may still work on the payment. A token that is not a
    valid file name comes from a damaged row; no process ever held it.
    """
    if not token or "\0" in token or "/" in token:
        return False
    path = folder / (token + _SUFFIX)
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        # Shared, because another thread that asks now would mistake an exclusive lock for the owner's.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        with suppress(OSError):
            path.unlink()
        return False
    finally:
        os.close(file)


def lock_bytes(file: int, start: int, length: int = 1) -> bool:
    """Lock bytes of a file that is open for writing, until it is closed; return whether they were free.

    Raises:
        OSError: the file system can't lock.
    """
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _exclusive(start, length))
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True


def are_locked(file: int, start: int, length: int = 1) -> bool:
    """Return whether another open file has the bytes locked; take no lock.

    Raises:
        OSError: the file system can't lock.
    """
    kind, *_ = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_OFD_GETLK, _exclusive(start, length)))
    return bool(kind != fcntl.F_UNLCK)


def _exclusive(start: int, length: int) -> bytes:
    return struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
