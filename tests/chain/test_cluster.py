"""Three nodes of RabbitMQ, one of which is killed while cancellations are delivered."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from fakes.chain import Chain
from fakes.waiting import comes_true
from faults.rabbitmq import RabbitMq
from payme_plugin.delivery.broker import BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from payme_plugin.delivery.chain_messages import ChainMessage

pytestmark = pytest.mark.broker

_ROWS = 300


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[RabbitMq]]:
    """A cluster; it needs 450 MB and 13 s of two cores."""
    with ExitStack() as opened:
        first = RabbitMq(tmp_path / "node-1")
        others = [RabbitMq(tmp_path / f"node-{number}", beside=first) for number in (2, 3)]
        for node in (first, *others):
            opened.callback(node.close)
        first.start()
        for node in others:
            node.launch()
        for node in others:
            node.wait_until_ready()
        yield [first, *others]


def hand_over(chain: Chain, message: ChainMessage) -> None:
    """Publish a message as a till does: until the broker confirms it."""

    def is_confirmed() -> bool:
        try:
            chain.publish(message)
        except BrokerError:
            return False
        return True

    assert comes_true(is_confirmed, 60, look_s=0.2)


def test_a_cluster_that_loses_the_node_of_its_queues_goes_on_and_loses_nothing(
    nodes: list[RabbitMq], tmp_path: Path
) -> None:
    first, second, third = nodes
    with closing(Chain(first.url(), tmp_path).connect()) as broker:
        broker.declare(Chain(first.url(), tmp_path).queues)  # so their leaders are on the first node
    tills, workers = Chain(third.url(), tmp_path), Chain(second.url(), tmp_path)
    with workers.a, workers.b:
        workers.write_accounts(workers.a, workers.b)
        messages = workers.owe(workers.a, _ROWS)
        with workers.worker():
            for number, message in enumerate(messages):
                if number == _ROWS // 2:
                    first.kill()
                hand_over(tills, message)
            assert comes_true(lambda: workers.a.held() == 0, 60)
    movements = workers.a.bank.movements(workers.a.now_ms())
    assert sum(each.amount < 0 for each in movements) == _ROWS
