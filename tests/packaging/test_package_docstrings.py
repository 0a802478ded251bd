"""A package whose docstring lists its modules lists all of them, and none that is not there."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.packaging.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LISTING = ("doctor", "ledger", "sandbox", "settings")
LINE = re.compile(r"^([a-z_]+) {2,}\S", re.MULTILINE)
FEWEST = 2
PACKAGES = [
    path for top in ("hookspecs", "slips", "payme_plugin") for path in sorted((ROOT / top).rglob("__init__.py"))
]


def listed_in(package: Path) -> list[str]:
    return LINE.findall(ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) or "")


def modules_beside(package: Path) -> set[str]:
    modules = {path.stem for path in package.parent.glob("*.py")} - {"__init__"}
    return modules | {path.parent.name for path in package.parent.glob("*/__init__.py")}


@pytest.mark.parametrize(
    "package",
    [path for path in PACKAGES if len(listed_in(path)) >= FEWEST],
    ids=lambda path: path.parent.relative_to(ROOT).as_posix(),
)
def test_a_list_of_modules_is_complete(package: Path) -> None:
    listed = listed_in(package)

    assert len(listed) == len(set(listed))
    assert set(listed) == modules_beside(package)


@pytest.mark.parametrize("name", LISTING)
def test_the_large_packages_have_a_list(name: str) -> None:
    assert len(listed_in(ROOT / "payme_plugin" / name / "__init__.py")) >= FEWEST
