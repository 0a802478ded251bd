"""Who may give a setting, and who wins."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from payme_plugin.paymego import codes
from payme_plugin.settings import LINUXCASH, LoadedSettings, Places, Settings, SettingsError, read_settings
from payme_plugin.settings.problems import Origin, SettingFault, Source

pytestmark = pytest.mark.floor

Read = Callable[[Mapping[str, object]], Settings]
Faults = Callable[[Mapping[str, object]], "tuple[SettingFault, ...]"]
Write = Callable[["str | bytes"], Path]


def test_the_till_wins_over_the_file_over_the_default(conf: Write, read: Read) -> None:
    path = conf("[Main]\ntimeout = 20\nfrequency = 5000\n")
    settings = read({"timeout": "30"})
    assert (settings.timeout_s, settings.frequency_ms, settings.keep_days) == (30, 5000, 400)
    assert settings.origins["timeout"] == Origin(Source.HOST)
    assert settings.origins["frequency"] == Origin(Source.FILE, path, 3)
    assert settings.origins["keepDays"] == Origin(Source.DEFAULT)


def test_a_value_that_the_till_overrides_is_not_checked(conf: Write, read: Read) -> None:
    conf("[Main]\ntimeout = ten\n")
    assert read({"timeout": "30"}).timeout_s == 30


def test_the_till_may_quote_its_values_too(read: Read) -> None:
    assert read({"timeout": ' "30" '}).timeout_s == 30


def test_an_artix_till_has_its_files_in_their_places() -> None:
    assert Path("/linuxcash/cash/conf/payme.go.conf") == LINUXCASH.conf_file
    assert Path("/linuxcash/cash/reports/payme.xml") == LINUXCASH.slip_template


def test_the_default_file_may_be_missing(read: Read, places: Places) -> None:
    settings = read({})
    assert settings.conf_file == places.conf_file
    assert settings.origins["confFile"] == Origin(Source.DEFAULT)


def test_the_till_may_name_another_file(tmp_path: Path, conf: Write, read: Read) -> None:
    conf("[Main]\ntimeout = 20\n")
    other = tmp_path / "other.conf"
    other.write_text("[Main]\ntimeout = 40\n")
    settings = read({"confFile": str(other)})
    assert (settings.timeout_s, settings.conf_file) == (40, other)
    assert settings.origins["confFile"] == Origin(Source.HOST)


def test_the_caller_wins_over_the_till(tmp_path: Path, places: Places) -> None:
    other = tmp_path / "other.conf"
    other.write_text("[Main]\ntimeout = 40\n")
    settings = read_settings({"confFile": "/nowhere", "paymentType": "7"}, other, codes, places=places)
    assert settings.timeout_s == 40
    assert settings.origins["confFile"] == Origin(Source.CALLER)


def test_a_named_file_must_be_there(faults: Faults, places: Places, tmp_path: Path) -> None:
    (fault,) = faults({"confFile": str(tmp_path / "none")})
    assert str(fault) == f"in {tmp_path / 'none'}: the file can't be read: No such file or directory."
    with pytest.raises(SettingsError, match="No such file"):
        read_settings({}, tmp_path / "none", codes, places=places)


@pytest.mark.parametrize("name", ["payme.conf", 7, "/a\x00b"])
def test_a_file_is_named_by_a_path_from_the_root(faults: Faults, name: object) -> None:
    (fault,) = faults({"confFile": name})
    assert fault.key == "confFile"


def test_the_file_can_not_name_another(conf: Write, read: Read) -> None:
    path = conf("[Main]\nconfFile = /etc/other\n")
    settings = read({})
    assert [(warning.key, warning.line) for warning in settings.warnings] == [("confFile", 2)]
    assert settings.conf_file == path


def test_a_file_that_can_not_be_read_is_a_fault(places: Places, faults: Faults) -> None:
    os.mkfifo(places.conf_file)
    (fault,) = faults({})
    assert str(fault) == f"in {places.conf_file}: the file can't be read: not a regular file."


def test_a_file_that_is_too_large_is_a_fault(conf: Write, faults: Faults) -> None:
    conf("[Main]\n; " + "x" * 70_000)
    (fault,) = faults({})
    assert "more than 65536 bytes" in str(fault)
    conf("\n" * 1000)
    (fault,) = faults({})
    assert "at most 65536 bytes and 1000 lines, not 1000 and 1001" in str(fault)


def test_the_worst_file_is_told_of_in_a_second(conf: Write, places: Places) -> None:
    conf("[Main]\n" + "".join(f"paymentTypo{'x' * number}=1\n" for number in range(998))[:64_000])
    began = time.process_time()
    assert len(LoadedSettings({}, None, codes, places=places).warnings) > 300
    assert time.process_time() - began < 2


def test_every_setting_is_shown_with_its_origin(conf: Write, places: Places) -> None:
    path = conf("[Main]\npaymentType = 17\n")
    host = {"cancelAcceptedIsDone": "yes", "staleCodes": "-31400"}
    rows = {row.name: row for row in LoadedSettings(host, None, codes, places=places).rows}
    assert (rows["paymentType"].value, str(rows["paymentType"].origin)) == ("17", f"on line 2 of {path}")
    assert rows["cancelAcceptedIsDone"].value == "1"
    assert str(rows["cancelAcceptedIsDone"].origin) == "in the host's settings"
    assert (rows["staleCodes"].value, rows["codePattern"].value) == ("-31400", "[0-9]{6,64}")
    assert str(rows["codePattern"].origin) == "by default"
    assert rows["confFile"].value == str(path)
