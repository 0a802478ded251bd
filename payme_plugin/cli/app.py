"""The command ``payme`` with all its commands. A command's module is imported when click looks it up."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

# Imported first: it fails if another program's package has one of these names.
from hookspecs import PosPlugins as _PosPlugins  # noqa: F401
from payme_plugin.cli.frame import App, command_line
from slips import SlipPress as _SlipPress  # noqa: F401

if TYPE_CHECKING:
    import click

__all__ = ["main"]

_MODULES = {
    "cancel": "reversal",
    "demo": "demo",
    "doctor": "doctor",
    "journal": "repair",
    "pay": "pay",
    "queue": "queue",
    "reconcile": "reconcile",
    "refund": "reversal",
    "sandbox": "sandbox",
    "settings": "settings",
    "slip": "slip",
    "status": "status",
    "worker": "worker",
}


class _AllCommands(App):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        module = _MODULES.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(import_module(f"payme_plugin.cli.{module}"), cmd_name)
        return command


main = command_line(
    _AllCommands, "Take Payme payments at a till: pay, look at what happened, and try it all against a local sandbox."
)
