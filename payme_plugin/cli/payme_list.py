"""Payme's own list of a merchant account's receipts, page by page, and their states in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from payme_plugin.cli.files import command_log, has_log
from payme_plugin.cli.output import Refusal, document_of
from payme_plugin.clock import SystemClock
from payme_plugin.locale import message
from payme_plugin.operations import receipt_list
from payme_plugin.paymego.client import client_of
from payme_plugin.paymego.errors import CallFailed
from payme_plugin.paymego.states import ReceiptState

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.locale import Message
    from payme_plugin.operations.receipt_list import ReceiptList
    from payme_plugin.paymego.receipts import ServerReceipt
    from payme_plugin.settings import Settings

_LONGEST_ACCOUNT = 100
_WITHOUT_MONEY = frozenset({ReceiptState.CREATED, ReceiptState.CANCELLED})


class ListUnavailable(Refusal):
    """Payme did not give its list, or not the whole of it."""


def list_receipts(folder: Path, settings: Settings, begin_ms: int, end_ms: int) -> ReceiptList:
    """Return every receipt that was created in a period or an hour around it.

    Args:
        folder: the data folder; the requests are logged if there is a log already.
        settings: the merchant account, and the time for each page.
        begin_ms: the period's begin, Unix milliseconds.
        end_ms: its end.

    Raises:
        ListUnavailable: a page did not come, or is not a list; or the list has no end or changes too fast.
    """
    clock, log = SystemClock(), command_log(folder) if has_log(folder) else nullcontext()
    with log, closing(client_of(settings, clock)) as client:
        try:
            return receipt_list.list_receipts(client, clock, settings.timeout_s, begin_ms, end_ms)
        except CallFailed as failure:
            raise ListUnavailable(message("cli.list_unavailable", reason=failure)) from failure
        except receipt_list.EndlessList as error:
            raise ListUnavailable(message("cli.list_endless")) from error
        except receipt_list.ChangingList as error:
            raise ListUnavailable(message("cli.list_changing")) from error


def account_of(receipt: ServerReceipt) -> str | None:
    """Return the account value of a receipt, e.g. ``order_id=1-3-118``; None if it has none."""
    rows = receipt.raw.get("account")
    entries = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, Sequence) else []
    for entry in sorted(entries, key=lambda entry: entry.get("main") is not True):
        text = f"{entry.get('name')}={entry.get('value')}"
        if text.isprintable():
            return text[:_LONGEST_ACCOUNT]
    return None


def receipt_document(receipt: ServerReceipt) -> dict[str, object]:
    """Return a receipt of Payme's list as JSON."""
    names = "receipt_id state amount account created_at"
    return document_of(receipt, names, account=account_of(receipt), created_at=receipt.create_time_ms)


def state_in_words(state: int | None) -> Message:
    """Return a receipt's state in words with its number; None is an answer that can't be used."""
    if state is None:
        return message("cli.state.none")
    known = state in ReceiptState.__members__.values()
    return message(f"cli.state.{ReceiptState(state).name.lower()}" if known else "cli.state.other", state=state)


def holds_money(state: int | None) -> bool:
    """Return whether a receipt in this state may hold a buyer's money."""
    return state not in _WITHOUT_MONEY
