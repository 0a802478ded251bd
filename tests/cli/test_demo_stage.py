from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import click
from hypothesis import given
from hypothesis import strategies as st

from hookspecs import Slip
from payme_plugin.cli.demo.stage import Stage

if TYPE_CHECKING:
    import pytest


def test_an_act_is_right_when_everything_checked_in_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(quiet=False)

    def another() -> None:
        stage.check("one thing", right=True)
        stage.check("another thing", right=False)

    stage.act(1, "A sale", lambda: stage.check("the money is there", right=True))
    stage.act(2, "Another", another)
    stage.ending(stage.acts)

    assert [act.right for act in stage.acts] == [True, False]
    shown = capsys.readouterr().out
    assert "   ok     the money is there\n" in shown
    assert "   WRONG  another thing\n" in shown
    assert shown.endswith("1 of 3 checks were WRONG.\n")


def test_an_act_that_breaks_off_is_wrong_and_the_next_one_is_played(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(quiet=False)

    def breaks_off() -> None:
        raise click.ClickException("no more paper")

    stage.act(1, "A sale", breaks_off)
    stage.act(2, "Another", lambda: stage.check("one thing", right=True))

    assert [act.right for act in stage.acts] == [False, True]
    assert "WRONG  the act ends without ClickException: no more paper" in capsys.readouterr().out


def test_an_act_in_which_nothing_was_checked_is_not_right(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(quiet=False)
    stage.act(1, "A sale", lambda: stage.tell("nothing happens"))
    stage.ending(stage.acts)

    assert "WRONG" in capsys.readouterr().out


def test_the_copies_of_a_slip_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    Stage(quiet=False).slip(Slip(xml="<slip/>", lines=("PAYME", "1"), copies=2))

    assert capsys.readouterr().out.splitlines() == [
        "   ┌───────┐  ┌───────┐",
        "   │ PAYME │  │ PAYME │",
        "   │ 1     │  │ 1     │",
        "   └───────┘  └───────┘",
        "",
    ]


def test_a_quiet_stage_shows_nothing_and_keeps_everything(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(quiet=True)

    def sale() -> None:
        stage.prompt("Scan")
        stage.quote("Paid")
        stage.check("one thing", right=False)
        stage.show(["never"])

    stage.opening()
    stage.act(1, "A sale", sale)

    assert capsys.readouterr().out == ""
    assert stage.acts[0].document() == {"title": "A sale", "ok": False, "checks": [{"text": "one thing", "ok": False}]}


def test_what_another_command_prints_goes_on_in_its_last_column(capsys: pytest.CaptureFixture[str]) -> None:
    till, shop = "reference-till@till-17", "-of-the-shop-at-the-old-corner"
    Stage(quiet=False).show(
        [
            f"Sale     {till}{shop}, shift 1, receipt 1",
            "",
            "2026-11-27",
            f"  11:31:35.611  intent     1500000 tiyin, receipt {till}-of-the-shop/1/1",
        ]
    )

    assert capsys.readouterr().out.splitlines() == [
        f"Sale     {till}{shop}, shift 1,",
        "         receipt 1",
        "",
        "2026-11-27",
        "  11:31:35.611  intent     1500000 tiyin, receipt",
        f"                           {till}-of-the-shop/1/1",
    ]


@given(name=st.integers(1, 64).flatmap(lambda length: st.text("ab-.", min_size=length, max_size=length)))
def test_no_line_of_the_stage_is_as_long_as_the_name_of_the_machine_wants(name: str) -> None:
    lines = (f"Sale     reference-till@{name}, shift 1", f"  11:31:35.611  intent     1 tiyin, receipt {name}/1/1")
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        Stage(quiet=False).show(lines)

    assert max(map(len, shown.getvalue().splitlines())) <= 80
    assert "".join(shown.getvalue().split()) == "".join("".join(lines).split())
