"""What the command says: results on stdout, faults as one sentence on stderr, and the exit codes."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from enum import IntEnum

import click

__all__ = ["ExitCode", "Refusal", "UsageFault", "echo_document", "fault", "iso_time", "local_time", "sums"]

_TIYIN_IN_SUM = 100


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    QUEUED = 3
    """Not done, and what may have been charged goes back by itself; or the next command asks what became of it."""


class Refusal(click.ClickException):
    """A command that could not be done, in one sentence."""

    exit_code = int(ExitCode.REFUSED)


class UsageFault(click.ClickException):
    """A command, a settings file or a folder that can't be used, in one sentence or one for each fault."""

    exit_code = int(ExitCode.USAGE)


def fault(text: str) -> None:
    """Say on stderr what is wrong; each line of ``text`` is a sentence."""
    for line in text.splitlines():
        click.echo(f"payme: {line}", err=True)


def echo_document(document: object) -> None:
    """Print ``document`` as JSON, readable where stdout can take every letter."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2)
    click.echo(text)


def sums(amount: int) -> str:
    """Return tiyin as sums: 1500000 is ``15 000.00``."""
    whole, tiyin = divmod(amount, _TIYIN_IN_SUM)
    return f"{whole:,}.{tiyin:02d}".replace(",", " ")


def _moment(at_ms: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(at_ms / 1000, tz=timezone.utc).astimezone()
    except (OverflowError, ValueError, OSError):
        return None


def local_time(at_ms: int) -> str:
    """Return Unix milliseconds as ``2026-01-31 12:34:56`` in local time; a number that is no time as it is."""
    moment = _moment(at_ms)
    return str(at_ms) if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def iso_time(at_ms: int) -> str | None:
    """Return Unix milliseconds in ISO 8601 with the local offset; None for a number that is no time."""
    moment = _moment(at_ms)
    return None if moment is None else moment.isoformat(timespec="milliseconds")
