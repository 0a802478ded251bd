"""What stops no sale but may not be meant so, and what did and now stops it: names, comments, quotes, times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from payme_plugin.paymego import codes
from payme_plugin.settings import LoadedSettings, Places, Settings, return_warnings

if TYPE_CHECKING:
    from payme_plugin.settings.problems import SettingFault

pytestmark = pytest.mark.floor

Read = Callable[[Mapping[str, object]], Settings]
Load = Callable[[Mapping[str, object]], LoadedSettings]
Faults = Callable[[Mapping[str, object]], "tuple[SettingFault, ...]"]
Write = Callable[["str | bytes"], Path]

KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"


def warned(settings: Settings) -> list[tuple[str | None, int | None]]:
    return [(warning.key, warning.line) for warning in settings.warnings]


# ---------------------------------------------------------------------------------------------------------------------
# The tender
# ---------------------------------------------------------------------------------------------------------------------


def test_without_a_tender_there_is_one_fault_that_says_what_to_set(conf: Write, places: Places) -> None:
    path = conf("[Main]\ntimeout = 20\n")
    (fault,) = LoadedSettings({}, None, codes, places=places).faults
    assert (fault.key, fault.short) == ("paymentType", "paymentType (payme.go.conf)")
    assert (
        str(fault)
        == f"paymentType in {path}: it must be set to the number of the tender for Payme, as the POS knows it."
    )


def test_a_tender_that_can_not_be_read_is_one_fault(conf: Write, places: Places) -> None:
    for line in ('paymentType = "7', "paymentType = seven", "paymentType ="):
        conf(f"[Main]\n{line}\n")
        assert [(f.key, f.line) for f in LoadedSettings({}, None, codes, places=places).faults] == [("paymentType", 2)]


# ---------------------------------------------------------------------------------------------------------------------
# Names
# ---------------------------------------------------------------------------------------------------------------------


def test_an_unknown_name_has_no_effect_and_the_nearest_known_one_is_named(conf: Write, read: Read) -> None:
    conf("[Main]\npaymentTipe = 3\nposkey = canary\n[Man]\ntimeout = ten\n")
    settings = read({"Timeout": "3", "zzzz": "3"})
    first, second, section, host, far = map(str, settings.warnings)
    assert warned(settings) == [("paymentTipe", 2), ("poskey", 3), ("[Man]", 4), ("Timeout", None), ("zzzz", None)]
    assert "no effect; the nearest known name is paymentType." in first
    assert "the nearest known name is posKey." in second
    assert "canary" not in second
    assert "the nearest known name is Main." in section
    assert "the nearest known name is timeout." in host
    assert "payme settings show lists all settings." in far
    assert settings.timeout_s == 10


@pytest.mark.parametrize(
    "name", ["Timeouts", "POSID", "colour", "shopColour", "shop_colour", "payDuratoin", "url2", "pos-id", "time out"]
)
def test_a_name_that_is_misspelt_or_made_of_words_is_shown(conf: Write, read: Read, name: str) -> None:
    conf(f"[Main]\n{name} = 1\n")
    assert warned(read({})) == [(name, 2)]


@pytest.mark.parametrize("name", ["posKeyKCRWkzqP", "KCRW", "qWeRtYuIoP", "kCRWkzqp", "a4bc", "k" * 41, "a&b", "ключ"])
def test_of_a_name_that_may_be_a_piece_of_the_key_only_the_line_is_shown(conf: Write, read: Read, name: str) -> None:
    conf(f"[Main]\n{name} = 1\n")
    settings = read({})
    assert warned(settings) == [(None, 2)]
    assert "hidden, because it may be part of the key" in str(settings.warnings[0])
    assert name not in f"{settings.warnings[0]}{settings.warnings[0].short}{settings.warnings!r}"


@pytest.mark.parametrize("line", ["KCRWkzqPxxUeWBHNMAOtR", "KCRWkzqPxxUeWBHNMAOtR=", "KCRWkzqPxxUeWBHNMAOtR=x"])
@pytest.mark.parametrize("section", ["[Main]", "[KCRWkzqPxxUeWBHNMAOtR]", "[Account a]", ""])
def test_of_a_key_that_was_pasted_without_its_name_only_the_line_is_told(
    conf: Write, load: Load, section: str, line: str
) -> None:
    conf(f"{section}\n{line}\n{line}\n")
    loaded = load({})
    told = [*loaded.faults, *loaded.warnings]
    assert {problem.line for problem in told} & {1, 2}
    for problem in told:
        assert "KCRW" not in str(problem) + problem.short + repr(problem)


# ---------------------------------------------------------------------------------------------------------------------
# Comments behind a value, and other quotation marks
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "shown", "written"),
    [
        ("codePattern = [0-9]{6,64} ; digits", "[0-9]{6,64} ; digits", 'codePattern = "[0-9]{6,64}"'),
        ("account = order_id={till}\t# a", "order_id={till}\\t# a", 'account = "order_id={till}"'),
        ("posId = 65aa ;", "65aa ;", 'posId = "65aa"'),
        (f"posKey = {KEY} ; key", "***", 'posKey = "***"'),
        (f"posKey = '{KEY}'", "***", 'posKey = "***"'),
        (f"posKey = «{KEY}»", "***", 'posKey = "***"'),
        ("posId = “65aa”", "“65aa”", 'posId = "65aa"'),
    ],
)
def test_what_is_taken_into_a_value_is_a_warning_that_shows_how_to_write_it(
    conf: Write, load: Load, line: str, shown: str, written: str
) -> None:
    conf(f"[Main]\npaymentType = 7\n{line}\n")
    (warning,) = load({}).warnings
    assert (warning.key, warning.line) == (line.partition(" ")[0], 3)
    assert f'is "{shown}": ' in str(warning)
    assert f"write {written}" in str(warning)
    assert "KCR" not in f"{warning}{warning!r}{warning.short}"


def test_a_comment_that_makes_a_value_wrong_is_named_beside_the_fault(conf: Write, load: Load) -> None:
    conf("[Main]\npaymentType = 7\ntimeout = 5 ; seconds\n")
    loaded = load({})
    assert [fault.key for fault in loaded.faults] == ["timeout"]
    assert 'write timeout = "5"' in str(loaded.warnings[0])


@pytest.mark.parametrize("value", ['"a ; b"', "\"'a'\"", "a;b", "a#b", "'a", "«a", "; a"])
def test_double_quotes_say_that_it_is_meant_so(conf: Write, read: Read, value: str) -> None:
    conf(f"[Main]\nposKey = {value}\n")
    assert read({}).pos_key.reveal() == value.strip('"')
    assert warned(read({})) == []


# ---------------------------------------------------------------------------------------------------------------------
# Milliseconds
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), [("frequency", "10"), ("frequency", "99"), ("payDuration", "300")])
def test_seconds_in_place_of_milliseconds_are_a_fault(faults: Faults, name: str, value: str) -> None:
    (fault,) = faults({name: value})
    assert fault.key == name
    assert "milliseconds" in str(fault)
    assert "10 seconds is 10000" in str(fault)


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ({"frequency": "999"}, ["frequency"]),
        ({"frequency": "1000"}, []),
        ({"payDuration": "9999", "frequency": "1000", "timeout": "9"}, ["payDuration"]),
        ({"payDuration": "10000"}, []),
        ({"payDuration": "10000", "frequency": "10001"}, ["frequency"]),
        ({"payDuration": "10000", "timeout": "11"}, ["timeout"]),
    ],
)
def test_times_that_can_hardly_be_meant_are_warnings(read: Read, given: dict[str, str], keys: list[str]) -> None:
    assert [warning.key for warning in read(given).warnings] == keys


# ---------------------------------------------------------------------------------------------------------------------
# Payments that wait for their return
# ---------------------------------------------------------------------------------------------------------------------


def test_payments_that_these_settings_can_not_return_are_warnings(conf: Write, read: Read) -> None:
    conf("[Main]\nposId = new\nurl = http://localhost:81\n[Account old]\nurl = https://old\nposKey = k\n")
    here = ("new", "HTTP://LOCALHOST./other")
    assert return_warnings(read({}), [here, ("old", "https://elsewhere/api")]) == []
    lost, moved = return_warnings(read({}), [here, ("gone", "https://gone/api"), ("new", "https://before/api")])
    assert (lost.key, moved.key) == ("posId", "url")
    assert "[Account gone]" in str(lost)
    assert "another host, before;" in str(moved)


# ---------------------------------------------------------------------------------------------------------------------
# Languages
# ---------------------------------------------------------------------------------------------------------------------


def test_a_problem_is_told_in_the_technicians_language(conf: Write, load: Load) -> None:
    path = conf("[Main]\npaymentType = 7\nfrequency = 10\n")
    (fault,) = load({}).faults
    assert fault.message.text("ru") == (
        f"frequency в строке 3 файла {path}, значение «10»: "
        "укажите целое число миллисекунд от 100 до 3600000; 10 секунд — это 10000."
    )
    assert fault.message.text("uz").startswith(f"frequency {path} faylining 3-qatorida, qiymati «10»: ")
