"""What a crash cut off: a reversal is carried out when the host repeats it, and the story tells what may have left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from faults.killed_till import CrashTill, Nursery
from hookspecs import ReversalStatus
from payme_plugin.sandbox import CancelPlan, FaultKind, InjectedFault, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

PAY_DURATION_S = 20
SETTINGS = {"timeout": "1", "payDuration": str(1000 * PAY_DURATION_S), "frequency": "100"}
ROADS = {"annuls": "cancel", "refunds": "refund"}


@pytest.mark.parametrize("ending", ROADS)
@pytest.mark.parametrize("worker", [False, True], ids=["by the host's call", "beside a worker"])
def test_a_reversal_that_was_cut_off_before_it_left_is_sent_when_the_host_repeats_it(
    tmp_path: Path, ending: str, worker: bool
) -> None:
    with Nursery() as nursery, Sandbox(cancel=CancelPlan(settle_s=0)) as sandbox:
        till = CrashTill(nursery, sandbox, tmp_path, asks_again=True)
        codes = (sandbox.issue_code(), sandbox.issue_code())
        till.begin(settings=SETTINGS, sales=(1_500_000,), codes=codes[:1], ending=ending).status()
        begun = till.boundaries().index(f"after the commit of 'cancellation: queued, cause {ROADS[ending]}'") + 1
        life = till.begin(settings=SETTINGS, sales=(1_600_000,), codes=codes[1:], ending=ending, last_boundary=begun)
        assert life.status() == -9
        assert till.sales()[-1].is_being_given_back

        began_at = time.monotonic()
        assert till.begin(settings=SETTINGS | {"runWorker": str(worker)}).status() == 0

    # The row is due at once, so the worker may have its lease when the host repeats its call.
    given_back = {ReversalStatus.REVERSED, ReversalStatus.QUEUED} if worker else {ReversalStatus.REVERSED}
    assert till.sales()[-1].given_back in given_back
    assert time.monotonic() - began_at < PAY_DURATION_S / 2
    assert till.faults() == []


@pytest.mark.parametrize(("request_line", "ending"), [("receipts.pay", "closes"), ("receipts.cancel", "annuls")])
def test_the_story_of_what_was_cut_off_names_the_request_that_may_have_left(
    tmp_path: Path, request_line: str, ending: str
) -> None:
    with Nursery() as nursery, Sandbox(cancel=CancelPlan(settle_s=0)) as sandbox:
        till = CrashTill(nursery, sandbox, tmp_path, asks_again=True)
        life = till.begin(settings=SETTINGS, sales=(1_500_000,), codes=(sandbox.issue_code(),), ending=ending)
        assert life.status() == 0
        whole = till.story().splitlines()
        asked = sum(request.method == request_line for request in sandbox.requests)
        sandbox.inject(InjectedFault(FaultKind.SILENT_AFTER_EFFECT, request_line, times=None))
        life = till.begin(settings=SETTINGS, sales=(1_600_000,), codes=(sandbox.issue_code(),), ending=ending)
        while sum(request.method == request_line for request in sandbox.requests) == asked:
            assert not life.is_over_within(0.002)
        life.kill()
        life.status()
        told = till.story().splitlines()[len(whole) :]

    assert [line.strip() for line in told][-1] == f"request {request_line}"
