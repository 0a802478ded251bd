"""``payme queue``: the money that is on its way back to buyers, and what people can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Group
from payme_plugin.cli.journal import read_journal
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, Refusal, echo_document, iso_time, local_time, uzs
from payme_plugin.cli.params import ROW_NUMBER
from payme_plugin.cli.queue_add import add
from payme_plugin.cli.queue_close import close
from payme_plugin.cli.queue_deliver import deliver
from payme_plugin.cli.queue_rows import age, link_document, outcome_in_words, row_document
from payme_plugin.cli.status import event_document, story_lines
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.states import Hold

if TYPE_CHECKING:
    from payme_plugin.ledger.rows import CancellationRow, EventRow, FiscalLinkRow

__all__ = ["queue"]

_HELD = {
    Hold.HOST: "the till says that it has this payment; cancel or refund it there",
    Hold.OLD: "the payment is older than 7 days; `payme queue add` releases it, `payme queue close` ends it",
}


queue = Group("queue")


@queue.command("list")
@click.option("--fiscal-links", is_flag=True)
@pass_options
def list_(options: GlobalOptions, *, fiscal_links: bool) -> int:
    """List the cancellations that have not ended, oldest first, and the fiscal receipts that Payme does not have.

    Exit code: 0 told, however many there are, 2 usage, or the journal can't be read.
    """
    with read_journal(options.data_dir) as reader:
        rows = [] if reader is None else [*reader.live_cancellations(), *reader.confirming_cancellations()]
        links = [] if reader is None else reader.live_fiscal_links()
    now_ms = SystemClock().wall_ms()
    if options.json:
        documents = (link_document(row, now_ms) for row in links)
        echo_document(list(documents) if fiscal_links else [row_document(row, now_ms) for row in rows])
        return int(ExitCode.DONE)
    _list_cancellations(rows, now_ms)
    if links:
        click.echo()
        _list_links(links, now_ms)
    return int(ExitCode.DONE)


def _list_cancellations(rows: list[CancellationRow], now_ms: int) -> None:
    if not rows:
        click.echo("No money is on its way back.")
        return
    click.echo(f"{'Id':>4}  {'Cause':<10}  {'Age':>6}  {'Tries':>5}  {'Payment':<32}  Last error")
    for row in rows:
        click.echo(
            f"{row.cancellation_id:>4}  {row.cause.value:<10}  {age(row, now_ms):>6}  {row.attempts:>5}"
            f"  {row.payment_id:<32}  {'' if row.confirmed_at is None else 'confirming: '}{row.last_error}".rstrip()
        )


def _list_links(links: list[FiscalLinkRow], now_ms: int) -> None:
    click.echo("Fiscal receipts that Payme does not have yet:")
    for row in links:
        click.echo(f"{age(row, now_ms):>18}  {row.attempts:>5}  {row.payment_id:<32}  {row.last_error}".rstrip())


@queue.command()
@click.argument("cancellation_id", metavar="ID", type=ROW_NUMBER)
@pass_options
def show(options: GlobalOptions, cancellation_id: int) -> int:
    """Tell everything about one cancellation, live or ended, with the story of its payment.

    Exit code: 0 told, 1 there is no such cancellation, 2 usage, or the journal can't be read.
    """
    with read_journal(options.data_dir) as reader:
        row = None if reader is None else reader.cancellation(cancellation_id)
        events = [] if reader is None or row is None else reader.events(row.payment_id)
    if row is None:
        message = f"there is no cancellation {cancellation_id} in the journal of {options.data_dir}"
        raise Refusal(message)
    now_ms = SystemClock().wall_ms()
    if options.json:
        echo_document({**_whole_document(row, now_ms), "events": [event_document(event) for event in events]})
    else:
        _show(row, events, now_ms)
    return int(ExitCode.DONE)


queue.add_command(add)
queue.add_command(deliver)
queue.add_command(close)


def _whole_document(row: CancellationRow, now_ms: int) -> dict[str, object]:
    return {
        **row_document(row, now_ms),
        "amount": row.amount,
        "pos_id": row.pos_id,
        "url": row.url,
        "request_id": row.request_id or None,
        "created_at": iso_time(row.created_at),
        "due_at": iso_time(row.due_at) if row.ended_at is None else None,
        "offered_at": None if row.offered_at is None else iso_time(row.offered_at),
        "ended_at": None if row.ended_at is None else iso_time(row.ended_at),
        "outcome": outcome_in_words(row),
        "ended_as": None if row.ended_as is None else row.ended_as.value,
        "closed_reason": row.closed_reason,
    }


def _show(row: CancellationRow, events: list[EventRow], now_ms: int) -> None:
    click.echo(f"Cancellation  {row.cancellation_id}, {row.cause.value}")
    click.echo(f"Payment       {row.payment_id}")
    click.echo(f"Amount        {uzs(row.amount)}")
    click.echo(f"Payme         receipt {row.receipt_id}")
    click.echo(f"Kassa         {row.pos_id} at {row.url}")
    click.echo(f"Written       {local_time(row.created_at)}, {age(row, now_ms)} ago")
    click.echo(f"Tries         {row.attempts}{f', the last one: {row.last_error}' if row.last_error else ''}")
    if row.offered_at is not None:
        click.echo(f"Host's queue  took it at {local_time(row.offered_at)}")
    if row.held is not None:
        click.echo(f"Held          {_HELD[row.held]}")
    if row.confirmed_at is not None and row.ended_at is None:
        click.echo(f"Confirming    Payme said cancelled (50) at {local_time(row.confirmed_at)}")
    if row.ended_at is not None:
        click.echo(f"Ended         {local_time(row.ended_at)}: {outcome_in_words(row)}")
    else:
        click.echo(f"Next try      {'now' if row.due_at <= now_ms else local_time(row.due_at)}")
    click.echo()
    for line in story_lines(events):
        click.echo(line)
