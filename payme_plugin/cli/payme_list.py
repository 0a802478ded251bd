"""Payme's own list of a merchant account's receipts, page by page, and their states in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from payme_plugin.cli.files import command_log, has_log
from payme_plugin.cli.output import Refusal, document_of
from payme_plugin.clock import SystemClock
from payme_plugin.locale import message
from payme_plugin.paymego import receipts
from payme_plugin.paymego.client import client_of
from payme_plugin.paymego.errors import CallFailed
from payme_plugin.paymego.states import ReceiptState

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.locale import Message
    from payme_plugin.paymego.receipts import ServerReceipt
    from payme_plugin.settings import Settings

_MARGIN_MS = 3_600_000
"""One hour: how far the till's clock and Payme's may be apart."""

_MOST_PAGES = 20_000
_LONGEST_ACCOUNT = 100
_WITHOUT_MONEY = frozenset({ReceiptState.CREATED, ReceiptState.CANCELLED})


class ListUnavailable(Refusal):
    """Payme did not give its list, or not the whole of it."""


def list_receipts(folder: Path, settings: Settings, begin_ms: int, end_ms: int) -> list[ServerReceipt]:
    """Return every receipt that was created in a span of time or an hour around it, each once, in Payme's order.

    Args:
        folder: the data folder; the requests are logged if there is a log already.
        settings: the merchant account, and the time for each page.
        begin_ms: the span's begin, Unix milliseconds.
        end_ms: its end.

    Raises:
        ListUnavailable: a page did not come, or is not a list; or the server sends the same receipts again and again.
    """
    found: dict[str, ServerReceipt] = {}
    clock, log = SystemClock(), command_log(folder) if has_log(folder) else nullcontext()
    with log, closing(client_of(settings, clock)) as client:
        for page in range(_MOST_PAGES):
            offset = page * receipts.MAX_RECEIPTS
            params = receipts.get_all(begin_ms - _MARGIN_MS, end_ms + _MARGIN_MS, offset=offset)
            try:
                answer = client.begin("receipts.get_all", params, clock.monotonic() + settings.timeout_s).answer()
                listed = receipts.receipts_of(answer)
            except CallFailed as failure:
                raise ListUnavailable(message("cli.list_unavailable", reason=failure)) from failure
            # Receipts that are created meanwhile move the pages, so one may come twice.
            fresh = {each.receipt_id: each for each in listed if each.receipt_id is not None}
            is_last = len(listed) < receipts.MAX_RECEIPTS
            if not is_last and fresh.keys() <= found.keys():
                break
            found.update(fresh)
            if is_last:
                return list(found.values())
    raise ListUnavailable(message("cli.list_endless"))


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
