"""``payme pay``: one sale at the reference till, through the same hooks as at a real one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hookspecs import GoodsKind, PaymentStatus
from payme_plugin.cli.amount import amount_option
from payme_plugin.cli.checkout import GOODS, open_till
from payme_plugin.cli.given import Given, global_options, pass_given
from payme_plugin.cli.items import goods_option, items_option, total_of
from payme_plugin.cli.output import ExitCode, echo_document, fault, sums
from payme_plugin.operations.fiscal import fiscal_data_of
from payme_plugin.till import OutcomeUnknown, one_line_sale, print_slip

if TYPE_CHECKING:
    from hookspecs import Item, PaymentResult, Slip
    from payme_plugin.till import Payment

__all__ = ["pay", "slip_documents"]

_LONGEST_ID = 100


def _payment_id(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001
    if value is None or (0 < len(value) <= _LONGEST_ID and value.isprintable()):
        return value
    message = f"allowed are 1 to {_LONGEST_ID} printable characters"
    raise click.BadParameter(message)


def _fiscal_url(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001
    if value is None or fiscal_data_of(value) is not None:
        return value
    message = "allowed is an OFD link with t, r, c and s: https://ofd.soliq.uz/check?t=UZ1&r=1&c=20240312184051&s=1 say"
    raise click.BadParameter(message)


@click.command()
@click.option("--amount", metavar="SUMS", callback=amount_option, help="How much, in sums: 15000.00 say.")
@click.option("--qr", metavar="CODE", help="The code in the buyer's app; without it the command asks for a scan.")
@click.option(
    "--payment-id", metavar="ID", callback=_payment_id, help="Ask for this payment again; it never charges twice."
)
@click.option(
    "--goods",
    "kind",
    metavar="KIND",
    callback=goods_option,
    help="How the law treats what is sold: ordinary (the default), marked, alcohol, tobacco, shoes or medicine.",
)
@click.option(
    "--items",
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=items_option,
    help="A sale of these items instead: a JSON list of objects with name, quantity, price, amount,"
    " and barcode, goods, marking, fiscal where they have one; fiscal is an object with code, package_code,"
    " vat_percent, and units, discount where they have one.",
)
@click.option(
    "--fiscal-url",
    metavar="URL",
    callback=_fiscal_url,
    help="The link of the fiscal receipt that the sale is closed with: an OFD link with t, r, c and s.",
)
@global_options
@pass_given
def pay(
    given: Given,
    amount: int | None,
    qr: str | None,
    payment_id: str | None,
    kind: GoodsKind,
    items: tuple[Item, ...] | None,
    fiscal_url: str | None,
) -> int:
    """Sell something for --amount, or --items, and take the payment.

    Exit code: 0 paid, 1 refused, 2 usage or settings, 3 not paid, and what may have been charged goes back, or
    the outcome is unknown and the next command asks again.
    """
    sold = _sold(amount, kind, items)
    slips: list[Slip] = []
    try:
        with open_till(given, slips, except_payment=payment_id) as till:
            payment = till.sell(sold, payment_id=payment_id, qr_code=qr, fiscal_url=fiscal_url)
    except OutcomeUnknown as error:
        fault(str(error))
        if given.json:
            echo_document(_unknown(error, total_of(sold)))
        return int(ExitCode.QUEUED)
    if given.json:
        echo_document(_document(payment))
    else:
        _show(payment, slips)
    return _exit_code(payment.result)


def _sold(amount: int | None, kind: GoodsKind, items: tuple[Item, ...] | None) -> tuple[Item, ...]:
    """Return what is sold.

    Raises:
        click.UsageError: the options do not go together.
    """
    if items is None:
        if amount is None:
            message = "Missing option '--amount' or '--items'."
            raise click.UsageError(message)
        return one_line_sale(GOODS, amount, kind)
    if kind is not GoodsKind.ORDINARY:
        message = "--goods goes with --amount; with --items each item of the file has its own."
        raise click.UsageError(message)
    total = total_of(items)
    if amount not in (None, total):
        message = f"the items come to {sums(total)}, and --amount says {sums(amount or 0)}; leave it out."
        raise click.UsageError(message)
    return items


def slip_documents(slips: tuple[Slip, ...]) -> list[dict[str, object]]:
    """Return slips as JSON shows them."""
    return [{"copies": slip.copies, "lines": list(slip.lines)} for slip in slips]


def _exit_code(result: PaymentResult) -> int:
    if result.status is PaymentStatus.PAID:
        return int(ExitCode.DONE)
    nothing_to_return = result.status is PaymentStatus.ABORTED and result.receipt_id is None
    if result.status is PaymentStatus.REFUSED or nothing_to_return:
        return int(ExitCode.REFUSED)
    return int(ExitCode.QUEUED)


def _document(payment: Payment) -> dict[str, object]:
    result = payment.result
    return {
        "status": result.status.name,
        "payment_id": payment.payment_id,
        "receipt_id": result.receipt_id,
        "amount": result.amount,
        "message": result.message,
        "error_code": result.error_code,
        "cancellation_queued": result.cancellation_queued,
        "receipt_number": payment.number,
        "slips": slip_documents(result.slips),
    }


def _unknown(error: OutcomeUnknown, amount: int) -> dict[str, object]:
    return {
        "status": PaymentStatus.UNKNOWN.name,
        "payment_id": error.payment_id,
        "receipt_id": None,
        "amount": amount,
        "message": str(error),
        "error_code": None,
        "cancellation_queued": False,
        "receipt_number": None,
        "slips": [],
    }


def _show(payment: Payment, slips: list[Slip]) -> None:
    result = payment.result
    click.echo(result.message)
    click.echo()
    click.echo(f"{result.status.name}  {sums(result.amount)}  payment {payment.payment_id}")
    if result.receipt_id is not None:
        click.echo(f"Payme's receipt {result.receipt_id}")
    for slip in slips:
        click.echo()
        print_slip(slip, click.echo)
