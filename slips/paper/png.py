"""Writes a PNG of few colours (https://www.w3.org/TR/png/) with the standard library."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Colour", "write_png"]

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHT_BITS, _PALETTE = 8, 3
_UP = b"\x02"
_METRE = 1


def write_png(rows: Sequence[bytes], colours: Sequence[Colour], dots_per_metre: int) -> bytes:
    """Return a PNG.

    Args:
        rows: its rows, all as long as the first one; each byte is the place of a colour in ``colours``.
        colours: at most 256.
        dots_per_metre: so that a printed picture is as large as the thing.
    """
    width, height = len(rows[0]), len(rows)
    header = struct.pack(">IIBBBBB", width, height, _EIGHT_BITS, _PALETTE, 0, 0, 0)
    size = struct.pack(">IIB", dots_per_metre, dots_per_metre, _METRE)
    # Each row is written as its difference from the one above: most rows are the same as that.
    above = bytes(width)
    lines = []
    for row in rows:
        lines.append(_UP + (bytes(width) if row == above else _difference(row, above)))
        above = row
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", b"".join(map(bytes, colours))),
            _chunk(b"pHYs", size),
            _chunk(b"IDAT", zlib.compress(b"".join(lines), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _difference(row: bytes, above: bytes) -> bytes:
    return bytes([(new - old) & 0xFF for new, old in zip(row, above, strict=True)])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
