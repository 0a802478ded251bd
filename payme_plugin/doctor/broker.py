"""A chain's RabbitMQ: connection, user, certificate, the queues, and what waits in them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from payme_plugin.delivery.broker import (
    AccessRefused,
    Broker,
    BrokerAway,
    BrokerRefuses,
    CertificateRefused,
    OtherProperties,
    PikaMissing,
)
from payme_plugin.delivery.chain_messages import PARKED, Queues
from payme_plugin.doctor.finding import Finding

if TYPE_CHECKING:
    from payme_plugin.settings import Settings

_KEYS = {
    PikaMissing: "doctor.broker.no_pika",
    AccessRefused: "doctor.broker.refused",
    CertificateRefused: "doctor.broker.certificate",
    OtherProperties: "doctor.broker.other_properties",
}


def check_broker(settings: Settings) -> list[Finding]:
    """Connect to the broker of ``queueUrl`` and judge its queues; create none. Without the setting, nothing is judged.

    Args:
        settings: the broker's address, and the certificates to trust.
    """
    if not settings.queue_url:
        return []
    host = urlsplit(settings.queue_url).netloc.rpartition("@")[2]
    queues = Queues()
    try:
        with closing(Broker(settings.queue_url, ca_file=settings.ca_file)) as broker:
            if missing := broker.missing(queues):
                return [Finding.warning("doctor.broker.no_queue", host=host, queues=", ".join(missing))]
            broker.declare(queues)  # they are there, so it only compares
            waiting, workers = broker.size(queues.work)
            values = {"host": host, "waiting": waiting, "parked": broker.size(PARKED)[0], "workers": workers}
    except BrokerAway as error:
        return [Finding.fault("doctor.broker.unreachable", host=host, reason=error)]
    except BrokerRefuses as error:
        return [Finding.fault(_KEYS.get(type(error), "doctor.broker.unusable"), host=host, reason=error)]
    return [
        Finding.ok("doctor.broker.ready", **values) if workers else Finding.warning("doctor.broker.no_worker", **values)
    ]
