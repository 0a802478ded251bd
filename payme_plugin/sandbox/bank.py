"""The bank: what PaymeGO knows, as a pure state machine. No I/O, no clock; ids and codes come from the generator given.

Time is handed in as Unix milliseconds and never runs back: an earlier moment counts as the latest one seen. Readers
change nothing. Money is held for a receipt from state 3 until 50, and ``movements`` lists every time it came or went.
A bank that several threads change needs a lock; ``Sandbox`` has one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox.behaviour import MARK, Behaviour, BuyerAction, CancelPlan, read_code
from payme_plugin.sandbox.jsonrpc import BankError, ErrorCode, member
from payme_plugin.sandbox.receipt import Buyer, Receipt, ReceiptView, Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from payme_plugin.sandbox.jsonrpc import JsonObject

CODE_LIFE_MS = 30_000
"""A code of the buyer's phone works for less than this. Source: the manual of PaymeGO for tills."""

_MAX_AMOUNT = 10**12
_MAX_PAGE = 50
_FISCAL_TEXTS = ("message", "terminal_id", "date", "fiscal_sign")
SANDBOX_POS_ID = "65aa00112233445566778899"


@dataclass(frozen=True)
class CodeView:
    """A code of the buyer's phone.

    Attributes:
        expires_ms: from here on it is refused as expired.
        behaviour: what the buyer will do with it.
        used_by: the receipt that it was sent for; ``None`` while it is unused.
        code: its digits.
    """

    expires_ms: int
    behaviour: Behaviour
    used_by: str | None
    code: str = field(repr=False)


@dataclass(frozen=True)
class Movement:
    """Money that came to Payme or went back to the buyer.

    Attributes:
        at_ms: when.
        receipt_id: for which receipt.
        amount: tiyin; above zero when the buyer was debited, below when the money went back.
    """

    at_ms: int
    receipt_id: str
    amount: int


class Bank:
    """Receipts, codes, and the money.

    Args:
        rng: where receipt ids and codes come from.
        cancel: how a cancellation goes if neither the code nor ``plan_cancel`` says otherwise.
        buyer: whose phone and card a paid receipt shows.
        pos_id: the merchant account that receipts name as their owner.
    """

    def __init__(
        self, rng: Random, *, cancel: CancelPlan | None = None, buyer: Buyer | None = None, pos_id: str = SANDBOX_POS_ID
    ) -> None:
        self._rng = rng
        self._cancel_plan = cancel or CancelPlan()
        self._buyer = buyer or Buyer()
        self._pos_id = pos_id
        self._receipts: dict[str, Receipt] = {}
        self._codes: dict[str, CodeView] = {}
        self._pays: dict[str, int] = {}
        self._latest_ms = 0
        self._methods: dict[str, Callable[[int, JsonObject], dict[str, object] | list[object]]] = {
            "receipts.create": self._create,
            "receipts.pay": self._pay,
            "receipts.check": self._check,
            "receipts.get": self._get,
            "receipts.cancel": self._cancel,
            "receipts.get_all": self._get_all,
            "receipts.set_fiscal_data": self._set_fiscal_data,
        }

    def call(self, now_ms: int, method: str, params: JsonObject) -> dict[str, object] | list[object]:
        """Carry out a request of the till and return its ``result``: a list for ``receipts.get_all``, else an object.

        Money effect: as the method says; ``receipts.pay`` may charge, ``receipts.cancel`` may return.

        Raises:
            BankError: the server's refusal; nothing was changed but the code that a refused ``pay`` used up.
        """
        handler = self._methods.get(method)
        if handler is None:
            raise BankError(ErrorCode.METHOD_NOT_FOUND, method)
        return handler(self._moment(now_ms), params)

    def issue_code(self, now_ms: int, behaviour: Behaviour | None = None) -> str:
        """Return a new code of the buyer's phone: 20 digits, any of them first. It lives 30 s and works once."""
        while True:
            code = f"{self._rng.randrange(10**20):020d}"
            if code not in self._codes and not code.startswith(MARK):
                self._know(code, self._moment(now_ms), behaviour or Behaviour())
                return code

    def plan_cancel(self, receipt_id: str, plan: CancelPlan) -> None:
        """Let the next cancellations of a receipt go by ``plan``. KeyError if there is no such receipt."""
        self._receipts[receipt_id] = replace(self._receipts[receipt_id], cancel=plan)

    def buyer_answers(self, now_ms: int, code: str, *, confirms: bool) -> bool:
        """Let the buyer confirm or decline by hand the payment that waits at state 1; return whether one waited.

        Money effect: charges if ``confirms``.
        """
        now_ms = self._moment(now_ms)
        known = self._codes.get(code)
        receipt = self._receipts.get(known.used_by) if known and known.used_by else None
        if receipt is None or receipt.at(now_ms).state != ReceiptState.CHECKING:
            return False
        self._store(receipt.answered(now_ms, confirms=confirms))
        return True

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
        return self._receipts[receipt_id].view(now_ms)

    def receipts(self, now_ms: int) -> tuple[ReceiptView, ...]:
        """Return all receipts as they are at ``now_ms``, oldest first."""
        return tuple(receipt.view(now_ms) for receipt in tuple(self._receipts.values()))

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
            for step in receipt.passed(now_ms):
                if step.held != held:
                    held = step.held
                    found.append(Movement(step.at_ms, receipt.receipt_id, receipt.amount if held else -receipt.amount))
        return tuple(sorted(found, key=lambda movement: movement.at_ms))

    def _moment(self, now_ms: int) -> int:
        self._latest_ms = max(self._latest_ms, now_ms)
        return self._latest_ms

    def _know(self, code: str, now_ms: int, behaviour: Behaviour) -> CodeView:
        known = CodeView(now_ms + CODE_LIFE_MS, behaviour, None, code)
        self._codes[code] = known
        return known

    def _store(self, receipt: Receipt) -> Receipt:
        self._receipts[receipt.receipt_id] = receipt
        return receipt

    def _find(self, params: JsonObject) -> Receipt:
        receipt = self._receipts.get(member(params, "id", str))
        if receipt is None:
            raise BankError(ErrorCode.NO_SUCH_RECEIPT)
        return receipt

    def _shown(self, receipt: Receipt, now_ms: int, *, language_maps: bool = False) -> dict[str, object]:
        return receipt.as_json(now_ms, pos_id=self._pos_id, buyer=self._buyer, language_maps=language_maps)

    def _create(self, now_ms: int, params: JsonObject) -> dict[str, object]:
        _refuse_hold(params)
        amount, account = member(params, "amount", int), member(params, "account", dict)
        if not 0 < amount <= _MAX_AMOUNT:
            raise BankError(ErrorCode.BELOW_THE_LIMIT if amount <= 0 else ErrorCode.ABOVE_THE_LIMIT, "amount")
        for name, value in account.items():
            if type(value) not in {str, int, float}:
                raise BankError(ErrorCode.INVALID_PARAMS, name)
        receipt = Receipt(
            receipt_id=self._new_id(),
            number=len(self._receipts) + 1,
            amount=amount,
            account=account,
            description=member(params, "description", str, ""),
            detail=None if params.get("detail") is None else member(params, "detail", dict),
            timeline=(Step(now_ms, ReceiptState.CREATED, held=False),),
        )
        return {"receipt": self._shown(self._store(receipt), now_ms)}

    def _new_id(self) -> str:
        while True:
            receipt_id = f"{self._rng.getrandbits(96):024x}"
            if receipt_id not in self._receipts:
                return receipt_id

    def _pay(self, now_ms: int, params: JsonObject) -> dict[str, object]:
        token = member(params, "token", str)
        self._pays[token] = self._pays.get(token, 0) + 1
        _refuse_hold(params)
        receipt = self._find(params)
        if receipt.at(now_ms).state != ReceiptState.CREATED:
            raise BankError(ErrorCode.NO_SUCH_RECEIPT)
        behaviour = self._take_code(now_ms, token, receipt.receipt_id)
        if behaviour.action is BuyerAction.LACKS_FUNDS:
            raise BankError(ErrorCode.NO_FUNDS)
        if behaviour.error_code is not None:
            raise BankError(behaviour.error_code)
        return {"receipt": self._shown(self._store(receipt.paying(now_ms, token, behaviour)), now_ms)}

    def _take_code(self, now_ms: int, code: str, receipt_id: str) -> Behaviour:
        """Use a code up and return what the buyer does; a code that spells its behaviour is issued at first sight."""
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
        self._codes[code] = replace(known, used_by=receipt_id)
        return known.behaviour

    def _check(self, now_ms: int, params: JsonObject) -> dict[str, object]:
        return {"state": int(self._find(params).at(now_ms).state)}

    def _get(self, now_ms: int, params: JsonObject) -> dict[str, object]:
        return {"receipt": self._shown(self._find(params), now_ms)}

    def _cancel(self, now_ms: int, params: JsonObject) -> dict[str, object]:
        receipt = self._find(params).cancelling(now_ms, self._cancel_plan)
        return {"receipt": self._shown(self._store(receipt), now_ms)}

    def _get_all(self, now_ms: int, params: JsonObject) -> list[object]:
        begin_ms, end_ms = member(params, "from", int), member(params, "to", int)
        offset, count = member(params, "offset", int, 0), member(params, "count", int, _MAX_PAGE)
        if offset < 0 or not 1 <= count <= _MAX_PAGE:
            raise BankError(ErrorCode.INVALID_PARAMS, "offset" if offset < 0 else "count")
        chosen = [one for one in self._receipts.values() if begin_ms <= one.timeline[0].at_ms <= end_ms]
        return [self._shown(receipt, now_ms, language_maps=True) for receipt in chosen[offset : offset + count]]

    def _set_fiscal_data(self, _now_ms: int, params: JsonObject) -> dict[str, object]:
        receipt, data = self._find(params), member(params, "fiscal_data", dict)
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
