"""``payme completion``: the completion script of a shell, for click's own protocol."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from payme_plugin.cli.app import main
from payme_plugin.cli.command import Command
from payme_plugin.cli.output import ExitCode, Styled, echo


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the completion script of a shell."""
    script = get_completion_class(shell)
    if script is not None:
        echo(Styled(script(main, {}, "payme", "_PAYME_COMPLETE").source()))
    return int(ExitCode.DONE)
