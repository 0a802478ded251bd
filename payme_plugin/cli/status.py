"""``payme status``: the payments of the journal, without changing a byte of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from payme_plugin.cli import output
from payme_plugin.cli.command import Command
from payme_plugin.cli.files import existing_data_dir, read_journal
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import Refusal, document_of, echo, iso_time, local_time, uzs
from payme_plugin.cli.params import DATE, PAYMENT_ID, day_begins_ms
from payme_plugin.ledger.states import PaymentState
from payme_plugin.locale import message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from payme_plugin.cli.output import Field
    from payme_plugin.ledger.rows import EventRow, PaymentRow

_NAMES = {PaymentState.RECORDED: "PAID", PaymentState.PAID: "UNRECORDED"}
_DEFAULT_LIMIT = 30


def status_of(state: PaymentState) -> str:
    """Return a state's name for operators: PAID only if the till has the sale, UNRECORDED while it may not have it."""
    return _NAMES.get(state, state.name)


@click.command(cls=Command)
@click.argument("payment_id", required=False, type=PAYMENT_ID)
@click.option("--limit", type=click.IntRange(0), default=_DEFAULT_LIMIT, metavar="N", show_default=True)
@click.option("--since", type=DATE, metavar="DATE")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status_of(state) for state in PaymentState], case_sensitive=False),
    metavar="STATUS",
)
@pass_options
def status(
    options: GlobalOptions, payment_id: str | None, limit: int, since: date | None, statuses: tuple[str, ...]
) -> None:
    """List the payments, or show one with its events."""
    folder = existing_data_dir(options)
    if payment_id is not None:
        _show(options, payment_id)
        return
    since_ms = 0 if since is None else day_begins_ms(since)
    states = {state for state in PaymentState if status_of(state) in statuses}
    with read_journal(folder) as reader:
        shown = [] if reader is None else reader.payments(since_ms=since_ms, states=states, most=limit or None)
        found, is_empty = len(shown), reader is None or not reader.payments(most=1)
        if reader is not None and found == limit and not options.json:
            found = reader.count_payments(since_ms=since_ms, states=states)
    if options.json:
        output.echo_documents(map(_payment_document, shown))
    elif not shown:
        echo(message("cli.no_payments" if is_empty else "cli.no_such_payments", path=folder))
    else:
        cells = ((local_time(row.created_at), uzs(row.amount), status_of(row.state), row.payment_id) for row in shown)
        output.echo_table(("time", "amount", "status", "payment"), cells, right={1})
        if len(shown) < found:
            echo(message("cli.more_payments", shown=len(shown), found=found))


def _show(options: GlobalOptions, payment_id: str) -> None:
    with read_journal(options.data_dir) as reader:
        row = None if reader is None else reader.find(payment_id)
        events = [] if reader is None or row is None else reader.events(payment_id)
    if row is None:
        raise Refusal(message("cli.no_payment", payment_id=payment_id, path=options.data_dir))
    fields: list[Field] = [
        ("payment", row.payment_id),
        ("status", status_of(row.state)),
        ("amount", uzs(row.amount)),
        ("sale", message("cli.sale", till=row.till, shift=row.shift, number=row.number)),
        ("stored", None if row.acknowledged_at is None else local_time(row.acknowledged_at)),
        ("payme", None if row.receipt_id is None else message("cli.receipt", receipt_id=row.receipt_id)),
        ("cashier", row.message.splitlines() or None),
    ]
    echo_with_events(options, _payment_document(row), fields, events)


def echo_with_events(
    options: GlobalOptions, document: dict[str, object], fields: Iterable[Field], events: list[EventRow]
) -> None:
    """Print a row and the events of its payment."""
    if options.json:
        output.echo_document({**document, "events": [_event_document(event) for event in events]})
        return
    for line in (*output.field_lines(fields), "", *_event_lines(events)):
        echo(line)


def _payment_document(row: PaymentRow) -> dict[str, object]:
    names = "payment_id receipt_id amount status state till shift number message error_code cancellation_queued"
    return document_of(row, f"{names} acknowledged_at created_at updated_at", status=status_of(row.state))


def _event_document(event: EventRow) -> dict[str, object]:
    return document_of(event, "at at_ms before state text", at=iso_time(event.at_ms), state=event.after)


def _event_lines(events: list[EventRow]) -> Iterator[str]:
    """Yield events line by line; each day stands above its events."""
    day = ""
    for event in events:
        before, (day, _, clock) = day, local_time(event.at_ms).partition(" ")
        if day != before:
            yield day
        state = "" if event.after is None else event.after.value
        yield f"  {clock}.{event.at_ms % 1000:03d}  {state:<9}  {event.text}"
