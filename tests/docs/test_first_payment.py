"""The tutorial, typed into a shell line by line against a sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from faults.child_process import without_coverage
from tests.docs.conftest import blocks

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox

PAGE = "docs/first-payment.md"


def test_the_lines_of_the_tutorial_do_what_it_says(sandbox: Sandbox, tmp_path: Path) -> None:
    lines = "".join(block.text for block in blocks(PAGE) if block.language == "sh")
    (exports,) = (line for block in blocks(PAGE) for line in block.text.splitlines() if line.startswith("export"))
    names = dict(word.split("=") for word in exports.split()[2:])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    ended = subprocess.run(  # noqa: S603 - our own page
        ["bash", "-eu", "-c", lines.replace(":8765", f":{sandbox.port}")],  # noqa: S607
        cwd=tmp_path,
        env=without_coverage({**os.environ, **names, "PATH": path}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    last = ended.stdout.splitlines()[-3:]
    assert [line.split()[2:-1] for line in last] == [
        ["1", "000.00", "PAID"],
        ["30", "000.00", "PAID"],
        ["15", "000.00", "REVERSED"],
    ]
    assert "REVERSED" in ended.stdout
    assert "PAYING" in ended.stdout
    assert sandbox.held() == 3_100_000
