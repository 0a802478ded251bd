"""Read XML from an untrusted file, with the line and column of everything in it.

Document type declarations, and so entities, are refused. Nothing is ever fetched. Size, depth, elements and runs of
text are limited.
"""

from __future__ import annotations

import codecs
import re
import zipfile
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from slips.errors import SlipError, TemplateError, TemplateFault
from slips.transliteration import is_slip_encoding

if TYPE_CHECKING:
    from importlib.abc import Traversable

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_ELEMENTS = 1000
MAX_RUNS = 10_000

XML_SPACES = " \t\r\n"
"""What is white space to XML; a no-break space is text."""

_ATTRIBUTE = re.compile(r"[ \t\r\n]([^ \t\r\n=\"'/>]+)[ \t\r\n]*=[ \t\r\n]*(?:\"[^\"]*\"|'[^']*')")
_LINE_BREAK = re.compile(r"\r\n?|\n")
_DECLARED_ENCODING = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
_FIRST_BYTES = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_RUSSIAN_ENCODINGS = ("windows-1251", "cp866", "koi8-r")
_FREQUENT = "оеаинтсрвлОЕАИНТСРВЛ"
_UNLIKELY = re.compile("[а-яё][А-ЯЁ]|[^\x00-\x7fа-яёА-ЯЁ]")
"""A capital letter after a small one, or a sign that is neither ASCII nor Russian."""

Position = tuple[int, int]
"""Line and column, both from 1."""


@dataclass
class Place:
    """The position of an element and its parts in the file.

    Attributes:
        start: where the element begins.
        tag: its opening tag and the text after it, as written.
        length: characters of its text.
        runs: the runs of its text: offset in the whole text, and place.
    """

    start: Position
    tag: str
    length: int = 0
    runs: list[tuple[int, Position]] = field(default_factory=list)

    def of_attribute(self, name: str) -> Position:
        """Return where an attribute begins, or the element if it lacks the attribute."""
        local_name = name.rpartition("}")[2]
        for found in _ATTRIBUTE.finditer(self.tag):
            if found[1].rpartition(":")[2] == local_name:
                line, column = self.start
                *lines, last = _LINE_BREAK.split(self.tag[: found.start(1)])
                return (line + len(lines), len(last) + (1 if lines else column))
        return self.start

    def of_text(self, offset: int) -> Position:
        """Return the position of the character at ``offset`` in the element's text."""
        index = bisect_right(self.runs, offset, key=lambda run: run[0]) - 1
        if index < 0:
            return self.start
        begin, (line, column) = self.runs[index]
        return (line, column + offset - begin)


@dataclass(frozen=True)
class Source:
    """A document and its places.

    Attributes:
        root: the root element.
        places: the place of every element.
        loose_text: places of text between elements.
    """

    root: ET.Element
    places: dict[ET.Element, Place]
    loose_text: tuple[Position, ...]


class _Tree(ET.TreeBuilder):
    """Builds the elements and stores the position of each."""

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self._text = text
        self._open: list[ET.Element] = []
        self._runs = 0
        self.expat: Any = None
        self.places: dict[ET.Element, Place] = {}
        self.loose_text: list[Position] = []

    def start(self, tag: str, attributes: dict[str, str], /) -> ET.Element:
        element = super().start(tag, attributes)
        if len(self._open) >= MAX_DEPTH:
            raise _refusal(self.position, "too_deep", limit=MAX_DEPTH)
        if len(self.places) >= MAX_ELEMENTS:
            raise _refusal(self.position, "too_many_elements", limit=MAX_ELEMENTS)
        self._open.append(element)
        # No value of an attribute holds this sign as it is.
        begin = self.expat.CurrentByteIndex
        end = self._text.find(b"<", begin + 1)
        written = self._text[begin : end if end > 0 else None].decode() if attributes else ""
        self.places[element] = Place(self.position, written)
        return element

    def end(self, tag: str, /) -> ET.Element:
        self._open.pop()
        return super().end(tag)

    def data(self, text: str, /) -> None:
        self._runs += 1
        if self._runs > MAX_RUNS:
            raise _refusal(self.position, "too_many_runs", limit=MAX_RUNS)
        parent = self._open[-1]
        if not len(parent):
            place = self.places[parent]
            place.runs.append((place.length, self.position))
            place.length += len(text)
        elif text.strip(XML_SPACES):
            self.loose_text.append(self.position)
        super().data(text)

    @property
    def position(self) -> Position:
        """The parser's position."""
        return (self.expat.CurrentLineNumber, self.expat.CurrentColumnNumber + 1)


def _refusal(position: Position, key: str, **values: object) -> TemplateError:
    return TemplateError("", TemplateFault(*position, key, values))


def read_xml(text: bytes) -> Source:
    """Return the document in ``text``.

    Raises:
        TemplateError: with one fault: not XML, another encoding than declared, too large, too deep, or a document
            type declaration.
        SlipError: defusedxml is missing.
    """
    try:
        from defusedxml import DefusedXmlException  # noqa: PLC0415 - the caller of SlipRenderer decides when
        from defusedxml.ElementTree import DefusedXMLParser  # noqa: PLC0415
    except ImportError as error:
        raise SlipError(f"defusedxml can't be imported: {error}") from error

    if len(text) > MAX_BYTES:
        raise _refusal((0, 0), "file_too_large", limit=MAX_BYTES // 1024)
    text = _as_utf_8(text)
    tree = _Tree(text)
    parser: Any = DefusedXMLParser(target=tree, encoding="utf-8", forbid_dtd=True)
    # Without buffering each run of text is reported by itself, while the parser is still at its place.
    parser.parser.buffer_text = False
    tree.expat = parser.parser
    try:
        parser.feed(text)
        root = parser.close()
    except ET.ParseError as error:
        line, column = error.position
        reason = str(error).partition(": line ")[0]
        raise _refusal((line, column + 1), "not_well_formed", reason=reason) from None
    except DefusedXmlException:
        raise _refusal(tree.position, "doctype") from None
    return Source(root, tree.places, tuple(tree.loose_text))


def _as_utf_8(text: bytes) -> bytes:
    """Return the document in UTF-8, from the encoding that its first bytes or its declaration name."""
    marked = next((name for mark, name in _FIRST_BYTES if text.startswith(mark)), None)
    declared = _DECLARED_ENCODING.match(text)
    encoding = marked or (declared[1].decode() if declared else "utf-8")
    if not (marked or is_slip_encoding(encoding)):
        raise _refusal((1, 1), "encoding_unusable", encoding=encoding)
    try:
        return text.decode(encoding).encode()
    except UnicodeDecodeError as error:
        line_start = text.rfind(b"\n", 0, error.start) + 1
        column = len(text[line_start : error.start].decode(encoding, "replace")) + 1
        position = (text.count(b"\n", 0, error.start) + 1, column)
        likely = _likely_encoding(text)
        if likely is None:
            raise _refusal(position, "other_encoding", encoding=encoding) from None
        declaration = f'<?xml version="1.0" encoding="{likely}"?>'
        values = {"encoding": encoding, "likely": likely, "declaration": declaration}
        raise _refusal(position, "other_encoding_likely", **values) from None


def _likely_encoding(text: bytes) -> str | None:
    """Return the Russian encoding in which a text looks most like words, or None."""
    decoded = {name: text.decode(name, "ignore") for name in _RUSSIAN_ENCODINGS}
    looks = {name: sum(map(each.count, _FREQUENT)) - 3 * len(_UNLIKELY.findall(each)) for name, each in decoded.items()}
    likely = max(looks, key=lambda name: looks[name])
    return likely if looks[likely] > 0 else None


def read_packaged(path: Traversable) -> bytes:
    """Return the content of a file of this package, which may be in a zip.

    Raises:
        SlipError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, zipfile.BadZipFile) as error:
        raise SlipError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
