"""The commands in a group of commands."""

from __future__ import annotations

import click


def commands_in(group: click.Command) -> dict[str, click.Command]:
    """Return the commands of a group by name; nothing if it is not a group."""
    if not isinstance(group, click.Group):
        return {}
    context = click.Context(group)
    found = ((name, group.get_command(context, name)) for name in group.list_commands(context))
    return {name: command for name, command in found if command is not None}
