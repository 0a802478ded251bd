from __future__ import annotations

from random import Random
from typing import Any

import pytest

from payme_plugin.sandbox import FaultKind, FaultPlan, InjectedFault, RequestFacts

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

    taken = [plan.take(RequestFacts(method)) for method in methods]
    assert [fault.kind if fault else None for fault in taken] == happens
    plan.clear()
    assert (plan.take(RequestFacts(PAY)), plan.live) == (None, ())


REQUEST = RequestFacts(PAY, "account-1", "00770100003123456789", 1_500_000, (("User-Agent", "till/2"), ("Host", "x")))


@pytest.mark.parametrize(
    ("selector", "is_selected"),
    [
        ({}, True),
        ({"method": PAY}, True),
        ({"method": "receipts.check"}, False),
        ({"pos_id": "account-1"}, True),
        ({"pos_id": "account-2"}, False),
        ({"code": "00770100003123456789"}, True),
        ({"code": "007701"}, True),
        ({"code": "007702"}, False),
        ({"code": "77"}, False),
        ({"amount_min": 1_500_000, "amount_max": 1_500_000}, True),
        ({"amount_min": 1_500_001}, False),
        ({"amount_max": 1_499_999}, False),
        ({"amount_min": 1_000_000, "amount_max": 2_000_000}, True),
        ({"header": "user-agent"}, True),
        ({"header": "USER-AGENT", "header_value": "till/2"}, True),
        ({"header": "user-agent", "header_value": "till"}, False),
        ({"header": "user-agent", "header_value": ""}, False),
        ({"header": "Via"}, False),
        ({"header": "Host", "header_value": "till/2"}, False),
        ({"method": PAY, "pos_id": "account-1", "code": "0077", "amount_max": 1_500_000, "header": "Host"}, True),
        ({"method": PAY, "pos_id": "account-1", "code": "0077", "amount_max": 1_499_999, "header": "Host"}, False),
    ],
    ids=str,
)
def test_a_fault_happens_to_the_requests_that_all_its_selectors_select(
    selector: dict[str, Any], is_selected: bool
) -> None:
    plan = FaultPlan()
    plan.inject(InjectedFault(SILENT, **selector))

    assert (plan.take(REQUEST) is not None) is is_selected
    assert bool(plan.live) is not is_selected


@pytest.mark.parametrize("selector", [{"code": "0"}, {"amount_min": 1}, {"amount_max": 10**12}, {"header": "Host"}])
def test_a_selector_selects_no_request_that_lacks_what_it_selects_by(selector: dict[str, Any]) -> None:
    plan = FaultPlan()
    plan.inject(InjectedFault(SILENT, **selector))

    assert plan.take(RequestFacts("receipts.get_all")) is None


def taken_with(seed: int, *faults: InjectedFault) -> list[FaultKind | None]:
    plan = FaultPlan(Random(seed))  # noqa: S311 - a seed is to replay
    for fault in faults:
        plan.inject(fault)
    taken = (plan.take(RequestFacts(PAY)) for _ in range(1000))
    return [fault.kind if fault else None for fault in taken]


def test_a_probability_is_the_share_of_the_selected_requests_and_a_seed_repeats_the_choice() -> None:
    fault = InjectedFault(SILENT, times=None, probability=0.25)
    taken = taken_with(1, fault)

    assert 200 < taken.count(SILENT) < 300
    assert taken == taken_with(1, fault) != taken_with(2, fault)


def test_if_chance_is_against_a_fault_the_next_one_decides_and_its_count_stays() -> None:
    rare, other = InjectedFault(SILENT, times=2, probability=0.01), InjectedFault(HTML, times=None, probability=0.5)
    taken = taken_with(1, rare, other)

    assert taken.count(SILENT) == 2
    assert taken.index(SILENT) > 2
    assert 400 < taken.count(HTML) < 600


def test_skip_counts_selected_requests_whatever_the_probability() -> None:
    taken = taken_with(1, InjectedFault(SILENT, skip=900, times=None, probability=0.5))

    assert set(taken[:900]) == {None}
    assert 25 < taken[900:].count(SILENT) < 75


def test_a_rule_keeps_its_number_which_is_not_used_again() -> None:
    plan = FaultPlan()
    rules = [plan.inject(InjectedFault(kind, times=2)) for kind in (SILENT, HTML)]
    plan.take(RequestFacts(PAY))

    assert [(rule.number, rule.fault.times) for rule in plan.rules] == [(1, 1), (2, 2)]
    plan.remove(rules[0].number)
    assert [rule.number for rule in plan.rules] == [2]
    with pytest.raises(KeyError):
        plan.remove(1)
    plan.clear()
    assert plan.inject(InjectedFault(SILENT)).number == 3


def test_a_rule_shows_a_short_prefix_of_a_code_but_no_code() -> None:
    plan = FaultPlan()
    prefix = plan.inject(InjectedFault(SILENT, code="00770100003"))
    code = plan.inject(InjectedFault(SILENT, code="12345678901234567890"))

    assert prefix.as_json()["code"] == "00770100003"
    assert code.as_json()["code"] == "***7890"
    assert "1234567890" not in repr(code)


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
        {"code": ""},
        {"code": "1" * 21},
        {"code": "12a"},
        {"code": "١"},
        {"amount_min": 0},
        {"amount_max": -1},
        {"amount_min": 2, "amount_max": 1},
        {"header": ""},
        {"header": "User Agent"},
        {"header": "Via\n"},
        {"header": "x-auth"},
        {"header_value": "1"},
        {"probability": 0.0},
        {"probability": 1.01},
        {"probability": float("nan")},
    ],
    ids=str,
)
def test_a_fault_that_is_invalid_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        InjectedFault(FaultKind.SILENT, **wrong)


def test_every_value_that_is_invalid_is_named_and_a_code_is_not_shown() -> None:
    with pytest.raises(
        ValueError, match=r"^code is .*; amount_max is 0: .*; times is 0: .*; status is 200: "
    ) as refused:
        InjectedFault(FaultKind.SILENT, code="1234567890123456789012", amount_max=0, times=0, status=200)
    assert "1234567890" not in str(refused.value)
