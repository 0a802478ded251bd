"""The state file: what a bank knows, in SQLite, so that it survives the end of the process, also by SIGKILL.

Each change is one transaction, committed before the request that made it is answered. The file is for one sandbox at a
time, which holds a lock on the file beside it that ends in ``-lock``. A power cut may lose the last changes.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import stat
from contextlib import closing, suppress
from enum import Enum
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hookspecs.structure import structure, unstructure
from payme_plugin.sandbox.behaviour import CancelPlan
from payme_plugin.sandbox.receipt import Receipt, Step
from payme_plugin.sandbox.records import BankRecords, CodeView, MerchantAccount, Phone

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAGIC = b"SQLite format 3\0"
_APPLICATION_ID = 0x504D5342  # "PMSB"
_VERSION = 1
_HEADER = 100
_VERSION_AT, _APPLICATION_AT = 60, 68
"""Where SQLite keeps ``user_version`` and ``application_id`` in a file. Source: sqlite.org/fileformat2.html."""

_SCHEMA = """
CREATE TABLE time (one INTEGER PRIMARY KEY CHECK (one = 1), latest_ms INTEGER NOT NULL);
CREATE TABLE account (id TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE phone (id TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE code (id TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE receipt (id TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE pays (id TEXT PRIMARY KEY, document TEXT NOT NULL);
INSERT INTO time VALUES (1, 0);
"""
_IDENTITY = f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_VERSION};"
_RECEIPT_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("receipt_id", "pos_id", "description"), (str,)),
    **dict.fromkeys(("phone_id", "code"), (str, type(None))),
    **dict.fromkeys(("detail", "fiscal_data"), (dict, type(None))),
    **dict.fromkeys(("amount", "number"), (int,)),
    "account": (dict,),
    "cancel_asked": (bool,),
}
"""``structure`` reads the rest; it can't read objects with members of any type."""

_TABLES = ("account", "phone", "code", "receipt", "pays")


class StateFault(Enum):
    """Why a state file can't be used."""

    IN_USE = "another sandbox uses it"
    FOREIGN = "it is not a state file of the sandbox"
    NEWER = "a newer version of the sandbox wrote it"
    DAMAGED = "it is damaged"
    OTHER_KEY = "its merchant account has another key"
    UNUSABLE = "it can't be read or written"


class StateFileError(Exception):
    """A state file that can't be used; it stays as it is.

    Attributes:
        path: the file.
        fault: why.
        reason: details, in the words of the system; may be empty.
    """

    def __init__(self, path: Path, fault: StateFault, reason: str = "") -> None:
        super().__init__(f"the state file {path} can't be used: {fault.value}" + (f" ({reason})" if reason else ""))
        self.path = path
        self.fault = fault
        self.reason = reason


class StateFile:
    """A state file, between ``open`` and ``close``.

    Args:
        path: where it is, or will be made with the rights 0600. Links are followed: the lock is beside the file.

    Attributes:
        path: the same without links.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.realpath(path))  # Path.resolve raises for links in a circle before Python 3.13
        self._lock_path = self.path.with_name(f"{self.path.name}-lock")
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._unwritten: list[BankRecords] = []

    def open(self) -> BankRecords:
        """Lock the file, make it if it does not exist, and return what it has.

        Raises:
            StateFileError: it can't be used.
        """
        try:
            self._check_type()
            if not self._lock_path.exists():
                self._check_header()  # no lock is left beside a file of somebody else
            self._lock = self._locked()
            if not self.path.exists() or not self.path.stat().st_size:
                self._make()
            self._check_header()
            records = self._read()
            self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA synchronous = NORMAL")
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise StateFileError(self.path, StateFault.UNUSABLE, str(error)) from error
        except StateFileError:
            self.close()
            raise
        return records

    def write(self, changes: BankRecords) -> None:
        """Commit changes, and those that could not be committed before; while it is closed they are kept for later.

        Raises:
            StateFileError: they can't be written.
        """
        self._unwritten.append(changes)
        if self._connection is None:
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for each in self._unwritten:
                self._connection.execute("UPDATE time SET latest_ms = ?", (each.latest_ms,))
                for table, rows in _rows(each).items():
                    self._connection.executemany(
                        f"INSERT INTO {table} VALUES (?, ?) "  # noqa: S608 - the name of a table of ours
                        "ON CONFLICT (id) DO UPDATE SET document = excluded.document",
                        rows,
                    )
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise StateFileError(self.path, StateFault.UNUSABLE, str(error)) from error
        self._unwritten.clear()

    def close(self) -> None:
        """Close and unlock the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _locked(self) -> int:
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise StateFileError(self.path, StateFault.IN_USE) from None
        return lock

    def _make(self) -> None:
        """Make an empty file under another name first, so that the file is complete as soon as it has its name."""
        descriptor, name = mkstemp(prefix=f"{self.path.name}-", dir=self.path.parent)
        os.close(descriptor)
        unfinished = Path(name)
        try:
            with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
                connection.executescript(f"BEGIN; {_SCHEMA} {_IDENTITY} COMMIT; PRAGMA journal_mode = WAL;")
            unfinished.replace(self.path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _check_type(self) -> None:
        """Refuse a device or a pipe, which would be replaced by a file or never end."""
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(self.path.lstat().st_mode):
                raise StateFileError(self.path, StateFault.UNUSABLE, "not a regular file")

    def _check_header(self) -> None:
        """Refuse a file of another program or version; one that is missing or empty is not made yet."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            header = file.read(_HEADER)
        if header and (not header.startswith(_MAGIC) or _number(header, _APPLICATION_AT) != _APPLICATION_ID):
            raise StateFileError(self.path, StateFault.FOREIGN)
        if _number(header, _VERSION_AT) > _VERSION:
            raise StateFileError(self.path, StateFault.NEWER)

    def _read(self) -> BankRecords:
        try:
            # A connection that may write would change a damaged file when it is closed.
            with closing(sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro", uri=True)) as connection:
                (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                if sound != "ok":
                    raise StateFileError(self.path, StateFault.DAMAGED, str(sound))
                (latest_ms,) = connection.execute("SELECT latest_ms FROM time").fetchone()
                tables = {
                    table: connection.execute(f"SELECT id, document FROM {table} ORDER BY rowid").fetchall()  # noqa: S608
                    for table in _TABLES
                }
            return _records(latest_ms, tables)
        except (sqlite3.DatabaseError, LookupError, TypeError, ValueError) as error:
            if isinstance(error, sqlite3.OperationalError) and not self.path.exists():
                raise
            raise StateFileError(self.path, StateFault.DAMAGED, str(error)) from error


def _number(header: bytes, at: int) -> int:
    return int.from_bytes(header[at : at + 4], "big")


def _rows(records: BankRecords) -> dict[str, Iterable[tuple[str, str]]]:
    """Return the rows of every table; texts are JSON because SQLite can't keep a lone surrogate."""
    return {
        "account": ((one.pos_id, _document(one)) for one in records.accounts),
        "phone": ((one.phone_id, _document(one)) for one in records.phones),
        "code": ((one.code, _document(one)) for one in records.codes),
        "receipt": ((one.receipt_id, _document(one)) for one in records.receipts),
        "pays": ((json.dumps(code), json.dumps(count)) for code, count in records.pays),
    }


def _document(record: object) -> str:
    return json.dumps(unstructure(record))


def _records(latest_ms: int, tables: dict[str, list[tuple[str, str]]]) -> BankRecords:
    """Return what the tables have.

    Raises:
        LookupError, TypeError, ValueError: a row that no sandbox writes.
    """
    read = {table: [json.loads(document) for _, document in rows] for table, rows in tables.items()}
    accounts = tuple(structure(MerchantAccount, each, "account") for each in read["account"])
    phones = tuple(structure(Phone, each, "phone") for each in read["phone"])
    codes = tuple(structure(CodeView, each, "code") for each in read["code"])
    receipts = tuple(map(_receipt, read["receipt"]))
    pays = tuple(
        (str(json.loads(code)), int(count)) for (code, _), count in zip(tables["pays"], read["pays"], strict=True)
    )
    _check_links(accounts, phones, codes, receipts)
    return BankRecords(int(latest_ms), accounts, phones, codes, receipts, pays)


def _receipt(document: dict[str, Any]) -> Receipt:
    timeline = structure(tuple[Step, ...], document["timeline"], "receipt.timeline")
    cancel = structure(CancelPlan, document["cancel"], "receipt.cancel") if document["cancel"] is not None else None
    if not timeline:
        raise ValueError("a receipt without a state")
    for name, kinds in _RECEIPT_TYPES.items():
        if type(document[name]) not in kinds:
            raise TypeError(f"receipt.{name} has another type")
    return Receipt(**{**document, "timeline": timeline, "cancel": cancel})


def _check_links(
    accounts: tuple[MerchantAccount, ...],
    phones: tuple[Phone, ...],
    codes: tuple[CodeView, ...],
    receipts: tuple[Receipt, ...],
) -> None:
    """Raise ValueError if a record names another one that is not there."""
    known_phones = {None, *(phone.phone_id for phone in phones)}
    known_receipts = {None, *(receipt.receipt_id for receipt in receipts)}
    known_accounts = {account.pos_id for account in accounts}
    for code in codes:
        if code.phone_id not in known_phones or code.used_by not in known_receipts:
            raise ValueError("a code of an unknown phone or receipt")
    for receipt in receipts:
        if receipt.phone_id not in known_phones or receipt.pos_id not in known_accounts:
            raise ValueError("a receipt of an unknown phone or merchant account")
