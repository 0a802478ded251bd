"""A power cut, as far as a process can have one: another process sells, and dies by SIGKILL in the middle of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import payme_plugin
from payme_plugin.cli.output import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["killed_while_paying"]

_PROGRAM = "from payme_plugin.cli import main; main(prog_name='payme')"
_LONGEST_WAIT_S = 20.0
_LOOKS_EVERY_S = 0.01
_TIYIN_IN_SUM = 100


def killed_while_paying(conf: Path, folder: Path, amount: int, code: str, is_time: Callable[[], bool]) -> int:
    """Run ``payme pay`` in a process of its own and kill it as soon as ``is_time`` says so.

    Args:
        conf: the settings file.
        folder: the data folder.
        amount: tiyin.
        code: the buyer's code.
        is_time: asked over and over.

    Returns:
        The exit status: minus the signal that it died of.

    Raises:
        Refusal: it ended by itself, or the time never came.

    Money effect: may charge the buyer.
    """
    sums, tiyin = divmod(amount, _TIYIN_IN_SUM)
    paying = ("pay", "--amount", f"{sums}.{tiyin:02d}", "--qr", code)
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", _PROGRAM, "--conf", str(conf), "--data-dir", str(folder), *paying],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    ) as process:
        try:
            _await(is_time, process)
        finally:
            process.kill()
    return process.returncode


def _await(is_time: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    gives_up_at = time.monotonic() + _LONGEST_WAIT_S
    while not is_time():
        if process.poll() is not None or time.monotonic() > gives_up_at:
            message = f"the other till ended with {process.poll()} before the power could fail"
            raise Refusal(message)
        time.sleep(_LOOKS_EVERY_S)


def _environment() -> dict[str, str]:
    """Return the environment, in which the other process finds this program wherever it was started from."""
    home = str(Path(payme_plugin.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH", "")]))}
