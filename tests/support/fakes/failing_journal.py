"""A real journal that a test stands beside: it may fail or be cut off at any commit, before it or after it."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fakes.till import PowerCut
from payme_plugin.ledger.journal import FILE_NAME, Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from payme_plugin.clock import Clock


class StagedJournal(Journal):
    """A journal whose commits are counted.

    Attributes:
        commits: how many were begun.
        before: called with the number of a commit, from 1, before it is made.
        after: the same, once it is durable.
    """

    def __init__(self, folder: Path, identity: str, clock: Clock) -> None:
        super().__init__(folder / FILE_NAME, host_identity=identity, clock=clock)
        self.commits = 0
        self.before: Callable[[int], None] = _nothing
        self.after: Callable[[int], None] = _nothing

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection inside one transaction, with a test before and after its commit."""
        with super().writing() as connection:
            yield connection
            self.commits += 1
            number = self.commits
            self.before(number)
        self.after(number)

    def fail_from(self, first: int) -> None:
        """Let every commit fail, from the one of this number, counted from now."""
        first += self.commits

        def fail(number: int) -> None:
            if number >= first:
                raise sqlite3.OperationalError("database or disk is full")

        self.before = fail

    def recover(self) -> None:
        """Let every commit succeed again."""
        self.before = self.after = _nothing

    def cut_at(self, boundary: int) -> None:
        """Let the power fail at a boundary, counted from now: 0 before the first commit, 1 after it, and so on."""
        at = self.commits + boundary // 2 + 1

        def cut(number: int) -> None:
            if number == at:
                raise PowerCut

        if boundary % 2 == 0:
            self.before = cut
        else:
            self.after = cut

    def forget(self) -> None:
        """Lose every payment, as a till with a new disk does."""
        with self.writing() as connection:
            for table in ("event", "code", "cancellation", "fiscal_link", "payment"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names


def _nothing(_: int) -> None:
    """Let a commit be."""
