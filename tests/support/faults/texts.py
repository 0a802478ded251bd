"""Texts as no program expects them: for the names of goods, tills and payments."""

from __future__ import annotations

from hypothesis import strategies as st

_LONGEST_SHOWN = 200

HOSTILE_TEXTS = (
    "",
    " \t\u00a0a  b\u00a0\t ",
    "\x00",
    "a\x00b",
    "\ud800",
    "\x1b[2J\x1b]0;x\x07",
    "\u202eevil",
    "a\r\nb\u2028c\u2029d",
    "'; DROP TABLE payment; --",
    "{till}{0}{__class__}",
    "%s%n%(x)s",
    "]]><x>&amp;&x;",
    "../../etc/passwd",
    "a\u0301" * 40,
    "商" * 40,
    "🂡" * 300,
    "x" * 20_000,
)

ANY_TEXT = st.sampled_from(HOSTILE_TEXTS) | st.text(st.characters(exclude_categories=[]), max_size=60)
"""Any letters at all: control characters, half characters and unassigned ones among them."""


def on_the_screen(text: str) -> str:
    """Return a text as a message to the cashier quotes it: what can't be printed is a blank, runs of blanks are one."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= _LONGEST_SHOWN else f"{line[: _LONGEST_SHOWN - 1]}…"


def on_the_wire(text: str) -> str:
    """Return a text as the server gets it: half characters are question marks, everything else is as it was."""
    return "".join("?" if "\ud800" <= letter <= "\udfff" else letter for letter in text)


def storable(text: str) -> bool:
    """Say whether a text has a form in UTF-8: a half character has none, and no disk can keep it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
