"""What is made from a source is up to date: the tables in the docs, the compiled catalogues."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def generate(docs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, str(docs / "generate.py"), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_everything_that_is_made_is_up_to_date() -> None:
    checked = generate(ROOT / "docs", "--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_page_out_of_date_is_named_and_mended(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs)
    for readme in ROOT.glob("README*.md"):
        shutil.copy(readme, tmp_path)
    page = docs / "settings.md"
    right = page.read_text(encoding="utf-8")
    page.write_text(right.replace("300000", "300001"), encoding="utf-8")
    checked = generate(docs, "--check")
    assert (checked.returncode, checked.stdout) == (1, f"{page}\n")
    assert generate(docs).returncode == 0
    assert page.read_text(encoding="utf-8") == right
