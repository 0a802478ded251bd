"""The options that every command takes, before its name and after it, and their defaults."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from payme_plugin import PLUGIN_NAME
from payme_plugin.cli.output import UsageFault
from payme_plugin.settings import LINUXCASH

__all__ = ["Given", "global_options", "pass_given"]

_LINUXCASH_DATA = Path("/linuxcash/cash/data/payme")

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass
class Given:
    """What was given on the command line, merged from both places; the one behind the command wins.

    Attributes:
        conf: the settings file, or None.
        folder: the data folder, or None.
        json: one JSON document is wanted on stdout.
    """

    conf: Path | None = None
    folder: Path | None = None
    json: bool = False

    @property
    def conf_file(self) -> Path:
        """The settings file, as a path from the root: the one given, else the till's own."""
        return LINUXCASH.conf_file if self.conf is None else self.conf.absolute()

    @property
    def data_dir(self) -> Path:
        """The data folder, as a path from the root: the one given, else the till's own if it is there, else the user's.

        Raises:
            UsageFault: the user has no home.
        """
        if self.folder is not None:
            return self.folder.absolute()
        return _LINUXCASH_DATA if _LINUXCASH_DATA.is_dir() else _users_data() / PLUGIN_NAME


def _users_data() -> Path:
    named = os.environ.get("XDG_DATA_HOME", "")
    if named.startswith("/"):
        return Path(named)
    try:
        return Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise UsageFault("this user has no home folder; name a data folder with --data-dir") from error


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Put an option that was given into the ``Given`` of this invocation."""
    if value is not None and value is not False:
        setattr(context.ensure_object(Given), str(parameter.name), value)


def global_options(command: _Command) -> _Command:
    """Let ``command`` take ``--conf``, ``--data-dir`` and ``--json``."""
    path = click.Path(path_type=Path)
    for option in (
        click.option(
            "--json", "json", is_flag=True, expose_value=False, callback=_keep, help="One JSON document on stdout."
        ),
        click.option(
            "--data-dir",
            "folder",
            type=path,
            expose_value=False,
            callback=_keep,
            metavar="DIR",
            help="Folder of the journal and of the reference till's sales.",
        ),
        click.option(
            "--conf",
            "conf",
            type=path,
            expose_value=False,
            callback=_keep,
            metavar="FILE",
            help=f"Settings file; default {LINUXCASH.conf_file}.",
        ),
    ):
        command = option(command)
    return command


pass_given = click.make_pass_decorator(Given)
