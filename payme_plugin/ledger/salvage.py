"""What can still be read of a damaged journal: every table row by row, stepping over what can't be read.

It reads a copy that nobody else has: of a file whose first page or end is gone it mends that first. What money hangs on
is not dropped for one word of it: a state is taken from the payment's story, and every payment that owes money has its
live cancellation afterwards.
"""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payme_plugin.ledger.leaves import rows_in_leaves
from payme_plugin.ledger.opening import connect
from payme_plugin.ledger.salvaged_cancellations import mend_cancellations
from payme_plugin.ledger.schema import make_tables
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.ledger.story import tell

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

__all__ = ["ALL_TABLES", "Salvage", "has_our_tables", "identity_in", "makes_sense", "read_text", "salvage"]

_ROWID_TABLES = ("payment", "event", "cancellation", "fiscal_link")
_KEYED_TABLES = {"about": "name", "code": "fingerprint"}
ALL_TABLES = (*_ROWID_TABLES, *_KEYED_TABLES)
_STATES = frozenset(state.value for state in PaymentState)
_CAUSES = frozenset(cause.value for cause in Cause)
_KEY_BYTES = 32
_NUMBER = "row_number"
_LARGEST = 2**63
_LOOP = "the pages lead in a circle"

_Values = dict[str, Any]

_PAGE_COUNT_AT = 28  # in the header of a database file: https://sqlite.org/fileformat.html, section 1.3


@dataclass(frozen=True, slots=True)
class Salvage:
    """What was saved.

    Attributes:
        copied: how many rows, by table.
        unreadable: how many tables have pages that can't be read, and rows that make no sense.
        queued_again: how many cancellations are new, because those of payments that owe money could not be read.
    """

    copied: dict[str, int]
    unreadable: int
    queued_again: int


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
        is_story_whole = True
        bent: dict[str, list[_Values]] = {table: [] for table in _ROWID_TABLES}
        for table in _ROWID_TABLES:
            reading = _Reading(source, table)
            with closing(reading.rows()) as rows:
                copied[table], bent[table] = _copy(target, table, rows)
            unreadable += len(bent[table]) + reading.is_broken
            if reading.is_broken:
                is_story_whole = is_story_whole and table != "event"
                with closing(rows_in_leaves(damaged, source, table)) as rows:
                    taken, refused = _copy(target, table, rows)
                copied[table] += taken
                bent[table] += [values for values in refused if table == "cancellation" and _may_be_one(values)]
        for table, key in _KEYED_TABLES.items():
            with closing(_keyed_rows(source, table, key)) as rows:
                copied[table], _ = _copy(target, table, rows)
        is_story_whole = is_story_whole and not bent["event"]
        if is_story_whole:
            copied["payment"] += sum(_insert_with_state_of_story(target, values) for values in bent["payment"])
        mended = mend_cancellations(target, bent["cancellation"], is_story_whole=is_story_whole)
        copied["cancellation"] += mended.saved
        _mend_references(target)
        target.execute("COMMIT")
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Salvage(copied, unreadable, mended.queued_again)


# ---------------------------------------------------------------------------------------------------------------------
# Opening
# ---------------------------------------------------------------------------------------------------------------------


def _opened(damaged: Path) -> sqlite3.Connection:
    source = _connection(damaged)
    if has_our_tables(source):
        return source
    source.close()
    _graft_schema(damaged)
    return _connection(damaged)


def _connection(damaged: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(damaged, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.text_factory = read_text
    # Without it SQLite opens no file that is shorter than its header says.
    connection.execute("PRAGMA writable_schema = ON").fetchall()
    return connection


def has_our_tables(source: sqlite3.Connection) -> bool:
    """Say whether the tables of a file have the columns of a journal's: a turned bit may have renamed one."""
    with closing(sqlite3.connect(":memory:")) as journal:
        make_tables(journal)
        expected = _columns(journal)
    try:
        return _columns(source) == expected
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return False


def _columns(connection: sqlite3.Connection) -> list[list[str]]:
    found = [connection.execute(f"SELECT * FROM {table} LIMIT 0") for table in ALL_TABLES]  # noqa: S608 - our own names
    return [[column[0] for column in each.description] for each in found]


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


@dataclass(slots=True)
class _Reading:
    """The rows of a table as far as its pages lead to them.

    Attributes:
        source: the damaged journal.
        table: which table.
        is_broken: a page on the way could not be read.
    """

    source: sqlite3.Connection
    table: str
    is_broken: bool = False

    def rows(self) -> Generator[sqlite3.Row, None, None]:
        """Read from the first row on until it breaks, then from the last one back."""
        last = -1
        try:
            for row in self._after(last, "ASC"):
                if row[_NUMBER] <= last:
                    raise sqlite3.DatabaseError(_LOOP)
                last = row[_NUMBER]
                yield row
        except sqlite3.DatabaseError:
            self.is_broken = True
        if self.is_broken:
            yield from self._back_to(last)

    def _back_to(self, first: int) -> Generator[sqlite3.Row, None, None]:
        last = _LARGEST
        with contextlib.suppress(sqlite3.DatabaseError):
            for row in self._after(first, "DESC"):
                if row[_NUMBER] >= last:
                    return
                last = row[_NUMBER]
                yield row

    def _after(self, number: int, order: str) -> sqlite3.Cursor:
        query = f"SELECT rowid AS {_NUMBER}, * FROM {self.table} WHERE rowid > ? ORDER BY rowid {order}"  # noqa: S608 - our own names
        return self.source.execute(query, (number,))


def _keyed_rows(source: sqlite3.Connection, table: str, key: str) -> Generator[sqlite3.Row, None, None]:
    """Read a table without row numbers from both of its ends; the pages between may lead in a circle."""
    for order in ("ASC", "DESC"):
        seen: set[object] = set()
        with contextlib.suppress(sqlite3.DatabaseError):
            for row in source.execute(f"SELECT * FROM {table} ORDER BY {key} {order}"):  # noqa: S608 - our own names
                if row[key] in seen:
                    break
                seen.add(row[key])
                yield row
            else:
                return


# ---------------------------------------------------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------------------------------------------------


def _copy(target: sqlite3.Connection, table: str, rows: Iterable[sqlite3.Row]) -> tuple[int, list[_Values]]:
    """Insert ``rows``; return how many were taken, and those that make no sense."""
    taken = 0
    refused: list[_Values] = []
    for row in rows:
        values = dict(row)
        if table == "about" and values["name"] == "host_identity":
            # Whom the new journal belongs to is decided by the caller.
            continue
        if makes_sense(table, values) and _insert(target, table, values):
            taken += 1
        else:
            refused.append(values)
    return taken, refused


def _insert_with_state_of_story(target: sqlite3.Connection, values: _Values) -> bool:
    """Insert a payment whose state makes no sense with the last one of its story: the same commit stored both."""
    if values["state"] in _STATES:
        return False
    found = target.execute(
        "SELECT after FROM event WHERE payment_id = ? AND after IS NOT NULL ORDER BY event_id DESC LIMIT 1",
        (values["payment_id"],),
    ).fetchone()
    if found is None:
        return False
    mended = {**values, "state": found["after"]}
    return makes_sense("payment", mended) and _insert(target, "payment", mended)


def _may_be_one(values: _Values) -> bool:
    """Say whether a row out of any page may be a cancellation: most are rows of other tables."""
    return isinstance(values["receipt_id"], str) and isinstance(values["amount"], int)


def makes_sense(table: str, values: _Values) -> bool:
    """Say whether a row holds what the program can read; SQLite itself sees to types and keys."""
    if not all(_is_text_whole(value) for value in values.values()):
        return False
    if table == "payment":
        return values["state"] in _STATES
    if table == "cancellation":
        # No row ends without words, and none has them before.
        return values["cause"] in _CAUSES and (values["ended_at"] is None) is (values["outcome"] == "")
    if table == "event":
        return {values["before"], values["after"]} <= _STATES | {None}
    return table != "about" or values["name"] != "fingerprint_key" or _is_key(values["value"])


def read_text(raw: bytes) -> str:
    """Return a text of the file; what is no UTF-8 in it becomes halves of characters, which ``makes_sense`` refuses."""
    return raw.decode("utf-8", "surrogateescape")


def _is_text_whole(value: object) -> bool:
    return not isinstance(value, str) or value.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in value)


def _is_key(value: object) -> bool:
    try:
        return len(bytes.fromhex(str(value))) == _KEY_BYTES
    except ValueError:
        return False


def _insert(target: sqlite3.Connection, table: str, values: _Values) -> bool:
    names = [name for name in values if name != _NUMBER]
    columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
    verb = "REPLACE" if table in _KEYED_TABLES else "INSERT"
    try:
        target.execute(f"{verb} INTO {table} ({columns}) VALUES ({marks})", [values[name] for name in names])
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
