"""Set a damaged journal aside and put a new one in its place, with every row that can still be read.

The damaged file is only read and never deleted: it stays beside the new one under another name. A power cut at any
moment leaves the damaged journal, or a marker that stops every till until the repair is run again, or the new one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.fsync import sync_folder
from payme_plugin.ledger.connection import files_of, translated
from payme_plugin.ledger.errors import Damaged, InUse, Unavailable
from payme_plugin.ledger.locks import LEADER, SQLITE_BYTES, USERS, Leases, lock_bytes
from payme_plugin.ledger.migration import open_reader
from payme_plugin.ledger.rows import TABLES
from payme_plugin.ledger.salvage import Salvage, has_invalid_row, lacks_cancellation, salvage
from payme_plugin.ledger.schema import SMALLEST_FILE, has_our_schema

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

_PARTS = ("repaired", "work", "mark")
_MARKER = b"payme journal repair was cut off; run it again.\n"
"""Begins the file that is in the journal's place while the new one is put there; the damaged one's name follows.

The old log must be gone before the new file comes, because SQLite would read one into the other, and the old file must
not be used without its log. So the marker replaces the file first. It is too short for a database, so no process reads
it together with the old log.
"""


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
        for what in _PARTS:
            for left in path.parent.glob(f"{path.name}.{what}-*"):
                left.unlink()
        begun = _begun(path)
        fault = fault_in(path) if begun is None else "a repair of it was cut off"
        if fault is None:
            return None
        with _locked(path):
            set_aside = begun or path.with_name(f"{path.name}.damaged-{stamp}")
            saved = _repair(path, set_aside, host_identity, is_begun=begun is not None, is_certain=is_certain)
            return Repaired(saved.copied, saved.unreadable, saved.queued_again, fault=fault, set_aside=set_aside)


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
    if not has_our_schema(connection):
        return "its tables are not those of a journal"
    for table in (*TABLES, "about", "code"):
        if has_invalid_row(connection, table):
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
    with path.open("r+b") as file:
        if not lock_bytes(file.fileno(), *SQLITE_BYTES):
            raise InUse(_in_use(path))
        yield


def _in_use(path: Path) -> str:
    return f"a live process works with {path}; stop the till and its workers first"


# ---------------------------------------------------------------------------------------------------------------------
# The repair
# ---------------------------------------------------------------------------------------------------------------------


def _begun(path: Path) -> Path | None:
    """Return where the damaged file is if a repair was cut off and left its marker, else None.

    Raises:
        Unavailable: the damaged file is gone.
    """
    with path.open("rb") as file:
        content = file.read(SMALLEST_FILE)
    if not content.startswith(_MARKER):
        return None
    for set_aside in path.parent.glob(f"{path.name}.damaged-*"):
        if os.fsencode(set_aside.name) in content:
            return set_aside
    message = f"the damaged journal that {path} names is missing"
    raise Unavailable(message)


def _repair(path: Path, set_aside: Path, host_identity: str, *, is_begun: bool, is_certain: bool) -> Salvage:
    """Set the journal at ``path`` aside, unless that is done, and replace it by what can be read of it."""
    if set_aside.exists() and not is_begun:
        message = f"{set_aside} already exists: move it away"
        raise Unavailable(message)
    fresh, work, marker = (path.with_name(f"{path.name}.{what}-now") for what in _PARTS)
    try:
        if not is_begun:
            _copy_files(files_of(path), files_of(set_aside))
        # Reading a journal with a log writes to it: a copy of the copy keeps the evidence as it was.
        _copy_files(files_of(set_aside)[:2], files_of(work))
        saved = salvage(work, fresh, host_identity, is_certain=is_certain)
        with marker.open("wb") as file:
            file.write(_MARKER + os.fsencode(set_aside.name))
            file.flush()
            os.fsync(file.fileno())
        for made in (fresh, marker):
            _copy_owner(path, made)
    except BaseException:
        for made in (fresh, marker) if is_begun else (fresh, marker, set_aside):
            _remove(made)
        raise
    finally:
        _remove(work)
    marker.replace(path)
    sync_folder(path.parent)
    for old in files_of(path)[1:]:
        old.unlink(missing_ok=True)
    sync_folder(path.parent)
    fresh.replace(path)
    sync_folder(path.parent)
    return saved


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
