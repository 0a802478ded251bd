"""Texts as no program expects them: for scanned codes, and the names of goods, tills and payments."""

from __future__ import annotations

from hypothesis import strategies as st

HOSTILE_TEXTS = (
    "",
    " \t\u00a0a  b\u00a0\t ",
    "a\x00b",
    "\ud800",
    "\x1b[2J\x1b]0;x\x07",
    "\u202eevil",
    "a\r\nb\u2028c\u2029d",
    "{till}{0}{__class__}",
    "%s%n%(x)s",
    "]]><x>&amp;&x;",
    "a\u0301" * 40,
    "商" * 40,
    "🂡" * 300,
    "x" * 20_000,
)

ANY_TEXT = st.sampled_from(HOSTILE_TEXTS) | st.text(st.characters(exclude_categories=[]), max_size=60)
"""Any letters at all: control characters, half characters and unassigned ones among them."""


def is_storable(text: str) -> bool:
    """Return whether a text has a form in UTF-8: a half character has none, and no disk can keep it."""
    return text.encode(errors="ignore").decode() == text
