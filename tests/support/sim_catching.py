"""Who catches a break of a statement, and how soon: the simulator in sales, the model in steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from sim_history import simulate
from sim_machine import MoneyModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sim_breaks import Break

__all__ = ["TRACED", "Caught", "caught_by_model", "caught_by_simulation", "page"]

_MOST_HISTORIES = 200
_EACH = 20
_MOST_EXAMPLES = 150

TRACED = (
    "| 1 | the journal's log is not synced (`synchronous = OFF`: no fdatasync before a request leaves) | the trace:"
    " `tests/crash/test_disk_before_wire.py::test_a_journal_that_does_not_sync_is_found_out` | - | - |"
)
"""The break that no simulator can see: the row of the page is written by hand, and its test is in ``tests/crash``."""


@dataclass(frozen=True)
class Caught:
    """What caught a break.

    Attributes:
        after: how many sales or steps it took.
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
            history = simulate(seed, _EACH)
            if history.broken_after is not None:
                return Caught(made + history.broken_after, history.faults[0])
            made += history.sales
    return None


def caught_by_model(broken: Break) -> Caught | None:
    """Return what the model catches of a break, or None."""

    class Counting(MoneyModel):
        steps = 0

    with pytest.MonkeyPatch.context() as monkeypatch:
        broken.patch(monkeypatch)
        try:
            run_state_machine_as_test(
                Counting,
                settings=settings(
                    max_examples=_MOST_EXAMPLES,
                    stateful_step_count=30,
                    deadline=None,
                    derandomize=True,
                    database=None,
                    phases=[Phase.generate],
                    report_multiple_bugs=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except AssertionError as error:
            return Caught(Counting.steps, str(error).strip().splitlines()[-1])
    return None


def page(rows: Iterable[tuple[Break, Caught | None, Caught | None]]) -> str:
    """Return the page of the breaks, from what the simulator and the model caught of each."""
    lines = [
        "# The ten statements, broken on purpose",
        "",
        "What must always hold is proved by a simulator (`tests/simulation`) and a model (`tests/model`). Here each",
        "statement is broken by a patch of the production code, and the table says which check saw it first, and after",
        "how many sales of the simulator and steps of the model. `python tests/simulation/run.py --breaks` writes this",
        "page; `pytest -m simulation tests/simulation/test_breaks.py` holds that every break is caught.",
        "",
        "That a row is really on the disk before a request leaves (statement 1) no simulator can see: a trace of the",
        "system calls does, the last line of the table.",
        "",
        "| Statement | What is done wrong | What the check says | Simulator, sales | Model, steps |",
        "|---|---|---|---|---|",
    ]
    for broken, simulated, modelled in rows:
        seen = simulated or modelled
        check = "nothing" if seen is None else seen.check
        counts = (str(caught.after) if caught is not None else "-" for caught in (simulated, modelled))
        lines.append(f"| {broken.statement} | {broken.what} | {check} | {' | '.join(counts)} |")
    return "\n".join([*lines, TRACED, ""])
