"""``payme status``: what the journal tells of payments, without changing a byte of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.journal import read_journal
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, Refusal, echo_document, iso_time, local_time, uzs
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payme_plugin.ledger.rows import EventRow, PaymentRow

__all__ = ["event_document", "payment_document", "payment_lines", "status", "status_of", "story_lines"]

_NAMES = {PaymentState.RECORDED: "PAID", PaymentState.PAID: "UNRECORDED"}


def status_of(state: PaymentState) -> str:
    """Return how people read a state: PAID only where the till has the sale, UNRECORDED while it may not have it."""
    return _NAMES.get(state, state.name)


@click.command(cls=Command)
@click.argument("payment_id", required=False)
@pass_options
def status(options: GlobalOptions, payment_id: str | None) -> int:
    """List the payments, newest first; with PAYMENT_ID tell its whole story.

    Exit code: 0 told, 1 there is no such payment, 2 usage, or the journal can't be read.
    """
    if payment_id is None:
        return _list(options)
    with read_journal(options.data_dir) as reader:
        row = None if reader is None else reader.find(payment_id)
        events = [] if reader is None or row is None else reader.events(payment_id)
    if row is None:
        message = f"there is no payment {payment_id!r} in the journal of {options.data_dir}"
        raise Refusal(message)
    if options.json:
        echo_document({**payment_document(row), "events": [event_document(event) for event in events]})
    else:
        for line in payment_lines(row, events):
            click.echo(line)
    return int(ExitCode.DONE)


def _list(options: GlobalOptions) -> int:
    with read_journal(options.data_dir) as reader:
        rows = [] if reader is None else reader.payments()
    if options.json:
        echo_document([payment_document(row) for row in rows])
    elif not rows:
        click.echo(f"There are no payments in {options.data_dir}.")
    else:
        click.echo(f"{'Time':<19}  {'Amount':>14}  {'Status':<10}  Payment")
        for row in rows:
            time, name = local_time(row.created_at), status_of(row.state)
            click.echo(f"{time:<19}  {uzs(row.amount):>14}  {name:<10}  {row.payment_id}")
    return int(ExitCode.DONE)


def payment_document(row: PaymentRow) -> dict[str, object]:
    """Return a payment as JSON shows it; the amount is in tiyin."""
    return {
        "payment_id": row.payment_id,
        "receipt_id": row.receipt_id,
        "amount": row.amount,
        "status": status_of(row.state),
        "state": row.state.value,
        "till": row.till,
        "shift": row.shift,
        "number": row.number,
        "message": row.message,
        "error_code": row.error_code,
        "cancellation_queued": row.cancellation_queued,
        "acknowledged_at": None if row.acknowledged_at is None else iso_time(row.acknowledged_at),
        "created_at": iso_time(row.created_at),
        "updated_at": iso_time(row.updated_at),
    }


def event_document(event: EventRow) -> dict[str, object]:
    """Return a line of a payment's story as JSON shows it."""
    return {
        "at": iso_time(event.at_ms),
        "at_ms": event.at_ms,
        "before": None if event.before is None else event.before.value,
        "state": None if event.after is None else event.after.value,
        "text": event.text,
    }


def payment_lines(row: PaymentRow, events: list[EventRow]) -> Iterator[str]:
    """Yield a payment and its story as people read them, line by line."""
    yield f"Payment  {row.payment_id}"
    yield f"Status   {status_of(row.state)}"
    yield f"Amount   {uzs(row.amount)}"
    yield f"Sale     {row.till}, shift {row.shift}, receipt {row.number}"
    if row.acknowledged_at is not None:
        yield f"Stored   by the till at {local_time(row.acknowledged_at)}"
    if row.receipt_id is not None:
        yield f"Payme    receipt {row.receipt_id}"
    for number, line in enumerate(row.message.splitlines()):
        yield f"{'' if number else 'Cashier':<7}  {line}"
    yield ""
    yield from story_lines(events)


def story_lines(events: list[EventRow]) -> Iterator[str]:
    """Yield a story line by line; the day stands above its events."""
    day = ""
    for event in events:
        before, (day, _, clock) = day, local_time(event.at_ms).partition(" ")
        if day != before:
            yield day
        state = "" if event.after is None else event.after.value
        yield f"  {clock}.{event.at_ms % 1000:03d}  {state:<9}  {event.text}"
