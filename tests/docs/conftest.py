"""The pages as a reader has them: their text, their headings, and their fenced blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from payme_plugin.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = tuple(sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]))
NAMES = tuple(str(page.relative_to(ROOT)) for page in PAGES)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FIXTURES = re.compile(r"<!-- fixtures: ([a-z, ]+) -->\n\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: what stands behind the fence.
        text: what is inside.
        line: the page's line that it begins at.
        fixtures: the names that a comment right above it asks for.
    """

    language: str
    text: str
    line: int
    fixtures: tuple[str, ...]


def read(name: str) -> str:
    """Return a page by its path from the project's folder."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[Block]:
    """Return a page's fenced blocks, in order."""
    text = read(name)
    found = []
    for fence in _FENCE.finditer(text):
        asked = _FIXTURES.search(text[: fence.start()])
        fixtures = tuple(asked[1].split(", ")) if asked else ()
        found.append(Block(fence[1], fence[2], text.count("\n", 0, fence.start()) + 2, fixtures))
    return found


def headings(name: str) -> list[str]:
    """Return a page's headings without their marks; what stands in a fenced block is none."""
    prose = _FENCE.sub("", read(name))
    return [line.lstrip("#").strip() for line in prose.splitlines() if line.startswith("#")]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A PaymeGO on this machine, as the pages' examples expect it."""
    with Sandbox() as running:
        yield running
