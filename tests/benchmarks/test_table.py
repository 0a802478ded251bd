"""What the table says of a figure, and that the page shows the figures that were written last."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.benchmarks import report
from tests.benchmarks.measure import CONTRACT, Figure, Skip, compare, compare_p99
from tests.benchmarks.rows import ROWS
from tests.benchmarks.table import change, line, tables

FIGURE = Figure(CONTRACT, "on_payment", 1.10, "x", 1.05, 1.15, 0.0022, 0.002, "bare requests", 1.2)


def test_a_ratio_is_the_median_of_the_rounds_after_the_warm_up_with_its_quartiles() -> None:
    ours, theirs = iter([9.0, 1.0, 2.0, 3.0, 4.0, 5.0]), iter([1.0] * 6)

    ratio = compare(lambda: next(ours), lambda: next(theirs), rounds=5)

    assert (ratio.low, ratio.value, ratio.high, ratio.ours, ratio.theirs) == (2.0, 3.0, 4.0, 3.0, 1.0)


def test_each_side_goes_first_in_every_other_round() -> None:
    order: list[str] = []

    def timed(who: str) -> float:
        order.append(who)
        return 1.0

    compare(lambda: timed("ours"), lambda: timed("theirs"), rounds=2, warm_up=0)

    assert order == ["ours", "theirs", "theirs", "ours"]


def test_a_ratio_of_slowest_hundredths_does_not_see_the_others() -> None:
    theirs = [1.0] * 980 + [2.0] * 20
    ours = [0.5] * 980 + [6.0] * 20

    assert compare_p99(ours, theirs).value == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("now", "last", "text"),
    [
        (1.32, 1.10, "**+20 %**"),
        (0.88, 1.10, "**-20 %**"),
        (1.14, 1.10, "+4 %"),
    ],
)
def test_a_change_is_marked_if_each_median_is_outside_the_quartiles_of_the_other(
    now: float, last: float, text: str
) -> None:
    figure = replace(FIGURE, value=now, low=now - 0.05, high=now + 0.05)

    assert change(figure, replace(FIGURE, value=last, low=last - 0.05, high=last + 0.05)) == text


def test_a_figure_that_was_never_written_is_new() -> None:
    assert change(FIGURE, None) == "new"


def test_a_table_says_which_rows_are_within_their_limit_and_why_one_was_skipped() -> None:
    missed, skipped = replace(FIGURE, name="slow", value=1.21), Skip("Others", "httpx", "it is not installed")

    assert tables([FIGURE, missed, skipped], last={}) == (
        f"### {CONTRACT}\n\n"
        "| what | median | quartiles | measured | at most |  | change |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| on_payment | **1.10 x** | 1.05 x – 1.15 x | 2.20 ms against 2.00 ms, bare requests | 1.20 x | met | new |\n"
        "| slow | **1.21 x** | 1.05 x – 1.15 x | 2.20 ms against 2.00 ms, bare requests | 1.20 x | **missed** | new |\n"
        "\n### Others\n\n"
        "| what | median | quartiles | measured | change |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| httpx | skipped |  | it is not installed |  |"
    )


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.0021, "s", "2.10 ms"), (1.5, "s", "1.50 s"), (0.098, "x", "0.098 x"), (3, "", "3"), (3120.4, "", "3,120")],
)
def test_a_value_is_written_in_a_unit_that_people_read(value: float, unit: str, text: str) -> None:
    assert f": {text} [" in line(replace(FIGURE, value=value, unit=unit))


def test_the_page_shows_the_figures_that_were_written_last() -> None:
    assert report.page() == report.PAGE.read_text(encoding="utf-8")


def test_what_was_written_last_has_every_row() -> None:
    assert list(report.stored()["rows"]) == [row.name for row in ROWS]
