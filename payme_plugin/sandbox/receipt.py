"""A receipt of the bank: its facts, its timeline, and what the server and the tests see of it.

A timeline is a tuple of steps with a time each, planned when something happens to the receipt. The state at a moment is
the last step at or before it, so that a reader changes nothing and no timer is needed. Source of the states: the
Subscribe API, 0-1-2-3-4 for a payment and 21-50 for a cancellation; from 3 on the money is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox.behaviour import BuyerAction
from payme_plugin.sandbox.jsonrpc import BankError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payme_plugin.sandbox.behaviour import Behaviour, CancelPlan

_UZS = 860
_LONGEST_STEP_MS = 100
_TAKEN = frozenset({ReceiptState.CLOSING, ReceiptState.PAID, ReceiptState.CLOSING_QUEUED})
_UNDECIDED = frozenset({ReceiptState.PAUSED, ReceiptState.CANCELLING})


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
class Step:
    """A state that a receipt enters.

    Attributes:
        at_ms: when, Unix milliseconds.
        state: the state's number.
        held: whether Payme holds the buyer's money for this receipt from here on.
    """

    at_ms: int
    state: int
    held: bool


@dataclass(frozen=True, kw_only=True)
class _Facts:
    receipt_id: str
    pos_id: str
    amount: int
    account: Mapping[str, object]
    description: str
    detail: Mapping[str, object] | None
    fiscal_data: Mapping[str, object] | None = None
    phone_id: str | None = None
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class ReceiptView(_Facts):
    """A receipt as it is at one moment.

    Attributes:
        receipt_id: the server's id, 24 hex digits.
        pos_id: the merchant account that created it.
        amount: tiyin.
        account: as the till sent it.
        description: as the till sent it.
        detail: as the till sent it; ``None`` if it sent none.
        fiscal_data: as ``receipts.set_fiscal_data`` brought it last; ``None`` before.
        phone_id: the phone whose code paid or is paying it; ``None`` before, or if the code belongs to no phone.
        code: the buyer's code that paid or is paying it; ``None`` before.
        state: the state's number.
        held: tiyin that Payme holds for it now: the amount or 0.
        created_ms: Unix milliseconds.
        paid_ms: Unix milliseconds; 0 if it was never paid.
        cancelled_ms: Unix milliseconds; 0 if it is not in state 50.
        steps: the states that it has entered, the first at its creation.
    """

    state: int
    held: int
    created_ms: int
    paid_ms: int
    cancelled_ms: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Receipt(_Facts):
    """What the bank keeps of a receipt, beside what ``ReceiptView`` shows. It is immutable: a change makes a new one.

    Attributes:
        number: its ordinal number in the bank, from 1.
        timeline: its steps, also those still to come; the first is its creation.
        cancel: how it is cancelled; ``None``: by the bank's own plan.
        cancel_asked: whether the till has asked for a cancellation.
    """

    number: int
    timeline: tuple[Step, ...]
    cancel: CancelPlan | None = None
    cancel_asked: bool = False

    def passed(self, now_ms: int) -> tuple[Step, ...]:
        """Return the steps up to ``now_ms``; never empty."""
        return (self.timeline[0], *(step for step in self.timeline[1:] if step.at_ms <= now_ms))

    def planned(self, now_ms: int) -> tuple[Step, ...]:
        """Return the steps after ``now_ms``."""
        return self.timeline[len(self.passed(now_ms)) :]

    def at(self, now_ms: int) -> Step:
        """Return the step that it has reached at ``now_ms``."""
        return self.passed(now_ms)[-1]

    def moved(self, now_ms: int, *steps: Step) -> Receipt:
        """Return it with ``steps`` in place of what was still to come after ``now_ms``."""
        return replace(self, timeline=self.passed(now_ms) + steps)

    def paying(self, now_ms: int, code: str, behaviour: Behaviour) -> Receipt:
        """Return it as a payment that begins at ``now_ms`` makes it."""
        begun = replace(self, code=code, cancel=behaviour.cancel or self.cancel)
        due_ms = _later(now_ms, behaviour.after_s)
        checking = Step(now_ms, ReceiptState.CHECKING, held=False)
        if behaviour.action is BuyerAction.DECLINES:
            return begun.moved(now_ms, checking, Step(due_ms, ReceiptState.CANCELLED, held=False))
        if behaviour.action is BuyerAction.NEVER_ANSWERS:
            return begun.moved(now_ms, checking)
        return begun.moved(now_ms, checking, *_confirmed(now_ms, due_ms))

    def answered(self, now_ms: int, *, confirms: bool) -> Receipt:
        """Return it as the buyer who confirms or declines by hand at ``now_ms`` makes it."""
        declined = Step(now_ms, ReceiptState.CANCELLED, held=False)
        return self.moved(now_ms, *(_confirmed(now_ms, now_ms) if confirms else (declined,)))

    def cancelling(self, now_ms: int, plan: CancelPlan) -> Receipt:
        """Return it as an accepted cancellation makes it, by its own plan or else by ``plan``.

        Raises:
            BankError: the plan refuses the cancellation.
        """
        plan, here = self.cancel or plan, self.at(now_ms)
        asked = replace(self, cancel_asked=True)
        if here.state in {ReceiptState.CANCELLING, ReceiptState.CANCELLED}:
            return self
        if here.state == ReceiptState.CREATED:
            return asked.moved(now_ms, Step(now_ms, ReceiptState.CANCELLED, held=False))
        refused_with = plan.refused_with if here.state == ReceiptState.PAID else plan.busy_with
        if refused_with is not None:
            raise BankError(refused_with)
        turns_back = plan.turns_back_after_s is not None and not self.first_ms(now_ms, ReceiptState.CANCELLING)
        end = Step(_later(now_ms, plan.settle_s), ReceiptState.CANCELLED, held=False)
        if turns_back:
            end = Step(_later(now_ms, plan.turns_back_after_s or 0.0), ReceiptState.PAID, held=True)
        return asked.moved(now_ms, Step(now_ms, ReceiptState.CANCELLING, held=here.held), end)

    def stuck_since(self, earlier: Receipt, now_ms: int) -> Receipt:
        """Return it with only the first step of those that a request at ``now_ms`` added to ``earlier``."""
        return replace(self, timeline=self.timeline[: len(earlier.passed(now_ms)) + 1])

    def put(self, now_ms: int, state: int) -> Receipt:
        """Return it in ``state``, put there by hand: 3, 4 and 30 hold the money, 50 returns it.

        Raises:
            ValueError: it is cancelled for good, or the state would hide money that is held.
        """
        here = self.at(now_ms)
        if here.state == ReceiptState.CANCELLED:
            raise ValueError("a cancelled receipt stays in state 50")
        undecided = state in _UNDECIDED or state not in tuple(ReceiptState)
        held = here.held if undecided else state in _TAKEN
        if here.held and not held and state != ReceiptState.CANCELLED:
            raise ValueError(f"the money of the receipt is held: only state 50 returns it, not {state}")
        return self.moved(now_ms, Step(now_ms, state, held=held))

    def first_ms(self, now_ms: int, state: ReceiptState) -> int:
        """Return when it first entered ``state``; 0 if it has not by ``now_ms``."""
        return next((step.at_ms for step in self.passed(now_ms) if step.state == state), 0)

    def view(self, now_ms: int) -> ReceiptView:
        """Return what tests and the demo see of it at ``now_ms``."""
        steps = self.passed(now_ms)
        step = steps[-1]
        return ReceiptView(
            **{one.name: getattr(self, one.name) for one in fields(_Facts)},
            state=int(step.state),
            held=self.amount if step.held else 0,
            created_ms=self.timeline[0].at_ms,
            paid_ms=self.first_ms(now_ms, ReceiptState.PAID),
            cancelled_ms=self.first_ms(now_ms, ReceiptState.CANCELLED),
            steps=steps,
        )

    def as_json(self, now_ms: int, *, merchant: str, buyer: Buyer, language_maps: bool = False) -> dict[str, object]:
        """Return the receipt as the server sends it at ``now_ms``, in the shape of the published samples.

        ``merchant`` is the name of its merchant account. ``language_maps`` gives titles in three languages, as in a
        list.
        """

        def title(text: str) -> object:
            return {"ru": text, "uz": text, "en": text} if language_maps else text

        view = self.view(now_ms)
        rows: list[dict[str, object]] = [
            {"name": name, "title": title(name), "value": value, "main": position == 0}
            for position, (name, value) in enumerate(self.account.items())
        ]
        # The server adds an entry of its own, which lacks "main".
        rows.append({"name": "transaction", "title": title("transaction"), "value": self.number})
        cancelled_by = {"source_cancel": "subscribe"} if self.cancel_asked else {}
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
            "currency": _UZS,
            "commission": 0,
            "account": rows,
            "card": {"number": buyer.card, "expire": buyer.expires} if view.paid_ms else None,
            "merchant": {
                "_id": self.pos_id,
                "name": merchant,
                "organization": merchant,
                "address": "127.0.0.1",
                "business_id": self.pos_id,
                "epos": {"merchantId": "", "terminalId": ""},
                "date": 0,
                "logo": None,
                "type": title("Shop"),
                "terms": None,
            },
            "meta": {"source": "subscribe", "owner": self.pos_id} | cancelled_by,
            "processing_id": 0 if view.paid_ms else None,
        }
        if view.paid_ms:
            document["payer"] = {"phone": buyer.phone}
        return document


def _confirmed(now_ms: int, due_ms: int) -> tuple[Step, ...]:
    """Return the steps after state 1: debited and closed shortly before ``due_ms``, paid exactly then."""
    step_ms = min(_LONGEST_STEP_MS, (due_ms - now_ms) // 4)
    return (
        Step(due_ms - 2 * step_ms, ReceiptState.DEBITING, held=False),
        Step(due_ms - step_ms, ReceiptState.CLOSING, held=True),
        Step(due_ms, ReceiptState.PAID, held=True),
    )


def _later(now_ms: int, duration_s: float) -> int:
    return now_ms + round(duration_s * 1000)
