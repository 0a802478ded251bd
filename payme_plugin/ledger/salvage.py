"""Read what can still be read of a damaged journal, and restore the cancellations that it lost.

It works on a copy that nobody else has open: where the first page or the end of the file is lost, it repairs the copy
first. Rows are copied one by one; a payment whose state is invalid takes its state from its events.

Every payment that owes money has a live cancellation afterwards, unless a row or an event shows that its cancellation
ended with state 50, was closed by hand or was withdrawn. One ``INSERT .. SELECT`` restores it from the payment and its
events. A restored row is due at once. That is safe: each step asks for the state first, and 50 ends the row. Lost with
an unreadable row are ``offered_at``, the number of attempts and, if it can't be read itself, the ``request_id`` of a
refund.
"""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from payme_plugin.ledger.cancellations import CLOSED_BY_HAND, HELD_BY_TILL, SAID_CANCELLED
from payme_plugin.ledger.connection import connect, use_rows
from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.journal import add_event
from payme_plugin.ledger.rows import CancellationRow, EventRow, FiscalLinkRow, PaymentRow, row_of
from payme_plugin.ledger.schema import make_tables
from payme_plugin.ledger.states import Cause, PaymentState

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

__all__ = ["ALL_TABLES", "Salvage", "has_our_tables", "identity_in", "is_valid", "lacks_cancellation", "salvage"]

_KINDS: dict[str, Any] = {
    "payment": PaymentRow,
    "event": EventRow,
    "cancellation": CancellationRow,
    "fiscal_link": FiscalLinkRow,
}
_KEYED_TABLES = {"about": "name", "code": "fingerprint"}
ALL_TABLES = (*_KINDS, *_KEYED_TABLES)
_STATES = frozenset(state.value for state in PaymentState)
_CAUSES = frozenset(cause.value for cause in Cause)
_KEY_BYTES = 32
_NUMBER = "row_number"
_LARGEST = 2**63
_LOOP = "the pages lead in a circle"

_Values = dict[str, Any]

_PAGE_COUNT_AT = 28  # in the header of a database file: https://sqlite.org/fileformat.html, section 1.3
# The first byte of a page that holds rows of a table: https://sqlite.org/fileformat.html, section 1.6.
_LEAF = 0x0D


@dataclass(frozen=True, slots=True)
class Salvage:
    """What was saved.

    Attributes:
        copied: how many rows, by table.
        unreadable: how many tables have pages that can't be read, and how many rows are invalid.
        queued_again: how many live cancellations were restored from their payments.
    """

    copied: dict[str, int]
    unreadable: int
    queued_again: int


def identity_in(damaged: Path) -> str | None:
    """Return the till that a damaged journal names, or None. It may change the file."""
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
        events_are_whole = True
        invalid: dict[str, list[_Values]] = {}
        for table in _KINDS:
            reading = _Reading(source, table)
            with closing(reading.rows()) as rows:
                copied[table], invalid[table] = _copy(target, table, rows)
            unreadable += len(invalid[table]) + reading.is_broken
            if reading.is_broken:
                events_are_whole = events_are_whole and table != "event"
                with closing(_rows_from_leaf_pages(damaged, source, table)) as rows:
                    taken, refused = _copy(target, table, rows)
                copied[table] += taken
                invalid[table] += [values for values in refused if table == "cancellation" and _may_be_one(values)]
        for table, key in _KEYED_TABLES.items():
            with closing(_keyed_rows(source, table, key)) as rows:
                copied[table], _ = _copy(target, table, rows)
        events_are_whole = events_are_whole and not invalid["event"]
        if events_are_whole:
            copied["payment"] += sum(_insert_with_state_of_events(target, values) for values in invalid["payment"])
        ended, queued_again = _restore(target, invalid["cancellation"], events_are_whole=events_are_whole)
        copied["cancellation"] += ended
        target.execute("COMMIT")
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Salvage(copied, unreadable, queued_again)


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
    use_rows(connection)
    # Otherwise SQLite rejects a file that is shorter than its header says.
    connection.execute("PRAGMA writable_schema = ON").fetchall()
    return connection


def has_our_tables(source: sqlite3.Connection) -> bool:
    """Return whether the tables have the columns of a journal's: a flipped bit may have renamed one."""
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
    """Replace lost first pages by those of a new journal: all journals have the same layout."""
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
    """Read the rows of a table that its pages lead to.

    Attributes:
        source: the damaged journal.
        table: which table.
        is_broken: a page on the way could not be read.
    """

    source: sqlite3.Connection
    table: str
    is_broken: bool = False

    def rows(self) -> Generator[sqlite3.Row, None, None]:
        """Read forwards from the first row until it fails, then backwards from the last one."""
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


def _rows_from_leaf_pages(damaged: Path, source: sqlite3.Connection, table: str) -> Generator[sqlite3.Row, None, None]:
    """Read each leaf page as a table of its own, because the interior pages are lost.

    Pages of other tables yield invalid rows. The schema of ``source`` is changed.
    """
    for page in _leaf_pages(damaged, source):
        with contextlib.suppress(sqlite3.DatabaseError):
            source.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = ?", (page, table))
            # Read the schema again: the table now begins, and ends, at this page.
            source.execute("PRAGMA writable_schema = RESET").fetchall()
            source.execute("PRAGMA writable_schema = ON").fetchall()
            yield from source.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall()  # noqa: S608 - our own name


def _leaf_pages(damaged: Path, source: sqlite3.Connection) -> list[int]:
    try:
        source.execute("PRAGMA synchronous = OFF").fetchall()
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (page_bytes,) = source.execute("PRAGMA page_size").fetchone()
    except sqlite3.DatabaseError:
        return []
    first_bytes = damaged.read_bytes()[page_bytes::page_bytes]
    return [page for page, first_byte in enumerate(first_bytes, start=2) if first_byte == _LEAF]


def _keyed_rows(source: sqlite3.Connection, table: str, key: str) -> Generator[sqlite3.Row, None, None]:
    """Read a table without row numbers from both ends; damaged pages may form a loop."""
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
    """Insert ``rows``; return how many were taken, and the invalid ones."""
    taken = 0
    refused: list[_Values] = []
    for row in rows:
        values = dict(row)
        if table == "about" and values["name"] == "host_identity":
            # Whom the new journal belongs to is decided by the caller.
            continue
        if table == "payment" and values["cancellation_queued"] not in {0, 1}:
            values["cancellation_queued"] = 1  # money may be owed: a cancellation asks for the state first
        if is_valid(table, values) and _insert(target, table, values):
            taken += 1
        else:
            refused.append(values)
    return taken, refused


def _insert_with_state_of_events(target: sqlite3.Connection, values: _Values) -> bool:
    """Insert a payment with an invalid state; take the state of its last event, stored in one commit."""
    if values["state"] in _STATES:
        return False
    found = target.execute(
        "SELECT after FROM event WHERE payment_id = ? AND after IS NOT NULL ORDER BY event_id DESC LIMIT 1",
        (values["payment_id"],),
    ).fetchone()
    if found is None:
        return False
    restored = {**values, "state": found["after"]}
    return is_valid("payment", restored) and _insert(target, "payment", restored)


def _may_be_one(values: _Values) -> bool:
    """Return whether a row of any page may be a cancellation; most belong to other tables."""
    return isinstance(values["receipt_id"], str) and isinstance(values["amount"], int)


def is_valid(table: str, row: sqlite3.Row | _Values) -> bool:
    """Return whether the program can read a row; SQLite itself checks keys and constraints."""
    values = dict(row)
    if any(isinstance(value, bytes) for value in values.values()):
        return False
    if table in _KINDS:
        try:
            row_of(_KINDS[table], values)
        except Damaged:
            return False
    if table == "cancellation":
        # A row ends with an outcome, and has none before.
        return (values["ended_at"] is None) is (values["outcome"] == "")
    return table != "about" or values["name"] != "fingerprint_key" or _is_key(values["value"])


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


# ---------------------------------------------------------------------------------------------------------------------
# Restoring cancellations
# ---------------------------------------------------------------------------------------------------------------------

_UNREADABLE_ENDING = "it had ended; how could not be read"
_UNREADABLE_NOTE = "what came of it before the repair could not be read"

_MISPLACED = """
FROM cancellation WHERE ended_at IS NULL AND payment_id NOT IN (SELECT payment_id FROM payment)
AND receipt_id IN (SELECT receipt_id FROM payment)
"""
"""Live rows whose payment is known by its receipt id, but has another payment id."""

_FINAL = f"""
SELECT payment_id FROM (
    SELECT payment_id, outcome FROM cancellation
    UNION ALL SELECT payment_id, substr(text, 15) FROM event WHERE text GLOB 'cancellation: *'
) WHERE outcome GLOB '{SAID_CANCELLED}*' OR outcome GLOB '{CLOSED_BY_HAND}*'
"""  # noqa: S608 - our own texts
"""Payments whose cancellation ended for good, by a row or an event.

No payment has another cancellation after such an ending.
"""

_QUEUED = """
SELECT event.payment_id, event_id, cause, text = 'cancellation: queued, cause ' || cause AS is_first
FROM event JOIN (SELECT 'unrecorded' AS cause UNION SELECT 'cancel' UNION SELECT 'refund') ON text IN (
    'cancellation: queued, cause ' || cause,
    'cancellation: queued again by the repair, cause ' || cause,
    'cancellation: mended by the repair, cause ' || cause
)
"""
"""Events that name the cause of a cancellation.

The journal writes the first kind, ``is_first``; repairs write the others.
"""

_OWING = f"""
SELECT payment.* FROM payment LEFT JOIN (
    SELECT payment_id, max(ended_at) AS at_ms FROM cancellation WHERE ended_at IS NOT NULL GROUP BY payment_id
) AS ended ON ended.payment_id = payment.payment_id
WHERE receipt_id IS NOT NULL
AND (state = 'reversing' OR cancellation_queued <> 0 AND state IN ('refused', 'aborted', 'unknown'))
AND NOT EXISTS (SELECT 1 FROM cancellation AS c WHERE c.payment_id = payment.payment_id AND c.ended_at IS NULL)
AND payment.payment_id NOT IN ({_FINAL})
AND CASE WHEN state <> 'reversing' THEN ended.payment_id IS NULL ELSE NOT coalesce(
    (
        SELECT after = 'recorded' AND event.at_ms >= payment.updated_at FROM event
        WHERE event.payment_id = payment.payment_id
        AND (after = 'reversing' OR before = 'reversing' AND after = 'recorded')
        ORDER BY event_id DESC LIMIT 1
    ),
    ended.at_ms >= payment.updated_at,
    0
) END
"""  # noqa: S608 - our own texts
"""Payments that owe money, have no live cancellation, and of which nothing shows that one ended.

A payment in state reversing may have an earlier cancellation that was withdrawn. If the payment's row is older than the
withdrawal, the withdrawal ended it; if it is newer, the payment was reversed once more.
"""

_REBUILD_PAYMENTS = f"""
INSERT OR IGNORE INTO payment (payment_id, payment_type, amount, till, shift, number, attempt, pos_id, url, owner,
    state, receipt_id, created_at, updated_at)
SELECT payment_id, 0, amount, '', 0, 0, 0, pos_id, url, '', 'reversing', receipt_id, coalesce(created_at, 0),
    coalesce(created_at, 0)
FROM (
    SELECT * FROM cancellation WHERE ended_at IS NULL
    UNION ALL SELECT * FROM invalid_cancellation WHERE ended_at IS NULL AND receipt_id IS NOT NULL
    AND (cause IS NOT NULL OR request_id <> '' OR payment_id IN (SELECT payment_id FROM ({_QUEUED})))
    AND payment_id NOT IN ({_FINAL})
)
WHERE true
RETURNING payment_id, created_at
"""  # noqa: S608 - our own texts
"""Insert the lost payment of each live cancellation, from what its row says.

An invalid row counts only if its cause is known, or its refund: it may be of a page of another table.
"""

_RESTORE_ENDED = f"""
INSERT OR IGNORE INTO cancellation (cancellation_id, payment_id, receipt_id, amount, pos_id, url, cause, request_id,
    created_at, due_at, last_error, ended_at, outcome)
SELECT CASE WHEN i.cancellation_id NOT IN (SELECT cancellation_id FROM cancellation) THEN i.cancellation_id END,
    p.payment_id, p.receipt_id, p.amount, p.pos_id, p.url, coalesce(i.cause, 'unrecorded'),
    coalesce(i.request_id, ''), coalesce(i.created_at, p.updated_at), p.updated_at,
    coalesce(i.last_error, '{_UNREADABLE_NOTE}'), i.ended_at, i.outcome
FROM invalid_cancellation AS i JOIN payment AS p
ON p.receipt_id = i.receipt_id OR p.payment_id = i.payment_id AND p.amount = i.amount
WHERE i.ended_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM cancellation AS c WHERE c.cancellation_id = i.cancellation_id AND c.payment_id = p.payment_id
)
"""  # noqa: S608 - our own texts
"""Insert invalid rows that had ended, with the values of their payments; they prove that no money is owed any more.

A row keeps its number, so that a later one of the same payment stays the latest. A row that was copied is skipped: it
may be read twice, by way of the interior pages and from its leaf page.
"""

_RESTORE = f"""
WITH queued AS ({_QUEUED})
INSERT INTO cancellation (payment_id, receipt_id, amount, pos_id, url, cause, request_id, created_at, due_at,
    last_error)
SELECT payment_id, receipt_id, amount, pos_id, url, cause, request_id, queued_at, updated_at,
    CASE cause WHEN 'unrecorded' THEN last_error ELSE coalesce(nullif(own_error, ''), '{_UNREADABLE_NOTE}') END
FROM (
    SELECT p.*, coalesce(i.request_id, '') AS request_id, coalesce(i.created_at, p.updated_at) AS queued_at,
        i.last_error AS own_error,
        coalesce(
            i.cause,
            (SELECT cause FROM queued WHERE payment_id = p.payment_id ORDER BY event_id DESC LIMIT 1),
            CASE WHEN i.request_id <> '' THEN 'refund' WHEN p.state <> 'reversing' THEN 'unrecorded' END,
            (
                SELECT 'unrecorded' FROM event
                WHERE event.payment_id = p.payment_id AND text = 'cancellation: {HELD_BY_TILL}'
            ),
            (
                SELECT CASE text
                    WHEN 'the till asks for a cancel' THEN 'cancel'
                    WHEN 'the till asks for a refund' THEN 'refund'
                    ELSE 'unrecorded'
                END
                FROM event WHERE event.payment_id = p.payment_id
                AND after = 'reversing' AND text <> 'rebuilt from its cancellation' ORDER BY event_id DESC LIMIT 1
            ),
            CASE WHEN p.closed_at IS NULL THEN 'cancel' ELSE 'refund' END
        ) AS cause,
        coalesce(
            i.last_error,
            CASE WHEN :events_are_whole THEN (
                SELECT CASE WHEN is_first THEN '' ELSE substr(text, 15) END
                FROM event LEFT JOIN queued ON queued.event_id = event.event_id
                WHERE event.payment_id = p.payment_id AND after IS NULL AND text GLOB 'cancellation: *'
                AND text <> 'cancellation: the host''s queue took it' AND is_first IS NOT 0
                ORDER BY event.event_id DESC LIMIT 1
            ) END,
            '{HELD_BY_TILL}'
        ) AS last_error
    FROM ({_OWING}) AS p LEFT JOIN invalid_cancellation AS i
    ON i.ended_at IS NULL AND (i.payment_id = p.payment_id OR i.receipt_id = p.receipt_id)
    GROUP BY p.payment_id
)
RETURNING payment_id, created_at, cause
"""  # noqa: S608 - our own texts
"""Insert a live cancellation for each payment of ``_OWING``.

The cause is taken from the surest sign that is left, in the order of ``coalesce``. Without any sign a reversing payment
is not "unrecorded": the till may have its sale, as it has that of a refund, and the money might never be returned.

A row of another cause gets a ``last_error``, so that it can't be withdrawn: the till may have been told that it is
queued, and ``receipts.cancel`` may have been sent. An "unrecorded" row that the till may have held is held, until the
till says otherwise.
"""


def lacks_cancellation(connection: sqlite3.Connection) -> bool:
    """Return whether a payment owes money, has no live cancellation, and nothing shows that one ended.

    Raises:
        sqlite3.Error: the journal can't be read.
    """
    return connection.execute(f"SELECT 1 FROM ({_OWING}) LIMIT 1").fetchone() is not None  # noqa: S608 - our own text


def _restore(target: sqlite3.Connection, invalid: Iterable[_Values], *, events_are_whole: bool) -> tuple[int, int]:
    """Restore lost cancellations inside the caller's transaction; payments and events are copied before.

    Returns:
        How many that had ended were restored from invalid rows, and how many live ones were restored.
    """
    target.execute("CREATE TEMP TABLE invalid_cancellation AS SELECT * FROM cancellation WHERE false")
    for values in invalid:
        _insert(target, "invalid_cancellation", _readable_part(values))
    # Its payment is found by the receipt id: under another payment id it would go on beside that payment's own.
    target.execute(f"INSERT INTO invalid_cancellation SELECT * {_MISPLACED}")
    target.execute(f"DELETE {_MISPLACED}")
    for row in target.execute(_REBUILD_PAYMENTS).fetchall():
        text = "rebuilt from its cancellation"
        add_event(target, row["payment_id"], row["created_at"], None, PaymentState.REVERSING, text)
    ended = target.execute(_RESTORE_ENDED).rowcount
    restored = target.execute(_RESTORE, {"events_are_whole": events_are_whole}).fetchall()
    for row in restored:
        text = f"cancellation: queued again by the repair, cause {row['cause']}"
        add_event(target, row["payment_id"], row["created_at"], None, None, text)
    # A fiscal link moves no money: without its payment it is dropped.
    target.execute("DELETE FROM fiscal_link WHERE payment_id NOT IN (SELECT payment_id FROM payment)")
    return ended, len(restored)


def _readable_part(values: _Values) -> _Values:
    """Return the readable values of an invalid cancellation, else None; ``ended_at`` if it had ended."""
    part = {
        field.name: value if type(value := values[field.name]).__name__ in str(field.type) else None
        for field in fields(CancellationRow)
    }
    part["cause"] = values["cause"] if values["cause"] in _CAUSES else None
    stored = values["outcome"]
    outcome = stored.decode("utf-8", "replace") if isinstance(stored, bytes) else str(stored or "")
    if outcome.startswith((SAID_CANCELLED, CLOSED_BY_HAND)) or (part["ended_at"] is not None and stored != ""):
        return {
            **part,
            "ended_at": part["ended_at"] or part["created_at"] or 0,
            "outcome": outcome or _UNREADABLE_ENDING,
        }
    return {**part, "ended_at": None}
