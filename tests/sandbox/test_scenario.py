"""A scenario: the document is read strictly, and the sandbox takes it over whole or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.sandbox import (
    Behaviour,
    BuyerAction,
    CancelPlan,
    FaultKind,
    InjectedFault,
    Scenario,
    ScenarioError,
    load_scenario,
    read_scenario,
)

if TYPE_CHECKING:
    from pathlib import Path


WHOLE: dict[str, Any] = {
    "v": 1,
    "faults": [
        {"kind": "answer-lost", "method": "receipts.pay", "times": None, "probability": 0.5},
        {"kind": "error", "error_code": -31630, "amount_min": 100_000, "code": "007701"},
    ],
    "codes": [{"behaviour": "confirms", "after_s": 3, "cancel": {"settle_s": 0}}, {}],
}
READ = Scenario(
    faults=(
        InjectedFault(FaultKind.ANSWER_LOST, "receipts.pay", times=None, probability=0.5),
        InjectedFault(FaultKind.ERROR, error_code=-31630, amount_min=100_000, code="007701"),
    ),
    codes=(Behaviour(BuyerAction.CONFIRMS, after_s=3.0, cancel=CancelPlan(settle_s=0.0)), Behaviour()),
)


def problems_of(document: object) -> tuple[str, ...]:
    with pytest.raises(ScenarioError) as refused:
        read_scenario(document)
    assert str(refused.value) == "; ".join(refused.value.problems)
    return refused.value.problems


def test_a_scenario_is_read_whole() -> None:
    assert read_scenario(WHOLE) == READ
    assert read_scenario({"v": 1}) == Scenario()


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "scenario: must be an object"),
        ({}, "scenario: has no v, the version; it must be 1"),
        ({"v": 2}, "v: must be 1"),
        ({"v": True}, "v: must be 1"),
        ({"v": 1.0}, "v: must be 1"),
        ({"v": 1, "fault": []}, "scenario: has 'fault'; allowed are v, faults, codes"),
        ({"v": 1, "faults": {}}, "faults: must be an array"),
        ({"v": 1, "faults": ["html"]}, "faults[0]: must be an object"),
        ({"v": 1, "faults": [{}]}, "faults[0]: has no kind"),
        ({"v": 1, "faults": [{"kind": "html"}, {"kind": "htm"}]}, "faults[1].kind: must be one of request-lost, "),
        ({"v": 1, "faults": [{"kind": "html", "time": 1}]}, "faults[0]: has 'time'; allowed are kind, method, times, "),
        ({"v": 1, "faults": [{"kind": "html", "times": "1"}]}, "faults[0].times: must be an integer"),
        ({"v": 1, "faults": [{"kind": "html", "skip": None}]}, "faults[0].skip: must be an integer"),
        ({"v": 1, "faults": [{"kind": "html", "status": 99}]}, "faults[0]: status is 99: 300 to 599 except 304"),
        ({"v": 1, "codes": [{"behaviour": "pay"}]}, "codes[0].behaviour: must be one of pays, "),
        ({"v": 1, "codes": [{"cancel": {"settles": 1}}]}, "codes[0].cancel: has 'settles'; allowed are settle_s, "),
        ({"v": 1, "codes": [{"cancel": {"settle_s": -1}}]}, "codes[0].cancel: settle_s is -1.0: seconds from 0"),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_scenario_must_not_have_is_named_with_its_place(document: object, problem: str) -> None:
    (found,) = problems_of(document)

    assert found.startswith(problem)


def test_every_problem_is_named_in_the_order_of_the_document() -> None:
    document = {
        "v": 2,
        "more": 1,
        "faults": [{"kind": "htm", "times": "1", "why": 0}, {"kind": "html"}, {"kind": "html", "times": 0, "skip": -1}],
        "codes": [1],
    }

    assert [problem.partition(":")[0] for problem in problems_of(document)] == [
        "scenario",
        "v",
        "faults[0]",
        "faults[0].kind",
        "faults[0].times",
        "faults[2]",
        "codes[0]",
    ]
    assert "times is 0: 1 or more, or null for always; skip is -1: 0 or more" in problems_of(document)[5]


def test_a_scenario_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps(WHOLE), encoding="utf-8")

    assert load_scenario(path) == READ
    assert load_scenario(str(path)) == READ
    with pytest.raises(FileNotFoundError):
        load_scenario(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"v": 1,\n "faults": [}', "scenario: must be JSON: Expecting value in line 2, column 13"),
        (b"", "scenario: must be JSON: Expecting value in line 1, column 1"),
        (b'{"v": 1, "v": 1}', "scenario: must be one JSON object in UTF-8, with no member given twice"),
        (b'{"v": 1, "faults": [{"kind": "html", "after_s": 1e999}]}', "scenario: must be one JSON object in UTF-8"),
        (b"\xff", "scenario: must be one JSON object in UTF-8"),
        (b"[]", "scenario: must be one JSON object in UTF-8"),
        (b"[" * 100_000, "scenario: must be one JSON object in UTF-8"),
        (b'{"v": 1}' + b" " * (1 << 20), "scenario: must have at most 1048576 bytes"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_file_that_is_not_one_json_object_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "scenario.json"
    path.write_bytes(content)

    with pytest.raises(ScenarioError) as refused:
        load_scenario(path)
    assert str(refused.value).startswith(problem)
