"""``payme queue close``: a person ends a cancellation, with a reason that is kept."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.delivery import log_of, open_delivery
from payme_plugin.cli.journal import journal_identity, unusable
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, Refusal, echo_document, fault
from payme_plugin.cli.params import ROW_NUMBER
from payme_plugin.cli.queue_rows import outcome_in_words, reason_option
from payme_plugin.cli.receipt_states import holds_money, state_in_words
from payme_plugin.cli.till import checked_settings
from payme_plugin.ledger.errors import Conflict, JournalError
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.locks import Leases
from payme_plugin.ledger.states import End
from payme_plugin.paymego.states import ReceiptState

if TYPE_CHECKING:
    from payme_plugin.cli.delivery import JournalDelivery
    from payme_plugin.ledger.rows import CancellationRow

__all__ = ["close"]


@click.command(cls=Command)
@click.argument("cancellation_id", metavar="ID", type=ROW_NUMBER)
@reason_option
@pass_options
def close(options: GlobalOptions, cancellation_id: int, reason: str) -> int:
    """End a cancellation by hand: nothing returns its money any more.

    Payme is asked once more for the state of its receipt, and the answer is told and kept with the reason. It ends
    whatever the answer is: a receipt that Payme still calls paid is then settled by people alone.

    Exit code: 0 ended, 1 there is no such live cancellation or another process works on it, 2 usage or settings.
    """
    checked_settings(options.conf_file)
    folder = options.data_dir
    identity = journal_identity(folder)
    if identity is None:
        raise _missing(options, cancellation_id)
    try:
        with log_of(folder, identity, nullcontext()), open_delivery(folder, options.conf_file, identity) as delivery:
            row = delivery.processor().journal.cancellation(cancellation_id)
            if row is None:
                raise _missing(options, cancellation_id)
            with Leases(folder).try_acquire(cancellation_id) as is_ours:
                if not is_ours:
                    message = f"another process works on cancellation {cancellation_id} right now; try again"
                    raise Refusal(message)
                state, row = _end(delivery, row, reason)
    except JournalError as error:
        raise unusable(folder / FILE_NAME, error) from error
    _tell(options, row, state)
    return int(ExitCode.DONE)


def _end(delivery: JournalDelivery, row: CancellationRow, reason: str) -> tuple[int | None, CancellationRow]:
    """Ask for the state a last time and end the row; return the state and the ended row."""
    ended = Refusal(f"cancellation {row.cancellation_id} has ended already; `payme queue show` tells how")
    if row.ended_at is not None:
        raise ended
    state = delivery.processor().steps.last_state(row, delivery.require_merchants().get(row.pos_id))
    ended_as = End.CANCELLED if state == ReceiptState.CANCELLED else End.CLOSED
    try:
        delivery.processor().cancellations.end(row, ended_as, state_in_words(state), closed_reason=reason)
    except Conflict as error:
        raise ended from error
    return state, delivery.processor().journal.cancellation(row.cancellation_id) or row


def _missing(options: GlobalOptions, cancellation_id: int) -> Refusal:
    return Refusal(f"there is no cancellation {cancellation_id} in the journal of {options.data_dir}")


def _tell(options: GlobalOptions, row: CancellationRow, state: int | None) -> None:
    if holds_money(state):
        fault(f"nothing returns the money of receipt {row.receipt_id} any more; Payme says: {state_in_words(state)}")
    if options.json:
        echo_document(
            {
                "id": row.cancellation_id,
                "payment_id": row.payment_id,
                "receipt_id": row.receipt_id,
                "last_state": state,
                "outcome": outcome_in_words(row),
            }
        )
    else:
        click.echo(f"Cancellation {row.cancellation_id} has ended: {outcome_in_words(row)}.")
