"""The command with all that it can do: help, version, options."""

from __future__ import annotations

import click

from payme_plugin.cli.demo import demo
from payme_plugin.cli.doctor import doctor
from payme_plugin.cli.frame import App
from payme_plugin.cli.given import global_options
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

__all__ = ["main"]


@click.group(cls=App, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="payme-plugin", prog_name="payme", message="%(prog)s %(version)s")
@global_options
@click.pass_context
def main(context: click.Context) -> None:
    """Take Payme payments at a till: pay, look at what happened, and try it all against a local sandbox."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _command in (demo, pay, cancel, refund, status, queue, worker, reconcile, settings, journal, slip, doctor, sandbox):
    main.add_command(_command)
