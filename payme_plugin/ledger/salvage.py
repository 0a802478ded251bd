"""What can still be read of a damaged journal: every table row by row, stepping over what can't be read.

It reads a copy that nobody else has: of a file whose first page or end is gone it mends that first.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.ledger.journal import tell
from payme_plugin.ledger.schema import connect
from payme_plugin.ledger.states import Cause, PaymentState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Salvage", "identity_in", "salvage"]

_ROWID_TABLES = ("payment", "event", "cancellation", "fiscal_link")
_KEYED_TABLES = {"about": "name", "code": "fingerprint"}
_STATES = frozenset(state.value for state in PaymentState)
_CAUSES = frozenset(cause.value for cause in Cause)
_KEY_BYTES = 32

_CHUNK = 4096
_MOST_PROBES = 500_000
_SMALLEST_ROW = 16
_PAGE_COUNT_AT = 28  # in the header of a database file: https://sqlite.org/fileformat.html, section 1.3


@dataclass(frozen=True, slots=True)
class Salvage:
    """What was saved.

    Attributes:
        copied: how many rows, by table.
        unreadable: how many places could not be read: stretches of any length, and single rows that make no sense.
    """

    copied: dict[str, int]
    unreadable: int


def identity_in(damaged: Path) -> str | None:
    """Return the till that a damaged journal says it belongs to; None where it does not say. It may change the file."""
    with closing(_opened(damaged)) as source:
        rows = list(_keyed_rows(source, "about", _KEYED_TABLES["about"]))
    return next((str(row["value"]) for row in rows if row["name"] == "host_identity"), None)


def salvage(damaged: Path, fresh: Path, host_identity: str) -> Salvage:
    """Copy what can be read of ``damaged`` into a new journal at ``fresh``.

    Args:
        damaged: a copy of the damaged journal, with its log beside it; it is changed.
        fresh: where the new journal is made.
        host_identity: the till that it belongs to.

    Raises:
        JournalError, OSError, sqlite3.Error: the new journal can't be written.
    """
    with closing(connect(fresh, host_identity)) as target, closing(_opened(damaged)) as source:
        target.execute("PRAGMA foreign_keys = OFF")
        target.execute("BEGIN IMMEDIATE")
        copied: dict[str, int] = {}
        unreadable = 0
        for table in _ROWID_TABLES:
            reading = _Reading(source, table)
            copied[table], refused = _copy(target, table, reading.rows())
            unreadable += refused + reading.gaps
        for table, key in _KEYED_TABLES.items():
            copied[table], _ = _copy(target, table, _keyed_rows(source, table, key))
        _mend_references(target)
        target.execute("COMMIT")
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Salvage(copied, unreadable)


# ---------------------------------------------------------------------------------------------------------------------
# Opening
# ---------------------------------------------------------------------------------------------------------------------


def _opened(damaged: Path) -> sqlite3.Connection:
    source = _connection(damaged)
    if _has_tables(source):
        return source
    source.close()
    _graft_schema(damaged)
    return _connection(damaged)


def _connection(damaged: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(damaged, isolation_level=None)
    connection.row_factory = sqlite3.Row
    # Without it SQLite opens no file that is shorter than its header says.
    connection.execute("PRAGMA writable_schema = ON").fetchall()
    return connection


def _has_tables(source: sqlite3.Connection) -> bool:
    try:
        found = {name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError:
        return False
    return found.issuperset((*_ROWID_TABLES, *_KEYED_TABLES))


def _graft_schema(damaged: Path) -> None:
    """Give a file whose first pages are gone those of a new journal: every journal lays its tables out alike."""
    template = damaged.with_name(f"{damaged.name}.template")
    try:
        with closing(connect(template, "")) as connection:
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            roots = {root for (root,) in connection.execute("SELECT rootpage FROM sqlite_master WHERE rootpage > 0")}
        pages = template.read_bytes()
    finally:
        for file in template.parent.glob(f"{template.name}*"):
            file.unlink()
    size = damaged.stat().st_size
    with damaged.open("r+b") as grafted:
        for page in range(len(pages) // page_bytes):
            if page + 1 not in roots and (page + 1) * page_bytes <= size:
                grafted.seek(page * page_bytes)
                grafted.write(pages[page * page_bytes : (page + 1) * page_bytes])
        grafted.seek(_PAGE_COUNT_AT)
        grafted.write((size // page_bytes).to_bytes(4, "big"))


# ---------------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------------


class _Reading:
    """All rows of a table that can be read, by row number.

    Attributes:
        gaps: how many stretches of row numbers could not be read.
    """

    def __init__(self, source: sqlite3.Connection, table: str) -> None:
        self._source = source
        self._table = table
        self._probes = _MOST_PROBES
        self._last_unreadable = -2
        self.gaps = 0

    def rows(self) -> Iterator[sqlite3.Row]:
        """Read in chunks; a chunk that can't be read is halved until what can't be read stands alone."""
        for first in range(0, self._highest() + 1, _CHUNK):
            spans = [(first, first + _CHUNK - 1)]
            while spans and self._probes:
                low, high = spans.pop()
                try:
                    found = self._between(low, high)
                except sqlite3.DatabaseError:
                    self._probes -= 1
                    if low == high:
                        self._step_over(low)
                    else:
                        middle = (low + high) // 2
                        spans += [(middle + 1, high), (low, middle)]
                else:
                    yield from found

    def _between(self, low: int, high: int) -> list[sqlite3.Row]:
        query = f"SELECT * FROM {self._table} WHERE rowid BETWEEN ? AND ? ORDER BY rowid"  # noqa: S608 - our own name
        return self._source.execute(query, (low, high)).fetchall()

    def _step_over(self, number: int) -> None:
        self.gaps += number != self._last_unreadable + 1
        self._last_unreadable = number

    def _highest(self) -> int:
        """Return a row number that no row is beyond; -1: there is no row, or no such table."""
        try:
            (highest,) = self._source.execute(f"SELECT max(rowid) FROM {self._table}").fetchone()  # noqa: S608 - the same
        except sqlite3.OperationalError:
            return -1
        except sqlite3.DatabaseError:
            return self._highest_by_size()
        return -1 if highest is None else int(highest)

    def _highest_by_size(self) -> int:
        """Return how many rows the file could hold: none was ever deleted, so that no number is higher."""
        try:
            (pages,) = self._source.execute("PRAGMA page_count").fetchone()
            (page_bytes,) = self._source.execute("PRAGMA page_size").fetchone()
        except sqlite3.DatabaseError:
            return -1
        return int(pages * page_bytes // _SMALLEST_ROW)


def _keyed_rows(source: sqlite3.Connection, table: str, key: str) -> Iterator[sqlite3.Row]:
    """Read a table without row numbers from both of its ends."""
    for order in ("ASC", "DESC"):
        try:
            yield from source.execute(f"SELECT * FROM {table} ORDER BY {key} {order}")  # noqa: S608 - our own names
        except sqlite3.DatabaseError:
            continue
        return


# ---------------------------------------------------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------------------------------------------------


def _copy(target: sqlite3.Connection, table: str, rows: Iterator[sqlite3.Row]) -> tuple[int, int]:
    """Insert ``rows``; return how many were taken, and how many make no sense."""
    taken = refused = 0
    for row in rows:
        if _makes_sense(table, row) and _insert(target, table, row):
            taken += 1
        else:
            refused += 1
    return taken, refused


def _makes_sense(table: str, row: sqlite3.Row) -> bool:
    if table == "payment":
        return row["state"] in _STATES
    if table == "cancellation":
        return row["cause"] in _CAUSES
    if table == "event":
        return {row["before"], row["after"]} <= _STATES | {None}
    if table == "about" and row["name"] == "fingerprint_key":
        return _is_key(row["value"])
    # Whom the new journal belongs to is decided by the caller.
    return not (table == "about" and row["name"] == "host_identity")


def _is_key(value: object) -> bool:
    try:
        return len(bytes.fromhex(str(value))) == _KEY_BYTES
    except ValueError:
        return False


def _insert(target: sqlite3.Connection, table: str, row: sqlite3.Row) -> bool:
    names = row.keys()
    columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
    verb = "REPLACE" if table in _KEYED_TABLES else "INSERT"
    try:
        target.execute(f"{verb} INTO {table} ({columns}) VALUES ({marks})", tuple(row))
    except (sqlite3.IntegrityError, sqlite3.InterfaceError, OverflowError, UnicodeError):
        return False
    return True


def _mend_references(target: sqlite3.Connection) -> None:
    """Make what was saved hold together: a live cancellation needs its payment, and has enough to rebuild it from.

    A fiscal link without its payment is dropped: it is no money.
    """
    orphans = target.execute(
        "SELECT * FROM cancellation WHERE ended_at IS NULL AND payment_id NOT IN (SELECT payment_id FROM payment)"
    ).fetchall()
    for row in orphans:
        target.execute(
            "INSERT OR IGNORE INTO payment (payment_id, payment_type, amount, till, shift, number, attempt, pos_id,"
            " url, owner, state, receipt_id, created_at, updated_at)"
            " VALUES (?, 0, ?, '', 0, 0, 0, ?, ?, '', ?, ?, ?, ?)",
            (
                row["payment_id"], row["amount"], row["pos_id"], row["url"], PaymentState.REVERSING.value,
                row["receipt_id"], row["created_at"], row["created_at"],
            ),
        )  # fmt: skip
        tell(
            target, row["payment_id"], row["created_at"], None, PaymentState.REVERSING, "rebuilt from its cancellation"
        )
    target.execute("DELETE FROM fiscal_link WHERE payment_id NOT IN (SELECT payment_id FROM payment)")
