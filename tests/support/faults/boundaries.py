"""The boundaries at which a life of the crash tests may end: before and after every commit, and the host's own steps.

Nothing in the plugin knows of them: ``sqlite3.connect`` is told to make connections of a class that counts.
"""

from __future__ import annotations

import functools
import os
import signal
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from typing import Any


class Boundaries:
    """Counts the boundaries that a life comes to, and ends it with SIGKILL at one of them.

    Args:
        last: the number of the boundary that the process does not survive, from 1; 0: it survives all.
        from_now: False: it survives all until ``count_anew``.
    """

    def __init__(self, last: int, *, from_now: bool = True) -> None:
        self._last = last
        self._counts = from_now
        self._lock = threading.Lock()
        self._reached: list[str] = []

    @property
    def reached(self) -> tuple[str, ...]:
        """The boundaries so far, in order, by name."""
        with self._lock:
            return tuple(self._reached)

    def count_anew(self) -> None:
        """Forget the boundaries so far, and count."""
        with self._lock:
            self._reached.clear()
            self._counts = True

    def reach(self, name: str) -> None:
        """Come to a boundary."""
        with self._lock:
            self._reached.append(name)
            if self._counts and len(self._reached) == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def count_commits(boundaries: Boundaries, *, syncs: bool = True) -> None:
    """Let every connection to SQLite that this process opens from now on count its commits.

    Args:
        boundaries: where they are counted.
        syncs: False: the connections forget to sync, which they must not: ``synchronous=OFF``.
    """

    class CountingConnection(sqlite3.Connection):
        """A connection that comes to a boundary before and after each commit."""

        _does = ""

        # The type stubs give these two more parameters; the journal passes both by position.
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401
            if sql == "BEGIN IMMEDIATE" and not syncs:
                super().execute("PRAGMA synchronous = OFF")
            if sql != "COMMIT":
                self._does = _named(sql, parameters) or self._does
                return super().execute(sql, parameters)
            boundaries.reach(f"before the commit of {self._does}")
            done = super().execute(sql)
            boundaries.reach(f"after the commit of {self._does}")
            return done

    connect = functools.partial(sqlite3.connect, factory=CountingConnection)
    setattr(sqlite3, "connect", connect)  # noqa: B010 - a type checker would not have it assigned


def _named(sql: str, parameters: Sequence[object] | Mapping[str, object]) -> str:
    """Return a name for the transaction that ``sql`` belongs to, from the last line of the story that it writes."""
    if sql.startswith("INSERT INTO event") and isinstance(parameters, Sequence) and parameters:
        return repr(parameters[-1])
    return "the tables" if sql.lstrip().startswith("CREATE TABLE") else ""
