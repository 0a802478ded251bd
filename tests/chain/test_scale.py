"""The script that measures a chain still runs, with a few messages and rows; the figures themselves are not judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chain.scale import Measured, measure_till, measure_workers

if TYPE_CHECKING:
    from pathlib import Path

    from faults.rabbitmq import RabbitMq

pytestmark = pytest.mark.broker


def test_workers_and_a_till_are_measured(
    rabbitmq: RabbitMq, vhost: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = Measured(rabbitmq, tmp_path, vhost)
    measure_workers(measured, [1], messages=20, accounts=2)
    measure_till(measured, rows=100, payments=2, seconds_each=0.1)
    rates, *tills = capsys.readouterr().out.splitlines()

    assert rates.startswith("1 workers, 2 accounts: ")
    assert [each.partition(":")[0] for each in tills] == [
        f"{broker}, {rows} live rows" for broker in ("no broker", "broker away", "broker there") for rows in (0, 100)
    ]
