"""``payme reconcile``: compares the journal with Payme's list and the till's sales, and returns what nobody knows."""

from __future__ import annotations

import csv
import io
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.delivery import JournalsHost, open_delivery
from payme_plugin.cli.files import existing_data_dir, journal_identity, read_journal
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import (
    ExitCode,
    Refusal,
    Styled,
    document_of,
    echo,
    echo_document,
    fault,
    iso_time,
    local_time,
    render,
    uzs,
)
from payme_plugin.cli.params import DATE, SALES, day_begins_ms
from payme_plugin.cli.payme_list import account_of, list_receipts, receipt_document, state_in_words
from payme_plugin.cli.sales import host_named
from payme_plugin.cli.status import status_of
from payme_plugin.cli.till import LANGUAGE, checked_settings
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.locale import escaped, message
from payme_plugin.operations import reconciliation
from payme_plugin.operations.host_guard import GuardedHost
from payme_plugin.operations.receipt_list import MARGIN_MS
from payme_plugin.operations.reconciliation import DifferenceKind, Stored, TillAccounts
from payme_plugin.operations.unknown_receipts import Obstacle, cancel_unknown, obstacle_of
from payme_plugin.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from pathlib import Path

    from hookspecs import SaleRecord
    from payme_plugin.cli.delivery import JournalDelivery
    from payme_plugin.locale import Message
    from payme_plugin.operations.reconciliation import Difference, Reconciled
    from payme_plugin.paymego.receipts import ServerReceipt
    from payme_plugin.settings import Settings

_LISTS = ("differences", "returning")
_FORMULA_BEGINS = ("=", "+", "-", "@")
_COLUMNS = (
    "list", "kind", "receipt_id", "payment_id", "created_at", "journal_status", "journal_amount", "payme_state",
    "payme_amount", "sale_amount", "account",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A comparison and what it was made of.

    Attributes:
        found: the result.
        sales: the till's sales that closed in the period, or None.
        of_other_accounts: how many payments of the journal were left out.
        is_ours: returns whether this till made a receipt, by its account.
    """

    found: Reconciled
    sales: tuple[SaleRecord, ...] | None
    of_other_accounts: int
    is_ours: Callable[[ServerReceipt], bool]


@dataclass(frozen=True, slots=True)
class _Unknown:
    """What became of the receipts that nobody knows.

    Attributes:
        cancelled: those whose money is returned.
        refused: those whose money is not, and why.
    """

    cancelled: tuple[ServerReceipt, ...]
    refused: tuple[tuple[ServerReceipt, Obstacle], ...]


@click.command(cls=Command)
@click.option("--from", "first", type=DATE, metavar="DATE", required=True)
@click.option("--to", "last", type=DATE, metavar="DATE", required=True)
@click.option("--sales", type=SALES, metavar="FILE")
@click.option("--host", metavar="MODULE:ATTRIBUTE")
@click.option("--csv", "as_csv", is_flag=True)
@click.option("--cancel-unknown", "cancels", is_flag=True)
@click.option("--yes", is_flag=True)
@pass_options
def reconcile(
    options: GlobalOptions,
    *,
    first: date,
    last: date,
    sales: tuple[SaleRecord, ...] | None,
    host: str | None,
    as_csv: bool,
    cancels: bool,
    yes: bool,
) -> int:
    """Compare the journal, Payme's list of receipts and the till's sales, from one day to another in local time.

    Money effect: with ``--cancel-unknown`` it leaves cancellations of receipts that nobody knows.
    """
    _refuse(last < first, "cli.days_reversed", first=first, last=last)
    _refuse(yes and not cancels, "cli.yes_alone")
    _refuse(as_csv and (options.json or cancels), "cli.csv_alone")
    settings = checked_settings(options.conf_file)
    folder = existing_data_dir(options)
    period = day_begins_ms(first), day_begins_ms(last + timedelta(days=1))
    till = _till(folder, host)
    with ExitStack() as stack:
        delivery = None
        if cancels:
            delivery = stack.enter_context(open_delivery(options))
            if not stack.enter_context(Leases(folder).try_acquire(LEADER)):
                raise Refusal(message("cli.till_runs"))
        compared = _compare(folder, settings, period, till, sales)
        account = document_of(settings, "pos_id url")
        if as_csv:
            _echo_csv(compared.found)
        elif not options.json:
            _show(compared, message("cli.reconciled", first=first, last=last, **account))
        unknown = None if delivery is None else _cancel(delivery, settings, period, till, compared, is_certain=yes)
    if unknown is not None:
        options.result = ExitCode.REFUSED if compared.found.differences else ExitCode.DONE
    if options.json:
        _echo_json(compared, unknown, {"from": iso_time(period[0]), "to": iso_time(period[1]), **account})
    elif unknown is not None:
        _show_unknown(unknown)
    return ExitCode.REFUSED if compared.found.differences else ExitCode.DONE


def _refuse(is_wrong: bool, key: str, **values: object) -> None:
    if is_wrong:
        raise click.UsageError(render(message(key, **values)))


def _till(folder: Path, name: str | None) -> GuardedHost | None:
    """Return the host that is asked for its sales: the one of this name, else the one that the journal belongs to."""
    identity = journal_identity(folder)
    if name is not None:
        return host_named(name, identity)
    return None if identity is None else GuardedHost(JournalsHost(identity, folder))


def _compare(
    folder: Path,
    settings: Settings,
    period: tuple[int, int],
    till: GuardedHost | None,
    sales: tuple[SaleRecord, ...] | None,
) -> _Comparison:
    as_of_ms = SystemClock().wall_ms()
    # The journal last, so that a payment made meanwhile is in it.
    listed = list_receipts(folder, settings, *period)
    if sales is None and till is not None:
        # A sale may close long after it was paid.
        sales = till.sales(period[0] - MARGIN_MS, max(period[1], as_of_ms) + MARGIN_MS)
    with read_journal(folder) as reader:
        if reader is None:
            fault(message("cli.reconciled_without_journal", path=folder))
            stored = Stored(live={})
        else:
            stored = reconciliation.read_journal(reader, settings, listed, sales, period)
    # Without a journal nobody knows the till's name.
    is_ours = TillAccounts(settings.account, stored.tills) if stored.tills else lambda _: True
    found = reconciliation.reconcile(stored, listed, sales, is_ours, period, as_of_ms=as_of_ms)
    others = sum(period[0] <= row.created_at < period[1] for row in stored.others)
    in_period = None if sales is None else tuple(each for each in sales if period[0] <= each.sold_at < period[1])
    return _Comparison(found, in_period, others, is_ours)


# ---------------------------------------------------------------------------------------------------------------------
# Receipts that nobody knows
# ---------------------------------------------------------------------------------------------------------------------


def _cancel(
    delivery: JournalDelivery,
    settings: Settings,
    period: tuple[int, int],
    till: GuardedHost | None,
    compared: _Comparison,
    *,
    is_certain: bool,
) -> _Unknown:
    """Return the money of paid receipts that nobody knows, as far as nothing speaks against it.

    Money effect: leaves a cancellation for each of them, if the operator confirms it.
    """
    if compared.sales is None or till is None:
        raise Refusal(message("cli.unknown.no_sales"))
    matches = [each.match for each in compared.found.differences if each.kind is DifferenceKind.ONLY_THERE]
    receipts = [match.receipt for match in matches if match.receipt is not None and match.sale is None]
    if not receipts:
        return _Unknown((), ())
    # Until now, because its newest time shows how old they are.
    again = list_receipts(delivery.folder, settings, period[0], max(period[1], SystemClock().wall_ms()))
    journal = delivery.processor().journal
    is_ours, is_ready = compared.is_ours, journal.is_ready
    # A till that does not know its own sales by their receipt ids can't deny one, e.g. one with a new database.
    can_deny = any(till.is_recorded(sale.receipt_id) for sale in compared.sales)
    is_recorded: Callable[[str], bool | None] = till.is_recorded if can_deny else lambda _: None
    obstacles = [(each, obstacle_of(each, again, is_ours, is_recorded, is_ready=is_ready)) for each in receipts]
    chosen = [receipt for receipt, obstacle in obstacles if obstacle is None]
    refused = [(receipt, obstacle) for receipt, obstacle in obstacles if obstacle is not None]
    amount = uzs(sum(receipt.amount or 0 for receipt in chosen))
    question = message("cli.unknown.confirm", amount=amount, count=len(chosen))
    if not chosen or not (is_certain or click.confirm(render(question), err=True)):
        return _Unknown((), tuple(refused))
    texts, cancelled = Texts(settings.language or LANGUAGE), []
    for receipt in chosen:
        try:
            cancel_unknown(journal, delivery.storage.owner, settings, receipt, texts)
        except Conflict:
            refused.append((receipt, Obstacle.KNOWN))
        else:
            cancelled.append(receipt)
    return _Unknown(tuple(cancelled), tuple(refused))


def _show_unknown(unknown: _Unknown) -> None:
    echo()
    for receipt, obstacle in unknown.refused:
        reason = message(f"cli.unknown.{obstacle.value}")
        echo(message("cli.unknown.refused", receipt_id=receipt.receipt_id, reason=reason))
    amount = uzs(sum(receipt.amount or 0 for receipt in unknown.cancelled))
    echo(message("cli.unknown.cancelled", count=len(unknown.cancelled), amount=amount))


# ---------------------------------------------------------------------------------------------------------------------
# Documents
# ---------------------------------------------------------------------------------------------------------------------


def _echo_json(compared: _Comparison, unknown: _Unknown | None, head: dict[str, object]) -> None:
    found = compared.found
    lists = {name: [_difference_document(each) for each in getattr(found, name)] for name in _LISTS}
    others = [receipt_document(each) for each in found.of_other_tills]
    cancelled = unknown and {
        "cancelled": [{"receipt_id": each.receipt_id, "amount": each.amount} for each in unknown.cancelled],
        "refused": [{"receipt_id": each.receipt_id, "reason": why.value} for each, why in unknown.refused],
    }
    echo_document(
        {
            **head,
            **lists,
            **document_of(found, "agreed in_progress in_journal at_payme"),
            "in_sales": None if compared.sales is None else sum(each.amount for each in compared.sales),
            "of_other_tills": others,
            "of_other_accounts": compared.of_other_accounts,
            "cancel_unknown": cancelled,
        }
    )


def _difference_document(difference: Difference) -> dict[str, object]:
    match = difference.match
    ours = match.payment and document_of(
        match.payment, "status amount created_at", status=status_of(match.payment.state)
    )
    return {
        "kind": difference.kind.value,
        "receipt_id": match.receipt_id,
        "payment_id": _payment_id(difference),
        "journal": ours,
        "payme": match.receipt and receipt_document(match.receipt),
        "sale": match.sale and document_of(match.sale, "amount sold_at"),
    }


def _payment_id(difference: Difference) -> str | None:
    known = difference.match.payment or difference.match.sale
    return None if known is None else known.payment_id


def _echo_csv(found: Reconciled) -> None:
    """Print every disagreement as a line of a table for a spreadsheet; amounts are in UZS."""
    echo(Styled(",".join(_COLUMNS)))
    rows = [(name, each) for name in _LISTS for each in getattr(found, name)]
    for cells in (*(_cells(name, each) for name, each in rows), *map(_cells_of_other, found.of_other_tills)):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(["" if cell is None else _csv_cell(str(cell)) for cell in cells])
        echo(Styled(line.getvalue()))


def _csv_cell(text: str) -> str:
    """Return a text that a spreadsheet takes for no formula."""
    return escaped(f"'{text}" if text.startswith(_FORMULA_BEGINS) else text)


def _cells(name: str, difference: Difference) -> tuple[object, ...]:
    payment, receipt, sale = difference.match.payment, difference.match.receipt, difference.match.sale
    return (
        name,
        difference.kind.value,
        difference.match.receipt_id,
        _payment_id(difference),
        _created(difference),
        payment and status_of(payment.state),
        payment and _plain(payment.amount),
        receipt and receipt.state,
        receipt and _plain(receipt.amount),
        sale and _plain(sale.amount),
        receipt and account_of(receipt),
    )


def _cells_of_other(receipt: ServerReceipt) -> tuple[object, ...]:
    at = None if receipt.create_time_ms is None else local_time(receipt.create_time_ms)
    amount, account = _plain(receipt.amount), account_of(receipt)
    return "of_other_tills", None, receipt.receipt_id, None, at, None, None, receipt.state, amount, None, account


def _created(difference: Difference) -> str | None:
    payment, receipt, sale = difference.match.payment, difference.match.receipt, difference.match.sale
    at_ms = None if receipt is None else receipt.create_time_ms
    if payment is not None:
        at_ms = payment.created_at
    elif at_ms is None and sale is not None:
        at_ms = sale.sold_at
    return None if at_ms is None else local_time(at_ms)


def _plain(amount: int | None) -> str | None:
    return None if amount is None else uzs(amount).replace(" ", "")


# ---------------------------------------------------------------------------------------------------------------------
# The table
# ---------------------------------------------------------------------------------------------------------------------


def _show(compared: _Comparison, title: Message) -> None:
    for line in _lines(compared, title):
        echo(*line)


def _lines(compared: _Comparison, title: Message) -> Iterator[tuple[Message | str, ...]]:
    found, sales = compared.found, compared.sales
    yield (title,)
    for name in _LISTS:
        differences: tuple[Difference, ...] = getattr(found, name)
        if differences:
            yield ()
            yield (message(f"cli.{name}", count=len(differences)),)
        for each in differences:
            yield from _difference_lines(each, has_sales=sales is not None)
    yield ()
    yield (message("cli.agreed", agreed=found.agreed, differences=len(found.differences)),)
    yield (message("cli.totals", journal=uzs(found.in_journal), payme=uzs(found.at_payme)),)
    yield (message("cli.no_sales" if sales is None else "cli.sales_compared", count=len(sales or ())),)
    if found.in_progress:
        yield (message("cli.in_progress", count=found.in_progress),)
    if found.of_other_tills:
        amount = uzs(sum(each.amount or 0 for each in found.of_other_tills))
        yield (message("cli.other_tills", count=len(found.of_other_tills), amount=amount),)
    if compared.of_other_accounts:
        yield (message("cli.other_accounts", count=compared.of_other_accounts),)


def _difference_lines(difference: Difference, *, has_sales: bool) -> Iterator[tuple[Message | str, ...]]:
    payment, receipt, sale = difference.match.payment, difference.match.receipt, difference.match.sale
    nothing = message("cli.nothing")
    ours = nothing if payment is None else f"{status_of(payment.state)} {uzs(payment.amount)}"
    state = None if receipt is None else state_in_words(receipt.state)
    theirs = nothing if receipt is None else message("cli.state_amount", state=state, amount=uzs(receipt.amount or 0))
    sold = nothing if sale is None else uzs(sale.amount)
    key = "cli.difference_with_sale" if has_sales else "cli.difference"
    yield f"  {difference.kind.value:<13}  ", message(key, journal=ours, payme=theirs, sale=sold)
    margin, when = " " * 17, _created(difference)
    receipt_id = message("cli.receipt", receipt_id=difference.match.receipt_id)
    yield margin, receipt_id, "" if when is None else f", {when}"
    payment_id = _payment_id(difference)
    if payment_id is not None:
        yield margin, message("cli.payment", payment_id=payment_id)
    elif receipt is not None and (account := account_of(receipt)) is not None:
        yield margin, account
