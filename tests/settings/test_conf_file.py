"""``payme.go.conf``: what its lines mean, and what is said of those that mean nothing."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.conf_file import edited, parse, read_bounded

pytestmark = pytest.mark.floor


def values(text: str) -> dict[str, str]:
    conf = parse(text.encode())
    assert conf.faults == ()
    return {name: value.text for name, value in conf.values.items()}


def faults(text: str) -> list[tuple[int | None, str | None]]:
    return [(fault.line, fault.key) for fault in parse(text.encode()).faults]


def test_values_are_known_by_name_and_line() -> None:
    value = parse(b"[Main]\n\ntimeout = 10\n").values["timeout"]
    assert (value.text, value.line) == ("10", 3)


def test_a_comment_begins_a_line() -> None:
    assert values("; a\n# b\n[Main]\n  ; c\n\t# d\ntimeout = 10\n;timeout = 11\n") == {"timeout": "10"}


@pytest.mark.parametrize("key", ["a%R", "a#b", "a&b", "a?b", "a@b", "a;b", "a=b", "=", "a ; b", "a # b", "%(x)s", "$x"])
def test_no_character_inside_a_value_is_special(key: str) -> None:
    assert values(f"[Main]\nposKey = {key}\n") == {"posKey": key}
    assert values(f'[Main]\nposKey = "{key}"\n') == {"posKey": key}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10", "10"),
        ('"10"', "10"),
        ('  "10"  ', "10"),
        ('" a "', " a "),
        ('""', ""),
        ("", ""),
        ('a"b', 'a"b'),
        ('""a"', '"a'),
        ('""""', '""'),
        ('"a" ; b "c"', 'a" ; b "c'),
    ],
)
def test_quotes_around_a_value_are_no_part_of_it(written: str, meant: str) -> None:
    assert values(f"[Main]\nposId ={written}\n") == {"posId": meant}


@pytest.mark.parametrize("written", ['"a', 'a"', '"', '"a" ; b'])
def test_a_quote_without_its_partner_is_a_fault(written: str) -> None:
    assert faults(f"[Main]\nposId = {written}\n") == [(2, "posId")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(end: str) -> None:
    value = parse(end.join(["; a", "[Main]", "", "timeout = 10", ""]).encode()).values["timeout"]
    assert (value.text, value.line) == ("10", 4)


@pytest.mark.parametrize("letter", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_nothing_else_ends_a_line(letter: str) -> None:
    assert values(f"[Main]\nposKey = a{letter}b\n") == {"posKey": f"a{letter}b"}


def test_an_indented_line_continues_nothing() -> None:
    assert values("[Main]\nposKey = a\n    timeout = 10\n") == {"posKey": "a", "timeout": "10"}


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert parse("\ufeff[Main]\ntimeout = 10\n".encode()).values["timeout"].text == "10"


def test_what_is_not_utf_8_is_windows_1251() -> None:
    conf = parse("[Main]\n; Код кассы\nposId = касса\n".encode("cp1251"))
    assert conf.faults == ()
    assert conf.values["posId"].text == "касса"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_a_fault_that_says_what_to_do(encoding: str) -> None:
    conf = parse("\ufeff[Main]\n".encode(encoding) if encoding != "utf-16" else "[Main]\n".encode(encoding))
    assert [str(fault.explanation) for fault in conf.faults] == ["the file is UTF-16; save it as UTF-8"]


def test_a_name_given_twice_is_a_fault_that_names_both_lines() -> None:
    conf = parse(b"[Main]\ntimeout = 10\nposId = a\ntimeout = 11\n")
    (fault,) = conf.faults
    assert (fault.line, fault.key) == (4, "timeout")
    assert "line 2" in str(fault.explanation)
    assert conf.values["timeout"].text == "10"


def test_names_differ_by_their_capitals() -> None:
    assert values("[Main]\ntimeout = 1\nTimeout = 2\n") == {"timeout": "1", "Timeout": "2"}


def test_values_without_a_section_are_one_fault_and_still_read() -> None:
    conf = parse(b"; a\ntimeout = 10\nposId = a\n")
    assert [(fault.line, fault.key) for fault in conf.faults] == [(2, "timeout")]
    assert set(conf.values) == {"timeout", "posId"}


def test_another_section_has_no_effect_and_is_known_by_its_line() -> None:
    conf = parse(b"[Main]\nposId = a\n[Other]\ntimeout = 10\nnonsense\n[]\n")
    assert conf.faults == ()
    assert set(conf.values) == {"posId"}
    assert conf.other_sections == {"Other": 3, "": 6}


def test_main_may_go_on_further_down() -> None:
    assert values("[Main]\ntimeout = 10\n[Other]\nx = 1\n[Main]\nposId = a\n") == {"timeout": "10", "posId": "a"}


@pytest.mark.parametrize("line", ["timeout", "timeout: 10", "= 10", "[Main", "Main]", "[Main] ; a"])
def test_a_line_that_is_nothing_is_a_fault(line: str) -> None:
    assert faults(f"[Main]\n{line}\n") == [(2, None)]


def test_every_fault_is_told_at_once() -> None:
    text = 'posId = a\n[Main]\nnonsense\nposId = b\nurl = "x\n[Account a]\nurl = 1\nurl = 2\n'
    assert faults(text) == [(1, "posId"), (3, None), (4, "posId"), (5, "url"), (8, "url")]


def test_no_fault_repeats_what_may_be_a_piece_of_the_key() -> None:
    text = '[Main]\nposKey = "Canary1\nCanary2&x\nCanary4&x=y\n[Canary3]\n'
    conf = parse(text.encode())
    assert len(conf.faults) == 2
    assert "Canary" not in repr(conf)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
def test_the_editor_writes_in_the_encoding_that_a_file_is_read_with(encoding: str) -> None:
    data = "[Main]\n; Код\nposId = касса\n".encode(encoding)
    assert edited(data, {"posId": "лавка"}) == "[Main]\n; Код\nposId = лавка\n".encode(encoding)


@given(st.binary())
def test_no_bytes_raise(data: bytes) -> None:
    conf = parse(data)
    lines = data.count(b"\n") + data.count(b"\r") + 1
    assert all(fault.line is None or 1 <= fault.line <= lines for fault in conf.faults)


@given(st.lists(st.sampled_from(["[Main]", "[Account a]", "timeout = 1", 'a = "', "; x", "x", "", "=", "posId = a"])))
def test_every_line_is_a_value_a_fault_or_silent(lines: list[str]) -> None:
    conf = parse("\n".join(lines).encode())
    read = [*conf.values.values(), *(value for each in conf.accounts.values() for value in each.values())]
    told = {fault.line for fault in conf.faults} | {value.line for value in read}
    silent = {number for number, line in enumerate(lines, start=1) if line.startswith(("[", ";")) or not line}
    assert set(range(1, len(lines) + 1)) <= told | silent


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    path.chmod(0o640)
    content = read_bounded(path, 5)
    assert (content.data, content.mode) == (b"12345", 0o640)
    with pytest.raises(OSError, match="more than 4 bytes") as raised:
        read_bounded(path, 4)
    assert raised.value.errno == errno.EFBIG


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_bounded(tmp_path / "pipe", 10)


@pytest.mark.parametrize(("path", "reason"), [("/dev/zero", "not a regular file"), ("/", "Is a directory")])
def test_a_device_and_a_folder_are_refused(path: str, reason: str) -> None:
    with pytest.raises(OSError, match=reason):
        read_bounded(Path(path), 10)


def test_a_refused_file_stays_open_no_longer_than_a_read_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    before = set(Path("/proc/self/fd").iterdir())
    for path, limit in ((tmp_path, 10), (tmp_path / "a", 2), (tmp_path / "a", 10)):
        with contextlib.suppress(OSError):
            read_bounded(path, limit)
    assert set(Path("/proc/self/fd").iterdir()) <= before
