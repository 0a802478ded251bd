"""``payme pay``, ``cancel`` and ``refund``: sales of the reference till, through the same hooks as at a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hookspecs import GoodsKind, PaymentStatus, ReversalStatus
from payme_plugin.cli.command import Command
from payme_plugin.cli.items import total_of
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, echo, echo_document, echo_lines, fault, render, uzs
from payme_plugin.cli.params import AMOUNT, FISCAL_URL, ITEMS, NEW_PAYMENT_ID, PAYMENT_ID
from payme_plugin.cli.till import GOODS, open_till
from payme_plugin.locale import message
from payme_plugin.till import OutcomeUnknown, Payment, one_line_sale, print_slip

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import Item, PaymentResult, Slip
    from payme_plugin.till import Reversal

_DEFAULT_REASON = "payme cancel"
_ORDINARY = GoodsKind.ORDINARY.value.lower()
_REVERSAL_CODES = {
    ReversalStatus.REVERSED: ExitCode.DONE,
    ReversalStatus.REFUSED: ExitCode.REFUSED,
    ReversalStatus.QUEUED: ExitCode.QUEUED,
}


@click.command(cls=Command)
@click.option("--amount", type=AMOUNT, metavar="AMOUNT")
@click.option("--qr", metavar="CODE")
@click.option("--payment-id", type=NEW_PAYMENT_ID, metavar="ID")
@click.option(
    "--goods",
    type=click.Choice([kind.value.lower() for kind in GoodsKind], case_sensitive=False),
    default=_ORDINARY,
    metavar="KIND",
)
@click.option("--items", type=ITEMS, metavar="FILE")
@click.option("--fiscal-url", type=FISCAL_URL, metavar="URL")
@pass_options
def pay(
    options: GlobalOptions,
    amount: int | None,
    qr: str | None,
    payment_id: str | None,
    goods: str,
    items: tuple[Item, ...] | None,
    fiscal_url: str | None,
) -> int:
    """Make a sale and take its payment."""
    sold = _sold(amount, goods, items)
    slips: list[Slip] = []

    def sell() -> Payment:
        with open_till(options, slips, except_payment=payment_id) as till:
            return till.sell(sold, payment_id=payment_id, qr_code=qr, fiscal_url=fiscal_url)

    return _carry_out(options, slips, sell, {"amount": total_of(sold), "receipt_number": None})


@click.command(cls=Command)
@click.argument("payment_id", type=PAYMENT_ID)
@click.option("--reason", metavar="TEXT", default=_DEFAULT_REASON)
@pass_options
def cancel(options: GlobalOptions, payment_id: str, reason: str) -> int:
    """Annul a sale as if it were still open."""
    slips: list[Slip] = []

    def annul() -> Reversal:
        with open_till(options, slips, except_cancel=payment_id) as till:
            return till.cancel(payment_id, reason)

    return _carry_out(options, slips, annul, {"violations": []})


@click.command(cls=Command)
@click.argument("payment_id", type=PAYMENT_ID)
@click.option("--items", type=ITEMS, metavar="FILE")
@click.option("--manual-selection", is_flag=True)
@click.option("--currency-selection", is_flag=True)
@pass_options
def refund(
    options: GlobalOptions,
    payment_id: str,
    items: tuple[Item, ...] | None,
    manual_selection: bool,
    currency_selection: bool,
) -> int:
    """Refund a closed sale."""
    slips: list[Slip] = []

    def give_back() -> Reversal:
        with open_till(options, slips, except_refund=payment_id) as till:
            return till.refund(
                payment_id, items=items, manual_selection=manual_selection, currency_selection=currency_selection
            )

    return _carry_out(options, slips, give_back, {"violations": []})


def _sold(amount: int | None, goods: str, items: tuple[Item, ...] | None) -> tuple[Item, ...]:
    """Return what is sold.

    Raises:
        click.UsageError: the options do not go together.
    """
    if items is None:
        if amount is None:
            raise click.UsageError(render(message("cli.amount_or_items")))
        return one_line_sale(GOODS, amount, GoodsKind[goods.upper()])
    if goods != _ORDINARY:
        raise click.UsageError(render(message("cli.goods_without_amount")))
    total = total_of(items)
    if amount not in (None, total):
        raise click.UsageError(render(message("cli.amount_differs", total=uzs(total), amount=uzs(amount or 0))))
    return items


def _carry_out(
    options: GlobalOptions, slips: list[Slip], act: Callable[[], Payment | Reversal], more: dict[str, object]
) -> int:
    """Carry a payment or reversal out, report its result and return the exit code, which a failing output can't change.

    Args:
        options: the options of the command.
        slips: has the slips to print afterwards.
        act: does it.
        more: the members of the document that are not in both documents, if the outcome is unknown.
    """
    try:
        done = act()
    except OutcomeUnknown as error:
        options.result = int(ExitCode.QUEUED)
        fault(error.text)
        if options.json:
            echo_document(_document(None, error.payment_id, render(error.text)) | more)
        return options.result
    result = done.result
    if isinstance(done, Payment):
        options.result = int(_payment_code(done.result))
        more = {"amount": done.result.amount, "receipt_number": done.number}
    else:
        options.result = int(_REVERSAL_CODES[done.result.status])
        more = {"violations": [{"rule": each.rule, "message": each.message} for each in done.violations]}
    if options.json:
        echo_document(_document(done, done.payment_id, result.message) | more)
        return options.result
    echo_lines(result.message)
    echo()
    amount = f"{uzs(done.result.amount)}  " if isinstance(done, Payment) else ""
    echo(message("cli.money_result", status=result.status.name, amount=amount, payment_id=done.payment_id))
    if result.receipt_id is not None:
        echo(message("cli.money_receipt", receipt_id=result.receipt_id))
    for slip in slips:
        echo()
        print_slip(slip, echo)
    return options.result


def _document(done: Payment | Reversal | None, payment_id: str, text: str) -> dict[str, object]:
    result = None if done is None else done.result
    return {
        "status": PaymentStatus.UNKNOWN.name if result is None else result.status.name,
        "payment_id": payment_id,
        "receipt_id": None if result is None else result.receipt_id,
        "message": text,
        "error_code": None if result is None else result.error_code,
        "cancellation_queued": result is not None and result.cancellation_queued,
        "slips": []
        if result is None
        else [{"copies": each.copies, "lines": list(each.lines)} for each in result.slips],
    }


def _payment_code(result: PaymentResult) -> ExitCode:
    if result.status is PaymentStatus.PAID:
        return ExitCode.DONE
    nothing_to_return = result.status is PaymentStatus.ABORTED and result.receipt_id is None
    if result.status is PaymentStatus.REFUSED or nothing_to_return:
        return ExitCode.REFUSED
    return ExitCode.QUEUED
