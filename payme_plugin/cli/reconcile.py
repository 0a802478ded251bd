"""``payme reconcile``: compares the journal with Payme's own list; it only reads and asks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.delivery import open_asking_client
from payme_plugin.cli.files import existing_data_dir, read_journal
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, echo, echo_document, fault, iso_time, local_time, render, uzs
from payme_plugin.cli.params import DATE, day_begins_ms
from payme_plugin.cli.payme_list import account_of, list_receipts, receipt_document, state_in_words
from payme_plugin.cli.status import status_of
from payme_plugin.cli.till import checked_settings
from payme_plugin.clock import SystemClock
from payme_plugin.locale import message
from payme_plugin.operations import reconciliation

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.locale import Message
    from payme_plugin.operations.reconciliation import Difference, Reconciled
    from payme_plugin.paymego.receipts import ServerReceipt
    from payme_plugin.settings import Settings

_MARGIN_MS = 3_600_000
"""One hour: how far the till's clock and Payme's may be apart."""


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
    receipts = _listed(folder, settings, begin_ms, end_ms)
    payments, live = _stored(folder)
    ours = [row for row in payments if _is_of(settings, row)]
    others = sum(not _is_of(settings, row) and begin_ms <= row.created_at < end_ms for row in payments)
    found = reconciliation.reconcile(ours, receipts, live, begin_ms=begin_ms, end_ms=end_ms)
    if options.json:
        echo_document(_document(found, settings, (begin_ms, end_ms), others))
    else:
        _show(found, others, message("cli.reconciled", first=first, last=last, **_account(settings)))
    return int(ExitCode.REFUSED if found.differences else ExitCode.DONE)


def _listed(folder: Path, settings: Settings, begin_ms: int, end_ms: int) -> list[ServerReceipt]:
    clock = SystemClock()
    with open_asking_client(folder, settings, clock) as client:
        return list_receipts(client, clock, settings.timeout_s, begin_ms - _MARGIN_MS, end_ms + _MARGIN_MS)


def _stored(folder: Path) -> tuple[list[PaymentRow], frozenset[str]]:
    """Return the journal's payments, and the ids of those with a live cancellation."""
    with read_journal(folder) as reader:
        if reader is None:
            fault(message("cli.reconciled_without_journal", path=folder))
            return [], frozenset()
        return reader.payments(), frozenset(row.payment_id for row in reader.live_cancellations())


def _is_of(settings: Settings, row: PaymentRow) -> bool:
    return (row.pos_id, row.url) == (settings.pos_id, settings.url)


def _document(found: Reconciled, settings: Settings, span: tuple[int, int], others: int) -> dict[str, object]:
    return {
        "from": iso_time(span[0]),
        "to": iso_time(span[1]),
        **_account(settings),
        "differences": [_difference_document(each) for each in found.differences],
        "returning": [_difference_document(each) for each in found.returning],
        "agreed": found.agreed,
        "in_journal": found.in_journal,
        "at_payme": found.at_payme,
        "of_other_accounts": others,
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


def _account(settings: Settings) -> dict[str, object]:
    return {"pos_id": settings.pos_id, "url": settings.url}


def _show(found: Reconciled, others: int, title: Message) -> None:
    echo(title)
    for key, differences in (("cli.differences", found.differences), ("cli.returning", found.returning)):
        if differences:
            echo()
            echo(message(key, count=len(differences)))
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
    times = (None if payment is None else payment.created_at, None if receipt is None else receipt.create_time_ms)
    at_ms = next((time for time in times if time is not None), None)
    margin = " " * 14
    when = "" if at_ms is None else f", {local_time(at_ms)}"
    echo(margin, message("cli.receipt", receipt_id=difference.pair.receipt_id), when)
    if payment is not None:
        echo(margin, message("cli.payment", payment_id=payment.payment_id))
    elif receipt is not None and (account := account_of(receipt)) is not None:
        echo(margin, account)
