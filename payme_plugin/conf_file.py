"""The lines of ``payme.go.conf``: bytes in; values with their lines and every fault, or the edited bytes, out.

``configparser`` does not fit: it names only the first fault, knows no line of a value, and joins an indented line to
the value above it, so that an indented ``timeout = 5`` would silently become part of a key.

A file is UTF-8, with or without a byte order mark. If it isn't valid UTF-8 it is read as Windows-1251, which editors on
Windows leave in Russian comments. Lines end with LF, CRLF or CR.
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from payme_plugin.locale import Message, message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SECTION = "Main"
"""The section of the settings."""

ACCOUNT = "Account "
"""What begins the name of the section of a former merchant account; its posId follows."""

MAX_FILE_BYTES = 65_536
"""A settings file with every setting and its comments takes a tenth of this."""

MAX_LINES = 1_000
"""Bounds the time that a file takes and the number of its faults."""

_UTF_8 = "utf-8"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")


class UnacceptableError(ValueError):
    """A setting can't have a value, or a settings file can't hold it.

    Attributes:
        explanation: what is wrong and what is allowed; it quotes no value.
    """

    def __init__(self, explanation: Message) -> None:
        super().__init__(explanation)
        self.explanation = explanation


@dataclass(frozen=True, slots=True)
class ConfValue:
    """A value.

    Attributes:
        text: the value without the blanks and quotation marks around it; it may be the key, so it is in no repr.
        line: its line, counted from 1.
        is_quoted: it stands in double quotes.
    """

    text: str = field(repr=False)
    line: int
    is_quoted: bool


@dataclass(frozen=True, slots=True)
class ConfFault:
    """A line, or the whole file, that can't be read.

    Attributes:
        line: the line, counted from 1, or None for the whole file.
        key: the name that the line gives, as written, or None. It may be a piece of the key that was pasted without its
            name or broken over two lines, so it is in no repr.
        explanation: what is wrong and what is allowed. It quotes no line, because any line may hold a part of the key.
        section: the section that the line is in.
    """

    line: int | None
    key: str | None = field(repr=False)
    explanation: Message
    section: str = field(default=SECTION, repr=False)


@dataclass(frozen=True, slots=True)
class ConfFile:
    """The content of a settings file.

    Attributes:
        values: the values of ``[Main]`` by their names as written. If a name is given twice, the first value counts.
        faults: everything that can't be read, in the order of the lines.
        accounts: the values of each section ``[Account <posId>]``, by posId and name.
        other_sections: the names of other sections, which have no effect, with the line of each.
    """

    values: Mapping[str, ConfValue] = field(repr=False)
    faults: tuple[ConfFault, ...]
    accounts: Mapping[str, Mapping[str, ConfValue]] = field(default_factory=dict, repr=False)
    other_sections: Mapping[str, int] = field(default_factory=dict, repr=False)

    def section(self, name: str) -> Mapping[str, ConfValue]:
        """Return the values of ``[Main]`` or of a section ``[Account <posId>]``."""
        return self.values if name == SECTION else self.accounts.get(name.removeprefix(ACCOUNT), {})


class _Line(NamedTuple):
    """A line.

    Attributes:
        data: its bytes without its end.
        end: the bytes that end it; empty for the last line.
        kind: what it is; blank lines and comments are silent.
        section: the section that it begins or is in; None above the first header.
        name: the setting that it gives, or whose sample it is if it is a comment; empty if it has none.
        value: the text after the equals sign.
    """

    data: bytes
    end: bytes
    kind: Literal["silent", "header", "value", "other"] = "other"
    section: str | None = None
    name: str = ""
    value: str = ""


def unquoted(text: str) -> str | None:
    """Return a value without the blanks and the double quotes around it; None if only one of the quotes is there.

    No character inside is special: ``""a"`` is ``"a``.
    """
    text = text.strip()
    quotes = text.startswith('"') + text.endswith('"')
    if quotes == 0:
        return text
    return text[1:-1] if quotes == 2 and len(text) > 1 else None  # noqa: PLR2004 - one at each end


def parse(data: bytes, most_lines: int = MAX_LINES) -> ConfFile:
    """Read a settings file. No content raises: what can't be read is a fault of the result."""
    if data.startswith(_UTF_16):
        return ConfFile({}, (ConfFault(None, None, message("settings.utf_16")),))
    lines = list(_lines(data))
    if len(lines) > most_lines:
        return ConfFile({}, (ConfFault(None, None, _too_long(data, lines)),))
    values: dict[str, ConfValue] = {}
    accounts: dict[str, dict[str, ConfValue]] = {}
    other_sections: dict[str, int] = {}
    faults: list[ConfFault] = []
    is_homeless = False
    for number, line in enumerate(lines, start=1):
        section = SECTION if line.section is None else line.section
        if not section.startswith(ACCOUNT) and section != SECTION:
            other_sections.setdefault(section, number)
            continue
        if line.section is None and line.kind == "value" and not is_homeless:
            is_homeless = True
            faults.append(ConfFault(number, line.name, message("settings.no_section")))
        known = values if section == SECTION else accounts.setdefault(section.removeprefix(ACCOUNT), {})
        explanation = _read_line(number, line, known)
        if explanation is not None:
            faults.append(ConfFault(number, line.name or None, explanation, section))
    return ConfFile(values, tuple(faults), accounts, other_sections)


def _read_line(number: int, line: _Line, known: dict[str, ConfValue]) -> Message | None:
    """Add the value of a line to the known ones of its section, or return what is wrong with it."""
    if line.kind == "other":
        return message("settings.no_value_line")
    if line.kind != "value":
        return None
    if line.name in known:
        return message("settings.given_twice", line=known[line.name].line)
    text = unquoted(line.value)
    if text is None:
        return message("settings.open_quote")
    known[line.name] = ConfValue(text, number, line.value.strip() != text)
    return None


def edited(data: bytes, answers: Mapping[str, str], section: str = SECTION) -> bytes:
    """Return the settings file ``data`` with every answer in a section, ``Main`` or ``Account <posId>``.

    A line that gives the setting gets the new value between the blanks that it had. Any other setting gets a line of
    its own below its commented sample, e.g. ``;posId = "id"``, which stays; without a sample, below the last value of
    the section. A missing section is added at the end.

    ``parse`` reads each answer back; every other value, comment, blank and line end is as it was, byte for byte. A file
    that holds the answers already is returned as it is. The file's faults stay, except for an open quotation mark in a
    line that is answered.

    Args:
        data: the file.
        answers: the names of settings with their values, each on one line.
        section: the section that they belong to.

    Raises:
        UnacceptableError: the file can't be read at all, would become too long, or its encoding lacks letters of an
            answer.
    """
    for name, value in answers.items():
        data = _answered(data, section, name, value)
    return data


def without(data: bytes, section: str) -> bytes:
    """Return the settings file ``data`` without a section; the comments in it stay."""
    lines = (line for line in _lines(data) if line.section != section or line.data.lstrip()[:1] in {b";", b"#"})
    return b"".join(line.data + line.end for line in lines)


def _answered(data: bytes, section: str, name: str, value: str) -> bytes:
    before = parse(data)
    for fault in before.faults:
        if fault.line is None:
            raise UnacceptableError(fault.explanation)
    given = before.section(section).get(name)
    if given is not None and given.text == value:
        return data
    lines, encoding = list(_lines(data)), _encoding_of(data)
    lacks_letters = UnacceptableError(message("settings.lacks_letters", encoding=encoding, name=name))
    try:
        changed = _changed(lines, section, name, value, given, encoding)
    except UnicodeEncodeError:
        raise lacks_letters from None
    result = b"".join(line.data + line.end for line in changed)
    if len(result) > MAX_FILE_BYTES or len(changed) > MAX_LINES:
        raise UnacceptableError(_too_long(result, changed))
    # The replaced value may have been all that told one encoding from the other, and no answer has two lines.
    if _texts(parse(result)) != {**_texts(before), (section, name): value}:
        raise lacks_letters
    return result


def _texts(conf: ConfFile) -> dict[tuple[str, str], str]:
    sections = {SECTION: conf.values, **{f"{ACCOUNT}{pos_id}": values for pos_id, values in conf.accounts.items()}}
    return {(section, name): value.text for section, values in sections.items() for name, value in values.items()}


def _too_long(data: bytes, lines: list[_Line]) -> Message:
    return message(
        "settings.too_long", bytes=len(data), lines=len(lines), most_bytes=MAX_FILE_BYTES, most_lines=MAX_LINES
    )


def _encoding_of(data: bytes) -> str:
    try:
        data.decode(_UTF_8)
    except UnicodeDecodeError:
        return "cp1251"
    return _UTF_8


def _lines(data: bytes) -> Iterator[_Line]:
    """Split a file; after the last line end follows a line without an end, which is often empty."""
    encoding, section = _encoding_of(data), None
    for found in _LINE.finditer(data):
        # A byte order mark belongs to the first line, but not to its text.
        bare = found[1].removeprefix(codecs.BOM_UTF8) if not found.start() and encoding == _UTF_8 else found[1]
        text = bare.decode(encoding, errors="replace").strip()
        line = _Line(found[1], found[2], section=section)
        name, equals, value = text.lstrip(";# \t").partition("=")
        if not text or text.startswith((";", "#")):
            yield line._replace(kind="silent", name=name.strip() if equals else "")
        elif text.startswith("[") and text.endswith("]"):
            section = " ".join(text[1:-1].strip().split(maxsplit=1))  # any blanks between ``Account`` and the posId
            yield line._replace(kind="header", section=section)
        elif equals and name.strip():
            yield line._replace(kind="value", name=name.strip(), value=value)
        else:
            yield line
        if not found[2]:
            return


def _changed(
    lines: list[_Line], section: str, name: str, value: str, given: ConfValue | None, encoding: str
) -> list[_Line]:
    """Return the lines with the value in the line that gives the setting, else in a new line."""
    sections = {section, None} if section == SECTION else {section}  # what is above all sections belongs to ``[Main]``
    ours = [(at, line) for at, line in enumerate(lines) if line.section in sections]
    # Without a value that counts, the setting may stand in a line with an open quotation mark.
    giving = [at for at, line in ours if line.kind == "value" and line.name == name]
    if giving:
        at = giving[0] if given is None else given.line - 1
        return [*lines[:at], _with_value(lines[at], value, encoding), *lines[at + 1 :]]
    in_section = [(at, line) for at, line in ours if line.section is not None]
    samples = [at for at, line in in_section if line.kind == "silent" and line.name == name]
    filled = [at for at, line in in_section if line.kind in {"header", "value"}]
    at = samples[0] if samples else filled[-1] if filled else len(lines) - 1
    blank = [""] if section != SECTION and lines[-2:][0].data.strip() else []
    texts = [f"{name} = {_spelt(value)}"] if filled else [*blank, f"[{section}]", f"{name} = {_spelt(value)}"]
    above, end = lines[at], lines[at].end or lines[0].end or b"\n"
    added = [_Line(text.encode(encoding), end) for text in texts]
    if above.data or above.end:
        # The last line of a file may have no end.
        added = [above._replace(end=end), *added[:-1], added[-1]._replace(end=above.end)]
    return [*lines[:at], *added, *lines[at + 1 :]]


def _with_value(line: _Line, value: str, encoding: str) -> _Line:
    """Return a line ``name = value`` with another value between the blanks and quotation marks that it has."""
    head, equals, tail = line.data.partition(b"=")
    text = tail.decode(encoding, errors="replace")
    former = text.strip()
    if not former:
        blank = b" " if not tail and head.endswith(b" ") else b""
        return line._replace(data=head + equals + tail + blank + _spelt(value).encode(encoding))
    leading = text[: len(text) - len(text.lstrip())].encode(encoding)
    trailing = text[len(text.rstrip()) :].encode(encoding)
    is_bare = not former.startswith('"') and value != "" and unquoted(value) == value
    written = (value if is_bare else f'"{value}"').encode(encoding)
    return line._replace(data=head + equals + leading + written + trailing)


def _spelt(value: str) -> str:
    """Return a value as the sample spells it: a number bare, anything else in quotation marks."""
    return value if value.isascii() and value.isdecimal() else f'"{value}"'


@dataclass(frozen=True, slots=True)
class Content:
    """What a file held when it was read.

    Attributes:
        data: its bytes; they may hold a key, so they are in no repr.
        mode: its permission bits.
    """

    data: bytes = field(repr=False)
    mode: int


class ReadError(NamedTuple):
    """Why a file can't be read.

    Attributes:
        is_missing: there is no such file.
        reason: why, in the system's words.
    """

    is_missing: bool
    reason: str


def read_bounded(path: Path, limit: int) -> Content:
    """Return the bytes and the mode of a regular file; never wait for a pipe or a device.

    Raises:
        OSError: it can't be read, is a pipe or a device (``EINVAL``), or holds more than ``limit`` bytes (``EFBIG``).
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        # Not ``limit`` bytes at once: to allocate them takes ten times as long as to read the file.
        data = file.read(min(found.st_size, limit) + 1)
        if len(data) > found.st_size:  # it has grown, or is one of /proc
            data += file.read(limit)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"more than {limit} bytes")
    return Content(data, stat.S_IMODE(found.st_mode))


class Snapshot:
    """The files as they were when they were read first.

    Whole contents are compared, because a time stamp and a size can stay the same over a change.

    Args:
        given: contents that count instead of those on the disk, e.g. of a file that is about to be written.
    """

    def __init__(self, given: Mapping[Path, Content] | None = None) -> None:
        self._given = dict(given or {})
        self._read: dict[tuple[Path, int], Content | ReadError] = {}

    def read(self, path: Path, limit: int) -> Content | ReadError:
        """Return what a file holds, or why it can't be read, e.g. because it has more than ``limit`` bytes."""
        if path in self._given:
            return self._given[path]
        return self._read.setdefault((path, limit), _read_or_error(path, limit))

    def is_unchanged(self) -> bool:
        """Return whether every file is as it was read."""
        return all(_read_or_error(*asked) == seen for asked, seen in self._read.items())


def _read_or_error(path: Path, limit: int) -> Content | ReadError:
    try:
        return read_bounded(path, limit)
    except OSError as error:
        return ReadError(isinstance(error, (FileNotFoundError, NotADirectoryError)), str(error.strerror))
