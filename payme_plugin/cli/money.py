"""``payme pay``, ``cancel`` and ``refund``: sales of the reference till, through the same hooks as at a real one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import click

from hookspecs import GoodsKind, PaymentStatus, ReversalStatus
from payme_plugin.cli.command import Command
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, document_of, echo, echo_document, echo_lines, fault, render, uzs
from payme_plugin.cli.params import AMOUNT, FISCAL_URL, ITEMS, NEW_PAYMENT_ID, PAYMENT_ID, total_of
from payme_plugin.cli.till import GOODS, open_till
from payme_plugin.locale import message
from payme_plugin.till import OutcomeUnknown, Payment, one_line_sale, print_slip

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import Item, PaymentResult, ReversalResult, Slip
    from payme_plugin.till import Operation, Reversal, Till

_DEFAULT_REASON = "payme cancel"
_ORDINARY = GoodsKind.ORDINARY.value.lower()
_CODES: dict[PaymentStatus | ReversalStatus, ExitCode] = {
    **dict.fromkeys((PaymentStatus.PAID, ReversalStatus.REVERSED), ExitCode.DONE),
    **dict.fromkeys((PaymentStatus.REFUSED, ReversalStatus.REFUSED), ExitCode.REFUSED),
}
"""The exit codes of the results that are final; of any other, money may go back or the next command asks again."""


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
    sold, payment_id = _sold(amount, goods, items), payment_id or uuid.uuid4().hex
    return _carry_out(
        options,
        ("payment", payment_id),
        lambda till: till.sell(sold, payment_id=payment_id, qr_code=qr, fiscal_url=fiscal_url),
        {"amount": total_of(sold), "receipt_number": None},
    )


@click.command(cls=Command)
@click.argument("payment_id", type=PAYMENT_ID)
@click.option("--reason", metavar="TEXT", default=_DEFAULT_REASON)
@pass_options
def cancel(options: GlobalOptions, payment_id: str, reason: str) -> int:
    """Annul a sale as if it were still open."""
    return _carry_out(options, ("cancel", payment_id), lambda till: till.cancel(payment_id, reason), {"violations": []})


@click.command(cls=Command)
@click.argument("payment_id", type=PAYMENT_ID)
@click.option("--items", type=ITEMS, metavar="FILE")
@click.option("--manual-selection", is_flag=True)
@click.option("--currency-selection", is_flag=True)
@pass_options
def refund(options: GlobalOptions, /, payment_id: str, items: tuple[Item, ...] | None, **selection: bool) -> int:
    """Refund a closed sale."""

    def give_back(till: Till) -> Reversal:
        return till.refund(payment_id, items=items, **selection)

    return _carry_out(options, ("refund", payment_id), give_back, {"violations": []})


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
    options: GlobalOptions,
    own: tuple[Operation, str],
    act: Callable[[Till], Payment | Reversal],
    members: dict[str, object],
) -> int:
    """Carry a payment or reversal out, report its result and return the exit code, which a failing output can't change.

    Args:
        options: the options of the command.
        own: what it is, and of which payment.
        act: does it.
        members: the members of the document that are not in both documents, if the outcome is unknown.
    """
    slips: list[Slip] = []
    try:
        with open_till(options, slips, own=own) as till:
            done = act(till)
    except OutcomeUnknown as error:
        options.result = ExitCode.QUEUED
        fault(error.text)
        if options.json:
            echo_document(_document(None, error.payment_id, render(error.text)) | members)
        return options.result
    result = done.result
    options.result = _code_of(result)
    if isinstance(done, Payment):
        members = {"amount": done.result.amount, "receipt_number": done.number}
    else:
        members = {"violations": [{"rule": each.rule, "message": each.message} for each in done.violations]}
    if options.json:
        echo_document(_document(result, done.payment_id, result.message) | members)
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


def _document(result: PaymentResult | ReversalResult | None, payment_id: str, text: str) -> dict[str, object]:
    slips = () if result is None else result.slips
    return document_of(
        result,
        "status payment_id receipt_id message error_code cancellation_queued slips",
        status=PaymentStatus.UNKNOWN if result is None else result.status,
        payment_id=payment_id,
        message=text,
        cancellation_queued=result is not None and result.cancellation_queued,
        slips=[{"copies": each.copies, "lines": list(each.lines)} for each in slips],
    )


def _code_of(result: PaymentResult | ReversalResult) -> ExitCode:
    if result.status is PaymentStatus.ABORTED and result.receipt_id is None:
        return ExitCode.REFUSED
    return _CODES.get(result.status, ExitCode.QUEUED)
