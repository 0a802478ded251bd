"""The editor writes values into any ``payme.go.conf`` and keeps its comments and all its other lines."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st

from payme_plugin.conf_file import MAX_FILE_BYTES, MAX_LINES, ConfFile, UnacceptableError, edited, parse, without
from tests.settings.conftest import KEY

pytestmark = pytest.mark.floor

ANSWERED = ("paymentType", "url", "posId", "posKey")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # In the line that gives the setting: the first one of two, or one that has no open quotation mark.
        ('[Main]\n\t posId  =   "a" \ntimeout = 5\n', '[Main]\n\t posId  =   "b" \ntimeout = 5\n'),
        ("[Main]\nposId = a\nposId = x\n", "[Main]\nposId = b\nposId = x\n"),
        ('[Main]\nposId = "a\nposId = x\n', '[Main]\nposId = "a\nposId = b\n'),
        # Below its commented sample.
        ('[Main]\n; posId = "id"\n\nurl = x\n', '[Main]\n; posId = "id"\nposId = "b"\n\nurl = x\n'),
        ("[Main]\n  ;;posId=x  \nurl = x\n", '[Main]\n  ;;posId=x  \nposId = "b"\nurl = x\n'),
        # Below the last value of the section, or at its beginning.
        (
            "[Main]\nurl = x\n\n[Others]\nposId = x\n;posId = y\n",
            '[Main]\nurl = x\nposId = "b"\n\n[Others]\nposId = x\n;posId = y\n',
        ),
        ("[Main]\n\n; nothing yet\n", '[Main]\nposId = "b"\n\n; nothing yet\n'),
        # In a section of its own; the line ends as the one above it does.
        ("", '[Main]\nposId = "b"\n'),
        ("; a comment", '; a comment\n[Main]\nposId = "b"'),
        ("[Others]\r\nx = 1\r\n", '[Others]\r\nx = 1\r\n[Main]\r\nposId = "b"\r\n'),
        ("\ufeff[Main]\n", '\ufeff[Main]\nposId = "b"\n'),
    ],
)
def test_an_answer_goes_where_a_technician_would_write_it(before: str, after: str) -> None:
    assert edited(before.encode(), {"posId": "b"}).decode() == after


@pytest.mark.parametrize(
    ("line", "value", "expected"),
    [
        ("posKey = a", KEY, f"posKey = {KEY}"),
        ("paymentType = ", "7", "paymentType = 7"),
        ("posKey = a", "", 'posKey = ""'),
        ("posKey = a", " b ", 'posKey = " b "'),
        ('posKey = a ; "b"', "c", "posKey = c"),
    ],
)
def test_quotation_marks_stay_as_they_are_and_come_where_they_are_needed(line: str, value: str, expected: str) -> None:
    name = line.partition("=")[0].strip()
    assert edited(f"[Main]\n{line}\n".encode(), {name: value}).decode() == f"[Main]\n{expected}\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
def test_the_editor_writes_in_the_encoding_that_a_file_is_read_with(encoding: str) -> None:
    text = '[Main]\n; Код кассы\n;posId = "id"\n; Ещё \xa0\n'
    assert edited(text.encode(encoding), {"posId": "касса"}) == text.replace('"id"', '"id"\nposId = "касса"').encode(
        encoding
    )


@pytest.mark.parametrize(
    ("data", "answer", "reason"),
    [
        (
            "; Ключ".encode("cp1251"),
            {"posKey": "canary é"},
            "encoding is cp1251, which lacks letters of posKey; save it",
        ),
        ("posId = касса".encode("cp1251"), {"posId": "Р°"}, "lacks letters of posId"),  # the file would look like UTF-8
        ("\n".encode("utf-16"), {"posId": "a"}, "is UTF-16; save it as UTF-8"),
        (b"\n" * (MAX_LINES - 1), {"posId": "a"}, f"{MAX_LINES} lines, not [0-9]+ and {MAX_LINES + 1}"),
        (b";" + b"x" * (MAX_FILE_BYTES - 10), {"posId": "a"}, f"at most {MAX_FILE_BYTES} bytes"),
        (b"[Main]", {"posId": "a\nb"}, "lacks letters of "),
        (b"[Main]", {";a": "a"}, "lacks letters of "),
    ],
)
def test_what_could_not_be_read_back_is_refused_unseen(data: bytes, answer: dict[str, str], reason: str) -> None:
    with pytest.raises(UnacceptableError, match=reason) as refused:
        edited(data, answer)
    assert "canary" not in str(refused.value)


# ---------------------------------------------------------------------------------------------------------------------
# The section of a former account
# ---------------------------------------------------------------------------------------------------------------------

ACCOUNT = {"url": "https://old.example/api", "posKey": KEY}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[Main]\nposId = b\n", f'[Main]\nposId = b\n\n[Account a]\nurl = "{ACCOUNT["url"]}"\nposKey = "{KEY}"\n'),
        (
            "[ Account \t a]\nposKey = x\n[Main]\nposKey = y\n[Account b]\nposKey = y\n",
            f'[ Account \t a]\nposKey = {KEY}\nurl = "{ACCOUNT["url"]}"\n[Main]\nposKey = y\n[Account b]\nposKey = y\n',
        ),
    ],
)
def test_the_section_of_an_account_comes_at_the_end_or_gets_its_new_values(before: str, after: str) -> None:
    assert edited(before.encode(), ACCOUNT, "Account a").decode() == after


def test_of_a_section_that_is_removed_the_comments_and_all_others_stay() -> None:
    text = "[Main]\r\nposId = a\r\n\r\n{}; of the office\r\n{}[Account b]\r\nurl = z"
    data = text.format("[Account  a]\r\nurl = x\r\n", "\r\nposKey = y\r\n").encode()
    assert without(data, "Account a").decode() == text.format("", "")


# ---------------------------------------------------------------------------------------------------------------------
# Any file that a person could have written, any answers
# ---------------------------------------------------------------------------------------------------------------------

LETTER = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")
BLANKS = st.text(st.sampled_from(" \t\xa0"), max_size=2)
NAMES = st.sampled_from([*ANSWERED, "timeout", "posid", "языкъ", "x y"])
WORDS = st.one_of(st.text(LETTER, max_size=10), st.sampled_from(["id", "key", KEY, "7", '"', "касса", 'a" ; "b']))
VALUES = st.one_of(WORDS, WORDS.map(lambda word: f'"{word}"'), WORDS.map(lambda word: f'"{word}'))
GIVEN = st.builds(lambda *parts: "".join(parts), BLANKS, NAMES, BLANKS, st.just("="), BLANKS, VALUES, BLANKS)
MARKS = st.sampled_from([";", "# ", ";;", " ; "])
COMMENTS = st.builds(lambda mark, text: mark + text, MARKS, st.one_of(WORDS, GIVEN))
HEADERS = st.sampled_from(["[Main]", " [Main] ", "[ Main ]", "[Others]", "[main]", "[Main", "[]"])
LINES = st.one_of(st.just(""), BLANKS, WORDS, GIVEN, COMMENTS, HEADERS, st.just("[Main]"))
ENDS = st.sampled_from(["\n", "\n", "\r\n", "\r"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """What a person and some editor could have left."""
    usual = draw(ENDS)
    mixed = draw(st.booleans())
    lines = draw(st.lists(LINES, max_size=12))
    text = "".join(line + (draw(ENDS) if mixed else usual) for line in lines) + draw(st.sampled_from(["", "[Main]"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1251"]))
    return text.encode(encoding, errors="replace")


# An answer that some encoding lacks may be refused; those that every one has may not.
PLAIN = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
ANY_ANSWERS = st.dictionaries(st.sampled_from(ANSWERED), st.one_of(WORDS, st.text(LETTER, max_size=8)), max_size=4)
PLAIN_ANSWERS = st.dictionaries(st.sampled_from(ANSWERED), PLAIN, max_size=4)
MANY = settings(max_examples=500 * settings().max_examples // 100)


def lines_of(data: bytes) -> list[bytes]:
    return re.findall(rb"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z", data)


def first_broken(conf: ConfFile, name: str) -> int | None:
    """Return the line where the setting lacks a quotation mark, if no other line gives it."""
    if name in conf.values:
        return None
    quotes = [fault.line for fault in conf.faults if fault.key == name and "quotation mark" in str(fault.explanation)]
    return quotes[0] if quotes else None


def others(data: bytes, conf: ConfFile, names: set[str], broken: set[int]) -> list[bytes]:
    """Return the lines that give none of these settings."""
    ours = {conf.values[name].line for name in names if name in conf.values} | broken
    return [line for number, line in enumerate(lines_of(data), start=1) if number not in ours]


def values_of(data: bytes) -> dict[str, str]:
    return {name: value.text for name, value in parse(data).values.items()}


@MANY
@given(files(), PLAIN_ANSWERS)
def test_plain_answers_are_refused_by_no_file(data: bytes, answers: dict[str, str]) -> None:
    assume(not data.startswith((b"\xff\xfe", b"\xfe\xff")))
    assert values_of(edited(data, answers)) == {**values_of(data), **answers}


@MANY
@given(st.one_of(files(), files(), st.binary(max_size=120)), ANY_ANSWERS)
@example(b'[Main]\n;posId=\n\nurl="\n', {"posId": "a", "url": "b"})
def test_any_answers_are_refused_or_read_back_and_nothing_else_changes(data: bytes, answers: dict[str, str]) -> None:
    try:
        result = edited(data, answers)
    except UnacceptableError:
        event("refused")
        return
    before, after = parse(data), parse(result)
    assert values_of(result) == {**values_of(data), **answers}
    assert edited(result, answers) == result, "a second time changes nothing"
    assert len(after.faults) <= len(before.faults)

    names = {name for name, value in answers.items() if values_of(data).get(name) != value}
    broken = {line for name in names if (line := first_broken(before, name)) is not None}
    event(f"{len(names)} new answers, {len(broken)} broken lines")
    kept, now = others(data, before, names, broken), others(result, after, names, set())
    added = now[len(kept) :]
    if kept and kept[-1] == now[len(kept) - 1].rstrip(b"\r\n"):
        # The last line had no end; with a line below it, it has one.
        kept[-1] = now[len(kept) - 1]
    assert now[: len(kept)] == kept
    assert [line.strip() for line in added] in ([], [b"[Main]"])

    for name in answers.keys() & before.values.keys():
        old, new = (lines_of(each)[conf.values[name].line - 1] for each, conf in ((data, before), (result, after)))
        (head, _, tail), (new_head, _, new_tail) = old.partition(b"="), new.partition(b"=")
        assert new_head == head, "only the value changes"
        assert re.findall(rb"[\r\n]*\Z", tail) == re.findall(rb"[\r\n]*\Z", new_tail)
        if tail.strip():
            assert re.match(rb"[ \t]*", tail)[0] == re.match(rb"[ \t]*", new_tail)[0]  # type: ignore[index]


@given(files())
def test_values_that_the_file_already_has_change_nothing(data: bytes) -> None:
    held = {name: text for name, text in values_of(data).items() if name in ANSWERED}
    assert edited(data, held) == data
