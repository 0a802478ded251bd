"""A journal with many payments, made fast: a few real payments and their rows, copied by SQL."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from fakes.hooked_world import OFD_LINK, HookedWorld
from fakes.till import VirtualHost, open_sale
from hookspecs import PaymentStatus
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.sandbox import BuyerAction

IDENTITY = VirtualHost.name
A_DAY = 1_000
"""Payments a day: so a journal of any length has as many in one day."""

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_CONFIRMED_S = 1_200
_EXECUTE = """
INSERT INTO {table} ({columns})
WITH RECURSIVE copy(n) AS (SELECT 0 WHERE :rows > 0 UNION ALL SELECT n + 1 FROM copy WHERE n + 1 < :rows)
SELECT {values} FROM copy CROSS JOIN made.{table} AS made
WHERE made.payment_id = {original}
ORDER BY n, {order}
"""
_FINISHED = "CASE n % 100 WHEN 50 THEN 'refused' WHEN 75 THEN 'refunded' ELSE 'sold' END"
# Ids in the order of time, as Payme's, and in no order, as most hosts' and as digests.
_NUMBER = "printf('%08x', (n * 2654435761) % 4294967296)"
_OWN = {
    "payment_id": f"{_NUMBER} || '-4c1d-4f7e-9f0b-7a3c5d1e2b90'",
    "receipt_id": "printf('65aa%020x', n)",
    "fingerprint": f"{_NUMBER} || substr(made.fingerprint, 9)",
    "number": "n % 1000",
    "shift": "n / 1000",
}
_TIMES = ("at_ms", "sent_at", "paid_at", "acknowledged_at", "closed_at", "created_at", "updated_at", "due_at")
_OTHER_TIMES = ("offered_at", "begun_at", "confirmed_at", "ended_at")
_COUNTED = {"event": "event_id", "cancellation": "cancellation_id", "fiscal_link": "fiscal_link_id"}


def make_long_journal(folder: Path, rows: int, *, is_owed: bool = False) -> Path:
    """Make a journal of so many payments, 1,000 a day, the newest an hour ago; return its file.

    Of 100 payments 98 are sold, one is refused and one refunded; both of these have had a cancellation.

    Args:
        folder: the till's data folder.
        rows: how many.
        is_owed: instead each payment has a live cancellation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    with TemporaryDirectory() as made:
        source = _make_originals(Path(made))
        shutil.copyfile(source, path)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            connection.execute("ATTACH ? AS made", (str(source),))
            connection.execute("BEGIN")
            _copy(connection, rows, "'owed'" if is_owed else _FINISHED)
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
    path.chmod(0o600)
    return path


def _make_originals(folder: Path) -> Path:
    """Sell, sell and refund, and let buyers refuse and not answer, by the same steps as a till; return the journal."""
    world = HookedWorld(folder)
    world.sell_and_close("sold", 1, link=OFD_LINK)
    world.refund(world.sell_and_close("refunded", 2, link=OFD_LINK))
    refused = world.pay(world.paymego.code(BuyerAction.DECLINES), payment_id="refused", receipt=open_sale(3))
    world.work(_CONFIRMED_S)
    assert refused.status is PaymentStatus.REFUSED
    assert not world.journal.live_cancellations() + world.journal.confirming_cancellations()
    world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS), payment_id="owed", receipt=open_sale(4))
    assert [row.payment_id for row in world.journal.live_cancellations()] == ["owed"]
    world.close()
    return folder / FILE_NAME


def _copy(connection: sqlite3.Connection, rows: int, original: str) -> None:
    """Replace the rows by copies; indexes are made afterwards, because that is faster."""
    indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    made = connection.execute(indexes).fetchall()
    for name, _ in made:
        connection.execute(f"DROP INDEX {name}")
    for table in ("event", "code", "cancellation", "fiscal_link", "payment"):
        connection.execute(f"DELETE FROM main.{table}")  # noqa: S608 - our own names
    newest_ms = SystemClock().wall_ms() - _HOUR_MS
    (first_ms,) = connection.execute("SELECT min(created_at) FROM made.payment").fetchone()
    moved = f"+ {newest_ms - first_ms} - (:rows - 1 - n) * {_DAY_MS // A_DAY}"
    own = {**_OWN, **{name: f"made.{name} {moved}" for name in (*_TIMES, *_OTHER_TIMES)}}
    for table in ("payment", "event", "code", "cancellation", "fiscal_link"):
        found = connection.execute(f"SELECT name FROM pragma_table_info('{table}')")  # noqa: S608
        columns = [name for (name,) in found if name != _COUNTED.get(table)]
        values = ", ".join(own.get(name, f"made.{name}") for name in columns)
        order = _COUNTED.get(table, "made.payment_id")
        statement = _EXECUTE.format(
            table=table, columns=", ".join(columns), values=values, original=original, order=order
        )
        connection.execute(statement, {"rows": rows})
    for _, statement in made:
        connection.execute(statement)
