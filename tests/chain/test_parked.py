"""``payme queue list`` with a broker, and ``payme queue parked``: what operators see and do."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pika
import pytest

from fakes.waiting import comes_true
from payme_plugin.delivery.broker import Broker
from payme_plugin.delivery.chain_messages import EXPLANATION, PARKED, PARKED_AT, REASON, Queues, encode
from tests.command.conftest import ROOT, environment, payme

if TYPE_CHECKING:
    from fakes.chain import Chain
    from faults.rabbitmq import RabbitMq
    from tests.command.conftest import Ended

pytestmark = pytest.mark.broker

WORK, LATER = Queues().work, Queues().pause(3)
HEADERS = {REASON: "unknown-account", EXPLANATION: "accounts.conf has no merchant account A", PARKED_AT: 1}


@pytest.fixture
def chain(chain: Chain) -> Chain:
    """The chain with the queues that the command uses."""
    chain.queues = Queues()
    chain.declare()
    return chain


def park(chain: Chain, count: int) -> list[str]:
    """Park messages; return their ids."""
    messages = chain.owe(chain.a, count)
    with closing(chain.connect()) as broker:
        for each in messages:
            broker.publish(PARKED, encode(each), each.message_id, headers=HEADERS)
    return [each.message_id for each in messages]


def ids_in(chain: Chain, queue: str) -> list[str]:
    """Return the ids of the messages in a queue, in order, and leave them there."""
    with closing(chain.connect()) as broker:
        found = []
        while (received := broker.get(queue)) is not None:
            found.append(received)
    return [each.message_id for each in found]


def run(chain: Chain, words: str, *options: str) -> Ended:
    folder = ("--conf", str(chain.folder / "none.conf"), "--data-dir", str(chain.folder))
    return payme(*folder, *words.split(), "--broker", chain.url, *options)


# ---------------------------------------------------------------------------------------------------------------------
# List
# ---------------------------------------------------------------------------------------------------------------------


def test_the_list_has_who_what_why_and_for_how_long_and_leaves_all_in_its_order(chain: Chain) -> None:
    ids = park(chain, 3)
    shown = run(chain, "queue parked list", "--limit", "2")
    documents = run(chain, "queue parked list", "--json").document

    assert shown.code == 0
    assert [line.split()[0] for line in shown.out.splitlines()] == ["Id", *ids[:2], "..."]
    assert all(each in shown.out for each in ("till-1", "15 000.00", "unknown-account: accounts.conf has no merchant"))
    assert [each["id"] for each in documents] == ids
    assert documents[0]["reason"] == "unknown-account"
    assert 0 <= documents[0]["age_s"] < 60
    assert ids_in(chain, PARKED) == ids


def test_a_message_that_can_not_be_read_has_an_id_too(chain: Chain) -> None:
    with closing(chain.connect()) as broker:
        broker.publish(PARKED, b"\xff", "", headers={REASON: "malformed", PARKED_AT: 1, EXPLANATION: 5})
    assert "malformed" in run(chain, "queue parked list").out
    (document,) = run(chain, "queue parked list", "--json").document

    assert (document["till"], document["reason"], len(document["id"])) == (None, "malformed", 16)
    assert run(chain, "queue parked close", document["id"], "--reason", "not ours").code == 0
    assert chain.sizes() == {}


@pytest.mark.parametrize("hostile", ["id", "header"])
def test_a_message_whose_id_or_headers_can_not_be_read_is_parked_and_hides_no_other(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, hostile: str
) -> None:
    bad = {"message_id": b"\xff"} if hostile == "id" else {"headers": {"x": 0}}
    with closing(chain.connect()) as broker, monkeypatch.context() as patched:
        far_time = b"T" + struct.pack(">Q", 1 << 62)
        patched.setattr(pika.data, "encode_value", lambda pieces, _: pieces.append(far_time) or len(far_time))
        broker._channel.basic_publish("", WORK, b"?", pika.BasicProperties(**bad))
    with chain.worker():
        assert comes_true(lambda: chain.sizes() == {PARKED: 1})
    (other,) = park(chain, 1)
    first, second = run(chain, "queue parked list", "--json").document

    assert (first["reason"], second["id"]) == ("malformed", other)
    assert run(chain, "queue parked close", first["id"], "--reason", "hostile").code == 0
    assert ids_in(chain, PARKED) == [other]


def test_none_parked_is_said(chain: Chain) -> None:
    assert run(chain, "queue parked list").out == "No parked messages.\n"
    assert run(chain, "queue parked list", "--json").document == []


# ---------------------------------------------------------------------------------------------------------------------
# Retry
# ---------------------------------------------------------------------------------------------------------------------


def test_retry_gives_one_message_or_all_to_the_workers_as_they_were(chain: Chain) -> None:
    ids = park(chain, 4)

    assert run(chain, "queue parked retry", ids[1], "--json").document == {"retried": [ids[1]]}
    assert (ids_in(chain, PARKED), ids_in(chain, WORK)) == ([ids[0], ids[2], ids[3]], [ids[1]])
    assert run(chain, "queue parked retry", "--all").out == "Given to the central workers again: 3.\n"
    assert sorted(ids_in(chain, WORK)) == sorted(ids)
    assert chain.sizes() == {WORK: 4}


def test_retried_messages_are_carried_out(chain: Chain) -> None:
    park(chain, 2)
    run(chain, "queue parked retry", "--all")
    with chain.worker():
        assert comes_true(lambda: not chain.a.held())


def test_a_message_that_is_parked_again_at_once_is_retried_once_per_command(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    park(chain, 2)
    publish = Broker.publish

    def parked_again(self: Broker, routing_key: str, body: bytes, message_id: str) -> None:
        publish(self, PARKED, body, message_id)

    monkeypatch.setattr(Broker, "publish", parked_again)

    assert len(run(chain, "queue parked retry", "--all", "--json").document["retried"]) == 2


def test_a_command_that_dies_between_publishing_and_removing_loses_nothing(chain: Chain) -> None:
    ids = park(chain, 2)
    script = "import os; from payme_plugin.delivery.broker import Broker; Broker.acknowledge = lambda *_: os._exit(9); "
    script += "from payme_plugin.cli import main; main(prog_name='payme')"
    command = [sys.executable, "-c", script, "queue", "parked", "retry", ids[0], "--broker", chain.url]
    died = subprocess.run(command, env=environment(), check=False)  # noqa: S603 - our own command

    assert died.returncode == 9
    assert comes_true(lambda: chain.sizes() == {PARKED: 2, WORK: 1}, look_s=0.1), "twice is harmless"


@pytest.mark.parametrize("words", ["queue parked retry none", "queue parked close none --reason because"])
def test_an_unknown_id_is_refused_and_changes_nothing(chain: Chain, words: str) -> None:
    ids = park(chain, 2)
    found = run(chain, words)

    assert found.code == 1
    assert found.sentences == ["No message 'none' is parked; `payme queue parked list` shows which are."]
    assert ids_in(chain, PARKED) == ids


@pytest.mark.parametrize("words", ["queue parked retry", "queue parked retry ID --all"])
def test_retry_needs_one_id_or_all(chain: Chain, words: str) -> None:
    park(chain, 1)

    assert run(chain, words).code == 2
    assert chain.sizes() == {PARKED: 1}


# ---------------------------------------------------------------------------------------------------------------------
# Close
# ---------------------------------------------------------------------------------------------------------------------


def test_close_removes_the_message_says_what_remains_and_logs_the_reason_without_asking_payme(chain: Chain) -> None:
    ids = park(chain, 2)
    found = run(chain, "queue parked close", ids[0], "--reason", "returned in the shop")

    assert (found.code, found.out) == (
        0,
        f"The message {ids[0]} is removed. Till till-1 still has the cancellation and goes on with it by itself.\n",
    )
    assert f"the parked message {ids[0]} is closed by hand: returned in the shop" in found.err
    assert ids_in(chain, PARKED) == ids[1:]
    assert chain.a.requests == ()


def test_close_needs_a_reason(chain: Chain) -> None:
    (parked_id,) = park(chain, 1)

    assert run(chain, "queue parked close", parked_id).code == 2
    assert chain.sizes() == {PARKED: 1}


# ---------------------------------------------------------------------------------------------------------------------
# What is at the broker
# ---------------------------------------------------------------------------------------------------------------------


def test_queue_list_at_head_office_shows_each_queue_with_the_age_of_its_head(chain: Chain) -> None:
    park(chain, 1)
    (old,) = chain.owe(chain.a)
    chain.publish(replace(old, created_at=old.created_at - 7_200_000), queue="payme.delay.900s")
    shown = run(chain, "queue list")
    document = run(chain, "queue list", "--json").document

    assert shown.code == 0
    assert shown.out.startswith("At the broker amqp://***@127.0.0.1")
    assert ["payme.delay.900s", "1", "0", "2", "h"] in [line.split() for line in shown.out.splitlines()]
    queues = {each["name"]: each for each in document["broker"]["queues"]}
    assert list(queues) == list(Queues().arguments())
    assert queues["payme.delay.900s"]["age_s"] // 60 == 120
    assert queues[WORK] == {"name": WORK, "messages": 0, "consumers": 0, "age_s": None}
    assert (document["cancellations"], document["broker"]["error"]) == ([], None)


def test_a_look_at_the_work_queue_of_running_workers_takes_nothing_from_it(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    monkeypatch.setattr(Broker, "get", lambda self, queue: looked_at.append(queue))
    monkeypatch.setattr(Broker, "size", lambda self, queue: (5, 8 if queue == WORK else 0))
    run(chain, "queue list")

    assert WORK not in looked_at
    assert PARKED in looked_at


def test_a_till_with_queue_url_shows_its_rows_and_the_broker(chain: Chain) -> None:
    conf = chain.folder / "payme.conf"
    conf.write_text(f'[Main]\nqueueUrl = "{chain.url}"\n')
    found = payme("--conf", str(conf), "--data-dir", str(chain.folder), "--json", "queue", "list")

    assert list(found.document) == ["cancellations", "broker"]
    assert found.document["broker"]["url"].startswith("amqp://***@")


def test_the_user_of_a_till_counts_what_it_may_not_read(chain: Chain, chain_vhost: str, rabbitmq: RabbitMq) -> None:
    (later,) = chain.owe(chain.a)
    chain.publish(later, queue=LATER)
    own = "^amq\\.gen"
    rabbitmq.add_user("counting-till", "word", chain_vhost, configure=own, write=own, read=own)
    chain.url = rabbitmq.url(chain_vhost, "counting-till", "word")
    found = run(chain, "queue list", "--json")

    assert (found.code, found.document["broker"]["error"]) == (0, None)
    queues = {each["name"]: (each["messages"], each["age_s"]) for each in found.document["broker"]["queues"]}
    assert (queues[LATER], queues[PARKED]) == ((1, None), (0, None))


def test_a_broker_that_is_away_is_an_error_beside_the_list(chain: Chain) -> None:
    away = "amqp://a:s3cr3t@127.0.0.1:1"
    found = payme("--data-dir", str(chain.folder), "--json", "queue", "list", "--broker", away)

    assert (found.code, found.document["cancellations"], found.document["broker"]["queues"]) == (1, [], [])
    assert found.document["broker"]["error"].endswith("Connection refused")
    assert "s3cr3t" not in found.out + found.err
    for words in ("list", "retry --all", "close ID --reason because"):
        found = payme("queue", "parked", *words.split(), "--broker", away)
        assert (found.code, "s3cr3t" in found.err) == (1, False)


def test_every_document_has_the_names_that_the_page_gives(chain: Chain) -> None:
    (parked_id,) = park(chain, 1)
    (listed,) = run(chain, "queue parked list", "--json").document
    closed = run(chain, "queue parked close", parked_id, "--reason", "because", "--json").document

    assert list(listed) == list(closed)
    rows = [line.split("|") for line in (ROOT / "docs/cli.md").read_text(encoding="utf-8").splitlines()]
    (row,) = [each for each in rows if each[1:2] == [" `payme queue parked list` "]]
    assert re.findall("`([a-z_]+)`", row[2]) == list(listed)
