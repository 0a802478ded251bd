"""``payme conformance``: run a host through the conformance kit."""

from __future__ import annotations

import signal
import sys

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, UsageFault, echo, echo_document, fault, say
from payme_plugin.locale import message
from payme_plugin.testing import HostConformance
from payme_plugin.testing.conformance.process import HostFailed

_MAX_SEED = 999_999


class _HostCommand(Command):
    allow_interspersed_args = False  # options behind the host's command are the host's


@click.command(cls=_HostCommand)
@click.argument("host_command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--seed", type=click.IntRange(0, _MAX_SEED), metavar="N")
@pass_options
def conformance(options: GlobalOptions, host_command: tuple[str, ...], seed: int | None) -> int:
    """Check a host; 0 if every duty was played and none is broken."""
    shows_progress = sys.stderr is not None and sys.stderr.isatty()
    kit = HostConformance(host_command, seed=seed)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl+C: no host and no folder is left
    try:
        report = kit.run((lambda play: say(f"... {play}")) if shows_progress else (lambda _: None))
    except HostFailed as error:
        for line in error.errors.splitlines():
            fault(line)
        raise UsageFault(message("cli.conformance.unusable", reason=error.text)) from error
    finally:
        signal.signal(signal.SIGTERM, before)
    if options.json:
        echo_document(report.document())
    else:
        for line in report.lines():
            echo(line)
    return int(ExitCode.DONE if report.passed else ExitCode.REFUSED)
