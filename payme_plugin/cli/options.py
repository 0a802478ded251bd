"""The options that every command takes, before its name and after it, and their defaults."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click

CONF_FILE = Path("/linuxcash/cash/conf/payme.go.conf")
"""The settings of an Artix till."""

LANGUAGES = ("ru", "uz", "en")
_DATA_DIR = Path("/linuxcash/cash/data/payme")
_LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")


@dataclass
class GlobalOptions:
    """The global options of one invocation; one given after the command's name counts before one given ahead of it.

    Attributes:
        conf: the settings file, or None.
        folder: the data folder, or None.
        json: print one JSON document on stdout.
        lang: the language, or None.
        result: the exit code, once the outcome of the command is final; whatever fails afterwards does not change it.
    """

    conf: Path | None = None
    folder: Path | None = None
    json: bool = False
    lang: str | None = None
    result: int | None = None

    @property
    def conf_file(self) -> Path:
        """The absolute path of the settings file: the one given, else the till's."""
        return CONF_FILE if self.conf is None else self.conf.absolute()

    @property
    def data_dir(self) -> Path:
        """The absolute path of the data folder: the one given, else the till's if there is one, else the user's.

        Raises:
            UsageFault: the user has no home folder.
        """
        if self.folder is not None:
            return self.folder.absolute()
        try:
            is_there = _DATA_DIR.is_dir()
        except PermissionError:  # doctor says so
            is_there = True
        return _DATA_DIR if is_there else _users_data() / "payme"

    @cached_property
    def language(self) -> str:
        """The language of help, outputs and errors: ``--lang``, else the settings', else the locale's, else English."""
        return self.lang or _language_of_settings(self.conf_file) or _language_of_locale() or "en"


def current_options() -> GlobalOptions:
    """Return the options of the command that runs on this thread."""
    context = click.get_current_context(silent=True)
    return (None if context is None else context.find_object(GlobalOptions)) or GlobalOptions()


def global_options(*, of_root: bool) -> list[click.Parameter]:
    """Return ``--conf``, ``--data-dir``, ``--json`` and ``--lang``; those of the root read the environment too."""
    path = click.Path(path_type=Path)
    options: list[click.Parameter] = [
        click.Option(["--conf"], type=path, metavar="FILE"),
        click.Option(["--data-dir", "folder"], type=path, metavar="DIR"),
        click.Option(["--json"], is_flag=True),
        click.Option(["--lang"], type=click.Choice(LANGUAGES)),
    ]
    for option in options:
        option.expose_value = False
        option.callback = _keep
        if of_root:
            option.envvar = "PAYME" + option.opts[0][1:].replace("-", "_").upper()
    return options


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Put an option that was given into the options of this invocation."""
    if value is not None and value is not False:
        options = context.ensure_object(GlobalOptions)
        setattr(options, str(parameter.name), value)
        vars(options).pop("language", None)


def _users_data() -> Path:
    named = os.environ.get("XDG_DATA_HOME", "")
    if named.startswith("/"):
        return Path(named)
    try:
        return Path.home() / ".local" / "share"
    except RuntimeError as error:
        # Here, because they need the options.
        from payme_plugin.cli.output import UsageFault  # noqa: PLC0415
        from payme_plugin.locale import message  # noqa: PLC0415

        raise UsageFault(message("cli.no_home")) from error


def _language_of_settings(conf_file: Path) -> str | None:
    # Path.is_file raises where the folder may not be entered.
    if not os.path.isfile(conf_file):  # noqa: PTH113
        return None
    from payme_plugin.conf_file import MAX_FILE_BYTES, parse, read_bounded  # noqa: PLC0415 - not for `payme --lang en`

    try:
        value = parse(read_bounded(conf_file, MAX_FILE_BYTES).data).values.get("language")
    except (OSError, ValueError):
        return None
    return value.text if value is not None and value.text in LANGUAGES else None


def _language_of_locale() -> str | None:
    named = next((os.environ[name] for name in _LOCALE if os.environ.get(name)), "")
    return named[:2] if named[:2] in LANGUAGES and named[2:3] in {"", "_", ".", "@"} else None


pass_options = click.make_pass_decorator(GlobalOptions)
