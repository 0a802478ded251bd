"""What is said of a setting: where it came from, what is wrong with it, and what is allowed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "Origin",
    "SettingFault",
    "SettingWarning",
    "SettingsError",
    "Source",
    "UnacceptableError",
    "nearest",
    "shown_name",
]

_SHOWN_CHARACTERS = 60
_NAME = re.compile(r"[A-Za-z_]{1,40}")
# ``colour``, ``shopColour``, ``shop_colour``: what looks like words is hardly a piece of a key.
_WORDS = re.compile(r"[A-Z]?[a-z]{3,}(?:(?:[A-Z]|_[a-z])[a-z]{2,})*")


class UnacceptableError(ValueError):
    """A value that a setting can't have; the text completes *payDuration is "ten": ...*."""


class Source(Enum):
    """Who gave a value."""

    HOST = "host"
    FILE = "file"
    CALLER = "caller"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    Attributes:
        source: who gave it.
        path: the file that it stands in, for ``Source.FILE``.
        line: its line there, counted from 1; None where the whole file is meant.
    """

    source: Source
    path: Path | None = None
    line: int | None = None

    def __str__(self) -> str:
        if self.source is Source.FILE:
            return f"in {self.path}" if self.line is None else f"on line {self.line} of {self.path}"
        return {
            Source.HOST: "in the till's settings",
            Source.CALLER: "given by the caller",
            Source.DEFAULT: "by default",
        }[self.source]


@dataclass(frozen=True, slots=True)
class _Remark:
    """A remark on a setting.

    Attributes:
        key: the setting's name; None where a whole file or line is meant.
        value: its value as written, fit to be shown: the key is masked, long ones are cut; None where there is none.
        origin: where it came from.
        explanation: what is wrong and what is allowed, without a full stop.
    """

    key: str | None
    value: str | None
    origin: Origin
    explanation: str

    @property
    def line(self) -> int | None:
        """The line of ``payme.go.conf`` that is meant; None where it is none."""
        return self.origin.line

    @property
    def short(self) -> str:
        """Key, value and line in no language, for a cashier's text: ``payDuration = ten (payme.go.conf:5)``."""
        path = self.origin.path
        name = "" if path is None else _cut(path.name)
        place = name if path is None or self.line is None else f"{name}:{self.line}"
        if self.key is None:
            return place or "Host.settings"
        pair = self.key if self.value is None else f"{self.key} = {_cut(self.value)}"
        return f"{pair} ({place})" if place else pair

    def __str__(self) -> str:
        place = str(self.origin)
        subject = place[:1].upper() + place[1:] if self.key is None else f"{self.key} {place}"
        value = "" if self.value is None else f' is "{_cut(self.value)}"'
        return f"{subject}{value}: {self.explanation}."


class SettingFault(_Remark):
    """A setting that can't be used."""

    __slots__ = ()


class SettingWarning(_Remark):
    """A setting that can be used, and should be looked at."""

    __slots__ = ()


class SettingsError(ValueError):
    """The settings can't be used. ``str`` lists every fault, one sentence a line.

    Attributes:
        faults: every fault, never empty.
        warnings: what should be looked at besides.
    """

    def __init__(self, faults: Iterable[SettingFault], warnings: Iterable[SettingWarning] = ()) -> None:
        self.faults = tuple(faults)
        self.warnings = tuple(warnings)
        super().__init__(self.faults, self.warnings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """Return the one of ``allowed`` that ``word`` was probably meant to be; None where none is near."""
    by_lower = {candidate.lower(): candidate for candidate in allowed}
    found = get_close_matches(word[:_SHOWN_CHARACTERS].lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def shown_name(name: str, near: str | None) -> str:
    """Return a name that a person wrote, fit to be shown: a misspelt ``near``, or words; any other is described.

    What stands before a ``=`` may be the kassa's key, pasted without its name, or a piece of it.

    Args:
        name: the name as written.
        near: the setting that it was probably meant to be, or None.
    """
    is_near = near is not None and len(name) <= len(near) + 1
    is_fit = _NAME.fullmatch(name) and (is_near or _WORDS.fullmatch(name))
    return name if is_fit else f"a name of {len(name)} characters"


def _cut(value: str) -> str:
    """Return ``value`` on one line, at most ``_SHOWN_CHARACTERS`` long."""
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value)
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
