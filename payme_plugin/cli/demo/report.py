"""What a demo prints and keeps: steps, what the cashier reads, slips and checks."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from payme_plugin.cli.output import echo, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookspecs import Slip

Check = tuple[str, bool]
"""What was found, and whether it is as expected."""

_WIDTH = 78
_INDENT = "   "


class DemoReport:
    """Print a demo and keep its checks.

    Args:
        quiet: print nothing.

    Attributes:
        steps: title and checks of each step so far.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.steps: list[tuple[str, list[Check]]] = []

    @property
    def passed(self) -> bool:
        """Whether every step has checks and all of them passed."""
        return all(map(_passed, (checks for _, checks in self.steps)))

    def document(self) -> dict[str, object]:
        """Return the checks for ``--json``."""
        steps = [
            {"title": title, "ok": _passed(checks), "checks": [{"text": text, "ok": ok} for text, ok in checks]}
            for title, checks in self.steps
        ]
        return {"ok": self.passed, "steps": steps}

    def step(self, title: str) -> None:
        """Begin a step."""
        self.steps.append((title, []))
        heading = f"{len(self.steps)}  {title} "
        self.line()
        self.line(style(heading + "─" * (_WIDTH - len(heading)), bold=True))

    def say(self, text: str) -> None:
        """Print what happens next; a blank line sets it apart from the checks before it."""
        if self.steps[-1][1]:
            self.line()
        self._wrapped(_INDENT, text)

    def screen(self, text: str) -> None:
        """Print what the cashier reads on the till's screen."""
        for line in text.splitlines():
            self._wrapped(f"{_INDENT}│ ", line, "cyan")

    def slip(self, slip: Slip) -> None:
        """Print every copy of a slip, side by side."""
        width = max(map(len, slip.lines), default=0)
        edge = "─" * (width + 2)
        for line in (f"┌{edge}┐", *(f"│ {line:<{width}} │" for line in slip.lines), f"└{edge}┘"):
            self.line(_INDENT + "  ".join([line] * slip.copies))

    def check(self, *checks: Check) -> None:
        """Record checks; print those that passed together, and each that failed on lines of its own."""
        self.steps[-1][1].extend(checks)
        self._wrapped(f"{_INDENT}ok  ", ", ".join(text for text, ok in checks if ok), "green")
        for text in (text for text, ok in checks if not ok):
            self._wrapped(f"{_INDENT}FAILED  ", text, "red")

    def summary(self) -> None:
        """Print how many checks passed."""
        checks = [ok for _, step in self.steps for _, ok in step]
        self.line()
        failed = f"{checks.count(False)} of {len(checks)} checks FAILED."
        text, colour = (f"All {len(checks)} checks passed.", "green") if self.passed else (failed, "red")
        self.line(style(text, fg=colour, bold=True))

    def line(self, *parts: str) -> None:
        """Print one line."""
        if not self._quiet:
            echo(*parts)

    def _wrapped(self, lead: str, text: str, color: str = "") -> None:
        """Print a text behind a coloured lead, which is repeated if it is a bar; else further lines are indented."""
        for number, line in enumerate(textwrap.wrap(text, _WIDTH - len(lead), break_on_hyphens=False)):
            shown = lead if number == 0 or "│" in lead else " " * len(lead)
            self.line(style(shown, fg=color or None), line)


def _passed(checks: Sequence[Check]) -> bool:
    return bool(checks) and all(ok for _, ok in checks)
