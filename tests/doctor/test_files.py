"""The checks of real files: settings, modes, disk, template."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.full_disk import full_disk
from payme_plugin.doctor import Check, Level
from payme_plugin.doctor.files import look_at_disk
from payme_plugin.doctor.server import SERVER_CHECKS
from tests.command.conftest import KEY
from tests.doctor.conftest import examined, finding, findings, unchecked

if TYPE_CHECKING:
    from pathlib import Path

    from tests.doctor.conftest import DoctorTill


def test_each_fault_and_warning_of_the_settings_is_a_finding_and_what_needs_settings_is_unchecked(
    till: DoctorTill,
) -> None:
    till.configure(payDuration="ten", payDuratoin=10)
    report = examined(till)
    duration, unknown = findings(report, Check.SETTINGS)

    assert (duration.level, unknown.level) == (Level.FAULT, Level.WARNING)
    assert "payDuration on line 3 of " in str(duration.text)
    assert "payDuration" in str(unknown.text).partition("payDuratoin")[2]
    assert str(till.conf) in str(duration.remedy)
    assert unchecked(report) == dict.fromkeys((Check.SLIPS, *SERVER_CHECKS), "the settings can't be used")
    assert till.sandbox.requests == ()


@pytest.mark.parametrize(
    ("changed", "levels"),
    [
        ({"earlyPolling": 1}, [Level.OK, Level.OK]),
        ({"earlyPolling": 1, "payDuratoin": 10}, [Level.WARNING, Level.OK]),
        ({"earlyPolling": 0}, [Level.OK]),
    ],
)
def test_early_polling_is_told_because_it_departs_from_the_module_before(
    till: DoctorTill, changed: dict[str, object], levels: list[Level]
) -> None:
    till.configure(**changed)
    found = findings(examined(till), Check.SETTINGS)

    assert [each.level for each in found] == levels
    assert [each for each in found if "earlyPolling is on" in str(each.text)] == found[1:]


def test_without_settings_and_a_journal_the_rest_is_checked_and_nothing_is_made(till: DoctorTill) -> None:
    till.conf.unlink()
    report = examined(till)

    assert finding(report, Check.SETTINGS).level is Level.FAULT
    assert str(till.conf) in str(finding(report, Check.SETTINGS).text)
    assert finding(report, Check.JOURNAL).level is Level.OK
    assert "There is no journal" in str(finding(report, Check.JOURNAL).text)
    assert not till.folder.exists()


@pytest.mark.parametrize(
    ("has_key_file", "frequency", "named"),
    [(False, "1000", ["conf"]), (True, "1000", ["key"]), (True, "often", ["conf", "key"])],
    ids=["the key in the settings", "the key in a file", "broken settings"],
)
def test_of_files_that_others_can_read_those_that_hold_the_key_are_named(
    till: DoctorTill, has_key_file: bool, frequency: str, named: list[str]
) -> None:
    files = {"conf": till.conf, "key": till.conf.with_name("key")}
    files["key"].write_text(KEY, encoding="utf-8")
    till.configure(frequency=frequency)
    if has_key_file:
        text = till.conf.read_text(encoding="utf-8").replace(f'posKey = "{KEY}"', f"posKeyFile = {files['key']}")
        till.conf.write_text(text, encoding="utf-8")
    for file in files.values():
        file.chmod(0o604)
    report = examined(till)

    assert [str(found.remedy) for found in findings(report, Check.MODES)] == [
        f"chmod 0600 {files[name]}" for name in named
    ]
    settings = {found.level for found in findings(report, Check.SETTINGS)}
    assert settings == {Level.FAULT if frequency == "often" else Level.OK}


@pytest.mark.parametrize(
    "secret",
    ['queueUrl = "amqp://till:secret@localhost"', '[Account 5e73]\nurl = "http://localhost"\nposKey = "former"'],
)
def test_settings_with_another_secret_are_named_beside_the_file_of_the_key(till: DoctorTill, secret: str) -> None:
    key = till.conf.with_name("key")
    key.write_text(KEY, encoding="utf-8")
    key.chmod(0o600)
    till.configure()
    text = till.conf.read_text(encoding="utf-8").replace(f'posKey = "{KEY}"', f"posKeyFile = {key}")
    till.conf.write_text(f"{text.rstrip()}\n{secret}\n", encoding="utf-8")
    till.conf.chmod(0o604)

    assert [str(found.remedy) for found in findings(examined(till), Check.MODES)] == [f"chmod 0600 {till.conf}"]


def test_the_trial_of_the_disk_changes_nothing_and_a_folder_that_is_missing_is_not_made(tmp_path: Path) -> None:
    before = tmp_path.stat()
    folder, free_bytes, trouble = look_at_disk(tmp_path / "cash" / "data")
    with full_disk():
        assert look_at_disk(tmp_path)[2] is not None

    assert (folder, trouble) == (tmp_path, None)
    assert free_bytes
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("template", "wanted", "text", "remedy"),
    [
        ("<slip><line>Payme</line></slip>", Level.OK, "{template}", ""),
        ("<slip>\n<lin>a</lin>\n<lin>b</lin>\n</slip>", Level.FAULT, "line 2, column 1", "payme slip check {template}"),
        ("<slip>\n<lin>a</lin>\n<lin>b</lin>\n</slip>", Level.FAULT, "(further faults: 1)", "payme slip check "),
        ('<slip><line when="pay">Payme</line></slip>', Level.WARNING, "cancel, refund", ""),
    ],
)
def test_a_slip_of_each_kind_is_made_with_the_template_of_the_settings(
    till: DoctorTill, template: str, wanted: Level, text: str, remedy: str
) -> None:
    path = till.conf.with_name("payme.xml")
    path.write_text(template, encoding="utf-8")
    till.configure(slipTemplate=path, slipEncoding="cp866")
    found = finding(examined(till), Check.SLIPS)

    assert found.level is wanted
    assert text.format(template=path) in str(found.text)
    assert remedy.format(template=path) in str(found.remedy)
