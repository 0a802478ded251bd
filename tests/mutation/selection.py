"""Pytest plugin of ``run.py``: notes which tests reach which lines, or runs only the tests it is given, fastest first.

``PAYME_REACH`` names the file to write: ``{"tests": [[id, seconds], ...], "lines": {file: {line: [index, ...]}}}``.
``PAYME_SELECTION`` names a file with the ids of the tests to run, in that order, one a line; ``PAYME_KILLER`` the file
that gets the id of the test that failed first.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from coverage import Coverage

if TYPE_CHECKING:
    import pytest

_ROOT = Path(__file__).parents[2]
_REACH = os.environ.get("PAYME_REACH")
_SELECTION = os.environ.get("PAYME_SELECTION")
_seconds: dict[str, float] = {}
_coverage = Coverage(data_file=None, config_file=False, source=[str(_ROOT / "payme_plugin")])

if _REACH:
    _coverage.start()


def pytest_runtest_logstart(nodeid: str) -> None:
    if _REACH:
        _coverage.switch_context(nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration
    if report.failed:
        _name_killer(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _name_killer(report.nodeid)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if _SELECTION:
        order = {name: at for at, name in enumerate(Path(_SELECTION).read_text("utf-8").split("\n"))}
        items[:] = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])


def pytest_sessionfinish() -> None:
    if not _REACH:
        return
    _coverage.stop()
    data = _coverage.get_data()
    index = {name: at for at, name in enumerate(_seconds)}
    lines = {
        str(Path(file).relative_to(_ROOT)): {
            line: sorted({index[name] for name in names if name in index})
            for line, names in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    Path(_REACH).write_text(json.dumps({"tests": list(_seconds.items()), "lines": lines}), "utf-8")


def _name_killer(nodeid: str) -> None:
    killer = Path(os.environ.get("PAYME_KILLER", os.devnull))
    if not killer.exists() or not killer.stat().st_size:
        killer.write_text(nodeid, "utf-8")
