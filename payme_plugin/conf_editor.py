"""Puts answers into ``payme.go.conf``: bytes in, bytes out, and nothing changes but the answers.

A line that gives the setting gets the new value between the blanks that it had. A setting that no line gives gets a
line of its own below its commented sample, ``;posId = "id"``, which stays; where there is no sample, below the last
value of ``[Main]``. The result is read back before it is returned.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payme_plugin.conf_file import MAX_FILE_BYTES, MAX_LINES, SECTION, UTF_8, encoding_of, parse, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payme_plugin.conf_file import ConfValue

__all__ = ["Uneditable", "edited"]

_NAME = re.compile(r"[A-Za-z_]{1,40}")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_LINE = re.compile(rb"([^\r\n]*)(" + _LINE_END.pattern + rb"|\Z)")
_COMMENT = (";", "#")


class Uneditable(ValueError):
    """A file has no room for an answer; the text completes *the file can't be changed: ...* and quotes no value."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line: its bytes, the bytes that end it, and its text without the blanks around it."""

    data: bytes
    end: bytes
    text: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a setting's value goes.

    Attributes:
        index: the line that gives the setting, or the one that its own line comes below.
        is_given: that line gives it.
        has_section: ``[Main]`` is there.
    """

    index: int
    is_given: bool
    has_section: bool = True


def edited(data: bytes, answers: Mapping[str, str]) -> bytes:
    """Return the settings file ``data`` with every answer in it.

    ``parse`` reads each answer back; every other value, comment, blank and line end is as it was, byte for byte. What
    holds the answers already comes back as it is. The file's faults stay, but for a quotation mark without its partner
    in a line that is answered.

    Args:
        data: the file.
        answers: names of settings to their values, each on one line.

    Raises:
        Uneditable: the file can't be read at all, would become too long, or its encoding lacks letters of an answer.
        ValueError: a name is no setting's, or an answer has more than one line.
    """
    for name, value in answers.items():
        if not _NAME.fullmatch(name):
            message = f"{name!r} is no name of a setting; allowed are up to 40 letters"
            raise ValueError(message)
        if re.search(r"[\r\n]", value):
            message = f"the value of {name} has more than one line; allowed is one"
            raise ValueError(message)
        data = _answered(data, name, value)
    return data


def _answered(data: bytes, name: str, value: str) -> bytes:
    before = parse(data)
    if any(fault.line is None for fault in before.faults):
        raise Uneditable("; ".join(fault.explanation for fault in before.faults))
    given = before.values.get(name)
    if given is not None and given.text == value:
        return data
    expected = {**{each: known.text for each, known in before.values.items()}, name: value}
    encoding = encoding_of(data)
    lines = list(_lines(data, encoding))
    place = _place_of(lines, name, given)
    # What is replaced may have been all that told one encoding from the other: what was written is read back.
    for letters in (encoding, UTF_8):
        try:
            result = _written(lines, place, name, value, encoding, letters)
        except UnicodeEncodeError:
            continue
        _require_short(result)
        if {each: known.text for each, known in parse(result).values.items()} == expected:
            return result
    message = f"its encoding is {encoding}, which lacks letters of {name}; save it as UTF-8"
    raise Uneditable(message)


def _require_short(data: bytes) -> None:
    lines = len(_LINE_END.split(data))
    if len(data) > MAX_FILE_BYTES or lines > MAX_LINES:
        message = f"it would have {len(data)} bytes in {lines} lines; allowed are {MAX_FILE_BYTES} in {MAX_LINES}"
        raise Uneditable(message)


def _lines(data: bytes, encoding: str) -> Iterator[_Line]:
    """Split a file where ``parse`` does; behind the last line end comes a line without an end, often an empty one."""
    for found in _LINE.finditer(data):
        # A byte order mark belongs to the first line, and is no part of its text.
        bare = found[1].removeprefix(codecs.BOM_UTF8) if not found.start() and encoding == UTF_8 else found[1]
        yield _Line(found[1], found[2], bare.decode(encoding, errors="replace").strip())
        if not found[2]:
            return


def _place_of(lines: list[_Line], name: str, given: ConfValue | None) -> _Place:
    """Find the line that gives the setting, its sample, or the end of the values."""
    if given is not None:
        return _Place(given.line - 1, is_given=True)
    section, sample, last = None, None, None
    for index, line in enumerate(lines):
        told, equals, _ = line.text.lstrip(";# \t").partition("=")
        names_it = bool(equals) and told.strip() == name
        if line.text.startswith(_COMMENT):
            if names_it and section == SECTION and sample is None:
                sample = index
        elif line.text.startswith("[") and line.text.endswith("]"):
            section = line.text[1:-1].strip()
            last = index if section == SECTION else last
        elif names_it and section in {None, SECTION}:
            return _Place(index, is_given=True)  # its value is no value: a quotation mark lacks its partner
        elif equals and section == SECTION:
            last = index
    if last is None:
        return _Place(len(lines) - 1, is_given=False, has_section=False)
    return _Place(last if sample is None else sample, is_given=False)


def _written(lines: list[_Line], place: _Place, name: str, value: str, encoding: str, letters: str) -> bytes:
    """Return the file with the value in its place; ``letters`` is the encoding of the value itself."""
    before, line, after = lines[: place.index], lines[place.index], lines[place.index + 1 :]
    if place.is_given:
        changed = [replace(line, data=_with_value(line.data, value, encoding, letters))]
    else:
        header = [] if place.has_section else [f"[{SECTION}]"]
        added = [each.encode(letters) for each in (*header, f"{name} = {_spelt(value)}")]
        changed = list(_below(line, added, lines[0].end or b"\n"))
    return b"".join(each.data + each.end for each in (*before, *changed, *after))


def _with_value(line: bytes, value: str, encoding: str, letters: str) -> bytes:
    """Return a line ``name = value`` with another value between the blanks and the quotation marks that it has."""
    head, equals, tail = line.partition(b"=")
    text = tail.decode(encoding, errors="replace")
    former = text.strip()
    if not former:
        blank = b" " if not tail and head.endswith(b" ") else b""
        return head + equals + tail + blank + _spelt(value).encode(letters)
    leading = text[: len(text) - len(text.lstrip())].encode(encoding)
    trailing = text[len(text.rstrip()) :].encode(encoding)
    is_bare = not former.startswith('"') and value != "" and unquoted(value) == value
    return head + equals + leading + (value if is_bare else f'"{value}"').encode(letters) + trailing


def _spelt(value: str) -> str:
    """Return a value as the sample spells it: a number bare, anything else in quotation marks."""
    return value if value.isascii() and value.isdecimal() else f'"{value}"'


def _below(line: _Line, added: list[bytes], usual_end: bytes) -> Iterator[_Line]:
    """Put lines below ``line``, ended as it is; the last line of a file may have no end."""
    end = line.end or usual_end
    if not line.data and not line.end:
        yield from (_Line(each, end, "") for each in added)
        return
    yield replace(line, end=end)
    yield from (_Line(each, end, "") for each in added[:-1])
    yield _Line(added[-1], line.end, "")
