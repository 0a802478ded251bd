"""The sources of a setting, and which of them takes precedence."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from payme_plugin.paymego import codes
from payme_plugin.settings import LINUXCASH, LoadedSettings, Places, read_settings
from payme_plugin.settings.problems import Origin, Source

if TYPE_CHECKING:
    from tests.settings.conftest import Faults, Load, Read, Write

pytestmark = pytest.mark.floor


def test_the_host_wins_over_the_file_over_the_default_each_shown_so(conf: Write, read: Read, load: Load) -> None:
    path = conf("[Main]\ntimeout = ten\nfrequency = 5000\n")  # what the host overrides is not checked
    host = {"paymentType": "7", "timeout": ' "30" ', "cancelAcceptedIsDone": "yes"}
    settings = read(host)
    assert (settings.timeout_s, settings.frequency_ms, settings.keep_days) == (30, 5000, 400)
    assert settings.origins["timeout"] == Origin(Source.HOST)
    assert settings.origins["frequency"] == Origin(Source.FILE, path, 3)
    assert settings.origins["keepDays"] == settings.origins["confFile"] == Origin(Source.DEFAULT)
    rows = {row.name: (row.value, str(row.origin)) for row in load(host).rows}
    assert rows["frequency"] == ("5000", f"on line 3 of {path}")
    assert rows["cancelAcceptedIsDone"] == ("1", "in the host's settings")
    assert rows["codePattern"] == ("[0-9]{6,64}", "by default")
    assert rows["confFile"][0] == str(path)


@pytest.mark.parametrize(
    ("given", "is_early"),
    [
        ({}, True),
        ({"frequency": "10000"}, False),
        ({"frequency": "10000", "earlyPolling": "1"}, True),
        ({"earlyPolling": "0"}, False),
        ({"frequency": "10000", "earlyPolling": ""}, False),
    ],
)
def test_early_polling_is_on_unless_a_frequency_is_set_and_can_be_set_itself(
    read: Read, load: Load, given: dict[str, str], *, is_early: bool
) -> None:
    assert read(given).early_polling is is_early
    rows = {row.name: row.value for row in load({"paymentType": "7"} | given).rows}
    assert rows["earlyPolling"] == str(int(is_early))


def test_an_artix_till_has_its_files_in_their_places() -> None:
    folder = Path("/linuxcash/cash")
    assert Places(folder / "conf/payme.go.conf", folder / "reports/payme.xml") == LINUXCASH


def test_the_host_or_the_caller_may_name_another_file(tmp_path: Path, places: Places, conf: Write, read: Read) -> None:
    assert read({}).conf_file == places.conf_file
    conf("[Main]\ntimeout = 20\n")
    other = tmp_path / "other.conf"
    other.write_text("[Main]\ntimeout = 40\n")
    by_host = read({"confFile": str(other)})
    by_caller = read_settings({"confFile": "/nowhere", "paymentType": "7"}, other, codes, places=places)
    for settings, source in ((by_host, Source.HOST), (by_caller, Source.CALLER)):
        assert (settings.timeout_s, settings.conf_file) == (40, other)
        assert settings.origins["confFile"] == Origin(source)


def test_a_named_file_must_be_there(faults: Faults, places: Places, tmp_path: Path) -> None:
    reason = f"in {tmp_path / 'none'}: the file can't be read: No such file or directory."
    by_caller = LoadedSettings({}, tmp_path / "none", codes, places=places).faults
    for found in (faults({"confFile": str(tmp_path / "none")}), by_caller):
        assert [str(fault) for fault in found] == [reason]


@pytest.mark.parametrize("name", ["payme.conf", 7, "/a\x00b"])
def test_a_file_is_named_by_a_path_from_the_root(faults: Faults, name: object) -> None:
    assert [fault.key for fault in faults({"confFile": name})] == ["confFile"]


def test_the_file_can_not_name_another(conf: Write, read: Read) -> None:
    path = conf("[Main]\nconfFile = /etc/other\n")
    settings = read({})
    assert [(warning.key, warning.line) for warning in settings.warnings] == [("confFile", 2)]
    assert settings.conf_file == path


def test_a_file_that_is_not_one_or_is_too_large_is_a_fault(conf: Write, faults: Faults) -> None:
    for text, reason in (
        ("[Main]\n; " + "x" * 70_000, "more than 65536 bytes"),
        ("\n" * 1000, "at most 65536 bytes and 1000 lines, not 1000 and 1001"),
    ):
        path = conf(text)
        (fault,) = faults({})
        assert reason in str(fault)
    path.unlink()
    os.mkfifo(path)
    assert [str(fault) for fault in faults({})] == [f"in {path}: the file can't be read: not a regular file."]


def test_the_worst_file_takes_no_longer_than_a_second(conf: Write, load: Load) -> None:
    conf("[Main]\n" + "".join(f"paymentTypo{'x' * number}=1\n" for number in range(998))[:64_000])
    began = time.process_time()
    assert len(load({}).warnings) > 300
    assert time.process_time() - began < 2
