"""``payme doctor``: check everything that a till needs to sell, without changing anything."""

from __future__ import annotations

import logging
import shutil
import textwrap
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, echo, echo_document, render, style
from payme_plugin.clock import SystemClock
from payme_plugin.doctor import Level, examine
from payme_plugin.locale import message
from payme_plugin.log import LOGGER_NAME

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from payme_plugin.doctor import Report

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAULT: "red"}
_LEVEL_WIDTH = 9
_NAME_WIDTH = 11
_MARGIN = " " * (_LEVEL_WIDTH + _NAME_WIDTH)
_MIN_TEXT_WIDTH = 30


@click.command(cls=Command)
@click.option("--till", metavar="NAME")
@pass_options
def doctor(options: GlobalOptions, till: str | None) -> int:
    """Check the till; 0 unless a finding is a fault."""
    tills_log = _tills_log(options.data_dir)
    with tills_log or nullcontext():
        log = None if tills_log is None else logging.getLogger(LOGGER_NAME)
        report = examine(options.conf_file, options.data_dir, SystemClock(), till=till, log=log)
    if options.json:
        echo_document(_document(report))
    else:
        _show(report)
    return int(ExitCode.REFUSED if report.worst is Level.FAULT else ExitCode.DONE)


def _tills_log(folder: Path) -> AbstractContextManager[None] | None:
    """Return what logs the request to Payme if the till has a log; doctor makes none."""
    try:
        from payme_plugin.cli.files import command_log, has_log  # noqa: PLC0415

        return command_log(folder) if has_log(folder) else None
    except Exception:  # noqa: BLE001 - another program's hookspecs, a folder that may not be entered: doctor names both
        return None


def _document(report: Report) -> dict[str, object]:
    return {
        "ok": report.worst is not Level.FAULT,
        "worst": report.worst.value,
        "findings": [
            {"name": one.check.value, "level": one.level.value, "text": render(one.text), "remedy": render(one.remedy)}
            for one in report.findings
        ],
        "unchecked": [{"name": each.check.value, "reason": render(each.reason)} for each in report.unchecked],
    }


def _show(report: Report) -> None:
    for finding in report.findings:
        level = render(message(f"doctor.level.{finding.level.value}"))
        begin = style(f"{level:<{_LEVEL_WIDTH}}", fg=_COLOURS[finding.level])
        first, *others = _folded(render(finding.text))
        echo(begin, f"{finding.check.value:<{_NAME_WIDTH}}", first)
        for line in (*others, *_folded(render(finding.remedy), "-> ")):
            echo(_MARGIN, line)
    if report.unchecked:
        echo("")
        echo(message("doctor.not_checked"))
        for each in report.unchecked:
            echo(f"{'':<{_LEVEL_WIDTH}}{each.check.value:<{_NAME_WIDTH}}", each.reason)
    echo("")
    echo(message("doctor.summary", faults=report.count(Level.FAULT), warnings=report.count(Level.WARNING)))


def _folded(text: str, begin: str = "") -> list[str]:
    """Return text as lines that fit beside the names; paths and words of commands stay whole."""
    width = max(shutil.get_terminal_size().columns - len(_MARGIN), _MIN_TEXT_WIDTH)
    lines = textwrap.wrap(text, width - len(begin), break_long_words=False, break_on_hyphens=False)
    return [f"{' ' * len(begin) if number else begin}{line}" for number, line in enumerate(lines)]
