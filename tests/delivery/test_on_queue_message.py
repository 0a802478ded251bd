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
def test_another_kind_is_not_ours(world: HookedWorld, kind: str) -> None:
    message = replace(message_of(owe(world)), kind=kind)
    sent = len(world.paymego.sent)

    assert world.message(message) is None
    assert len(world.paymego.sent) == sent


def test_a_live_row_is_stepped_and_done_at_50(world: HookedWorld) -> None:
    row = owe_paid(world)
    message = message_of(row)

    assert world.message(message) is QueueVerdict.RETRY
    assert world.paymego.state(row.receipt_id) == 21
    world.clock.sleep(2)
    assert world.message(message) is QueueVerdict.DONE
    assert (world.live(), world.paymego.held()) == ([], 0)


def test_it_is_done_at_once_where_the_cancel_is(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=0))
    world.clock.sleep(1)
    world.message(message_of(row))

    assert world.message(message_of(row)) is QueueVerdict.DONE


def test_a_row_that_ended_is_done_without_a_request(world: HookedWorld) -> None:
    row = owe(world)
    world.work(10)
    assert world.live() == []
    sent = len(world.paymego.sent)

    assert world.message(message_of(row)) is QueueVerdict.DONE
    assert len(world.paymego.sent) == sent


def test_a_row_that_can_not_be_ended_now_is_tried_again_and_counts_the_attempt(world: HookedWorld) -> None:
    row = owe_refund(world)
    world.paymego.passage = lambda _: Passage(connects=False)

    assert [world.message(message_of(row)) for _ in range(3)] == [QueueVerdict.RETRY] * 3
    (live,) = world.live()
    assert live.attempts == row.attempts + 3
    assert "no connection" in live.last_error


def test_a_message_is_delivered_however_long_the_rows_pause_still_is(world: HookedWorld) -> None:
    row = owe_refund(world)
    world.paymego.befall(FaultKind.ERROR, CANCEL)
    world.message(message_of(row))
    before = world.paymego.count(CANCEL)

    world.message(message_of(row))

    assert world.paymego.count(CANCEL) == before + 1


@pytest.mark.parametrize("version", [2, 0, -1, "2", "1.1", 2.0, None, True], ids=repr)
def test_an_unknown_version_is_kept_with_a_notice_and_never_dropped(world: HookedWorld, version: object) -> None:
    message = replace(message_of(owe(world)), body=json.dumps({"v": version, "all": "different"}))

    assert world.message(message) is QueueVerdict.RETRY
    assert world.host.notices[QUEUE_NOTICE] == world.text(Text.NOTICE_QUEUE_VERSION)
    assert len(world.live()) == 1


@pytest.mark.parametrize("body", ["", "[]", "not json", "[" * 100_000, '{"v":1}', '{"v":1,"cancellation_id":"1"}'])
def test_a_body_of_our_kind_that_is_not_ours_is_dropped(
    world: HookedWorld, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    message = replace(message_of(owe(world)), body=body)

    assert world.message(message) is QueueVerdict.DROP
    assert "has our kind, but its body is not ours" in caplog.text
    assert len(world.live()) == 1


@pytest.mark.parametrize("number", [77, 0, -1, 2**63 - 1, 2**63, 10**30])
def test_a_row_that_the_journal_does_not_know_is_kept_with_a_notice(world: HookedWorld, number: int) -> None:
    row = replace(owe(world), cancellation_id=number)
    sent = len(world.paymego.sent)

    assert world.message(message_of(row)) is QueueVerdict.RETRY
    assert len(world.paymego.sent) == sent


def test_the_notice_of_an_unknown_row_names_its_receipt(world: HookedWorld) -> None:
    row = replace(owe(world), cancellation_id=77)
    world.message(message_of(row))

    assert world.host.notices[QUEUE_NOTICE] == world.text(Text.NOTICE_QUEUE_UNKNOWN, receipt_id=row.receipt_id)


def test_a_row_of_the_same_number_in_another_journal_is_not_touched(world: HookedWorld) -> None:
    row = owe_paid(world)
    sent = len(world.paymego.sent)

    assert world.message(message_of(replace(row, receipt_id="0" * 24))) is QueueVerdict.RETRY
    assert (len(world.paymego.sent), len(world.live())) == (sent, 1)


def test_with_broken_settings_it_stays(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.broken = True
    sent = len(world.paymego.sent)

    assert world.message(message_of(row)) is QueueVerdict.RETRY
    assert (len(world.paymego.sent), world.live()[0].attempts) == (sent, 0)
    world.broken = False
    assert world.message(message_of(row)) is QueueVerdict.RETRY
    assert world.live()[0].attempts == 1


def test_on_a_full_disk_it_stays(world: HookedWorld) -> None:
    row = owe_paid(world)
    with full_disk():
        assert world.message(message_of(row)) is QueueVerdict.RETRY

    assert world.message(message_of(row)) is QueueVerdict.RETRY
    world.clock.sleep(3)
    assert world.message(message_of(row)) is QueueVerdict.DONE


def test_a_payment_that_the_till_says_it_has_is_not_carried_out(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.host.recorded["p1"] = True

    assert world.message(message_of(row)) is QueueVerdict.RETRY
    assert world.paymego.count(CANCEL) == 0
    assert world.paymego.held() == 1_500_000
    world.host.recorded["p1"] = False
    world.message(message_of(row))
    assert world.paymego.count(CANCEL) == 1


def test_a_refund_is_carried_out_though_the_till_has_the_sale(world: HookedWorld) -> None:
    row = owe_refund(world)
    world.host.recorded["p1"] = True

    world.message(message_of(row))

    assert world.paymego.state(row.receipt_id) == 21


def test_a_row_in_the_hands_of_another_worker_is_tried_again_later(world: HookedWorld) -> None:
    row = owe_paid(world)
    sent = len(world.paymego.sent)
    with world.background._storage.opened.leases.try_acquire(row.cancellation_id) as is_held:
        assert is_held
        assert world.message(message_of(row)) is QueueVerdict.RETRY

    assert len(world.paymego.sent) == sent


def test_a_row_in_both_queues_is_cancelled_once(world: HookedWorld) -> None:
    row = owe_paid(world)
    for _ in range(5):
        world.message(message_of(row))
        world.work(1)

    assert world.live() == []
    assert world.paymego.count(CANCEL) == 1
    assert world.message(message_of(row)) is QueueVerdict.DONE


# ---------------------------------------------------------------------------------------------------------------------
# Its notice is withdrawn when it is over
# ---------------------------------------------------------------------------------------------------------------------

DAY_S = 86_400.0


def of_a_newer_version(message: QueueMessage) -> QueueMessage:
    return replace(message, body=json.dumps({"v": 2}))


def test_the_notice_goes_when_the_message_comes_through(world: HookedWorld) -> None:
    message = message_of(owe_paid(world))
    world.message(of_a_newer_version(message))
    assert QUEUE_NOTICE in world.host.notices

    assert world.message(message) is QueueVerdict.RETRY
    assert QUEUE_NOTICE not in world.host.notices


def test_the_notice_stays_while_another_message_is_still_unreadable(world: HookedWorld) -> None:
    first, second = (message_of(owe_paid(world, f"p{number}", number)) for number in (1, 2))
    for message in (first, second):
        world.message(of_a_newer_version(message))

    world.message(first)
    assert QUEUE_NOTICE in world.host.notices
    world.message(second)
    assert QUEUE_NOTICE not in world.host.notices


def test_the_notice_tells_of_the_trouble_that_is_left(world: HookedWorld) -> None:
    row = owe_paid(world)
    unknown = message_of(replace(row, cancellation_id=77))
    world.message(unknown)
    world.message(of_a_newer_version(message_of(row)))

    world.message(message_of(row))

    assert world.host.notices[QUEUE_NOTICE] == world.text(Text.NOTICE_QUEUE_UNKNOWN, receipt_id=row.receipt_id)


def test_the_notice_of_a_message_that_is_dropped_goes_with_it(world: HookedWorld) -> None:
    message = message_of(owe_paid(world))
    world.message(of_a_newer_version(message))

    assert world.message(replace(message, body="[]")) is QueueVerdict.DROP
    assert QUEUE_NOTICE not in world.host.notices


def test_a_message_that_comes_again_and_again_keeps_its_notice(world: HookedWorld) -> None:
    message = of_a_newer_version(message_of(owe_paid(world)))
    for _ in range(3):
        world.message(message)
        world.work(DAY_S / 2)

    assert QUEUE_NOTICE in world.host.notices
    assert [key for key, _ in world.host.notice_log].count(QUEUE_NOTICE) == 1


def test_wrong_types_alone_raise(world: HookedWorld) -> None:
    plugin = PaymePlugin()
    plugin._dispatcher = world.dispatcher

    for wrong in (None, "message", {}, object()):
        with pytest.raises(TypeError, match="expected QueueMessage"):
            plugin.on_queue_message(wrong)  # type: ignore[arg-type]


def test_a_plugin_that_is_not_started_knows_no_message() -> None:
    message = QueueMessage(message_id="m", kind=KIND, body="{}", created_at=0)

    assert PaymePlugin().on_queue_message(message) is None
