"""A RabbitMQ for the run, and a vhost of it for each test."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
import trustme

from fakes.chain import Chain
from fakes.fixtures import ca_file
from faults.rabbitmq import LOOPBACK, RabbitMq

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ca_file"]

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """The authority of the broker's certificate."""
    return trustme.CA()


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[RabbitMq]:
    """The broker of this process, with and without TLS; a test may kill it and leave it so."""
    broker = RabbitMq(tmp_path_factory.mktemp("rabbitmq"), certificate=authority.issue_cert(LOOPBACK))
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture
def vhost(rabbitmq: RabbitMq) -> Iterator[str]:
    """A vhost of this test: the queues of two tests never meet."""
    if not rabbitmq.runs:
        rabbitmq.start()
    name = f"test-{next(_NUMBERS)}"
    rabbitmq.add_vhost(name)
    yield name
    if rabbitmq.runs:
        rabbitmq.ctl("delete_vhost", name)


@pytest.fixture
def broker_url(rabbitmq: RabbitMq, vhost: str) -> str:
    """The address of this test's vhost."""
    return rabbitmq.url(vhost)


@pytest.fixture
def chain_vhost(rabbitmq: RabbitMq, chain_vhosts: set[str]) -> str:
    """The vhost of all chains: to empty it is much faster than to make one.

    A broker that was killed may have lost a queue that was new, and then makes no other of its name: each start of it
    has another vhost.
    """
    if not rabbitmq.runs:
        rabbitmq.start()
    name = f"chain-{rabbitmq.launches}"
    if name not in chain_vhosts:
        rabbitmq.add_vhost(name)
        chain_vhosts.add(name)
    return name


@pytest.fixture(scope="session")
def chain_vhosts() -> set[str]:
    """The vhosts of chains that were made."""
    return set()


@pytest.fixture
def chain(rabbitmq: RabbitMq, chain_vhost: str, tmp_path: Path) -> Iterator[Chain]:
    """Two merchant accounts and the queues of a chain, which have short pauses."""
    chain = Chain(rabbitmq.url(chain_vhost), tmp_path)
    with chain.a, chain.b:
        chain.delete_queues()
        chain.declare()
        chain.write_accounts(chain.a, chain.b)
        yield chain
