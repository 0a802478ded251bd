"""A cancellation as a message of the host's queue: versioned, without secrets, the same row always the same message."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookspecs import QueueMessage
from payme_plugin.delivery.host_queue import KIND, VERSION, Cancel, UnknownVersion, message_of, read_message
from payme_plugin.ledger.rows import CancellationRow
from payme_plugin.ledger.states import Cause

if TYPE_CHECKING:
    from collections.abc import Mapping

ROW = CancellationRow(
    cancellation_id=3,
    payment_id="p1",
    receipt_id="65aa00112233445566778899",
    amount=1_500_000,
    pos_id="kassa-id",
    url="http://localhost/api",
    cause=Cause.REFUND,
    request_id="f1",
    created_at=1_767_225_600_000,
    due_at=1_767_225_600_000,
    offered_at=None,
    attempts=0,
    last_error="",
    ended_at=None,
    begun_at=None,
    is_queued=False,
    held=None,
    confirmed_at=None,
    reopened_at=None,
    ended_as=None,
    closed_reason=None,
)
BODY = {"v": 1, "cancellation_id": 3, "payment_id": "p1", "receipt_id": "65aa00112233445566778899"}


def message(body: str) -> QueueMessage:
    return QueueMessage(message_id="m", kind=KIND, body=body, created_at=0)


def written(changes: Mapping[str, object]) -> QueueMessage:
    return message(json.dumps({**BODY, **changes}))


def test_it_says_which_cancellation_it_speaks_of_and_nothing_of_the_kassa() -> None:
    made = message_of(ROW)

    assert json.loads(made.body) == {**BODY, "amount": 1_500_000, "cause": "refund"}
    assert (made.kind, made.created_at, made.attempts) == ("payme.cancel", ROW.created_at, 0)
    assert "kassa-id" not in made.body
    assert "localhost" not in made.body


def test_the_same_row_is_the_same_message_whatever_became_of_it_meanwhile() -> None:
    assert message_of(replace(ROW, attempts=7, last_error="no answer", due_at=9, offered_at=8)) == message_of(ROW)


def test_other_rows_are_other_messages_also_of_another_journal_that_counts_from_one_again() -> None:
    ids = {
        message_of(row).message_id for row in (ROW, replace(ROW, cancellation_id=4), replace(ROW, receipt_id="0" * 24))
    }

    assert len(ids) == 3


@given(
    number=st.integers(1, 2**63 - 1),
    payment_id=st.text(min_size=1),
    receipt_id=st.text(min_size=1),
    cause=st.sampled_from(Cause),
)
def test_what_was_written_is_read(number: int, payment_id: str, receipt_id: str, cause: Cause) -> None:
    row = replace(ROW, cancellation_id=number, payment_id=payment_id, receipt_id=receipt_id, cause=cause)

    assert read_message(message_of(row)) == Cancel(number, receipt_id)


def test_fields_that_a_later_message_of_this_version_adds_are_no_obstacle() -> None:
    assert read_message(written({"added": [1, 2]})) == Cancel(3, "65aa00112233445566778899")


@pytest.mark.parametrize(
    "version", [VERSION + 1, 99, 2**70, 0, -1, None, "1", "2", "1.1", 1.0, 2.0, 1.5, True, False, [1], {}], ids=repr
)
def test_any_version_but_ours_is_unknown_whatever_else_is_in_it(version: object) -> None:
    for body in ({"v": version}, {**BODY, "v": version}, {"v": version, "cancellation_id": "in words"}):
        with pytest.raises(UnknownVersion):
            read_message(message(json.dumps(body)))


def test_an_unknown_version_is_told_in_few_words() -> None:
    with pytest.raises(UnknownVersion) as told:
        read_message(written({"v": "a\nb" * 1000}))

    assert str(told.value).startswith(r"'a\nba")
    assert len(str(told.value)) <= 40


@pytest.mark.parametrize("body", ["{}", '{"v":NaN}', '{"cancellation_id":3}'])
def test_a_message_without_a_version_has_an_unknown_one(body: str) -> None:
    with pytest.raises(UnknownVersion):
        read_message(message(body))


@pytest.mark.parametrize(
    "changes",
    [
        {"cancellation_id": "3"}, {"cancellation_id": None}, {"cancellation_id": 3.0}, {"cancellation_id": True},
        {"receipt_id": {}}, {"receipt_id": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_body_of_another_shape_is_not_ours(changes: dict[str, object]) -> None:
    assert read_message(written(changes)) is None


@pytest.mark.parametrize(
    "body",
    ["", "null", "[]", "7", '"v"', "{", "not json", '{"v":', "[" * 100_000, "\x00", "\ud800"],
    ids=range(11),
)
def test_a_body_that_is_no_message_is_not_ours(body: str) -> None:
    assert read_message(message(body)) is None


@given(st.text())
def test_no_text_at_all_raises_anything_but_a_newer_version(body: str) -> None:
    assert read_message(message(body)) is None
