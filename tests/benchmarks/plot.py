"""Draw the figures of docs/benchmarks.json: ``python -I plot.py JSON SVG``. It needs matplotlib only."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

OURS, THEIRS = "#00838f", "#b0bec5"
BAR = 0.38


def main(source: Path, target: Path) -> None:
    """Draw ``on_payment`` beside each library's create + pay, over http and TLS, and below it the time of a sale."""
    # Text stays text, and the same figures give the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "payme", "font.family": "sans-serif"})
    rows = json.loads(source.read_text(encoding="utf-8"))["rows"]
    order = [["peers-http"], ["peers-tls"], ["sale"]]
    figure, panels = plt.subplot_mosaic(order, figsize=(9, 12), height_ratios=[1, 1, 3], layout="constrained")
    for name, panel in panels.items():
        entries = [entry for entry in rows.get(name, {}).get("entries", []) if "reason" not in entry]
        panel.spines[["top", "right"]].set_visible(False)
        (_sale if name == "sale" else _peers)(panel, entries)
    panels["peers-http"].set_title("on_payment beside create + pay of others, http, ms", loc="left")
    panels["peers-tls"].set_title("on_payment beside create + pay of others, TLS, ms", loc="left")
    figure.savefig(target, format="svg", metadata={"Date": None})


def _peers(panel: Any, entries: list[dict[str, Any]]) -> None:  # noqa: ANN401 - matplotlib has few types
    names = [*(entry["name"] for entry in entries), "on_payment, with commits and slip"]
    values = [entry["theirs"] * 1000 for entry in entries] + [entry["ours"] * 1000 for entry in entries[:1]]
    bars = panel.barh(names[-len(values) :], values, color=[THEIRS] * len(entries) + [OURS])
    panel.bar_label(bars, fmt="%.1f", padding=3)
    panel.margins(x=0.15)


def _sale(panel: Any, entries: list[dict[str, Any]]) -> None:  # noqa: ANN401 - the same
    panel.set_title("time of a sale, from the scan to the result, s", loc="left")
    places = range(len(entries))
    for shift, colour, name, key in ((-BAR / 2, OURS, "payme-plugin", "value"), (BAR / 2, THEIRS, None, "theirs")):
        measured = [place for place in places if entries[place][key] is not None]
        values = [entries[place][key] for place in measured]
        label = name or next((entry["against"] for entry in entries), "")
        bars = panel.barh([place + shift for place in measured], values, BAR, color=colour, label=label)
        panel.bar_label(bars, fmt="%.2f", padding=3, fontsize="small")
    panel.set_yticks(places, [entry["name"].replace("`", "") for entry in entries])
    panel.invert_yaxis()
    panel.legend()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
