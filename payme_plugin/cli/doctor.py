"""``payme doctor``: everything that a till needs to sell, looked at without touching it."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, echo_document
from payme_plugin.clock import SystemClock
from payme_plugin.doctor import Level, examine
from payme_plugin.log import LOGGER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from payme_plugin.doctor import Report

__all__ = ["doctor"]

_LEVEL_WIDTH = 7
_NAME_WIDTH = 14


@click.command(cls=Command)
@click.option("--till", metavar="NAME")
@pass_options
def doctor(options: GlobalOptions, till: str | None) -> int:
    """Look at all that a till needs to sell: settings, parts, disk, journal, and the way to Payme.

    Each line says ok, warning or fault, and below it what to do. It changes nothing and moves no money; Payme is asked
    for a receipt that can't exist, to see whether the kassa's key is accepted.

    Exit code: 0 no fault, whatever the warnings, 1 a fault, 2 usage.
    """
    folder = options.data_dir
    tills_log = _tills_log(folder)
    with tills_log or nullcontext():
        log = None if tills_log is None else logging.getLogger(LOGGER_NAME)
        report = examine(options.conf_file, folder, SystemClock(), till=till, log=log)
    if options.json:
        echo_document(_document(report))
    else:
        for line in _lines(report):
            click.echo(line)
    return int(ExitCode.REFUSED if report.worst is Level.FAULT else ExitCode.DONE)


def _tills_log(folder: Path) -> AbstractContextManager[None] | None:
    """Return what logs every request to Payme where the till has a log; where there is none, the doctor makes none."""
    try:
        from payme_plugin.cli.log_place import command_log, has_log  # noqa: PLC0415
    except Exception:  # noqa: BLE001 - it needs hookspecs, and the doctor must say that this is another program's
        return None
    return command_log(folder) if has_log(folder) else None


def _document(report: Report) -> dict[str, object]:
    return {
        "ok": report.worst is not Level.FAULT,
        "worst": report.worst.value,
        "findings": [
            {
                "name": finding.check.value,
                "level": finding.level.value,
                "text": finding.text,
                "remedy": finding.remedy,
            }
            for finding in report.findings
        ],
        "unchecked": [{"name": each.check.value, "reason": each.reason} for each in report.unchecked],
    }


def _lines(report: Report) -> Iterator[str]:
    margin = " " * (_LEVEL_WIDTH + _NAME_WIDTH + 4)
    for finding in report.findings:
        yield f"{finding.level.value:<{_LEVEL_WIDTH}}  {finding.check.value:<{_NAME_WIDTH}}  {finding.text}"
        if finding.remedy:
            yield f"{margin}-> {finding.remedy}"
    if report.unchecked:
        yield ""
        yield "Not looked at:"
        for each in report.unchecked:
            yield f"{'':<{_LEVEL_WIDTH}}  {each.check.value:<{_NAME_WIDTH}}  {each.reason}"
    yield ""
    yield f"Faults: {report.count(Level.FAULT)}, warnings: {report.count(Level.WARNING)}."
