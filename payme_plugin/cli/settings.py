"""``payme settings``: what the settings file says, checked and shown; the kassa's key is never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Group
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, echo_document, fault
from payme_plugin.cli.settings_set import set_
from payme_plugin.conf_file import MAX_FILE_BYTES, ReadError, Snapshot
from payme_plugin.paymego import codes
from payme_plugin.settings import Origin, Overview, SettingWarning, Source, look_over_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payme_plugin.settings import SettingFault, Shown

__all__ = ["settings"]

_NAME_WIDTH = 20
_VALUE_WIDTH = 40


settings = Group("settings")


@settings.command()
@pass_options
def check(options: GlobalOptions) -> int:
    """Check the settings file; print every fault and every warning.

    Exit code: 0 it can be used, 2 it can't.
    """
    seen = _look_over(options)
    faults, missing = seen.faults, _missing(options)
    warnings = (*missing, *seen.warnings)
    for found in faults:
        fault(str(found))
    for warning in warnings:
        fault(f"warning: {warning}")
    if options.json:
        echo_document(
            {
                "conf_file": str(options.conf_file),
                "ok": not faults,
                "faults": _remarks(faults),
                "warnings": _remarks(warnings),
            }
        )
    elif not faults:
        click.echo(f"{'The defaults' if missing else options.conf_file} can be used.")
    return int(ExitCode.USAGE if faults else ExitCode.DONE)


@settings.command()
@pass_options
def show(options: GlobalOptions) -> int:
    """Show every setting with where it came from; the key is masked.

    Exit code: 0 they can be used, 2 they can't; a setting that can't is told as a fault instead of shown.
    """
    seen = _look_over(options)
    for found in seen.faults:
        fault(str(found))
    for warning in _missing(options):
        fault(f"warning: {warning}")
    if options.json:
        echo_document([_shown_document(row) for row in seen.rows])
    else:
        for row in seen.rows:
            click.echo(_shown_line(row))
    return int(ExitCode.USAGE if seen.faults else ExitCode.DONE)


settings.add_command(set_)


def _look_over(options: GlobalOptions) -> Overview:
    """Look over the settings; a file that was named must be there, the till's own may be missing."""
    return look_over_settings({}, None if options.conf is None else options.conf_file, codes)


def _missing(options: GlobalOptions) -> tuple[SettingWarning, ...]:
    """Return the one remark on the till's own settings file where it is not there; the defaults count then."""
    if options.conf is not None or not isinstance(
        seen := Snapshot().read(options.conf_file, MAX_FILE_BYTES), ReadError
    ):
        return ()
    origin = Origin(Source.FILE, options.conf_file)
    return (SettingWarning(None, None, origin, "there is no such file, so the defaults count"),) if seen.missing else ()


def _remarks(remarks: Iterable[SettingFault | SettingWarning]) -> list[dict[str, object]]:
    return [
        {"name": remark.key, "value": remark.value, "line": remark.line, "message": str(remark)} for remark in remarks
    ]


def _shown_line(row: Shown) -> str:
    note = row.setting.default_note if row.setting is not None and not row.value else ""
    value = f"({note})".replace("`", "") if note else row.value
    return f"{row.name:<{_NAME_WIDTH}}  {value:<{_VALUE_WIDTH}}  {row.origin}".rstrip()


def _shown_document(row: Shown) -> dict[str, object]:
    return {
        "name": row.name,
        "value": row.value,
        "source": row.origin.source.value,
        "line": row.origin.line,
        "where": str(row.origin),
    }
