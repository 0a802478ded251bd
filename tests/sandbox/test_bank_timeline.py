from __future__ import annotations

from typing import Any

import pytest

from payme_plugin.sandbox import Bank, BankError, Behaviour, BuyerAction, CancelPlan
from tests.sandbox.conftest import NOW, ask, create


def pay(bank: Bank, behaviour: Behaviour) -> tuple[str, Any]:
    """Pay a new receipt at NOW; return its id and the state in the answer, or the refusal."""
    receipt_id = create(bank)
    try:
        answer = ask(bank, "pay", {"id": receipt_id, "token": bank.issue_code(NOW, behaviour)})
    except BankError as refused:
        return receipt_id, refused.code
    return receipt_id, answer["receipt"]["state"]


def cancel(bank: Bank, receipt_id: str, after_s: float = 0.0) -> int:
    answered: int = ask(bank, "cancel", {"id": receipt_id}, NOW + round(after_s * 1000))["receipt"]["state"]
    return answered


def state(bank: Bank, receipt_id: str, after_s: float) -> int:
    return bank.receipt(NOW + round(after_s * 1000), receipt_id).state


def held(bank: Bank, receipt_id: str, after_s: float) -> int:
    return bank.held(NOW + round(after_s * 1000), receipt_id)


class TestPaying:
    def test_a_buyer_who_confirms_later_goes_through_every_state_and_is_paid_exactly_then(self, bank: Bank) -> None:
        receipt_id, answered = pay(bank, Behaviour(BuyerAction.CONFIRMS, after_s=3.0))

        assert answered == 1
        assert [state(bank, receipt_id, at) for at in (2.799, 2.8, 2.9, 2.999, 3.0, 500.0)] == [1, 2, 3, 3, 4, 4]
        assert [held(bank, receipt_id, at) for at in (2.899, 2.9, 3.0)] == [0, 100, 100]
        assert bank.receipt(NOW + 9_000, receipt_id).paid_ms == NOW + 3_000

    def test_a_buyer_who_declines_ends_at_50_and_was_never_charged(self, bank: Bank) -> None:
        receipt_id, answered = pay(bank, Behaviour(BuyerAction.DECLINES, after_s=2.0))

        assert answered == 1
        assert [state(bank, receipt_id, at) for at in (1.999, 2.0)] == [1, 50]
        assert bank.movements(NOW + 9_000) == ()

    def test_a_buyer_who_lacks_funds_is_refused_and_the_receipt_stays_unpaid(self, bank: Bank) -> None:
        receipt_id, refused = pay(bank, Behaviour(BuyerAction.LACKS_FUNDS))

        assert refused == -31630
        assert state(bank, receipt_id, 500) == 0

    def test_a_buyer_who_never_answers_leaves_the_receipt_at_1(self, bank: Bank) -> None:
        receipt_id, answered = pay(bank, Behaviour(BuyerAction.NEVER_ANSWERS))

        assert answered == 1
        assert state(bank, receipt_id, 1_000_000) == 1

    @pytest.mark.parametrize(("confirms", "ends_at", "money"), [(True, 4, 100), (False, 50, 0)])
    def test_a_buyer_may_answer_by_hand(self, bank: Bank, confirms: bool, ends_at: int, money: int) -> None:
        receipt_id = create(bank)
        code = bank.issue_code(NOW, Behaviour(BuyerAction.NEVER_ANSWERS))
        assert not bank.buyer_answers(NOW, code, confirms=confirms)
        bank.call(NOW, "receipts.pay", {"id": receipt_id, "token": code})

        assert bank.buyer_answers(NOW + 1_000, code, confirms=confirms)
        assert not bank.buyer_answers(NOW + 1_000, code, confirms=not confirms)
        assert state(bank, receipt_id, 1) == ends_at
        assert held(bank, receipt_id, 1) == money


class TestCancelling:
    def test_an_unpaid_receipt_goes_to_50_at_once(self, bank: Bank) -> None:
        receipt_id = create(bank)

        assert cancel(bank, receipt_id) == 50
        assert bank.receipt(NOW, receipt_id).cancelled_ms == NOW

    def test_a_paid_receipt_stays_at_21_for_its_time_and_then_the_money_is_back(self, bank: Bank) -> None:
        receipt_id, _ = pay(bank, Behaviour(cancel=CancelPlan(settle_s=5.0)))

        assert cancel(bank, receipt_id, 1) == 21
        assert [state(bank, receipt_id, at) for at in (5.999, 6.0)] == [21, 50]
        assert [held(bank, receipt_id, at) for at in (5.999, 6.0)] == [100, 0]

    def test_asking_again_begins_nothing_anew(self, bank: Bank) -> None:
        receipt_id, _ = pay(bank, Behaviour(cancel=CancelPlan(settle_s=5.0)))

        assert [cancel(bank, receipt_id, at) for at in (0, 4, 6)] == [21, 21, 50]
        assert [one.amount for one in bank.movements(NOW + 9_000)] == [100, -100]
        assert bank.receipt(NOW + 9_000, receipt_id).cancelled_ms == NOW + 5_000

    def test_a_refused_cancel_leaves_the_receipt_paid(self, bank: Bank) -> None:
        receipt_id, _ = pay(bank, Behaviour(cancel=CancelPlan(refused_with=-31800)))

        with pytest.raises(BankError, match="-31800"):
            cancel(bank, receipt_id)
        assert state(bank, receipt_id, 500) == 4
        assert held(bank, receipt_id, 500) == 100

    def test_a_cancel_that_turns_back_is_paid_again_and_the_next_one_goes_through(self, bank: Bank) -> None:
        receipt_id, _ = pay(bank, Behaviour(cancel=CancelPlan(settle_s=1.0, turns_back_after_s=3.0)))

        assert cancel(bank, receipt_id) == 21
        assert [state(bank, receipt_id, at) for at in (2.999, 3.0, 99.0)] == [21, 4, 4]
        assert held(bank, receipt_id, 3.0) == 100
        assert cancel(bank, receipt_id, 100) == 21
        assert state(bank, receipt_id, 101) == 50
        assert [one.amount for one in bank.movements(NOW + 200_000)] == [100, -100]

    def test_a_cancel_while_the_buyer_thinks_stops_the_payment(self, bank: Bank) -> None:
        receipt_id, _ = pay(bank, Behaviour(BuyerAction.CONFIRMS, after_s=3.0))

        assert cancel(bank, receipt_id, 1) == 21
        assert [state(bank, receipt_id, at) for at in (1.999, 2.0, 3.0)] == [21, 50, 50]
        assert bank.movements(NOW + 9_000) == ()

    def test_a_cancel_between_the_debit_and_its_end_returns_the_money(self, bank: Bank) -> None:
        receipt_id, _ = pay(bank, Behaviour(BuyerAction.CONFIRMS, after_s=3.0))

        assert cancel(bank, receipt_id, 2.95) == 21
        assert [one.amount for one in bank.movements(NOW + 9_000)] == [100, -100]

    def test_a_cancel_may_be_refused_while_the_buyer_thinks_and_the_payment_goes_on(self, bank: Bank) -> None:
        plan = CancelPlan(busy_with=-31800)
        receipt_id, _ = pay(bank, Behaviour(BuyerAction.CONFIRMS, after_s=3.0, cancel=plan))

        with pytest.raises(BankError, match="-31800"):
            cancel(bank, receipt_id, 1)
        assert state(bank, receipt_id, 3) == 4
        assert cancel(bank, receipt_id, 4) == 21


class TestStaff:
    @pytest.mark.parametrize(("put", "money"), [(5, 0), (6, 0), (20, 0), (30, 100), (4, 100), (777, 0)])
    def test_a_receipt_can_be_put_into_any_state(self, bank: Bank, put: int, money: int) -> None:
        receipt_id = create(bank)
        bank.put_state(NOW, receipt_id, put)

        assert state(bank, receipt_id, 0) == put
        assert held(bank, receipt_id, 0) == money

    def test_money_that_is_held_is_returned_only_by_50(self, bank: Bank) -> None:
        receipt_id, _ = pay(bank, Behaviour())

        with pytest.raises(ValueError, match="only state 50 returns it"):
            bank.put_state(NOW, receipt_id, 0)
        bank.put_state(NOW, receipt_id, 20)
        assert held(bank, receipt_id, 0) == 100
        bank.put_state(NOW, receipt_id, 50)
        assert held(bank, receipt_id, 0) == 0
        with pytest.raises(ValueError, match="stays in state 50"):
            bank.put_state(NOW, receipt_id, 4)


class TestBehaviour:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"after_s": -1.0},
            {"after_s": float("nan")},
            {"after_s": 1e9},
            {"action": BuyerAction.CONFIRMS},
            {"action": BuyerAction.FAILS},
            {"action": BuyerAction.FAILS, "error_code": 31630},
            {"error_code": -31630},
        ],
    )
    def test_a_behaviour_that_is_invalid_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"after_s|error_code"):
            Behaviour(**wrong)

    @pytest.mark.parametrize(
        "wrong", [{"settle_s": -1}, {"turns_back_after_s": 1e9}, {"refused_with": 0}, {"busy_with": 5}]
    )
    def test_a_cancel_plan_that_is_invalid_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            CancelPlan(**wrong)
