"""Bring a journal of an earlier version to this one: the file itself, or a copy in memory for those who only read.

A file is migrated in one transaction, and only while no process of any version uses it: a till of an earlier version
would not understand its rows any more. A copy of the file as it was is made first, for a downgrade.

Version 1 decided from its texts. They are parsed here, once; afterwards only columns count.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

from payme_plugin.fsync import sync_folder
from payme_plugin.ledger.connection import connect_read_only, transaction, translated, use_rows
from payme_plugin.ledger.errors import Damaged, InUse
from payme_plugin.ledger.locks import FILE_NAME, SQLITE_BYTES, are_locked, lock_bytes
from payme_plugin.ledger.schema import SCHEMA_VERSION, make_tables, require_ours
from payme_plugin.ledger.states import End, EventKind, Hold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TABLES = ("payment", "event", "cancellation", "fiscal_link", "about", "code")
_FILE_MODE = 0o600
_QUEUED = re.compile(r"cancellation: (?:queued|queued again by.*|mended by.*), cause (unrecorded|cancel|refund)$")
_ABOUT_CANCELLATION = "cancellation: "
_CLOSED = "closed by hand: "
_ENDS = {"Payme says cancelled": End.CANCELLED, _CLOSED: End.CLOSED, "it had ended; how could not be read": End.CLOSED}
_HELD = "the till says that it has this payment"

BEGUN = """
UPDATE cancellation SET begun_at = (
    SELECT min(at_ms) FROM event WHERE event.payment_id = cancellation.payment_id AND text GLOB '*receipts.cancel*'
    AND event_id > coalesce((
        SELECT min(event_id) FROM event AS written WHERE written.payment_id = cancellation.payment_id
        AND written.at_ms = cancellation.created_at AND written.text GLOB 'cancellation: queued, cause *'
    ), 0)
)
"""
"""Mark the cancellations of version 1 that have begun: a ``receipts.cancel`` is among the events after them.

If it is unknown when one was written, e.g. after a repair, any ``receipts.cancel`` of its payment counts.
"""


def open_reader(path: Path) -> sqlite3.Connection | None:
    """Open the journal at ``path`` for reading, without changing a byte; None if there is none.

    A journal of an earlier version is read into memory and migrated there.

    Raises:
        Damaged: the file is not a journal, or another program's.
        TooNew: a newer version wrote it.
        Unavailable: it can't be read.
    """
    with translated():
        connection = connect_read_only(path)
        if connection is None or require_ours(connection) == SCHEMA_VERSION:
            return connection
        with closing(connection):
            copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            connection.backup(copy)
        use_rows(copy)
        _upgrade(copy)
        return copy


def migrate_file(path: Path) -> None:
    """Bring the journal at ``path`` to this version; do nothing if it is, or if there is none.

    Raises:
        InUse: a process works with it. Nothing was changed.
        Damaged: the file is not a journal, or holds a row that can't be read. Nothing was changed.
        TooNew: a newer version wrote it.
        Unavailable: the disk or its permissions. Nothing was changed.
    """
    with translated(), ExitStack() as undo:
        reader = connect_read_only(path)
        if reader is None:
            return
        with closing(reader):
            version = require_ours(reader)
        if version == SCHEMA_VERSION:
            return
        undo.enter_context(_unused(path))
        connection = undo.enter_context(closing(sqlite3.connect(path, timeout=0, isolation_level=None)))
        use_rows(connection)
        # Until it is closed no other process can read the file.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        connection.execute("PRAGMA synchronous = FULL")
        _back_up(connection, path.with_name(f"journal-v{version}.bak"))
        _upgrade(connection)


@contextmanager
def _unused(path: Path) -> Iterator[None]:
    """Require that no process of any version uses a journal: version 1 locked the same bytes, and a file of its own.

    Raises:
        InUse: one does.
    """
    leases = path.with_name(FILE_NAME)
    leases.touch(_FILE_MODE)
    with ExitStack() as held:
        try:
            for owner in path.parent.glob("owners/*"):
                fcntl.flock(held.enter_context(owner.open("r+b")), fcntl.LOCK_SH | fcntl.LOCK_NB)
            # A length of 0 reaches to the end: the leader, the users, the leases of rows.
            is_free = lock_bytes(held.enter_context(leases.open("r+b")).fileno(), 0, 0)
        except BlockingIOError:
            is_free = False
        if not is_free or are_locked(held.enter_context(path.open("r+b")).fileno(), *SQLITE_BYTES):
            message = f"a process of the former version works with {path}: stop the till and its workers, then start it"
            raise InUse(message)
        yield


def _back_up(connection: sqlite3.Connection, copy: Path) -> None:
    """Copy the journal durably; replace a copy that is there."""
    part = copy.with_name(f"{copy.name}.part")
    try:
        part.touch(_FILE_MODE)
        with closing(sqlite3.connect(part)) as target:
            connection.backup(target)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(copy)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(copy.parent)


# ---------------------------------------------------------------------------------------------------------------------
# The migrations
# ---------------------------------------------------------------------------------------------------------------------


def _upgrade(connection: sqlite3.Connection) -> None:
    """Move all rows of version 1 to the tables of version 2, in one transaction; what texts said becomes columns.

    Raises:
        Damaged: a row breaks a rule of the new tables.
    """
    try:
        with transaction(connection):
            if require_ours(connection) != SCHEMA_VERSION:
                _from_1(connection)
    except sqlite3.IntegrityError as error:
        message = f"a row of a former version is invalid ({error})"
        raise Damaged(message) from error


def _from_1(connection: sqlite3.Connection) -> None:
    rows = {}
    for table in _TABLES:
        rows[table] = [upgraded(table, dict(row)) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608 - our own names
    for table in reversed(_TABLES):
        connection.execute(f"DROP TABLE {table}")
    make_tables(connection)
    for table in _TABLES:  # in this order: rows refer to those of the first
        for values in rows[table]:
            columns, marks = ", ".join(values), ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(values.values()))  # noqa: S608
    connection.execute(BEGUN)
    # Its host had this journal from its first sale on: nothing is looked for in Payme's list.
    connection.execute("INSERT INTO about (name, value) VALUES ('ready', '1')")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def upgraded(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of version 1 as version 2 stores it; any other row as it is."""
    if table == "payment" and "acknowledged_at" not in row:
        return {**row, "acknowledged_at": row["updated_at"] if row["state"] == "recorded" else row["closed_at"]}
    if table == "event" and "kind" not in row:
        return _event(row)
    return _cancellation(row) if table == "cancellation" and "outcome" in row else row


def _event(row: dict[str, Any]) -> dict[str, Any]:
    kind, text = EventKind.NOTE if row["after"] is None else EventKind.TRANSITION, str(row["text"])
    queued = _QUEUED.match(text)
    ended_as = _end_of(text[len(_ABOUT_CANCELLATION) :]) if text.startswith(_ABOUT_CANCELLATION) else None
    return {**row, "kind": kind.value, "cause": queued and queued[1], "ended_as": ended_as}


def _cancellation(row: dict[str, Any]) -> dict[str, Any]:
    outcome, was = str(row.pop("outcome")), row["last_error"]
    ended_as = _end_of(outcome) or (End.WITHDRAWN.value if outcome else None)
    return {
        **row,
        "is_queued": int(was != ""),
        "held": Hold.HOST.value if was == _HELD and not outcome else None,
        "last_error": outcome or was,
        "ended_as": ended_as,
        "closed_reason": outcome.removeprefix(_CLOSED) if ended_as == End.CLOSED.value else None,
    }


def _end_of(text: str) -> str | None:
    """Return how a text of version 1 says that a cancellation ended, or None."""
    return next((end.value for start, end in _ENDS.items() if text.startswith(start)), None)
