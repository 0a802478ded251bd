"""What every command runs in: an exit code and one sentence a fault, and the last net under what nobody foresaw."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

import click

from payme_plugin.cli.given import Given, global_options
from payme_plugin.cli.output import ExitCode, fault
from payme_plugin.log import LOGGER_NAME
from payme_plugin.secret import safe_traceback

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["App", "command_line"]

_INTERRUPTED = 130


class App(click.Group):
    """A group that ends every command with an exit code and at most one sentence a fault, never with a traceback."""

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401 - click's own signature differs by version
        """Run one command; exit with its code, or return it where ``standalone_mode`` is off."""
        standalone = extra.pop("standalone_mode", True)
        given = extra.setdefault("obj", Given())
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        run: Callable[..., object] = super().main
        code = _guarded(given, lambda: run(*args, standalone_mode=False, **extra))
        if standalone:
            sys.exit(code)
        return code


def command_line(app: type[App], explanation: str) -> click.Group:
    """Return the command ``payme`` without any command in it: help, version and the global options.

    Args:
        app: the group that it is.
        explanation: what its help says first.
    """

    @click.group(
        cls=app,
        help=explanation,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    @click.version_option(package_name="payme-plugin", prog_name="payme", message="%(prog)s %(version)s")
    @global_options
    @click.pass_context
    def main(context: click.Context) -> None:
        if context.invoked_subcommand is None:
            click.echo(context.get_help())

    return main


def _guarded(given: Given, run: Callable[[], object]) -> int:
    try:
        code = run()
    except click.ClickException as error:
        fault(error.format_message())
        return error.exit_code
    except click.Abort:
        fault("stopped.")
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last net: a person at a terminal never gets a traceback
        fault(_unexpected(given, error))
        return int(ExitCode.REFUSED)
    return code if isinstance(code, int) else int(ExitCode.DONE)


def _unexpected(given: Given, error: Exception) -> str:
    """Return the sentence for a fault that nobody foresaw; its traceback goes into the log."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" in {last[0].name}" if last else ""
    sentence = f"unexpected {type(error).__name__}{place}; this is a fault of the program"
    try:
        folder = given.data_dir
    except click.ClickException:
        return f"{sentence}."
    try:
        path = _logged(folder, error)
    except ImportError:  # ``hookspecs`` is another program's: that is told elsewhere
        return f"{sentence}."
    return f"{sentence}." if path is None else f"{sentence}, its details are in {path}."


def _logged(folder: Path, error: BaseException) -> Path | None:
    """Write an error's details into the command's log and return where that is; None where there may be none."""
    # Here, for they need ``hookspecs``, and this module must load where that is another program's.
    from payme_plugin.cli.log_place import command_log, log_path  # noqa: PLC0415

    path = log_path(folder)
    if not path.parent.is_dir() or not (path.exists() or _may_make_log(folder)):
        return None
    with command_log(folder):
        logging.getLogger(LOGGER_NAME).error("the command failed: %s", safe_traceback(error))
    return path


def _may_make_log(folder: Path) -> bool:
    """Say whether a log may be made in a folder: not beside another till's journal, or one that can't be read."""
    from payme_plugin.cli.journal import journal_identity  # noqa: PLC0415 - as above
    from payme_plugin.till import reference_identity  # noqa: PLC0415 - as above

    try:
        return journal_identity(folder) in {None, reference_identity()}
    except Exception:  # noqa: BLE001 - what can't be read may be the very fault that is to be told
        return False
