"""Locks on bytes of a file: the leases of rows, the leader, the users of a journal.

The operating system releases them when their process has ended, also after a crash, without any timeout. Bytes are
locked for the open file (an *open file description lock*), so that threads exclude each other like processes do, and
SQLite sees them beside its own. A forked child has the open file too: unlocking it there would unlock the parent, and
leaving it open would keep the lock after the parent's end. So it is closed there, by Python's ``os.fork`` at once.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from payme_plugin.ledger.connection import translated
from payme_plugin.ledger.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_NAME = "leases"

LEADER = 0
"""The byte of the leader, the process that takes payments and decides recovery.

The leases of rows are the bytes from 1 on.
"""

USERS = 2**62
"""Everyone who has the journal open to write shares this byte; a repair locks it exclusively."""

SQLITE_BYTES = (0x40000000, 512)
"""The bytes that SQLite locks in a database file, from and how many.

Source: https://sqlite.org/fileformat.html, section 1.4 (the lock-byte page).
"""

_FILE_MODE = 0o600

# struct flock of the C library, in its native layout: type, whence, start, length, process.
_FLOCK = "hhqqi"

_open_files: dict[int, tuple[int, os.stat_result]] = {}
"""The descriptors of lock files, the process that opened each, and the file."""


class Leases:
    """The locks of one journal.

    Attributes:
        path: the file whose bytes are locked.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    @contextmanager
    def try_acquire(self, number: int, *, shared: bool = False) -> Iterator[bool]:
        """Yield whether the byte could be locked; if so, keep it locked until the end of the block.

        Args:
            number: the byte.
            shared: others may share it.

        Raises:
            Unavailable: the folder can't be written.
        """
        with translated():
            file = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _FILE_MODE)
        process = os.getpid()
        _open_files[file] = process, os.fstat(file)
        try:
            with translated():
                is_ours = lock_bytes(file, number, shared=shared)
            yield is_ours
        finally:
            if process == os.getpid():
                with suppress(OSError):  # closing it does not unlock it while a child has the open file
                    fcntl.fcntl(file, fcntl.F_OFD_SETLK, _lock(fcntl.F_UNLCK, number, 1))
                del _open_files[file]
                os.close(file)

    def holder(self, number: int) -> int | None:
        """Return the id of the oldest process that has the byte locked, or None if /proc shows no such process."""
        lock = re.compile(rf"^lock:.* OFDLCK .* {number} {number}$", re.MULTILINE)
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                for link in (process / "fd").iterdir():
                    is_open = link.readlink() == self.path.resolve()
                    if is_open and lock.search((process / "fdinfo" / link.name).read_text("ascii")):
                        return int(process.name)
        return None

    @staticmethod
    def close_inherited() -> None:
        """Close the lock files that a parent process opened; what it has locked stays locked."""
        for file, (process, opened) in list(_open_files.items()):
            if process != os.getpid():
                del _open_files[file]
                with suppress(OSError):  # a daemon closes everything, and may have reused the number
                    if os.path.samestat(os.fstat(file), opened):
                        os.close(file)


os.register_at_fork(after_in_child=Leases.close_inherited)


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


def lock_bytes(file: int, start: int, length: int = 1, *, shared: bool = False) -> bool:
    """Lock bytes of an open file until it is closed; return whether they were free.

    Raises:
        OSError: the file system can't lock.
    """
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _lock(fcntl.F_RDLCK if shared else fcntl.F_WRLCK, start, length))
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
    kind, *_ = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK, start, length)))
    return bool(kind != fcntl.F_UNLCK)


def _lock(kind: int, start: int, length: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)
