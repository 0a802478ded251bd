"""The classes of all commands: global options, and help in the language of the user; and ``payme completion``.

Help is in the catalogue ``cli``. The text of a command has the id ``cli.help.`` and its words, e.g.
``cli.help.queue.list``; its first paragraph is its summary. The text of an option has the id of its command and its
name: ``cli.help.queue.list.fiscal_links``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from payme_plugin.cli.options import CONF_FILE, current_options, global_options
from payme_plugin.cli.output import Styled, echo, render
from payme_plugin.locale import message

if TYPE_CHECKING:
    from collections.abc import Iterable

_OF_ALL = {"conf", "folder", "json", "lang", "version"}


class Command(click.Command):
    """A command with the global options; its callback returns an exit code, or None for 0."""

    is_root = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *global_options(of_root=self.is_root)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the global options first, because they set the language and the format of help and errors."""
        self.read_ahead(ctx, args)
        return super().parse_args(ctx, args)

    def read_ahead(self, ctx: click.Context, args: list[str]) -> None:
        """Take the global options in ``args``, whatever is wrong with the others."""
        ahead = click.Context(self, ctx.parent, obj=ctx.obj, resilient_parsing=True, ignore_unknown_options=True)
        given, _, _ = self.make_parser(ahead).parse_args([*args])
        for parameter in self.params:
            if parameter.name in _OF_ALL:
                parameter.handle_parse_result(ahead, given, [])
        os.environ["LANGUAGE"] = current_options().language

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help with the texts of the catalogue, which click reads from the attributes."""
        words = _words_of(ctx)
        self._help_option = None  # click keeps it with the text of the first language
        self.help = help_text(*words)
        for parameter in self.params:
            if isinstance(parameter, click.Option):
                owner = ["payme"] if parameter.name in _OF_ALL else words
                parameter.help = help_text(*owner, str(parameter.name))
        super().format_help(ctx, formatter)


class Group(Command, click.Group):
    """A group of commands; without one it runs its own callback, or shows its help."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(*args, invoke_without_command=True, **kwargs)
        self.callback = self.callback or _show_help

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which they were added."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse an unknown command with the nearest name; click knows only commands that are loaded."""
        from difflib import get_close_matches  # noqa: PLC0415 - unknown commands only

        name, names = args[0], self.list_commands(ctx)
        if name not in names and not name.startswith("-") and not ctx.resilient_parsing:
            Command(name).read_ahead(ctx, args)
            near = next(iter(get_close_matches(name, names, 1)), None)
            key = "cli.no_such_command" if near is None else "cli.no_such_command_near"
            ctx.fail(render(message(key, name=name, near=near)))
        return super().resolve_command(ctx, args)

    def sections(self, ctx: click.Context) -> Iterable[tuple[str, Iterable[str]]]:
        """Return the sections of the list of commands: titles and names."""
        return [(help_text("commands"), self.list_commands(ctx))]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, none of which is loaded for it."""
        path = [word for word in _words_of(ctx) if ctx.parent is not None]
        for title, names in self.sections(ctx):
            with formatter.section(title):
                formatter.write_dl([(name, help_text(*path, name).partition("\n")[0]) for name in names])


def help_text(*words: str) -> str:
    """Return a text of the help in the language of the command."""
    return render(message(f"cli.help.{'.'.join(words)}", path=CONF_FILE))


def _words_of(ctx: click.Context) -> list[str]:
    """Return the names of a command and of the groups around it, without ``payme``; of that itself, its own name."""
    words: list[str] = []
    step: click.Context | None = ctx
    while step is not None and step.parent is not None:
        words.insert(0, str(step.command.name))
        step = step.parent
    return words or ["payme"]


@click.pass_context
def _show_help(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        echo(Styled(ctx.get_help()))


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - for this command only

    script = get_completion_class(shell)
    if script is not None:
        echo(Styled(script(ctx.find_root().command, {}, "payme", "_PAYME_COMPLETE").source()))
