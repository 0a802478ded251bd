"""A till that is killed at random moments, beside a server that misbehaves at random, keeps the money right."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 20
"""``python tests/fuzz/run.py --kills 200`` plays more of them by hand."""


@pytest.mark.parametrize("name", ["host.py", "run.py"])
def test_the_fuzz_knows_the_contract_only(name: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse(Path(__file__).with_name(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])

    assert imported <= {*sys.stdlib_module_names, "hookspecs"}


def test_no_buyer_is_charged_without_a_sale_after_20_kills() -> None:
    ran = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(Path(__file__).with_name("run.py")), "--kills", str(KILLS), "--seed", "1"],
        capture_output=True,
        check=False,
        text=True,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.rstrip().endswith("the money is right")
