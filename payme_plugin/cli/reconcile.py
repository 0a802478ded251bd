"""``payme reconcile``: compares the journal with Payme's own list; it only reads and asks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.files import existing_data_dir, read_journal
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, document_of, echo, echo_document, fault, iso_time, local_time, render, uzs
from payme_plugin.cli.params import DATE, day_begins_ms
from payme_plugin.cli.payme_list import account_of, list_receipts, receipt_document, state_in_words
from payme_plugin.cli.status import status_of
from payme_plugin.cli.till import checked_settings
from payme_plugin.locale import message
from payme_plugin.operations import reconciliation

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.locale import Message
    from payme_plugin.operations.reconciliation import Difference, Reconciled
    from payme_plugin.settings import Settings

_LISTS = ("differences", "returning")


@click.command(cls=Command)
@click.option("--from", "first", type=DATE, metavar="DATE", required=True)
@click.option("--to", "last", type=DATE, metavar="DATE", required=True)
@pass_options
def reconcile(options: GlobalOptions, first: date, last: date) -> int:
    """Compare the journal with Payme's list of receipts, from one day to another in local time."""
    if last < first:
        raise click.UsageError(render(message("cli.days_reversed", first=first, last=last)))
    settings = checked_settings(options.conf_file)
    folder = existing_data_dir(options)
    begin_ms, end_ms = day_begins_ms(first), day_begins_ms(last + timedelta(days=1))
    # Payme first, so that a payment made meanwhile is in the journal.
    receipts = list_receipts(folder, settings, begin_ms, end_ms)
    payments, live = _stored(folder)
    ours = [row for row in payments if _is_of(settings, row)]
    others = sum(not _is_of(settings, row) and begin_ms <= row.created_at < end_ms for row in payments)
    found = reconciliation.reconcile(ours, receipts, live, begin_ms=begin_ms, end_ms=end_ms)
    account = document_of(settings, "pos_id url")
    if options.json:
        span = {"from": iso_time(begin_ms), "to": iso_time(end_ms)}
        lists = {name: [_difference_document(each) for each in getattr(found, name)] for name in _LISTS}
        totals = document_of(found, "agreed in_journal at_payme")
        echo_document({**span, **account, **lists, **totals, "of_other_accounts": others})
    else:
        _show(found, others, message("cli.reconciled", first=first, last=last, **account))
    return ExitCode.REFUSED if found.differences else ExitCode.DONE


def _stored(folder: Path) -> tuple[list[PaymentRow], frozenset[str]]:
    """Return the journal's payments, and the ids of those with a live cancellation."""
    with read_journal(folder) as reader:
        if reader is None:
            fault(message("cli.reconciled_without_journal", path=folder))
            return [], frozenset()
        return reader.payments(), frozenset(row.payment_id for row in reader.live_cancellations())


def _is_of(settings: Settings, row: PaymentRow) -> bool:
    return (row.pos_id, row.url) == (settings.pos_id, settings.url)


def _difference_document(difference: Difference) -> dict[str, object]:
    payment, receipt = difference.pair.payment, difference.pair.receipt
    ours = payment and document_of(payment, "status amount created_at", status=status_of(payment.state))
    return {
        "kind": difference.kind.value,
        "receipt_id": difference.pair.receipt_id,
        "payment_id": payment and payment.payment_id,
        "journal": ours,
        "payme": receipt and receipt_document(receipt),
    }


def _show(found: Reconciled, others: int, title: Message) -> None:
    echo(title)
    for name in _LISTS:
        differences = getattr(found, name)
        if differences:
            echo()
            echo(message(f"cli.{name}", count=len(differences)))
        for each in differences:
            _show_difference(each)
    echo()
    echo(message("cli.agreed", agreed=found.agreed, differences=len(found.differences)))
    echo(message("cli.totals", journal=uzs(found.in_journal), payme=uzs(found.at_payme)))
    if others:
        echo(message("cli.other_accounts", count=others))


def _show_difference(difference: Difference) -> None:
    payment, receipt = difference.pair.payment, difference.pair.receipt
    nothing = message("cli.nothing")
    ours = nothing if payment is None else f"{status_of(payment.state)} {uzs(payment.amount)}"
    state = None if receipt is None else state_in_words(receipt.state)
    theirs = nothing if receipt is None else message("cli.state_amount", state=state, amount=uzs(receipt.amount or 0))
    echo(f"  {difference.kind.value:<10}  ", message("cli.difference", journal=ours, payme=theirs))
    at_ms = None if receipt is None else receipt.create_time_ms
    at_ms = at_ms if payment is None else payment.created_at
    margin = " " * 14
    when = "" if at_ms is None else f", {local_time(at_ms)}"
    echo(margin, message("cli.receipt", receipt_id=difference.pair.receipt_id), when)
    if payment is not None:
        echo(margin, message("cli.payment", payment_id=payment.payment_id))
    elif receipt is not None and (account := account_of(receipt)) is not None:
        echo(margin, account)
