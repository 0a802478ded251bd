"""What a value may be: each kind turns a text into a checked value, or says what is allowed."""

from __future__ import annotations

import codecs
import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from payme_plugin.conf_file import UnacceptableError
from payme_plugin.locale import Message, message
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_VALUE_CHARACTERS = 4_000
_MAX_HEADER_CHARACTERS = 512
_MAX_AFFIX_CHARACTERS = 64
_MAX_PATTERN_CHARACTERS = 200
_MAX_CODE_CHARACTERS = 256
_MAX_WAYS = 2**24
_LAST_LATIN_1 = 0xFF
_MAX_ADDRESS_CHARACTERS = 2_000
_HTTP_PORT = 80
_PRINTABLE_ASCII = re.compile(r"[!-~]+")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_PASSWORD = re.compile(r"^([A-Za-z]*://)?.*@", re.DOTALL)
_UNFIT = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_CODE = re.compile(r"-?[0-9]{1,9}")
_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_CODEC_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_ASCII = "".join(map(chr, range(0x20, 0x7F)))
_WIDE = "ЖҚ€中é"
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_PLACEHOLDER = re.compile(r"\{(till|shift|number|attempt)\}")
_TILL_APART = re.compile(r"(?<![0-9}])\{till\}(?![0-9{])")
# A character class or an escape: what matches one letter.
_LETTER = r"\\[^0-9]|\[\^?\]?(?:\\.|[^\]\\\[])*\]"
_ATOM = re.compile(rf"\(\?[:=!]|\{{[0-9,]*\}}|({_LETTER}|[^()|*+?{{}}])")
# Flags, which must stand at the beginning, and what Python warns of in classes.
_UNUSUAL = re.compile(r"\(\?[A-Za-z]+\)|--|&&|~~|\|\|")
_BEFORE, _AFTER = rf"(?=[\s\S]{{1,{_MAX_CODE_CHARACTERS}}}\Z)(?:", ")"


class Kind(NamedTuple):
    """A kind of value.

    Attributes:
        allowed: what a value may be, to complete *use ...*.
        read: turns a text into the value; raises ``ValueError``, or ``UnacceptableError`` to say more than ``allowed``.
    """

    allowed: Message
    read: Callable[[str], object]

    def parse(self, text: str) -> object:
        """Return the value of a text.

        Raises:
            UnacceptableError: it can't be a value of this kind.
        """
        if len(text) > _MAX_VALUE_CHARACTERS:
            raise UnacceptableError(message("settings.too_many_characters", most=_MAX_VALUE_CHARACTERS))
        if _UNFIT.search(text):
            raise UnacceptableError(message("settings.control_character"))
        try:
            return self.read(text)
        except UnacceptableError:
            raise
        except (ValueError, LookupError):
            raise UnacceptableError(message("settings.use", allowed=self.allowed)) from None


def optional(kind: Kind) -> Kind:
    """Return ``kind`` with an empty text allowed, which is None."""
    allowed = message("settings.allowed_or_nothing", allowed=kind.allowed)
    return Kind(allowed, lambda text: kind.parse(text) if text else None)


def whole(low: int, high: int, unit: str = "whole") -> Kind:
    """Return the kind of whole numbers from ``low`` to ``high``, in ``seconds``, ``milliseconds`` or ``days``."""

    def read(text: str) -> int:
        number = int(text) if _WHOLE.fullmatch(text) else low - 1
        if not low <= number <= high:
            raise ValueError
        return number

    return Kind(message(f"settings.allowed_{unit}", low=low, high=high), read)


def one_of(*words: str) -> Kind:
    """Return the kind of a few fixed words."""
    return Kind(message("settings.allowed_words", words=", ".join(words)), lambda text: words[words.index(text)])


def _codes(text: str) -> frozenset[int]:
    words = re.split(r"\s*,\s*|\s+", text) if text not in {"", "."} else []
    if not all(map(_CODE.fullmatch, words)):
        raise ValueError
    return frozenset(map(int, words))


def _auth_half(text: str) -> str:
    """Check a half of the header ``X-Auth``."""
    if not text or len(text) > _MAX_HEADER_CHARACTERS:
        raise ValueError
    if text != text.strip():
        raise UnacceptableError(message("settings.blank_at_end"))
    for position, letter in enumerate(text, start=1):
        if ord(letter) > _LAST_LATIN_1 or not (letter.isprintable() or letter in "\xa0\xad"):
            raise UnacceptableError(message("settings.not_latin_1", position=position))
    return text


def _pos_id(text: str) -> str:
    if ":" in text:
        raise UnacceptableError(message("settings.colon"))
    return _auth_half(text)


def _path(text: str) -> Path:
    if not text.startswith("/"):
        raise ValueError
    return Path(text)


def _affix(text: str) -> str:
    if len(text) > _MAX_AFFIX_CHARACTERS:
        raise ValueError
    return text


def _single_byte_codec(text: str) -> str:
    """Check a printer's code page: one byte a letter, ASCII where it is in ASCII."""
    if not _CODEC_NAME.fullmatch(text):
        raise ValueError
    name = codecs.lookup(text).name
    if _ASCII.encode(name) != _ASCII.encode("ascii") or any(len(letter.encode(name, "ignore")) > 1 for letter in _WIDE):
        raise ValueError
    return name


def _account(text: str) -> str:
    _fields_of(text)
    return text


def _fields_of(template: str) -> dict[str, str]:
    """Return the fields of an account template, with placeholders in their values."""
    fields: dict[str, str] = {}
    for pair in template.split(",") if template else ():
        name, _, value = (part.strip() for part in pair.partition("="))
        if not value or name in fields or not _FIELD.fullmatch(name) or re.search("[{}]", _PLACEHOLDER.sub("", value)):
            raise ValueError
        fields[name] = value
    return fields


def account_of(template: str, *, till: str, shift: int, number: int, attempt: int) -> dict[str, str]:
    """Return the account of ``receipts.create``, whose fields were agreed with Payme for the merchant account.

    Args:
        template: a checked setting ``account``.
        till: the till's stable name.
        shift: the number of the shift.
        number: the number of the receipt in its shift.
        attempt: which payment of this receipt it is, from 1.

    Raises:
        ValueError: ``template`` was not checked and can't be used.
    """
    facts = {"till": till, "shift": str(shift), "number": str(number), "attempt": str(attempt)}
    fields = _fields_of(template)
    return {name: _PLACEHOLDER.sub(lambda found: facts[found[1]], value) for name, value in fields.items()}


def accounts_of_till(template: str, till: str) -> dict[str, re.Pattern[str]] | None:
    """Return the values that ``account_of`` can make for a till, for ``fullmatch``, by the field's name.

    Args:
        template: a checked setting ``account``.
        till: the till's stable name.

    Returns:
        None if no value tells the till from all others: ``{till}`` is missing, or a digit or number stands beside it.
    """
    fields = _fields_of(template)
    if not any(_TILL_APART.search(value) for value in fields.values()):
        return None
    made = {"till": re.escape(till)}
    patterns = {}
    for name, value in fields.items():
        parts = re.split(_PLACEHOLDER, value)  # literals, with the placeholders' names between them
        texts = (made.get(part, "[0-9]+") if index % 2 else re.escape(part) for index, part in enumerate(parts))
        patterns[name] = re.compile("".join(texts))
    return patterns


def _pattern(text: str) -> re.Pattern[str]:
    r"""Return the pattern for ``fullmatch``; ``\d`` and ``\w`` mean ASCII, and a longer code never matches."""
    # ``re`` tries every way to match, and what is scanned may be hostile: the ways must be few.
    bare = re.sub(_LETTER, "x", text)
    many, two = re.findall(r"[*+]|\{[0-9]*,", bare), re.findall(r"\||(?<!\()\?", bare)
    is_slow = re.search(r"\)[*+?{]", bare) or _MAX_CODE_CHARACTERS ** len(many) * 2 ** len(two) > _MAX_WAYS
    if not text or len(text) > _MAX_PATTERN_CHARACTERS or _UNUSUAL.search(text) or "[" in bare or is_slow:
        raise ValueError
    try:
        re.compile(text, re.ASCII)
        return re.compile(f"{_BEFORE}{text}{_AFTER}", re.ASCII)
    except (re.error, OverflowError):
        raise ValueError from None


def written_pattern(pattern: re.Pattern[str]) -> str:
    """Return the value of ``codePattern`` as it was written."""
    return pattern.pattern[len(_BEFORE) : -len(_AFTER)]


def foreign_character(pattern: re.Pattern[str], text: str) -> str:
    """Return the first character of ``text`` that no part of ``codePattern`` matches, or an empty string."""
    known = re.compile("|".join(filter(None, _ATOM.findall(written_pattern(pattern)))), re.ASCII)
    return next((character for character in text if not known.fullmatch(character)), "")


class ProxyAddress(NamedTuple):
    """An HTTP proxy; ``str`` masks its login.

    Attributes:
        host: its name or address.
        port: its port.
        login: ``user:password``, or None.
    """

    host: str
    port: int
    login: Secret | None

    def __str__(self) -> str:
        login = "" if self.login is None else f"{self.login}@"
        return f"http://{login}{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def _server_address(text: str) -> str:
    """Return the server's address as written, with ``/api`` if it has no path.

    Raises:
        ValueError: no request can go there.
    """
    parts = _split(text, {"http", "https"})
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise UnacceptableError(message("settings.address_extras"))
    return text if parts.path.strip("/") else text.rstrip("/") + "/api"


def _proxy_address(text: str) -> ProxyAddress:
    """Return the proxy.

    Raises:
        ValueError: it is not the address of an HTTP proxy.
    """
    parts = _split(text, {"http"})
    login, at, _ = parts.netloc.rpartition("@")
    user, _, password = map(unquote, login.partition(":"))
    if parts.path not in {"", "/"} or "?" in text or "#" in text or (at and not user):
        raise ValueError
    secret = Secret(f"{user}:{password}") if at else None
    return ProxyAddress(parts.hostname or "", parts.port or _HTTP_PORT, secret)


def _queue_address(text: str) -> str:
    """Return the broker's address as written, or an empty string for none.

    Raises:
        ValueError: it is not the address of a broker.
    """
    if text:
        parts = _split(text, {"amqp", "amqps"})
        # A password with one of these letters has to quote it; else its beginning is taken for the host.
        if "@" in parts.path or parts.query or parts.fragment:
            raise ValueError
    return text


def is_loopback(address: str) -> bool:
    """Return whether an address names this machine: ``localhost``, ``127.x.x.x`` or ``::1``."""
    host = host_of(address)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_plain_http(address: str) -> bool:
    """Return whether requests to an address travel in clear."""
    return urlsplit(address).scheme == "http"


def masked_address(text: str) -> str:
    """Return an address without the name and password that may stand in it."""
    return _PASSWORD.sub(r"\1***@", text)


def host_of(address: str) -> str:
    """Return the host that an address names, in small letters."""
    return (urlsplit(address).hostname or "").rstrip(".")


def _split(text: str, schemes: set[str]) -> SplitResult:
    if len(text) > _MAX_ADDRESS_CHARACTERS or not _PRINTABLE_ASCII.fullmatch(text) or "\\" in text:
        raise ValueError
    parts = urlsplit(text)
    if parts.scheme not in schemes:
        raise UnacceptableError(message("settings.scheme", schemes=", ".join(f"{each}://" for each in sorted(schemes))))
    if not _is_host(parts) or parts.port == 0 or parts.netloc.endswith(":"):
        raise ValueError
    return parts


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if "[" in parts.netloc or ":" in host:
        return "[" in parts.netloc and ipaddress.IPv6Address(host) is not None
    return _HOST_NAME.fullmatch(host) is not None


SWITCH = Kind(message("settings.allowed_switch"), lambda text: _SWITCH[text.lower()])
CODES = Kind(message("settings.allowed_codes"), _codes)
POS_ID = Kind(message("settings.allowed_pos_id", most=_MAX_HEADER_CHARACTERS), _pos_id)
POS_KEY = Kind(message("settings.allowed_pos_key", most=_MAX_HEADER_CHARACTERS), lambda text: Secret(_auth_half(text)))
PATH = Kind(message("settings.allowed_path"), _path)
ACCOUNT = Kind(message("settings.allowed_account"), _account)
CODEC = Kind(message("settings.allowed_codec"), _single_byte_codec)
AFFIX = Kind(message("settings.allowed_affix", most=_MAX_AFFIX_CHARACTERS), _affix)
PATTERN = Kind(message("settings.allowed_pattern", most=_MAX_PATTERN_CHARACTERS), _pattern)
SERVER = Kind(message("settings.allowed_server"), _server_address)
PROXY = Kind(message("settings.allowed_proxy"), _proxy_address)
QUEUE = Kind(message("settings.allowed_queue"), _queue_address)
