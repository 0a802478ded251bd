"""The README's commands are those that are run, and the changelog speaks of this version."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from tests.docs.conftest import ROOT, blocks, read

if TYPE_CHECKING:
    from pathlib import Path

MARKERS = ["broker", "browser", "dpkg", "simulation", "benchmark"]


def commands(page: str) -> list[str]:
    return [
        line
        for block in blocks(page)
        if block.language == "sh"
        for line in block.text.splitlines()
        if line.startswith("python3 -m venv")
    ]


def test_the_readme_has_two_commands_of_one_line_each() -> None:
    first, second = commands("README.md")

    assert first == "python3 -m venv .venv && .venv/bin/pip install '.[sandbox]' && .venv/bin/payme demo"
    assert second == "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest"


def test_the_technicians_first_command_is_the_same() -> None:
    assert commands("README.ru.md") == commands("README.md")[:1]


def test_the_gates_run_the_commands_of_the_readme_itself() -> None:
    script = read(".ci/run")

    for number in ("1", "2"):
        assert f"readme_command {number}" in script
        function = re.search(r"^readme_command\(\) .*$", script, re.MULTILINE)
        assert function is not None
        found = subprocess.run(  # noqa: S603
            ["bash", "-c", f"{function[0]}\nreadme_command {number}"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.rstrip("\n") == commands("README.md")[int(number) - 1]


@pytest.mark.parametrize("marker", MARKERS)
def test_what_the_second_command_leaves_out_is_told_and_run_by_the_gates(marker: str) -> None:
    assert f"`{marker}`" in read("README.md")
    assert re.search(rf"^(?:\w+=\S+ )?tests {marker}\b", read(".ci/run"), re.MULTILINE)


def test_the_second_command_leaves_out_these_markers_and_no_other() -> None:
    project = read("pyproject.toml")
    left_out = re.search(r'"-m", "not \(([a-z ]+)\)"', project)

    assert left_out is not None
    assert left_out[1].split(" or ") == MARKERS
    assert re.findall(r'^    "([a-z]+): ', project, re.MULTILINE) == MARKERS


def test_the_gates_are_a_script_without_mistakes_of_grammar() -> None:
    subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True)  # noqa: S607
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


@pytest.mark.parametrize("verdict", [0, 3])
@pytest.mark.parametrize(
    "beside",
    ["", "true & beside=$!; wait $beside;", "sleep 600 & beside=$!;"],
    ids=["none", "ended", "going on"],
)
def test_the_gates_clean_up_and_end_with_their_verdict(tmp_path: Path, beside: str, verdict: int) -> None:
    trap = re.search(r"^trap .* EXIT$", read(".ci/run"), re.MULTILINE)
    assert trap is not None
    work = tmp_path / "work"
    work.mkdir()

    ended = subprocess.run(  # noqa: S603
        ["bash", "-c", f"set -euo pipefail; work=$1; {trap[0]}\n{beside} exit {verdict}", "gates", work],  # noqa: S607
        check=False,
    )

    assert ended.returncode == verdict
    assert not work.exists()


def test_the_changelog_begins_with_this_version() -> None:
    newest = re.search(r"^## (\S+?)[, ]", read("CHANGELOG.md"), re.MULTILINE)

    assert newest is not None
    assert newest[1] == version("payme-plugin")
