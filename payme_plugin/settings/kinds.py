"""What a value may be: each kind turns a text into a checked value, or says what is allowed."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from payme_plugin.secret import Secret
from payme_plugin.settings import urls
from payme_plugin.settings.account import PLACEHOLDERS, pairs_of
from payme_plugin.settings.code_pattern import ALLOWED as PATTERN_ALLOWED
from payme_plugin.settings.code_pattern import code_pattern
from payme_plugin.settings.remarks import UnacceptableError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_VALUE_CHARACTERS", "Kind", "checked_key"]

MAX_VALUE_CHARACTERS = 4_000
"""Longer values are refused before they are looked at."""

_MAX_HEADER_CHARACTERS = 512
_MAX_AFFIX_CHARACTERS = 64
_LAST_LATIN_1 = 0xFF
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_CODE = re.compile(r"-?[0-9]{1,9}")
_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_CODEC_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_ASCII = "".join(map(chr, range(0x20, 0x7F)))
_WIDE = "ЖҚ€中é"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value.

    Attributes:
        allowed: what a value may be, to complete *allowed is ...*.
        read: turns a text into the value; raises ``UnacceptableError``.
    """

    allowed: str
    read: Callable[[str], object]


def optional(kind: Kind) -> Kind:
    """Return ``kind`` with an empty text allowed for *unset*, which is None."""
    return Kind(f"{kind.allowed}, or nothing", lambda text: kind.read(text) if text else None)


def whole(low: int, high: int, unit: str = "") -> Kind:
    """Return the kind of whole numbers from ``low`` to ``high``."""
    allowed = f"a whole number{' of ' + unit if unit else ''} from {low} to {high}"

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            raise UnacceptableError(f"allowed is {allowed}")
        return int(text)

    return Kind(allowed, read)


def one_of(*words: str) -> Kind:
    """Return the kind of a few fixed words."""
    allowed = f"one of {', '.join(words)}"

    def read(text: str) -> str:
        if text not in words:
            raise UnacceptableError(f"allowed is {allowed}")
        return text

    return Kind(allowed, read)


def _switch(text: str) -> bool:
    value = _SWITCH.get(text.lower())
    if value is None:
        raise UnacceptableError(f"allowed is {SWITCH.allowed}")
    return value


def _codes(text: str) -> frozenset[int]:
    if text in {"", "."}:
        return frozenset()
    words = re.split(r"\s*,\s*|\s+", text)
    if not all(map(_CODE.fullmatch, words)):
        raise UnacceptableError(f"allowed is {CODES.allowed}")
    return frozenset(map(int, words))


def _header_text(text: str) -> str:
    """Check a half of the header ``X-Auth``."""
    if not text or len(text) > _MAX_HEADER_CHARACTERS:
        raise UnacceptableError(f"allowed are 1 to {_MAX_HEADER_CHARACTERS} characters")
    if text != text.strip():
        raise UnacceptableError("blanks at its ends are not allowed: no HTTP header keeps them")
    for position, letter in enumerate(text, start=1):
        if ord(letter) > _LAST_LATIN_1 or not (letter.isprintable() or letter in "\xa0\xad"):
            raise UnacceptableError(f"its character {position} can't go into an HTTP header; allowed is Latin-1 text")
    return text


def checked_key(text: str) -> Secret:
    """Return the kassa's key, whole.

    Raises:
        UnacceptableError: it can't go into an HTTP header; the text does not repeat it.
    """
    return Secret(_header_text(text))


def _kassa_id(text: str) -> str:
    if ":" in text:
        raise UnacceptableError("a colon is not allowed: in the header X-Auth it ends the id")
    return _header_text(text)


def _path(text: str) -> Path:
    if not text.startswith("/"):
        raise UnacceptableError(f"allowed is {PATH.allowed}")
    return Path(text)


def _account(text: str) -> str:
    pairs_of(text)
    return text


def _affix(text: str) -> str:
    if len(text) > _MAX_AFFIX_CHARACTERS:
        raise UnacceptableError(f"allowed is {AFFIX.allowed}")
    return text


def _single_byte_codec(text: str) -> str:
    """Check a printer's code page: one byte a letter, ASCII where it is in ASCII."""
    try:
        if not _CODEC_NAME.fullmatch(text):
            raise LookupError
        name = codecs.lookup(text).name
        usable = _ASCII.encode(name) == _ASCII.encode("ascii") and all(
            len(letter.encode(name, "ignore")) <= 1 for letter in _WIDE
        )
    except (LookupError, ValueError):
        usable = False
    if not usable:
        raise UnacceptableError(f"allowed is {CODEC.allowed}")
    return name


SWITCH = Kind("1 or 0 (true or false, yes or no, on or off)", _switch)
CODES = Kind("error codes with commas between them, -31400, -31101 say, or nothing", _codes)
KASSA_ID = Kind("the kassa's id: Latin-1 text without a colon", _kassa_id)
KASSA_KEY = Kind("the kassa's key: Latin-1 text", checked_key)
PATH = Kind("a path from the root, /etc/payme/file say", _path)
ACCOUNT = Kind(
    f"pairs name=value with commas between them; in a value {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}",
    _account,
)
CODEC = Kind("a code page with one byte a letter, cp866 say", _single_byte_codec)
AFFIX = Kind(f"at most {_MAX_AFFIX_CHARACTERS} characters, or nothing", _affix)
PATTERN = Kind(PATTERN_ALLOWED, code_pattern)
SERVER = Kind(urls.SERVER_ALLOWED, urls.server_address)
PROXY = Kind(urls.PROXY_ALLOWED, urls.proxy_address)
QUEUE = Kind(urls.QUEUE_ALLOWED, urls.queue_address)
