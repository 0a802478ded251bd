"""What a failed commit leaves: the journal goes on as durable as before, and what was durable is put at no risk."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from payme_plugin.ledger.connection import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.floor

FRAMES = 1000
"""So many pages in its log, and SQLite copies it into the file."""


class FailingConnection(sqlite3.Connection):
    """A connection whose next COMMIT fails."""

    fails = False

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.fails:
            self.fails = False
            message = "disk I/O error"
            raise sqlite3.OperationalError(message)
        return super().execute(sql, *values)  # type: ignore[arg-type]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[FailingConnection]:
    made = sqlite3.connect(tmp_path / "file", isolation_level=None, factory=FailingConnection)
    with closing(made) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        yield connection


def fail_once(connection: FailingConnection) -> None:
    connection.fails = True
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"), transaction(connection):
        connection.execute("INSERT INTO about VALUES ('a', 'b')")


def test_it_is_counted_and_its_own_change_is_not_there(connection: FailingConnection) -> None:
    for _ in range(12):
        fail_once(connection)

    assert connection.execute("SELECT * FROM about").fetchall() == [("failed_commits", "12")]


def test_what_comes_after_it_is_synced_again(connection: FailingConnection) -> None:
    fail_once(connection)

    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (FRAMES,)
    assert not connection.in_transaction


def test_a_full_log_is_not_copied_into_the_file_without_a_sync(connection: FailingConnection, tmp_path: Path) -> None:
    connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
    for number in range(FRAMES + 1):
        with transaction(connection):
            connection.execute("INSERT OR REPLACE INTO about VALUES ('before', ?)", (str(number),))
    connection.execute(f"PRAGMA wal_autocheckpoint = {FRAMES}").fetchall()
    before = (tmp_path / "file").read_bytes()

    fail_once(connection)

    assert (tmp_path / "file").read_bytes() == before


def test_where_it_can_not_be_written_over_the_log_says_so_and_the_fault_is_the_first(
    connection: FailingConnection, caplog: pytest.LogCaptureFixture
) -> None:
    connection.execute("DROP TABLE about")
    connection.fails = True

    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"), transaction(connection):
        connection.execute("CREATE TABLE other (name)")

    assert "could not be written over" in caplog.text
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert not connection.in_transaction
