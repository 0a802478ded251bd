"""Settings files as hands and editors leave them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from payme_plugin.settings import Places

NOWHERE = Places(Path("/nowhere/payme.go.conf"), Path("/nowhere/payme.xml"))
"""A till without files of its own."""

ENDS = st.sampled_from(["\n", "\r\n", "\r"])

_LATIN_1 = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"])
KEYS = st.text(_LATIN_1, min_size=1, max_size=60).filter(lambda text: text == text.strip())
"""Any key that a line of a file can hold."""


def in_bytes(lines: list[str], end: str, encoding: str) -> bytes:
    """Return the bytes of a settings file."""
    return end.join([*lines, ""]).encode(encoding)
