"""Payme's own list of the kassa's receipts, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from payme_plugin.cli.output import Refusal
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed

if TYPE_CHECKING:
    from payme_plugin.clock import Clock
    from payme_plugin.paymego.protocols import Client
    from payme_plugin.paymego.receipts import ServerReceipt

__all__ = ["ListUnavailable", "account_of", "list_receipts"]

_MOST_PAGES = 20_000
_LONGEST_ACCOUNT = 100


class ListUnavailable(Refusal):
    """Payme did not give its list, or not the whole of it."""


def list_receipts(client: Client, clock: Clock, timeout_s: float, begin_ms: int, end_ms: int) -> list[ServerReceipt]:
    """Return every receipt of the kassa that was created in a span of time, each once, in Payme's order.

    Args:
        client: the kassa's client.
        clock: the clock of its deadlines.
        timeout_s: for each page.
        begin_ms: the span's begin, Unix milliseconds.
        end_ms: its end.

    Raises:
        ListUnavailable: a page did not come, or is no list; or the server sends the same receipts over and over.

    Money effect: none.
    """
    found: dict[str, ServerReceipt] = {}
    for page in range(_MOST_PAGES):
        # Receipts that come meanwhile move the pages: whatever comes twice counts once.
        listed = _page(client, clock, timeout_s, (begin_ms, end_ms, page * receipts.MAX_RECEIPTS))
        fresh = {each.receipt_id: each for each in listed if each.receipt_id is not None}
        is_last = len(listed) < receipts.MAX_RECEIPTS
        if not is_last and fresh.keys() <= found.keys():
            break
        found.update(fresh)
        if is_last:
            return list(found.values())
    message = "Payme's list of receipts has no end: the server sends the same page again"
    raise ListUnavailable(message)


def _page(client: Client, clock: Clock, timeout_s: float, place: tuple[int, int, int]) -> tuple[ServerReceipt, ...]:
    begin_ms, end_ms, offset = place
    params = receipts.get_all(begin_ms, end_ms, offset=offset)
    try:
        answer = client.begin("receipts.get_all", params, clock.monotonic() + timeout_s).answer()
        return receipts.receipts_of(answer)
    except CallFailed as failure:
        message = f"Payme's list of receipts can't be had: {failure}"
        raise ListUnavailable(message) from failure


def account_of(receipt: ServerReceipt) -> str | None:
    """Return what a receipt was made for, ``order_id=1-3-118`` say, as the kassa wrote it; None: it does not say."""
    rows = receipt.raw.get("account")
    entries = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, Sequence) else []
    for entry in sorted(entries, key=lambda entry: entry.get("main") is not True):
        text = f"{entry.get('name')}={entry.get('value')}"
        if text.isprintable():
            return text[:_LONGEST_ACCOUNT]
    return None
