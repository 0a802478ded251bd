"""The command ``payme`` as Markdown: the help of every command, and the exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from payme_plugin.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["commands", "help_blocks"]

_WIDTH = 80


def commands() -> tuple[str, ...]:
    """Return every command with its words: ``payme``, ``payme queue list`` and so on."""
    return tuple(name for name, _ in _walk(main, "payme", None))


def help_blocks() -> str:
    """Return what every command says when it is asked for ``--help``."""
    parts: list[str] = []
    for name, text in _walk(main, "payme", None):
        parts += [f"### {name}", f"```text\n{text}\n```"]
    return "\n\n".join(parts)


def _walk(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    context = command.context_class(
        command,
        info_name=name.rpartition(" ")[2],
        parent=parent,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        **command.context_settings,
    )
    # The usage line of a group is spelt differently by click 8.1 and its later versions.
    yield name, command.get_help(context).replace(" [COMMAND] [ARGS]...", " COMMAND [ARGS]...")
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            if found is not None:
                yield from _walk(found, f"{name} {each}", context)
