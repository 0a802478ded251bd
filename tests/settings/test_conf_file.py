"""``payme.go.conf``: what each line means, and the faults of invalid lines."""

from __future__ import annotations

import errno
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.conf_file import parse, read_bounded

pytestmark = pytest.mark.floor


def values(data: str | bytes) -> dict[str, tuple[str, int]]:
    conf = parse(data if isinstance(data, bytes) else data.encode())
    assert conf.faults == ()
    return {name: (value.text, value.line) for name, value in conf.values.items()}


def faults(text: str) -> list[tuple[int | None, str | None]]:
    return [(fault.line, fault.key) for fault in parse(text.encode()).faults]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("; a\n# b\n[Main]\n  ; c\n\t# d\ntimeout = 10\n;timeout = 11\n", {"timeout": ("10", 6)}),
        ("; a\r\n[Main]\r\n\r\ntimeout = 10\r\n", {"timeout": ("10", 4)}),
        ("; a\r[Main]\r\rtimeout = 10\r", {"timeout": ("10", 4)}),
        ("\ufeff[Main]\ntimeout = 10\n", {"timeout": ("10", 2)}),
        ("[Main]\nposKey = a\n    timeout = 10", {"posKey": ("a", 2), "timeout": ("10", 3)}),  # nothing continues
        ("[Main]\ntimeout = 1\nTimeout = 2\n", {"timeout": ("1", 2), "Timeout": ("2", 3)}),
        ("[Main]\na = 1\n[Other]\nx = 1\n[Main]\nb = 2\n", {"a": ("1", 2), "b": ("2", 6)}),
        ("[Main]\n; Код кассы\nposId = касса\n".encode("cp1251"), {"posId": ("касса", 3)}),
    ],
)
def test_a_line_gives_a_value_however_the_file_was_saved(text: str | bytes, meant: dict[str, tuple[str, int]]) -> None:
    assert values(text) == meant


@pytest.mark.parametrize("letter", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", *"%#&?@;=$", " ; ", " # ", "%(x)s"])
def test_no_character_inside_a_value_is_special_or_ends_the_line(letter: str) -> None:
    for written in (f"a{letter}b", f'"a{letter}b"'):
        assert values(f"[Main]\nposKey = {written}\n") == {"posKey": (f"a{letter}b", 2)}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
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
def test_quotes_around_a_value_are_not_part_of_it(written: str, meant: str) -> None:
    assert values(f"[Main]\nposId ={written}\n") == {"posId": (meant, 2)}


@pytest.mark.parametrize("written", ['"a', 'a"', '"', '"a" ; b'])
def test_a_quote_without_its_partner_is_a_fault(written: str) -> None:
    assert faults(f"[Main]\nposId = {written}\n") == [(2, "posId")]


def test_utf_16_is_a_fault_that_says_what_to_do() -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        (fault,) = parse("\ufeff[Main]\n".encode(encoding)).faults
        assert str(fault.explanation) == "the file is UTF-16; save it as UTF-8"


def test_a_name_given_twice_is_a_fault_that_names_both_lines_and_the_first_counts() -> None:
    conf = parse(b"[Main]\ntimeout = 10\nposId = a\ntimeout = 11\n")
    assert [(fault.line, fault.key, "line 2" in str(fault.explanation)) for fault in conf.faults] == [
        (4, "timeout", True)
    ]
    assert conf.values["timeout"].text == "10"


def test_values_without_a_section_are_one_fault_and_still_read_those_of_another_have_no_effect() -> None:
    conf = parse(b"; a\ntimeout = 10\nposId = a\n[Other]\ntimeout = 10\nnonsense\n[]\n")
    assert [(fault.line, fault.key) for fault in conf.faults] == [(2, "timeout")]
    assert (set(conf.values), conf.other_sections) == ({"timeout", "posId"}, {"Other": 4, "": 7})


@pytest.mark.parametrize("line", ["timeout", "timeout: 10", "= 10", "[Main", "Main]", "[Main] ; a"])
def test_a_line_without_a_meaning_is_a_fault(line: str) -> None:
    assert faults(f"[Main]\n{line}\n") == [(2, None)]


def test_every_fault_is_reported_at_once_and_repeats_nothing_that_may_be_a_piece_of_the_key() -> None:
    text = 'Canary0 = a\n[Main]\nCanary1\nCanary2&x=b\nurl = "Canary3\n[Account a]\nurl = 1\nurl = 2\n[Canary4]\n'
    assert faults(text) == [(1, "Canary0"), (3, None), (5, "url"), (8, "url")]
    assert "Canary" not in repr(parse(text.encode()))


@given(st.lists(st.sampled_from(["[Main]", "[Account a]", "timeout = 1", 'a = "', "; x", "x", "", "=", "posId = a"])))
def test_every_line_is_a_value_a_fault_or_silent(lines: list[str]) -> None:
    conf = parse("\n".join(lines).encode())
    read = [*conf.values.values(), *(value for each in conf.accounts.values() for value in each.values())]
    known = {fault.line for fault in conf.faults} | {value.line for value in read}
    silent = {number for number, line in enumerate(lines, start=1) if line.startswith(("[", ";")) or not line}
    assert set(range(1, len(lines) + 1)) <= known | silent


@given(st.binary())
def test_no_bytes_raise(data: bytes) -> None:
    lines = data.count(b"\n") + data.count(b"\r") + 1
    assert all(fault.line is None or 1 <= fault.line <= lines for fault in parse(data).faults)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    path.chmod(0o640)
    content = read_bounded(path, 5)
    assert (content.data, content.mode) == (b"12345", 0o640)
    with pytest.raises(OSError, match="more than 4 bytes") as raised:
        read_bounded(path, 4)
    assert raised.value.errno == errno.EFBIG


def test_a_file_that_has_more_than_its_size_says_is_read_to_its_end() -> None:
    """Those of /proc have size 0; a file that is being written may grow after its size was read."""
    whole = Path("/proc/version").read_bytes()
    assert read_bounded(Path("/proc/version"), len(whole)).data == whole
    with pytest.raises(OSError, match="more than"):
        read_bounded(Path("/proc/version"), len(whole) - 1)


def test_a_file_takes_no_more_memory_than_it_has_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 200_000)
    tracemalloc.start()
    try:
        read_bounded(path, 4_000_000)
        assert tracemalloc.get_traced_memory()[1] < 600_000
    finally:
        tracemalloc.stop()


def test_a_refused_pipe_device_folder_or_long_file_is_not_waited_for_and_left_closed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = set(Path("/proc/self/fd").iterdir())
    for path, reason in (
        (tmp_path / "pipe", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path, "Is a directory"),
        (Path(__file__), "more than 10 bytes"),
    ):
        with pytest.raises(OSError, match=reason):
            read_bounded(path, 10)
    assert set(Path("/proc/self/fd").iterdir()) <= before
