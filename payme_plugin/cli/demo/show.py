"""``payme demo --show``: as fast as a person can follow, beside the dashboard of the sandbox in a browser."""

from __future__ import annotations

import select
import sys
import time
from typing import TYPE_CHECKING

from payme_plugin.cli.output import render, say
from payme_plugin.cli.screen import until_stopped
from payme_plugin.locale import message

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox

_STEP_S = 2.0
_PATIENCE_S = 10
_LOOKS_EVERY_S = 0.2


class Show:
    """The pauses of a demo that somebody watches. What it says goes to stderr, because stdout is for results.

    Args:
        sandbox: the server of the demo, which is running.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._has_terminal = sys.stdin is not None and sys.stdin.isatty()

    def begin(self) -> None:
        """Name the dashboard; wait until a browser shows it or Enter is pressed, without a terminal at most 10 s."""
        say("")
        say(render(message("cli.demo.show.dashboard", dashboard=self._sandbox.dashboard_url)))
        say(render(message("cli.demo.show.enter" if self._has_terminal else "cli.demo.show.wait", seconds=_PATIENCE_S)))
        ends_at = time.monotonic() + _PATIENCE_S
        while not self._sandbox.is_watched:
            if not self._has_terminal:
                if time.monotonic() >= ends_at:
                    return
                time.sleep(_LOOKS_EVERY_S)
            elif select.select([sys.stdin], [], [], _LOOKS_EVERY_S)[0]:
                sys.stdin.readline()
                return

    def pause(self) -> None:
        """Let somebody read what comes next."""
        time.sleep(_STEP_S)

    def end(self) -> None:
        """Keep the dashboard open until Ctrl+C; without a terminal nobody could press it."""
        if self._has_terminal:
            with until_stopped() as stopped:
                say(render(message("cli.demo.show.end", dashboard=self._sandbox.dashboard_url)))
                stopped.wait()
