"""A cancel or a refund that a crash cut off is carried out when the host repeats it, as the contract has it repeat."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from crash_till import CrashTill, Nursery
from hookspecs import ReversalStatus
from payme_plugin.sandbox import CancelPlan, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

PAY_DURATION_S = 20
SETTINGS = {"timeout": "1", "payDuration": str(1000 * PAY_DURATION_S), "frequency": "30"}
ROADS = {"annuls": "cancel", "refunds": "refund"}


@pytest.mark.parametrize("ending", ROADS)
def test_a_reversal_that_was_cut_off_before_it_left_is_sent_when_the_host_repeats_it(
    tmp_path: Path, ending: str
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
        assert till.begin(settings=SETTINGS).status() == 0

    assert till.sales()[-1].given_back is ReversalStatus.REVERSED
    assert time.monotonic() - began_at < PAY_DURATION_S / 2
    assert till.faults() == []
