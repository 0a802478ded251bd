"""A receipt of the bank: its facts, its walk, and what the server and the tests see of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from payme_plugin.paymego.states import ReceiptState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payme_plugin.sandbox.behaviour import CancelPlan
    from payme_plugin.sandbox.walk import Step

__all__ = ["Buyer", "Receipt", "ReceiptView"]

_SUM = 860


@dataclass(frozen=True)
class Buyer:
    """The buyer whose phone shows the codes.

    Attributes:
        phone: as the server writes it.
        card: the masked number.
        expires: the card's expiry as the server writes it.
    """

    phone: str = field(default="998901234567", repr=False)
    card: str = field(default="860006******6311", repr=False)
    expires: str = "9903"


@dataclass(frozen=True)
class ReceiptView:
    """A receipt as it is at one moment.

    Attributes:
        receipt_id: the server's id, 24 hex digits.
        state: the state's number.
        amount: tiyin.
        held: tiyin that Payme holds for it now: the amount or nothing.
        created_ms: Unix milliseconds.
        paid_ms: Unix milliseconds; 0 while it was never paid.
        cancelled_ms: Unix milliseconds; 0 while it is not at 50.
        account: as the kassa sent it.
        description: as the kassa sent it.
        detail: as the kassa sent it; ``None`` where it sent none.
        fiscal_data: as ``receipts.set_fiscal_data`` brought it last; ``None`` before.
        code: the buyer's code that paid or is paying it; ``None`` before.
    """

    receipt_id: str
    state: int
    amount: int
    held: int
    created_ms: int
    paid_ms: int
    cancelled_ms: int
    account: Mapping[str, object]
    description: str
    detail: Mapping[str, object] | None
    fiscal_data: Mapping[str, object] | None
    code: str | None = field(repr=False)


@dataclass(frozen=True)
class Receipt:
    """What the bank keeps of a receipt. It is never changed: a change makes a new one.

    Attributes:
        receipt_id: the server's id, 24 hex digits.
        number: its ordinal number in the bank, from 1.
        amount: tiyin.
        account: as the kassa sent it.
        description: as the kassa sent it.
        detail: as the kassa sent it.
        walk: its steps, those to come included; the first is its creation.
        cancel: how a cancellation of it goes; ``None``: as the bank's own plan says.
        cancel_asked: the kassa has asked for a cancellation.
        fiscal_data: see ``ReceiptView``.
        code: see ``ReceiptView``.
    """

    receipt_id: str
    number: int
    amount: int
    account: Mapping[str, object]
    description: str
    detail: Mapping[str, object] | None
    walk: tuple[Step, ...]
    cancel: CancelPlan | None = None
    cancel_asked: bool = False
    fiscal_data: Mapping[str, object] | None = None
    code: str | None = field(default=None, repr=False)

    def passed(self, now_ms: int) -> tuple[Step, ...]:
        """Return the steps up to ``now_ms``; never empty."""
        return (self.walk[0], *(step for step in self.walk[1:] if step.at_ms <= now_ms))

    def at(self, now_ms: int) -> Step:
        """Return the step that it stands on at ``now_ms``."""
        return self.passed(now_ms)[-1]

    def moved(self, now_ms: int, steps: tuple[Step, ...]) -> Receipt:
        """Return it with ``steps`` in place of what was still to come after ``now_ms``."""
        return replace(self, walk=self.passed(now_ms) + steps)

    def first_ms(self, now_ms: int, state: ReceiptState) -> int:
        """Return when it first entered ``state``; 0 where it has not by ``now_ms``."""
        return next((step.at_ms for step in self.passed(now_ms) if step.state == state), 0)

    def view(self, now_ms: int) -> ReceiptView:
        """Return what tests and the demo see of it at ``now_ms``."""
        step = self.at(now_ms)
        return ReceiptView(
            receipt_id=self.receipt_id,
            state=int(step.state),
            amount=self.amount,
            held=self.amount if step.held else 0,
            created_ms=self.walk[0].at_ms,
            paid_ms=self.first_ms(now_ms, ReceiptState.PAID),
            cancelled_ms=self.first_ms(now_ms, ReceiptState.CANCELLED),
            account=self.account,
            description=self.description,
            detail=self.detail,
            fiscal_data=self.fiscal_data,
            code=self.code,
        )

    def as_json(self, now_ms: int, *, kassa_id: str, buyer: Buyer, language_maps: bool = False) -> dict[str, object]:
        """Return the receipt as the server sends it at ``now_ms``.

        The shape is that of the published samples; ``language_maps`` gives titles in three languages, as in a list.
        """
        view = self.view(now_ms)
        meta = {"source": "subscribe", "owner": kassa_id}
        if self.cancel_asked:
            meta["source_cancel"] = "subscribe"
        document: dict[str, object] = {
            "_id": self.receipt_id,
            "create_time": view.created_ms,
            "pay_time": view.paid_ms,
            "cancel_time": view.cancelled_ms,
            "state": view.state,
            "type": 2,
            "external": False,
            "operation": -1,
            "category": None,
            "error": None,
            "description": self.description,
            "detail": self.detail,
            "amount": self.amount,
            "currency": _SUM,
            "commission": 0,
            "account": self._account(language_maps=language_maps),
            "card": {"number": buyer.card, "expire": buyer.expires} if view.paid_ms else None,
            "merchant": _merchant(kassa_id, language_maps=language_maps),
            "meta": meta,
            "processing_id": 0 if view.paid_ms else None,
        }
        if view.paid_ms:
            document["payer"] = {"phone": buyer.phone}
        return document

    def _account(self, *, language_maps: bool) -> list[dict[str, object]]:
        """Return the account as the server repeats it: a list, with an entry of its own that lacks ``main``."""
        rows: list[dict[str, object]] = [
            {"name": name, "title": _title(name, language_maps=language_maps), "value": value, "main": position == 0}
            for position, (name, value) in enumerate(self.account.items())
        ]
        title = _title("transaction", language_maps=language_maps)
        return [*rows, {"name": "transaction", "title": title, "value": self.number}]


def _title(text: str, *, language_maps: bool) -> object:
    return {"ru": text, "uz": text, "en": text} if language_maps else text


def _merchant(kassa_id: str, *, language_maps: bool) -> dict[str, object]:
    return {
        "_id": kassa_id,
        "name": "Sandbox",
        "organization": "Sandbox",
        "address": "127.0.0.1",
        "business_id": kassa_id,
        "epos": {"merchantId": "", "terminalId": ""},
        "date": 0,
        "logo": None,
        "type": _title("Shop", language_maps=language_maps),
        "terms": None,
    }
