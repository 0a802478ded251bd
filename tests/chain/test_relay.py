"""The relay of a till and a real RabbitMQ: what it takes, what it refuses, and what happens when it fails."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pika
import pytest
import trustme

from fakes.fixtures import new_till, running, sandbox
from fakes.waiting import comes_true
from hookspecs import PaymentStatus
from payme_plugin.clock import SystemClock
from payme_plugin.delivery import amqp, broker
from payme_plugin.delivery.amqp import AmqpRelay
from payme_plugin.delivery.broker import Broker
from payme_plugin.delivery.chain_messages import OUTCOMES, ChainMessage, OutcomeMessage, Queues, decode, encode
from payme_plugin.ledger.states import Cause
from payme_plugin.sandbox import BuyerAction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.served_till import ServedTill
    from faults.rabbitmq import RabbitMq

__all__ = ["new_till", "running", "sandbox"]

pytestmark = pytest.mark.broker

POS_ID = "65aa00112233445566778899"
PATIENCE_S, PAUSE_S, BLOCKED_S = 2.0, 0.3, 3.0
STOP_S = 1.0
SLACK_S = 1.5
QUEUES = Queues()


class SetClock(SystemClock):
    """A clock that a test moves forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The relay waits less for the broker, and tries again sooner."""
    monkeypatch.setattr(amqp, "_PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr(amqp, "_PAUSE_S", PAUSE_S)
    monkeypatch.setattr(broker, "_BLOCKED_S", BLOCKED_S)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def new_relay(broker_url: str, clock: SetClock) -> Iterator[Callable[..., AmqpRelay]]:
    """Make relays, and make sure that each closes in a second, whatever the test has left of the broker."""
    relays: list[AmqpRelay] = []

    def make(
        url: str = broker_url, ca_file: Path | None = None, on_outcome: Callable[[], None] = lambda: None
    ) -> AmqpRelay:
        relays.append(AmqpRelay(url, ca_file, clock, on_outcome))
        return relays[-1]

    yield make
    for relay in relays:
        assert seconds(relay.close) < STOP_S + SLACK_S


def message(number: int = 1) -> ChainMessage:
    return ChainMessage(
        till="till-1",
        cancellation_id=number,
        payment_id=f"p{number}",
        receipt_id=f"{number:024}",
        pos_id=POS_ID,
        amount=1_500_000,
        cause=Cause.REFUND,
        created_at=1_767_225_600_000,
        begun_at=1_767_225_600_000,
    )


def seconds(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "payme-relay"]


def taken(url: str) -> list[ChainMessage]:
    """Take all messages from the queue of the central workers."""
    found = []
    with closing(Broker(url)) as opened:
        while (received := opened.get(QUEUES.work)) is not None:
            found.append(decode(ChainMessage, received.body))
            assert received.message_id == found[-1].message_id
            opened.acknowledge(received)
    return found


def needs_operator(relay: AmqpRelay) -> bool:
    return relay.needs_operator


def publishes_again(relay: AmqpRelay, sent: ChainMessage) -> bool:
    """Return whether the relay publishes a message within 20 s."""
    return comes_true(lambda: relay.publish(sent), within_s=20)


# A broker that works.


def test_what_is_confirmed_is_in_a_quorum_queue_that_the_relay_has_made(
    new_relay: Callable[..., AmqpRelay], broker_url: str, rabbitmq: RabbitMq, vhost: str
) -> None:
    relay = new_relay()

    assert [relay.publish(message(number)) for number in (1, 2)] == [True, True]

    assert taken(broker_url) == [message(1), message(2)]
    assert {state.kind for name, state in rabbitmq.list_queues(vhost).items() if name.startswith("payme.")} == {
        "quorum"
    }
    assert set(QUEUES.arguments()) <= set(rabbitmq.list_queues(vhost))


def test_a_connection_that_waits_publishes_at_once(new_relay: Callable[..., AmqpRelay]) -> None:
    relay = new_relay()
    assert relay.publish(message())
    time.sleep(0.2)

    assert seconds(lambda: relay.publish(message())) < SLACK_S


def test_outcomes_of_its_own_accounts_come_and_wake_the_worker(
    new_relay: Callable[..., AmqpRelay], broker_url: str
) -> None:
    has_come = threading.Event()
    relay = new_relay(on_outcome=has_come.set)
    assert relay.publish(message())
    outcome = OutcomeMessage(cancellation_id=1, receipt_id=message().receipt_id, state=50, at=1)
    with closing(Broker(broker_url)) as opened:
        for pos_id, body in (("another", encode(outcome)), (POS_ID, b"{}"), (POS_ID, encode(outcome))):
            opened.publish(pos_id, body, "outcome", exchange=OUTCOMES)

    assert has_come.wait(5)
    assert relay.outcomes() == [outcome]
    assert relay.outcomes() == []


def test_an_hour_after_the_last_hand_over_its_thread_and_connection_end_and_the_next_one_has_new_ones(
    new_relay: Callable[..., AmqpRelay], clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp, "_WAIT_S", 0.1)
    relay = new_relay()
    assert relay.publish(message())
    clock.ahead_s = 3500
    time.sleep(0.3)
    assert threads() == ["payme-relay"]

    clock.ahead_s = 3700
    assert comes_true(lambda: threads() == [])
    assert relay.publish(message())


# Whom the broker refuses.


def test_a_user_who_may_only_publish_and_listen_uses_what_others_have_made(
    new_relay: Callable[..., AmqpRelay], broker_url: str, rabbitmq: RabbitMq, vhost: str
) -> None:
    with closing(Broker(broker_url)) as opened:
        opened.declare(QUEUES)
    name = f"till-of-{vhost}"
    own = "^amq\\.gen-.*$"
    rabbitmq.add_user(
        name, "word", vhost, configure=own, write=f"{own}|^payme\\.cancellations$", read=f"{own}|^payme\\.outcomes$"
    )
    rabbitmq.ctl("set_topic_permissions", "--vhost", vhost, name, OUTCOMES, "^$", "^[^#*]+$")
    has_come = threading.Event()
    relay = new_relay(rabbitmq.url(vhost, name, "word"), on_outcome=has_come.set)

    assert relay.publish(message())
    with closing(Broker(broker_url)) as opened:
        body = encode(OutcomeMessage(cancellation_id=1, receipt_id="r", state=50, at=1))
        opened.publish(POS_ID, body, "outcome", exchange=OUTCOMES)
    assert has_come.wait(5)
    assert taken(broker_url) == [message()]

    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq.url(vhost, name, "word")))
    with closing(connection):
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
            connection.channel().queue_bind(QUEUES.work, OUTCOMES, "*")
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
            connection.channel().exchange_bind(QUEUES.work, OUTCOMES, "#")


def test_wrong_credentials_need_an_operator_at_once_and_are_not_in_the_log(
    new_relay: Callable[..., AmqpRelay], rabbitmq: RabbitMq, vhost: str, caplog: pytest.LogCaptureFixture
) -> None:
    relay = new_relay(rabbitmq.url(vhost, password="canary-password"))

    assert not relay.publish(message())

    assert relay.needs_operator
    assert "ACCESS_REFUSED" in caplog.text
    assert "canary" not in caplog.text


def test_a_queue_of_another_type_is_refused_with_its_name(
    new_relay: Callable[..., AmqpRelay], broker_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    connection.channel().queue_declare(QUEUES.work, durable=True)
    connection.close()
    relay = new_relay()

    assert not relay.publish(message())

    assert relay.needs_operator
    assert "payme.cancellations" in caplog.text


@pytest.mark.parametrize("is_trusted", [True, False])
def test_with_tls_the_authority_decides(
    new_relay: Callable[..., AmqpRelay],
    rabbitmq: RabbitMq,
    vhost: str,
    ca_file: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    is_trusted: bool,
) -> None:
    if not is_trusted:
        trustme.CA().cert_pem.write_to_path(str(ca_file))
    relay = new_relay(rabbitmq.tls_url(vhost), ca_file)

    assert relay.publish(message()) is is_trusted

    assert relay.needs_operator is not is_trusted
    assert ("certificate verify failed" in caplog.text) is not is_trusted


# A broker that fails. Each relay closes in a second at the end of its test, in the state in which the test leaves it.


def test_a_queue_that_is_deleted_while_the_till_runs_is_made_again(
    new_relay: Callable[..., AmqpRelay], broker_url: str, rabbitmq: RabbitMq, vhost: str
) -> None:
    relay = new_relay()
    assert relay.publish(message(1))
    rabbitmq.ctl("delete_queue", "--vhost", vhost, QUEUES.work)

    assert not relay.publish(message(2))
    assert publishes_again(relay, message(3))

    assert taken(broker_url) == [message(3)]


def test_a_broker_that_is_killed_takes_messages_again_after_its_start(
    new_relay: Callable[..., AmqpRelay], broker_url: str, rabbitmq: RabbitMq
) -> None:
    relay = new_relay()
    assert relay.publish(message(1))
    rabbitmq.flush_tables()
    rabbitmq.kill()

    assert seconds(lambda: relay.publish(message(2))) < PATIENCE_S + SLACK_S
    assert not relay.needs_operator
    rabbitmq.start()
    assert publishes_again(relay, message(3))

    assert taken(broker_url) == [message(1), message(3)]


def test_a_memory_alarm_is_bounded_and_ends(
    new_relay: Callable[..., AmqpRelay], broker_url: str, rabbitmq: RabbitMq, clock: SetClock
) -> None:
    relay, stopped = new_relay(), new_relay()
    assert relay.publish(message(1))
    first = relay._broker
    with rabbitmq.memory_alarm():
        for each in (relay, stopped):
            assert seconds(lambda each=each: each.publish(message(2))) < PATIENCE_S + SLACK_S  # type: ignore[misc]
        assert seconds(stopped.close) < STOP_S + SLACK_S
        # The broker accepts a connection meanwhile; that does not end the hour.
        assert comes_true(lambda: relay._broker not in {None, first}, within_s=20)
        clock.ahead_s = 1800
        relay.listen({POS_ID})
        clock.ahead_s = 3601
        assert needs_operator(relay)

    assert publishes_again(relay, message(3))
    assert not needs_operator(relay)
    assert message(3) in taken(broker_url)


def test_a_broker_that_hangs_is_bounded_and_what_could_not_leave_does_not_leave_later(
    new_relay: Callable[..., AmqpRelay], rabbitmq: RabbitMq, broker_url: str
) -> None:
    connected, connecting = new_relay(), new_relay()
    assert connected.publish(message(1))
    with rabbitmq.paused():
        for number, relay in ((2, connected), (3, connecting)):
            assert seconds(lambda relay=relay, number=number: relay.publish(message(number))) < PATIENCE_S + SLACK_S  # type: ignore[misc]
        assert seconds(connected.close) < STOP_S + SLACK_S
        assert not connected.publish(message(4))

    assert publishes_again(connecting, message(5))
    found = taken(broker_url)
    assert (message(3) in found, message(4) in found, message(5) in found) == (False, False, True)


def test_a_close_ends_a_hand_over_that_waits_for_its_confirm(
    new_relay: Callable[..., AmqpRelay], rabbitmq: RabbitMq, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp, "_PATIENCE_S", 30.0)
    relay, ended = new_relay(), list[bool]()
    assert relay.publish(message(1))
    with rabbitmq.paused():
        publisher = threading.Thread(target=lambda: ended.append(relay.publish(message(2))))
        publisher.start()
        time.sleep(0.3)
        relay.close()
        publisher.join(SLACK_S)

    assert ended == [False]


# A till.


def owe(till: ServedTill) -> None:
    result = till.pay(till.code(BuyerAction.LACKS_FUNDS))
    assert (result.status, result.cancellation_queued) == (PaymentStatus.REFUSED, True)


def test_a_till_hands_over_and_ends_its_row_by_the_outcome(
    new_till: Callable[..., ServedTill], broker_url: str
) -> None:
    till = new_till(queueUrl=broker_url)
    owe(till)
    assert comes_true(lambda: till.live()[0].offered_at is not None, within_s=60)  # the relay pauses 20 s after a fault
    (sent,) = taken(broker_url)
    outcome = OutcomeMessage(cancellation_id=sent.cancellation_id, receipt_id=sent.receipt_id, state=50, at=1)

    with closing(Broker(broker_url)) as opened:
        opened.publish(sent.pos_id, encode(outcome), "outcome", exchange=OUTCOMES)

    assert comes_true(lambda: till.live() == [])


def test_a_till_without_cancellations_has_neither_a_thread_nor_a_connection(
    new_till: Callable[..., ServedTill], broker_url: str, rabbitmq: RabbitMq
) -> None:
    till = new_till(queueUrl=broker_url)
    assert till.pay(till.code()).status is PaymentStatus.PAID
    time.sleep(SLACK_S)

    assert threads() == []
    assert rabbitmq.ctl("list_connections", "name").splitlines()[1:] == []


def test_a_till_stops_in_two_seconds_beside_a_broker_that_hangs(
    new_till: Callable[..., ServedTill], broker_url: str, rabbitmq: RabbitMq
) -> None:
    till = new_till(queueUrl=broker_url)
    with rabbitmq.paused():
        owe(till)
        assert comes_true(lambda: threads() != [])

        assert seconds(till.plugins.on_stop) < 2 + SLACK_S
