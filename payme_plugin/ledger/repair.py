"""A damaged journal set aside, and every row that can still be read copied into a new one.

The damaged file is only read, and it is never deleted: it stays beside the new one under another name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Unwritable
from payme_plugin.ledger.schema import connect, translated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Repaired", "repair"]

_PARTS = ("", "-wal", "-shm")
_ROWID_TABLES = ("payment", "event", "cancellation", "fiscal_link")
_MOST_GAPS = 10_000


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair came to.

    Attributes:
        set_aside: the damaged file under its new name.
        copied: how many rows were copied, by table.
        unreadable: how many places in the damaged file could not be read.
    """

    set_aside: Path
    copied: dict[str, int]
    unreadable: int


def repair(path: Path, host_identity: str, stamp: str) -> Repaired:
    """Set the journal at ``path`` aside, with its log, and copy what can be read of it.

    Args:
        path: the journal's file; nobody else may have it open.
        host_identity: the till's stable name, where the damaged file does not say it.
        stamp: goes into the new name of the damaged file.

    Returns:
        What came of it. Until the new journal is whole, the damaged one keeps its name, and with it charging stays off.

    Raises:
        Unwritable: the folder or the disk can't be used, or a file of the new name is there already.

    Money effect: none; cancellations that were copied are live again.
    """
    set_aside, fresh, work = (path.with_name(f"{path.name}.{what}-{stamp}") for what in ("damaged", "repaired", "work"))
    with translated():
        if set_aside.exists() or fresh.exists():
            message = f"{set_aside} or {fresh} is there already"
            raise Unwritable(message)
        _copy_files(path, set_aside)
        # Reading a journal with a log writes to it: a copy of the copy keeps the evidence as it was.
        _copy_files(set_aside, work)
        try:
            copied, unreadable = _copy_rows(work, fresh, host_identity)
        finally:
            for part in _PARTS:
                _part(work, part).unlink(missing_ok=True)
        # The old log must be gone before the new file comes: SQLite would read one into the other.
        for part in _PARTS[1:]:
            _part(path, part).unlink(missing_ok=True)
        fresh.replace(path)
    return Repaired(set_aside, copied, unreadable)


def _part(path: Path, part: str) -> Path:
    return path.with_name(path.name + part)


def _copy_files(source: Path, target: Path) -> None:
    for part in _PARTS:
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(_part(source, part), _part(target, part))
            with _part(target, part).open("rb") as file:
                os.fsync(file.fileno())


def _copy_rows(damaged: Path, fresh: Path, host_identity: str) -> tuple[dict[str, int], int]:
    target = connect(fresh, host_identity)
    source = sqlite3.connect(damaged, isolation_level=None)
    source.row_factory = sqlite3.Row
    try:
        target.execute("PRAGMA foreign_keys = OFF")
        target.execute("BEGIN IMMEDIATE")
        copied, unreadable = {}, 0
        for table in _ROWID_TABLES:
            rows, gaps = _rows_of(source, table)
            copied[table] = sum(_insert(target, table, row) for row in rows)
            unreadable += gaps
        for table in ("about", "code"):
            copied[table] = sum(_insert(target, table, row) for row in _plain_rows(source, table))
        target.execute("COMMIT")
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        source.close()
        target.close()
    return copied, unreadable


def _rows_of(source: sqlite3.Connection, table: str) -> tuple[list[sqlite3.Row], int]:
    """Return the rows that can be read, and how many times reading had to step over something."""
    rows: list[sqlite3.Row] = []
    gaps, after = 0, -1
    while gaps < _MOST_GAPS:
        try:
            query = f"SELECT rowid AS found_at, * FROM {table} WHERE rowid > ? ORDER BY rowid"  # noqa: S608 - our own name
            for row in source.execute(query, (after,)):
                rows.append(row)
                after = row["found_at"]
            break
        except sqlite3.DatabaseError:
            gaps += 1
            after += 1
    return rows, gaps


def _plain_rows(source: sqlite3.Connection, table: str) -> Iterator[sqlite3.Row]:
    with contextlib.suppress(sqlite3.DatabaseError):
        yield from source.execute(f"SELECT * FROM {table}")  # noqa: S608 - the names are this module's own


def _insert(target: sqlite3.Connection, table: str, row: sqlite3.Row) -> int:
    names = [name for name in row.keys() if name != "found_at"]  # noqa: SIM118 - a Row iterates over its values
    columns, marks = ", ".join(names), ", ".join("?" * len(names))
    try:
        return target.execute(
            f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608 - the names are the schema's
            [row[name] for name in names],
        ).rowcount
    except sqlite3.Error:
        return 0
