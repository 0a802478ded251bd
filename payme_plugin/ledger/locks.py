"""Locks on the bytes of an open file, which die with whoever holds them.

They are bound to the open file (an *open file description lock*): threads and processes exclude each other alike, and
SQLite sees them beside its own.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

__all__ = ["are_locked", "lock_bytes"]

# struct flock of the C library, in its native layout: type, whence, start, length, process.
_FLOCK = "hhqqi"


def lock_bytes(file: int, start: int, length: int = 1) -> bool:
    """Lock bytes of a file that is open for writing; return whether they were free, and are held until it is closed.

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
    """Say whether another open file has the bytes locked; no lock is taken.

    Raises:
        OSError: the file system can't lock.
    """
    kind, *_ = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_OFD_GETLK, _exclusive(start, length)))
    return bool(kind != fcntl.F_UNLCK)


def _exclusive(start: int, length: int) -> bytes:
    return struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
