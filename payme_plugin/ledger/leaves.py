"""Rows whose way through the inner pages of their table is gone: each leaf page is read as if it were the whole table.

A page of another table gives rows that make no sense in this one; whoever takes them must look at them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["rows_in_leaves"]

# The first byte of a page that holds rows of a table: https://sqlite.org/fileformat.html, section 1.6.
_LEAF = 0x0D


def rows_in_leaves(damaged: Path, source: sqlite3.Connection, table: str) -> Generator[sqlite3.Row, None, None]:
    """Read every leaf page of ``damaged`` as ``table``.

    Args:
        damaged: a copy that nobody else has open; its schema is changed.
        source: the connection to it, with ``writable_schema`` on.
        table: which table; its own name for its rows is all that counts.
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
