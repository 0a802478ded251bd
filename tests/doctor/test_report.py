"""A report: in the order of the checks, as bad as its worst finding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.doctor import Check, Finding, Level, Report, Unchecked
from payme_plugin.locale import message

TEXTS = st.text(max_size=40).map(lambda text: message("doctor.internal", error=text))
FINDINGS = st.builds(Finding, st.sampled_from(Check), st.sampled_from(Level), TEXTS, TEXTS)
SAID = st.lists(st.one_of(FINDINGS, st.builds(Unchecked, st.sampled_from(Check), TEXTS)))


@given(SAID)
def test_nothing_that_was_said_is_lost_and_it_stands_in_the_order_of_the_checks(
    said: list[Finding | Unchecked],
) -> None:
    report = Report.of(said)
    order = list(Check)

    assert len(report.findings) + len(report.unchecked) == len(said)
    for part in (report.findings, report.unchecked):
        places = [order.index(each.check) for each in part]
        assert places == sorted(places)


@given(SAID)
def test_the_worst_is_a_fault_before_a_warning_before_ok_whatever_was_not_looked_at(
    said: list[Finding | Unchecked],
) -> None:
    levels = {each.level for each in said if isinstance(each, Finding)}
    report = Report.of(said)

    assert report.worst is next((each for each in (Level.FAULT, Level.WARNING) if each in levels), Level.OK)
    assert sum(map(report.count, Level)) == len(report.findings)
