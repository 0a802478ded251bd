"""A cancellation as a message of the host's queue, and ``on_queue_message``: one step of that cancellation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.owed_money import owe, owe_paid, owe_refund
from fakes.paymego import Passage
from hookspecs import QueueMessage, QueueVerdict
from payme_plugin.delivery.host_queue import KIND, VERSION, Cancel, UnknownVersion, message_of, read_message
from payme_plugin.plugin import PaymePlugin
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

CANCEL, NOTICE = "receipts.cancel", "payme.queue"
DAY_S = 86_400.0
BODY = {"v": 1, "cancellation_id": 3, "payment_id": "p1", "receipt_id": "65aa00112233445566778899"}


def message(body: object) -> QueueMessage:
    return QueueMessage(
        message_id="m", kind=KIND, body=body if isinstance(body, str) else json.dumps(body), created_at=0
    )


def of_a_newer_version(message: QueueMessage) -> QueueMessage:
    return replace(message, body=json.dumps({"v": 2, "all": "different"}))


# The message.


def test_it_says_which_cancellation_it_is_about_and_nothing_of_the_account(till: HookedWorld) -> None:
    row = owe_refund(till)
    made = message_of(row)

    assert json.loads(made.body) == {
        "v": 1,
        "cancellation_id": row.cancellation_id,
        "payment_id": "p1",
        "receipt_id": row.receipt_id,
        "amount": 1_500_000,
        "cause": "refund",
    }
    assert (made.kind, made.created_at, made.attempts) == ("payme.cancel", row.created_at, 0)


def test_a_row_is_the_same_message_whatever_became_of_it_and_another_row_is_another_one(till: HookedWorld) -> None:
    row = owe(till)
    later = row._replace(attempts=7, last_error="no answer", due_at=9, offered_at=8)
    others = (row._replace(cancellation_id=row.cancellation_id + 1), row._replace(receipt_id="0" * 24))

    assert message_of(later) == message_of(row)
    assert len({message_of(each).message_id for each in (row, *others)}) == 3


@given(number=st.integers(1, 2**63 - 1), texts=st.tuples(st.text(min_size=1), st.text(min_size=1)))
def test_a_written_message_is_read_and_unknown_fields_of_a_later_version_are_ignored(
    number: int, texts: tuple[str, str]
) -> None:
    payment_id, receipt_id = texts
    body = {"v": VERSION, "cancellation_id": number, "payment_id": payment_id, "receipt_id": receipt_id}

    assert read_message(message(body)) == read_message(message({**body, "added": [1, 2]})) == Cancel(number, receipt_id)


@pytest.mark.parametrize("version", [VERSION + 1, 2**70, 0, -1, None, "1", 1.0, True, False, [1], {}], ids=repr)
def test_any_version_but_ours_is_unknown_whatever_else_is_in_it(version: object) -> None:
    for body in ({"v": version}, {**BODY, "v": version}, {"v": version, "cancellation_id": "in words"}, {}):
        with pytest.raises(UnknownVersion):
            read_message(message(body))


def test_an_unknown_version_is_shown_in_few_words() -> None:
    with pytest.raises(UnknownVersion) as unknown:
        read_message(message({**BODY, "v": "a\nb" * 1000}))

    assert str(unknown.value).startswith(r"'a\nba")
    assert len(str(unknown.value)) <= 40


NO_MESSAGES: tuple[object, ...] = (
    "", "null", "[]", '"v"', '{"v":', "[" * 100_000, "\x00", "\ud800",
    *({**BODY, "cancellation_id": number} for number in ("3", None, 3.0, True)),
    {**BODY, "receipt_id": {}}, {**BODY, "receipt_id": None},
)  # fmt: skip


@given(st.text() | st.sampled_from(NO_MESSAGES))
def test_a_body_that_is_not_a_message_or_has_another_shape_is_not_ours(body: object) -> None:
    assert read_message(message(body)) is None


# Its delivery.


@pytest.mark.parametrize("kind", ["", "payme", "payme.cancel.x", "PAYME.CANCEL", "other.cancel"])
def test_another_kind_is_not_ours(till: HookedWorld, kind: str) -> None:
    message = replace(message_of(owe(till)), kind=kind)
    sent = len(till.paymego.sent)

    assert till.message(message) is None
    assert len(till.paymego.sent) == sent


def test_a_live_row_is_stepped_and_done_at_50_and_done_without_a_request_after_it(till: HookedWorld) -> None:
    row = owe_paid(till)
    message = message_of(row)

    assert till.message(message) is QueueVerdict.RETRY
    assert till.paymego.state(row.receipt_id) == 21
    till.clock.sleep(2)
    assert till.message(message) is QueueVerdict.DONE
    assert (till.live(), till.paymego.held()) == ([], 0)
    sent = len(till.paymego.sent)
    assert (till.message(message), len(till.paymego.sent)) == (QueueVerdict.DONE, sent)


def test_a_row_that_can_not_be_ended_now_is_tried_at_every_message_and_counts_the_attempts(till: HookedWorld) -> None:
    row = owe_refund(till)
    till.paymego.passage = lambda _: Passage(connects=False)

    assert [till.message(message_of(row)) for _ in range(3)] == [QueueVerdict.RETRY] * 3
    (live,) = till.live()
    assert (live.attempts, "no connection" in live.last_error) == (row.attempts + 3, True)


def test_a_body_of_our_kind_that_is_not_ours_is_dropped(till: HookedWorld, caplog: pytest.LogCaptureFixture) -> None:
    row = owe(till)

    assert till.message(replace(message_of(row), body='{"v":1,"cancellation_id":"1"}')) is QueueVerdict.DROP
    assert "has our kind, but its body is not ours" in caplog.text
    assert till.live() == [row]


@pytest.mark.parametrize(
    "changes",
    [{"cancellation_id": 77}, {"cancellation_id": -1}, {"receipt_id": "0" * 24}],
    ids=["77", "-1", "another journal's"],
)
def test_a_row_that_the_journal_does_not_know_is_kept_with_a_notice_that_names_its_receipt(
    till: HookedWorld, changes: dict[str, object]
) -> None:
    row = owe_paid(till)
    unknown = row._replace(**changes)  # type: ignore[arg-type]
    sent = len(till.paymego.sent)

    assert till.message(message_of(unknown)) is QueueVerdict.RETRY
    assert (len(till.paymego.sent), till.live()) == (sent, [row])
    assert till.host.notices[NOTICE] == till.text(Text.NOTICE_QUEUE_UNKNOWN, receipt_id=unknown.receipt_id)


@pytest.mark.parametrize("number", [2**63, 10**30])
def test_a_number_that_no_journal_can_have_is_kept(till: HookedWorld, number: int) -> None:
    assert till.message(message_of(owe(till)._replace(cancellation_id=number))) is QueueVerdict.RETRY


def test_with_broken_settings_it_stays(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.broken = True
    sent = len(till.paymego.sent)

    assert till.message(message_of(row)) is QueueVerdict.RETRY
    assert (len(till.paymego.sent), till.live()[0].attempts) == (sent, 0)
    till.broken = False
    assert till.message(message_of(row)) is QueueVerdict.RETRY
    assert till.live()[0].attempts == 1


def test_a_row_whose_lease_is_taken_is_tried_again_later(till: HookedWorld) -> None:
    row = owe_paid(till)
    sent = len(till.paymego.sent)
    with till.background._storage.opened.leases.try_acquire(row.cancellation_id) as is_held:
        assert is_held
        assert till.message(message_of(row)) is QueueVerdict.RETRY

    assert len(till.paymego.sent) == sent


def test_a_row_in_both_queues_is_cancelled_once(till: HookedWorld) -> None:
    row = owe_paid(till)
    for _ in range(5):
        till.message(message_of(row))
        till.work(1)

    assert (till.live(), till.paymego.count(CANCEL)) == ([], 1)


def test_wrong_types_raise_and_a_plugin_that_is_not_started_knows_no_message(till: HookedWorld) -> None:
    plugin = PaymePlugin()
    assert plugin.on_queue_message(message({})) is None
    plugin._dispatcher = till.dispatcher

    wrong: object
    for wrong in (None, "message", {}):
        with pytest.raises(TypeError, match="expected QueueMessage"):
            plugin.on_queue_message(wrong)  # type: ignore[arg-type]


# The notice of a message that can't be read.


def test_an_unknown_version_is_kept_with_one_notice_however_often_it_comes_until_it_comes_through(
    till: HookedWorld,
) -> None:
    message = message_of(owe_paid(till))
    for _ in range(3):
        assert till.message(of_a_newer_version(message)) is QueueVerdict.RETRY
        till.clock.sleep(DAY_S / 2)
        till.background.do_housekeeping()
    assert [text for key, text in till.host.notice_log if key == NOTICE] == [till.text(Text.NOTICE_QUEUE_VERSION)]

    till.message(message)
    assert NOTICE not in till.host.notices


def test_the_notice_stays_while_another_message_is_still_unreadable(till: HookedWorld) -> None:
    row, other = owe_paid(till, "p1", 1), owe_paid(till, "p2", 2)
    unknown = message_of(other._replace(cancellation_id=77))
    till.message(unknown)
    till.message(of_a_newer_version(message_of(row)))

    till.message(message_of(row))
    assert till.host.notices[NOTICE] == till.text(Text.NOTICE_QUEUE_UNKNOWN, receipt_id=other.receipt_id)
    assert till.message(replace(unknown, body="[]")) is QueueVerdict.DROP
    assert NOTICE not in till.host.notices
