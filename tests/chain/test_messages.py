"""The messages of a chain: JSON with a version; whatever else comes is refused with a reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.chain import message_about
from payme_plugin.delivery.broker import Received
from payme_plugin.delivery.chain_messages import (
    ChainMessage,
    Malformed,
    OutcomeMessage,
    Queues,
    UnknownVersion,
    decode,
    encode,
)
from payme_plugin.ledger.rows import CancellationRow
from payme_plugin.ledger.states import Cause

PRINTABLE = st.text(min_size=1, max_size=200).filter(str.isprintable)
NUMBERS = st.integers(0, 2**63 - 1)
MESSAGES = st.builds(
    ChainMessage,
    till=PRINTABLE,
    cancellation_id=NUMBERS,
    payment_id=PRINTABLE,
    receipt_id=PRINTABLE,
    pos_id=PRINTABLE,
    amount=NUMBERS,
    cause=st.sampled_from(Cause),
    created_at=NUMBERS,
    begun_at=NUMBERS,
    attempts=NUMBERS,
    unknown_attempts=NUMBERS,
    confirmed_at=st.none() | NUMBERS,
)
OUTCOMES = st.builds(OutcomeMessage, cancellation_id=NUMBERS, receipt_id=PRINTABLE, state=NUMBERS, at=NUMBERS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = ["v", *json.loads(encode(message_about("r")))]
OPTIONAL = {"v", "attempts", "unknown_attempts", "confirmed_at"}


@given(st.text(max_size=300), st.text(max_size=300))
def test_whatever_a_host_calls_its_till_and_its_payments_the_message_can_be_read(till: str, payment_id: str) -> None:
    row = CancellationRow(
        cancellation_id=1, payment_id=payment_id, receipt_id="r", pos_id="A", url="http://localhost/api", created_at=1,
        due_at=1, attempts=1, last_error="", ended_at=None, amount=1, cause=Cause.CANCEL, request_id="",
        offered_at=None, begun_at=1, is_queued=True, held=None, confirmed_at=None, reopened_at=None, ended_as=None,
        closed_reason=None,
    )  # fmt: skip

    message = decode(ChainMessage, encode(ChainMessage.of(row, till)))

    assert message.receipt_id == row.receipt_id
    for text, shown in ((till, message.till), (payment_id, message.payment_id)):
        assert shown == text or not (0 < len(text) <= 200 and text.isprintable())


@given(MESSAGES)
def test_a_message_comes_back_as_it_was(message: ChainMessage) -> None:
    assert decode(ChainMessage, encode(message)) == message


@given(OUTCOMES)
def test_an_outcome_comes_back_as_it_was(outcome: OutcomeMessage) -> None:
    assert decode(OutcomeMessage, encode(outcome)) == outcome


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_else_than_the_two_refusals(body: bytes) -> None:
    with pytest.raises((Malformed, UnknownVersion)):
        decode(ChainMessage, body)


@given(st.sampled_from(NAMES), JSON)
def test_a_member_of_any_other_value_is_refused_or_read_as_that_value(name: str, value: object) -> None:
    document = json.loads(encode(message_about("r"))) | {name: value}
    try:
        found = decode(ChainMessage, json.dumps(document).encode())
    except (Malformed, UnknownVersion):
        return
    assert json.loads(encode(found)) == document


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OPTIONAL])
def test_a_missing_member_is_named(name: str) -> None:
    document = json.loads(encode(message_about("r")))
    del document[name]

    with pytest.raises(Malformed, match={"posId": "pos_id"}.get(name, name)):
        decode(ChainMessage, json.dumps(document).encode())


@pytest.mark.parametrize("version", [None, 0, 2, True, 1.0, "1", [1]])
def test_any_other_version_is_named(version: object) -> None:
    document = json.loads(encode(message_about("r"))) | {"v": version}

    with pytest.raises(UnknownVersion, match="this program knows version 1"):
        decode(ChainMessage, json.dumps(document).encode())


def test_members_of_later_versions_of_the_plugin_are_ignored() -> None:
    message = message_about("r")
    document = json.loads(encode(message)) | {"more": 1}

    assert decode(ChainMessage, json.dumps(document).encode()) == message


def test_the_body_has_no_address_and_no_key() -> None:
    assert set(NAMES) == {
        "v", "till", "cancellation_id", "payment_id", "receipt_id", "posId", "amount", "cause", "created_at",
        "begun_at", "attempts", "unknown_attempts", "confirmed_at",
    }  # fmt: skip


@pytest.mark.parametrize("reason", [None, "", "no-such-reason", 5, ["malformed"]])
def test_a_parked_message_without_a_known_reason_has_none(reason: object) -> None:
    for deaths in (None, [], ["expired"], [{"reason": "expired"}]):
        headers = {"payme-reason": reason, "x-death": deaths}
        assert Received(1, b"", "", headers).park_reason is None


def test_no_queue_drops_a_message_and_the_second_query_comes_after_ten_minutes() -> None:
    queues = Queues()

    for name, arguments in queues.arguments().items():
        assert arguments["x-queue-type"] == "quorum", name
        assert arguments["x-overflow"] == "reject-publish", name
        if "x-message-ttl" in arguments:
            assert arguments["x-dead-letter-strategy"] == "at-least-once"
            assert arguments["x-dead-letter-routing-key"] == queues.work
    assert queues.confirming_s > 600
    assert queues.delay(queues.confirming_s) in queues.arguments()
