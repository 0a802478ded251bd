"""The page of what was tried where says what the project asks for and what CI holds it to."""

from __future__ import annotations

import re

from tests.docs.conftest import ROOT, read

ROW = re.compile(r"^\| (\w+)[^|]* \| ([\d.]+)[^|]* \| ([\d.]+) \|$", re.MULTILINE)
ASKED = re.compile(r'"(\w+)>=([\d.]+)(?:,<\d+)?"')
HELD = re.compile(r'^    "(\w+)": "([\d.]+)",$', re.MULTILINE)


def test_the_lower_bounds_are_those_of_the_project_and_of_ci() -> None:
    rows = {name: (least, debian) for name, least, debian in ROW.findall(read("docs/floors.md"))}
    asked = dict(ASKED.findall((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    held = dict(HELD.findall((ROOT / ".ci" / "run").read_text(encoding="utf-8")))

    assert set(rows) == set(held)
    assert rows == {name: (asked[name], held[name]) for name in held}


def test_the_python_that_is_only_checked_is_the_one_that_mypy_and_ruff_assume() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert "| Ubuntu 22.04 | 3.10 | none | nothing: mypy and ruff check" in read("docs/floors.md")
    assert 'python_version = "3.10"' in project
    assert 'target-version = "py310"' in project
