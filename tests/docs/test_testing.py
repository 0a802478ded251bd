"""The page on testing a client: its file of tests passes, with the fixture of the installed package."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from faults.child_process import without_coverage
from tests.docs.conftest import ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "docs/testing.md"


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    assert "paymego" in {each.name for each in entry_points(group="pytest11")}, "install the project: pip install -e ."
    (example,) = (block.text for block in blocks(PAGE) if block.language == "python")
    (tmp_path / "test_shop.py").write_text(example, encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))

    ended = subprocess.run(  # noqa: S603 - our own page
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", str(tmp_path)],
        cwd=tmp_path,
        env=without_coverage({**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""}),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert (ended.returncode, example.count("\ndef test_")) == (0, 6), ended.stdout
