from __future__ import annotations

from typing import Any

import pytest

from payme_plugin.sandbox import FaultKind, FaultPlan, InjectedFault


def drawn(plan: FaultPlan, *methods: str) -> list[FaultKind | None]:
    return [fault.kind if fault else None for fault in map(plan.take, methods)]


def test_a_fault_befalls_its_method_once_and_no_other() -> None:
    plan = FaultPlan()
    plan.inject(InjectedFault(FaultKind.HTML, "receipts.pay"))

    assert drawn(plan, "receipts.check", "receipts.pay", "receipts.pay") == [None, FaultKind.HTML, None]
    assert plan.live == ()


def test_a_fault_without_a_method_befalls_any() -> None:
    plan = FaultPlan()
    plan.inject(InjectedFault(FaultKind.SILENT))

    assert drawn(plan, "receipts.get") == [FaultKind.SILENT]


def test_a_fault_happens_as_often_as_it_says() -> None:
    plan = FaultPlan()
    plan.inject(InjectedFault(FaultKind.SILENT, times=2))

    assert drawn(plan, "a", "b", "c") == [FaultKind.SILENT, FaultKind.SILENT, None]


def test_a_fault_without_an_end_lasts_until_it_is_cleared() -> None:
    plan = FaultPlan()
    plan.inject(InjectedFault(FaultKind.SILENT, times=None))

    assert drawn(plan, *"abcde") == [FaultKind.SILENT] * 5
    plan.clear()
    assert drawn(plan, "a") == [None]


def test_a_fault_lets_the_first_requests_of_its_method_pass() -> None:
    plan = FaultPlan()
    plan.inject(InjectedFault(FaultKind.HTML, "receipts.pay", skip=2))

    passed = drawn(plan, "receipts.pay", "receipts.check", "receipts.pay", "receipts.pay", "receipts.pay")
    assert passed == [None, None, None, FaultKind.HTML, None]


def test_faults_for_one_method_happen_in_the_order_of_their_injection() -> None:
    plan = FaultPlan()
    plan.inject(InjectedFault(FaultKind.REQUEST_LOST, "receipts.pay"))
    plan.inject(InjectedFault(FaultKind.ANSWER_LOST))

    assert drawn(plan, "receipts.pay", "receipts.pay") == [FaultKind.REQUEST_LOST, FaultKind.ANSWER_LOST]


@pytest.mark.parametrize(
    "wrong",
    [
        {"times": 0},
        {"skip": -1},
        {"after_s": -0.1},
        {"after_s": float("inf")},
        {"error_code": 1},
        {"status": 204},
        {"status": 304},
        {"status": 600},
    ],
)
def test_a_fault_that_is_invalid_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        InjectedFault(FaultKind.SILENT, **wrong)


def test_every_kind_says_whether_the_bank_carries_the_request_out() -> None:
    without = {kind.value for kind in FaultKind if not kind.effect}

    assert without == {"request-lost", "silent", "error", "http-error", "html"}
