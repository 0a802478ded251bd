"""A connection to the broker and the relay's thread, without a RabbitMQ: what never answers, and what can't be read."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pika
import pytest
from pika import frame, spec

from fakes.waiting import comes_true
from payme_plugin.clock import SystemClock
from payme_plugin.delivery import amqp
from payme_plugin.delivery import broker as broker_module
from payme_plugin.delivery.amqp import AmqpRelay
from payme_plugin.delivery.broker import Broker, BrokerAway

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A broker that opens a connection, then only sends heartbeats."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError), server.accept()[0] as client:
                client.recv(8)
                properties = {"capabilities": {"publisher_confirms": True}}
                for answer in (
                    spec.Connection.Start(0, 9, properties, "PLAIN", "en_US"),
                    spec.Connection.Tune(0, 131_072, 20),
                    spec.Connection.OpenOk(),
                ):
                    client.sendall(frame.Method(0, answer).marshal())
                    client.recv(4096)
                while True:
                    client.sendall(frame.Heartbeat().marshal())
                    time.sleep(0.1)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_a_broker_that_opens_no_channel_is_given_up_after_a_bounded_time(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "_ANSWER_S", 0.5)
    errors: list[BrokerAway] = []

    def connect() -> None:
        try:
            Broker(f"amqp://a:b@127.0.0.1:{silent_port}/")
        except BrokerAway as error:
            errors.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(5)

    assert [str(each) for each in errors] == ["RabbitMQ: no answer in 0.5 s"]


@pytest.mark.parametrize(
    "value",
    [
        b"T" + struct.pack(">Q", 1 << 62),
        b"d" + struct.pack(">d", float("inf")),
        b"f" + struct.pack(">f", float("nan")),
        b"A\0\0\0\x09T" + struct.pack(">Q", 1 << 62),
    ],
)
def test_headers_that_pika_can_not_read_are_skipped(value: bytes) -> None:
    broker_module._skip_unreadable_headers(pika.data)
    table = b"\x01x" + value + b"\x01yt\x01"

    assert pika.data.decode_table(struct.pack(">I", len(table)) + table + b"rest", 0) == ({}, 4 + len(table))
    assert pika.data.decode_table(b"\0\0\0\x04\x01yt\x01", 0) == ({"y": True}, 8)


class _Clock(SystemClock):
    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


def test_a_relay_that_is_wanted_again_while_its_thread_ends_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock()
    relay = AmqpRelay("amqp://a:b@127.0.0.1/", None, clock, lambda: None)
    opened: list[_Broker] = []

    class _Broker:
        def __init__(self, url: str, *, ca_file: None) -> None:
            opened.append(self)

        def declare(self, _: object) -> None: ...
        def bind(self, *_: object) -> None: ...
        def interrupt(self) -> None: ...

        def listen(self, _: object) -> str:
            return "own"

        def wait(self, _: float) -> None:
            if len(opened) == 1:
                clock.ahead_s = 3700.0
            time.sleep(0.01)

        def close(self) -> None:
            if self is opened[0]:
                relay.listen({"A"})

    monkeypatch.setattr(amqp, "Broker", _Broker)
    with closing(relay):
        relay.listen({"A"})
        assert comes_true(lambda: len(opened) >= 2)
        time.sleep(0.2)

        assert len([each for each in threading.enumerate() if each.name == "payme-relay"]) == 1
        assert len(opened) == 2
