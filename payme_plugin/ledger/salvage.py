"""Read what can still be read of a damaged journal, and restore the cancellations that it lost.

It works on a copy that nobody else has open: where the first page or the end of the file is lost, it repairs the copy
first. Rows are copied one by one; a payment whose state is invalid takes its state from its events.

Every payment that owes money has a live cancellation afterwards, unless a row or an event shows that its cancellation
ended with state 50, was closed by an operator or was withdrawn. One ``INSERT .. SELECT`` restores it from the payment
and its events; two more bring back rows that prove an end, and payments that only their cancellation still names. A
restored row is due at once. That is safe: each step asks for the state first, and 50 ends the row. Lost with an
unreadable row are ``offered_at``, the number of attempts and, if it can't be read itself, a refund's ``request_id``.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payme_plugin.ledger.connection import connect, use_rows
from payme_plugin.ledger.errors import Damaged, ForeignJournal
from payme_plugin.ledger.journal import add_event, add_transition
from payme_plugin.ledger.migration import BEGUN, upgraded
from payme_plugin.ledger.rows import TABLES, CancellationRow, readable_part, row_of
from payme_plugin.ledger.schema import has_our_tables
from payme_plugin.ledger.states import Cause, End, EventKind, PaymentState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Salvage", "is_valid", "lacks_cancellation", "salvage"]

_KEYED_TABLES = {"about": "name", "code": "fingerprint"}
_FINGERPRINT_KEY = re.compile("[0-9a-f]{64}")
_KEY = "key_of_row"
_Values = dict[str, Any]

_PAGE_COUNT_AT = 28  # in the header of a database file: https://sqlite.org/fileformat.html, section 1.3
_LEAF = 0x0D  # first byte of a page that holds rows of a table: https://sqlite.org/fileformat.html, section 1.6


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


def salvage(damaged: Path, fresh: Path, host_identity: str, *, is_certain: bool) -> Salvage:
    """Copy what can be read of ``damaged`` into a new journal at ``fresh``.

    Args:
        damaged: a copy of the damaged journal, with its log beside it; it is changed.
        fresh: where the new journal is made.
        host_identity: the till that it belongs to.
        is_certain: it belongs to that till even if the damaged file does not name one.

    Raises:
        ForeignJournal: it belongs to another till, or the file names none.
        JournalError, OSError, sqlite3.Error: the new journal can't be written.
    """
    connect(fresh, host_identity).close()
    with closing(_opened(damaged, fresh)) as source, closing(connect(fresh, host_identity)) as target:
        _require_till(source, host_identity, is_certain=is_certain)
        target.execute("PRAGMA foreign_keys = OFF")
        target.execute("BEGIN IMMEDIATE")
        is_version_1 = False
        with contextlib.suppress(sqlite3.DatabaseError):
            is_version_1 = "kind" not in (name for _, name, *_ in source.execute("PRAGMA table_info(event)"))
        copied: dict[str, int] = {}
        invalid: dict[str, list[_Values]] = {}
        broken: set[str] = set()
        for table in (*TABLES, *_KEYED_TABLES):
            copied[table], invalid[table] = _copy(target, table, _rows(source, table, broken))
        broken &= TABLES.keys()
        unreadable = len(broken) + sum(len(invalid[table]) for table in TABLES)
        events_are_whole = "event" not in broken and not invalid["event"]
        for table in broken:
            found, refused = _copy(target, table, _rows_from_leaf_pages(damaged, source, table))
            copied[table] += found
            if table == "cancellation":
                # Most of these rows belong to other tables.
                invalid[table] += (
                    row for row in refused if str is type(row["receipt_id"]) and int is type(row["amount"])
                )
        if events_are_whole:
            copied["payment"] += sum(_insert_with_state_of_events(target, values) for values in invalid["payment"])
        ended, queued_again = _restore(target, invalid["cancellation"])
        if is_version_1:
            target.execute(BEGUN)
        copied["cancellation"] += ended
        target.execute("COMMIT")
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Salvage(copied, unreadable, queued_again)


def _require_till(source: sqlite3.Connection, host_identity: str, *, is_certain: bool) -> None:
    about = {row["name"]: row["value"] for row in _rows(source, "about", set())}
    found = about.get("host_identity")
    if found is None and not is_certain:
        message = "the damaged journal does not name the till that it belongs to"
        raise ForeignJournal(message)
    if found not in (None, host_identity):
        message = f"the journal belongs to till {found!r}, this is {host_identity!r}"
        raise ForeignJournal(message)


# ---------------------------------------------------------------------------------------------------------------------
# Opening
# ---------------------------------------------------------------------------------------------------------------------


def _opened(damaged: Path, fresh: Path) -> sqlite3.Connection:
    source = _connection(damaged)
    if has_our_tables(source):
        return source
    source.close()
    _graft_schema(damaged, fresh)
    return _connection(damaged)


def _connection(damaged: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(damaged, isolation_level=None)
    use_rows(connection)
    # Otherwise SQLite rejects a file that is shorter than its header says.
    connection.execute("PRAGMA writable_schema = ON").fetchall()
    return connection


def _graft_schema(damaged: Path, fresh: Path) -> None:
    """Replace lost first pages by those of a new journal: all journals have the same layout."""
    with closing(sqlite3.connect(fresh)) as connection:
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        roots = {root for (root,) in connection.execute("SELECT rootpage FROM sqlite_master")}
    pages = fresh.read_bytes()
    page_count = damaged.stat().st_size // page_bytes
    with damaged.open("r+b") as grafted:
        for page in range(min(len(pages) // page_bytes, page_count)):
            if page + 1 not in roots:
                grafted.seek(page * page_bytes)
                grafted.write(pages[page * page_bytes : (page + 1) * page_bytes])
        grafted.seek(_PAGE_COUNT_AT)
        grafted.write(page_count.to_bytes(4, "big"))


# ---------------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------------


def _rows(source: sqlite3.Connection, table: str, broken: set[str]) -> Iterator[sqlite3.Row]:
    """Read the rows that the pages of a table lead to, and note in ``broken`` if a page can't be read.

    It reads forwards, and where that fails, backwards. A key that comes twice shows that damaged pages form a loop, and
    a row number that does not ascend that a page belongs to another place.
    """
    key = _KEYED_TABLES.get(table, "rowid")
    after: Any = -1 if table in TABLES else ""
    for order in ("ASC", "DESC"):
        is_counted = table in TABLES and order == "ASC"
        seen: set[object] = set()
        query = f"SELECT {key} AS {_KEY}, * FROM {table} WHERE {key} > ? ORDER BY {key} {order}"  # noqa: S608 - our own names
        with contextlib.suppress(sqlite3.DatabaseError):
            for row in source.execute(query, (after,)):
                if row[_KEY] in seen or (is_counted and row[_KEY] <= after):
                    break
                seen.add(row[_KEY])
                after = row[_KEY] if is_counted else after
                yield row
            else:
                return
        broken.add(table)


def _rows_from_leaf_pages(damaged: Path, source: sqlite3.Connection, table: str) -> Iterator[sqlite3.Row]:
    """Read each leaf page as a table of its own, because the interior pages are lost.

    Pages of other tables yield invalid rows. The schema of ``source`` is changed.
    """
    try:
        source.execute("PRAGMA synchronous = OFF").fetchall()
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (page_bytes,) = source.execute("PRAGMA page_size").fetchone()
    except sqlite3.DatabaseError:
        return
    for page, first_byte in enumerate(damaged.read_bytes()[page_bytes::page_bytes], start=2):
        if first_byte == _LEAF:
            with contextlib.suppress(sqlite3.DatabaseError):
                source.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = ?", (page, table))
                # Read the schema again: the table now begins, and ends, at this page.
                source.execute("PRAGMA writable_schema = RESET").fetchall()
                source.execute("PRAGMA writable_schema = ON").fetchall()
                yield from source.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall()  # noqa: S608 - our own name


# ---------------------------------------------------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------------------------------------------------


def _copy(target: sqlite3.Connection, table: str, rows: Iterable[sqlite3.Row]) -> tuple[int, list[_Values]]:
    """Insert rows; return how many were copied, and the invalid ones."""
    copied = 0
    refused: list[_Values] = []
    for row in rows:
        values = upgraded(table, dict(row))
        values.pop(_KEY, None)
        if table == "about" and values["name"] in {"host_identity", "ready"}:
            # The caller decides which till the new journal belongs to.
            continue
        if table == "payment" and values["cancellation_queued"] not in {0, 1}:
            values["cancellation_queued"] = 1  # money may be owed: a cancellation asks for the state first
        if is_valid(table, values) and _insert(target, table, values):
            copied += 1
        else:
            refused.append(values)
    return copied, refused


def _insert_with_state_of_events(target: sqlite3.Connection, values: _Values) -> bool:
    """Insert a payment with an invalid state; take the state of its last event, stored in one commit."""
    found = target.execute(
        "SELECT after FROM event WHERE payment_id = ? AND after IS NOT NULL ORDER BY event_id DESC LIMIT 1",
        (values["payment_id"],),
    ).fetchone()
    restored = {**values, "state": found and found["after"]}
    return is_valid("payment", restored) and _insert(target, "payment", restored)


def is_valid(table: str, row: sqlite3.Row | _Values) -> bool:
    """Return whether the program can read a row; SQLite itself checks keys and constraints."""
    values = dict(row)
    if any(isinstance(value, bytes) for value in values.values()):
        return False
    if table in TABLES:
        try:
            row_of(TABLES[table], values)
        except Damaged:
            return False
    if table == "cancellation":
        is_explained = values["ended_as"] != End.CLOSED.value or values["closed_reason"] is not None
        return is_explained and (values["ended_at"] is None) is (values["ended_as"] is None)
    is_key = table == "about" and values["name"] == "fingerprint_key"
    return not is_key or _FINGERPRINT_KEY.fullmatch(str(values["value"])) is not None


def _insert(target: sqlite3.Connection, table: str, values: _Values) -> bool:
    columns, marks = ", ".join(f'"{name}"' for name in values), ", ".join("?" * len(values))
    verb = "REPLACE" if table in _KEYED_TABLES else "INSERT"
    try:
        target.execute(f"{verb} INTO {table} ({columns}) VALUES ({marks})", tuple(values.values()))
    except (sqlite3.IntegrityError, sqlite3.InterfaceError, OverflowError, UnicodeError):
        return False
    return True


# ---------------------------------------------------------------------------------------------------------------------
# Restoring cancellations
# ---------------------------------------------------------------------------------------------------------------------

_UNREADABLE = "it could not be read"
_REBUILT = "rebuilt from its cancellation"

_CTES = {
    # Events that name the cause of a cancellation, written by the journal or by a repair.
    "queued": "SELECT payment_id, event_id, cause FROM event WHERE cause IS NOT NULL",
    # Payments whose cancellation ended for good, by a row or an event: they never have another one.
    "settled": """
        SELECT payment_id FROM (
            SELECT payment_id, ended_as FROM cancellation UNION ALL SELECT payment_id, ended_as FROM event
        ) WHERE ended_as IN ('cancelled', 'closed')
    """,
    # When the latest cancellation of a payment ended.
    "ended": "SELECT payment_id, max(ended_at) AS at_ms FROM cancellation GROUP BY payment_id",
    # The latest event that began a reversal or withdrew it.
    "turned": """
        SELECT payment_id, after, at_ms, max(event_id) FROM event
        WHERE after = 'reversing' OR before = 'reversing' AND after = 'recorded' GROUP BY payment_id
    """,
    # Payments that owe money, have no live cancellation, and of which nothing shows that one ended. If the row of a
    # reversing payment is older than a withdrawal, that ended its cancellation; else it was reversed once more.
    "owing": """
        SELECT payment.* FROM payment LEFT JOIN ended USING (payment_id) LEFT JOIN turned USING (payment_id)
        WHERE receipt_id IS NOT NULL
        AND payment_id NOT IN (SELECT payment_id FROM settled)
        AND payment_id NOT IN (SELECT payment_id FROM cancellation WHERE ended_at IS NULL)
        AND CASE
            WHEN state = 'reversing'
            THEN NOT coalesce(after = 'recorded' AND turned.at_ms >= updated_at, ended.at_ms >= updated_at, false)
            WHEN state = 'reversed' THEN ended.at_ms IS NULL
            ELSE state IN ('refused', 'aborted', 'unknown') AND cancellation_queued <> 0 AND ended.at_ms IS NULL
        END
    """,
    # The cause that the latest event names.
    "named": "SELECT payment_id, cause, max(event_id) FROM queued GROUP BY payment_id",
}
_WITH = "WITH " + ", ".join(f"{name} AS ({query})" for name, query in _CTES.items())

_MISPLACED = """
FROM cancellation WHERE ended_at IS NULL AND payment_id NOT IN (SELECT payment_id FROM payment)
AND receipt_id IN (SELECT receipt_id FROM payment)
"""
"""Live rows whose payment is known by its receipt id, but has another payment id."""

_REBUILD_PAYMENTS = f"""
{_WITH}
INSERT OR IGNORE INTO payment (payment_id, payment_type, amount, till, shift, number, attempt, pos_id, url, owner,
    state, receipt_id, created_at, updated_at)
SELECT payment_id, 0, amount, '', 0, 0, 0, pos_id, url, '', 'reversing', receipt_id, coalesce(created_at, 0),
    coalesce(created_at, 0)
FROM (
    SELECT * FROM cancellation WHERE ended_at IS NULL
    UNION ALL SELECT * FROM invalid_cancellation WHERE ended_at IS NULL AND receipt_id IS NOT NULL
    AND (cause IS NOT NULL OR request_id <> '' OR payment_id IN (SELECT payment_id FROM queued))
    AND payment_id NOT IN (SELECT payment_id FROM settled)
)
RETURNING payment_id, created_at
"""  # noqa: S608 - our own texts
"""Insert the lost payment of each live cancellation, from what its row says.

An invalid row counts only if its cause is known, or its refund: it may be of a page of another table.
"""

_RESTORE_ENDED = f"""
INSERT OR IGNORE INTO cancellation (cancellation_id, payment_id, receipt_id, amount, pos_id, url, cause, request_id,
    created_at, due_at, begun_at, last_error, ended_at, ended_as, closed_reason)
SELECT CASE WHEN i.cancellation_id NOT IN (SELECT cancellation_id FROM cancellation) THEN i.cancellation_id END,
    p.payment_id, p.receipt_id, p.amount, p.pos_id, p.url, coalesce(i.cause, 'unrecorded'),
    coalesce(i.request_id, ''), coalesce(i.created_at, p.updated_at), p.updated_at, i.begun_at,
    coalesce(i.last_error, '{_UNREADABLE}'), i.ended_at, i.ended_as,
    coalesce(i.closed_reason, iif(i.ended_as = 'closed', '{_UNREADABLE}', NULL))
FROM invalid_cancellation AS i JOIN payment AS p
ON p.receipt_id = i.receipt_id OR p.payment_id = i.payment_id AND p.amount = i.amount
WHERE i.ended_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM cancellation AS c WHERE c.cancellation_id = i.cancellation_id AND c.payment_id = p.payment_id
)
"""  # noqa: S608 - our own texts
"""Insert invalid rows that had ended, with the values of their payments: they prove that no money is owed any more.

A row keeps its number, so that a later one of the same payment stays the latest. A row that was copied is skipped: it
may be read twice, by way of the interior pages and from its leaf page.
"""

_RESTORE = f"""
{_WITH}
INSERT INTO cancellation (payment_id, receipt_id, amount, pos_id, url, cause, request_id, created_at, due_at, begun_at,
    is_queued, held, confirmed_at, last_error)
SELECT payment_id, receipt_id, amount, pos_id, url, cause, coalesce(request_id, ''), coalesce(queued_at, updated_at),
    updated_at, coalesce(begun_at, iif(cause = 'unrecorded', acknowledged_at, NULL)), 1, held,
    iif(state = 'reversed', updated_at, confirmed_at), coalesce(nullif(last_error, ''), '{_UNREADABLE}')
FROM (
    SELECT p.*, i.created_at AS queued_at, i.request_id, i.begun_at, i.held, i.confirmed_at, i.last_error, CASE
        WHEN i.cause IS NOT NULL THEN i.cause
        WHEN named.cause IS NOT NULL THEN named.cause
        WHEN i.request_id <> '' THEN 'refund'
        WHEN state <> 'reversing' THEN 'unrecorded'
        WHEN closed_at IS NULL THEN 'cancel'
        ELSE 'refund'
    END AS cause
    FROM owing AS p LEFT JOIN named USING (payment_id) LEFT JOIN invalid_cancellation AS i
    ON i.ended_at IS NULL AND (i.payment_id = p.payment_id OR i.receipt_id = p.receipt_id)
    GROUP BY p.payment_id
)
RETURNING payment_id, created_at, cause
"""  # noqa: S608 - our own texts
"""Insert a live cancellation for each payment of ``owing``, from what is left of its invalid row and its events.

The cause is taken from the surest sign that is left. Without any sign a reversing payment is not "unrecorded": the till
may have its sale, as it has that of a refund, and the money might never be returned.

A restored row can't be withdrawn: the host may have got QUEUED, and ``receipts.cancel`` may have been sent.
"""


def lacks_cancellation(connection: sqlite3.Connection) -> bool:
    """Return whether a payment owes money, has no live cancellation, and nothing shows that one ended.

    Raises:
        sqlite3.Error: the journal can't be read.
    """
    return connection.execute(f"{_WITH} SELECT 1 FROM owing LIMIT 1").fetchone() is not None  # noqa: S608 - our own texts


def _restore(target: sqlite3.Connection, invalid: Iterable[_Values]) -> tuple[int, int]:
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
        add_transition(target, row["payment_id"], row["created_at"], None, PaymentState.REVERSING, _REBUILT)
    ended = target.execute(_RESTORE_ENDED).rowcount
    restored = target.execute(_RESTORE).fetchall()
    for row in restored:
        cause = Cause(row["cause"])
        text = f"cancellation: queued again by the repair, cause {cause.value}"
        add_event(target, row["payment_id"], row["created_at"], EventKind.CANCELLATION, text, cause=cause)
    # A fiscal link moves no money: without its payment it is dropped.
    target.execute("DELETE FROM fiscal_link WHERE payment_id NOT IN (SELECT payment_id FROM payment)")
    return ended, len(restored)


def _readable_part(values: _Values) -> _Values:
    """Return the readable values of an invalid cancellation, else None; ``ended_at`` if it had ended."""
    part = readable_part(CancellationRow, values)
    if part["ended_as"] is None and values["ended_as"] is not None and part["ended_at"] is not None:
        part["ended_as"] = End.UNREADABLE.value
    part["ended_at"] = None if part["ended_as"] is None else part["ended_at"] or part["created_at"] or 0
    return part
