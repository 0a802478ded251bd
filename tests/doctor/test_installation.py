"""The checks of the installation: one entry point, and complete packages and files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from payme_plugin.doctor import Finding, Level
from payme_plugin.doctor.installation import CATALOGUES, check_data, check_plugin, look_at_data
from payme_plugin.locale import load_catalogue

if TYPE_CHECKING:
    from tests.doctor.conftest import DoctorTill

ROOT = Path(__file__).parents[2]


def plugin() -> Finding:
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


def test_packages_without_the_metadata_of_their_installation_are_not_found_by_the_till(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert plugin().level is Level.OK
    monkeypatch.setattr(sys, "path", [])
    found = plugin()

    assert (found.level, "Install payme-plugin again" in str(found.remedy)) == (Level.FAULT, True)
    assert str(found.text).startswith("The till does not find the plugin: ")


def test_a_plugin_that_cant_be_loaded_is_a_fault_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "payme_plugin.plugin", None)
    found = plugin()

    assert found.level is Level.FAULT
    assert str(found.text).startswith("The till can't load the plugin: can't be imported from 'payme_plugin.plugin")


def test_a_second_installation_is_a_warning_with_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = install(tmp_path, "payme-plugin")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    found = plugin()

    assert (found.level, str(found.text).endswith(f" is used, {other} is not.")) == (Level.WARNING, True)


@pytest.mark.parametrize(
    ("name", "metadata", "is_ours"),
    [("payme-plugin", None, True), ("~ayme-plugin", "not metadata", True), ("good-plugin", "", False)],
)
def test_what_a_damaged_installation_has_left_is_named_and_if_it_is_ours_the_command_that_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, metadata: str | None, is_ours: bool
) -> None:
    left = install(tmp_path, name, metadata=metadata, entry_points=b"" if metadata is None else b"\xff\xfe\x00")
    monkeypatch.syspath_prepend(tmp_path)
    found = plugin()

    assert (found.level, str(found.remedy) == f"rm -r {left}") == (Level.WARNING, is_ours)
    assert is_ours or str(found.text).startswith(
        f"Another plugin is out of service: {left} is a damaged distribution: "
    )


def test_packaged_files_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lost = ("payme_plugin/locale/uz/LC_MESSAGES/payme_plugin.mo", "slips/payme.uz.xml")
    for package in ("payme_plugin", "slips"):
        shutil.copytree(ROOT / package, tmp_path / package)
    for name in lost:
        (tmp_path / name).unlink()
    for name in ("importlib.resources.files", "payme_plugin.doctor.installation.files"):
        monkeypatch.setattr(name, lambda package: tmp_path / package)
    load_catalogue.cache_clear()
    try:
        (found,) = check_data(look_at_data())
    finally:
        load_catalogue.cache_clear()

    assert str(found.text) == f"Packaged files are missing or damaged: {lost[0]}, {lost[1]}."
    assert {file.stem for file in (ROOT / "payme_plugin/locale/en").rglob("*.po")} == set(CATALOGUES)


@pytest.mark.parametrize(
    ("names", "content"), [(("hookspecs",), "PROJECT = 'another'"), (("hookspecs", "slips"), "raise SystemError")]
)
def test_the_command_works_and_names_packages_of_another_program(
    till: DoctorTill, tmp_path: Path, names: tuple[str, ...], content: str
) -> None:
    foreign = tmp_path / "foreign"
    for name in names:
        (foreign / name).mkdir(parents=True)
        (foreign / name / "__init__.py").write_text(content, encoding="utf-8")
    # Not by -c: that would put the current folder before the foreign ones.
    script = foreign / "payme.py"
    script.write_text("from payme_plugin.cli import main; main(prog_name='payme')", encoding="utf-8")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, str(script), *till.options, *arguments],
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "1000"},
            check=False,
            timeout=60,
        )

    doctor, paid, shown = run("doctor"), run("pay", "--amount", "1", "--qr", "1"), run()

    assert (doctor.returncode, doctor.stderr) == (1, "")
    for name in names:
        text = f"The package {name} in {foreign / name} belongs to another program."
        assert f"fault    imports    {text}\n{' ' * 20}-> Remove it from Python's path" in doctor.stdout
        assert f"payme: {text} Remove it from Python's path" in paid.stderr
    assert ("slips      the package slips belongs to another program" in doctor.stdout) is ("slips" in names)
    assert "ok       key        " in doctor.stdout, "all else is checked"
    assert (paid.returncode, paid.stdout, len(paid.stderr.splitlines())) == (1, "", len(names))
    assert (shown.returncode, "  doctor " in shown.stdout) == (0, True)
