"""What the audience sees: acts with a title, what the cashier reads, slips side by side, and the checks."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hookspecs import Slip

__all__ = ["Act", "Check", "Stage"]

_WIDTH = 78
_INDENT = "   "
_GAP = "  "
_COLUMNS = re.compile(r" *(?:\S+ {2,})*")
"""All that stands in a line before its last column: words, each with two spaces or more after it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that had to be so.

    Attributes:
        text: what.
        right: whether it was.
    """

    text: str
    right: bool


@dataclass(slots=True)
class Act:
    """One scene as it was played.

    Attributes:
        title: its title.
        checks: what was checked in it, in order.
    """

    title: str
    checks: list[Check] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether something was checked and all of it was right."""
        return bool(self.checks) and all(check.right for check in self.checks)

    def document(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return {
            "title": self.title,
            "ok": self.right,
            "checks": [{"text": check.text, "ok": check.right} for check in self.checks],
        }


class Stage:
    """Prints the acts of a demonstration, and keeps what was checked.

    Args:
        quiet: print nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._acts: list[Act] = []
        self._is_blank = False

    @property
    def acts(self) -> Sequence[Act]:
        """The acts so far."""
        return self._acts

    def opening(self) -> None:
        """Say what will be seen."""
        self._line(click.style("payme demo", bold=True) + ": a day at a till, against a PaymeGO in this process.")
        self._line("The plugin comes by its entry point. The requests are real, the money is not.")

    def act(self, number: int, title: str, play: Callable[[], None]) -> None:
        """Announce an act, have it played and keep its checks; one that breaks off is wrong."""
        act = Act(title)
        self._acts.append(act)
        heading = f"{number}  {title} "
        self._line()
        self._line(click.style(heading + "─" * (_WIDTH - len(heading)), bold=True))
        self._line()
        try:
            play()
        except Exception as error:  # noqa: BLE001 - the next act is played all the same
            self.check(f"the act ends without {type(error).__name__}: {error}", right=False)

    def tell(self, *lines: str) -> None:
        """Say what happens."""
        for line in lines:
            self._line(_INDENT + line)

    def prompt(self, text: str) -> None:
        """Show what the cashier is asked for."""
        for line in text.splitlines():
            self._line(_INDENT + click.style(f"│ {line}", dim=True))

    def quote(self, text: str) -> None:
        """Show what the cashier reads at the end."""
        for long in text.splitlines():
            for line in textwrap.wrap(long, _WIDTH - len(_INDENT) - 2):
                self._line(f"{_INDENT}{click.style('│', fg='cyan')} {click.style(line, bold=True)}")

    def check(self, text: str, *, right: bool) -> None:
        """Check one thing and show how it came out."""
        self._acts[-1].checks.append(Check(text, right))
        mark = click.style("ok   ", fg="green") if right else click.style("WRONG", fg="red", bold=True)
        self._line(f"{_INDENT}{mark}  {text}")

    def slip(self, slip: Slip, *, shortened: bool = False) -> None:
        """Show every copy of a slip, side by side; ``shortened``: without what every slip has above and below."""
        lines = _heart(slip.lines) if shortened else slip.lines
        width = max((len(line) for line in lines), default=0)
        top, bottom = f"┌─{'─' * width}─┐", f"└─{'─' * width}─┘"
        paper = [top, *(f"│ {line:<{width}} │" for line in lines), bottom]
        for line in paper:
            self._line(_INDENT + _GAP.join([line] * slip.copies))
        self._line()

    def show(self, lines: Iterable[str]) -> None:
        """Show what another command prints; a line too long goes on below, in its last column."""
        for line in lines:
            for folded in _folded(line):
                self._line(folded)

    def blank(self) -> None:
        """Leave a line free."""
        self._line()

    def ending(self, acts: Sequence[Act]) -> None:
        """Say how it all came out."""
        checks = [check for act in acts for check in act.checks]
        wrong = sum(not check.right for check in checks)
        self._line()
        if wrong or not all(act.right for act in acts):
            self._line(click.style(f"{wrong} of {len(checks)} checks were WRONG.", fg="red", bold=True))
        else:
            self._line(click.style(f"All {len(checks)} checks were right.", fg="green", bold=True))

    def _line(self, text: str = "") -> None:
        """Print a line; of empty lines in a row the first alone."""
        if not self._quiet and (text or not self._is_blank):
            click.echo(text)
        self._is_blank = not text


def _folded(line: str) -> list[str]:
    """Return ``line`` in as many lines as the stage's width wants; an empty one is one line too."""
    columns = _COLUMNS.match(line)
    indent = " " * min(0 if columns is None else columns.end(), _WIDTH // 2)
    return textwrap.wrap(line, _WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [line]


def _heart(lines: Sequence[str]) -> Sequence[str]:
    """Return what stands between the first and the last rule of a slip, empty lines left out."""
    rules = [number for number, line in enumerate(lines) if line.strip() and not line.strip("-")]
    kept = lines[rules[0] + 1 : rules[-1]] if len(rules) > 1 else lines
    return [line for line in kept if line.strip()]
