"""The command's frame: help, version, options, and the last net under every fault."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

import click

from payme_plugin.cli.demo import demo
from payme_plugin.cli.given import Given, global_options
from payme_plugin.cli.output import ExitCode, fault
from payme_plugin.cli.pay import pay
from payme_plugin.cli.queue import queue
from payme_plugin.cli.reconcile import reconcile
from payme_plugin.cli.repair import journal
from payme_plugin.cli.reversal import cancel, refund
from payme_plugin.cli.sandbox import sandbox
from payme_plugin.cli.settings import settings
from payme_plugin.cli.slip import slip
from payme_plugin.cli.status import status
from payme_plugin.cli.worker import worker
from payme_plugin.till import terminal_log

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

_INTERRUPTED = 130
_LOG = "terminal.log"


class _App(click.Group):
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
    """Return the sentence for a fault that nobody foresaw; its traceback goes into the log of the data folder."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" in {last[0].name}" if last else ""
    sentence = f"unexpected {type(error).__name__}{place}; this is a fault of the program"
    try:
        folder = given.data_dir
    except click.ClickException:
        return f"{sentence}."
    if not folder.is_dir():
        return f"{sentence}."
    with terminal_log(folder / _LOG):
        logging.getLogger("payme").error("the command failed", exc_info=error)
    return f"{sentence}, its details are in {folder / _LOG}."


@click.group(cls=_App, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="payme-plugin", prog_name="payme", message="%(prog)s %(version)s")
@global_options
@click.pass_context
def main(context: click.Context) -> None:
    """Take Payme payments at a till: pay, look at what happened, and try it all against a local sandbox."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _command in (demo, pay, cancel, refund, status, queue, worker, reconcile, settings, journal, slip, sandbox):
    main.add_command(_command)
