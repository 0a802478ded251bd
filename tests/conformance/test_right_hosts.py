"""Hosts that do what they owe pass every play."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payme_plugin.testing import HostConformance
from payme_plugin.testing.conformance import plays
from tests.conformance.conftest import REFERENCE_TILL
from tests.docs.conftest import blocks

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_RUN_S = 180

STYLES = {
    "acknowledges after its answer": (
        (
            '    settle()\n    return sales("number = ?", number)[0]["state"]\n',
            '    return sales("number = ?", number)[0]["state"]\n',
        ),
        ('        settle()\n        return {"state": "closed"}\n', '        return {"state": "closed"}\n'),
        (
            "    print(json.dumps(answer(command)), flush=True)\n",
            "    print(json.dumps(answer(command)), flush=True)\n    settle()\n",
        ),
    ),
    "acknowledges a sale that closes only as closed": (
        (
            '            if sale["state"] in {"open", "closed"} and not',
            '            if sale["state"] == "open" and not',
        ),
        ("change(sale, reported=1)\n        if", "change(sale, recorded=1, reported=1)\n        if"),
    ),
}
"""Hosts that do what they owe in another way than the page's."""


@pytest.mark.parametrize("is_reference", [True, False], ids=["the reference till", "the host of the page"])
def test_a_right_host_breaks_no_duty_on_a_quiet_day_or_at_a_failing_start(
    host: Callable[..., tuple[str, ...]], *, is_reference: bool
) -> None:
    command = REFERENCE_TILL if is_reference else host()
    report = HostConformance(command, plays=(plays.a_quiet_day, plays.failing_start)).run()

    assert report.failures == (), str(report)


@pytest.mark.conformance
@pytest.mark.parametrize("is_reference", [True, False], ids=["the reference till", "the host of the page"])
def test_a_right_host_passes_every_duty_in_three_minutes(
    host: Callable[..., tuple[str, ...]], *, is_reference: bool
) -> None:
    report = HostConformance(REFERENCE_TILL if is_reference else host()).run()

    assert report.passed, str(report)
    assert report.kills >= 50
    assert report.took_s < LONGEST_RUN_S


@pytest.mark.conformance
@pytest.mark.parametrize("style", STYLES)
def test_a_right_host_of_another_style_breaks_no_duty(host: Callable[..., tuple[str, ...]], style: str) -> None:
    chosen = (plays.acknowledgements, plays.a_quiet_day, plays.kills_in_a_sale)
    report = HostConformance(host(*STYLES[style]), plays=chosen).run()

    assert report.failures == (), str(report)
    assert report.kills >= 20


@pytest.mark.conformance
def test_a_right_host_that_is_killed_while_it_acknowledges_an_earlier_sale_again_breaks_no_duty(
    host: Callable[..., tuple[str, ...]],
) -> None:
    changes = (
        ("(state IN ('open', 'closed') AND NOT recorded)", "state IN ('open', 'closed')"),
        ('{"open", "closed"} and not sale["recorded"]:', '{"open", "closed"}:'),
    )
    report = HostConformance(host(*changes), plays=(plays.kills_in_a_sale,)).run()

    assert report.failures == (), str(report)


def test_the_test_of_the_page_is_one_that_pytest_runs() -> None:
    test, _ = (block.text for block in blocks("docs/conformance.md") if block.language == "python")
    names: dict[str, object] = {}
    exec(compile(test, "docs/conformance.md", "exec"), names)  # noqa: S102 - our own page

    assert [name for name in names if name.startswith("test_")] != []
    assert names["HostConformance"] is HostConformance
