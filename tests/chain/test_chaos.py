"""Two thousand cancellations while the broker, the central workers and the tills are killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.chain_run import ChainRun, Plan

if TYPE_CHECKING:
    from pathlib import Path

    from faults.rabbitmq import RabbitMq

pytestmark = pytest.mark.broker


def test_no_kill_keeps_money_from_its_return_or_returns_that_of_a_sale(
    rabbitmq: RabbitMq, vhost: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ChainRun(rabbitmq, vhost, tmp_path, Plan()).run()
    with capsys.disabled():
        print(f"\n{report.summary}")  # noqa: T201 - the figures of the run
    assert report.violations == []
