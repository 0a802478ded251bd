"""``payme worker``: delivers cancellations until it is stopped, those of a journal or those at a chain's broker."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.broker_queue import broker_option
from payme_plugin.cli.command import Command
from payme_plugin.cli.delivery import log_of, open_delivery
from payme_plugin.cli.files import existing_data_dir, journal_identity
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import OutputFailed, UsageFault, echo, echo_document, fault
from payme_plugin.cli.params import METRICS_ADDRESS
from payme_plugin.cli.screen import until_stopped
from payme_plugin.cli.till import checked_settings
from payme_plugin.clock import SystemClock
from payme_plugin.delivery.accounts import AccountClients, AccountsFile
from payme_plugin.delivery.broker import Broker, BrokerAway, BrokerRefuses
from payme_plugin.delivery.central_metrics import Metrics
from payme_plugin.delivery.central_worker import CONSUMERS, HEARTBEAT_S, CentralWorker
from payme_plugin.delivery.chain_messages import Queues
from payme_plugin.delivery.worker import Worker
from payme_plugin.ledger.errors import FileMoved
from payme_plugin.locale import message
from payme_plugin.log import Log
from payme_plugin.settings import SettingsError
from payme_plugin.settings.parsers import masked_address
from payme_plugin.till import stderr_log

if TYPE_CHECKING:
    import threading

    from payme_plugin.cli.delivery import JournalDelivery
    from payme_plugin.locale import Message

_log = Log()

_LOOKS_EVERY_S = 1.0
_STOP_TIMEOUT_S = 2.0


@click.command(cls=Command)
@broker_option
@click.option("--accounts", type=click.Path(path_type=Path), envvar="PAYME_WORKER_ACCOUNTS", metavar="FILE")
@click.option("--metrics", type=METRICS_ADDRESS, envvar="PAYME_WORKER_METRICS", metavar="[HOST:]PORT")
@pass_options
def worker(options: GlobalOptions, broker: str | None, accounts: Path | None, metrics: tuple[str, int] | None) -> None:
    """Deliver the cancellations and fiscal receipts of the journal, or a chain's cancellations, until stopped."""
    if (broker is None) != (accounts is None) or (metrics and broker is None):
        raise UsageFault(message("cli.worker_of_chain"))
    if broker is not None and accounts is not None:
        _work_for_chain(options, broker, accounts.absolute(), metrics)
    else:
        _work_for_journal(options)


def _work_for_journal(options: GlobalOptions) -> None:
    checked_settings(options.conf_file, only_returns=True)
    folder = existing_data_dir(options)
    with until_stopped() as stopped:
        identity = _awaited_journal(folder, stopped)
        if identity is None:
            return
        with open_delivery(options, log=log_of(folder, identity, stderr_log())) as delivery:
            started = message("cli.worker_started", till=identity, path=folder)
            _say_started(options, {"data_dir": str(folder), "till": identity}, started)
            _work(delivery, stopped)


def _say_started(options: GlobalOptions, document: dict[str, object], text: Message) -> None:
    try:
        if options.json:
            echo_document(document)
        else:
            echo(text)
    except OutputFailed as error:
        # Nobody may read it for months; the cancellations matter.
        fault(message("cli.output_failed", reason=error.reason))


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


def _work_for_chain(options: GlobalOptions, url: str, path: Path, address: tuple[str, int] | None) -> None:
    """Deliver what tills handed over to the broker, until stopped.

    Raises:
        UsageFault: the accounts, the broker or the address of the metrics can't be used.
    """
    clock, queues, shown = SystemClock(), Queues(), masked_address(url)
    with until_stopped() as stopped, stderr_log(), ExitStack() as opened:
        try:
            accounts = AccountsFile(path)
            connect = partial(Broker, url, ca_file=accounts.current.settings.ca_file, heartbeat_s=HEARTBEAT_S)
            metrics = None if address is None else Metrics(connect, queues, clock)
            running = CentralWorker(connect, accounts, AccountClients(clock), clock, queues=queues, metrics=metrics)
            if metrics is not None and address is not None:
                opened.enter_context(metrics.served(*address))
            running.declare()
        except SettingsError as error:
            raise UsageFault(error.text(options.language)) from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UsageFault(message("cli.metrics_unavailable", address=_spelt(address), reason=reason)) from error
        except BrokerRefuses as error:
            raise UsageFault(message("cli.broker_failed", broker=shown, reason=error)) from error
        except BrokerAway as error:
            _log.error("%s: %s", shown, error)
        number = len(accounts.current.by_pos_id)
        document = {"broker": shown, "accounts": number, "consumers": CONSUMERS, "metrics": _spelt(address)}
        _say_started(options, document, message("cli.worker_of_chain_started", broker=shown, number=number))
        running.start()
        opened.callback(running.stop, _STOP_TIMEOUT_S)
        while not stopped.wait(_LOOKS_EVERY_S):
            accounts.refresh()


def _spelt(address: tuple[str, int] | None) -> str | None:
    return None if address is None else f"{address[0]}:{address[1]}"
