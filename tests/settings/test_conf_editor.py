"""Answers go into ``payme.go.conf``, whatever a person made of it, and nothing else in it changes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from payme_plugin.conf_file import MAX_FILE_BYTES, MAX_LINES, ConfFile, UnacceptableError, edited, parse, without

pytestmark = pytest.mark.floor

KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"
ANSWERED = ("paymentType", "url", "posId", "posKey")


def put(text: str, **answers: str) -> str:
    return edited(text.encode(), answers).decode()


# ---------------------------------------------------------------------------------------------------------------------
# Where an answer goes
# ---------------------------------------------------------------------------------------------------------------------


def test_a_line_that_gives_the_setting_gets_the_new_value_between_its_own_blanks() -> None:
    assert put('[Main]\n\t posId  =   "a" \ntimeout = 5\n', posId="b") == '[Main]\n\t posId  =   "b" \ntimeout = 5\n'


def test_the_commented_sample_stays_and_the_answer_comes_below_it() -> None:
    text = '[Main]\n; Код кассы\n; По умолчанию "id"\n;posId = "id"\n\n;posKey = "key"\n'
    assert put(text, posId="65aa") == text.replace(';posId = "id"\n', ';posId = "id"\nposId = "65aa"\n')


@pytest.mark.parametrize("sample", ['; posId = "id"', '#posId="id"', '  ;posId = "id"  ', ';;posId = "id"'])
def test_a_sample_is_known_however_it_is_commented(sample: str) -> None:
    text = f"[Main]\n{sample}\ntimeout = 5\n"
    assert put(text, posId="a") == f'[Main]\n{sample}\nposId = "a"\ntimeout = 5\n'


def test_a_line_that_gives_the_setting_counts_before_a_sample() -> None:
    text = '[Main]\n;posId = "id"\ntimeout = 5\nposId = a\n'
    assert put(text, posId="b") == text.replace("posId = a", "posId = b")


def test_without_a_sample_the_answer_comes_below_the_last_value_of_main() -> None:
    text = "[Main]\ntimeout = 5\n\n; of the others\n[Others]\nposId = x\n;posId = y\n"
    assert put(text, posId="a") == text.replace("timeout = 5\n", 'timeout = 5\nposId = "a"\n')


def test_into_an_empty_main_the_answer_comes_first() -> None:
    assert put("[Main]\n\n; nothing yet\n", posId="a") == '[Main]\nposId = "a"\n\n; nothing yet\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '[Main]\nposId = "a"\n'),
        ("\n", '\n[Main]\nposId = "a"\n'),
        ("; a comment\n", '; a comment\n[Main]\nposId = "a"\n'),
        ("; a comment", '; a comment\n[Main]\nposId = "a"'),
        ("[Others]\r\nx = 1\r\n", '[Others]\r\nx = 1\r\n[Main]\r\nposId = "a"\r\n'),
    ],
)
def test_without_main_it_is_written_at_the_end(text: str, expected: str) -> None:
    assert put(text, posId="a") == expected


def test_answers_come_in_the_order_in_which_they_are_given() -> None:
    assert put("[Main]\n", paymentType="7", posId="a", posKey="b") == (
        '[Main]\npaymentType = 7\nposId = "a"\nposKey = "b"\n'
    )


def test_of_a_setting_given_twice_the_line_that_counts_is_changed() -> None:
    assert put("[Main]\nposId = a\nposId = b\n", posId="c") == "[Main]\nposId = c\nposId = b\n"


def test_a_quotation_mark_without_its_partner_is_mended_with_its_value() -> None:
    assert put('[Main]\nposId = "a\n', posId="b") == '[Main]\nposId = "b"\n'
    assert put('[Main]\nposId = "a\nposId = b\n', posId="c") == '[Main]\nposId = "a\nposId = c\n'
    assert put('posId = "a\n[Main]\n', posId="b") == 'posId = "b"\n[Main]\n'


def test_a_value_above_every_section_is_changed_where_it_stands() -> None:
    assert put("posId = a\n[Main]\n;posId = b\n", posId="c") == "posId = c\n[Main]\n;posId = b\n"


def test_names_differ_by_their_capitals() -> None:
    assert put("[Main]\nposid = a\n", posId="b") == '[Main]\nposid = a\nposId = "b"\n'


# ---------------------------------------------------------------------------------------------------------------------
# How an answer is spelt
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "value", "expected"),
    [
        ("posKey = a", KEY, f"posKey = {KEY}"),
        ('posKey = "a"', KEY, f'posKey = "{KEY}"'),
        ("posKey =", "a", 'posKey = "a"'),
        ("posKey=", "a", 'posKey="a"'),
        ("paymentType = ", "7", "paymentType = 7"),
        ("posKey = a", "", 'posKey = ""'),
        ("posKey = a", " b ", 'posKey = " b "'),
        ("posKey = a", '"b', 'posKey = ""b"'),
        ("posKey = a", '"', 'posKey = """'),
        ("posKey = a", '"b"', 'posKey = ""b""'),
        ('posKey = a ; "b"', "c", "posKey = c"),
    ],
)
def test_quotation_marks_stay_as_they_are_and_come_where_they_are_needed(line: str, value: str, expected: str) -> None:
    name = line.partition("=")[0].strip()
    assert put(f"[Main]\n{line}\n", **{name: value}) == f"[Main]\n{expected}\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_new_line_ends_as_the_one_above_it(end: str) -> None:
    text = end.join(["[Main]", ';posId = "id"', "timeout = 5", ""])
    assert put(text, posId="a") == text.replace('"id"', f'"id"{end}posId = "a"')


def test_a_last_line_without_an_end_stays_one() -> None:
    assert put("[Main]\r\ntimeout = 5", posId="a") == '[Main]\r\ntimeout = 5\r\nposId = "a"'


def test_a_byte_order_mark_stays_at_the_beginning() -> None:
    assert edited(b"\xef\xbb\xbfposId = a\n", {"posId": "b"}) == b"\xef\xbb\xbfposId = b\n"
    assert edited(b"\xef\xbb\xbf[Main]\n", {"posId": "b"}) == b'\xef\xbb\xbf[Main]\nposId = "b"\n'


def test_a_file_in_windows_1251_stays_in_windows_1251() -> None:
    text = '[Main]\n; Код кассы\n;posId = "id"\n; Ещё \xa0\n'
    data = text.encode("cp1251")
    assert edited(data, {"posId": "касса"}) == text.replace('"id"', '"id"\nposId = "касса"').encode("cp1251")


def test_a_byte_that_windows_1251_lacks_stays() -> None:
    assert edited(b"[Main]\n; \x98\nposId = a\n", {"posId": "b"}) == b"[Main]\n; \x98\nposId = b\n"


# ---------------------------------------------------------------------------------------------------------------------
# What can't be done
# ---------------------------------------------------------------------------------------------------------------------


def test_letters_that_the_files_encoding_lacks_are_refused_without_being_repeated() -> None:
    with pytest.raises(
        UnacceptableError, match=r"encoding is cp1251, which lacks letters of posKey; save it as UTF-8"
    ) as r:
        edited("[Main]\n; Ключ\n".encode("cp1251"), {"posKey": "canary é"})
    assert "canary" not in str(r.value)


def test_a_value_that_would_make_the_file_look_like_utf_8_is_refused() -> None:
    data = "[Main]\nposId = касса\n".encode("cp1251")
    with pytest.raises(UnacceptableError, match="lacks letters of posId"):
        edited(data, {"posId": "Р°"})


# ---------------------------------------------------------------------------------------------------------------------
# The section of a former account
# ---------------------------------------------------------------------------------------------------------------------

ACCOUNT = {"url": "https://old.example/api", "posKey": KEY}


def test_the_section_of_an_account_comes_at_the_end_and_main_stays() -> None:
    text = '[Main]\nposId = b\n;posKey = "key"\n'
    assert edited(text.encode(), ACCOUNT, "Account a").decode() == (
        f'{text}\n[Account a]\nurl = "https://old.example/api"\nposKey = "{KEY}"\n'
    )


def test_the_section_of_an_account_that_is_there_gets_its_new_values() -> None:
    text = f"[Account a]\nposKey = x\n[Main]\nposKey = {KEY}\n[Account b]\nposKey = y\n"
    assert edited(text.encode(), ACCOUNT, "Account a").decode() == (
        f'[Account a]\nposKey = {KEY}\nurl = "https://old.example/api"\n'
        f"[Main]\nposKey = {KEY}\n[Account b]\nposKey = y\n"
    )


@pytest.mark.parametrize("header", ["[Account  a]", "[ Account\ta ]"])
def test_the_editor_finds_every_section_that_is_read(header: str) -> None:
    text = f"{header}\nposKey = x\nurl = y\n"
    assert parse(text.encode()).accounts["a"]["posKey"].text == "x"
    assert edited(text.encode(), {"posKey": "z"}, "Account a").decode() == text.replace("x", "z")
    assert without(text.encode(), "Account a") == b""


def test_of_a_section_that_is_removed_the_comments_and_all_others_stay() -> None:
    text = "[Main]\r\nposId = a\r\n\r\n{}; of the office\r\n{}[Account b]\r\nurl = z"
    data = text.format("[Account a]\r\nurl = x\r\n", "\r\nposKey = y\r\n").encode()
    assert without(data, "Account a").decode() == text.format("", "")


def test_utf_16_is_refused() -> None:
    with pytest.raises(UnacceptableError, match="is UTF-16; save it as UTF-8"):
        edited("[Main]\n".encode("utf-16"), {"posId": "a"})


def test_a_file_that_would_be_too_long_to_be_read_is_refused() -> None:
    with pytest.raises(UnacceptableError, match=f"{MAX_LINES} lines, not [0-9]+ and {MAX_LINES + 1}"):
        edited(b"[Main]\n" + b"\n" * (MAX_LINES - 2), {"posId": "a"})
    with pytest.raises(UnacceptableError, match=f"at most {MAX_FILE_BYTES} bytes"):
        edited(b"[Main]\n;" + b"x" * (MAX_FILE_BYTES - 10), {"posId": "a"})


@pytest.mark.parametrize(
    ("name", "value"), [("posId", "a\nb"), ("posId", "\r"), ("posId=", "a"), ("", "a"), (";a", "a")]
)
def test_an_answer_that_would_be_another_line_is_refused(name: str, value: str) -> None:
    with pytest.raises(UnacceptableError):
        edited(b"[Main]\n", {name: value})


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
MANY = settings(max_examples=400 * settings().max_examples // 100)


@dataclass(frozen=True)
class Split:
    """A file without the lines that give certain settings.

    Attributes:
        others: the other lines with their ends.
        ours: the lines themselves.
    """

    others: list[bytes]
    ours: list[bytes]


def split(data: bytes, conf: ConfFile, names: set[str]) -> Split:
    numbers = {conf.values[name].line for name in names if name in conf.values}
    lines = re.findall(rb"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z", data)
    others = [line for number, line in enumerate(lines, start=1) if number not in numbers]
    return Split(others, [line for number, line in enumerate(lines, start=1) if number in numbers])


def first_broken(data: bytes, conf: ConfFile, name: str) -> int | None:
    """The line where the setting lacks a quotation mark, if no other line gives it."""
    if name in conf.values:
        return None
    quotes = [fault.line for fault in conf.faults if fault.key == name and "quotation mark" in str(fault.explanation)]
    return quotes[0] if quotes else None


def values_of(data: bytes) -> dict[str, str]:
    return {name: value.text for name, value in parse(data).values.items()}


def try_edited(data: bytes, answers: dict[str, str]) -> bytes | None:
    try:
        return edited(data, answers)
    except UnacceptableError:
        event("refused")
        return None


@MANY
@given(files(), PLAIN_ANSWERS)
def test_plain_answers_go_into_any_file_and_are_read_back(data: bytes, answers: dict[str, str]) -> None:
    assume(not data.startswith((b"\xff\xfe", b"\xfe\xff")))
    assert values_of(edited(data, answers)) == {**values_of(data), **answers}


@MANY
@given(files(), ANY_ANSWERS)
def test_any_answers_are_read_back_or_refused_whole(data: bytes, answers: dict[str, str]) -> None:
    result = try_edited(data, answers)
    if result is not None:
        assert values_of(result) == {**values_of(data), **answers}


@MANY
@given(files(), ANY_ANSWERS)
def test_a_second_time_changes_nothing(data: bytes, answers: dict[str, str]) -> None:
    result = try_edited(data, answers)
    if result is not None:
        assert edited(result, answers) == result


@MANY
@given(files())
def test_what_the_file_says_already_changes_nothing(data: bytes) -> None:
    held = {name: text for name, text in values_of(data).items() if name in ANSWERED}
    assert edited(data, held) == data


@MANY
@given(files(), ANY_ANSWERS)
def test_everything_else_is_unchanged_byte_for_byte(data: bytes, answers: dict[str, str]) -> None:
    result = try_edited(data, answers)
    if result is None:
        return
    before = parse(data)
    names = {name for name, value in answers.items() if values_of(data).get(name) != value}
    broken = {line for name in names if (line := first_broken(data, before, name)) is not None}
    event(f"{len(names)} new answers, {len(broken)} broken lines")
    former = split(data, before, names)
    lines = re.findall(rb"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z", data)
    kept = [line for line in former.others if line not in {lines[number - 1] for number in broken}]
    now = split(result, parse(result), names)
    others = [line for line in now.others if line not in {lines[number - 1] for number in broken}]
    added = others[len(kept) :]
    if kept and kept[-1] == others[len(kept) - 1].rstrip(b"\r\n"):
        # The last line had no end; with a line below it, it has one.
        kept[-1] = others[len(kept) - 1]
    assert others[: len(kept)] == kept
    assert [line.strip() for line in added] in ([], [b"[Main]"])


@MANY
@given(files(), ANY_ANSWERS)
def test_no_fault_comes_into_a_file(data: bytes, answers: dict[str, str]) -> None:
    result = try_edited(data, answers)
    if result is not None:
        assert len(parse(result).faults) <= len(parse(data).faults)


@MANY
@given(files(), ANY_ANSWERS)
def test_in_a_line_that_gave_the_setting_the_value_alone_changes(data: bytes, answers: dict[str, str]) -> None:
    result = try_edited(data, answers)
    if result is None:
        return
    before, after = parse(data), parse(result)
    for name in answers.keys() & before.values.keys():
        (old,) = split(data, before, {name}).ours
        (new,) = split(result, after, {name}).ours
        assert new.partition(b"=")[0] == old.partition(b"=")[0]
        tail, new_tail = old.partition(b"=")[2], new.partition(b"=")[2]
        assert re.findall(rb"[\r\n]*\Z", tail) == re.findall(rb"[\r\n]*\Z", new_tail)
        if tail.strip():
            assert re.match(rb"[ \t]*", tail)[0] == re.match(rb"[ \t]*", new_tail)[0]  # type: ignore[index]


@MANY
@given(st.binary(max_size=120), PLAIN_ANSWERS)
def test_no_bytes_break_it(data: bytes, answers: dict[str, str]) -> None:
    result = try_edited(data, answers)
    if result is not None:
        assert values_of(result) == {**values_of(data), **answers}
