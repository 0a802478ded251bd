from __future__ import annotations

from typing import TYPE_CHECKING

import click

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
        stage.show(lambda: print("never"))  # noqa: T201 - what must not be shown

    stage.opening()
    stage.act(1, "A sale", sale)

    assert capsys.readouterr().out == ""
    assert stage.acts[0].document() == {"title": "A sale", "ok": False, "checks": [{"text": "one thing", "ok": False}]}
