"""Letters that a printer's code page lacks.

A letter that the code page has stays; a space that it lacks is a plain one. Else the table below gives its nearest,
step by step until the code page has it (Қ becomes К in cp866, and K in ASCII); else it loses its marks (ş becomes s);
else it is shown by its number, ``[U+4E2D]``. It never becomes a silent question mark.
"""

from __future__ import annotations

import unicodedata

from slips.characters import visible

_MOST_REMEMBERED = 4096

# Uzbek, Karakalpak, Kazakh, Tajik and other Cyrillic letters beyond the Russian ones, to the nearest Russian letter.
_CYRILLIC = {
    "Қ": "К", "қ": "к", "Ғ": "Г", "ғ": "г", "Ҳ": "Х", "ҳ": "х", "Ў": "У", "ў": "у", "Ӯ": "У", "ӯ": "у",
    "Ҷ": "Ч", "ҷ": "ч", "Ӣ": "И", "ӣ": "и", "Ң": "Н", "ң": "н", "Ө": "О", "ө": "о", "Ү": "У", "ү": "у",
    "Ұ": "У", "ұ": "у", "Һ": "Х", "һ": "х", "Ә": "А", "ә": "а", "І": "И", "і": "и", "Ї": "И", "ї": "и",
    "Є": "Е", "є": "е", "Ґ": "Г", "ґ": "г", "Ё": "Е", "ё": "е", "Ҡ": "К", "ҡ": "к", "Ҫ": "С", "ҫ": "с",
    "Ҙ": "З", "ҙ": "з", "Җ": "Ж", "җ": "ж", "Ј": "Й", "ј": "й",
}  # fmt: skip

# Russian letters to Latin ones, for a code page that has no Cyrillic.
_RUSSIAN = {
    "А": "A", "Б": "B", "В": "V", "Г": "G", "Д": "D", "Е": "E", "Ж": "Zh", "З": "Z", "И": "I", "Й": "Y", "К": "K",
    "Л": "L", "М": "M", "Н": "N", "О": "O", "П": "P", "Р": "R", "С": "S", "Т": "T", "У": "U", "Ф": "F", "Х": "Kh",
    "Ц": "Ts", "Ч": "Ch", "Ш": "Sh", "Щ": "Shch", "Ъ": '"', "Ы": "Y", "Ь": "'", "Э": "E", "Ю": "Yu", "Я": "Ya",
}  # fmt: skip

# Latin letters that no decomposition takes apart, the Uzbek apostrophes, and signs of print.
_LATIN_AND_SIGNS = {
    "ʻ": "'", "ʼ": "'", "‘": "'", "’": "'", "‛": "'", "′": "'", "´": "'", "ʹ": "'", "‚": "'",
    "“": '"', "”": '"', "„": '"', "‟": '"', "«": '"', "»": '"', "‹": "'", "›": "'", "″": '"',
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-",
    "…": "...", "•": "*", "·": "*", "×": "x", "÷": "/", "⁄": "/", "№": "No", "§": "par.", "¦": "|",
    "ı": "i", "ß": "ss", "ẞ": "SS", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D",
    "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "Th", "ə": "a", "Ə": "A", "ŋ": "n", "Ŋ": "N",
    "€": "EUR", "₽": "RUB", "₸": "KZT", "£": "GBP", "¥": "JPY", "©": "(c)", "®": "(R)", "°": "o",
}  # fmt: skip

_NEAREST = {
    **_CYRILLIC,
    **_RUSSIAN,
    **{letter.lower(): latin.lower() for letter, latin in _RUSSIAN.items()},
    **_LATIN_AND_SIGNS,
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
    """The letters of one code page: a table for ``str.translate`` that fills itself.

    Args:
        encoding: name of a codec, such as ``cp866``.

    Raises:
        ValueError: ``encoding`` is not a code page for slips.
    """

    def __init__(self, encoding: str) -> None:
        if not is_slip_encoding(encoding):
            message = (
                f"slip encoding {encoding!r}: no such code page; allowed are single-byte ones such as cp866, and utf-8"
            )
            raise ValueError(message)
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
