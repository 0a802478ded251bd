"""Money is conserved, whatever a client, a buyer and Payme's staff do in whatever order."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from payme_plugin.sandbox import Bank, BankError, Behaviour, BuyerAction, CancelPlan

TAKEN, UNTAKEN = {3, 4, 30}, {0, 1, 2, 5, 6, 50}

seconds = st.integers(0, 40_000).map(lambda ms: ms / 1000)
error_codes = st.sampled_from([-31800, -31630, -32400])
plans = st.builds(
    CancelPlan,
    settle_s=seconds,
    refused_with=st.none() | error_codes,
    turns_back_after_s=st.none() | seconds,
    busy_with=st.none() | error_codes,
)
behaviours = st.one_of(
    st.builds(Behaviour, st.just(BuyerAction.PAYS), cancel=st.none() | plans),
    st.builds(Behaviour, st.just(BuyerAction.CONFIRMS), seconds.filter(lambda s: s >= 0.01), cancel=st.none() | plans),
    st.builds(Behaviour, st.just(BuyerAction.DECLINES), seconds),
    st.builds(Behaviour, st.sampled_from([BuyerAction.NEVER_ANSWERS, BuyerAction.LACKS_FUNDS])),
    st.builds(Behaviour, st.just(BuyerAction.FAILS), error_code=error_codes),
)


class Money(RuleBasedStateMachine):
    receipts = Bundle("receipts")
    codes = Bundle("codes")

    def __init__(self) -> None:
        super().__init__()
        self.bank = Bank(random.Random(7))  # noqa: S311 - a seed is to replay
        self.now_ms = 1_700_000_000_000
        self.accepted: dict[str, str] = {}
        self.ended: set[str] = set()

    def ask(self, method: str, **params: object) -> Any:  # noqa: ANN401 - any JSON, or None where it was refused
        try:
            return self.bank.call(self.now_ms, f"receipts.{method}", params)
        except BankError:
            return None

    @rule(target=receipts, amount=st.integers(1, 10**12))
    def create(self, amount: int) -> str:
        return str(self.ask("create", amount=amount, account={})["receipt"]["_id"])

    @rule(target=codes, behaviour=behaviours)
    def issue(self, behaviour: Behaviour) -> str:
        return self.bank.issue_code(self.now_ms, behaviour)

    @rule(receipt_id=receipts, code=codes)
    def pay(self, receipt_id: str, code: str) -> None:
        known = self.bank.code(code)
        answer = self.ask("pay", id=receipt_id, token=code)
        if answer is not None:
            assert code not in self.accepted
            assert known is not None
            assert self.now_ms < known.expires_ms
            self.accepted[code] = receipt_id

    @rule(receipt_id=receipts)
    def cancel(self, receipt_id: str) -> None:
        before = self.bank.receipt(self.now_ms, receipt_id)
        answer = self.ask("cancel", id=receipt_id)
        if answer is not None and answer["receipt"]["state"] == 21:
            assert self.bank.held(self.now_ms, receipt_id) == before.held

    @rule(code=codes, confirms=st.booleans())
    def answer_by_hand(self, code: str, confirms: bool) -> None:
        self.bank.buyer_answers(self.now_ms, code, confirms=confirms)

    @rule(receipt_id=receipts, state=st.sampled_from([4, 5, 20, 21, 30, 50, 99]))
    def staff(self, receipt_id: str, state: int) -> None:
        try:
            self.bank.put_state(self.now_ms, receipt_id, state)
        except ValueError:
            assert self.bank.receipt(self.now_ms, receipt_id).state != state or state == 50

    @rule(passed_s=seconds)
    def wait(self, passed_s: float) -> None:
        self.now_ms += round(passed_s * 1000)

    @invariant()
    def money_is_held_exactly_when_the_state_says_so(self) -> None:
        for receipt in self.bank.receipts(self.now_ms):
            assert receipt.held in {0, receipt.amount}
            if receipt.state in TAKEN:
                assert receipt.held == receipt.amount
            if receipt.state in UNTAKEN:
                assert receipt.held == 0

    @invariant()
    def what_came_less_what_went_is_what_is_held_and_each_happens_once(self) -> None:
        movements = self.bank.movements(self.now_ms)
        assert sum(one.amount for one in movements) == self.bank.held(self.now_ms)
        assert list(movements) == sorted(movements, key=lambda one: one.at_ms)
        for receipt in self.bank.receipts(self.now_ms):
            own = [one.amount for one in movements if one.receipt_id == receipt.receipt_id]
            assert own in ([], [receipt.amount], [receipt.amount, -receipt.amount])

    @invariant()
    def what_is_cancelled_stays_cancelled(self) -> None:
        now_ended = {one.receipt_id for one in self.bank.receipts(self.now_ms) if one.state == 50}
        assert self.ended <= now_ended
        self.ended = now_ended


TestMoney = Money.TestCase
TestMoney.settings = settings(max_examples=100, stateful_step_count=30)
