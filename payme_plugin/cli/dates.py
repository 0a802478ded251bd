"""Days as people write them, in local time."""

from __future__ import annotations

import re
import time
from datetime import date, timedelta

import click

__all__ = ["date_option", "day_begins_ms"]

_PLAIN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ALLOWED = "allowed are days of the calendar, 2026-01-31 say"
_SHOWN_CHARACTERS = 40


def date_option(context: click.Context, parameter: click.Parameter, value: str) -> date:  # noqa: ARG001
    """Turn the text of an option into a day.

    Raises:
        click.BadParameter: it is none; the text says what is allowed.
    """
    shown = value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…"
    try:
        if _PLAIN.fullmatch(value) is None:
            raise ValueError(value)
        day = date.fromisoformat(value)
        day_begins_ms(day + timedelta(days=1))
    except (ValueError, OverflowError) as error:
        message = f"{shown!r} is no day; {_ALLOWED}."
        raise click.BadParameter(message) from error
    return day


def day_begins_ms(day: date) -> int:
    """Return when a day begins in local time, in Unix milliseconds; summer time counts.

    Raises:
        OverflowError: the machine has no such time.
    """
    return int(time.mktime((day.year, day.month, day.day, 0, 0, 0, 0, 0, -1))) * 1000
