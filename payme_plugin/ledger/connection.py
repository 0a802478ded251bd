"""The connection to the journal's file: opening, transactions, errors, identity of the files.

Every pragma is read back, because builds of SQLite differ. No file that SQLite has open is opened by hand: closing it
would release every lock that SQLite holds on it for this process (https://sqlite.org/howtocorrupt.html, section 2.2).

SQLite rolls a transaction whose COMMIT failed back in memory only. If nothing but the sync failed, it is complete in
the write-ahead log, and a process that opens the file after a kill finds it committed: the money of a refused refund
would be returned. So it is overwritten. Source: SQLite, *WAL-mode file format*: a frame counts if its checksum and
those of all frames before it are right.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from payme_plugin.fsync import sync_folder
from payme_plugin.ledger.errors import Damaged, FileMoved, JournalError, Unavailable, Unstorable
from payme_plugin.ledger.schema import SMALLEST_FILE, make_journal, require_ours
from payme_plugin.log import Log

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = Log()

BUSY_TIMEOUT_MS = 2000

CHECKPOINT_PAGES = 4000
"""The log's pages (16 MB) at which a commit makes a checkpoint, of several syncs, itself.

The worker makes one much earlier, while no hook runs, so that no sale waits for it.
"""

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700
# Of SQLite's write-ahead log: https://sqlite.org/fileformat2.html, section 4.1.
_LOG_HEADER_BYTES = 32
# SQLITE_CORRUPT and SQLITE_NOTADB of SQLite's C interface; ``sqlite3`` names them since Python 3.11.
_DAMAGED = (11, 26)
_PRIMARY_CODE = 0xFF

_ADVICE = "while it was open; put it back or restart the till"

_COUNT = """
INSERT INTO about (name, value) VALUES ('failed_commits', '1')
ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)
"""
"""Counts failed commits. An unchanged page would not be written; counting changes it."""

# ---------------------------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def translated() -> Iterator[None]:
    """Translate the errors of SQLite and the disk into those of the journal.

    Raises:
        Damaged: the file can't be read as a journal.
        Unstorable: a value can't be stored, now or later.
        Unavailable: anything else.
    """
    try:
        yield
    except JournalError:
        raise
    except (sqlite3.IntegrityError, OverflowError, UnicodeEncodeError) as error:
        raise Unstorable(str(error)) from error
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            raise Damaged(str(error)) from error
        raise Unavailable(str(error)) from error
    except UnicodeDecodeError as error:
        # A name in the schema; all that was ever stored is UTF-8.
        raise Damaged(str(error)) from error
    except (sqlite3.Error, OSError) as error:
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
    """Open the journal at ``path`` for writing; create it and its folder if there is none.

    Args:
        path: the file.
        host_identity: the till's stable name; a new file belongs to it.

    Raises:
        Unavailable: the disk or its permissions, or a file system without write-ahead log.
        Damaged: the file is not a journal.
        TooNew: a newer version wrote it.
    """
    with translated():
        _make_folder(path.parent)
        # Opening another program's file for writing would change it, so it is read first.
        former = connect_read_only(path)
        if former is not None:
            former.close()
        _make_or_require_writable(path)
        connection = _open(str(path))
        try:
            _set_pragmas(connection)
            make_journal(connection, host_identity)
        except BaseException:
            connection.close()
            raise
        return connection


def _set_pragmas(connection: sqlite3.Connection) -> None:
    for pragma, value, read_back in (
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", 2),
        ("foreign_keys", "ON", 1),
        ("busy_timeout", str(BUSY_TIMEOUT_MS), BUSY_TIMEOUT_MS),
        ("wal_autocheckpoint", str(CHECKPOINT_PAGES), CHECKPOINT_PAGES),
    ):
        connection.execute(f"PRAGMA {pragma} = {value}").fetchall()
        (found,) = connection.execute(f"PRAGMA {pragma}").fetchone()
        if found != read_back:
            message = f"PRAGMA {pragma} is {found!r} where {read_back!r} is needed; is the data folder on a local disk?"
            raise Unavailable(message)


def use_rows(connection: sqlite3.Connection) -> None:
    """Make a connection return named columns, and bytes for text that is not UTF-8.

    Such bytes make only their own row invalid.
    """
    connection.row_factory = sqlite3.Row
    connection.text_factory = _text_or_bytes


def _text_or_bytes(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _make_folder(folder: Path) -> None:
    """Create the folder durably: SQLite syncs the names in it, but not its own name."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    for made in missing:
        with suppress(PermissionError):  # it can be written but not read, so it can't be synced
            sync_folder(made.parent)


def _make_or_require_writable(path: Path) -> None:
    """Create the file with mode 0600 if there is none; else require that it can be written.

    A file that exists is not opened by hand: closing it would release SQLite's locks, and another process would delete
    the log that this one still writes.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _FILE_MODE))
    except FileExistsError:
        if not os.access(path, os.W_OK, effective_ids=True):
            message = f"this user can't write {path}: check its owner and permissions"
            raise Unavailable(message) from None


def connect_read_only(path: Path) -> sqlite3.Connection | None:
    """Open the journal at ``path`` for reading, without changing a byte; None if there is none.

    Raises:
        Damaged: the file is not a journal, or another program's.
        TooNew: a newer version wrote it.
        Unavailable: it can't be read.
    """
    with translated():
        if not path.exists():
            return None
        if path.is_file() and 0 < path.stat().st_size < SMALLEST_FILE:
            # SQLite would read the log beside it.
            message = "the file is not a database"
            raise Damaged(message)
        connection = _open_reader(path)
        with ExitStack() as undo:
            undo.callback(connection.close)
            if require_ours(connection) == 0:
                return None
            undo.pop_all()
        return connection


def _open_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads and creates no file beside the database."""
    _, log, index = files_of(path)
    log_bytes = 0
    with suppress(FileNotFoundError):
        log_bytes = log.stat().st_size
    if log_bytes <= _LOG_HEADER_BYTES:
        # No commit is in a log: the database file is complete. If there is no log SQLite would create one; with one
        # that holds only its header, after a power cut, a reader that can't write the index fails with "locking
        # protocol" after ten seconds.
        return _open(f"{path.absolute().as_uri()}?mode=ro&immutable=1")
    if index.exists():
        # A live process shares its index with this one; after a crash SQLite reads the log into memory.
        return _open(f"{path.absolute().as_uri()}?mode=ro&readonly_shm=1")
    # No process has it open, and SQLite would create an index. So a copy is read; its files are deleted while open.
    with tempfile.TemporaryDirectory(prefix="payme-") as folder, ExitStack() as undo:
        copy = Path(folder, path.name)
        for file in (path, log):
            shutil.copyfile(file, Path(folder, file.name))
        connection = _open(str(copy))
        undo.callback(connection.close)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        undo.pop_all()
    return connection


def _open(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        name, uri=True, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False
    )
    use_rows(connection)
    return connection


# ---------------------------------------------------------------------------------------------------------------------
# Transactions
# ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Begin an immediate transaction; commit it at the end, or roll it back if anything is raised.

    Args:
        connection: the journal's, outside a transaction, with ``synchronous = FULL``.

    Raises:
        sqlite3.Error: nothing was stored.
    """
    connection.execute("BEGIN IMMEDIATE")
    process, is_complete = os.getpid(), False
    try:
        yield
        is_complete = True
        connection.execute("COMMIT")
    except BaseException:
        if process == os.getpid():  # in a forked child the transaction is still the parent's
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if is_complete:
                _overwrite(connection)
        raise


def _overwrite(connection: sqlite3.Connection) -> None:
    """Overwrite what a failed COMMIT left in the log, by committing a small change.

    It is not synced, because that is what may have failed, and a kill keeps what was written. If it fails, that is
    logged: the transaction may come back. Until the next commit it may also come back after a power cut.
    """
    try:
        (frames,) = connection.execute("PRAGMA wal_autocheckpoint").fetchone()
        try:
            # Without a sync a checkpoint would put durable commits at risk.
            connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(_COUNT)
        finally:
            try:
                connection.execute("PRAGMA synchronous = FULL")
            finally:
                connection.execute(f"PRAGMA wal_autocheckpoint = {int(frames)}").fetchall()
    except sqlite3.Error as error:
        _log.error("the journal: what a failed commit wrote could not be overwritten: %s", error)


# ---------------------------------------------------------------------------------------------------------------------
# Identity of the files
# ---------------------------------------------------------------------------------------------------------------------


class FileIdentity:
    """Detect that the journal was deleted, moved or replaced while open.

    An unlinked file accepts every commit until the process ends; then they are lost.
    """

    def __init__(self, path: Path, *others: Path) -> None:
        """Note device and inode of the database, its -wal and its -shm, and of other files that belong to it.

        Raises:
            Unavailable: they can't be looked at.
        """
        with translated():
            files = {file: _device_and_inode(file) for file in (*files_of(path), *others)}
        self._opened = {file: found for file, found in files.items() if found is not None}

    def require(self, *, may_be_deleted: bool = False) -> None:
        """Require that the same files are still at their paths.

        Args:
            may_be_deleted: they may be missing; what is stored in them is lost when this process ends.

        Raises:
            FileMoved: one of them was deleted, moved or replaced.
            Unavailable: they can't be looked at.
        """
        with translated():
            for file, opened in self._opened.items():
                found = _device_and_inode(file)
                if found != opened and not (may_be_deleted and found is None):
                    what = "deleted or moved" if found is None else "replaced"
                    message = f"{file} was {what} {_ADVICE}"
                    raise FileMoved(message, is_replaced=found is not None)


def files_of(path: Path) -> tuple[Path, Path, Path]:
    """Return the files of the journal at ``path``: the database, its log and the index of the log."""
    return path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def _device_and_inode(file: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, or None if there is none."""
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
