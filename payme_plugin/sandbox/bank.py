"""The bank: what PaymeGO knows, as a pure state machine. No I/O, no clock; ids and codes come from the generator given.

Time is handed in as Unix milliseconds and never runs back: an earlier moment counts as the latest one seen. Readers
change nothing. Money is held for a receipt from state 3 until 50, and ``movements`` lists every time it came or went.
A bank that several threads change needs a lock; ``Sandbox`` has one.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from typing import TYPE_CHECKING

from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox.behaviour import MARK, Behaviour, BuyerAction, CancelPlan, read_code
from payme_plugin.sandbox.jsonrpc import BankError, ErrorCode, member
from payme_plugin.sandbox.receipt import Buyer, Receipt, ReceiptView, Step
from payme_plugin.sandbox.records import (
    SHOWN_RECEIPTS,
    BankRecords,
    CodeView,
    MerchantAccount,
    Movement,
    Phone,
    PhoneReceipt,
    PhoneView,
    ReceiptAction,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from payme_plugin.sandbox.jsonrpc import JsonObject

CODE_LIFE_MS = 30_000
"""A code of the buyer's phone works for less than this. Source: the manual of PaymeGO for tills."""

SANDBOX_POS_ID = "65aa00112233445566778899"

_MAX_AMOUNT = 10**12
_MAX_PAGE = 50
_FISCAL_TEXTS = ("message", "terminal_id", "date", "fiscal_sign")
_RESERVING = frozenset({ReceiptState.CHECKING, ReceiptState.DEBITING})


class Bank:
    """Merchant accounts, phones, receipts, codes, and the money.

    Args:
        rng: where receipt ids and codes come from.
        cancel: how a cancellation goes if neither the code nor ``plan_cancel`` says otherwise.
        buyer: whose number and card a receipt shows that was paid with a code of no phone.
        pos_id: the first merchant account.

    Attributes:
        buyer: that buyer, whose number and card also a new phone has.
    """

    def __init__(
        self, rng: Random, *, cancel: CancelPlan | None = None, buyer: Buyer | None = None, pos_id: str = SANDBOX_POS_ID
    ) -> None:
        self._rng = rng
        self._cancel_plan = cancel or CancelPlan()
        self.buyer = buyer or Buyer()
        self._pos_id = pos_id
        self._accounts: dict[str, MerchantAccount] = {}
        self._phones: dict[str, Phone] = {}
        self._codes_of: dict[str, list[str]] = {}
        self._receipts: dict[str, Receipt] = {}
        self._codes: dict[str, CodeView] = {}
        self._pays: dict[str, int] = {}
        self._latest_ms = 0
        # What ``take_changes`` returns next; dicts, because they keep the order.
        self._changed_accounts: dict[str, None] = {}
        self._changed_phones: dict[str, None] = {}
        self._changed_receipts: dict[str, None] = {}
        self._changed_codes: dict[str, None] = {}
        self._changed_pays: dict[str, None] = {}
        self._due: list[tuple[int, str]] = []
        self._methods: dict[str, Callable[[int, JsonObject, str], dict[str, object] | list[object]]] = {
            "receipts.create": self._create,
            "receipts.pay": self._pay,
            "receipts.check": self._check,
            "receipts.get": self._get,
            "receipts.cancel": self._cancel,
            "receipts.get_all": self._get_all,
            "receipts.set_fiscal_data": self._set_fiscal_data,
        }
        self.put_account(MerchantAccount(pos_id))

    def call(
        self, now_ms: int, method: str, params: JsonObject, pos_id: str | None = None, *, is_stuck: bool = False
    ) -> dict[str, object] | list[object]:
        """Carry out a request of the till and return its ``result``: a list for ``receipts.get_all``, else an object.

        Money effect: as the method says; ``receipts.pay`` may charge, ``receipts.cancel`` may return.

        Args:
            now_ms: Unix milliseconds.
            method: e.g. ``receipts.pay``.
            params: its parameters.
            pos_id: the merchant account that asks; ``None``: the first one.
            is_stuck: the receipt stays in the state that it enters first.

        Raises:
            BankError: the server's refusal; nothing was changed but the code that a refused ``pay`` used up.
        """
        handler = self._methods.get(method)
        if handler is None:
            raise BankError(ErrorCode.METHOD_NOT_FOUND, method)
        if pos_id is not None and pos_id not in self._accounts:
            raise BankError(ErrorCode.ACCESS_DENIED)
        now_ms, pos_id = self._moment(now_ms), self._pos_id if pos_id is None else pos_id
        before = self._receipts.get(str(params.get("id"))) if is_stuck else None
        result = handler(now_ms, params, pos_id)
        if before is None or self._receipts[before.receipt_id].timeline == before.timeline:
            return result
        self._store(self._receipts[before.receipt_id].stuck_since(before, now_ms))
        return self._get(now_ms, params, pos_id)

    @property
    def accounts(self) -> tuple[MerchantAccount, ...]:
        """The merchant accounts, the first one first."""
        return tuple(self._accounts.values())

    def account(self, pos_id: str) -> MerchantAccount | None:
        """Return a merchant account; ``None`` if there is none with this id."""
        return self._accounts.get(pos_id)

    def put_account(self, account: MerchantAccount) -> None:
        """Add a merchant account, or replace the one with its id."""
        self._accounts[account.pos_id] = account
        self._changed_accounts[account.pos_id] = None

    def add_phone(self, balance: int, buyer: Buyer | None = None) -> str:
        """Add a phone with so many tiyin in its wallet, and return its id."""
        while (phone_id := f"{self._rng.getrandbits(64):016x}") in self._phones:
            pass
        self._know_phone(Phone(phone_id, balance, buyer or self.buyer))
        self._changed_phones[phone_id] = None
        return phone_id

    def phone(self, now_ms: int, phone_id: str) -> PhoneView:
        """Return a phone as it is at ``now_ms``. KeyError if there is no such phone."""
        now_ms, phone = self._not_before(now_ms), self._phones[phone_id]
        held = sum(one.amount for one in self._paid_with(phone_id) if one.at(now_ms).held)
        shown: dict[str, PhoneReceipt] = {}
        for code in reversed(self._codes_of[phone_id]):
            known = self._codes[code]
            if known.used_by is not None and known.used_by not in shown:
                shown[known.used_by] = self._as_phone_shows(now_ms, known, self._receipts[known.used_by])
            if len(shown) == SHOWN_RECEIPTS:
                break
        return PhoneView(phone_id, phone.buyer.card, phone.balance - held, tuple(shown.values()))

    def phones(self) -> tuple[str, ...]:
        """Return the ids of all phones, oldest first."""
        return tuple(self._phones)

    def issue_code(self, now_ms: int, behaviour: Behaviour | None = None, phone_id: str | None = None) -> str:
        """Return a new code: 20 digits, any of them first. It lives 30 s and works once.

        Args:
            now_ms: Unix milliseconds.
            behaviour: what the buyer does with it; default: pays at once.
            phone_id: the phone that shows it; ``None``: no phone of the bank. KeyError if there is no such phone.
        """
        codes_of_phone = [] if phone_id is None else self._codes_of[phone_id]
        while True:
            code = f"{self._rng.randrange(10**20):020d}"
            if code not in self._codes and not code.startswith(MARK):
                self._know(code, self._moment(now_ms), behaviour or Behaviour(), phone_id)
                codes_of_phone.append(code)
                return code

    def plan_cancel(self, receipt_id: str, plan: CancelPlan) -> None:
        """Let the next cancellations of a receipt go by ``plan``. KeyError if there is no such receipt."""
        self._store(replace(self._receipts[receipt_id], cancel=plan))

    def buyer_answers(self, now_ms: int, code: str, *, confirms: bool) -> bool:
        """Let the buyer confirm or decline by hand the payment that waits at state 1; return whether one waited.

        Money effect: charges if ``confirms``.
        """
        known = self._codes.get(code)
        receipt = self._receipts.get(known.used_by) if known and known.used_by else None
        if receipt is None or receipt.at(self._moment(now_ms)).state != ReceiptState.CHECKING:
            return False
        self._store(receipt.answered(self._latest_ms, confirms=confirms))
        return True

    def phone_answers(self, now_ms: int, phone_id: str, receipt_id: str, *, confirms: bool) -> bool:
        """Let the buyer answer on a phone for one of its receipts; return whether that waited at state 1.

        Money effect: charges if ``confirms``. KeyError if there is no such phone.
        """
        self._codes_of[phone_id]
        receipt = self._receipts.get(receipt_id)
        if receipt is None or receipt.phone_id != phone_id or receipt.code is None:
            return False
        return self.buyer_answers(now_ms, receipt.code, confirms=confirms)

    def act(self, now_ms: int, receipt_id: str, action: ReceiptAction) -> None:
        """Do by hand what the buyer or the bank might do to a receipt.

        Money effect: CONFIRM and PAY charge, CANCEL returns.

        Raises:
            KeyError: no such receipt.
            ValueError: the receipt's state or the phone's balance does not allow it.
        """
        now_ms, receipt = self._moment(now_ms), self._receipts[receipt_id]
        state = receipt.at(now_ms).state
        if action is ReceiptAction.CANCEL:
            self._store(receipt.put(now_ms, ReceiptState.CANCELLED))
            return
        if action is ReceiptAction.PAY and state == ReceiptState.CREATED:
            known = next((each for each in reversed(self._codes.values()) if each.used_by == receipt_id), None)
            if known is not None:
                self._check_balance(now_ms, known.phone_id, receipt)
                cancel = known.behaviour.cancel or receipt.cancel
                receipt = replace(receipt, code=known.code, phone_id=known.phone_id, cancel=cancel)
        elif state != ReceiptState.CHECKING:
            allowed = "0 or 1" if action is ReceiptAction.PAY else "1"
            raise ValueError(f"the receipt is in state {state}: {action.value} is possible only in state {allowed}")
        self._store(receipt.answered(now_ms, confirms=action is not ReceiptAction.DECLINE))

    def _check_balance(self, now_ms: int, phone_id: str | None, receipt: Receipt) -> None:
        if phone_id is not None and receipt.amount > self._available(now_ms, phone_id):
            raise ValueError("the phone's balance is too low for the receipt")

    def put_state(self, now_ms: int, receipt_id: str, state: int) -> None:
        """Put a receipt into ``state`` as Payme's staff might: paused at 20, closed at 4, a number never heard of.

        Money effect: 3, 4 and 30 hold the money, 50 returns it, 20, 21 and unknown numbers leave it where it is.

        Raises:
            KeyError: no such receipt.
            ValueError: the receipt is at 50, or held money would leave by another state than 50.
        """
        now_ms = self._moment(now_ms)
        self._store(self._receipts[receipt_id].put(now_ms, state))

    def receipt(self, now_ms: int, receipt_id: str) -> ReceiptView:
        """Return a receipt as it is at ``now_ms``. KeyError if there is no such receipt."""
        return self._receipts[receipt_id].view(self._not_before(now_ms))

    def receipts(self, now_ms: int, newest: int | None = None) -> tuple[ReceiptView, ...]:
        """Return all receipts, or the newest ones, as they are at ``now_ms``, oldest first."""
        now_ms, kept = self._not_before(now_ms), tuple(self._receipts.values())
        return tuple(
            receipt.view(now_ms) for receipt in (kept if newest is None else kept[max(0, len(kept) - newest) :])
        )

    def code(self, code: str) -> CodeView | None:
        """Return what the bank knows of a code; ``None`` if it was neither issued nor seen."""
        return self._codes.get(code)

    def pays(self, code: str) -> int:
        """Return how many ``receipts.pay`` with this code reached the bank, refused ones included."""
        return self._pays.get(code, 0)

    def held(self, now_ms: int, receipt_id: str | None = None) -> int:
        """Return the tiyin that Payme holds at ``now_ms``, for one receipt or for all. An unknown receipt holds 0."""
        return sum(one.held for one in self.receipts(now_ms) if receipt_id in {None, one.receipt_id})

    def movements(self, now_ms: int) -> tuple[Movement, ...]:
        """Return every movement of money up to ``now_ms``, in order of time."""
        found = []
        for receipt in tuple(self._receipts.values()):
            held = False
            for step in receipt.passed(self._not_before(now_ms)):
                if step.held != held:
                    held = step.held
                    found.append(Movement(step.at_ms, receipt.receipt_id, receipt.amount if held else -receipt.amount))
        return tuple(sorted(found, key=lambda movement: movement.at_ms))

    def take_changes(self, now_ms: int) -> BankRecords:
        """Return what has changed since the last call, also receipts whose planned steps have come."""
        now_ms = self._moment(now_ms)
        while self._due and self._due[0][0] <= now_ms:
            self._changed_receipts[heapq.heappop(self._due)[1]] = None
        changes = BankRecords(
            now_ms,
            tuple(self._accounts[pos_id] for pos_id in self._changed_accounts),
            tuple(self._phones[phone_id] for phone_id in self._changed_phones),
            tuple(self._codes[code] for code in self._changed_codes),
            tuple(self._receipts[receipt_id] for receipt_id in self._changed_receipts),
            tuple((code, self._pays[code]) for code in self._changed_pays),
        )
        self._changed_accounts = {}
        self._changed_phones = {}
        self._changed_receipts = {}
        self._changed_codes = {}
        self._changed_pays = {}
        return changes

    @property
    def next_step_ms(self) -> int | None:
        """When a receipt takes its next planned step; ``None`` if none will."""
        return self._due[0][0] if self._due else None

    def restore(self, records: BankRecords) -> None:
        """Take over all that an earlier bank knew; accounts with the same id replace those that are there."""
        self._latest_ms = self._not_before(records.latest_ms)
        self._accounts.update({account.pos_id: account for account in records.accounts})
        for phone in records.phones:
            self._know_phone(phone)
        for code in records.codes:
            self._codes[code.code] = code
            if code.phone_id is not None:
                self._codes_of[code.phone_id].append(code.code)
        for receipt in records.receipts:
            self._receipts[receipt.receipt_id] = receipt
            self._plan_steps(receipt)
        self._pays.update(records.pays)

    def _moment(self, now_ms: int) -> int:
        self._latest_ms = self._not_before(now_ms)
        return self._latest_ms

    def _not_before(self, now_ms: int) -> int:
        return max(self._latest_ms, now_ms)

    def _know_phone(self, phone: Phone) -> None:
        self._phones[phone.phone_id] = phone
        self._codes_of[phone.phone_id] = []

    def _know(self, code: str, now_ms: int, behaviour: Behaviour, phone_id: str | None = None) -> CodeView:
        return self._put_code(CodeView(now_ms + CODE_LIFE_MS, behaviour, None, code, phone_id))

    def _put_code(self, code: CodeView) -> CodeView:
        self._codes[code.code] = code
        self._changed_codes[code.code] = None
        return code

    def _store(self, receipt: Receipt) -> Receipt:
        self._receipts[receipt.receipt_id] = receipt
        self._changed_receipts[receipt.receipt_id] = None
        self._plan_steps(receipt)
        return receipt

    def _plan_steps(self, receipt: Receipt) -> None:
        for step in receipt.timeline:
            if step.at_ms > self._latest_ms:
                heapq.heappush(self._due, (step.at_ms, receipt.receipt_id))

    def _paid_with(self, phone_id: str) -> list[Receipt]:
        """Return the receipts that codes of a phone paid or are paying."""
        used = (self._codes[code].used_by for code in self._codes_of[phone_id])
        found = {receipt_id: self._receipts[receipt_id] for receipt_id in used if receipt_id is not None}
        return [receipt for receipt in found.values() if receipt.phone_id == phone_id]

    def _available(self, now_ms: int, phone_id: str) -> int:
        """Return the tiyin of a phone that are neither held nor may still be taken by a payment that goes on."""
        receipts = [(one, one.at(now_ms)) for one in self._paid_with(phone_id)]
        return self._phones[phone_id].balance - sum(
            one.amount
            for one, step in receipts
            if step.held or step.state in _RESERVING or any(later.held for later in one.planned(now_ms))
        )

    def _as_phone_shows(self, now_ms: int, code: CodeView, receipt: Receipt) -> PhoneReceipt:
        view, merchant = receipt.view(now_ms), self._accounts[receipt.pos_id].name
        shown = (receipt.receipt_id, view.state, receipt.amount, merchant, view.created_ms, view.paid_ms)
        if receipt.phone_id != code.phone_id:
            shown = (receipt.receipt_id, int(ReceiptState.CREATED), receipt.amount, merchant, view.created_ms, 0)
            return PhoneReceipt(*shown, 0, code.error_code)
        return PhoneReceipt(*shown, view.cancelled_ms, code.error_code)

    def _find(self, params: JsonObject, pos_id: str) -> Receipt:
        receipt = self._receipts.get(member(params, "id", str))
        if receipt is None or receipt.pos_id != pos_id:
            raise BankError(ErrorCode.NO_SUCH_RECEIPT)
        return receipt

    def _shown(self, receipt: Receipt, now_ms: int, *, language_maps: bool = False) -> dict[str, object]:
        buyer = self.buyer if receipt.phone_id is None else self._phones[receipt.phone_id].buyer
        merchant = self._accounts[receipt.pos_id].name
        return receipt.as_json(now_ms, merchant=merchant, buyer=buyer, language_maps=language_maps)

    def _create(self, now_ms: int, params: JsonObject, pos_id: str) -> dict[str, object]:
        _refuse_hold(params)
        amount, account = member(params, "amount", int), member(params, "account", dict)
        if not 0 < amount <= _MAX_AMOUNT:
            raise BankError(ErrorCode.BELOW_THE_LIMIT if amount <= 0 else ErrorCode.ABOVE_THE_LIMIT, "amount")
        for name, value in account.items():
            if type(value) not in {str, int, float}:
                raise BankError(ErrorCode.INVALID_PARAMS, name)
        receipt = Receipt(
            receipt_id=self._new_id(),
            pos_id=pos_id,
            number=len(self._receipts) + 1,
            amount=amount,
            account=account,
            description="" if params.get("description") is None else member(params, "description", str),
            detail=None if params.get("detail") is None else member(params, "detail", dict),
            timeline=(Step(now_ms, ReceiptState.CREATED, held=False),),
        )
        return {"receipt": self._shown(self._store(receipt), now_ms)}

    def _new_id(self) -> str:
        while True:
            receipt_id = f"{self._rng.getrandbits(96):024x}"
            if receipt_id not in self._receipts:
                return receipt_id

    def _pay(self, now_ms: int, params: JsonObject, pos_id: str) -> dict[str, object]:
        token = member(params, "token", str)
        self._pays[token] = self._pays.get(token, 0) + 1
        self._changed_pays[token] = None
        _refuse_hold(params)
        receipt = self._find(params, pos_id)
        if receipt.at(now_ms).state != ReceiptState.CREATED:
            raise BankError(ErrorCode.NO_SUCH_RECEIPT)
        code = self._take_code(now_ms, token, receipt.receipt_id)
        error_code = self._refusal(now_ms, code, receipt.amount)
        if error_code is not None:
            self._put_code(replace(code, error_code=error_code))
            raise BankError(error_code)
        paying = replace(receipt, phone_id=code.phone_id).paying(now_ms, token, code.behaviour)
        return {"receipt": self._shown(self._store(paying), now_ms)}

    def _refusal(self, now_ms: int, code: CodeView, amount: int) -> int | None:
        """Return the error by which the buyer's bank refuses a payment; ``None`` if it goes on."""
        if code.behaviour.action is BuyerAction.LACKS_FUNDS:
            return int(ErrorCode.NO_FUNDS)
        if code.behaviour.error_code is not None:
            return code.behaviour.error_code
        if code.phone_id is not None and amount > self._available(now_ms, code.phone_id):
            return int(ErrorCode.NO_FUNDS)
        return None

    def _take_code(self, now_ms: int, code: str, receipt_id: str) -> CodeView:
        """Use a code up and return it; one that spells its behaviour is issued at first sight."""
        known = self._codes.get(code)
        if known is None:
            spelt = read_code(code)
            if spelt is None:
                raise BankError(ErrorCode.CODE_UNKNOWN)
            known = self._know(code, now_ms, spelt)
        if known.used_by is not None:
            raise BankError(ErrorCode.CODE_USED)
        if now_ms >= known.expires_ms:
            raise BankError(ErrorCode.CODE_EXPIRED)
        return self._put_code(replace(known, used_by=receipt_id))

    def _check(self, now_ms: int, params: JsonObject, pos_id: str) -> dict[str, object]:
        return {"state": int(self._find(params, pos_id).at(now_ms).state)}

    def _get(self, now_ms: int, params: JsonObject, pos_id: str) -> dict[str, object]:
        return {"receipt": self._shown(self._find(params, pos_id), now_ms)}

    def _cancel(self, now_ms: int, params: JsonObject, pos_id: str) -> dict[str, object]:
        receipt = self._find(params, pos_id).cancelling(now_ms, self._cancel_plan)
        return {"receipt": self._shown(self._store(receipt), now_ms)}

    def _get_all(self, now_ms: int, params: JsonObject, pos_id: str) -> list[object]:
        begin_ms, end_ms = member(params, "from", int), member(params, "to", int)
        offset, count = member(params, "offset", int, 0), member(params, "count", int, _MAX_PAGE)
        if offset < 0 or not 1 <= count <= _MAX_PAGE:
            raise BankError(ErrorCode.INVALID_PARAMS, "offset" if offset < 0 else "count")
        own = (one for one in self._receipts.values() if one.pos_id == pos_id)
        chosen = [one for one in own if begin_ms <= one.timeline[0].at_ms <= end_ms]
        return [self._shown(receipt, now_ms, language_maps=True) for receipt in chosen[offset : offset + count]]

    def _set_fiscal_data(self, _now_ms: int, params: JsonObject, pos_id: str) -> dict[str, object]:
        receipt, data = self._find(params, pos_id), member(params, "fiscal_data", dict)
        member(data, "receipt_id", int)
        member(data, "qr_code_url", str)
        member(data, "status_code", int, 0)
        for name in _FISCAL_TEXTS:
            member(data, name, str, "")
        self._store(replace(receipt, fiscal_data=data))
        return {"success": True}


def _refuse_hold(params: JsonObject) -> None:
    """Refuse ``hold``: holding money needs an agreement, which a merchant account of the sandbox does not have."""
    if member(params, "hold", bool, default=False):
        raise BankError(ErrorCode.INVALID_PARAMS, "hold")
