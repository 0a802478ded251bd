"""Look up, format and clean the values of one slip; untrusted data never causes an error.

A missing value, or one of a wrong type, is an empty text.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, TypeGuard

from slips.characters import NO_BREAK_SPACE, clean
from slips.dialect import Field, Kind
from slips.privacy import mapping, mask_card, mask_text, private_digits, redact
from slips.words import WORDS

if TYPE_CHECKING:
    from datetime import tzinfo

# A name of this module takes a third of the time of the enumeration's attribute, some fifty times per slip.
_TEXT, _WORD, _MONEY, _MOMENT, _CARD = Kind.TEXT, Kind.WORD, Kind.MONEY, Kind.MOMENT, Kind.CARD

_MAPPINGS = (dict, Mapping)
_LONGEST_CARD = 64
_MOST_ACCOUNT_ENTRIES = 200
_LARGEST_NUMBER = 10**30
_ACCEPTED = 21
"""The state of a receipt whose money is on its way back."""
_MAX_TIYIN = 10**21
_MAX_MOMENT_MS = 253_402_128_000_000
"""The end of the year 9999, less two days for time zones."""


def format_money(value: object) -> str:
    """Return an amount in tiyin as UZS with two decimals, thousands separated by no-break spaces: ``15 000.00``.

    A value that is not an integer, or beyond 10^21 tiyin, gives the empty text.
    """
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MAX_TIYIN:
        return ""
    whole, tiyin = divmod(abs(value), 100)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole:,}.{tiyin:02d}".replace(",", NO_BREAK_SPACE)


def is_moment(value: object) -> TypeGuard[int]:
    """Return whether a value is a Unix time in milliseconds: an integer after 1970 and before the year 10000."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_MOMENT_MS


def format_moment(value: object, zone: tzinfo | None) -> str:
    """Return a Unix time in milliseconds as ``31.01.2026 12:34:56`` in ``zone``; None is the machine's own.

    A value that is not an integer, not after 1970 or beyond the year 9999 gives the empty text.
    """
    if not is_moment(value):
        return ""
    text = datetime.fromtimestamp(value // 1000, zone).isoformat(" ")
    return f"{text[8:10]}.{text[5:7]}.{text[:4]} {text[11:19]}"


_NO_MONEY = format_money(0)


class Values(dict[Field, str]):
    """The texts of the fields of one slip without a filter; each is looked up on first use.

    Args:
        data: the slip's data: ``operation``, ``amount`` (tiyin), ``receipt`` (the server's object), ``paid_at``
            (Unix ms) and the other names of the dialect, nested by their dots. ``is_accepted_only``: the money of a
            cancellation is not back yet; default: True if the receipt's state is 21.
        language: language of the server's texts and of the words for operation and status.
        zone: time zone of the till; None: that of the machine.
    """

    def __init__(self, data: Mapping[str, object], language: str, zone: tzinfo | None) -> None:
        super().__init__()
        self._data = data
        self._language = language
        self._zone = zone
        self.operation = str(data.get("operation", ""))
        self._receipt = mapping(data.get("receipt"))
        self._private = private_digits(self._receipt)

    def are_present(self, fields: tuple[Field, ...]) -> bool:
        """Return whether each of the fields has a value; money of zero counts as no value."""
        for field in fields:
            text = self[field]
            if not text or (text == _NO_MONEY and field.kind is _MONEY):
                return False
        return True

    def __missing__(self, field: Field) -> str:
        text = ""
        for path in field.paths:
            found: object = self._data
            for name in path:
                # The exact type first, because a check against an abstract class is slow.
                found = found.get(name) if isinstance(found, _MAPPINGS) else None
            if field.account:
                found = _account_entry(found, field)
            if found is None:
                continue
            text = self._format(field, found)
            if path[0] == "receipt" and (field.kind is _TEXT or field.kind is _MONEY):
                text = self.redacted(text)
            if text:
                break
        if not text and field.kind is _WORD:
            text = self._word(field)
        self[field] = text
        return text

    def redacted(self, text: str) -> str:
        """Return a text with stars for the digits of the buyer's phone and card."""
        return redact(text, self._private) if self._private else text

    def _format(self, field: Field, value: object) -> str:
        kind = field.kind
        if kind is _TEXT:
            return clean(value) if isinstance(value, str) else self._plain(value)
        if kind is _MONEY:
            return format_money(value)
        if kind is _MOMENT:
            return format_moment(value, self._zone)
        if not isinstance(value, str) or field.name == "operation":
            return ""
        return mask_card(value[:_LONGEST_CARD]) if kind is _CARD else clean(value)

    def _word(self, field: Field) -> str:
        words = WORDS.get(self._language, WORDS["ru"])
        if field.name == "operation":
            return words.operations.get(self.operation, "")
        is_accepted_only = self._data.get("is_accepted_only", self._receipt.get("state") == _ACCEPTED)
        status = words.statuses.get(self.operation, "")
        return words.accepted.get(self.operation, status) if is_accepted_only else status

    def _plain(self, value: object) -> str:
        if isinstance(value, Mapping):
            return self._translated(value)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_NUMBER:
            return str(value)
        return repr(value) if isinstance(value, float) else ""

    def _translated(self, texts: Mapping[str, object]) -> str:
        """Return the text of a language map in the template's language, else in Russian, Uzbek or English."""
        for language in (self._language, self._language.partition("-")[0], "ru", "uz", "en"):
            text = texts.get(language)
            if isinstance(text, str) and text.strip():
                return clean(text)
        return ""


def _account_entry(account: object, field: Field) -> object:
    """Return an entry of the account, which the server sends as a list of entries or as the object that it received."""
    if isinstance(account, Mapping):
        return account.get(field.account) if field.account_part == "value" else None
    if not isinstance(account, list | tuple):
        return None
    for entry in account[:_MOST_ACCOUNT_ENTRIES]:
        if isinstance(entry, Mapping) and entry.get("name") == field.account:
            return entry.get(field.account_part)
    return None


def apply_filter(text: str, filter_name: str | None) -> str:
    """Return a field's text after the filter ``upper``, ``mask``, ``date`` or ``time``, if there is one."""
    if filter_name is None:
        return text
    if filter_name == "upper":
        return text.upper()
    if filter_name == "mask":
        return mask_text(text)
    day, _, time = text.partition(" ")
    return day if filter_name == "date" else time
