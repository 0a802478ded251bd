"""The metadata of an installation: names, versions, entry points and requirements."""

from __future__ import annotations

import re
from email.parser import Parser
from importlib.metadata import distribution, entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import payme_plugin.plugin
from tests.package.conftest import ROOT

if TYPE_CHECKING:
    import zipfile
    from email.message import Message

pytestmark = pytest.mark.floor

CORE = {"pluggy", "urllib3", "defusedxml", "xmlschema", "click"}


@pytest.fixture
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = [each for each in wheel.namelist() if each.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def test_every_place_says_the_same_version(metadata: Message) -> None:
    project = re.search(r'^version = "([^"]+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)

    assert project is not None
    assert metadata["Version"] == version("payme-plugin") == project[1]


def test_a_till_finds_the_plugin_by_its_entry_point() -> None:
    (found,) = [each for each in entry_points(group="pos") if each.name == "payme"]

    assert found.load() is payme_plugin.plugin.plugin


def test_pyinstaller_finds_the_hooks() -> None:
    (found,) = [each for each in entry_points(group="pyinstaller40") if each.module.startswith("payme_plugin.")]

    (folder,) = found.load()()
    assert {path.stem for path in Path(folder).glob("hook-*.py")} == {
        "hook-hookspecs",
        "hook-payme_plugin",
        "hook-slips",
    }


def test_the_wheel_declares_the_entry_points_that_are_installed(wheel: zipfile.ZipFile) -> None:
    (name,) = [each for each in wheel.namelist() if each.endswith(".dist-info/entry_points.txt")]
    installed = distribution("payme-plugin").read_text("entry_points.txt")

    assert installed is not None
    assert wheel.read(name).decode().split() == installed.split()


def test_it_needs_these_libraries_and_no_other_on_python_3_10_and_newer(metadata: Message) -> None:
    needed = [each for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each]

    assert {re.split(r"[<>=! ]", each)[0] for each in needed} == CORE
    assert metadata["Requires-Python"] == ">=3.10"
