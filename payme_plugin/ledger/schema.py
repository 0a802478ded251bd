"""The journal's file: its tables, its version, and how it is opened.

Every pragma is read back, because builds of SQLite differ.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Damaged, JournalError, TooNew, Unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SCHEMA_VERSION", "SMALLEST_FILE", "connect", "connect_read_only", "make_tables", "translated"]

SCHEMA_VERSION = 1

SMALLEST_FILE = 512
"""Bytes of a database of one page of the smallest size. Source: https://sqlite.org/fileformat.html, section 1.2."""

_BUSY_TIMEOUT_MS = 2000
_FILE_MODE = 0o600
_FOLDER_MODE = 0o700
_APPLICATION_ID = 0x7061796D  # SQLite's own mark of whose file it is: "paym"

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
    state TEXT NOT NULL,
    receipt_id TEXT UNIQUE,
    paid_at INTEGER,
    closed_at INTEGER,
    message TEXT NOT NULL DEFAULT '',
    error_code INTEGER,
    cancellation_queued INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX payment_of_sale ON payment (till, shift, number);
CREATE INDEX payment_without_end ON payment (state) WHERE state IN ('intent', 'created', 'paying', 'paid', 'reversing');
CREATE INDEX payment_in_open_sale ON payment (state) WHERE state = 'recorded' AND closed_at IS NULL;
CREATE INDEX payment_by_age ON payment (created_at);

CREATE TABLE event (
    event_id INTEGER PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payment,
    at_ms INTEGER NOT NULL,
    before TEXT,
    after TEXT,
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
    cause TEXT NOT NULL,
    request_id TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    offered_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    ended_at INTEGER,
    outcome TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE UNIQUE INDEX one_live_cancellation ON cancellation (payment_id) WHERE ended_at IS NULL;
CREATE INDEX cancellation_due ON cancellation (due_at) WHERE ended_at IS NULL;

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

# SQLITE_CORRUPT and SQLITE_NOTADB of SQLite's C interface; the module names them from Python 3.11 on.
_DAMAGED = (11, 26)
# Of SQLite's write-ahead log: https://sqlite.org/fileformat2.html, section 4.1.
_LOG_HEADER_BYTES = 32
_PRIMARY_CODE = 0xFF


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLite and the disk raise into the journal's own errors.

    Raises:
        Damaged: the file is no journal any more.
        Unwritable: anything else.
    """
    try:
        yield
    except JournalError:
        raise
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            raise Damaged(str(error)) from error
        raise Unwritable(str(error)) from error
    except UnicodeDecodeError as error:
        # A name in the schema: nothing that is not UTF-8 was ever stored.
        raise Damaged(str(error)) from error
    except (sqlite3.Error, OSError, OverflowError, UnicodeError) as error:
        raise Unwritable(str(error)) from error


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)  # Python 3.11 and newer
    if code is not None:
        return code & _PRIMARY_CODE in _DAMAGED
    return "malformed" in str(error) or "not a database" in str(error)


def connect(path: Path, host_identity: str) -> sqlite3.Connection:
    """Open the journal at ``path`` for reading and writing; create it, and its folder, where there is none.

    Args:
        path: the file.
        host_identity: the till's stable name; a new file belongs to it.

    Raises:
        Unwritable: the disk, its rights, or a file system without write-ahead log.
        Damaged: the file is no journal.
        TooNew: a newer version wrote it.
    """
    with translated():
        _make_folder(path.parent)
        # Whether the file is a journal at all is asked without writing: to open it for writing would change it.
        former = connect_read_only(path)
        if former is not None:
            former.close()
        _make_or_require_writable(path)
        connection = sqlite3.connect(
            path, timeout=_BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False
        )
        _give_rows(connection)
        try:
            _set_up(connection)
            _migrate(connection, host_identity)
        except BaseException:
            connection.close()
            raise
        return connection


def _give_rows(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    connection.text_factory = _text_or_bytes


def _text_or_bytes(raw: bytes) -> str | bytes:
    """Return a text of the file; one that is no UTF-8 stays bytes, so that its row alone makes no sense."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _make_folder(folder: Path) -> None:
    """Make the folder where there is none, durably: SQLite syncs the names in it, but not its own name."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    for made in missing:
        try:
            above = os.open(made.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError:  # it may be written, but not read, and so not synced either
            continue
        try:
            os.fsync(above)
        finally:
            os.close(above)


def _make_or_require_writable(path: Path) -> None:
    """Make the file where there is none, for its owner alone; else make sure that it may be written.

    A file that is there is not opened by hand: to close it again would take away every lock that SQLite holds on it for
    this process (https://sqlite.org/howtocorrupt.html, section 2.2), and another process would throw away the log that
    this one still writes.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _FILE_MODE))
    except FileExistsError:
        if not os.access(path, os.W_OK, effective_ids=True):
            message = f"{path} may not be written by this user"
            raise Unwritable(message) from None


def connect_read_only(path: Path) -> sqlite3.Connection | None:
    """Open the journal at ``path`` for reading; None where there is none. It creates nothing and changes not a byte.

    Raises:
        Damaged: the file is no journal, or another program's.
        TooNew: a newer version wrote it.
        Unwritable: it can't be read.
    """
    with translated():
        if not path.exists():
            return None
        if path.is_file() and 0 < path.stat().st_size < SMALLEST_FILE:
            # SQLite would read whatever a log beside it holds.
            message = "the file is no database"
            raise Damaged(message)
        connection = _reader_of(path)
        _give_rows(connection)
        try:
            version = _require_ours(connection)
        except BaseException:
            connection.close()
            raise
        if version == 0:
            connection.close()
            return None
        return connection


def _reader_of(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads, whatever lies beside the file."""
    log, index = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    if not _has_frames(log):
        # No commit waits in a log: the file alone is the journal. Without a log SQLite would make one; over one that a
        # power cut left with nothing but its header, a reader that may not write the index tries for ten seconds and
        # fails with "locking protocol".
        return _connect_by_uri(path, "mode=ro&immutable=1")
    if index.exists():
        # Beside a live process this one shares its index; after a crash SQLite reads the log into memory.
        return _connect_by_uri(path, "mode=ro&readonly_shm=1")
    return _in_memory(path, log)


def _has_frames(log: Path) -> bool:
    try:
        return log.stat().st_size > _LOG_HEADER_BYTES
    except FileNotFoundError:
        return False


def _connect_by_uri(path: Path, flags: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{flags}",
        uri=True,
        timeout=_BUSY_TIMEOUT_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
    )


def _in_memory(path: Path, log: Path) -> sqlite3.Connection:
    """Return a copy, in memory, of a journal with a log but without its index: nobody has it open."""
    with tempfile.TemporaryDirectory(prefix="payme-") as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder) / file.name)
        with closing(sqlite3.connect(Path(folder) / path.name, isolation_level=None)) as copy:
            # A database in memory can have no log.
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            try:
                copy.backup(connection)
            except BaseException:
                connection.close()
                raise
    return connection


def make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of a journal in an empty database, inside the caller's transaction if there is one."""
    for statement in _TABLES.split(";\n"):
        connection.execute(statement)


def _set_up(connection: sqlite3.Connection) -> None:
    for pragma, value, read_back in (
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", 2),
        ("foreign_keys", "ON", 1),
        ("busy_timeout", str(_BUSY_TIMEOUT_MS), _BUSY_TIMEOUT_MS),
    ):
        connection.execute(f"PRAGMA {pragma} = {value}").fetchall()
        (found,) = connection.execute(f"PRAGMA {pragma}").fetchone()
        if found != read_back:
            message = f"PRAGMA {pragma} is {found!r} where {read_back!r} is needed; is the data folder on a local disk?"
            raise Unwritable(message)


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _require_ours(connection: sqlite3.Connection) -> int:
    """Return the version of the schema; 0: the file is empty."""
    version = _version(connection)
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != _APPLICATION_ID:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version or tables or application_id:
            message = "the file is another program's database"
            raise Damaged(message)
    if version > SCHEMA_VERSION:
        message = f"the journal has version {version}, this program knows versions up to {SCHEMA_VERSION}"
        raise TooNew(message)
    return version


def _migrate(connection: sqlite3.Connection, host_identity: str) -> None:
    if _require_ours(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _require_ours(connection) == 0:
            make_tables(connection)
            connection.executemany(
                "INSERT INTO about (name, value) VALUES (?, ?)",
                [("host_identity", host_identity), ("fingerprint_key", secrets.token_hex(32))],
            )
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
