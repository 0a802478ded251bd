"""The matrix of faults as Markdown, from the record ``docs/faults.csv`` that ``tests/hostile`` writes and compares."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

__all__ = ["faults_tables"]

_RECORD = Path(__file__).resolve().parents[1] / "faults.csv"

_SCENES = {
    "create": "`receipts.create`, in `on_payment`",
    "pay": "`receipts.pay`, in `on_payment`",
    "check": "`receipts.check`, in `on_payment`; the buyer confirms meanwhile",
    "get": "`receipts.get`, in `on_payment`; it brings what the slip lacks",
    "cancel": "`receipts.cancel`, in `on_cancel`",
    "check-cancel": "`receipts.check`, in `on_cancel`",
    "get-cancel": "`receipts.get`, in `on_cancel`; it brings what the slip lacks",
    "refund": "`receipts.cancel`, in `on_full_refund`, and at the worker's first try where it had no effect yet",
    "check-refund": "`receipts.check`, in `on_full_refund`",
    "fiscal": "`receipts.set_fiscal_data`, by the worker after `on_receipt_closed`",
    "list": "`receipts.get_all`, by `payme reconcile`",
}


class _Came(NamedTuple):
    """What a fault comes to: when its effect comes, the verdict, and whether that wrote a cancellation."""

    phases: tuple[str, ...]
    verdict: str
    cancellation: str


def faults_tables() -> str:
    """Return the kinds of faults, and a table for every request that a fault may befall.

    Faults that come to the same share a row; where that is every fault of a kind, the kind stands for them.
    """
    with _RECORD.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = _kinds(rows)
    legend = "\n".join(f"- **{kind}**: {'; '.join(faults)}." for kind, faults in kinds.items())
    parts = ["The kinds of faults:", legend]
    for scene, title in _SCENES.items():
        parts += [f"### {title}", _table([row for row in rows if row["scene"] == scene])]
    return "\n\n".join(parts)


def _kinds(rows: list[dict[str, str]]) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for fault, kind in {row["fault"]: row["kind"] for row in rows}.items():
        kinds.setdefault(kind or fault, []).append(fault)
    return {kind: faults for kind, faults in kinds.items() if faults != [kind]}


def _table(rows: list[dict[str, str]]) -> str:
    groups: dict[_Came, list[str]] = {}
    longest_s: dict[_Came, float] = {}
    for fault in dict.fromkeys(row["fault"] for row in rows):
        for came, time_s in _outcomes([row for row in rows if row["fault"] == fault]).items():
            groups.setdefault(came, []).append(fault)
            longest_s[came] = max(longest_s.get(came, 0.0), time_s)
    kinds = _kinds(rows)
    lines = ["| Fault | Effect | Verdict | Time, at most | Cancellation |", "|---|---|---|---|---|"]
    lines += [
        f"| {_named(faults, kinds)} | {', '.join(came.phases)} | {came.verdict} | {longest_s[came]:g} s |"
        f" {came.cancellation} |"
        for came, faults in groups.items()
    ]
    return "\n".join(lines)


def _named(faults: list[str], kinds: dict[str, list[str]]) -> str:
    """Return the names of faults; of a kind that is there but for a few, its name and those few."""
    names: list[str] = []
    for kind, members in kinds.items():
        there = [fault for fault in members if fault in faults]
        lacking = [fault for fault in members if fault not in faults]
        if len(lacking) * 2 < len(members):
            names.append(f"**{kind}**" + (f" (but not: {'; '.join(lacking)})" if lacking else ""))
        else:
            names += there
    return "; ".join([*names, *(fault for fault in faults if not any(fault in members for members in kinds.values()))])


def _outcomes(rows: list[dict[str, str]]) -> dict[_Came, float]:
    """Return what one fault comes to, phases that come to the same taken together, with the longest time in seconds."""
    by_verdict: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        by_verdict.setdefault((row["verdict"], row["cancellation"]), []).append(row)
    return {
        _Came(tuple(row["phase"] for row in same), verdict, cancellation): max(float(row["time_s"]) for row in same)
        for (verdict, cancellation), same in by_verdict.items()
    }
