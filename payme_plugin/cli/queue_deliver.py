"""``payme queue deliver``: send the money off now, and tell how much is left."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.delivery import log_of, open_delivery
from payme_plugin.cli.journal import journal_identity, unusable
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, echo_document, fault
from payme_plugin.cli.queue_rows import link_document, row_document
from payme_plugin.cli.till import Busy, checked_settings, open_till
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.till import OutcomeUnknown, print_slip, reference_identity

if TYPE_CHECKING:
    from hookspecs import Slip
    from payme_plugin.cli.delivery import JournalDelivery
    from payme_plugin.ledger.rows import CancellationRow, FiscalLinkRow

__all__ = ["deliver", "deliver_all"]


@dataclass(frozen=True, slots=True)
class _Work:
    """What is live in the journal at one moment."""

    cancellations: tuple[CancellationRow, ...]
    links: tuple[FiscalLinkRow, ...]


@click.command(cls=Command)
@click.option(
    "--until-empty",
    is_flag=True,
)
@pass_options
def deliver(options: GlobalOptions, *, until_empty: bool) -> int:
    """Try the cancellations that are due, once each, and tell Payme of the fiscal receipts that wait.

    At the reference till's own journal it first finishes what an earlier command left: it asks again for payments
    without a result, and returns those that the till does not have.

    Exit code: 0 no cancellation is left, 2 usage or settings, 3 some are left, or a payment is still pending;
    `payme queue list` shows why. Fiscal receipts that are left do not count.
    """
    patience_s = checked_settings(options.conf_file).pay_duration_ms / 1000
    folder = options.data_dir
    identity = journal_identity(folder)
    if identity is None:
        return _report(options, _Work((), ()), _Work((), ()))
    is_pending = identity == reference_identity() and _finish_earlier(options)
    with log_of(folder, identity, nullcontext()):
        try:
            with open_delivery(folder, options.conf_file, identity) as delivery:
                before = _work_of(delivery)
                if until_empty:
                    deliver_all(delivery, patience_s)
                else:
                    delivery.processor().deliver_due(delivery.require_merchants())
                delivery.processor().send_links(delivery.require_merchants(), patience_s, due_only=not until_empty)
                left = _work_of(delivery)
                fault_met = delivery.storage.fault()
                if fault_met is not None:
                    # What could be read was delivered all the same.
                    raise fault_met
        except JournalError as error:
            raise unusable(folder / FILE_NAME, error) from error
    code = _report(options, before, left)
    return int(ExitCode.QUEUED) if is_pending else code


def deliver_all(delivery: JournalDelivery, patience_s: float) -> bool:
    """Step every live row until nothing changes; return whether none is left.

    Money effect: may cancel.
    """
    return delivery.processor().deliver_until_empty(delivery.require_merchants(), patience_s)


def _finish_earlier(options: GlobalOptions) -> bool:
    """Let the reference till finish what was left; return whether a payment is still pending.

    Another command that is at work there does it.
    """
    slips: list[Slip] = []
    is_pending = False
    try:
        with open_till(options, slips) as till:
            is_pending = any(receipt.is_open and receipt.is_pending for receipt in till.receipts)
    except Busy:
        return False
    except OutcomeUnknown as error:
        fault(error.text)
    if not options.json:
        for slip in slips:
            print_slip(slip, click.echo)
    return is_pending


def _work_of(delivery: JournalDelivery) -> _Work:
    return _Work(tuple(delivery.processor().cancellations.live()), tuple(delivery.processor().links.live()))


def _report(options: GlobalOptions, before: _Work, left: _Work) -> int:
    """Say what ended and what is left, and return the exit code."""
    still = {row.cancellation_id for row in left.cancellations}
    ended = [row.cancellation_id for row in before.cancellations if row.cancellation_id not in still]
    still_links = {row.fiscal_link_id for row in left.links}
    ended_links = [row.fiscal_link_id for row in before.links if row.fiscal_link_id not in still_links]
    if options.json:
        now_ms = SystemClock().wall_ms()
        echo_document(
            {
                "ended": ended,
                "left": [row_document(row, now_ms) for row in left.cancellations],
                "fiscal_links": {
                    "ended": ended_links,
                    "left": [link_document(row, now_ms) for row in left.links],
                },
            }
        )
    else:
        click.echo(f"Ended: {len(ended)}. Left: {len(left.cancellations)}.")
        if before.links:
            click.echo(f"Fiscal receipts ended: {len(ended_links)}. Left: {len(left.links)}.")
    return int(ExitCode.QUEUED if left.cancellations else ExitCode.DONE)
