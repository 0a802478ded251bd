"""Payme's list of a merchant account's receipts: every page, again and again until nothing is missing.

Receipts that are created meanwhile move the others from page to page, so that one pass may miss some. A list of one
page can't miss any. Otherwise the list is read again until a whole pass adds no receipt that is older than the newest
one of the first pass: in a busy shop newer ones never end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payme_plugin.paymego import receipts

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.clock import Clock
    from payme_plugin.paymego.protocols import Client
    from payme_plugin.paymego.receipts import ServerReceipt

MARGIN_MS = 3_600_000
"""One hour: how far the till's clock and Payme's may be apart."""

_MOST_PAGES = 20_000
_MOST_PASSES = 10


class ListIncomplete(Exception):
    """Payme's list has no end, or changes faster than it can be read."""


class EndlessList(ListIncomplete):
    """The server sends the same receipts again and again."""


class ChangingList(ListIncomplete):
    """Every pass adds receipts that the earlier ones lack."""


@dataclass(frozen=True, slots=True)
class ReceiptList:
    """A complete list.

    Attributes:
        receipts: every receipt once, in its latest state, without the buyer's data.
        server_ms: the newest time that Payme names in it, a lower bound of Payme's clock; 0 if it names none.
    """

    receipts: tuple[ServerReceipt, ...]
    server_ms: int


def list_receipts(
    client: Client,
    clock: Clock,
    timeout_s: float,
    begin_ms: int,
    end_ms: int,
    *,
    before_page: Callable[[], object] = lambda: None,
) -> ReceiptList:
    """Return every receipt that was created in a period or an hour around it.

    Args:
        client: the client of the merchant account.
        clock: time.
        timeout_s: seconds that a page may take.
        begin_ms: the period's begin, Unix milliseconds.
        end_ms: its end.
        before_page: called before each request, e.g. to wait for a sale.

    Raises:
        CallFailed: a page did not come, or is not a list.
        ListIncomplete: the list has no end, or changes too fast.
    """

    def pages() -> dict[str, ServerReceipt]:
        found: dict[str, ServerReceipt] = {}
        for page in range(_MOST_PAGES):
            before_page()
            offset = page * receipts.MAX_RECEIPTS
            params = receipts.get_all(begin_ms - MARGIN_MS, end_ms + MARGIN_MS, offset=offset)
            answer = client.begin("receipts.get_all", params, clock.monotonic() + timeout_s).answer()
            listed = receipts.receipts_of(answer)
            fresh = {each.receipt_id: _needed(each) for each in listed if each.receipt_id is not None}
            is_last = len(listed) < receipts.MAX_RECEIPTS
            if not is_last and fresh.keys() <= found.keys():
                break
            found |= fresh
            if is_last:
                return found
        message = "the server sends the same receipts again and again"
        raise EndlessList(message)

    found = pages()
    newest_ms = max((each.create_time_ms or 0 for each in found.values()), default=0)
    is_complete, passes = len(found) < receipts.MAX_RECEIPTS, 1
    while not is_complete:
        if passes == _MOST_PASSES:
            message = f"after {passes} passes there are still new receipts among the old ones"
            raise ChangingList(message)
        again = pages()
        added = (again[receipt_id] for receipt_id in again.keys() - found.keys())
        is_complete = all((each.create_time_ms or 0) > newest_ms for each in added)
        found |= again
        passes += 1
    times = (time for each in found.values() for time in times_of(each))
    return ReceiptList(tuple(found.values()), max(times, default=0))


def times_of(receipt: ServerReceipt) -> list[int]:
    """Return the times that Payme names in a receipt, Unix milliseconds."""
    times = (receipt.create_time_ms, receipt.pay_time_ms, receipt.cancel_time_ms)
    return [time for time in times if time is not None]


def _needed(receipt: ServerReceipt) -> ServerReceipt:
    """Return a receipt without what a long list should not keep in memory: goods, and the buyer's data."""
    return replace(receipt, phone=None, raw={"account": receipt.raw.get("account")})
