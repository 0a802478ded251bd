"""Draw the figures of docs/benchmarks.json: ``python -I plot.py JSON SVG``. It needs matplotlib only."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

OURS, THEIRS, COMMITS = "#00838f", "#b0bec5", "#80cbc4"


def main(source: Path, target: Path) -> None:
    """Draw ``on_payment`` beside each library's create + pay: one panel for http, one for TLS."""
    # Text stays text, and the same figures give the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "payme", "font.family": "sans-serif"})
    rows = json.loads(source.read_text(encoding="utf-8"))["rows"]
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
    for axis, (title, row) in zip(axes, (("http", "peers-http"), ("TLS", "peers-tls")), strict=True):
        _bars(axis, title, [entry for entry in rows.get(row, {}).get("entries", []) if "reason" not in entry])
    figure.savefig(target, format="svg", metadata={"Date": None})


def _bars(axis: Any, title: str, entries: list[dict[str, Any]]) -> None:  # noqa: ANN401 - matplotlib has few types
    names = [entry["name"] for entry in entries] + ["on_payment: commits, slip and all"]
    values = [entry["theirs"] * 1000 for entry in entries]
    ours = sum(entry["ours"] * 1000 for entry in entries[:1])
    bars = axis.barh(names, [*values, ours], color=[THEIRS] * len(values) + [OURS])
    axis.bar_label(bars, fmt="%.1f", padding=3)
    axis.set_title(f"over {title}, ms, median")
    axis.margins(x=0.15)
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
