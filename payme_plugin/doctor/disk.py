"""The disk of the data folder: whether it takes bytes, and how many are free."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.doctor.finding import Check, Finding, Level

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DiskFacts", "check_disk", "look_at_disk"]

_MIB = 1024 * 1024
_GIB = 1024 * _MIB
_FULL_BYTES = 16 * _MIB
_LOW_BYTES = 256 * _MIB
_TRIAL = bytes(64 * 1024)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_RIGHT = frozenset({errno.EACCES, errno.EPERM})
# Some file systems have no files without a name; then the count of free bytes must do.
_NO_TRIAL = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """A disk as the journal meets it.

    Attributes:
        folder: the data folder, or what is there of the way to it.
        free_bytes: what this user may still write; None where nobody can tell.
        trouble: the error of a trial write, as ``errno`` numbers it; None: it went well.
    """

    folder: Path
    free_bytes: int | None
    trouble: int | None


def look_at_disk(folder: Path) -> DiskFacts:
    """Count free bytes, and write 64 KiB into a file without a name, which nobody sees and which is gone at once.

    A count alone does not know quotas and limits, a read-only disk, or one that is dying.
    """
    there = next((each for each in (folder, *folder.parents) if each.is_dir()), folder)
    try:
        status = os.statvfs(there)
        free_bytes = status.f_bavail * status.f_frsize
    except OSError:
        return DiskFacts(there, None, _tried(there))
    return DiskFacts(there, free_bytes, _tried(there))


def _tried(folder: Path) -> int | None:
    try:
        file = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            if os.write(file, _TRIAL) < len(_TRIAL):
                return errno.ENOSPC
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        return None if error.errno in _NO_TRIAL else error.errno
    return None


def check_disk(facts: DiskFacts) -> Finding:
    """Judge a disk: what can't be cancelled is not charged, so one that takes no bytes stops payments."""
    free, trouble = facts.free_bytes, facts.trouble
    shown = "" if free is None else f", {_size(free)} free"
    is_low = free is not None and free < _FULL_BYTES
    if is_low or trouble in _NO_ROOM:
        # A quota or a limit does not show in the count of free bytes.
        text = f"The disk of {facts.folder} is full{shown if is_low else ''}: no payment can be taken."
        return Finding(Check.DISK, Level.FAULT, text, "Make room on it, or lift the quota of the till's user.")
    if trouble in _NO_RIGHT:
        text = f"This user may not write in {facts.folder}{shown}."
        return Finding(Check.DISK, Level.WARNING, text, "Run payme doctor as the till's user to be sure.")
    if trouble is not None:
        text = f"The disk of {facts.folder} takes no bytes ({os.strerror(trouble)}): no payment can be taken."
        return Finding(Check.DISK, Level.FAULT, text, "Look at the system's log; the disk may be read-only or broken.")
    if free is not None and free < _LOW_BYTES:
        text = f"The disk of {facts.folder} is nearly full{shown}."
        return Finding(Check.DISK, Level.WARNING, text, "Make room on it.")
    return Finding(Check.DISK, Level.OK, f"{facts.folder} can be written{shown}.")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / _GIB:.1f} GiB" if size_bytes >= _GIB else f"{size_bytes / _MIB:.0f} MiB"
