"""The command with all that it can do: help, version, options."""

from __future__ import annotations

from payme_plugin.cli.demo import demo
from payme_plugin.cli.doctor import doctor
from payme_plugin.cli.frame import App, command_line
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


main = command_line(
    App, "Take Payme payments at a till: pay, look at what happened, and try it all against a local sandbox."
)

for _command in (demo, pay, cancel, refund, status, queue, worker, reconcile, settings, journal, slip, doctor, sandbox):
    main.add_command(_command)
