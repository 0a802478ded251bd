"""The cashier and the scanner of the demonstration: codes come from the buyers, the wait is drawn as a bar."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from hookspecs import BaseUi
from payme_plugin.cli.screen import bar

if TYPE_CHECKING:
    from payme_plugin.cli.demo.stage import Stage

__all__ = ["BuyersCode", "Cashier"]

BuyersCode = Callable[[], str]
"""Shows a code on the buyer's phone at the moment of the scan."""

_INDENT = "   "


class Cashier(BaseUi):
    """A ``Ui`` whose scans are prepared.

    Attributes:
        prompts: what the plugin asked the cashier, in order.
        waits: how often the plugin showed its progress.
    """

    def __init__(self, stage: Stage, *, quiet: bool) -> None:
        self._stage = stage
        self._quiet = quiet
        self._codes: list[BuyersCode] = []
        self._second: int | None = None
        self.prompts: list[str] = []
        self.waits = 0

    def begin(self, *codes: BuyersCode) -> None:
        """Forget the last sale; the next scans bring ``codes``."""
        self._codes = list(codes)
        self._second = None
        self.prompts = []
        self.waits = 0

    def scan(self, prompt: str, timeout_s: float) -> str | None:  # noqa: ARG002 - this cashier is quick
        """Show the prompt and bring the next code; None where the buyers have no more."""
        self.prompts.append(prompt)
        self._stage.prompt(prompt)
        return self._codes.pop(0)() if self._codes else None

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        """Draw the wait: over and over on a terminal, once a second elsewhere."""
        self.waits += 1
        if self._quiet:
            return None
        second = int(elapsed_s)
        if sys.stdout.isatty():
            click.echo(f"\r\x1b[K{_INDENT}{click.style(bar(elapsed_s, total_s), fg='cyan')} {text}", nl=False)
        elif second != self._second:
            click.echo(f"{_INDENT}{bar(elapsed_s, total_s)} {text}")
        self._second = second
        return None

    def end(self) -> None:
        """Wipe the bar."""
        if self._second is not None and not self._quiet and sys.stdout.isatty():
            click.echo("\r\x1b[K", nl=False)
