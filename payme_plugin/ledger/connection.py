"""The connection to the journal's file: opening, transactions, errors, and whether the file is still the same one.

Every pragma is read back, because builds of SQLite differ. No file that SQLite has open is opened by hand: closing it
would release every lock that SQLite holds on it for this process (https://sqlite.org/howtocorrupt.html, section 2.2).

SQLite rolls a transaction whose COMMIT failed back in memory only. If nothing but the sync failed, it is complete in
the write-ahead log, and whoever opens the file after a kill finds it committed: a refund that was refused would be
carried out. So it is written over. Source: SQLite, *WAL-mode file format*: a frame counts if its checksum and those of
all frames before it are right.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from payme_plugin.durable import sync_folder
from payme_plugin.ledger.errors import Damaged, FileMoved, JournalError, Unavailable
from payme_plugin.ledger.schema import migrate, require_ours
from payme_plugin.log import Log

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SMALLEST_FILE", "FileIdentity", "connect", "connect_read_only", "transaction", "translated", "use_rows"]

_log = Log()

SMALLEST_FILE = 512
"""Bytes of a database of one page of the smallest size. Source: https://sqlite.org/fileformat.html, section 1.2."""

_BUSY_TIMEOUT_MS = 2000
_FILE_MODE = 0o600
_FOLDER_MODE = 0o700
# Of SQLite's write-ahead log: https://sqlite.org/fileformat2.html, section 4.1.
_LOG_HEADER_BYTES = 32
# SQLITE_CORRUPT and SQLITE_NOTADB of SQLite's C interface; the module names them from Python 3.11 on.
_DAMAGED = (11, 26)
_PRIMARY_CODE = 0xFF

_FILES = ("", "-wal", "-shm")
_ADVICE = "while it was open; put it back or restart the till"

# An unchanged page would not be written: the count makes it another one.
_COUNT = """
INSERT INTO about (name, value) VALUES ('failed_commits', '1')
ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)
"""

# ---------------------------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLite and the disk raise into the journal's own errors.

    Raises:
        Damaged: the file is no journal any more.
        Unavailable: anything else.
    """
    try:
        yield
    except JournalError:
        raise
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            raise Damaged(str(error)) from error
        raise Unavailable(str(error)) from error
    except UnicodeDecodeError as error:
        # A name in the schema: nothing that is not UTF-8 was ever stored.
        raise Damaged(str(error)) from error
    except (sqlite3.Error, OSError, OverflowError, UnicodeError) as error:
        raise Unavailable(str(error)) from error


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)  # Python 3.11 and newer
    if code is not None:
        return code & _PRIMARY_CODE in _DAMAGED
    return "malformed" in str(error) or "not a database" in str(error)


# ---------------------------------------------------------------------------------------------------------------------
# Opening
# ---------------------------------------------------------------------------------------------------------------------


def connect(path: Path, host_identity: str) -> sqlite3.Connection:
    """Open the journal at ``path`` for reading and writing; create it, and its folder, where there is none.

    Args:
        path: the file.
        host_identity: the till's stable name; a new file belongs to it.

    Raises:
        Unavailable: the disk, its rights, or a file system without write-ahead log.
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
        use_rows(connection)
        try:
            _set_pragmas(connection)
            migrate(connection, host_identity)
        except BaseException:
            connection.close()
            raise
        return connection


def _set_pragmas(connection: sqlite3.Connection) -> None:
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
            raise Unavailable(message)


def use_rows(connection: sqlite3.Connection) -> None:
    """Let a connection return named columns, and bytes for a text that is not UTF-8: only its row is invalid then."""
    connection.row_factory = sqlite3.Row
    connection.text_factory = _text_or_bytes


def _text_or_bytes(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _make_folder(folder: Path) -> None:
    """Make the folder where there is none, durably: SQLite syncs the names in it, but not its own name."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    for made in missing:
        with suppress(PermissionError):  # it may be written, but not read, and so not synced either
            sync_folder(made.parent)


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
            raise Unavailable(message) from None


def connect_read_only(path: Path) -> sqlite3.Connection | None:
    """Open the journal at ``path`` for reading; None where there is none. It creates nothing and changes not a byte.

    Raises:
        Damaged: the file is no journal, or another program's.
        TooNew: a newer version wrote it.
        Unavailable: it can't be read.
    """
    with translated():
        if not path.exists():
            return None
        if path.is_file() and 0 < path.stat().st_size < SMALLEST_FILE:
            # SQLite would read whatever a log beside it holds.
            message = "the file is no database"
            raise Damaged(message)
        connection = _reader_of(path)
        use_rows(connection)
        try:
            version = require_ours(connection)
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


# ---------------------------------------------------------------------------------------------------------------------
# Transactions
# ---------------------------------------------------------------------------------------------------------------------


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


# ---------------------------------------------------------------------------------------------------------------------
# Identity of the files
# ---------------------------------------------------------------------------------------------------------------------


class FileIdentity:
    """The files of a journal that was just opened and read: the database, its log and the log's index."""

    def __init__(self, path: Path) -> None:
        """Remember which files have the names now.

        Raises:
            Unavailable: they can't be looked at.
        """
        with translated():
            files = [path.with_name(path.name + part) for part in _FILES]
            self._opened = {file: found for file in files if (found := _found_at(file)) is not None}

    def require(self) -> None:
        """Make sure that the same files have the names still.

        Raises:
            FileMoved: one of them was deleted, moved or replaced.
            Unavailable: they can't be looked at.
        """
        for file, opened in self._opened.items():
            with translated():
                found = _found_at(file)
            if found != opened:
                what = "deleted or moved" if found is None else "replaced"
                message = f"{file} was {what} {_ADVICE}"
                raise FileMoved(message, is_replaced=found is not None)


def _found_at(file: Path) -> tuple[int, int] | None:
    """Return which file has a name: its disk and its number there; None: there is none."""
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
