"""XML from a file, read as if an enemy had written it, with the place of everything in it.

A document type declaration, and so every entity, is refused where it begins; nothing is ever fetched; size, depth and
the number of elements are bounded.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from slips.errors import TemplateError, TemplateFault

__all__ = ["MAX_BYTES", "Place", "Source", "read_xml"]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_ELEMENTS = 1000

_TAG_START = re.compile(rb"<[^\s/>]+")
_ATTRIBUTE = re.compile(rb"\s+([^\s=]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")

Position = tuple[int, int]
"""Line and column, both from 1."""


@dataclass
class Place:
    """Where an element and its parts stand in the file.

    Attributes:
        start: where the element begins.
        attributes: where each attribute begins, by name; the element's own place where that isn't known.
        pieces: the runs of its text: offset in the whole text, and place.
    """

    start: Position
    attributes: dict[str, Position] = field(default_factory=dict)
    pieces: list[tuple[int, Position]] = field(default_factory=list)

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
        self._run: list[str] = []
        self._run_length = 0
        self.expat: Any = None
        self.places: dict[ET.Element, Place] = {}
        self.loose_text: list[Position] = []

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
        self.places[element] = Place(position, self._attribute_places(position) if attributes else {})

    def end(self, _tag: str) -> None:
        self._keep_text()
        self._open.pop()

    def data(self, text: str) -> None:
        parent = self._open[-1]
        if not len(parent):
            self.places[parent].pieces.append((self._run_length, self._position()))
        elif not text.isspace():
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

    def _attribute_places(self, start: Position) -> dict[str, Position]:
        """Find the attributes of the tag that the parser has just read, which expat itself doesn't place."""
        at = self.expat.CurrentByteIndex
        tag = _TAG_START.match(self._text, at)
        if tag is None:
            return {}
        places: dict[str, Position] = {}
        position = _advanced(start, tag[0])
        at = tag.end()
        while found := _ATTRIBUTE.match(self._text, at):
            position = _advanced(position, self._text[at : found.start(1)])
            places[found[1].decode("utf-8", "replace")] = position
            position = _advanced(position, self._text[found.start(1) : found.end()])
            at = found.end()
        return places


def _advanced(position: Position, text: bytes) -> Position:
    """Return the place behind ``text``, which begins at ``position``."""
    line, column = position
    newlines = text.count(b"\n")
    if newlines:
        line, column, text = line + newlines, 1, text[text.rindex(b"\n") + 1 :]
    return (line, column + len(text.decode("utf-8", "replace")))


def _refusal(position: Position, reason: str) -> TemplateError:
    return TemplateError("", (TemplateFault(*position, reason),))


def read_xml(text: bytes) -> Source:
    """Return the document in ``text``.

    Raises:
        TemplateError: with one fault: no XML, too large, too deep, or with a document type declaration.
    """
    from defusedxml import DefusedXmlException  # noqa: PLC0415 - the caller of SlipPress decides when it is imported
    from defusedxml.ElementTree import DefusedXMLParser  # noqa: PLC0415

    if len(text) > MAX_BYTES:
        raise TemplateError("", (TemplateFault(0, 0, f"the file is larger than {MAX_BYTES // 1024} KiB"),))
    tree = _Tree(text)
    parser: Any = DefusedXMLParser(target=tree, forbid_dtd=True)
    # Without buffering every run of text comes by itself, while the parser still stands at its place.
    parser.parser.buffer_text = False
    tree.expat = parser.parser
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
