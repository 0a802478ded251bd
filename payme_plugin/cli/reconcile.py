"""``payme reconcile``: the journal against Payme's own list, differences first. It reads and asks, nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.delivery import open_asking_client
from payme_plugin.cli.journal import read_journal
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, echo_document, fault, iso_time, local_time, uzs
from payme_plugin.cli.params import DATE, day_begins_ms
from payme_plugin.cli.payme_list import account_of, list_receipts
from payme_plugin.cli.receipt_states import state_in_words
from payme_plugin.cli.status import status_of
from payme_plugin.cli.till import checked_settings
from payme_plugin.clock import SystemClock
from payme_plugin.operations import reconciliation

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.reconciliation import Difference, Reconciled
    from payme_plugin.paymego.receipts import ServerReceipt
    from payme_plugin.settings import Settings

__all__ = ["receipt_document", "reconcile"]

_MARGIN_MS = 3_600_000
"""One hour: how far the till's clock and Payme's may be apart."""


@click.command(cls=Command)
@click.option("--from", "first", type=DATE, metavar="DATE", required=True)
@click.option("--to", "last", type=DATE, metavar="DATE", required=True)
@pass_options
def reconcile(options: GlobalOptions, first: date, last: date) -> int:
    """Compare the journal with Payme's list of the kassa's receipts, from one day to another in local time.

    Exit code: 0 no difference, 1 differences, or Payme's list can't be had, 2 usage or settings.
    """
    if last < first:
        message = f"--from {first} is after --to {last}."
        raise click.UsageError(message)
    settings = checked_settings(options.conf_file)
    begin_ms, end_ms = day_begins_ms(first), day_begins_ms(last + timedelta(days=1))
    # Payme first: what is paid meanwhile is then in the journal at least.
    receipts = _listed(options.data_dir, settings, begin_ms, end_ms)
    payments, live = _stored(options.data_dir)
    ours = [row for row in payments if _is_of(settings, row)]
    others = sum(not _is_of(settings, row) and begin_ms <= row.created_at < end_ms for row in payments)
    found = reconciliation.reconcile(ours, receipts, live, begin_ms=begin_ms, end_ms=end_ms)
    if options.json:
        echo_document(_document(found, settings, (begin_ms, end_ms), others))
    else:
        _show(found, settings, f"{first} to {last}", others)
    return int(ExitCode.REFUSED if found.differences else ExitCode.DONE)


def _listed(folder: Path, settings: Settings, begin_ms: int, end_ms: int) -> list[ServerReceipt]:
    clock = SystemClock()
    with open_asking_client(folder, settings, clock) as client:
        return list_receipts(client, clock, settings.timeout_s, begin_ms - _MARGIN_MS, end_ms + _MARGIN_MS)


def _stored(folder: Path) -> tuple[list[PaymentRow], frozenset[str]]:
    """Return the journal's payments, and the ids of those with a live cancellation."""
    with read_journal(folder) as reader:
        if reader is None:
            fault(f"there is no journal in {folder}; Payme's list is compared with nothing")
            return [], frozenset()
        return reader.payments(), frozenset(row.payment_id for row in reader.live_cancellations())


def _is_of(settings: Settings, row: PaymentRow) -> bool:
    return (row.pos_id, row.url) == (settings.pos_id, settings.url)


def _document(found: Reconciled, settings: Settings, span: tuple[int, int], others: int) -> dict[str, object]:
    return {
        "from": iso_time(span[0]),
        "to": iso_time(span[1]),
        "pos_id": settings.pos_id,
        "url": settings.url,
        "differences": [_difference_document(each) for each in found.differences],
        "returning": [_difference_document(each) for each in found.returning],
        "agreed": found.agreed,
        "in_journal": found.in_journal,
        "at_payme": found.at_payme,
        "of_other_kassas": others,
    }


def _difference_document(difference: Difference) -> dict[str, object]:
    payment, receipt = difference.pair.payment, difference.pair.receipt
    return {
        "kind": difference.kind.value,
        "receipt_id": difference.pair.receipt_id,
        "payment_id": None if payment is None else payment.payment_id,
        "journal": None
        if payment is None
        else {"status": status_of(payment.state), "amount": payment.amount, "created_at": iso_time(payment.created_at)},
        "payme": None if receipt is None else receipt_document(receipt),
    }


def receipt_document(receipt: ServerReceipt) -> dict[str, object]:
    """Return a receipt of Payme's list as JSON shows it."""
    created_ms = receipt.create_time_ms
    return {
        "receipt_id": receipt.receipt_id,
        "state": receipt.state,
        "amount": receipt.amount,
        "account": account_of(receipt),
        "created_at": None if created_ms is None else iso_time(created_ms),
    }


def _show(found: Reconciled, settings: Settings, span: str, others: int) -> None:
    click.echo(f"{span}, kassa {settings.pos_id} at {settings.url}")
    for title, differences in (("Differences", found.differences), ("On their way back", found.returning)):
        if differences:
            click.echo()
            click.echo(f"{title}: {len(differences)}")
        for each in differences:
            _show_difference(each)
    click.echo()
    click.echo(f"{found.agreed} receipts agree. Differences: {len(found.differences)}.")
    click.echo(f"Paid, says the journal: {uzs(found.in_journal)}. Payme holds: {uzs(found.at_payme)}.")
    if others:
        click.echo(f"Payments of other kassas in this journal, not compared: {others}.")


def _show_difference(difference: Difference) -> None:
    payment, receipt = difference.pair.payment, difference.pair.receipt
    ours = "nothing" if payment is None else f"{status_of(payment.state)} {uzs(payment.amount)}"
    theirs = "nothing" if receipt is None else f"{state_in_words(receipt.state)} {uzs(receipt.amount or 0)}"
    times = (None if payment is None else payment.created_at, None if receipt is None else receipt.create_time_ms)
    at_ms = next((time for time in times if time is not None), None)
    click.echo(f"  {difference.kind.value:<10}  journal: {ours}; Payme: {theirs}")
    click.echo(f"              receipt {difference.pair.receipt_id}{'' if at_ms is None else f', {local_time(at_ms)}'}")
    if payment is not None:
        click.echo(f"              payment {payment.payment_id}")
    elif receipt is not None and (account := account_of(receipt)) is not None:
        click.echo(f"              {account}")
