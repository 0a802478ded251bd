"""``payme queue``: the pending cancellations of a journal, and what an operator can do about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from payme_plugin.cli import output
from payme_plugin.cli.broker_queue import at_broker, broker_option, echo_at_broker, parked
from payme_plugin.cli.command import Group
from payme_plugin.cli.delivery import open_delivery
from payme_plugin.cli.files import existing_data_dir, journal_identity, read_journal
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import (
    ExitCode,
    Refusal,
    age_in_words,
    age_of,
    document_of,
    echo,
    fault,
    local_time,
    uzs,
)
from payme_plugin.cli.params import PAYMENT_ID, REASON, ROW_NUMBER
from payme_plugin.cli.payme_list import holds_money, state_in_words
from payme_plugin.cli.status import echo_with_events
from payme_plugin.cli.till import LANGUAGE, Busy, checked_settings, open_till
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.ledger.states import End, Hold, PaymentState
from payme_plugin.locale import message
from payme_plugin.operations.recovery import end_without_sale
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.texts import Texts
from payme_plugin.till import OutcomeUnknown, print_slip, reference_identity

if TYPE_CHECKING:
    from hookspecs import Slip
    from payme_plugin.cli.delivery import JournalDelivery
    from payme_plugin.ledger.rows import CancellationRow, FiscalLinkRow, PaymentRow
    from payme_plugin.locale import Message

_LISTED = "id payment_id receipt_id cause confirming age_s attempts held last_error"
"""The members of a cancellation in a list."""

_reason_option = click.option("--reason", type=REASON, metavar="TEXT", required=True)
queue = Group("queue")
queue.add_command(parked)


@queue.command("list")
@click.option("--fiscal-links", is_flag=True)
@broker_option
@pass_options
def list_(options: GlobalOptions, fiscal_links: bool, broker: str | None) -> None:
    """List what is pending, oldest first, and what is at the chain's broker."""
    with read_journal(existing_data_dir(options)) as reader:
        has_journal = reader is not None
        rows = [] if reader is None else [*reader.live_cancellations(), *reader.confirming_cancellations()]
        rows.sort(key=lambda row: row.cancellation_id)
        links = [] if reader is None else reader.live_fiscal_links()
    broker_document = None if fiscal_links else at_broker(options, broker)
    if broker_document is not None and broker_document["error"] is not None:
        options.result = ExitCode.REFUSED
    if options.json:
        documents = [_link_document(row) for row in links] if fiscal_links else [_document(row) for row in rows]
        is_list = broker_document is None
        output.echo_document(documents if is_list else {"cancellations": documents, "broker": broker_document})
        return
    if not fiscal_links and (has_journal or broker_document is None):
        _list_cancellations(rows)
    if links and not fiscal_links:
        echo()
    if links or fiscal_links:
        echo(message("cli.queue_links" if links else "cli.queue_no_links"))
    if links:
        cells = (
            (str(row.fiscal_link_id), _age(row), str(row.attempts), row.payment_id, row.last_error) for row in links
        )
        output.echo_table(("id", "age", "tries", "payment", "error"), cells, right={0, 1, 2})
    if broker_document is not None:
        echo_at_broker(broker_document, is_first=not has_journal)


def _list_cancellations(rows: list[CancellationRow]) -> None:
    if not rows:
        echo(message("cli.queue_empty"))
        return
    cells = []
    for row in rows:
        error = row.last_error if row.confirmed_at is None else message("cli.queue_confirming", error=row.last_error)
        number, cause = str(row.cancellation_id), row.cause.value
        cells.append((number, cause, _age(row), str(row.attempts), row.payment_id, error))
    output.echo_table(("id", "cause", "age", "tries", "payment", "error"), cells, right={0, 2, 3})


@queue.command()
@click.argument("cancellation_id", metavar="ID", type=ROW_NUMBER)
@pass_options
def show(options: GlobalOptions, cancellation_id: int) -> None:
    """Show one cancellation, pending or ended, with the events of its payment."""
    with read_journal(existing_data_dir(options)) as reader:
        row = None if reader is None else reader.cancellation(cancellation_id)
        events = [] if reader is None or row is None else reader.events(row.payment_id)
    if row is None:
        raise _no_cancellation(options, cancellation_id)
    is_due = row.due_at <= SystemClock().wall_ms()
    next_try = message("cli.queue_now") if is_due else local_time(row.due_at)
    ended = None if row.ended_at is None else f"{local_time(row.ended_at)}: {_outcome(row)}"
    confirming = None if row.confirmed_at is None or ended else local_time(row.confirmed_at)
    fields: list[output.Field] = [
        ("cancellation", f"{row.cancellation_id}, {row.cause.value}"),
        ("payment", row.payment_id),
        ("amount", uzs(row.amount)),
        ("payme", message("cli.receipt", receipt_id=row.receipt_id)),
        ("account", message("cli.account", pos_id=row.pos_id, url=row.url)),
        ("created", message("cli.queue_created", time=local_time(row.created_at), age=_age(row))),
        ("tries", message("cli.queue_tries", attempts=row.attempts, error=row.last_error or "-")),
        ("host_queue", None if row.offered_at is None else local_time(row.offered_at)),
        ("held", None if row.held is None else message(f"cli.held.{row.held.value}")),
        ("confirming", confirming and message("cli.queue_confirmed", time=confirming)),
        ("ended", ended),
        ("next_try", None if ended else next_try),
    ]
    whole = "amount pos_id url request_id created_at due_at offered_at ended_at outcome ended_as closed_reason"
    echo_with_events(options, _document(row, f"{_LISTED} {whole}"), fields, events)


@queue.command()
@click.option("--until-empty", is_flag=True)
@pass_options
def deliver(options: GlobalOptions, until_empty: bool) -> None:
    """Deliver each due cancellation once, and send pending fiscal receipts."""
    patience_s = checked_settings(options.conf_file, only_returns=True).pay_duration_ms / 1000
    identity = journal_identity(existing_data_dir(options))
    if identity is None:
        _report(options, ([], []), ([], []), [])
        return
    slips: list[Slip] = []
    is_pending = identity == reference_identity() and _finish_earlier(options, slips)
    with open_delivery(options) as delivery:
        before = _pending(delivery)
        processor, merchants = delivery.processor(), delivery.require_merchants()
        if until_empty:
            processor.deliver_until_empty(merchants, patience_s)
        else:
            processor.deliver_due(merchants)
        processor.send_links(delivery.require_merchants(), patience_s, due_only=not until_empty)
        left = _pending(delivery)
        # The readable rows were delivered before this error.
        if (fault_met := delivery.storage.fault()) is not None:
            raise fault_met
        confirming = delivery.processor().journal.confirming_cancellations()
    options.result = ExitCode.QUEUED if left[0] or is_pending else ExitCode.DONE
    for slip in () if options.json else slips:
        print_slip(slip, echo)
    _report(options, before, left, confirming)


def _finish_earlier(options: GlobalOptions, slips: list[Slip]) -> bool:
    """Let the reference till finish what was left; return whether a payment is still pending.

    If another command works with the till, that one does it.
    """
    try:
        with open_till(options, slips, only_returns=True) as till:
            return any(receipt.is_open and receipt.is_pending for receipt in till.store.receipts())
    except Busy:
        return False
    except OutcomeUnknown as error:
        fault(error.text)
        return False


_Pending = tuple[list["CancellationRow"], list["FiscalLinkRow"]]


def _pending(delivery: JournalDelivery) -> _Pending:
    return delivery.processor().cancellations.live(), delivery.processor().links.live()


def _report(options: GlobalOptions, before: _Pending, left: _Pending, confirming: list[CancellationRow]) -> None:
    """Print what was delivered, what is left, and how many cancellations Payme has confirmed only once."""
    still = {row.cancellation_id for row in left[0]}
    ended = [row.cancellation_id for row in before[0] if row.cancellation_id not in still]
    still_links = {row.fiscal_link_id for row in left[1]}
    ended_links = [row.fiscal_link_id for row in before[1] if row.fiscal_link_id not in still_links]
    if options.json:
        links = {"ended": ended_links, "left": [_link_document(row) for row in left[1]]}
        documents = [_document(row) for row in left[0]]
        numbers = [row.cancellation_id for row in confirming]
        output.echo_document({"ended": ended, "left": documents, "confirming": numbers, "fiscal_links": links})
    else:
        echo(message("cli.queue_delivered", delivered=len(ended), left=len(still)))
        if confirming:
            echo(message("cli.queue_left_confirming", number=len(confirming)))
        if before[1]:
            echo(message("cli.queue_links_delivered", ended=len(ended_links), left=len(still_links)))


@queue.command()
@click.argument("payment_id", type=PAYMENT_ID)
@_reason_option
@pass_options
def add(options: GlobalOptions, payment_id: str, reason: str) -> None:
    """Queue a cancellation for a payment that no sale has: unfinished, unrecorded, or held for its age."""
    texts = Texts(checked_settings(options.conf_file).language or LANGUAGE)
    missing = Refusal(message("cli.no_payment", payment_id=payment_id, path=options.data_dir))
    with open_delivery(options, missing) as delivery:
        row = delivery.processor().journal.find(payment_id)
        if row is None:
            raise missing
        with Leases(options.data_dir).try_acquire(LEADER) as is_leader:
            if not is_leader:
                raise Refusal(message("cli.till_runs"))
            added = _add(delivery, row, reason, texts)
    options.result = ExitCode.DONE
    number = added and added.cancellation_id
    if options.json:
        output.echo_document(document_of(row, "id payment_id receipt_id", id=number))
    elif number is None:
        echo(message("cli.queue_added_nothing", payment_id=row.payment_id))
    else:
        echo(message("cli.queue_added", payment_id=row.payment_id, number=number))


def _add(delivery: JournalDelivery, row: PaymentRow, reason: str, texts: Texts) -> CancellationRow | None:
    """End the payment, or release its held cancellation; return the cancellation. None: no money can have moved."""
    journal = delivery.processor().journal
    cancellations = Cancellations(journal)
    latest = cancellations.latest_of(row.payment_id)
    held = latest if latest is not None and latest.ended_at is None and latest.held is Hold.OLD else None
    is_open = row.state is PaymentState.RECORDED and row.closed_at is None
    if not (row.state.is_unfinished or row.state is PaymentState.PAID or is_open or held):
        raise Refusal(message("cli.queue_not_open", payment_id=row.payment_id))
    if delivery.host.is_recorded(row.payment_id):
        raise Refusal(message("cli.queue_recorded", payment_id=row.payment_id))
    try:
        if held is None:
            end_without_sale(journal, row, f"queued by hand: {reason}", texts)
        else:
            # The 7-day rule does not apply to a cancellation that has begun.
            cancellations.begin(held)
            cancellations.postpone(held, 0, f"released by hand: {reason}")
    except Conflict as error:
        raise Refusal(message("cli.queue_moved_on", payment_id=row.payment_id)) from error
    return cancellations.latest_of(row.payment_id)


@queue.command()
@click.argument("cancellation_id", metavar="ID", type=ROW_NUMBER)
@_reason_option
@pass_options
def close(options: GlobalOptions, cancellation_id: int, reason: str) -> None:
    """End a cancellation by hand, whatever Payme says of its receipt."""
    has_broker = bool(checked_settings(options.conf_file).queue_url)
    missing = _no_cancellation(options, cancellation_id)
    with open_delivery(options, missing) as delivery:
        row = delivery.processor().journal.cancellation(cancellation_id)
        if row is None:
            raise missing
        with Leases(options.data_dir).try_acquire(cancellation_id) as is_ours:
            if not is_ours:
                raise Refusal(message("cli.queue_busy", number=cancellation_id))
            state, row = _end(delivery, row, reason)
    options.result = ExitCode.DONE
    if holds_money(state):
        # A message at the broker can't be taken back.
        key = "cli.queue_closed_at_broker" if has_broker and row.offered_at else "cli.queue_closed_with_money"
        fault(message(key, receipt_id=row.receipt_id, state=state_in_words(state)))
    if options.json:
        output.echo_document(_document(row, "id payment_id receipt_id last_state outcome", last_state=state))
    else:
        echo(message("cli.queue_closed", number=row.cancellation_id, outcome=_outcome(row)))


def _end(delivery: JournalDelivery, row: CancellationRow, reason: str) -> tuple[int | None, CancellationRow]:
    """Ask for the state a last time and end the row; return the state and the ended row."""
    ended = Refusal(message("cli.queue_ended_already", number=row.cancellation_id))
    if row.ended_at is not None:
        raise ended
    state = delivery.processor().steps.last_state(row, delivery.require_merchants().get(row.pos_id))
    ended_as = End.CANCELLED if state == ReceiptState.CANCELLED else End.CLOSED
    try:
        delivery.processor().cancellations.end(row, ended_as, str(state_in_words(state)), closed_reason=reason)
    except Conflict as error:
        raise ended from error
    return state, delivery.processor().journal.cancellation(row.cancellation_id) or row


def _no_cancellation(options: GlobalOptions, cancellation_id: int) -> Refusal:
    return Refusal(message("cli.no_cancellation", number=cancellation_id, path=options.data_dir))


def _age(row: CancellationRow | FiscalLinkRow) -> Message:
    return age_in_words(age_of(row.created_at))


def _outcome(row: CancellationRow) -> str | None:
    """Return how a cancellation ended, as the journal keeps it; None while it is pending."""
    if row.ended_as is None:
        return None
    if row.closed_reason is not None:
        return f"closed by hand: {row.closed_reason}; last check: {row.last_error}"
    return row.last_error


def _document(row: CancellationRow, names: str = _LISTED, **values: object) -> dict[str, object]:
    return document_of(
        row,
        names,
        id=row.cancellation_id,
        confirming=row.confirmed_at is not None and row.ended_at is None,
        age_s=age_of(row.created_at),
        last_error=row.last_error or None,
        request_id=row.request_id or None,
        due_at=row.due_at if row.ended_at is None else None,
        outcome=_outcome(row),
        **values,
    )


def _link_document(row: FiscalLinkRow) -> dict[str, object]:
    names = "id payment_id receipt_id link age_s attempts last_error"
    return document_of(
        row, names, id=row.fiscal_link_id, age_s=age_of(row.created_at), last_error=row.last_error or None
    )
