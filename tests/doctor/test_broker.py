"""The check of ``queueUrl`` without a broker; ``tests/chain`` has it with one."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

from payme_plugin.delivery.broker import BrokerRefuses
from payme_plugin.doctor import Check, Level
from payme_plugin.doctor import broker as broker_check
from tests.doctor.conftest import examined, finding, findings

if TYPE_CHECKING:
    import pytest

    from tests.doctor.conftest import DoctorTill


def test_without_the_setting_nothing_is_said_about_a_broker(till: DoctorTill) -> None:
    assert findings(examined(till), Check.BROKER) == []


def test_a_broker_that_is_not_reached_is_a_fault_without_its_password(till: DoctorTill) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    till.configure(queueUrl=f"amqp://till-1:canary@127.0.0.1:{port}/%2f")

    report = examined(till)

    found = finding(report, Check.BROKER)
    assert found.level is Level.FAULT
    assert str(found.text).startswith(f"RabbitMQ at 127.0.0.1:{port} can't be used now: ")
    assert "Check host and port in queueUrl" in str(found.remedy)
    assert "canary" not in repr(report)


def test_without_pika_the_fault_names_the_package(till: DoctorTill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pika", None)
    till.configure(queueUrl="amqp://localhost/%2f")

    found = finding(examined(till), Check.BROKER)

    assert (found.level, "python3-pika" in str(found.remedy)) == (Level.FAULT, True)


def test_an_address_that_pika_does_not_accept_is_a_fault(till: DoctorTill, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: object, **named: object) -> None:
        raise BrokerRefuses("pika does not accept it")

    monkeypatch.setattr(broker_check, "Broker", refused)
    till.configure(queueUrl="amqp://localhost/%2f")

    found = finding(examined(till), Check.BROKER)

    assert (found.level, "Correct queueUrl" in str(found.remedy)) == (Level.FAULT, True)
