"""The model of a till: payments, crashes, cancels, refunds and faults in any order lose no money."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from sim_machine import MoneyModel

_HEALTH = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)


def test_no_order_of_events_breaks_a_statement() -> None:
    run_state_machine_as_test(
        MoneyModel,
        settings=settings(max_examples=60, stateful_step_count=25, derandomize=True, suppress_health_check=_HEALTH),
    )


@pytest.mark.simulation
@pytest.mark.timeout(600)
def test_no_order_of_many_events_breaks_a_statement() -> None:
    run_state_machine_as_test(
        MoneyModel,
        settings=settings(max_examples=400, stateful_step_count=50, print_blob=True, suppress_health_check=_HEALTH),
    )
