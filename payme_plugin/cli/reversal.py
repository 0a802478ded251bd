"""``payme cancel`` and ``payme refund``: a sale of the reference till given back, through the hooks of a real one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hookspecs import PaymentStatus, ReversalStatus
from payme_plugin.cli.checkout import open_till
from payme_plugin.cli.given import Given, global_options, pass_given
from payme_plugin.cli.items import items_option
from payme_plugin.cli.output import ExitCode, echo_document, fault
from payme_plugin.cli.pay import slip_documents
from payme_plugin.till import OutcomeUnknown, print_slip

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import Item, Slip
    from payme_plugin.till import Reversal

__all__ = ["cancel", "refund"]

_EXIT_CODES = {
    ReversalStatus.REVERSED: ExitCode.DONE,
    ReversalStatus.REFUSED: ExitCode.REFUSED,
    ReversalStatus.QUEUED: ExitCode.QUEUED,
}
_DEFAULT_REASON = "payme cancel"


@click.command()
@click.argument("payment_id")
@click.option("--reason", metavar="TEXT", default=_DEFAULT_REASON, help="Why, for the log.")
@global_options
@pass_given
def cancel(given: Given, payment_id: str, reason: str) -> int:
    """Annul the sale of PAYMENT_ID as if it were still open, and give the money back.

    Exit code: 0 given back, 1 refused and the payment stands, 2 usage or settings, 3 it goes back by itself, or its
    outcome is unknown and the next command asks again.
    """
    slips: list[Slip] = []

    def annul() -> Reversal:
        with open_till(given, slips, except_cancel=payment_id) as till:
            return till.cancel(payment_id, reason)

    return _carry_out(given, slips, annul)


@click.command()
@click.argument("payment_id")
@click.option(
    "--items",
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=items_option,
    help="Refund these items instead of the whole sale: a JSON list as `payme pay --items` takes it.",
)
@click.option("--manual-selection", is_flag=True, help="The cashier put the refund together by hand.")
@click.option("--currency-selection", is_flag=True, help="The choice of the tender that is paid out is on.")
@global_options
@pass_given
def refund(
    given: Given,
    payment_id: str,
    items: tuple[Item, ...] | None,
    manual_selection: bool,
    currency_selection: bool,
) -> int:
    """Refund the closed sale of PAYMENT_ID: the whole of it, for Payme gives back no part.

    Exit code: 0 given back, 1 refused and the payment stands, 2 usage or settings, 3 it goes back by itself, or its
    outcome is unknown and the next command asks again.
    """
    slips: list[Slip] = []

    def give_back() -> Reversal:
        with open_till(given, slips, except_refund=payment_id) as till:
            return till.refund(
                payment_id, items=items, manual_selection=manual_selection, currency_selection=currency_selection
            )

    return _carry_out(given, slips, give_back)


def _carry_out(given: Given, slips: list[Slip], reverse: Callable[[], Reversal]) -> int:
    """Carry a reversal out, say what came of it, and return the exit code."""
    try:
        reversal = reverse()
    except OutcomeUnknown as error:
        fault(str(error))
        if given.json:
            echo_document(_unknown(error))
        return int(ExitCode.QUEUED)
    if given.json:
        echo_document(_document(reversal))
    else:
        _show(reversal, slips)
    return int(_EXIT_CODES[reversal.result.status])


def _document(reversal: Reversal) -> dict[str, object]:
    result = reversal.result
    return {
        "status": result.status.name,
        "payment_id": reversal.payment_id,
        "receipt_id": result.receipt_id,
        "message": result.message,
        "error_code": result.error_code,
        "cancellation_queued": result.cancellation_queued,
        "slips": slip_documents(result.slips),
        "violations": [{"rule": each.rule, "message": each.message} for each in reversal.violations],
    }


def _unknown(error: OutcomeUnknown) -> dict[str, object]:
    return {
        "status": PaymentStatus.UNKNOWN.name,
        "payment_id": error.payment_id,
        "receipt_id": None,
        "message": str(error),
        "error_code": None,
        "cancellation_queued": False,
        "slips": [],
        "violations": [],
    }


def _show(reversal: Reversal, slips: list[Slip]) -> None:
    result = reversal.result
    click.echo(result.message)
    click.echo()
    click.echo(f"{result.status.name}  payment {reversal.payment_id}")
    if result.receipt_id is not None:
        click.echo(f"Payme's receipt {result.receipt_id}")
    for slip in slips:
        click.echo()
        print_slip(slip, click.echo)
