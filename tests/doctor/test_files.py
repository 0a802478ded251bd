"""The till's files, looked at for real: settings, modes, disk, template; and the plugin's own parts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faults.full_disk import full_disk
from payme_plugin.doctor import Check, Level, Report
from payme_plugin.doctor.files import look_at_disk
from payme_plugin.doctor.installation import CATALOGUES, check_imports, look_at_data
from payme_plugin.locale import load_catalogue
from tests.command.conftest import KEY
from tests.doctor.conftest import finding, findings, level, unchecked

if TYPE_CHECKING:
    from tests.doctor.conftest import Payme, Till

ROOT = Path(__file__).parents[2]


# ---------------------------------------------------------------------------------------------------------------------
# Settings
# ---------------------------------------------------------------------------------------------------------------------


def test_every_fault_and_warning_of_the_settings_is_a_finding_with_its_line(till: Till, payme: Payme) -> None:
    till.configure(payme.url, payDuration="ten", payDuratoin=10)
    duration, unknown = findings(till.examined(), Check.SETTINGS)

    assert (duration.level, unknown.level) == (Level.FAULT, Level.WARNING)
    assert "payDuration on line 7 of " in str(duration.text)
    assert "payDuration" in str(unknown.text).partition("payDuratoin")[2]
    assert str(till.conf) in str(duration.remedy)


def test_a_settings_file_that_is_not_there_is_a_fault(till: Till) -> None:
    report = till.examined()

    assert level(report, Check.SETTINGS) is Level.FAULT
    assert str(till.conf) in str(finding(report, Check.SETTINGS).text)
    assert level(report, Check.JOURNAL) is Level.OK, "the rest is looked at all the same"


def test_without_a_tender_nothing_is_charged(till: Till, payme: Payme) -> None:
    till.configure(payme.url, paymentType=None)
    found = finding(till.examined(), Check.SETTINGS)

    assert found.level is Level.FAULT
    assert "paymentType" in str(found.text)


@pytest.mark.parametrize(("name", "seconds"), [("frequency", 300), ("payDuration", 5000)])
def test_milliseconds_that_look_like_a_mistake_are_a_warning(till: Till, payme: Payme, name: str, seconds: int) -> None:
    till.configure(payme.url, **({"payDuration": 300_000, "frequency": 1000} | {name: seconds}))
    found = finding(till.examined(), Check.SETTINGS)

    assert found.level is Level.WARNING
    assert f"{name} on line " in str(found.text)
    assert "milliseconds" in str(found.text)


def test_codes_that_do_not_prove_that_no_money_moved_are_named(till: Till, payme: Payme) -> None:
    till.configure(payme.url, ignoredErrors="-31400, -31602, -12345")
    warnings = findings(till.examined(), Check.SETTINGS)

    assert {found.level for found in warnings} == {Level.WARNING}
    assert "-31602" in "".join(str(found.text) for found in warnings)
    assert "-31400" not in "".join(str(found.text) for found in warnings)


# ---------------------------------------------------------------------------------------------------------------------
# Modes
# ---------------------------------------------------------------------------------------------------------------------


def test_a_settings_file_that_others_can_read_is_a_warning(till: Till, payme: Payme) -> None:
    till.configure(payme.url)
    till.conf.chmod(0o644)
    report = till.examined()

    found = finding(report, Check.MODES)
    assert (found.level, str(found.remedy)) == (Level.WARNING, f"chmod 0600 {till.conf}")
    assert level(report, Check.SETTINGS) is Level.OK, "told once"


def test_where_the_key_has_a_file_of_its_own_that_file_counts(till: Till, payme: Payme, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(KEY, encoding="utf-8")
    key_file.chmod(0o604)
    till.configure(payme.url, posKey=None, posKeyFile=key_file)
    till.conf.chmod(0o644)

    assert str(finding(till.examined(), Check.MODES).remedy) == f"chmod 0600 {key_file}"


def test_broken_settings_do_not_hide_that_others_can_read_them_and_the_key(
    till: Till, payme: Payme, tmp_path: Path
) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(KEY, encoding="utf-8")
    key_file.chmod(0o604)
    till.configure(payme.url, posKey=None, posKeyFile=key_file, frequency="often")
    till.conf.chmod(0o644)
    report = till.examined()

    assert level(report, Check.SETTINGS) is Level.FAULT
    assert [str(found.remedy) for found in findings(report, Check.MODES)] == [
        f"chmod 0600 {till.conf}",
        f"chmod 0600 {key_file}",
    ]


# ---------------------------------------------------------------------------------------------------------------------
# The disk
# ---------------------------------------------------------------------------------------------------------------------


def test_a_full_disk_stops_payments_and_leaves_no_trace_of_the_trial(till: Till, payme: Payme) -> None:
    till.configure(payme.url)
    till.folder.mkdir()
    with full_disk():
        full = till.examined()
    free = till.examined()

    assert level(full, Check.DISK) is Level.FAULT
    assert "is full" in str(finding(full, Check.DISK).text)
    assert level(full, Check.KEY) is Level.OK, "the rest is looked at all the same"
    assert level(free, Check.DISK) is Level.OK
    assert list(till.folder.iterdir()) == []


def test_the_trial_changes_nothing_in_the_folder(tmp_path: Path) -> None:
    before = tmp_path.stat()
    folder, free_bytes, trouble = look_at_disk(tmp_path)

    assert (folder, trouble) == (tmp_path, None)
    assert free_bytes
    assert tmp_path.stat().st_mtime_ns == before.st_mtime_ns


def test_of_a_folder_that_is_not_there_yet_the_one_above_it_is_looked_at(tmp_path: Path) -> None:
    assert look_at_disk(tmp_path / "cash" / "data")[0] == tmp_path
    assert not (tmp_path / "cash").exists()


# ---------------------------------------------------------------------------------------------------------------------
# Slips
# ---------------------------------------------------------------------------------------------------------------------


def test_the_template_of_the_settings_is_used_for_a_slip_of_each_kind(till: Till, payme: Payme) -> None:
    till.configure(payme.url, slipTemplate=ROOT / "slips" / "payme.en.xml", slipEncoding="cp866")
    found = finding(till.examined(), Check.SLIPS)

    assert found.level is Level.OK
    assert "payme.en.xml" in str(found.text)


def test_a_template_with_mistakes_is_a_fault_with_the_first_place_and_the_command_for_the_rest(
    till: Till, payme: Payme, tmp_path: Path
) -> None:
    template = tmp_path / "payme.xml"
    template.write_text("<slip>\n<lin>Payme</lin>\n<lin>Payme</lin>\n</slip>", encoding="utf-8")
    till.configure(payme.url, slipTemplate=template)
    found = finding(till.examined(), Check.SLIPS)

    assert found.level is Level.FAULT
    assert "line 2, column 1" in str(found.text)
    assert "(further faults: 1)" in str(found.text)
    assert str(found.remedy) == f"payme slip check {template}"


def test_a_template_that_prints_nothing_for_a_refund_is_a_warning(till: Till, payme: Payme, tmp_path: Path) -> None:
    template = tmp_path / "payme.xml"
    template.write_text('<slip><line when="pay">Payme</line></slip>', encoding="utf-8")
    till.configure(payme.url, slipTemplate=template)
    found = finding(till.examined(), Check.SLIPS)

    assert found.level is Level.WARNING, found
    assert "cancel, refund" in str(found.text)


def test_no_remedy_sends_a_technician_to_a_page_that_the_package_does_not_bring(
    till: Till, payme: Payme, tmp_path: Path
) -> None:
    till.configure(payme.url, slipTemplate=tmp_path / "none.xml", ignoredErrors="-12345", timeot="10")
    report = till.examined()
    till.configure(payme.url, slipTemplate=tmp_path / "none.xml", ignoredErrors="-12345")
    report = Report(report.findings + till.examined().findings, ())
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "payme_plugin" / "doctor").glob("*.py"))

    assert report.count(Level.WARNING) > 2
    assert not any(".md" in str(found.text) + str(found.remedy) for found in report.findings)
    assert not re.search(r"\bdocs/|\.md\b", sources)
    (missing,) = {str(found.remedy) for found in findings(report, Check.SETTINGS) if found.level is Level.WARNING}
    assert str(till.conf) in missing


def test_a_template_that_is_not_there_is_told_among_the_settings(till: Till, payme: Payme, tmp_path: Path) -> None:
    till.configure(payme.url, slipTemplate=tmp_path / "none.xml")
    report = till.examined()

    assert "slipTemplate" in str(finding(report, Check.SETTINGS).text)
    assert "the template can't be read" in str(finding(report, Check.SETTINGS).text)
    assert level(report, Check.SETTINGS) is Level.WARNING


# ---------------------------------------------------------------------------------------------------------------------
# Parts
# ---------------------------------------------------------------------------------------------------------------------


def test_the_packages_of_this_checkout_are_ours() -> None:
    assert [str(each.text) for each in check_imports()] == [
        f"hookspecs belongs to this installation: {ROOT / 'hookspecs'}.",
        f"slips belongs to this installation: {ROOT / 'slips'}.",
    ]


@pytest.mark.parametrize(("mark", "value"), [("PROJECT", "another"), ("API_VERSION", 1)])
def test_a_contract_of_another_project_or_version_is_not_ours(
    monkeypatch: pytest.MonkeyPatch, mark: str, value: object
) -> None:
    monkeypatch.setattr(f"hookspecs.{mark}", value)

    assert [found.level for found in check_imports()] == [Level.FAULT, Level.OK]


def test_every_packaged_file_is_there() -> None:
    assert {file.stem for file in (ROOT / "payme_plugin/locale/en").rglob("*.po")} == set(CATALOGUES)
    assert look_at_data() == ()


@pytest.mark.parametrize("lost", ["payme_plugin/locale/uz/LC_MESSAGES/payme_plugin.mo", "slips/payme.uz.xml"])
def test_a_packaged_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: str) -> None:
    for package in ("payme_plugin", "slips"):
        shutil.copytree(ROOT / package, tmp_path / package)
    (tmp_path / lost).unlink()
    for name in ("importlib.resources.files", "payme_plugin.doctor.installation.files"):
        monkeypatch.setattr(name, lambda package: tmp_path / package)
    load_catalogue.cache_clear()
    try:
        assert look_at_data() == (lost,)
    finally:
        load_catalogue.cache_clear()


_EXAMINED = """
import json, sys
from pathlib import Path
from payme_plugin.clock import SystemClock
from payme_plugin.doctor import examine
report = examine(Path(sys.argv[1]), Path(sys.argv[2]), SystemClock())
print(json.dumps([[each.check.value, each.level.value, str(each.text)] for each in report.findings]))
print(json.dumps([[each.check.value, str(each.reason)] for each in report.unchecked]))
"""


@pytest.mark.parametrize("content", ["PROJECT = 'another'", "raise SystemError('broken')", ""])
def test_another_programs_packages_do_not_keep_the_doctor_from_telling_so(
    till: Till, payme: Payme, tmp_path: Path, content: str
) -> None:
    for name in ("hookspecs", "slips"):
        (tmp_path / "foreign" / name).mkdir(parents=True)
        (tmp_path / "foreign" / name / "__init__.py").write_text(content, encoding="utf-8")
    till.configure(payme.url)
    # Not by -c: that would put the current folder before the foreign ones.
    script = tmp_path / "foreign" / "examined.py"
    script.write_text(_EXAMINED, encoding="utf-8")
    ended = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(script), str(till.conf), str(till.folder)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=60,
    )
    told, left = map(json.loads, ended.stdout.splitlines())

    imports = [(how, text) for name, how, text in told if name == "imports"]
    assert [how for how, _ in imports] == ["fault", "fault"]
    assert all(str(tmp_path / "foreign") in text for _, text in imports)
    assert ["slips", "the package slips belongs to another program"] in left
    assert ["key", "ok", "Payme accepts the key."] in told


@pytest.mark.parametrize(
    ("names", "content"),
    [
        (("hookspecs",), "PROJECT = 'another'"),
        (("slips",), "raise SystemError('broken')"),
        (("hookspecs", "slips"), ""),
    ],
)
def test_the_command_itself_speaks_where_a_package_is_another_programs(
    till: Till, payme: Payme, tmp_path: Path, names: tuple[str, ...], content: str
) -> None:
    foreign = tmp_path / "foreign"
    for name in names:
        (foreign / name).mkdir(parents=True)
        (foreign / name / "__init__.py").write_text(content, encoding="utf-8")
    till.configure(payme.url)
    script = foreign / "payme.py"
    script.write_text("from payme_plugin.cli import main; main(prog_name='payme')", encoding="utf-8")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, str(script), "--conf", str(till.conf), "--data-dir", str(till.folder), *arguments],
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "1000"},
            check=False,
            timeout=60,
        )

    looked, paid = run("doctor"), run("pay", "--amount", "1", "--qr", "1")

    assert (looked.returncode, looked.stderr) == (1, "")
    for name in names:
        said = f"The package {name} in {foreign / name} belongs to another program."
        assert f"fault    imports    {said}\n{' ' * 20}-> Remove it from Python's path" in looked.stdout
        if "hookspecs" in names:  # the till itself needs it; of slips only the plugin does
            assert f"payme: {said} Remove it from Python's path" in paid.stderr
    assert "ok       key        " in looked.stdout, "all else is looked at"
    assert (paid.returncode, paid.stdout, len(paid.stderr.splitlines())) == (1, "", len(names))
    assert "  doctor " in run("--help").stdout
    assert (run().returncode, run().stdout) == (0, run("--help").stdout)
    assert run("--version").stdout.startswith("payme ")


def test_what_can_not_be_looked_at_is_told_with_the_reason(till: Till) -> None:
    left = unchecked(till.examined())

    assert left[Check.SLIPS] == left[Check.NAME] == "the settings can't be used"
