"""The settings, the permissions of files that hold secrets, the disk."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from payme_plugin.doctor.finding import Finding
from payme_plugin.paymego import codes
from payme_plugin.settings import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MIB = 1024 * 1024
_FULL_BYTES = 16 * _MIB
_LOW_BYTES = 256 * _MIB
_TRIAL = bytes(64 * 1024)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_RIGHT = frozenset({errno.EACCES, errno.EPERM})
_NO_TRIAL = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})
"""Errors of file systems that have no files without a name; then only free bytes count."""


# ---------------------------------------------------------------------------------------------------------------------
# Settings
# ---------------------------------------------------------------------------------------------------------------------


def look_at_settings(conf_file: Path) -> Settings | SettingsError:
    """Return the settings of the file, which must exist, or what is wrong with them."""
    try:
        return read_settings({}, conf_file, codes)
    except SettingsError as error:
        return error


def check_settings(read: Settings | SettingsError, conf_file: Path) -> list[Finding]:
    """Judge the settings: every fault and every warning is a finding."""
    faults = read.faults if isinstance(read, SettingsError) else ()
    results = [Finding.fault("doctor.settings.fault", problem=fault.message, file=conf_file) for fault in faults]
    results += [
        Finding.warning("doctor.settings.warning", problem=warning.message, file=conf_file)
        for warning in read.warnings
        if warning.key != "posKey"  # ``check_modes`` names the file and the command
    ]
    results = results or [Finding.ok("doctor.settings.valid", file=conf_file)]
    if isinstance(read, Settings) and read.early_polling:  # a departure from the manual that may be nobody's choice
        results.append(Finding.ok("doctor.settings.early_polling", file=conf_file))
    return results


# ---------------------------------------------------------------------------------------------------------------------
# Permissions
# ---------------------------------------------------------------------------------------------------------------------


def look_at_modes(conf_file: Path, read: Settings | SettingsError | None, journal: Path) -> dict[Path, int]:
    """Return the ``st_mode`` of the journal, of its folder, and of the files that hold secrets, if they exist."""
    found = {}
    for path in (*_files_with_secrets(conf_file, read), journal.parent, journal):
        with suppress(OSError):  # other checks name it
            found[path] = path.stat().st_mode
    return found


def _files_with_secrets(conf_file: Path, read: Settings | SettingsError | None) -> list[Path]:
    """Return the file that holds the key, and the settings file if it may hold a secret."""
    if isinstance(read, Settings):
        key_file = read.origins["posKey"].path
        files = [] if key_file is None else [key_file]
        return [*files, conf_file] if read.queue_url or len(read.secrets) > 1 else files
    # Settings that can't be used have warnings about files that others can read.
    key_files = [warning.origin.path for warning in read.warnings if warning.key == "posKey"] if read else []
    return [conf_file, *(path for path in key_files if path is not None)]


def check_modes(modes: Mapping[Path, int]) -> list[Finding]:
    """Judge who can read files that hold secrets, and who can write the folder of the journal."""
    results = []
    for path, mode in modes.items():
        values = {"path": path, "mode": f"{stat.S_IMODE(mode):04o}"}
        if stat.S_ISDIR(mode):
            if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
                results.append(Finding.warning("doctor.modes.open_folder", **values))
        elif mode & (stat.S_IROTH | stat.S_IWOTH):
            results.append(Finding.warning("doctor.modes.open_file", **values))
    return results or [Finding.ok("doctor.modes.closed")]


# ---------------------------------------------------------------------------------------------------------------------
# Disk
# ---------------------------------------------------------------------------------------------------------------------


def look_at_disk(folder: Path) -> tuple[Path, int | None, int | None]:
    """Count free bytes, and write 64 KiB into a file without a name, which is gone when it is closed.

    The trial finds what a count does not know: quotas, limits, a read-only or failing disk.

    Returns:
        The folder, or the nearest one above it that exists; the bytes that this user may still write, None if unknown;
        the ``errno`` of the trial, None if it succeeded.
    """
    free_bytes = None
    for there in (folder, *folder.parents):
        try:
            if not there.is_dir():
                continue
            status = os.statvfs(there)
            free_bytes = status.f_bavail * status.f_frsize
            _try_to_write(there)
        except OSError as error:
            return there, free_bytes, None if error.errno in _NO_TRIAL else error.errno
        return there, free_bytes, None
    return folder, None, errno.ENOENT


def _try_to_write(folder: Path) -> None:
    file = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        if os.write(file, _TRIAL) < len(_TRIAL):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    finally:
        os.close(file)


def check_disk(folder: Path, free: int | None, trouble: int | None) -> list[Finding]:
    """Judge a disk. One that can't be written stops payments, because a cancellation could not be stored."""
    values = {"folder": folder, "free": "?" if free is None else free // _MIB}
    if trouble in _NO_ROOM or (free is not None and free < _FULL_BYTES):
        return [Finding.fault("doctor.disk.full", **values)]
    if trouble in _NO_RIGHT:
        return [Finding.warning("doctor.disk.forbidden", **values)]
    if trouble is not None:
        return [Finding.fault("doctor.disk.broken", reason=os.strerror(trouble), **values)]
    if free is not None and free < _LOW_BYTES:
        return [Finding.warning("doctor.disk.nearly_full", **values)]
    return [Finding.ok("doctor.disk.writable", **values)]
