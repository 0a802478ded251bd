"""The tables of the journal and their version."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing

from payme_plugin.ledger.errors import Damaged, TooNew, Unavailable

SCHEMA_VERSION = 2

SMALLEST_FILE = 512
"""Bytes of the smallest database, which has one page.

Source: https://sqlite.org/fileformat.html, section 1.2.
"""

_APPLICATION_ID = 0x7061796D  # SQLite's mark for the program that a file belongs to: "paym"

LATER_INDEX = "CREATE INDEX cancellation_of_payment ON cancellation (payment_id)"
"""A journal that an earlier build of this version made gets it when its first old payments are deleted.

That needs no new version, because every build's SQLite keeps the indexes that a file has.
"""

_TABLES = """
CREATE TABLE about (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE payment (
    payment_id TEXT PRIMARY KEY,
    payment_type INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    till TEXT NOT NULL,
    shift INTEGER NOT NULL,
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    pos_id TEXT NOT NULL,
    url TEXT NOT NULL,
    owner TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('intent', 'created', 'paying', 'paid', 'recorded', 'refused', 'aborted',
        'unknown', 'reversing', 'reversed')),
    receipt_id TEXT UNIQUE CHECK (receipt_id IS NOT NULL OR state IN ('intent', 'refused', 'aborted')),
    paid_at INTEGER,
    acknowledged_at INTEGER,
    closed_at INTEGER,
    message TEXT NOT NULL DEFAULT '',
    error_code INTEGER,
    cancellation_queued INTEGER NOT NULL DEFAULT 0 CHECK (cancellation_queued IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX payment_of_sale ON payment (till, shift, number);
CREATE INDEX payment_without_end ON payment (state) WHERE state IN ('intent', 'created', 'paying', 'paid', 'reversing');
CREATE INDEX payment_in_open_sale ON payment (state) WHERE state = 'recorded' AND closed_at IS NULL;
CREATE INDEX payment_unacknowledged ON payment (owner)
    WHERE acknowledged_at IS NULL AND state IN ('intent', 'created', 'paying', 'paid', 'recorded');
CREATE INDEX payment_by_age ON payment (created_at);

CREATE TABLE event (
    event_id INTEGER PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payment,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('transition', 'request', 'answer', 'cancellation', 'fiscal', 'note')),
    before TEXT,
    after TEXT CHECK ((after IS NOT NULL) = (kind = 'transition')),
    cause TEXT CHECK (cause IN ('unrecorded', 'cancel', 'refund')),
    ended_as TEXT CHECK (ended_as IN ('cancelled', 'closed', 'withdrawn', 'recorded')),
    text TEXT NOT NULL
) STRICT;

CREATE INDEX event_of_payment ON event (payment_id);

CREATE TABLE code (
    fingerprint TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payment,
    sent_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX code_of_payment ON code (payment_id);

CREATE TABLE cancellation (
    cancellation_id INTEGER PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payment,
    receipt_id TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    pos_id TEXT NOT NULL,
    url TEXT NOT NULL,
    cause TEXT NOT NULL CHECK (cause IN ('unrecorded', 'cancel', 'refund')),
    request_id TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    offered_at INTEGER,
    begun_at INTEGER,
    is_queued INTEGER NOT NULL DEFAULT 0 CHECK (is_queued IN (0, 1)),
    held TEXT CHECK (held IN ('host', 'old')),
    confirmed_at INTEGER,
    reopened_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    last_error TEXT NOT NULL DEFAULT '',
    ended_at INTEGER,
    ended_as TEXT CHECK (ended_as IN ('cancelled', 'closed', 'withdrawn', 'recorded')),
    closed_reason TEXT CHECK (closed_reason IS NOT NULL OR ended_as IS NOT 'closed'),
    CHECK ((ended_at IS NULL) = (ended_as IS NULL))
) STRICT;

CREATE UNIQUE INDEX one_live_cancellation ON cancellation (payment_id) WHERE ended_at IS NULL;
CREATE INDEX cancellation_due ON cancellation (due_at) WHERE ended_at IS NULL AND held IS NOT 'old';

CREATE TABLE fiscal_link (
    fiscal_link_id INTEGER PRIMARY KEY,
    payment_id TEXT NOT NULL UNIQUE REFERENCES payment,
    receipt_id TEXT NOT NULL,
    pos_id TEXT NOT NULL,
    url TEXT NOT NULL,
    link TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    ended_at INTEGER,
    outcome TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX fiscal_link_due ON fiscal_link (due_at) WHERE ended_at IS NULL;
"""


def make_tables(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty database, inside the caller's transaction if there is one."""
    for statement in (*_TABLES.split(";\n"), LATER_INDEX):
        connection.execute(statement)


def has_our_schema(connection: sqlite3.Connection) -> bool:
    """Return whether a file has exactly the schema of this version; a flipped bit may change a rule of a table."""
    with closing(sqlite3.connect(":memory:")) as journal:
        make_tables(journal)
        return _statements(journal) == _statements(connection) | {LATER_INDEX}


def _statements(connection: sqlite3.Connection) -> set[object]:
    return {row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}


def columns_of(connection: sqlite3.Connection) -> set[tuple[object, ...]]:
    """Return the names of all tables, each with one of its columns."""
    query = "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns"
    return {tuple(row) for row in connection.execute(query)}


def require_ours(connection: sqlite3.Connection) -> int:
    """Return the version of the schema in a file, 0 if the file is empty.

    Raises:
        Damaged: it is another program's database.
        TooNew: a newer version wrote it.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != _APPLICATION_ID:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version or tables or application_id:
            message = "the file is another program's database"
            raise Damaged(message)
    if version > SCHEMA_VERSION:
        message = f"the journal has version {version}, this program knows versions up to {SCHEMA_VERSION}"
        raise TooNew(message)
    return int(version)


def make_journal(connection: sqlite3.Connection, host_identity: str) -> None:
    """Make a journal in an empty file, in one transaction; do nothing if there is one.

    Args:
        connection: the file, open for writing.
        host_identity: the till's stable name; a new file belongs to it.

    Raises:
        Damaged: it is another program's database.
        TooNew: a newer version wrote it.
        Unavailable: an earlier version wrote it; it has to be migrated first.
    """
    version = require_ours(connection)
    if version == SCHEMA_VERSION:
        return
    if version:
        message = f"the journal has version {version}, this program needs version {SCHEMA_VERSION}"
        raise Unavailable(message)
    with connection:  # commits at the end, or rolls back
        connection.execute("BEGIN IMMEDIATE")
        if require_ours(connection) == 0:
            make_tables(connection)
            connection.executemany(
                "INSERT INTO about (name, value) VALUES (?, ?)",
                [("host_identity", host_identity), ("fingerprint_key", secrets.token_hex(32))],
            )
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
