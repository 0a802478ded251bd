"""Faults and warnings of the settings: where a value came from, what is wrong with it, and what is allowed."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from payme_plugin.locale import ENGLISH, Message, escaped, message

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from payme_plugin.settings.model import Settings

_SHOWN_CHARACTERS = 60
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_. -]{0,39}")
# E.g. ``colour``, ``shopColour``, ``shop_colour2``: what looks like words is hardly a piece of a key.
_WORDS = re.compile(r"[A-Z]?[a-z]{3,}(?:(?:[A-Z]|[_-][a-z])[a-z]{2,})*[0-9]{0,2}")


class Source(Enum):
    """Who gave a value."""

    HOST = "host"
    FILE = "file"
    CALLER = "caller"
    DEFAULT = "default"


class Origin(NamedTuple):
    """Where a value came from; ``str`` says it in English.

    Attributes:
        source: who gave it.
        path: the file that it stands in, for ``Source.FILE``.
        line: its line there, counted from 1, or None for the whole file.
    """

    source: Source
    path: Path | None = None
    line: int | None = None

    @property
    def message(self) -> Message:
        """The text for a technician, e.g. *on line 3 of /etc/payme.go.conf*."""
        if self.source is not Source.FILE:
            return message(f"settings.from_{self.source.value}")
        if self.line is None:
            return message("settings.in_file", path=self.path)
        return message("settings.on_line", path=self.path, line=self.line)

    def __str__(self) -> str:
        return str(self.message)


class _Problem(NamedTuple):
    """What is wrong with a setting; ``str`` says it in English.

    Attributes:
        key: the setting's name, or None for a whole file or line, or a name that may be a piece of the key.
        value: its value as written, without secrets, or None.
        origin: where it came from.
        explanation: what is wrong and what is allowed.
    """

    key: str | None
    value: str | None
    origin: Origin
    explanation: Message

    @property
    def line(self) -> int | None:
        """The line of the settings file, or None."""
        return self.origin.line

    @property
    def message(self) -> Message:
        """The whole sentence."""
        place, what = self.origin.message, self.explanation
        if self.key is None:
            return message("settings.problem", place=place, what=what)
        if self.value is None:
            return message("settings.key_problem", key=self.key, place=place, what=what)
        return message("settings.value_problem", key=self.key, place=place, value=_cut(self.value), what=what)

    @property
    def short(self) -> str:
        """Key, value and line in no language, for a cashier's text: ``payDuration = ten (payme.go.conf:5)``."""
        path = self.origin.path
        name = "" if path is None else _cut(path.name)
        place = name if path is None or self.line is None else f"{name}:{self.line}"
        if self.key is None:
            return place or "Host.settings"
        pair = self.key if self.value is None else f"{self.key} = {_cut(self.value)}"
        return escaped(f"{pair} ({place})" if place else pair)

    def __str__(self) -> str:
        return str(self.message)


class SettingFault(_Problem):
    """A setting that can't be used; it stops charging."""

    __slots__ = ()


class SettingWarning(_Problem):
    """A setting that can be used and is probably a mistake."""

    __slots__ = ()


class SettingsError(ValueError):
    """The settings can't be used. ``str`` has every fault, one a line.

    Attributes:
        faults: every fault, never empty.
        warnings: the warnings besides.
        for_returns: settings that can return money, or None; see ``LoadedSettings.for_returns``.
    """

    def __init__(
        self,
        faults: Iterable[SettingFault],
        warnings: Iterable[SettingWarning] = (),
        for_returns: Settings | None = None,
    ) -> None:
        self.faults = tuple(faults)
        self.warnings = tuple(warnings)
        self.for_returns = for_returns
        super().__init__(self.faults, self.warnings)

    def text(self, language: str) -> str:
        """Return every fault in ``ru``, ``uz`` or ``en``, one a line."""
        return "\n".join(fault.message.text(language) for fault in self.faults)

    def __str__(self) -> str:
        return self.text(ENGLISH)


def unknown_name(name: str, allowed: Iterable[str], *, is_safe: bool = False) -> tuple[str | None, Message]:
    """Return an unknown name, or None if it can't be shown, and what is wrong with it.

    Shown is a misspelt known name, and what looks like words. Any other name in a settings file may be the key, pasted
    without its name, or a piece of it.

    Args:
        name: the name as written.
        allowed: the names that there are.
        is_safe: the name can't be a piece of the key.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    by_lower = {known.lower(): known for known in allowed}
    found = get_close_matches(name[:_SHOWN_CHARACTERS].lower(), by_lower, n=1, cutoff=0.6)
    near = by_lower[found[0]] if found else ""
    is_shown = is_safe or (_NAME.fullmatch(name) and (len(name) <= len(near) + 1 or _WORDS.fullmatch(name)))
    key = ("settings.unknown" if is_shown else "settings.hidden") + ("_near" if near else "")
    return name if is_shown else None, Message(key, (("near", near),))


def _cut(value: str) -> str:
    return value if len(value) <= _SHOWN_CHARACTERS else value[: _SHOWN_CHARACTERS - 1] + "…"
