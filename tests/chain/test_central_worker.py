"""Central workers with a real broker and real servers: what follows each answer, faults, slow accounts, the process."""

from __future__ import annotations

import json
import logging
import signal
import time
import urllib.request
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from fakes.chain import QUICK, Chain
from fakes.waiting import comes_true
from faults.backlog import AMOUNT
from faults.rabbitmq import PASSWORD
from payme_plugin.clock import SystemClock
from payme_plugin.delivery import broker as broker_module
from payme_plugin.delivery import chain_messages
from payme_plugin.delivery.central_metrics import Metrics
from payme_plugin.delivery.chain_messages import PARKED, ParkReason, Queues, encode
from payme_plugin.sandbox import FaultKind, InjectedFault
from tests.command.conftest import payme, running

if TYPE_CHECKING:
    import subprocess
    from contextlib import AbstractContextManager

    from faults.rabbitmq import RabbitMq
    from payme_plugin.delivery.chain_messages import ChainMessage

pytestmark = pytest.mark.broker

CHECK, CANCEL = "receipts.check", "receipts.cancel"
LATER = QUICK.delay(1)
CONFIRMING = QUICK.delay(QUICK.confirming_s)


def is_empty(chain: Chain, within_s: float = 20) -> bool:
    return comes_true(lambda: not chain.sizes(), within_s, look_s=0.1)


def moved_on(chain: Chain, queue: str, within_s: float = 10) -> bool:
    """Return whether a worker takes everything from the work queue, so that one message is in another."""
    return comes_true(lambda: chain.sizes() == {queue: 1}, within_s, look_s=0.05)


# ---------------------------------------------------------------------------------------------------------------------
# What follows an attempt
# ---------------------------------------------------------------------------------------------------------------------


def test_money_goes_back_the_till_hears_it_twice_and_nothing_is_left(chain: Chain) -> None:
    (message,) = chain.owe(chain.a)
    with chain.outcomes("A") as heard, chain.worker():
        chain.publish(message)
        assert chain.hears(heard, 1)
        assert chain.a.held() == 0
        assert chain.hears(heard, 2), "asked a second time after the pause"
        assert is_empty(chain)

    assert {(each.cancellation_id, each.receipt_id, each.state) for each in heard} == {(1, message.receipt_id, 50)}
    assert heard[1].at - heard[0].at >= 2_900
    assert [each.method for each in chain.a.requests] == [CHECK, CANCEL, CHECK]


def test_an_outcome_goes_to_the_tills_of_its_account_only(chain: Chain) -> None:
    chain.publish(*chain.owe(chain.a), *chain.owe(chain.b))
    with chain.outcomes("B") as heard, chain.worker():
        assert chain.hears(heard, 2)
        assert is_empty(chain)

    assert {each.receipt_id for each in heard} == {each.receipt_id for each in chain.b.receipts()}


def test_if_payme_takes_its_cancelled_back_the_receipt_is_cancelled_again_and_both_answers_are_asked_for_anew(
    chain: Chain,
) -> None:
    (message,) = chain.owe(chain.a)
    chain.publish(replace(message, confirmed_at=message.created_at))
    with chain.outcomes("A") as heard, chain.worker():
        assert chain.hears(heard, 2)
        assert is_empty(chain)

    assert [each.method for each in chain.a.requests] == [CHECK, CANCEL, CHECK]
    assert chain.a.held() == 0


@pytest.mark.parametrize("confirmed_at", [None, 1_700_000_000_000], ids=["first", "second"])
def test_without_a_usable_answer_the_next_attempt_is_published_as_an_ordinary_one(
    chain: Chain, confirmed_at: int | None
) -> None:
    (message,) = chain.owe(chain.a)
    chain.a.inject(InjectedFault(FaultKind.HTTP_ERROR, CHECK, times=None, status=502))
    chain.publish(replace(message, confirmed_at=confirmed_at, unknown_attempts=19))
    with chain.worker():
        assert moved_on(chain, LATER)

    assert chain.take(LATER) == replace(message, attempts=1, unknown_attempts=19, confirmed_at=None)


def test_the_pauses_grow_and_a_message_without_an_answer_is_never_parked(chain: Chain) -> None:
    (message,) = chain.owe(chain.a)
    chain.a.inject(InjectedFault(FaultKind.HTTP_ERROR, CHECK, times=None, status=502))
    chain.publish(replace(message, attempts=100_000))
    with chain.worker():
        assert moved_on(chain, QUICK.delay(2))

    assert [Queues().pause(attempts) for attempts in (0, 1, 2, 3, 4, 1000)] == [
        f"payme.delay.{seconds}s" for seconds in (5, 30, 120, 900, 900, 900)
    ]


@pytest.mark.parametrize(("unknown_attempts", "is_parked"), [(18, False), (19, True)])
def test_a_receipt_that_payme_does_not_know_twenty_times_is_parked_however_often_there_was_no_answer_before(
    chain: Chain, unknown_attempts: int, is_parked: bool
) -> None:
    (message,) = chain.owe(chain.a)
    message = replace(message, receipt_id="0" * 24, attempts=1000, unknown_attempts=unknown_attempts)
    chain.publish(message)
    with chain.worker():
        assert moved_on(chain, PARKED if is_parked else QUICK.delay(2))

    if not is_parked:
        assert chain.take(QUICK.delay(2)) == replace(message, attempts=1001, unknown_attempts=19)
    else:
        (parked,) = chain.parked()
        assert (parked.park_reason, parked.body) == (ParkReason.UNKNOWN_RECEIPT, encode(message))
        assert str(parked.headers["payme-explanation"]).startswith("receipts.check: error -3")


def test_a_message_of_an_account_without_a_key_is_parked_at_once_and_its_reason_names_the_account(chain: Chain) -> None:
    (message,) = chain.owe(chain.a)
    chain.publish(replace(message, pos_id="C"))
    with chain.worker():
        assert moved_on(chain, PARKED)

    (parked,) = chain.parked()
    assert parked.park_reason is ParkReason.UNKNOWN_ACCOUNT
    assert str(parked.headers["payme-explanation"]).endswith("has no merchant account C")
    assert chain.a.requests == chain.b.requests == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff\x00", ParkReason.MALFORMED),
        (b"{}", ParkReason.UNKNOWN_VERSION),
        (b'{"v":2,"receipt_id":"r"}', ParkReason.UNKNOWN_VERSION),
        (b'{"v":1,"till":"t"}', ParkReason.MALFORMED),
    ],
)
def test_what_can_not_be_read_is_parked_unchanged(chain: Chain, body: bytes, reason: ParkReason) -> None:
    with closing(chain.connect()) as broker:
        broker.publish(QUICK.work, body, "an id")
    with chain.worker():
        assert moved_on(chain, PARKED)

    (parked,) = chain.parked()
    assert (parked.body, parked.message_id, parked.park_reason) == (body, "an id", reason)


def test_duplicates_and_a_receipt_that_is_cancelled_already_return_nothing_twice(chain: Chain) -> None:
    (message,) = chain.owe(chain.a)
    chain.publish(message, message, message)
    with chain.outcomes("A") as heard, chain.worker(consumers=1):
        assert chain.hears(heard, 6)
        assert is_empty(chain)

    assert [each.method for each in chain.a.requests].count(CANCEL) == 1
    assert sum(each.amount for each in chain.a.bank.movements(chain.a.now_ms())) == 0


# ---------------------------------------------------------------------------------------------------------------------
# Slow servers
# ---------------------------------------------------------------------------------------------------------------------


def test_an_account_whose_server_never_answers_holds_up_no_other(chain: Chain) -> None:
    chain.timeout_s = 15
    chain.write_accounts(chain.a, chain.b)
    chain.a.inject(InjectedFault(FaultKind.SILENT, CHECK, times=None))
    chain.publish(*chain.owe(chain.a, 200), *chain.owe(chain.b, 100))
    began_at = time.monotonic()
    with chain.worker():
        assert comes_true(lambda: not chain.b.held(), 14)
        took_s = time.monotonic() - began_at
        assert chain.a.held() == 200 * AMOUNT
        assert len(chain.a.requests) <= 6
        chain.a.clear_faults()
        assert comes_true(lambda: not chain.a.held(), 60), "none of the slow account's is lost"

    assert took_s < 14, "less than one request of the slow account takes"


def test_a_delivery_takes_three_requests_at_most(chain: Chain) -> None:
    """Each of them at most 10 s, which ``test_accounts`` shows: an attempt holds its message for less than a minute."""
    (message,) = chain.owe(chain.a)
    chain.timeout_s = 1
    chain.write_accounts(chain.a)
    chain.a.put_state(message.receipt_id, 30)
    chain.a.inject(InjectedFault(FaultKind.SILENT, CANCEL, times=None))
    chain.a.inject(InjectedFault(FaultKind.SILENT, CHECK, skip=1, times=None))
    chain.publish(message)
    began_at = time.monotonic()
    with chain.worker(consumers=1):
        assert moved_on(chain, LATER)

    assert 2 * chain.timeout_s <= time.monotonic() - began_at < 6 * chain.timeout_s
    assert [each.method for each in chain.a.requests] == [CHECK, CANCEL, CHECK]


# ---------------------------------------------------------------------------------------------------------------------
# Faults of the broker and of workers
# ---------------------------------------------------------------------------------------------------------------------


def test_a_next_attempt_that_can_not_be_published_leaves_the_message_where_it_was(chain: Chain) -> None:
    (message,) = chain.owe(chain.a)
    chain.a.inject(InjectedFault(FaultKind.ERROR_AFTER_EFFECT, CHECK, times=None, error_code=-32400))
    with chain.worker(consumers=1), closing(chain.connect()) as broker:
        assert comes_true(lambda: broker.size(QUICK.work)[1] == 1)
        broker._channel.queue_delete(LATER)
        chain.publish(message)
        assert comes_true(lambda: len(chain.a.requests) >= 2), "delivered again after the queue was declared again"
        assert comes_true(lambda: sum(chain.sizes().values()) == 1, look_s=0.1)
        chain.a.clear_faults()
        assert comes_true(lambda: not chain.a.held())


def test_queues_that_are_deleted_while_a_worker_runs_are_declared_again(chain: Chain) -> None:
    with chain.worker(consumers=2), closing(chain.connect()) as broker:
        assert comes_true(lambda: broker.size(QUICK.work)[1] == 2)
        for name in QUICK.arguments():
            broker._channel.queue_delete(name)
        assert comes_true(lambda: _consumers(chain) == 2)
        chain.publish(*chain.owe(chain.a, 3))
        assert comes_true(lambda: not chain.a.held())


def _consumers(chain: Chain) -> int:
    with closing(chain.connect()) as broker:
        try:
            return broker.size(QUICK.work)[1]
        except broker_module.BrokerAway:
            return 0


def test_a_broker_that_is_killed_is_connected_to_again_and_nothing_is_lost(rabbitmq: RabbitMq, chain: Chain) -> None:
    messages = chain.owe(chain.a, 40)
    chain.a.inject(InjectedFault(FaultKind.ANSWER_DELAYED, CHECK, times=None, after_s=0.1))
    with chain.worker(consumers=4):
        chain.publish(*messages)
        assert comes_true(lambda: chain.a.held() < 40 * AMOUNT)
        rabbitmq.flush_tables()
        rabbitmq.kill()
        rabbitmq.start()
        assert comes_true(lambda: not chain.a.held(), 60)
        assert is_empty(chain, 60)

    returned = [each.receipt_id for each in chain.a.bank.movements(chain.a.now_ms()) if each.amount < 0]
    assert len(returned) == len(set(returned)) == 40


def test_a_queue_that_never_confirms_holds_up_a_worker_for_a_bounded_time(
    rabbitmq: RabbitMq,
    chain_vhost: str,
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(broker_module, "_ANSWER_S", 0.5)
    (message,) = chain.owe(chain.a)
    with chain.worker(consumers=1):
        assert comes_true(lambda: _consumers(chain) == 1)
        with rabbitmq.silent_queue(CONFIRMING, chain_vhost):
            chain.publish(message)
            assert comes_true(lambda: "no answer in" in caplog.text)
        assert is_empty(chain), "delivered again, and asked for the second time"


def test_a_broker_that_hangs_is_given_up_after_a_bounded_time(
    rabbitmq: RabbitMq, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "_ANSWER_S", 0.5)
    with closing(chain.connect()) as publishing, closing(chain.connect()) as asking, rabbitmq.paused():
        for request in (lambda: publishing.publish(QUICK.work, b"{}", "id"), lambda: asking.size(QUICK.work)):
            began_at = time.monotonic()
            with pytest.raises(broker_module.BrokerAway, match="no answer"):
                request()
            assert time.monotonic() - began_at < 2


def test_a_message_that_ends_every_worker_is_parked_by_the_broker_with_its_reason(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    (message,) = chain.owe(chain.a)
    monkeypatch.setattr(chain_messages, "_DELIVERY_LIMIT", 2)
    with closing(chain.connect()) as broker:
        broker._channel.queue_delete(QUICK.work)
        broker.declare(QUICK)
    chain.publish(message)
    for _ in range(3):
        with closing(chain.connect()) as broker:
            assert comes_true(lambda broker=broker: broker.get(QUICK.work))  # type: ignore[misc]
    assert comes_true(lambda: chain.sizes() == {PARKED: 1}, look_s=0.1)

    (parked,) = chain.parked()
    assert (parked.park_reason, parked.body) == (ParkReason.DELIVERY_LIMIT, encode(message))


def test_a_fault_of_the_plugin_in_one_message_stops_no_other_and_is_tried_again(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poison, good = chain.owe(chain.a, 2)
    failed: list[int] = []
    with chain.worker(consumers=1) as worker:
        attempt = worker._attempt

        def failing(client: object, limits: object, message: ChainMessage) -> object:
            if message.receipt_id == poison.receipt_id and len(failed) < 2:
                failed.append(message.attempts)
                raise RuntimeError(chain.a.pos_key)
            return attempt(client, limits, message)  # type: ignore[arg-type]

        monkeypatch.setattr(worker, "_attempt", failing)
        with caplog.at_level(logging.INFO, "payme"):
            chain.publish(poison, good)
            assert comes_true(lambda: chain.a.held() == AMOUNT)
            assert comes_true(lambda: chain.a.held() == 0)

    assert failed == [0, 1]
    assert "RuntimeError" in caplog.text
    assert chain.a.pos_key not in caplog.text


# ---------------------------------------------------------------------------------------------------------------------
# The process
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shipped(chain: Chain) -> Chain:
    """The chain with the queues that the command uses."""
    chain.queues = Queues()
    chain.declare()
    return chain


def process(chain: Chain, *options: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return running("worker", "--broker", chain.url, "--accounts", str(chain.accounts), *options)


def ended(worker: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = worker.communicate(timeout=20)
    return worker.returncode, out, err


def test_it_says_what_it_works_with_logs_each_attempt_and_ends_on_sigterm_without_secrets(shipped: Chain) -> None:
    (message,) = shipped.owe(shipped.a)
    with process(shipped, "--json") as worker:
        shipped.publish(message)
        assert comes_true(lambda: not shipped.a.held())
        assert comes_true(lambda: shipped.sizes() == {"payme.delay.610s": 1}, look_s=0.1)
        worker.send_signal(signal.SIGTERM)
        code, out, err = ended(worker)

    document = json.loads(out)
    assert (code, document["accounts"], document["consumers"], document["metrics"]) == (0, 2, 8, None)
    assert document["broker"].startswith("amqp://***@127.0.0.1:")
    assert f"till till-1, posId A, receipt {message.receipt_id}: receipts.cancel: state 50, " in err
    assert len(err.splitlines()) == 1, "one line for an attempt"
    secrets = (shipped.a.pos_key, shipped.b.pos_key, PASSWORD, quote(PASSWORD, safe=""))
    assert all(secret not in out + err for secret in secrets)


def test_killed_while_it_holds_a_delivery_its_message_is_carried_out_by_another_and_money_goes_back_once(
    shipped: Chain,
) -> None:
    (message,) = shipped.owe(shipped.a)
    shipped.a.inject(InjectedFault(FaultKind.SILENT_AFTER_EFFECT, CANCEL))
    shipped.publish(message)
    with process(shipped) as worker:
        assert comes_true(lambda: not shipped.a.held())
        worker.kill()
    with process(shipped):
        assert comes_true(lambda: shipped.sizes() == {"payme.delay.610s": 1}, 20, look_s=0.1)

    assert [each.method for each in shipped.a.requests] == [CHECK, CANCEL, CHECK]
    assert sum(each.amount for each in shipped.a.bank.movements(shipped.a.now_ms())) == 0


def test_sigterm_aborts_a_request_that_takes_too_long_and_its_message_is_not_lost(shipped: Chain) -> None:
    shipped.timeout_s = 60
    shipped.write_accounts(shipped.a)
    shipped.a.inject(InjectedFault(FaultKind.SILENT, CHECK, times=None))
    shipped.publish(*shipped.owe(shipped.a))
    with process(shipped) as worker:
        assert comes_true(lambda: len(shipped.a.requests) == 1)
        asked_at = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        code, _, _ = ended(worker)

    assert code == 0
    assert time.monotonic() - asked_at < 4
    assert shipped.sizes() == {"payme.delay.5s": 1}


def test_keys_are_read_again_when_the_file_changes(shipped: Chain) -> None:
    shipped.write_accounts(shipped.b)
    with process(shipped) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        shipped.write_accounts(shipped.a, shipped.b)
        assert worker.stderr is not None
        assert worker.stderr.readline().endswith(f"{shipped.accounts}: 2 merchant accounts\n")
        shipped.publish(*shipped.owe(shipped.a))
        assert comes_true(lambda: not shipped.a.held())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("wrong password", "ACCESS_REFUSED"),
        ("wrong vhost", "NOT_ALLOWED"),
    ],
)
def test_a_broker_that_refuses_it_ends_it_with_the_reason_and_without_the_password(
    shipped: Chain, url: str, said: str
) -> None:
    login, _, host = shipped.url.rpartition("@")
    wrong = {"wrong password": f"{login}s3cr3t@{host}", "wrong vhost": f"{login}@{host.partition('/')[0]}/none"}[url]
    found = payme("worker", "--broker", wrong, "--accounts", str(shipped.accounts))

    assert found.code == 2
    assert found.sentences[0].startswith("The broker amqp://***@127.0.0.1")
    assert said in found.sentences[0]
    assert "s3cr3t" not in found.err


def test_queues_with_other_properties_end_it_with_the_name_of_the_queue(shipped: Chain) -> None:
    with closing(shipped.connect()) as broker:
        broker._channel.queue_delete(PARKED)
        broker._channel.queue_declare(PARKED, durable=True)
    found = payme("worker", "--broker", shipped.url, "--accounts", str(shipped.accounts))

    assert found.code == 2
    assert PARKED in found.sentences[0]


def test_a_broker_that_is_away_at_the_start_is_waited_for(shipped: Chain) -> None:
    with running("worker", "--broker", "amqp://a:s3cr3t@127.0.0.1:1", "--accounts", str(shipped.accounts)) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith("Delivering the cancellations at amqp://***@127.0.0.1:1 ")
        worker.send_signal(signal.SIGTERM)
        code, _, err = ended(worker)

    assert code == 0
    assert "Connection refused" in err
    assert "s3cr3t" not in err


# ---------------------------------------------------------------------------------------------------------------------
# Metrics
# ---------------------------------------------------------------------------------------------------------------------


def test_metrics_count_attempts_errors_and_what_waits_for_how_long(chain: Chain) -> None:
    pytest.importorskip("prometheus_client")
    chain.a.inject(InjectedFault(FaultKind.ERROR, CHECK, times=None, error_code=-32400))
    (failing,), (good,) = chain.owe(chain.a), chain.owe(chain.b)
    metrics = Metrics(chain.connect, chain.queues, SystemClock())
    with metrics.served("127.0.0.1", 0) as port, chain.worker(metrics=metrics):
        chain.publish(
            replace(failing, created_at=failing.created_at - 3_600_000, attempts=5),
            replace(good, created_at=1),
            replace(good, pos_id="C"),
        )
        assert comes_true(lambda: len(chain.sizes()) == 3, look_s=0.05)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            lines = answer.read().decode().splitlines()

    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(found["payme_parked"]) == 1
    assert float(found['payme_waiting{queue="payme.delay.2s"}']) == 1
    assert float(found['payme_attempts_total{outcome="later"}']) == 1
    assert float(found['payme_attempts_total{outcome="done"}']) == 1
    assert float(found['payme_errors_total{error="-32400"}']) == 1
    assert 3_600 <= float(found["payme_oldest_seconds"]) < 3_660
