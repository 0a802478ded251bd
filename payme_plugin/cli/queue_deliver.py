"""``payme queue deliver``: send the money off now, and tell how much is left."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.checkout import Busy, checked_settings, open_till
from payme_plugin.cli.delivery import log_of, open_delivery
from payme_plugin.cli.given import Given, global_options, pass_given
from payme_plugin.cli.journal import journal_identity, unusable
from payme_plugin.cli.output import ExitCode, echo_document, fault
from payme_plugin.cli.queue_rows import row_document
from payme_plugin.clock import SystemClock
from payme_plugin.delivery.draining import Drained, deliver_due, deliver_until_empty
from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.till import OutcomeUnknown, print_slip, reference_identity

if TYPE_CHECKING:
    from hookspecs import Slip
    from payme_plugin.cli.delivery import Delivery
    from payme_plugin.ledger.rows import CancellationRow

__all__ = ["deliver", "deliver_all"]


@click.command()
@click.option(
    "--until-empty",
    is_flag=True,
    help="Try every cancellation at once whatever its pause, and go on until none is left or nothing moves.",
)
@global_options
@pass_given
def deliver(given: Given, *, until_empty: bool) -> int:
    """Try the cancellations that are due, once each.

    At the reference till's own journal it first finishes what an earlier command left: it asks again for payments
    without a verdict, and decides about those that the till does not have.

    Exit code: 0 no cancellation is left, 2 usage or settings, 3 some are left; `payme queue list` shows why.
    """
    patience_s = checked_settings(given.conf_file).pay_duration_ms / 1000
    folder = given.data_dir
    identity = journal_identity(folder)
    if identity is None:
        return _told(given, [], [])
    if identity == reference_identity():
        _finish_earlier(given)
    with log_of(folder, identity, nullcontext()):
        try:
            with open_delivery(folder, given.conf_file, identity) as delivery:
                before = delivery.rounds.rows.live()
                if until_empty:
                    deliver_all(delivery, patience_s)
                else:
                    deliver_due(delivery.rounds, delivery.own_kassa(), delivery.is_recorded)
                left = delivery.rounds.rows.live()
        except JournalError as error:
            raise unusable(folder / FILE_NAME, error) from error
    still = {row.cancellation_id for row in left}
    return _told(given, [row for row in before if row.cancellation_id not in still], left)


def deliver_all(delivery: Delivery, patience_s: float) -> bool:
    """Step every live row, round after round; return whether none is left.

    Money effect: may cancel.
    """
    kassa = delivery.own_kassa()
    drained = deliver_until_empty(delivery.rounds, kassa, delivery.is_recorded, delivery.clock, patience_s)
    return drained is Drained.EMPTY


def _finish_earlier(given: Given) -> None:
    """Let the reference till finish what was left, unless another command is at work there and does it."""
    slips: list[Slip] = []
    try:
        with open_till(given, slips):
            pass
    except Busy:
        return
    except OutcomeUnknown as error:
        fault(str(error))
    if not given.json:
        for slip in slips:
            print_slip(slip, click.echo)


def _told(given: Given, delivered: list[CancellationRow], left: list[CancellationRow]) -> int:
    if given.json:
        now_ms = SystemClock().wall_ms()
        echo_document(
            {
                "delivered": [row.cancellation_id for row in delivered],
                "left": [row_document(row, now_ms) for row in left],
            }
        )
    else:
        click.echo(f"Ended: {len(delivered)}. Left: {len(left)}.")
    return int(ExitCode.QUEUED if left else ExitCode.DONE)
