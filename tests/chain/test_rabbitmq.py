"""What the design expects of RabbitMQ, and what the other tests of this folder expect of theirs."""

from __future__ import annotations

import ssl
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pika
import pytest
from pika.exceptions import AMQPChannelError, AMQPConnectionError, NackError, UnroutableError

from faults.rabbitmq import LOOPBACK, RabbitMq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme
    from pika.adapters.blocking_connection import BlockingChannel

    Connect = Callable[[str], BlockingChannel]

pytestmark = pytest.mark.broker

DEAD_LETTERS = {"x-dead-letter-exchange": "", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}


@pytest.fixture
def connect(vhost: str) -> Iterator[Connect]:
    """Open a channel that confirms; it is closed before the vhost goes, if the broker has not closed it."""
    connections = []

    def channel(url: str) -> BlockingChannel:
        connection = pika.BlockingConnection(pika.URLParameters(url))
        connections.append(connection)
        opened = connection.channel()
        opened.confirm_delivery()
        return opened

    yield channel
    for connection in connections:
        with suppress(AMQPConnectionError, AMQPChannelError):  # it frees its sockets all the same
            connection.close()


@pytest.fixture
def channel(connect: Connect, broker_url: str) -> BlockingChannel:
    return connect(broker_url)


def declare(channel: BlockingChannel, name: str, **arguments: object) -> None:
    channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum", **arguments})


def publish(channel: BlockingChannel, queue: str, body: bytes) -> None:
    channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2), mandatory=True)


def taken(channel: BlockingChannel, queue: str, *, within_s: float = 10) -> tuple[bytes, dict[str, object]]:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        if method is not None:
            return body, properties.headers
        channel.connection.sleep(0.02)
    raise AssertionError(f"nothing in {queue} after {within_s} s")


def processes() -> str:
    return subprocess.run(["ps", "-ewwo", "args"], capture_output=True, encoding="utf-8", check=True).stdout  # noqa: S607


def test_a_confirmed_message_survives_a_broker_that_is_killed(
    rabbitmq: RabbitMq, broker_url: str, connect: Connect, record_property: Callable[[str, object], None]
) -> None:
    channel = connect(broker_url)
    declare(channel, "work")
    rabbitmq.flush_tables()
    publish(channel, "work", b"kept")

    rabbitmq.kill()
    seconds = rabbitmq.start()

    assert taken(connect(broker_url), "work")[0] == b"kept"
    record_property("seconds until the broker answers again", round(seconds, 1))


def test_a_message_that_no_queue_takes_is_returned(channel: BlockingChannel) -> None:
    with pytest.raises(UnroutableError):
        publish(channel, "nowhere", b"lost")


def test_a_full_queue_refuses_instead_of_dropping_the_oldest(channel: BlockingChannel) -> None:
    declare(channel, "full", **{"x-max-length": 1, "x-overflow": "reject-publish"})
    publish(channel, "full", b"first")
    with suppress(NackError):  # the limit is not exact
        publish(channel, "full", b"second")
        publish(channel, "full", b"third")
    with pytest.raises(NackError):
        publish(channel, "full", b"fourth")
    assert taken(channel, "full")[0] == b"first"


def test_a_delay_queue_returns_a_message_when_its_time_is_over(channel: BlockingChannel) -> None:
    declare(channel, "work")
    declare(channel, "delay", **DEAD_LETTERS, **{"x-dead-letter-routing-key": "work", "x-message-ttl": 300})
    began = time.monotonic()
    publish(channel, "delay", b"later")

    body, headers = taken(channel, "work")

    assert body == b"later"
    assert time.monotonic() - began >= 0.3
    assert headers["x-first-death-reason"] == "expired"


def test_a_message_delivered_too_often_is_dead_lettered(channel: BlockingChannel) -> None:
    declare(channel, "parked")
    declare(channel, "work", **DEAD_LETTERS, **{"x-dead-letter-routing-key": "parked", "x-delivery-limit": 2})
    publish(channel, "work", b"again and again")

    deliveries = 0
    while (delivered := channel.basic_get("work")[0]) is not None:
        deliveries += 1
        channel.basic_nack(delivered.delivery_tag, requeue=True)
        channel.connection.sleep(0.1)

    assert deliveries == 3
    body, headers = taken(channel, "parked")
    assert body == b"again and again"
    assert headers["x-first-death-reason"] == "delivery_limit"


def test_the_broker_shows_the_certificate_of_its_authority(
    rabbitmq: RabbitMq, vhost: str, authority: trustme.CA
) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    parameters = pika.URLParameters(rabbitmq.tls_url(vhost))
    parameters.ssl_options = pika.SSLOptions(context, LOOPBACK)
    with pika.BlockingConnection(parameters) as connection:
        assert connection.is_open


def test_a_user_may_do_what_the_patterns_allow(rabbitmq: RabbitMq, vhost: str, connect: Connect) -> None:
    rabbitmq.add_user("reader", "secret", vhost, configure="^$", write="^$", read=".*")
    channel = connect(rabbitmq.url(vhost, "reader", "secret"))
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
        declare(channel, "work")


def test_nothing_outlives_a_closed_broker(tmp_path: Path) -> None:
    broker = RabbitMq(tmp_path)
    broker.start()
    assert all(line in processes() for line in (f"-home {tmp_path}", f"-port {broker.names_port}"))

    with broker.paused():
        broker.close()

    assert not any(line in processes() for line in (f"-home {tmp_path}", f"-port {broker.names_port}"))
