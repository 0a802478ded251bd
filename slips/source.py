"""XML from a file, read as if an enemy had written it, with the place of everything in it.

A document type declaration, and so every entity, is refused where it begins; nothing is ever fetched; size, depth,
elements and runs of text are bounded.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from xml.etree import ElementTree as ET

from slips.errors import SlipError, TemplateError, TemplateFault

__all__ = ["MAX_BYTES", "XML_SPACES", "Place", "Position", "Source", "read_xml"]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_ELEMENTS = 1000
MAX_RUNS = 10_000

XML_SPACES = " \t\r\n"
"""What is white space to XML; a no-break space is text."""

_TAG_START = re.compile(r"<[^ \t\r\n/>]+")
_ATTRIBUTE = re.compile(r"[ \t\r\n]+([^ \t\r\n=/>]+)[ \t\r\n]*=[ \t\r\n]*(?:\"([^\"]*)\"|'([^']*)')")
_NAMESPACE = re.compile(r"xmlns(?::.*)?")
_CHARACTER_OF_VALUE = re.compile(r"&[^;]*;|\r\n|.", re.DOTALL)
_LINE_BREAK = re.compile(r"\r\n?|\n")
_WIDE_ENCODINGS = (
    (b"\xff\xfe", "utf-16-le"),
    (b"<\0", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\0<", "utf-16-be"),
)

Position = tuple[int, int]
"""Line and column, both from 1."""


@dataclass(frozen=True)
class AttributePlace:
    """Where an attribute stands in the file.

    Attributes:
        start: where its name begins.
        value: where its value begins.
        written: its value as it is written, with references and line breaks.
    """

    start: Position
    value: Position
    written: str

    def of_value(self, offset: int) -> Position:
        """Return where the character at ``offset`` of the value, as the parser gives it, stands."""
        characters = islice(_CHARACTER_OF_VALUE.finditer(self.written), offset)
        return _advanced(self.value, "".join([found[0] for found in characters]))


@dataclass
class Place:
    """Where an element and its parts stand in the file.

    Attributes:
        start: where the element begins.
        attributes: the place of each attribute, by name, where it is known.
        pieces: the runs of its text: offset in the whole text, and place.
    """

    start: Position
    attributes: dict[str, AttributePlace] = field(default_factory=dict)
    pieces: list[tuple[int, Position]] = field(default_factory=list)

    def of_attribute(self, name: str) -> Position:
        """Return where an attribute begins, or the element where that isn't known."""
        attribute = self.attributes.get(name)
        return attribute.start if attribute else self.start

    def of_value(self, name: str, offset: int) -> Position:
        """Return where the character at ``offset`` of an attribute's value stands, or the element."""
        attribute = self.attributes.get(name)
        return attribute.of_value(offset) if attribute else self.start

    def of_text(self, offset: int) -> Position:
        """Return where the character at ``offset`` of the element's text stands."""
        index = bisect_right([begin for begin, _ in self.pieces], offset) - 1
        if index < 0:
            return self.start
        begin, (line, column) = self.pieces[index]
        return (line, column + offset - begin)


@dataclass(frozen=True)
class Source:
    """A document and its places.

    Attributes:
        root: the root element.
        places: the place of every element.
        loose_text: places of text that stands between elements.
    """

    root: ET.Element
    places: dict[ET.Element, Place]
    loose_text: tuple[Position, ...]


class _Tree:
    """Builds plain elements for the defused parser and notes where each stands."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._open: list[ET.Element] = []
        self._root: ET.Element | None = None
        self._declared: str | None = None
        self._run: list[str] = []
        self._run_length = 0
        self._runs = 0
        self.expat: Any = None
        self.places: dict[ET.Element, Place] = {}
        self.loose_text: list[Position] = []

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self._declared = encoding

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        position = self._position()
        self._keep_text()
        if len(self._open) >= MAX_DEPTH:
            raise _refusal(position, f"elements are nested more than {MAX_DEPTH} deep")
        if len(self.places) >= MAX_ELEMENTS:
            raise _refusal(position, f"there are more than {MAX_ELEMENTS} elements")
        element = ET.Element(tag, attributes)
        if self._open:
            self._open[-1].append(element)
        else:
            self._root = element
        self._open.append(element)
        self.places[element] = Place(position, self._attribute_places(attributes, position) if attributes else {})

    def end(self, _tag: str) -> None:
        self._keep_text()
        self._open.pop()

    def data(self, text: str) -> None:
        self._runs += 1
        if self._runs > MAX_RUNS:
            raise _refusal(self._position(), f"there are more than {MAX_RUNS} lines and references")
        parent = self._open[-1]
        if not len(parent):
            self.places[parent].pieces.append((self._run_length, self._position()))
        elif text.strip(XML_SPACES):
            self.loose_text.append(self._position())
        self._run.append(text)
        self._run_length += len(text)

    def _keep_text(self) -> None:
        """Give the text that has come since the last tag to the element that it stands in, or behind."""
        if self._run:
            parent = self._open[-1]
            text = "".join(self._run)
            if len(parent):
                parent[-1].tail = text
            else:
                parent.text = text
            self._run.clear()
            self._run_length = 0

    def close(self) -> ET.Element | None:
        return self._root

    def _position(self) -> Position:
        return (self.expat.CurrentLineNumber, self.expat.CurrentColumnNumber + 1)

    def _attribute_places(self, names: dict[str, str], start: Position) -> dict[str, AttributePlace]:
        """Find the attributes of the tag that the parser has just read, which expat itself doesn't place."""
        places: list[AttributePlace] = []
        tag = self._tag()
        begin = _TAG_START.match(tag)
        at = begin.end() if begin else len(tag)
        position = _advanced(start, tag[:at])
        while found := _ATTRIBUTE.match(tag, at):
            value = 2 if found[2] is not None else 3
            begins = _advanced(position, tag[at : found.start(1)])
            value_begins = _advanced(begins, tag[found.start(1) : found.start(value)])
            position = _advanced(value_begins, tag[found.start(value) : found.end()])
            at = found.end()
            if not _NAMESPACE.fullmatch(found[1]):
                places.append(AttributePlace(begins, value_begins, found[value]))
        # The parser names an attribute with a prefix by its namespace, but keeps the order of the file.
        return dict(zip(names, places, strict=True)) if len(names) == len(places) else {}

    def _tag(self) -> str:
        """Return the tag that the parser has just read as it is written."""
        encoding = next((wide for mark, wide in _WIDE_ENCODINGS if self._text.startswith(mark)), None)
        encoding = encoding or self._declared or "utf-8"
        begin = self.expat.CurrentByteIndex
        # No value of an attribute holds this sign as it is.
        end = self._text.find("<".encode(encoding), begin + 1)
        return self._text[begin : end if end > 0 else None].decode(encoding, "replace")


def _advanced(position: Position, text: str) -> Position:
    """Return the place behind ``text``, which begins at ``position``."""
    line, column = position
    *lines, last = _LINE_BREAK.split(text)
    return (line + len(lines), len(last) + (1 if lines else column))


def _refusal(position: Position, reason: str) -> TemplateError:
    return TemplateError("", (TemplateFault(*position, reason),))


def read_xml(text: bytes) -> Source:
    """Return the document in ``text``.

    Raises:
        TemplateError: with one fault: no XML, too large, too deep, or with a document type declaration.
        SlipError: defusedxml is missing.
    """
    try:
        from defusedxml import DefusedXmlException  # noqa: PLC0415 - the caller of SlipRenderer decides when it is imported
        from defusedxml.ElementTree import DefusedXMLParser  # noqa: PLC0415
    except ImportError as error:
        message = f"defusedxml can't be imported: {error}"
        raise SlipError(message) from error

    if len(text) > MAX_BYTES:
        raise TemplateError("", (TemplateFault(0, 0, f"the file is larger than {MAX_BYTES // 1024} KiB"),))
    tree = _Tree(text)
    parser: Any = DefusedXMLParser(target=tree, forbid_dtd=True)
    # Without buffering every run of text comes by itself, while the parser still stands at its place.
    parser.parser.buffer_text = False
    tree.expat = parser.parser
    tree.expat.XmlDeclHandler = tree.declaration
    try:
        parser.feed(text)
        root = parser.close()
    except ET.ParseError as error:
        line, column = error.position
        raise _refusal((line, column + 1), f"this is no well-formed XML: {_without_place(error)}") from None
    except DefusedXmlException:
        position = (tree.expat.CurrentLineNumber, tree.expat.CurrentColumnNumber + 1)
        raise _refusal(position, "a document type declaration or an entity is not allowed") from None
    except (LookupError, ValueError) as error:
        raise _refusal((1, 1), f"the encoding in the XML declaration can't be read: {error}") from None
    return Source(root, tree.places, tuple(tree.loose_text))


def _without_place(error: ET.ParseError) -> str:
    return str(error).partition(": line ")[0]
