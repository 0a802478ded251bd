"""A till forks a child at every boundary of its hooks and commits: nothing is lost, and the restarted till goes on.

At a commit another thread forks, so that the child finds every lock of the payment taken and a transaction open.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from faults.forking_till import AMOUNT
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.paymego.states import ReceiptState

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox

SUPPORT = Path(__file__).parents[1] / "support"
ENDINGS = ("returns", "exits", "signal")
KILLED = -9
PARTS = 4


def live(sandbox: Sandbox, settings: dict[str, str], folder: Path, ending: str = "", killed_at: int = 0) -> Any:  # noqa: ANN401 - JSON
    """Let a till live; return what it printed, or None if it was killed."""
    codes = [sandbox.issue_code(), sandbox.issue_code()]
    order = {"folder": str(folder), "settings": settings, "codes": codes, "ending": ending, "killed_at": killed_at}
    path = os.pathsep.join([str(SUPPORT), str(SUPPORT.parents[1])])
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-W", "ignore", str(SUPPORT / "faults" / "forking_till.py"), json.dumps(order)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if run.returncode == KILLED:
        return None
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def integrity_of(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "payme" / FILE_NAME)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def charged(sandbox: Sandbox, since: int) -> int:
    """Return how much is charged for receipts made after the first ``since``."""
    return sum(receipt.amount for receipt in sandbox.receipts()[since:] if receipt.state == ReceiptState.PAID)


def require_sound(sandbox: Sandbox, settings: dict[str, str], folder: Path, before: int, case: str) -> None:
    """Let a till live in the folder once more, and require that it sells and that no buyer is left charged."""
    said = live(sandbox, settings, folder)
    assert said["is_quiet"], case
    assert integrity_of(folder) == "ok", case
    states = [state for state, *_ in said["book"].values()]
    assert states[-2:] == ["closed", "cancelled"], case
    assert charged(sandbox, before) == AMOUNT * sum(state in {"paid", "closed"} for state in states), (case, states)


@pytest.mark.parametrize("ending", ENDINGS)
def test_children_at_every_boundary_change_nothing(
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path, ending: str
) -> None:
    before = len(sandbox.receipts())

    said = live(sandbox, settings, tmp_path, ending=ending)

    assert [state for state, *_ in said["book"].values()] == ["closed", "cancelled"]
    assert integrity_of(tmp_path) == "ok"
    require_sound(sandbox, settings, tmp_path, before, ending)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_till_that_is_killed_beside_its_child_at_any_boundary_is_restored(
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path, part: int
) -> None:
    (tmp_path / "0").mkdir()
    reached = live(sandbox, settings, tmp_path / "0")["reached"]
    assert any("before the commit" in name for name in reached)
    for number in range(1 + part, len(reached) + 1, PARTS):
        name = reached[number - 1]
        folder, before = tmp_path / str(number), len(sandbox.receipts())
        folder.mkdir()
        assert live(sandbox, settings, folder, ENDINGS[number % len(ENDINGS)], killed_at=number) is None
        if (folder / "payme" / FILE_NAME).exists():
            assert integrity_of(folder) == "ok", name
        require_sound(sandbox, settings, folder, before, f"{number}, {name}")
