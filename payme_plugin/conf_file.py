"""Reads ``payme.go.conf``: bytes in, values with their line numbers and every fault out.

The lines are scanned here rather than by ``configparser``, which names the first fault only, knows no line of a value,
and glues an indented line to the value above it: an indented ``timeout = 5`` would silently become part of a key.

A file is UTF-8, with or without a byte order mark. One that is not is read as Windows-1251, which is what editors on
Windows leave in Russian comments. Lines end with LF, CRLF or CR.
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = [
    "ACCOUNT",
    "MAX_FILE_BYTES",
    "MAX_LINES",
    "SECTION",
    "UTF_8",
    "ConfFault",
    "ConfFile",
    "ConfValue",
    "Content",
    "ReadError",
    "Snapshot",
    "encoding_of",
    "parse",
    "read_bounded",
    "unquoted",
]

SECTION = "Main"
"""The section of the settings."""

ACCOUNT = "Account "
"""What begins the name of the section of a former merchant account; its posId follows."""

MAX_FILE_BYTES = 65_536
"""A settings file with every setting and its comments takes a tenth of this."""

MAX_LINES = 1_000
"""A fault is looked up and told for every line: their number bounds the time and the text."""

UTF_8 = "utf-8"
"""The encoding of a settings file; a byte order mark at its beginning is no part of the text."""

_LINE_END = re.compile(r"\r\n|\n|\r")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Content:
    """What a file held when it was looked at.

    Attributes:
        data: its bytes; they may hold a key, so they are in no repr.
        mode: its permission bits.
    """

    data: bytes = field(repr=False)
    mode: int


@dataclass(frozen=True, slots=True)
class ConfValue:
    """A value of the section ``[Main]``.

    Attributes:
        text: the value without the blanks and quotation marks around it; it may be the key, so it is in no repr.
        line: its line, counted from 1.
    """

    text: str = field(repr=False)
    line: int


@dataclass(frozen=True, slots=True)
class ConfFault:
    """A line, or the whole file, that can't be read.

    Attributes:
        line: the line, counted from 1; None where the whole file is meant.
        key: the name that the line gives, as written; None where it gives none. It may be a piece of the kassa's key
            that was pasted without its name, or broken over two lines, so it is in no repr.
        explanation: what is wrong and what is allowed, without a capital and a full stop. It quotes no line: any line
            may hold a part of the key.
    """

    line: int | None
    key: str | None = field(repr=False)
    explanation: str


@dataclass(frozen=True, slots=True)
class ConfFile:
    """What a settings file says.

    Attributes:
        values: the values of ``[Main]`` by their names as written; of a name given twice, the first.
        faults: everything that can't be read, in the order of the lines.
        accounts: the values of each section ``[Account <posId>]``, by posId and name.
    """

    values: Mapping[str, ConfValue] = field(repr=False)
    faults: tuple[ConfFault, ...]
    accounts: Mapping[str, Mapping[str, ConfValue]] = field(default_factory=dict, repr=False)


def read_bounded(path: Path, limit: int) -> Content:
    """Return the bytes and the mode of a regular file; never wait for a pipe or device to say something.

    Raises:
        OSError: it can't be read, is no regular file (``EINVAL``), or holds more than ``limit`` bytes (``EFBIG``).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"more than {limit} bytes")
    return Content(data, stat.S_IMODE(facts.st_mode))


def unquoted(text: str) -> str | None:
    """Return a value without the blanks and the double quotes around it; None where one of the two quotes is missing.

    Nothing inside is special: ``""a"`` is ``"a``.
    """
    text = text.strip()
    quotes = text.startswith('"') + text.endswith('"')
    if quotes == 0:
        return text
    return text[1:-1] if quotes == 2 and len(text) > 1 else None  # noqa: PLR2004 - one at each end


def parse(data: bytes) -> ConfFile:
    """Read a settings file. Nothing in it raises: what can't be read is a fault of the result."""
    if data.startswith(_UTF_16):
        return ConfFile({}, (ConfFault(None, None, "it is UTF-16; save it as UTF-8"),))
    encoding = encoding_of(data)
    bare = data.removeprefix(codecs.BOM_UTF8) if encoding == UTF_8 else data
    lines = _LINE_END.split(bare.decode(encoding, errors="replace"))
    if len(lines) > MAX_LINES:
        return ConfFile({}, (ConfFault(None, None, f"it has {len(lines)} lines; allowed are {MAX_LINES}"),))
    return _Scanner().scan(lines)


def encoding_of(data: bytes) -> str:
    """Return the encoding that a settings file is read with, by Python's name: ``UTF_8``, else Windows-1251."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return "cp1251"
    return UTF_8


class _Scanner:
    """One pass over the lines."""

    def __init__(self) -> None:
        self._section: str | None = None
        self._main_line: int | None = None
        self._homeless = False
        self._values: dict[str, ConfValue] = {}
        self._accounts: dict[str, dict[str, ConfValue]] = {}

    def scan(self, lines: list[str]) -> ConfFile:
        faults = tuple(
            fault for number, line in enumerate(lines, start=1) for fault in self._line(number, line.strip())
        )
        return ConfFile(self._values, faults, self._accounts)

    def _line(self, number: int, line: str) -> Iterator[ConfFault]:
        if not line or line.startswith((";", "#")):
            return
        if line.startswith("[") and line.endswith("]"):
            yield from self._header(number, line[1:-1].strip())
            return
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or not name:
            yield ConfFault(
                number, None, "allowed are a section, 'name = value', and comments that begin with ';' or '#'"
            )
            return
        yield from self._value(number, name, value)

    def _header(self, number: int, section: str) -> Iterator[ConfFault]:
        self._section = section
        if section != SECTION:
            return
        if self._main_line is not None:
            yield ConfFault(
                number, None, f"section [{SECTION}] began on line {self._main_line} already; allowed is one"
            )
        else:
            self._main_line = number

    def _value(self, number: int, name: str, value: str) -> Iterator[ConfFault]:
        if self._section is None and not self._homeless:
            self._homeless = True
            yield ConfFault(number, name, f"it stands in no section; write [{SECTION}] on a line above it")
        values = self._values
        if self._section is not None and self._section.startswith(ACCOUNT):
            values = self._accounts.setdefault(self._section.removeprefix(ACCOUNT).strip(), {})
        elif self._section not in {None, SECTION}:
            yield ConfFault(number, name, f"it stands in another section; allowed is [{SECTION}] alone")
            return
        if name in values:
            yield ConfFault(number, name, f"it stands on line {values[name].line} already; allowed is one")
            return
        text = unquoted(value)
        if text is None:
            yield ConfFault(
                number, name, "a quotation mark lacks its partner; allowed is a value between two '\"' or without any"
            )
            return
        values[name] = ConfValue(text, number)


@dataclass(frozen=True, slots=True)
class ReadError:
    """Why a file can't be read.

    Attributes:
        missing: there is no such file.
        explanation: why, in the system's words.
    """

    missing: bool
    explanation: str


class Snapshot:
    """What was read from files, to find out later whether they have changed.

    Whole contents are compared, because a time stamp and a size can stay the same over a change.
    """

    def __init__(self) -> None:
        self._read: dict[tuple[Path, int], Content | ReadError] = {}
        self._there: dict[Path, bool] = {}

    def read(self, path: Path, limit: int) -> Content | ReadError:
        """Return what a file holds, or why it can't be read, e.g. because it has more than ``limit`` bytes."""
        return self._read.setdefault((path, limit), _read_or_error(path, limit))

    def is_there(self, path: Path) -> bool:
        """Return whether ``path`` names a file."""
        return self._there.setdefault(path, _is_there(path))

    def is_unchanged(self) -> bool:
        """Return whether every file is as it was read."""
        return all(_read_or_error(*asked) == seen for asked, seen in self._read.items()) and all(
            _is_there(path) is seen for path, seen in self._there.items()
        )


def _read_or_error(path: Path, limit: int) -> Content | ReadError:
    try:
        return read_bounded(path, limit)
    except (FileNotFoundError, NotADirectoryError) as error:
        return ReadError(missing=True, explanation=str(error.strerror))
    except OSError as error:
        return ReadError(missing=False, explanation=str(error.strerror))


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
