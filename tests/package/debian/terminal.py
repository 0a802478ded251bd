"""Run a command at a terminal, and answer its prompts."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>78])|[\x0e\x0f]")
_ROWS_COLUMNS = struct.pack("HHHH", 40, 120, 0, 0)


def at_terminal(
    command: Sequence[str], replies: Sequence[tuple[str, str]], environment: Mapping[str, str], *, within_s: float = 60
) -> str:
    """Run a command that must succeed, and return what it showed, without colours.

    Each reply, a prompt and an answer, is given when its prompt is shown.
    """
    left = list(replies)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, _ROWS_COLUMNS)
    child = subprocess.Popen(  # noqa: S603 - our own command
        ["setsid", "--ctty", "--wait", *command],  # noqa: S607
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={"TERM": "dumb", **environment},
    )
    os.close(slave)
    shown, answered, deadline = b"", 0, time.monotonic() + within_s
    try:
        while time.monotonic() < deadline:
            if master in select.select([master], [], [], 0.1)[0]:
                try:
                    shown += os.read(master, 4096)
                except OSError:
                    break
            if left and left[0][0] in _text(shown[answered:]):
                answered = len(shown)
                os.write(master, f"{left.pop(0)[1]}\r".encode())
        assert left == [], _text(shown)
        assert child.wait(10) == 0, _text(shown)
    finally:
        # What still runs would keep the database of the answers locked.
        child.kill()
        os.close(master)
    return _text(shown)


def _text(shown: bytes) -> str:
    return _CONTROL.sub("", shown.decode(errors="replace"))
