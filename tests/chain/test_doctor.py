"""``payme doctor`` and a real RabbitMQ."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pika
import pytest
import trustme

from fakes.world import settings_of
from payme_plugin.delivery.broker import Broker
from payme_plugin.delivery.chain_messages import Queues
from payme_plugin.doctor import Level
from payme_plugin.doctor.broker import check_broker

if TYPE_CHECKING:
    from pathlib import Path

    from faults.rabbitmq import RabbitMq
    from payme_plugin.doctor import Finding

pytestmark = pytest.mark.broker

QUEUES = Queues()


def found(url: str, **settings: object) -> Finding:
    (finding,) = check_broker(settings_of(queueUrl=url, **settings))
    assert "canary" not in repr(finding)
    return finding


def test_a_broker_without_the_queues_is_a_warning_and_doctor_makes_none(
    broker_url: str, rabbitmq: RabbitMq, vhost: str
) -> None:
    finding = found(broker_url)

    assert (finding.level, finding.text.key) == (Level.WARNING, "doctor.broker.no_queue")
    assert all(name in str(finding.text) for name in QUEUES.arguments())
    assert rabbitmq.list_queues(vhost) == {}


def test_without_a_central_worker_it_is_a_warning_and_with_one_it_is_ok_and_both_count_the_messages(
    broker_url: str,
) -> None:
    with closing(Broker(broker_url)) as broker:
        broker.declare(QUEUES)
        for number in range(3):
            broker.publish(QUEUES.work, b"{}", str(number))
        finding = found(broker_url)
        assert (finding.level, finding.text.key) == (Level.WARNING, "doctor.broker.no_worker")
        assert "waiting: 3, parked: 0" in str(finding.text)

        broker.consume(QUEUES.work, lambda _: None)
        finding = found(broker_url)
        assert (finding.level, finding.text.key) == (Level.OK, "doctor.broker.ready")
        assert "consumers of central workers: 1" in str(finding.text)


def test_a_user_with_the_permissions_of_a_till_is_enough(broker_url: str, rabbitmq: RabbitMq, vhost: str) -> None:
    with closing(Broker(broker_url)) as broker:
        broker.declare(QUEUES)
    name, own = f"till-of-{vhost}", "^amq\\.gen-.*$"
    rabbitmq.add_user(name, "canary", vhost, configure=own, write=own, read=own)

    assert found(rabbitmq.url(vhost, name, "canary")).text.key == "doctor.broker.no_worker"


def test_a_refused_user_or_virtual_host_is_a_fault(rabbitmq: RabbitMq, vhost: str) -> None:
    for url in (rabbitmq.url(vhost, password="canary"), rabbitmq.url("another")):
        finding = found(url)
        assert (finding.level, finding.text.key) == (Level.FAULT, "doctor.broker.refused")


def test_a_queue_with_other_properties_is_a_fault_with_its_name(broker_url: str) -> None:
    with closing(Broker(broker_url)) as broker:
        broker.declare(QUEUES)
    with closing(pika.BlockingConnection(pika.URLParameters(broker_url))) as connection:
        connection.channel().queue_delete(QUEUES.work)
        connection.channel().queue_declare(QUEUES.work, durable=True)

    finding = found(broker_url)

    assert (finding.level, finding.text.key) == (Level.FAULT, "doctor.broker.other_properties")
    assert f"'{QUEUES.work}'" in str(finding.text)


@pytest.mark.parametrize("is_trusted", [True, False])
def test_with_tls_the_authority_decides(rabbitmq: RabbitMq, vhost: str, ca_file: Path, *, is_trusted: bool) -> None:
    if not is_trusted:
        trustme.CA().cert_pem.write_to_path(str(ca_file))

    key = found(rabbitmq.tls_url(vhost), caFile=ca_file).text.key

    assert key == ("doctor.broker.no_queue" if is_trusted else "doctor.broker.certificate")


def test_a_broker_that_hangs_is_a_fault_within_seconds(broker_url: str, rabbitmq: RabbitMq) -> None:
    began = time.monotonic()
    with rabbitmq.paused():
        assert found(broker_url).text.key == "doctor.broker.unreachable"
    assert time.monotonic() - began < 12
