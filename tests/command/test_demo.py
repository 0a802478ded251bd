"""The demo. `.ci/run` shows it in full, by the README's first command."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from hookspecs import Slip
from payme_plugin.cli import demo as package
from payme_plugin.cli.demo.report import DemoReport
from payme_plugin.cli.demo.steps import STEPS
from tests.command.conftest import payme

if TYPE_CHECKING:
    import pytest

    from payme_plugin.cli.demo.shop import DemoShop, Outcome

PROOFS = {
    "A sale": [
        "PAID",
        "Payme holds 15 000.00",
        "receipts.pay sent once",
        "slip printed twice",
        "journal: intent -> paying -> paid -> recorded",
    ],
    "The buyer confirms after a second": ["PAID"],
    "The buyer's card lacks funds": ["REFUSED (-31630)", "Payme holds nothing", "no slip"],
    "The code has expired; the buyer shows a new one": ["PAID", "receipts.pay sent twice"],
    "Payme's answer is lost": ["PAID", "receipts.pay sent once"],
    "No answer in time": [
        "UNKNOWN",
        "Payme holds 12 000.00",
        "the cashier keeps the goods",
        "journal: intent -> paying -> unknown, one cancellation queued",
        "delivered",
        "Payme holds nothing",
    ],
    "An open sale is cancelled": ["REVERSED", "slip printed twice", "REFUSED (already-reversed)", "nothing sent"],
    "A full refund": ["REVERSED", "Payme holds nothing"],
    "A partial refund is blocked": ["REFUSED (partial-refund)", "nothing sent"],
    "Marked goods are refunded by hand": ["REFUSED (manual-selection-required)", "REVERSED"],
    "The power fails before the answer": [
        "till killed by SIGKILL",
        "PENDING, on_ready called",
        "journal: intent -> paying",
        "PAID, on_ready called",
        "receipts.pay not sent",
        "journal: intent -> paying -> paid -> recorded",
    ],
    "The power fails, and the sale is lost": [
        "till killed by SIGKILL",
        "nothing to ask again, on_ready called",
        "journal: intent -> paying -> unknown, one cancellation queued",
        "charged",
        "Payme holds 6 600.00",
        "delivered",
        "Payme holds nothing",
    ],
    "The till's sales equal Payme's money": [
        "every sale agrees",
        "Payme holds 60 800.00 in all",
        "no cancellation left",
    ],
}
"""The steps and, among their checks, those that prove something."""


def test_every_check_of_the_demo_passes() -> None:
    shown = payme("demo", "--json")

    assert (shown.code, shown.err) == (0, "")
    assert shown.document["ok"] is True
    assert [step["title"] for step in shown.document["steps"]] == list(PROOFS)
    for step in shown.document["steps"]:
        checks = [check["text"] for check in step["checks"]]
        assert step["ok"]
        assert all(check["ok"] for check in step["checks"])
        assert [text for text in PROOFS[step["title"]] if text not in checks] == [], checks


def test_a_check_that_fails_is_shown_and_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "STEPS", (replace(STEPS[0], held=1),))

    shown = payme("demo")

    assert shown.code == 1
    assert "   FAILED  Payme holds 15 000.00\n" in shown.out
    assert "   ok  PAID, receipts.pay sent once, slip printed twice\n" in shown.out
    assert shown.out.endswith("1 of 8 checks FAILED.\n")
    assert max(map(len, shown.out.splitlines())) <= 80


def test_the_cashier_of_the_demo_speaks_the_language_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "STEPS", STEPS[:1])

    assert "   │ Оплата Payme прошла.\n" in payme("demo").out
    assert "   │ Paid by Payme.\n" in payme("demo", "--lang", "en").out


def test_a_step_that_breaks_off_fails_and_the_next_one_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(_shop: DemoShop) -> Outcome:
        raise OSError("no more paper")

    monkeypatch.setattr(package, "STEPS", (replace(STEPS[0], do=break_off), STEPS[4]))

    shown = payme("demo", "--json")

    assert shown.code == 1
    assert [step["ok"] for step in shown.document["steps"]] == [False, True, True]
    assert shown.document["steps"][0]["checks"] == [{"text": "OSError: no more paper", "ok": False}]


def test_a_step_without_checks_does_not_pass() -> None:
    report = DemoReport(quiet=True)
    report.step("A sale")

    assert not report.passed


def test_the_copies_of_a_slip_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    DemoReport(quiet=False).slip(Slip(xml="<slip/>", lines=("PAYME", "1"), copies=2))

    assert capsys.readouterr().out.splitlines() == [
        "   ┌───────┐  ┌───────┐",
        "   │ PAYME │  │ PAYME │",
        "   │ 1     │  │ 1     │",
        "   └───────┘  └───────┘",
    ]


@given(words=st.lists(st.text("ab-", min_size=1, max_size=60), min_size=1))
def test_text_of_any_length_fits_80_columns(words: list[str]) -> None:
    report, shown = DemoReport(quiet=False), io.StringIO()
    text = " ".join(words)
    with redirect_stdout(shown):
        report.step("A sale")
        report.say(text)
        report.screen(text)
        report.check((text, True), (text, False))

    assert max(map(len, shown.getvalue().splitlines())) <= 80
    assert "".join(shown.getvalue().split()).count("".join(words)) >= 1
