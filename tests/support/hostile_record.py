"""The record of the matrix, ``docs/faults.csv``: what was seen in each cell, and what the pages' table is made of.

``PAYME_RECORD_FAULTS=1`` before pytest writes it anew; the tests compare every cell with it.
"""

from __future__ import annotations

import csv
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hostile_rules import counted_s, time_bound_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hostile_cells import Cell
    from hostile_play import Seen

__all__ = ["FAULTS", "Row", "differences", "is_recording", "read_rows", "row_of", "write_rows"]

FAULTS = Path(__file__).parents[2] / "docs" / "faults.csv"

_STEP_S = 0.5
_BUSY_S = 1.5
_FIELDS = ("kind", "fault", "phase", "scene", "verdict", "cancellation", "time_s")


@dataclass(frozen=True)
class Row:
    """What is recorded of a cell.

    Attributes:
        verdict: the hook's verdict.
        cancellation: ``yes`` or ``no``.
        time_s: how long it may take: what was seen, rounded up to halves of a second, and a second and a half
            more for a busy machine; never more than is promised.
    """

    verdict: str
    cancellation: str
    time_s: float


def is_recording() -> bool:
    """Return whether this run writes the record."""
    return bool(os.environ.get("PAYME_RECORD_FAULTS"))


def row_of(cell: Cell, seen: Seen) -> Row:
    """Return what is recorded of a cell."""
    seen_s = math.ceil((counted_s(cell, seen) - seen.stalled_s) / _STEP_S) * _STEP_S
    return Row(seen.status, "yes" if seen.cancellation else "no", min(seen_s + _BUSY_S, time_bound_s(cell)))


def differences(cell: Cell, seen: Seen, told: Row) -> list[str]:
    """Return in words where a cell is not as the record, and so the pages, tell; a plain one's is that of https."""
    row, took_s = row_of(cell, seen), counted_s(cell, seen) - seen.stalled_s
    is_same = (row.verdict, row.cancellation) == (told.verdict, told.cancellation)
    words = [] if is_same else [f"{row.verdict}, cancellation {row.cancellation}; the pages say {told}"]
    return words if took_s <= told.time_s else [*words, f"{took_s:.2f} s; the pages say at most {told.time_s:g} s"]


def read_rows() -> dict[tuple[str, str, str], Row]:
    """Return the record, by the cells' keys; nothing where there is none yet."""
    if not FAULTS.exists():
        return {}
    with FAULTS.open(encoding="utf-8", newline="") as file:
        return {
            (row["fault"], row["phase"], row["scene"]): Row(row["verdict"], row["cancellation"], float(row["time_s"]))
            for row in csv.DictReader(file)
        }


def write_rows(seen: Mapping[Cell, Row], order: list[Cell]) -> None:
    """Write cells into the record, in the order of the matrix; what is recorded of others stays.

    Of two runs with the same verdict the quicker one stays: a busy machine is slow for reasons of its own.
    """
    rows = read_rows()
    for cell, row in seen.items():
        former = rows.get(cell.key, row)
        quicker = former.time_s < row.time_s and replace(former, time_s=row.time_s) == row
        if not cell.plain:
            rows[cell.key] = former if quicker else row
    kinds = {cell.key: cell.kind for cell in order}
    with FAULTS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_FIELDS)
        for key, kind in kinds.items():
            if key in rows:
                row = rows[key]
                writer.writerow([kind, *key, row.verdict, row.cancellation, f"{row.time_s:g}"])
