"""How soon the simulator catches a guarantee that is broken on purpose, and the table of the results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from simulator.history import simulate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.breaks import Break

_MOST_HISTORIES = 200
_EACH = 20

_TRACED = (
    "| 1 | the journal is not synced before a request leaves (`synchronous = OFF`) | the trace of system calls:"
    " `tests/kills/test_disk_before_wire.py::test_a_journal_that_does_not_sync_is_found_out` | - |"
)
"""The break that no simulator can see. Its test is in ``tests/kills``."""


@dataclass(frozen=True)
class Caught:
    """What caught a break.

    Attributes:
        after: how many sales it took.
        check: what the check said first.
    """

    after: int
    check: str


def caught_by_simulation(broken: Break) -> Caught | None:
    """Return what the simulator catches of a break, or None."""
    made = 0
    with pytest.MonkeyPatch.context() as monkeypatch:
        broken.patch(monkeypatch)
        for seed in range(1, 1 + _MOST_HISTORIES):
            history = simulate(seed, _EACH, broken.behaviour)
            if history.broken_after is not None:
                return Caught(made + history.broken_after, history.faults[0])
            made += history.sales
    return None


def table(rows: Iterable[tuple[Break, Caught | None]]) -> str:
    """Return the table of ``docs/internal/breaks.md``: what the simulator caught, and the break that it can't see."""
    lines = ["| Guarantee | Break | First failed check | After sales |", "|---|---|---|---|"]
    for broken, caught in rows:
        check, after = ("nothing", "-") if caught is None else (caught.check, str(caught.after))
        lines.append(f"| {broken.statement} | {broken.what} | {check} | {after} |")
    return "\n".join([*lines, _TRACED])
