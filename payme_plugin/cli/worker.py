"""``payme worker``: delivers cancellations until it is stopped, beside the till or in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.delivery import log_of, open_delivery
from payme_plugin.cli.files import existing_data_dir, journal_identity
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import OutputFailed, echo, echo_document, fault
from payme_plugin.cli.screen import until_stopped
from payme_plugin.cli.till import checked_settings
from payme_plugin.delivery.worker import Worker
from payme_plugin.ledger.errors import FileMoved
from payme_plugin.locale import message
from payme_plugin.till import stderr_log

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from payme_plugin.cli.delivery import JournalDelivery

_LOOKS_EVERY_S = 1.0
_STOP_TIMEOUT_S = 2.0


@click.command(cls=Command)
@pass_options
def worker(options: GlobalOptions) -> None:
    """Deliver cancellations and fiscal receipts of the journal until Ctrl+C or SIGTERM."""
    checked_settings(options.conf_file, only_returns=True)
    folder = existing_data_dir(options)
    with until_stopped() as stopped:
        identity = _awaited_journal(folder, stopped)
        if identity is None:
            return
        with open_delivery(options, log=log_of(folder, identity, stderr_log())) as delivery:
            try:
                if options.json:
                    echo_document({"data_dir": str(folder), "till": identity})
                else:
                    echo(message("cli.worker_started", till=identity, path=folder))
            except OutputFailed as error:
                # Nobody may read it for months; the cancellations matter.
                fault(message("cli.output_failed", reason=error.reason))
            _work(delivery, stopped)


def _awaited_journal(folder: Path, stopped: threading.Event) -> str | None:
    """Return the name of the journal's till, as soon as there is a journal; None: stopped before."""
    while (identity := journal_identity(folder)) is None:
        if stopped.wait(_LOOKS_EVERY_S):
            break
    return identity


def _work(delivery: JournalDelivery, stopped: threading.Event) -> None:
    running = Worker(delivery, delivery.clock)
    running.start()
    try:
        # The till writes rows in a process of its own.
        while not stopped.wait(_LOOKS_EVERY_S):
            met = delivery.storage.fault()
            if isinstance(met, FileMoved) and met.is_replaced:
                # New rows are in the other file.
                raise met
            running.wake()
    finally:
        running.stop(_STOP_TIMEOUT_S)
