"""``payme queue add``: a person decides that a payment goes back that nobody decides about any more."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.delivery import log_of, open_delivery
from payme_plugin.cli.journal import journal_identity, unusable
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, Refusal, echo_document
from payme_plugin.cli.queue_rows import reason_option
from payme_plugin.cli.till import LANGUAGE, checked_settings
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Conflict, JournalError
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.ledger.states import Hold, PaymentState
from payme_plugin.operations.recovery import abandon
from payme_plugin.texts import Texts

if TYPE_CHECKING:
    from payme_plugin.cli.delivery import JournalDelivery
    from payme_plugin.ledger.rows import CancellationRow, PaymentRow

__all__ = ["add"]


@click.command(cls=Command)
@click.argument("payment_id", metavar="PAYMENT_ID")
@reason_option
@pass_options
def add(options: GlobalOptions, payment_id: str, reason: str) -> int:
    """Return the money of a payment that the till does not have and that nobody decides about any more.

    That is one without a result, one whose sale never closed, or one whose cancellation is held because the payment is
    older than 7 days. Look in the till first that no sale has it. The till must be stopped meanwhile.

    Exit code: 0 queued, 1 there is no such payment, or it is not one of those, or the till runs; 2 usage or settings.
    """
    texts = Texts(checked_settings(options.conf_file).language or LANGUAGE)
    folder = options.data_dir
    identity = journal_identity(folder)
    if identity is None:
        raise _missing(options, payment_id)
    try:
        with log_of(folder, identity, nullcontext()), open_delivery(folder, options.conf_file, identity) as delivery:
            row = delivery.processor().journal.find(payment_id)
            if row is None:
                raise _missing(options, payment_id)
            with Leases(folder).try_acquire(LEADER) as is_alone:
                if not is_alone:
                    message = "the till runs, and decides itself; stop it first"
                    raise Refusal(message)
                added = _add(delivery, row, reason, texts)
    except JournalError as error:
        raise unusable(folder / FILE_NAME, error) from error
    _tell(options, row, added)
    return int(ExitCode.DONE)


def _add(delivery: JournalDelivery, row: PaymentRow, reason: str, texts: Texts) -> CancellationRow | None:
    """End the payment, or release its held cancellation; return the cancellation. None: no money can have moved."""
    journal = delivery.processor().journal
    cancellations = Cancellations(journal)
    latest = cancellations.latest_of(row.payment_id)
    held = latest if latest is not None and latest.ended_at is None and latest.held is Hold.OLD else None
    is_open = row.state is PaymentState.RECORDED and row.closed_at is None
    if not (row.state.is_unfinished or row.state is PaymentState.PAID or is_open or held):
        message = f"payment {row.payment_id} is not open any more; `payme status {row.payment_id}` tells its story"
        raise Refusal(message)
    if delivery.host.is_recorded(row.payment_id):
        message = f"the till has payment {row.payment_id}: cancel or refund it there"
        raise Refusal(message)
    try:
        if held is None:
            abandon(journal, row, f"queued by hand: {reason}", texts)
        else:
            # Begun, so that its age does not hold it again.
            cancellations.begin(held)
            cancellations.postpone(held, 0, f"released by hand: {reason}")
    except Conflict as error:
        message = f"payment {row.payment_id} has just moved on; look again"
        raise Refusal(message) from error
    return cancellations.latest_of(row.payment_id)


def _missing(options: GlobalOptions, payment_id: str) -> Refusal:
    return Refusal(f"there is no payment {payment_id} in the journal of {options.data_dir}")


def _tell(options: GlobalOptions, row: PaymentRow, added: CancellationRow | None) -> None:
    number = None if added is None else added.cancellation_id
    if options.json:
        echo_document({"id": number, "payment_id": row.payment_id, "receipt_id": row.receipt_id})
    elif number is None:
        click.echo(f"Payment {row.payment_id} has ended: no money can have moved.")
    else:
        click.echo(
            f"Payment {row.payment_id} goes back as cancellation {number}; `payme queue deliver` tries it at once."
        )
