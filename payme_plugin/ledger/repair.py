"""Set a damaged journal aside and put a new one in its place, with every row that can still be read.

The damaged file is only read and never deleted: it stays beside the new one under another name. A power cut at any
moment leaves the damaged journal, or a marker that stops every till until the repair is run again, or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from payme_plugin.fsync import sync_folder
from payme_plugin.ledger.connection import files_of, translated
from payme_plugin.ledger.errors import Damaged, InUse, Unavailable
from payme_plugin.ledger.locks import LEADER, SQLITE_BYTES, USERS, Leases, lock_bytes
from payme_plugin.ledger.migration import open_reader
from payme_plugin.ledger.rows import TABLES
from payme_plugin.ledger.salvage import Salvage, is_valid, lacks_cancellation, salvage
from payme_plugin.ledger.schema import SMALLEST_FILE, has_our_tables

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Repaired", "fault_in", "repair"]

_LONGEST_FAULT = 80
_MARKER = b"payme journal repair was cut off; run it again.\n"
_MARKED = {"fresh", "set_aside", "fault", "copied", "unreadable", "queued_again"}


@dataclass(frozen=True, slots=True)
class Repaired(Salvage):
    """The result of a repair, with what was saved.

    Attributes:
        fault: what was wrong.
        set_aside: the damaged file under its new name.
    """

    fault: str
    set_aside: Path


def repair(path: Path, host_identity: str, stamp: str, *, is_certain: bool = True) -> Repaired | None:
    """Set the journal at ``path`` and its log aside; replace it by a copy of what can be read.

    Args:
        path: the journal's file, which exists.
        host_identity: the till that it belongs to.
        stamp: goes into the new name of the damaged file.
        is_certain: it belongs to that till even if the damaged file does not name one.

    Returns:
        The result, or None if the journal is sound; it is left as it is then.

    Raises:
        InUse: a live process works with it.
        ForeignJournal: it belongs to another till, or the file names none.
        TooNew: a newer version wrote it.
        Unavailable: the folder or the disk can't be used, or a file of the new name exists; the journal is unchanged.

    It sends nothing. Afterwards every payment that owes money has a live cancellation, copied or restored.
    """
    with translated(), _exclusive(path):
        finished = _finish_earlier(path)
        if finished is not None:
            return finished
        fault = fault_in(path)
        if fault is None:
            return None
        with _locked(path):
            return _repair(path, host_identity, stamp, fault, is_certain=is_certain)


def fault_in(path: Path) -> str | None:
    """Return what is wrong with the journal at ``path``, in one line, or None. It changes nothing.

    Raises:
        TooNew: a newer version wrote it.
        Unavailable: it can't be read now.
    """
    try:
        with translated():
            connection = open_reader(path)
            if connection is None:
                return None
            with closing(connection):
                return _fault_of(connection)
    except Damaged as error:
        return str(error)


def _fault_of(connection: sqlite3.Connection) -> str | None:
    """Check pages, tables, rows, cancellations and the values of ``about``, in this order."""
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        return str(found).replace("\n", " ")
    if not has_our_tables(connection):
        return "its tables are not those of a journal"
    for table in (*TABLES, "about", "code"):
        if not all(is_valid(table, row) for row in connection.execute(f"SELECT * FROM {table}")):  # noqa: S608 - our own names
            return f"a row of {table} is invalid"
    if lacks_cancellation(connection):
        return "a payment that owes money has no live cancellation"
    missing = {"host_identity", "fingerprint_key"} - {name for (name,) in connection.execute("SELECT name FROM about")}
    return f"its {min(missing)} is missing" if missing else None


# ---------------------------------------------------------------------------------------------------------------------
# Exclusive access
# ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Require that no live process has the journal open to write, and be the leader meanwhile."""
    leases = Leases(path.parent)
    with leases.try_acquire(USERS) as is_alone, leases.try_acquire(LEADER) as is_leader:
        if not (is_alone and is_leader):
            raise InUse(_in_use(path))
        yield


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock every other process's SQLite out: a till that starts now can't use it, and tries again."""
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if not lock_bytes(file, *SQLITE_BYTES):
            raise InUse(_in_use(path))
        yield
    finally:
        os.close(file)


def _in_use(path: Path) -> str:
    return f"a live process works with {path}; stop the till and its workers first"


# ---------------------------------------------------------------------------------------------------------------------
# The repair
# ---------------------------------------------------------------------------------------------------------------------


def _repair(path: Path, host_identity: str, stamp: str, fault: str, *, is_certain: bool) -> Repaired:
    names = (f"{path.name}.{what}-{stamp}" for what in ("damaged", "repaired", "work", "mark"))
    set_aside, fresh, work, marker = map(path.with_name, names)
    if set_aside.exists() or fresh.exists():
        message = f"{set_aside} or {fresh} already exists: move it away"
        raise Unavailable(message)
    try:
        _copy_files(files_of(path), files_of(set_aside))
        # Reading a journal with a log writes to it: a copy of the copy keeps the evidence as it was.
        _copy_files(files_of(set_aside)[:2], files_of(work))
        saved = salvage(work, fresh, host_identity, is_certain=is_certain)
        _copy_owner(path, fresh)
        shown = fault[:_LONGEST_FAULT].encode("ascii", "replace").decode()
        mark = {"fresh": fresh.name, "set_aside": set_aside.name, "fault": shown, **asdict(saved)}
        _write_marker(marker, mark)
        _copy_owner(path, marker)
    except BaseException:
        for made in (set_aside, fresh, marker):
            _remove(made)
        raise
    finally:
        _remove(work)
    marker.replace(path)
    sync_folder(path.parent)
    return _finish(path, {**mark, "fault": fault})


# ---------------------------------------------------------------------------------------------------------------------
# The marker
# ---------------------------------------------------------------------------------------------------------------------


def _write_marker(marker: Path, mark: dict[str, Any]) -> None:
    """Write the file that is in the journal's place while the new one is put there; it is not a database.

    The old log must be gone before the new file comes, because SQLite would read one into the other, and the old file
    must not be used without its log. So the marker replaces the file first. It is too short for a database, so no
    process reads it together with the old log.
    """
    with marker.open("wb") as file:
        file.write(_MARKER + json.dumps(mark).encode())
        file.flush()
        os.fsync(file.fileno())


def _read_marker(path: Path) -> dict[str, Any] | None:
    """Return what the marker at ``path`` says, or None if the file is something else."""
    with path.open("rb") as file:
        content = file.read(SMALLEST_FILE)
    if not content.startswith(_MARKER) or len(content) == SMALLEST_FILE:
        return None
    try:
        mark = json.loads(content[len(_MARKER) :])
    except ValueError:
        return None
    return mark if isinstance(mark, dict) and mark.keys() == _MARKED else None


def _finish(path: Path, mark: dict[str, Any]) -> Repaired:
    """Replace the marker by the new journal.

    Raises:
        Unavailable: the new journal is gone.
    """
    fresh, set_aside = path.with_name(mark["fresh"]), path.with_name(mark["set_aside"])
    if not fresh.exists():
        message = f"{fresh} is missing; the damaged journal is {set_aside}"
        raise Unavailable(message)
    for file in files_of(path)[1:]:
        file.unlink(missing_ok=True)
    sync_folder(path.parent)
    fresh.replace(path)
    sync_folder(path.parent)
    saved = (mark["copied"], mark["unreadable"], mark["queued_again"])
    return Repaired(*saved, fault=mark["fault"], set_aside=set_aside)


def _finish_earlier(path: Path) -> Repaired | None:
    """Finish a repair that was cut off and remove leftovers; None if none had reached its marker."""
    mark = _read_marker(path)
    finished = None if mark is None else _finish(path, mark)
    for what in ("repaired", "work", "mark"):
        for left in path.parent.glob(f"{path.name}.{what}-*"):
            left.unlink()
    return finished


# ---------------------------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------------------------


def _copy_files(sources: tuple[Path, ...], targets: tuple[Path, ...]) -> None:
    for source, target in zip(sources, targets, strict=False):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(source, target)
            _copy_owner(sources[0], target)
            with target.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(targets[0].parent)


def _copy_owner(source: Path, target: Path) -> None:
    """Give ``target`` the owner of ``source``: the till's user, also if root runs the repair."""
    status = source.stat()
    with contextlib.suppress(PermissionError):
        os.chown(target, status.st_uid, status.st_gid)


def _remove(path: Path) -> None:
    for file in files_of(path):
        file.unlink(missing_ok=True)
