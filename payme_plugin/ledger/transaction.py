"""One transaction of the journal: whole or not at all, where its COMMIT failed and the till is killed later as well.

SQLite takes a transaction whose COMMIT failed back in memory alone. Where nothing but the sync failed, it stands whole
in the write-ahead log, and whoever opens the file after a kill would find it committed: a refund that was refused, say,
would be carried out. So it is written over. Source: SQLite, *WAL-mode file format*: a frame counts if its checksum and
those of all frames before it are right.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from payme_plugin.log import Log

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["transaction"]

_log = Log()

# An unchanged page would not be written: the count makes it another one.
_COUNT = """
INSERT INTO about (name, value) VALUES ('failed_commits', '1')
ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)
"""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Begin an immediate transaction, and commit it at the end, or take it back where anything is raised.

    Args:
        connection: the journal's own, outside a transaction, with ``synchronous = FULL``.

    Raises:
        sqlite3.Error: nothing was stored.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        _roll_back(connection)
        raise
    try:
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        _write_over(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _write_over(connection: sqlite3.Connection) -> None:
    """Commit a small change in the place of what a COMMIT that failed left in the log.

    It is not synced: that is what may have failed, and a kill leaves what was written. A fault in it is logged: then
    nobody can say whether the transaction comes back; nor, until the next commit, after a power cut.
    """
    try:
        with _unsynced(connection):
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(_COUNT)
                connection.execute("COMMIT")
            finally:
                _roll_back(connection)
    except sqlite3.Error as error:
        _log.error("the journal: what a failed commit wrote could not be written over: %s", error)


@contextmanager
def _unsynced(connection: sqlite3.Connection) -> Iterator[None]:
    """Let commits be written without a sync.

    None of them copies the log into the file meanwhile: unsynced, that would put at risk what is durable.
    """
    (frames,) = connection.execute("PRAGMA wal_autocheckpoint").fetchone()
    try:
        connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        connection.execute("PRAGMA synchronous = OFF")
        yield
    finally:
        try:
            connection.execute("PRAGMA synchronous = FULL")
        finally:
            connection.execute(f"PRAGMA wal_autocheckpoint = {int(frames)}").fetchall()
