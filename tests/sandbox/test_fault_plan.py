from __future__ import annotations

from typing import Any

import pytest

from payme_plugin.sandbox import FaultKind, FaultPlan, InjectedFault

PAY = "receipts.pay"
HTML, SILENT, NONE = FaultKind.HTML, FaultKind.SILENT, None


@pytest.mark.parametrize(
    ("faults", "methods", "happens"),
    [
        ([InjectedFault(HTML, PAY)], ["receipts.check", PAY, PAY], [NONE, HTML, NONE]),
        ([InjectedFault(SILENT)], ["receipts.get", PAY], [SILENT, NONE]),
        ([InjectedFault(SILENT, times=2)], [PAY] * 3, [SILENT, SILENT, NONE]),
        ([InjectedFault(SILENT, times=None)], [PAY] * 5, [SILENT] * 5),
        ([InjectedFault(HTML, PAY, skip=2)], [PAY, "receipts.check", *[PAY] * 3], [NONE, NONE, NONE, HTML, NONE]),
        ([InjectedFault(SILENT, PAY), InjectedFault(HTML)], [PAY, PAY], [SILENT, HTML]),
    ],
    ids=["once", "any method", "twice", "without an end", "after two requests", "in the order of injection"],
)
def test_a_fault_happens_to_its_method_when_and_as_often_as_it_says(
    faults: list[InjectedFault], methods: list[str], happens: list[FaultKind | None]
) -> None:
    plan = FaultPlan()
    for fault in faults:
        plan.inject(fault)

    assert [fault.kind if fault else None for fault in map(plan.take, methods)] == happens
    plan.clear()
    assert (plan.take(PAY), plan.live) == (None, ())


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
