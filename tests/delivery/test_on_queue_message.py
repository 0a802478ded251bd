"""``on_queue_message``: one step of the cancellation that a message speaks of, and what the host does with it then."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.owed_money import owe, owe_paid, owe_refund
from fakes.paymego import Passage
from faults.full_disk import full_disk
from hookspecs import QueueMessage, QueueVerdict
from payme_plugin.delivery.host_queue import KIND, message_of
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import CancelPlan, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

CANCEL = "receipts.cancel"
QUEUE_NOTICE = "payme.queue"


@pytest.mark.parametrize("kind", ["", "payme", "payme.cancel.x", "PAYME.CANCEL", "other.cancel"])
def test_another_kind_is_not_ours(till: HookedWorld, kind: str) -> None:
    message = replace(message_of(owe(till)), kind=kind)
    sent = len(till.paymego.sent)

    assert till.message(message) is None
    assert len(till.paymego.sent) == sent


def test_a_live_row_is_stepped_and_done_at_50(till: HookedWorld) -> None:
    row = owe_paid(till)
    message = message_of(row)

    assert till.message(message) is QueueVerdict.RETRY
    assert till.paymego.state(row.receipt_id) == 21
    till.clock.sleep(2)
    assert till.message(message) is QueueVerdict.DONE
    assert (till.live(), till.paymego.held()) == ([], 0)


def test_it_is_done_at_once_where_the_cancel_is(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=0))
    till.clock.sleep(1)
    till.message(message_of(row))

    assert till.message(message_of(row)) is QueueVerdict.DONE


def test_a_row_that_ended_is_done_without_a_request(till: HookedWorld) -> None:
    row = owe(till)
    till.work(10)
    assert till.live() == []
    sent = len(till.paymego.sent)

    assert till.message(message_of(row)) is QueueVerdict.DONE
    assert len(till.paymego.sent) == sent


def test_a_row_that_can_not_be_ended_now_is_tried_again_and_counts_the_attempt(till: HookedWorld) -> None:
    row = owe_refund(till)
    till.paymego.passage = lambda _: Passage(connects=False)

    assert [till.message(message_of(row)) for _ in range(3)] == [QueueVerdict.RETRY] * 3
    (live,) = till.live()
    assert live.attempts == row.attempts + 3
    assert "no connection" in live.last_error


def test_a_message_is_delivered_however_long_the_rows_pause_still_is(till: HookedWorld) -> None:
    row = owe_refund(till)
    till.paymego.befall(FaultKind.ERROR, CANCEL)
    till.message(message_of(row))
    before = till.paymego.count(CANCEL)

    till.message(message_of(row))

    assert till.paymego.count(CANCEL) == before + 1


@pytest.mark.parametrize("version", [2, 0, -1, "2", "1.1", 2.0, None, True], ids=repr)
def test_an_unknown_version_is_kept_with_a_notice_and_never_dropped(till: HookedWorld, version: object) -> None:
    message = replace(message_of(owe(till)), body=json.dumps({"v": version, "all": "different"}))

    assert till.message(message) is QueueVerdict.RETRY
    assert till.host.notices[QUEUE_NOTICE] == till.text(Text.NOTICE_QUEUE_VERSION)
    assert len(till.live()) == 1


@pytest.mark.parametrize("body", ["", "[]", "not json", "[" * 100_000, '{"v":1}', '{"v":1,"cancellation_id":"1"}'])
def test_a_body_of_our_kind_that_is_not_ours_is_dropped(
    till: HookedWorld, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    message = replace(message_of(owe(till)), body=body)

    assert till.message(message) is QueueVerdict.DROP
    assert "has our kind, but its body is not ours" in caplog.text
    assert len(till.live()) == 1


@pytest.mark.parametrize("number", [77, 0, -1, 2**63 - 1, 2**63, 10**30])
def test_a_row_that_the_journal_does_not_know_is_kept_with_a_notice(till: HookedWorld, number: int) -> None:
    row = replace(owe(till), cancellation_id=number)
    sent = len(till.paymego.sent)

    assert till.message(message_of(row)) is QueueVerdict.RETRY
    assert len(till.paymego.sent) == sent


def test_the_notice_of_an_unknown_row_names_its_receipt(till: HookedWorld) -> None:
    row = replace(owe(till), cancellation_id=77)
    till.message(message_of(row))

    assert till.host.notices[QUEUE_NOTICE] == till.text(Text.NOTICE_QUEUE_UNKNOWN, receipt_id=row.receipt_id)


def test_a_row_of_the_same_number_in_another_journal_is_not_touched(till: HookedWorld) -> None:
    row = owe_paid(till)
    sent = len(till.paymego.sent)

    assert till.message(message_of(replace(row, receipt_id="0" * 24))) is QueueVerdict.RETRY
    assert (len(till.paymego.sent), len(till.live())) == (sent, 1)


def test_with_broken_settings_it_stays(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.broken = True
    sent = len(till.paymego.sent)

    assert till.message(message_of(row)) is QueueVerdict.RETRY
    assert (len(till.paymego.sent), till.live()[0].attempts) == (sent, 0)
    till.broken = False
    assert till.message(message_of(row)) is QueueVerdict.RETRY
    assert till.live()[0].attempts == 1


def test_on_a_full_disk_it_stays(till: HookedWorld) -> None:
    row = owe_paid(till)
    with full_disk():
        assert till.message(message_of(row)) is QueueVerdict.RETRY

    assert till.message(message_of(row)) is QueueVerdict.RETRY
    till.clock.sleep(3)
    assert till.message(message_of(row)) is QueueVerdict.DONE


def test_a_payment_that_the_till_says_it_has_is_not_carried_out(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.host.recorded["p1"] = True

    assert till.message(message_of(row)) is QueueVerdict.RETRY
    assert till.paymego.count(CANCEL) == 0
    assert till.paymego.held() == 1_500_000
    till.host.recorded["p1"] = False
    till.message(message_of(row))
    assert till.paymego.count(CANCEL) == 1


def test_a_refund_is_carried_out_though_the_till_has_the_sale(till: HookedWorld) -> None:
    row = owe_refund(till)
    till.host.recorded["p1"] = True

    till.message(message_of(row))

    assert till.paymego.state(row.receipt_id) == 21


def test_a_row_in_the_hands_of_another_worker_is_tried_again_later(till: HookedWorld) -> None:
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

    assert till.live() == []
    assert till.paymego.count(CANCEL) == 1
    assert till.message(message_of(row)) is QueueVerdict.DONE


# ---------------------------------------------------------------------------------------------------------------------
# Its notice is withdrawn when it is over
# ---------------------------------------------------------------------------------------------------------------------

DAY_S = 86_400.0


def of_a_newer_version(message: QueueMessage) -> QueueMessage:
    return replace(message, body=json.dumps({"v": 2}))


def test_the_notice_goes_when_the_message_comes_through(till: HookedWorld) -> None:
    message = message_of(owe_paid(till))
    till.message(of_a_newer_version(message))
    assert QUEUE_NOTICE in till.host.notices

    assert till.message(message) is QueueVerdict.RETRY
    assert QUEUE_NOTICE not in till.host.notices


def test_the_notice_stays_while_another_message_is_still_unreadable(till: HookedWorld) -> None:
    first, second = (message_of(owe_paid(till, f"p{number}", number)) for number in (1, 2))
    for message in (first, second):
        till.message(of_a_newer_version(message))

    till.message(first)
    assert QUEUE_NOTICE in till.host.notices
    till.message(second)
    assert QUEUE_NOTICE not in till.host.notices


def test_the_notice_tells_of_the_trouble_that_is_left(till: HookedWorld) -> None:
    row = owe_paid(till)
    unknown = message_of(replace(row, cancellation_id=77))
    till.message(unknown)
    till.message(of_a_newer_version(message_of(row)))

    till.message(message_of(row))

    assert till.host.notices[QUEUE_NOTICE] == till.text(Text.NOTICE_QUEUE_UNKNOWN, receipt_id=row.receipt_id)


def test_the_notice_of_a_message_that_is_dropped_goes_with_it(till: HookedWorld) -> None:
    message = message_of(owe_paid(till))
    till.message(of_a_newer_version(message))

    assert till.message(replace(message, body="[]")) is QueueVerdict.DROP
    assert QUEUE_NOTICE not in till.host.notices


def test_a_message_that_comes_again_and_again_keeps_its_notice(till: HookedWorld) -> None:
    message = of_a_newer_version(message_of(owe_paid(till)))
    for _ in range(3):
        till.message(message)
        till.work(DAY_S / 2)

    assert QUEUE_NOTICE in till.host.notices
    assert [key for key, _ in till.host.notice_log].count(QUEUE_NOTICE) == 1


def test_wrong_types_alone_raise(till: HookedWorld) -> None:
    plugin = PaymePlugin()
    plugin._dispatcher = till.dispatcher

    for wrong in (None, "message", {}, object()):
        with pytest.raises(TypeError, match="expected QueueMessage"):
            plugin.on_queue_message(wrong)  # type: ignore[arg-type]


def test_a_plugin_that_is_not_started_knows_no_message() -> None:
    message = QueueMessage(message_id="m", kind=KIND, body="{}", created_at=0)

    assert PaymePlugin().on_queue_message(message) is None
