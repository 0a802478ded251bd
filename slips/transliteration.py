"""Replace letters that a printer's code page lacks.

A letter that the code page has stays. A space that it lacks becomes a plain space. Any other letter is replaced by the
table below, step by step until the code page has the result (Қ becomes К in cp866, and K in ASCII). A letter that is
not in the table loses its marks (ş becomes s), or becomes its number, ``[U+4E2D]``. It never becomes a question mark.
"""

from __future__ import annotations

import unicodedata

from slips.characters import visible

_MOST_REMEMBERED = 4096

# Capital letters; small letters are derived. Letters that only lose their marks (Ў, Ӣ, Ё) need no entry.
_CAPITALS = {
    # Uzbek, Karakalpak, Kazakh, Tajik and other Cyrillic letters to the nearest Russian one.
    "Қ": "К", "Ғ": "Г", "Ҳ": "Х", "Ҷ": "Ч", "Ң": "Н", "Ө": "О", "Ү": "У", "Ұ": "У", "Һ": "Х", "Ә": "А", "І": "И",
    "Є": "Е", "Ґ": "Г", "Ҡ": "К", "Ҫ": "С", "Ҙ": "З", "Җ": "Ж", "Ј": "Й",
    # Russian letters to Latin ones, for a code page that has no Cyrillic.
    "А": "A", "Б": "B", "В": "V", "Г": "G", "Д": "D", "Е": "E", "Ж": "Zh", "З": "Z", "И": "I", "Й": "Y", "К": "K",
    "Л": "L", "М": "M", "Н": "N", "О": "O", "П": "P", "Р": "R", "С": "S", "Т": "T", "У": "U", "Ф": "F", "Х": "Kh",
    "Ц": "Ts", "Ч": "Ch", "Ш": "Sh", "Щ": "Shch", "Ъ": '"', "Ы": "Y", "Ь": "'", "Э": "E", "Ю": "Yu", "Я": "Ya",
    # Latin letters that have no decomposition.
    "Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Æ": "AE", "Œ": "OE", "Þ": "Th", "Ə": "A", "Ŋ": "N",
}  # fmt: skip

# The Uzbek apostrophes, other small letters, and signs of print.
_SMALL_AND_SIGNS = {
    "ʻ": "'", "ʼ": "'", "‘": "'", "’": "'", "‛": "'", "′": "'", "´": "'", "ʹ": "'", "‚": "'",
    "“": '"', "”": '"', "„": '"', "‟": '"', "«": '"', "»": '"', "‹": "'", "›": "'", "″": '"',
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "ı": "i", "ß": "ss", "ẞ": "SS",
    "•": "*", "·": "*", "×": "x", "÷": "/", "⁄": "/", "§": "par.", "¦": "|",
    "€": "EUR", "₽": "RUB", "₸": "KZT", "£": "GBP", "¥": "JPY", "©": "(c)", "®": "(R)", "°": "o",
}  # fmt: skip

_NEAREST = {
    **_CAPITALS,
    **{letter.lower(): nearest.lower() for letter, nearest in _CAPITALS.items()},
    **_SMALL_AND_SIGNS,
}

_ASCII = "".join(map(chr, range(0x20, 0x7F)))


def is_slip_encoding(name: str) -> bool:
    """Return whether ``name`` is a code page for slips: it keeps ASCII as it is and has no escape sequences."""
    try:
        if _ASCII.encode(name) != _ASCII.encode("ascii"):
            return False
    except (LookupError, ValueError, TypeError):  # since Python 3.13 idna raises UnicodeEncodeError, a ValueError
        return False
    try:
        return not "Я".encode(name).isascii()
    except UnicodeEncodeError:  # a code page without Cyrillic
        return True


class Alphabet(dict[int, str]):
    """The letters of one code page, as a table for ``str.translate`` that is filled on demand.

    Args:
        encoding: name of a codec, such as ``cp866``.

    Raises:
        ValueError: ``encoding`` is not a code page for slips.
    """

    def __init__(self, encoding: str) -> None:
        if not is_slip_encoding(encoding):
            raise ValueError(
                f"slip encoding {encoding!r}: no such code page; use a single-byte one, e.g. cp866, or utf-8"
            )
        super().__init__()
        self._encoding = encoding

    def spell(self, text: str) -> str:
        """Return ``text`` in letters of the code page only."""
        if text.isascii() or self._has(text):
            return text
        return text.translate(self)

    def __missing__(self, code: int) -> str:
        spelled = self._spell_letter(chr(code))
        if len(self) < _MOST_REMEMBERED:
            self[code] = spelled
        return spelled

    def _has(self, text: str) -> bool:
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            return False
        return True

    def _spell_letter(self, letter: str) -> str:
        if self._has(letter):
            return letter
        nearest = _NEAREST.get(letter)
        if unicodedata.category(letter) == "Zs":
            nearest = " "
        if nearest is None:
            decomposed = unicodedata.normalize("NFKD", letter)
            nearest = "".join(c for c in decomposed if not unicodedata.combining(c))
            if nearest == letter or not nearest.strip():
                return "" if unicodedata.combining(letter) else visible(letter)
        return "".join(map(self._spell_letter, nearest))
