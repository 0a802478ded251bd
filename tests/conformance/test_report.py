"""The report fits 80 columns, and a duty that was not played is not passed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.command_tree import commands_in
from payme_plugin.cli import main
from payme_plugin.testing.conformance import duties, plays
from payme_plugin.testing.conformance.duties import PLAYED, Breach, Duty
from payme_plugin.testing.conformance.kit import HostConformance
from payme_plugin.testing.conformance.process import Call
from payme_plugin.testing.conformance.report import Report
from payme_plugin.testing.conformance.watch import Failure, Payment, Watch
from tests.command.conftest import payme
from tests.docs.conftest import headings, read

if TYPE_CHECKING:
    from collections.abc import Callable

BREACHES = [each for each in vars(duties).values() if isinstance(each, Breach)]


def report(*failures: Failure, missed: Duty | None = None) -> Report:
    checks = {duty: 1 for duty in Duty if duty is not missed}
    return Report(checks=checks, failures=failures, seed=7, plays=1, kills=0, took_s=1.0)


def failure(breach: Breach, detail: str = "") -> Failure:
    return Failure(breach=breach, play="a quiet day", payment_id="p" * 100, detail=detail)


@pytest.mark.parametrize("breach", BREACHES, ids=lambda each: each.did[:40])
def test_a_failure_says_what_the_host_did_what_to_do_and_where_that_is_described(breach: Breach) -> None:
    failed = report(failure(breach, "x " * 200), failure(breach))

    assert (failed.passed, failed.failed_duties) == (False, (breach.duty,))
    assert max(map(len, failed.lines())) <= 80
    assert f'See docs/host.md, "{PLAYED[breach.duty].place}". Seen 2 times' in " ".join(str(failed).split())
    assert PLAYED[breach.duty].place in headings("docs/host.md")


def test_every_duty_can_be_broken_and_is_on_the_page() -> None:
    assert {breach.duty for breach in BREACHES} == set(Duty) == set(PLAYED)
    assert re.findall(r"^\| `([a-z-]+)` \|.*\]\(host\.md#", read("docs/conformance.md"), re.MULTILINE) == [
        duty.value for duty in PLAYED
    ]


def test_a_duty_that_was_not_played_is_missed_and_the_host_has_not_passed() -> None:
    assert report().passed
    missed = report(missed=Duty.SLIPS)

    assert not missed.passed
    assert missed.result_of(Duty.SLIPS) == "missed"


def test_a_duty_whose_check_an_earlier_failure_about_the_payment_hides_is_missed() -> None:
    watch = Watch("a play")
    payment = Payment(payment_id="p", amount=1, run=1)
    for holds, breach in ((True, duties.PENDING_ENDED), (False, duties.READY_EARLY), (False, duties.PENDING_ENDED)):
        watch.check(holds, breach, payment)
    checks = {duty: watch.checks[duty] for duty in Duty}
    noted = replace(report(*watch.failures), checks=checks, hidden=frozenset(watch.hidden))

    assert noted.failed_duties == (Duty.READY,)
    assert (noted.result_of(Duty.PENDING), noted.checks[Duty.PENDING]) == ("missed", 1)


def test_a_hook_that_is_called_while_another_one_runs_is_noted() -> None:
    watch = Watch("a play")
    watch.begin_run()
    for hook, thread, arguments in (("on_start", 1, ("till-1", "/data")), ("on_ready", 2, ())):
        watch.entered(Call(hook=hook, moment="entry", thread=thread, arguments=arguments, result=None))

    assert [each.breach for each in watch.failures] == [duties.SIDE_BY_SIDE]


def test_the_command_prints_the_report_and_ends_with_1_if_a_duty_is_broken(
    host: Callable[..., tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HostConformance.__init__, "__kwdefaults__", {**_DEFAULTS, "plays": (plays.a_quiet_day,)})
    command = host(('range(slip["copies"])', "range(1)"))
    ended = payme("--json", "conformance", "--seed", "7", *command)

    assert ended.code == 1
    assert (ended.document["seed"], ended.document["passed"]) == (7, False)
    assert [each["duty"] for each in ended.document["failures"]] == ["slips"]
    assert [each["result"] for each in ended.document["duties"] if each["duty"] == "slips"] == ["failed"]
    assert json.dumps(ended.document["failures"][0]["to_do"]) == json.dumps(duties.NOT_PRINTED.to_do)


_DEFAULTS = dict(HostConformance.__init__.__kwdefaults__ or {})


def test_options_behind_the_hosts_command_are_the_hosts(host: Callable[..., tuple[str, ...]]) -> None:
    python, _ = host()
    ended = payme("conformance", python, "-c", "import sys; sys.exit(' '.join(sys.argv[1:]))", "--json", "--seed")

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentences == [
        "--json --seed",
        "The host can't be checked: the host ended with 1 instead of answering 'start'",
    ]
    assert "conformance" in commands_in(main)
