"""What the doctor says: one finding a look, and how bad the worst of them is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Check", "Finding", "Level", "Remark", "Report", "Unchecked"]


class Check(Enum):
    """What is looked at, in the order in which it is told; the values are what people and programs read."""

    SETTINGS = "settings"
    IGNORED_ERRORS = "ignored-errors"
    MODES = "modes"
    IMPORTS = "imports"
    TEXTS = "texts"
    SLIPS = "slips"
    DISK = "disk"
    JOURNAL = "journal"
    QUEUE = "queue"
    ACCOUNTS = "accounts"
    NAME = "name"
    CONNECTION = "connection"
    TLS = "tls"
    CLOCK = "clock"
    KEY = "key"
    LATENCY = "latency"


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Payments and returns work; a person should look at it."""
    FAULT = "fault"
    """Payments, returns or slips do not work as they should until it is mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a look.

    Attributes:
        check: what was looked at.
        level: how bad it is.
        text: what was found, in one line without secrets.
        remedy: what to do; empty where there is nothing to do.
    """

    check: Check
    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Unchecked:
    """What could not be looked at.

    Attributes:
        check: what.
        reason: why.
    """

    check: Check
    reason: str


Remark = Finding | Unchecked


@dataclass(frozen=True, slots=True)
class Report:
    """All that the doctor found.

    Attributes:
        findings: in the order of the checks.
        unchecked: what could not be looked at, in the same order.
    """

    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]

    @classmethod
    def of(cls, said: Iterable[Remark]) -> Report:
        """Sort what was said into a report. Line breaks become blanks, for a finding is one line."""
        order = list(Check)
        ordered = sorted(said, key=lambda each: order.index(each.check))
        return cls(
            tuple(
                Finding(each.check, each.level, _one_line(each.text), _one_line(each.remedy))
                for each in ordered
                if isinstance(each, Finding)
            ),
            tuple(Unchecked(each.check, _one_line(each.reason)) for each in ordered if isinstance(each, Unchecked)),
        )

    def count(self, level: Level) -> int:
        """Return how many findings are of a level."""
        return sum(finding.level is level for finding in self.findings)

    @property
    def worst(self) -> Level:
        """The worst level of all findings."""
        return next((level for level in (Level.FAULT, Level.WARNING) if self.count(level)), Level.OK)


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
