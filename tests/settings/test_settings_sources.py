"""Who may give a setting, and who wins."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from payme_plugin.paymego import codes
from payme_plugin.settings import (
    LINUXCASH,
    Origin,
    Places,
    SettingFault,
    Settings,
    SettingsError,
    Source,
    look_over_settings,
    payment_type_of,
    read_settings,
)

pytestmark = pytest.mark.floor

Read = Callable[[Mapping[str, object]], Settings]
Faults = Callable[[Mapping[str, object]], "tuple[SettingFault, ...]"]
Write = Callable[["str | bytes"], Path]


def test_the_till_wins_over_the_file_over_the_default(conf: Write, read: Read) -> None:
    path = conf("[Main]\ntimeout = 20\nfrequency = 500\n")
    settings = read({"timeout": "30"})
    assert (settings.timeout_s, settings.frequency_ms, settings.keep_days) == (30, 500, 400)
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
    settings = read_settings({"confFile": "/nowhere"}, other, codes, places=places)
    assert settings.timeout_s == 40
    assert settings.origins["confFile"] == Origin(Source.CALLER)


def test_a_named_file_must_be_there(faults: Faults, places: Places, tmp_path: Path) -> None:
    (fault,) = faults({"confFile": str(tmp_path / "none")})
    assert str(fault) == f"In {tmp_path / 'none'}: it can't be read: No such file or directory."
    with pytest.raises(SettingsError, match="No such file"):
        read_settings({}, tmp_path / "none", codes, places=places)


@pytest.mark.parametrize("name", ["payme.conf", 7, "/a\x00b"])
def test_a_file_is_named_by_a_path_from_the_root(faults: Faults, name: object) -> None:
    (fault,) = faults({"confFile": name})
    assert fault.key == "confFile"


def test_the_file_can_not_name_another(conf: Write, faults: Faults) -> None:
    conf("[Main]\nconfFile = /etc/other\n")
    (fault,) = faults({})
    assert (fault.key, fault.line) == ("confFile", 2)


@pytest.mark.parametrize("line", ["KCRWkzqPxxUeWBHNMAOtR", "KCRWkzqPxxUeWBHNMAOtR=", "KCRWkzqPxxUeWBHNMAOtR=x"])
@pytest.mark.parametrize("section", ["[Main]", "[Other]", ""])
def test_of_a_key_that_was_pasted_without_its_name_only_the_line_is_told(
    conf: Write, faults: Faults, section: str, line: str
) -> None:
    conf(f"{section}\n{line}\n{line}\n")
    told = faults({})
    assert {2} <= {fault.line for fault in told}
    for fault in told:
        assert "KCRW" not in str(fault) + fault.short + repr(fault)


@pytest.mark.parametrize("name", ["Timeouts", "POSID", "colour", "shopColour", "shop_colour", "payDuratoin"])
def test_a_name_of_a_file_that_is_misspelt_or_made_of_words_is_told(conf: Write, faults: Faults, name: str) -> None:
    conf(f"[Main]\n{name} = 1\n")
    assert [(fault.key, fault.line) for fault in faults({})] == [(name, 2)]


@pytest.mark.parametrize("name", ["posKeyKCRWkzqP", "KCRW", "qWeRtYuIoP", "kCRWkzqp", "abc4", "k" * 41])
def test_a_name_that_may_be_a_piece_of_the_key_is_told_by_its_length(conf: Write, faults: Faults, name: str) -> None:
    conf(f"[Main]\n{name} = 1\n")
    assert [(fault.key, fault.line) for fault in faults({})] == [(f"a name of {len(name)} characters", 2)]


def test_a_name_that_the_till_gives_is_its_programs_and_told_whatever_it_is(faults: Faults) -> None:
    assert [fault.key for fault in faults({"typo": "1"})] == ["typo"]


def test_a_file_that_can_not_be_read_is_a_fault(places: Places, faults: Faults) -> None:
    os.mkfifo(places.conf_file)
    (fault,) = faults({})
    assert str(fault) == f"In {places.conf_file}: it can't be read: not a regular file."


def test_a_file_that_is_too_large_is_a_fault(conf: Write, faults: Faults) -> None:
    conf("[Main]\n; " + "x" * 70_000)
    (fault,) = faults({})
    assert "more than 65536 bytes" in str(fault)
    conf("\n" * 1000)
    (fault,) = faults({})
    assert "it has 1001 lines; allowed are 1000" in str(fault)


def test_the_worst_file_is_told_of_in_a_second(conf: Write, faults: Faults) -> None:
    conf("[Main]\n" + "".join(f"paymentTypo{'x' * number}=1\n" for number in range(998))[:64_000])
    began = time.process_time()
    assert len(faults({})) > 300
    assert time.process_time() - began < 2


def test_the_tenders_number_is_read_where_all_else_is_broken(conf: Write, places: Places) -> None:
    conf("[Main]\nnonsense\ntimeout = ten\npaymentType = 17\n")
    assert payment_type_of({}, None, places=places) == 17
    assert payment_type_of({"paymentType": "18", "frequency": "x"}, None, places=places) == 18
    assert payment_type_of({"paymentType": "x"}, None, places=places) is None
    assert payment_type_of({"paymentType": 18}, None, places=places) == 17
    assert payment_type_of({"confFile": "/nowhere"}, None, places=places) is None


def test_every_setting_is_shown_with_its_origin(conf: Write, places: Places) -> None:
    path = conf("[Main]\npaymentType = 17\n")
    host = {"cancelAcceptedIsDone": "yes", "staleCodes": "-31400"}
    rows = {row.name: row for row in look_over_settings(host, None, codes, places=places).rows}
    assert (rows["paymentType"].value, str(rows["paymentType"].origin)) == ("17", f"on line 2 of {path}")
    assert rows["cancelAcceptedIsDone"].value == "1"
    assert str(rows["cancelAcceptedIsDone"].origin) == "in the till's settings"
    assert (rows["staleCodes"].value, rows["codePattern"].value) == ("-31400", "[0-9]{6,64}")
    assert str(rows["codePattern"].origin) == "by default"
    assert rows["confFile"].value == str(path)
