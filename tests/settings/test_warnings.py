"""Warnings, which stop no sale, and faults, which do: names, comments, quotation marks, times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.settings.conftest import KEY

if TYPE_CHECKING:
    from tests.settings.conftest import Faults, Load, Read, Write

pytestmark = pytest.mark.floor


def test_without_a_tender_there_is_one_fault_that_says_what_to_set(conf: Write, load: Load) -> None:
    path = conf("[Main]\ntimeout = 20\n")
    (fault,) = load({}).faults
    assert fault.short == "paymentType (payme.go.conf)"
    assert str(fault) == (
        f"paymentType in {path}: it must be set to the number of the tender for Payme, as the POS knows it."
    )
    conf('[Main]\npaymentType = "7\n')
    assert [(fault.key, fault.line) for fault in load({}).faults] == [("paymentType", 2)]


# ---------------------------------------------------------------------------------------------------------------------
# Names
# ---------------------------------------------------------------------------------------------------------------------


def test_an_unknown_name_has_no_effect_and_the_nearest_known_one_is_named(conf: Write, read: Read) -> None:
    conf("[Main]\npaymentTipe = 3\nposkey = canary\n[Man]\ntimeout = ten\n")
    settings = read({"Timeout": "3", "zzzz": "3"})
    assert settings.timeout_s == 10
    for warning, (key, line, hint) in zip(
        settings.warnings,
        [
            ("paymentTipe", 2, "no effect; the nearest known name is paymentType."),
            ("poskey", 3, "the nearest known name is posKey."),
            ("[Man]", 4, "the nearest known name is Main."),
            ("Timeout", None, "the nearest known name is timeout."),
            ("zzzz", None, "payme settings show lists all settings."),
        ],
        strict=True,
    ):
        assert (warning.key, warning.line, hint in str(warning), "canary" in str(warning)) == (key, line, True, False)


@pytest.mark.parametrize(
    "name", ["Timeouts", "POSID", "colour", "shopColour", "shop_colour", "url2", "pos-id", "time out"]
)
def test_a_name_that_is_misspelt_or_made_of_words_is_shown(conf: Write, read: Read, name: str) -> None:
    conf(f"[Main]\n{name} = 1\n")
    assert [(warning.key, warning.line) for warning in read({}).warnings] == [(name, 2)]


@pytest.mark.parametrize("name", ["posKeyKCRWkzqP", "KCRW", "qWeRtYuIoP", "kCRWkzqp", "a4bc", "k" * 41, "a&b", "ключ"])
def test_of_a_name_that_may_be_a_piece_of_the_key_only_the_line_is_shown(conf: Write, read: Read, name: str) -> None:
    conf(f"[Main]\n{name} = 1\n")
    (warning,) = read({}).warnings
    assert (warning.key, warning.line) == (None, 2)
    assert "hidden, because it may be part of the key" in str(warning)
    assert name not in f"{warning}{warning.short}{warning!r}"


@pytest.mark.parametrize("line", ["KCRWkzqPxxUeWBHNMAOtR", "KCRWkzqPxxUeWBHNMAOtR=x"])
@pytest.mark.parametrize("section", ["[Main]", "[KCRWkzqPxxUeWBHNMAOtR]", "[Account a]", ""])
def test_of_a_key_pasted_without_its_name_only_the_line_is_shown(
    conf: Write, load: Load, section: str, line: str
) -> None:
    conf(f"{section}\n{line}\n{line}\n")
    loaded = load({})
    found = [*loaded.faults, *loaded.warnings]
    assert {problem.line for problem in found} & {1, 2}
    assert "KCRW" not in "".join(str(problem) + problem.short + repr(problem) for problem in found)


# ---------------------------------------------------------------------------------------------------------------------
# Comments behind a value, other quotation marks, times, codes
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "shown", "written"),
    [
        ("codePattern = [0-9]{6,64} ; digits", "[0-9]{6,64} ; digits", 'codePattern = "[0-9]{6,64}"'),
        ("account = order_id={till}\t# a", "order_id={till}\\t# a", 'account = "order_id={till}"'),
        ("timeout = 5 ; seconds", "5 ; seconds", 'timeout = "5"'),  # beside the fault
        (f"posKey = {KEY} ; key", "***", 'posKey = "***"'),
        (f"posKey = '{KEY}'", "***", 'posKey = "***"'),
        (f"posKey = «{KEY}»", "***", 'posKey = "***"'),
        ("posId = “65aa”", "“65aa”", 'posId = "65aa"'),
    ],
)
def test_what_is_taken_into_a_value_is_a_warning_that_shows_how_to_write_it(
    conf: Write, load: Load, line: str, shown: str, written: str
) -> None:
    conf(f"[Main]\n{line}\n")
    (warning,) = load({"paymentType": "7"}).warnings
    assert (warning.key, warning.line) == (line.partition(" ")[0], 2)
    assert f'is "{shown}": ' in str(warning)
    assert f"write {written}" in str(warning)
    assert "KCR" not in f"{warning}{warning!r}{warning.short}"


@pytest.mark.parametrize("value", ['"a ; b"', "\"'a'\"", "a;b", "a#b", "'a", "«a", "; a"])
def test_double_quotes_say_that_it_is_meant_so(conf: Write, read: Read, value: str) -> None:
    conf(f"[Main]\nposKey = {value}\n")
    settings = read({})
    assert (settings.pos_key.reveal(), settings.warnings) == (value.strip('"'), ())


@pytest.mark.parametrize(("name", "value"), [("frequency", "10"), ("payDuration", "300")])
def test_seconds_in_place_of_milliseconds_are_a_fault(faults: Faults, name: str, value: str) -> None:
    (fault,) = faults({name: value})
    assert (fault.key, "10 seconds is 10000" in str(fault)) == (name, True)


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ({"frequency": "999"}, ["frequency"]),
        ({"payDuration": "9999", "frequency": "1000", "timeout": "9"}, ["payDuration"]),
        ({"payDuration": "10000", "frequency": "10001"}, ["frequency"]),
        ({"payDuration": "10000", "timeout": "11"}, ["timeout"]),
        ({"ignoredErrors": "-31400, -31630"}, []),
        ({"ignoredErrors": "-31400, -31612"}, ["ignoredErrors", "ignoredErrors"]),  # neither the manual's nor a proof
        ({"ignoredErrors": "-31400, -31602"}, ["ignoredErrors"]),  # proves nothing
    ],
)
def test_times_and_codes_hardly_meant_are_warnings(read: Read, given: dict[str, str], keys: list[str]) -> None:
    assert [warning.key for warning in read(given).warnings] == keys


def test_payments_that_these_settings_can_not_return_are_warnings(conf: Write, read: Read) -> None:
    conf("[Main]\nposId = new\nurl = http://localhost:81\n[Account old]\nurl = https://old\nposKey = k\n")
    here = ("new", "HTTP://LOCALHOST./other")
    assert read({}).return_warnings([here, ("old", "https://elsewhere/api")]) == []
    lost, moved = read({}).return_warnings([here, ("gone", "https://gone/api"), ("new", "https://before/api")])
    assert (lost.key, "[Account gone]" in str(lost)) == ("posId", True)
    assert (moved.key, "another host, before;" in str(moved)) == ("url", True)
