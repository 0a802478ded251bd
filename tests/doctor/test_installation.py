"""The installation: the till finds the plugin, once, and nothing of another installation is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from payme_plugin.doctor import Check, Finding, Level
from payme_plugin.doctor.installation import check_data, check_plugin

ROOT = Path(__file__).parents[2]


def found_by_the_till() -> Finding:
    (found,) = check_plugin()
    assert isinstance(found, Finding)
    return found


def install(folder: Path, name: str, *, metadata: str | None = "", entry_points: bytes = b"") -> Path:
    """Write the metadata of an installed distribution."""
    info = folder / f"{name.replace('-', '_')}-0.9.dist-info"
    info.mkdir(parents=True)
    if metadata is not None:
        (info / "METADATA").write_text(metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.9\n")
    if entry_points:
        (info / "entry_points.txt").write_bytes(entry_points)
    return info


def test_the_till_finds_the_plugin_of_this_installation() -> None:
    found = found_by_the_till()

    assert found.level is Level.OK
    assert str(found.text).startswith("The till finds the plugin: /")


_LOOK = """
from payme_plugin.doctor.installation import check_plugin
for each in check_plugin():
    print(each.level.value, each.text, each.remedy)
"""


def test_packages_without_the_metadata_of_their_installation_are_not_found_by_the_till(tmp_path: Path) -> None:
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for place in map(Path, sys.path):
        for found in place.iterdir() if place.name == "site-packages" else ():
            if not found.name.startswith(("payme_plugin", "_payme_plugin", "__editable__")) and found.suffix != ".pth":
                (libraries / found.name).symlink_to(found)
    said = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-S", "-c", _LOOK],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(libraries)])},
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )

    assert said.stdout.startswith("fault The till does not find the plugin: ")
    assert "Install payme-plugin again" in said.stdout


def test_a_plugin_that_can_not_be_loaded_is_a_fault_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "payme_plugin.plugin", None)
    found = found_by_the_till()

    assert found.level is Level.FAULT
    assert str(found.text).startswith("The till can't load the plugin: can't be imported from 'payme_plugin.plugin")


def test_a_second_installation_is_a_warning_with_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = install(tmp_path, "payme-plugin")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    found = found_by_the_till()

    assert found.level is Level.WARNING
    assert str(found.text).endswith(f" is used, {other} is not.")


@pytest.mark.parametrize("name", ["payme-plugin", "~ayme-plugin"])
@pytest.mark.parametrize("metadata", [None, "not metadata"], ids=["empty", "damaged"])
def test_what_an_installation_of_ours_has_left_is_a_warning_with_the_command_that_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, metadata: str | None
) -> None:
    left = install(tmp_path, name, metadata=metadata, entry_points=b"\xff\xfe\x00" if metadata else b"")
    monkeypatch.syspath_prepend(tmp_path)
    found = found_by_the_till()

    assert (found.level, str(found.remedy)) == (Level.WARNING, f"rm -r {left}")


def test_a_damaged_distribution_that_is_not_ours_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = install(tmp_path, "good-plugin", entry_points=b"\xff\xfe\x00")
    monkeypatch.syspath_prepend(tmp_path)
    found = found_by_the_till()

    assert (found.check, found.level) == (Check.PLUGIN, Level.WARNING)
    assert str(found.text).startswith(f"Another plugin is out of service: {left} is a damaged distribution: ")


def test_every_lost_file_is_named() -> None:
    (found,) = check_data(("slips/payme.xml", "slips/slip.xsd"))

    assert (found.level, str(found.text)) == (
        Level.FAULT,
        "Packaged files are missing or damaged: slips/payme.xml, slips/slip.xsd.",
    )
