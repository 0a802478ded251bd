"""The figures that were written last: docs/benchmarks.json, the page that shows them, and the picture."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.measure import CLEAN, Figure, Skip, quartiles, seconds
from tests.benchmarks.payments import COMMITS, bare_commits
from tests.benchmarks.peers import PYTHON
from tests.benchmarks.table import amount, tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.benchmarks.table import Entry

DOCS = Path(__file__).parents[2] / "docs"
STORED = DOCS / "benchmarks.json"
PAGE = DOCS / "benchmarks.md"
PICTURE = DOCS / "images" / "benchmarks.svg"
BEGIN, END = "<!-- figures of run.py --write -->", "<!-- end of figures -->"
_LIBRARIES = ("urllib3", "xmlschema", "pluggy", "defusedxml", "click")


def stored() -> dict[str, Any]:
    """Return what was written last, or an empty report."""
    return json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {"machine": {}, "rows": {}}


def last_figures() -> dict[tuple[str, str], Figure]:
    """Return the figures that were written last, by section and name."""
    entries = (entry for row in stored()["rows"].values() for entry in _entries(row))
    return {(entry.section, entry.name): entry for entry in entries if isinstance(entry, Figure)}


def _entries(row: Mapping[str, Any]) -> list[Entry]:
    return [Skip(**entry) if "reason" in entry else Figure(**entry) for entry in row["entries"]]


def write(measured: Mapping[str, Iterable[Entry]], order: Iterable[str]) -> None:
    """Store the figures of rows by name, and write the page and the picture; rows not measured keep theirs."""
    today = time.strftime("%Y-%m-%d")
    rows = stored()["rows"]
    rows |= {name: {"date": today, "entries": [asdict(entry) for entry in each]} for name, each in measured.items()}
    report = {"machine": machine(), "rows": {name: rows[name] for name in order if name in rows}}
    STORED.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
    plot = [PYTHON, "-I", str(Path(__file__).with_name("plot.py")), str(STORED), str(PICTURE)]
    subprocess.run(plot, check=True, env=CLEAN)  # noqa: S603 - our own script


def page() -> str:
    """Return the page with the figures that were written last."""
    text = PAGE.read_text(encoding="utf-8")
    head, found, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not (found and ended):
        raise LookupError(f"{PAGE.name} must have the marks {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n{_block()}\n\n{END}{tail}"


def _block() -> str:
    report = stored()
    dates = sorted({row["date"] for row in report["rows"].values()})
    facts = {"measured": " to ".join(dict.fromkeys((dates[0], dates[-1]))), **report["machine"]}
    machine_table = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    entries = [entry for row in report["rows"].values() for entry in _entries(row)]
    return f"| | |\n|---|---|\n{machine_table}\n\n{tables(entries)}"


def machine() -> dict[str, str]:
    """Return what the figures depend on: the machine, its disk and the versions."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    with tempfile.TemporaryDirectory() as folder, bare_commits(Path(folder) / "bare.db") as commit:
        _, commit_s, _ = quartiles([seconds(commit) / COMMITS for _ in range(50)])
    cores = f"{os.cpu_count()} cores of {model or platform.machine()}"
    return {
        "machine": f"{cores}, {memory:.0f} GiB, Linux {platform.release().partition('-')[0]}",
        "one FULL commit": amount(commit_s, "s"),
        "Python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        "payme-plugin": version("payme-plugin"),
    }
