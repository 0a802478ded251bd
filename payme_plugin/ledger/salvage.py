"""Read what can still be read of a damaged journal, and restore the cancellations that it lost.

It works on a copy that nobody else has open. Rows are copied one by one, and invalid ones are left out; only a payment
whose state is invalid takes its state from its events. A file whose first page is lost can't be read at all.

Every payment that owes money by its own row and events has a live cancellation afterwards. One that was lost or invalid
is written anew, due at once, by one ``INSERT .. SELECT`` from the payment and its events. That is safe: each step asks
for the state first, and 50 ends the row. What only the lost row knew is lost: the number of attempts, whether it had
begun or was held, a refund's ``request_id``. A payment that only its live cancellation still names is rebuilt from it.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from payme_plugin.ledger.connection import connect, use_rows
from payme_plugin.ledger.errors import Damaged, ForeignJournal
from payme_plugin.ledger.journal import add_event, add_transition
from payme_plugin.ledger.migration import BEGUN, upgraded
from payme_plugin.ledger.rows import TABLES, row_of
from payme_plugin.ledger.schema import columns_of
from payme_plugin.ledger.states import Cause, EventKind, PaymentState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_KEYED_TABLES = {"about": "name", "code": "fingerprint"}
_COLUMN_OF_VERSION_1 = ("cancellation", "outcome")
_FINGERPRINT_KEY = re.compile("[0-9a-f]{64}")
_AT_ONCE = 10_000
"""Rows whose texts are checked at once: some megabytes."""
_NEIGHBOURS = 1024
_Values = dict[str, Any]


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
        damaged: a copy of the damaged journal, with its log beside it; it may be changed.
        fresh: where the new journal is made.
        host_identity: the till that it belongs to.
        is_certain: it belongs to that till even if the damaged file does not name one.

    Raises:
        ForeignJournal: it belongs to another till, or the file names none.
        JournalError, OSError, sqlite3.Error: the new journal can't be written.
    """
    with closing(connect(fresh, host_identity)) as target, closing(_opened(damaged, columns_of(target))) as source:
        _require_till(source, host_identity, is_certain=is_certain)
        target.execute("PRAGMA foreign_keys = OFF")
        target.execute("BEGIN IMMEDIATE")
        copied: dict[str, int] = {}
        invalid: dict[str, list[_Values]] = {}
        broken: set[str] = set()
        for table in (*TABLES, *_KEYED_TABLES):
            copied[table], invalid[table] = _copy(target, table, _rows(source, table, broken))
        broken &= TABLES.keys()
        if "event" not in broken and not invalid["event"]:
            copied["payment"] += sum(_insert_with_state_of_events(target, values) for values in invalid["payment"])
        queued_again = _restore(target)
        if source.execute("PRAGMA user_version").fetchone()[0] == 1:
            target.execute(BEGUN)
        target.execute("COMMIT")
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Salvage(copied, len(broken) + sum(len(invalid[table]) for table in TABLES), queued_again)


def _require_till(source: sqlite3.Connection, host_identity: str, *, is_certain: bool) -> None:
    about = {row["name"]: row["value"] for row in _rows(source, "about", set())}
    found = about.get("host_identity")
    if found != host_identity and not (found is None and is_certain):
        belongs = "does not name the till that it belongs to" if found is None else f"belongs to till {found!r}"
        message = f"the damaged journal {belongs}, this is {host_identity!r}"
        raise ForeignJournal(message)


# ---------------------------------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------------------------------


def _opened(damaged: Path, columns: set[tuple[object, ...]]) -> sqlite3.Connection:
    """Open the damaged file; an empty database instead if a column is missing, because a flipped bit may rename one."""
    connection = sqlite3.connect(damaged, isolation_level=None)
    use_rows(connection)
    # Otherwise SQLite rejects a file that is shorter than its header says.
    connection.execute("PRAGMA writable_schema = ON").fetchall()
    with contextlib.suppress(sqlite3.DatabaseError):
        found = columns_of(connection)
        if columns <= found or _COLUMN_OF_VERSION_1 in found:
            return connection
    connection.close()
    return sqlite3.connect(":memory:")


def _rows(source: sqlite3.Connection, table: str, broken: set[str]) -> Iterator[_Values]:
    """Read the rows of a table, and note in ``broken`` if a page can't be read.

    It reads forwards, and where that fails, backwards to the rows that it has. A key that comes twice is one of these,
    or shows that damaged pages form a loop.
    """
    key = _KEYED_TABLES.get(table, "rowid")
    seen: set[object] | _Numbers = set() if table in _KEYED_TABLES else _Numbers()
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.DatabaseError):
            for row in source.execute(f"SELECT {key} AS key_of_row, * FROM {table} ORDER BY {key} {order}"):  # noqa: S608 - our own names
                values = dict(row)
                if (found := values.pop("key_of_row")) in seen:
                    break
                seen.add(found)
                yield values
            else:
                return
        broken.add(table)


class _Numbers:
    """A set of whole numbers, most of them neighbours: ten million take some megabytes, not a thousand."""

    def __init__(self) -> None:
        self._bits: defaultdict[int, int] = defaultdict(int)

    def __contains__(self, number: int) -> bool:
        block, bit = divmod(number, _NEIGHBOURS)
        return block in self._bits and self._bits[block] >> bit & 1 == 1

    def add(self, number: int) -> None:
        block, bit = divmod(number, _NEIGHBOURS)
        self._bits[block] |= 1 << bit


# ---------------------------------------------------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------------------------------------------------


def _copy(target: sqlite3.Connection, table: str, rows: Iterable[_Values]) -> tuple[int, list[_Values]]:
    """Insert rows; return how many were copied, and the invalid ones."""
    copied = 0
    refused: list[_Values] = []
    for row in rows:
        values = upgraded(table, row)
        if table == "about" and values["name"] in {"host_identity", "ready", "reconciliation"}:
            # The caller decides which till the new journal belongs to, and the new journal has to be reconciled.
            continue
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
    if table == "cancellation" and (values["ended_at"] is None) is not (values["ended_as"] is None):
        return False
    is_key = table == "about" and values["name"] == "fingerprint_key"
    return not is_key or _FINGERPRINT_KEY.fullmatch(str(values["value"])) is not None


def has_invalid_row(connection: sqlite3.Connection, table: str) -> bool:
    """Return whether a table has a row for which ``is_valid`` is false.

    Types and NOT NULL are left to ``PRAGMA integrity_check``, which has to come first. It knows no CHECK where the file
    is only read. SQLite looks at the rest, because a journal of years has ten million events: Python gets the texts of
    many rows as one, and it is not UTF-8 if one of them is not.

    Raises:
        sqlite3.Error: the journal can't be read.
    """
    if table == "about":
        return not all(is_valid(table, row) for row in connection.execute("SELECT * FROM about"))
    hints = get_type_hints(TABLES[table]) if table in TABLES else {}
    enums = {name: [*kind] for name, hint in hints.items() for kind in get_args(hint) or (hint,) if _is_enum(kind)}
    rules = [f"{name} NOT IN ({', '.join(repr(each.value) for each in members)})" for name, members in enums.items()]
    rules += [f"{name} NOT IN (0, 1)" for name, hint in hints.items() if hint is bool]
    if table == "cancellation":
        rules.append("(ended_at IS NULL) <> (ended_as IS NULL)")
    columns = connection.execute("SELECT name FROM pragma_table_info(?) WHERE type = 'TEXT'", (table,))
    texts = " || ' ' || ".join(f"ifnull({name}, '')" for (name,) in columns if name not in enums)
    key, last = _KEYED_TABLES.get(table, "rowid"), "" if table in _KEYED_TABLES else -(2**63)
    rows = f"SELECT {key} AS key, {' OR '.join(rules) or '0'} AS is_invalid, {texts} AS texts FROM {table}"  # noqa: S608 - our own names
    some = f"({rows} WHERE {key} > ? ORDER BY {key} LIMIT {_AT_ONCE})"
    query = f"SELECT max(key), count(*), max(is_invalid), group_concat(texts, ' ') FROM {some}"  # noqa: S608
    count = _AT_ONCE
    while count == _AT_ONCE:
        last, count, is_invalid, found = connection.execute(query, (last,)).fetchone()
        if is_invalid or isinstance(found, bytes):
            return True
    return False


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


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

_OWING = """
SELECT * FROM payment
WHERE receipt_id IS NOT NULL
AND (state IN ('reversing', 'reversed') OR state IN ('refused', 'aborted', 'unknown') AND cancellation_queued)
AND NOT EXISTS (
    SELECT 1 FROM cancellation AS c
    WHERE c.payment_id = payment.payment_id AND (ended_at IS NULL OR ended_as IN ('cancelled', 'closed'))
)
AND NOT EXISTS (
    SELECT 1 FROM event AS e WHERE e.payment_id = payment.payment_id AND ended_as IN ('cancelled', 'closed')
)
"""
"""Payments that owe money, have no live cancellation, and of which neither a row nor an event shows that one ended."""

_REBUILT = "rebuilt from its cancellation"
_REBUILD_PAYMENTS = """
INSERT OR IGNORE INTO payment (payment_id, payment_type, amount, till, shift, number, attempt, pos_id, url, owner,
    state, receipt_id, created_at, updated_at)
SELECT payment_id, 0, amount, '', 0, 0, 0, pos_id, url, '', 'reversing', receipt_id, created_at, created_at
FROM cancellation WHERE ended_at IS NULL
RETURNING payment_id, created_at
"""
"""Insert the lost payment of each live cancellation, from what its row says."""

_DELETE_STRAYS = "DELETE FROM {} WHERE ended_at IS NULL AND payment_id NOT IN (SELECT payment_id FROM payment)"
"""Delete the live rows whose payment can't be rebuilt.

The receipt of such a cancellation belongs to another payment, which gets its own if it owes money. A fiscal link moves
no money.
"""

_RESTORE = f"""
INSERT INTO cancellation (payment_id, receipt_id, amount, pos_id, url, cause, created_at, due_at, begun_at, is_queued,
    confirmed_at, last_error)
SELECT payment_id, receipt_id, amount, pos_id, url, cause, updated_at, updated_at,
    iif(cause = 'unrecorded', acknowledged_at, NULL), 1, iif(state = 'reversed', updated_at, NULL),
    'it could not be read'
FROM (
    SELECT *, coalesce(
        (SELECT cause FROM event AS e WHERE e.payment_id = p.payment_id AND cause <> '' ORDER BY event_id DESC LIMIT 1),
        CASE WHEN state <> 'reversing' THEN 'unrecorded' WHEN closed_at IS NULL THEN 'cancel' ELSE 'refund' END
    ) AS cause
    FROM ({_OWING}) AS p
)
RETURNING payment_id, created_at, cause
"""  # noqa: S608 - our own texts
"""Insert a live cancellation for each payment that owes money.

The cause is the one that the latest event names. Without any a reversing payment is not "unrecorded": the till may have
its sale, as it has that of a refund, and the money might never be returned. An acknowledgement ends a cancellation of
cause "unrecorded" that has not begun: where it did not, ``receipts.cancel`` had begun.

A restored row can't be withdrawn: the host may have got QUEUED, and ``receipts.cancel`` may have been sent.
"""


def lacks_cancellation(connection: sqlite3.Connection) -> bool:
    """Return whether a payment owes money, has no live cancellation, and nothing shows that one ended.

    Raises:
        sqlite3.Error: the journal can't be read.
    """
    return connection.execute(f"{_OWING} LIMIT 1").fetchone() is not None


def _restore(target: sqlite3.Connection) -> int:
    """Restore lost cancellations inside the caller's transaction; return how many."""
    for row in target.execute(_REBUILD_PAYMENTS).fetchall():
        add_transition(target, row["payment_id"], row["created_at"], None, PaymentState.REVERSING, _REBUILT)
    for table in ("cancellation", "fiscal_link"):
        target.execute(_DELETE_STRAYS.format(table))
    restored = target.execute(_RESTORE).fetchall()
    for row in restored:
        cause = Cause(row["cause"])
        text = f"cancellation: queued again by the repair, cause {cause.value}"
        add_event(target, row["payment_id"], row["created_at"], EventKind.CANCELLATION, text, cause=cause)
    return len(restored)
