"""The result of a check: a level, a text, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from payme_plugin.locale import Message, message

if TYPE_CHECKING:
    from collections.abc import Iterable

_MINUTE_MS = 60_000
HOUR_MS = 60 * _MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Check(Enum):
    """What is checked, in the order of the report; the values are for people and programs."""

    SETTINGS = "settings"
    MODES = "modes"
    IMPORTS = "imports"
    PLUGIN = "plugin"
    DATA = "data"
    SLIPS = "slips"
    DISK = "disk"
    JOURNAL = "journal"
    LOCKS = "locks"
    QUEUE = "queue"
    ACCOUNTS = "accounts"
    NAME = "name"
    CONNECTION = "connection"
    TLS = "tls"
    CLOCK = "clock"
    KEY = "key"
    BROKER = "broker"


class Level(Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """Payments and returns work; an operator should look at it."""
    FAULT = "fault"
    """Payments, returns or slips do not work as they should until it is corrected."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check.

    The id of its text is ``doctor.CHECK.WHAT``, and that of what to do ``doctor.CHECK.WHAT.remedy``.

    Attributes:
        check: what was checked.
        level: how bad it is.
        text: what was found, one line without secrets.
        remedy: what to do; empty if there is nothing to do.
    """

    check: Check
    level: Level
    text: Message
    remedy: Message | str = ""

    @classmethod
    def ok(cls, key: str, /, **values: object) -> Finding:
        """Return a finding that needs nothing to be done."""
        return cls(_check_of(key), Level.OK, message(key, **values))

    @classmethod
    def warning(cls, key: str, /, **values: object) -> Finding:
        """Return a warning; its remedy has the same values."""
        return cls(_check_of(key), Level.WARNING, message(key, **values), message(f"{key}.remedy", **values))

    @classmethod
    def fault(cls, key: str, /, **values: object) -> Finding:
        """Return a fault; its remedy has the same values."""
        return cls(_check_of(key), Level.FAULT, message(key, **values), message(f"{key}.remedy", **values))


def _check_of(key: str) -> Check:
    return Check(key.split(".")[1])


@dataclass(frozen=True, slots=True)
class Unchecked:
    """What could not be checked.

    Attributes:
        check: what.
        reason: why.
    """

    check: Check
    reason: Message


Result = Finding | Unchecked


@dataclass(frozen=True, slots=True)
class Report:
    """The results of all checks.

    Attributes:
        findings: in the order of the checks.
        unchecked: what could not be checked, in the same order.
    """

    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]

    @classmethod
    def of(cls, results: Iterable[Result]) -> Report:
        """Sort results into a report."""
        order = list(Check)
        ordered = sorted(results, key=lambda each: order.index(each.check))
        return cls(
            tuple(each for each in ordered if isinstance(each, Finding)),
            tuple(each for each in ordered if isinstance(each, Unchecked)),
        )

    def count(self, level: Level) -> int:
        """Return how many findings are of a level."""
        return sum(finding.level is level for finding in self.findings)

    @property
    def worst(self) -> Level:
        """The worst level of all findings."""
        return next((level for level in (Level.FAULT, Level.WARNING) if self.count(level)), Level.OK)


def duration(span_ms: int) -> Message:
    """Return a duration in its largest unit of which there are at least two, e.g. 3 h."""
    for unit_ms, text in ((DAY_MS, "doctor.days"), (HOUR_MS, "doctor.hours"), (_MINUTE_MS, "doctor.minutes")):
        if span_ms >= 2 * unit_ms:
            return Message(text, (("count", span_ms // unit_ms),))
    return message("doctor.seconds", count=span_ms // 1000)
