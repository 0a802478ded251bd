"""The boundaries at which a process of the tests may be killed: before and after each commit, and the host's own steps.

The plugin is unchanged: ``sqlite3.connect`` is replaced by one whose connections count their commits.
"""

from __future__ import annotations

import functools
import os
import signal
import sqlite3
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CHILD_ENDS = ("returns", "exits", "signal")
"""How a child ends that was forked at a boundary."""

_CHILD_AT_MOST_S = 10


class Boundaries:
    """Counts the boundaries that a process comes to, and ends it with SIGKILL at one of them.

    Args:
        last: the number of the boundary that the process does not survive, from 1; 0: it survives all.
        from_now: False: it survives all until ``count_anew``.
        forks: one of ``CHILD_ENDS``: before it dies, or at each boundary if it survives all, it forks a child and waits
            for its end. Empty: it never forks.
    """

    def __init__(self, last: int, *, from_now: bool = True, forks: str = "") -> None:
        self._last = last
        self._counts = from_now
        self._forks = forks
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
        """Come to a boundary. At a commit another thread forks, while this one holds its locks and transaction."""
        with self._lock:
            self._reached.append(name)
            is_last = self._counts and len(self._reached) == self._last
        if self._forks and (is_last or not self._last):
            if "commit" in name:
                forking = threading.Thread(target=self._fork)
                forking.start()
                forking.join()
            else:
                self._fork()
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)

    def _fork(self) -> None:
        child = os.fork()
        if child == 0:
            # A lock that another thread held at the fork, e.g. of the C library, stays taken here for ever.
            signal.alarm(_CHILD_AT_MOST_S)
            if self._forks == "signal":
                os.kill(os.getpid(), signal.SIGTERM)
            if self._forks == "exits":
                os._exit(0)
            sys.exit()
        os.waitpid(child, 0)


def count_commits(boundaries: Boundaries, *, syncs: bool = True, changes: bool = False) -> None:
    """Let every connection to SQLite that this process opens from now on count its commits.

    Args:
        boundaries: where they are counted.
        syncs: False: the connections forget to sync, which they must not: ``synchronous=OFF``.
        changes: it comes to a boundary before each other statement, too, that isn't an INSERT.
    """

    class CountingConnection(sqlite3.Connection):
        """A connection that comes to a boundary before and after each commit."""

        _does = ""

        # The type stubs give these two more parameters; the journal passes both by position.
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401
            if sql == "BEGIN IMMEDIATE" and not syncs:
                super().execute("PRAGMA synchronous = OFF")
            if changes and sql != "COMMIT" and not sql.startswith("INSERT"):
                boundaries.reach(f"before {sql}")
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
    """Return a name for the transaction that ``sql`` belongs to: the text of the last event that it stores."""
    if sql.startswith("INSERT INTO event") and isinstance(parameters, Sequence) and parameters:
        return repr(parameters[-1])
    return "the tables" if sql.lstrip().startswith("CREATE TABLE") else ""


def killed_at(step: int, work: Callable[[], object], *, changes: bool = False) -> bool:
    """Do some work in a child that is killed at a step: a commit, a sync, or a file that is renamed or removed.

    Args:
        step: its number, from 1.
        work: the work.
        changes: see ``count_commits``.

    Returns:
        Whether it was killed; False: it ended before it came to that step.
    """
    child = os.fork()
    if child == 0:
        boundaries, fsync = Boundaries(step), os.fsync

        def sync(file: int) -> None:
            boundaries.reach("a sync")
            fsync(file)

        count_commits(boundaries, changes=changes)
        setattr(os, "fsync", sync)  # noqa: B010 - the same
        on_files = {"os.rename", "os.remove"}
        # This process has nothing else to do.
        sys.addaudithook(lambda event, _: boundaries.reach(event) if event in on_files else None)  # noqa: TID251
        try:
            work()
        except BaseException:  # noqa: BLE001 - whatever it is, this is a copy of the tests' process
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)
