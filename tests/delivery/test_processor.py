"""Several threads and processes work on one journal: a row is stepped by the one that holds its lease."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from fakes.answer_changes import meanwhile
from fakes.hooked_world import OFD_LINK
from fakes.owed_money import owe_paid, owe_refund
from faults import journal_rival
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.locks import Leases
from payme_plugin.ledger.states import End
from payme_plugin.operations.cancellation import StepOutcome
from payme_plugin.sandbox import FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from fakes.hooked_world import HookedWorld
    from payme_plugin.operations.cancellation import MerchantClient

BUSY = "payme.cancellations.busy"
CANCEL, CHECK, TELL = "receipts.cancel", "receipts.check", "receipts.set_fiscal_data"


def merchants(world: HookedWorld) -> Mapping[str, MerchantClient]:
    found = world.background.merchants()
    assert found is not None
    return found


def test_a_step_that_begins_while_another_is_under_way_does_nothing(world: HookedWorld) -> None:
    row = owe_paid(world)
    seconds: list[StepOutcome | None] = []
    processor = world.background.processor()
    world.paymego.change(
        CHECK, meanwhile(lambda: seconds.append(processor.step(row, merchants(world), is_recorded=None)))
    )

    first = processor.step(row, merchants(world), is_recorded=None)

    assert (first, seconds) == (StepOutcome.ACCEPTED, [None])
    assert (world.live()[0].attempts, world.paymego.count(CANCEL)) == (1, 1)


def test_a_row_that_ended_since_it_was_read_is_done_without_a_request(world: HookedWorld) -> None:
    row = owe_paid(world)
    processor = world.background.processor()
    processor.cancellations.end(row, End.CLOSED, "paid (4)", closed_reason="settled")
    sent = len(world.paymego.sent)

    assert processor.step(row, merchants(world), is_recorded=None) is StepOutcome.DONE
    assert len(world.paymego.sent) == sent


def test_a_row_that_ends_during_a_step_gets_no_cancel(world: HookedWorld) -> None:
    owe_refund(world)
    world.work()
    (row,) = world.live()
    processor = world.background.processor()
    rows = Cancellations(world.journal)
    sent = world.paymego.count(CANCEL)
    world.paymego.bank.put_state(world.paymego.now_ms, row.receipt_id, 4)
    world.paymego.change(CHECK, meanwhile(lambda: rows.end(row, End.CLOSED, "paid (4)", closed_reason="settled")))

    assert processor.step(row, merchants(world), is_recorded=None) is StepOutcome.DONE
    assert world.paymego.count(CANCEL) == sent


def test_a_row_that_a_person_ends_during_a_step_stays_as_the_person_ended_it(world: HookedWorld) -> None:
    row = owe_paid(world)
    processor = world.background.processor()
    rows = Cancellations(world.journal)
    world.paymego.change(CHECK, meanwhile(lambda: rows.end(row, End.CLOSED, "paid (4)", closed_reason="settled")))

    assert processor.step(row, merchants(world), is_recorded=None) is StepOutcome.DONE
    ended = world.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert ended.ended_as is End.CLOSED


def test_a_step_that_can_not_be_stored_leaves_the_row_as_it_was(
    world: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    row = owe_paid(world)
    processor = world.background.processor()
    processor.journal.fail_from(1)  # type: ignore[attr-defined]

    assert processor.step(row, merchants(world), is_recorded=None) is None
    assert world.live() == [row]
    assert f"cancellation {row.cancellation_id}: database or disk is full" in caplog.text
    assert world.paymego.count(CANCEL) == 0
    processor.journal.recover()  # type: ignore[attr-defined]
    assert processor.step(row, merchants(world), is_recorded=None) is StepOutcome.ACCEPTED


def test_a_second_process_beside_the_till_steps_the_same_rows_and_no_money_moves_twice(world: HookedWorld) -> None:
    rows = [owe_refund(world, f"p{number}", number) for number in range(1, 4)]
    first = world.background.processor()
    world.restart(dead=False)
    second = world.background.processor()
    for _ in range(4):
        for row in rows:
            first.step(row, merchants(world), is_recorded=None)
            second.step(row, merchants(world), is_recorded=None)
        world.clock.sleep(1)

    assert world.journal.live_cancellations() == []
    assert world.paymego.held() == 0
    assert len([each for each in world.paymego.bank.movements(world.paymego.now_ms) if each.amount < 0]) == 3


def test_a_lease_ends_with_its_step(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.background.processor().step(row, merchants(world), is_recorded=None)

    with world.background._storage.opened.leases.try_acquire(row.cancellation_id) as is_free:
        assert is_free


def test_a_fiscal_link_in_the_hands_of_another_is_not_sent_twice(world: HookedWorld) -> None:
    world.sell_and_close(link=OFD_LINK)
    processor = world.background.processor()
    (link,) = processor.links.due(5)
    world.paymego.change(TELL, meanwhile(lambda: processor.send_link(link, merchants(world))))

    processor.send_link(link, merchants(world))
    processor.send_link(link, merchants(world))

    assert world.paymego.count(TELL) == 1


def test_a_fiscal_link_whose_end_can_not_be_stored_is_sent_again(
    world: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world.sell_and_close(link=OFD_LINK)
    processor = world.background.processor()
    processor.journal.fail_from(1)  # type: ignore[attr-defined]
    world.work()
    processor.journal.recover()  # type: ignore[attr-defined]
    world.work(30)

    assert world.paymego.count(TELL) == 2
    assert processor.links.due(5) == []
    assert "fiscal link 1: database or disk is full" in caplog.text


def test_a_link_and_a_row_of_the_same_number_do_not_share_a_lease(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.sell_and_close("p2", 2, link=OFD_LINK)
    processor = world.background.processor()
    (link,) = processor.links.due(5)
    assert link.fiscal_link_id == row.cancellation_id
    world.paymego.befall(FaultKind.HTTP_ERROR, CANCEL)

    with world.background._storage.opened.leases.try_acquire(row.cancellation_id):
        processor.send_link(link, merchants(world))

    assert world.paymego.count(TELL) == 1


def test_a_full_disk_does_not_stop_a_cancellation_that_has_begun(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.restart()
    Cancellations(world.journal).begin(row)
    (row,) = world.live()
    world.background.processor().journal.fail_from(1)  # type: ignore[attr-defined]
    world.journal.fail_from(1)

    world.work(3600)

    assert (world.paymego.state(row.receipt_id), world.paymego.held()) == (50, 0)
    assert world.paymego.count(CANCEL) == 1
    assert world.live() == [row]


def test_what_can_not_be_stored_is_tried_again_after_a_rest(world: HookedWorld) -> None:
    owe_paid(world)
    world.background.processor().journal.fail_from(1)  # type: ignore[attr-defined]
    before = world.paymego.count(CHECK)

    world.work(600)

    assert 20 <= world.paymego.count(CHECK) - before <= 35
    world.background.processor().journal.recover()  # type: ignore[attr-defined]
    world.work(30)
    assert world.live() == []


def test_on_a_full_disk_all_rows_have_their_turn(world: HookedWorld) -> None:
    receipts = {owe_paid(world, f"p{number}", number).receipt_id for number in range(1, 71)}
    assert len(receipts) == 70
    world.background.processor().journal.fail_from(1)  # type: ignore[attr-defined]

    for row in world.journal.live_cancellations():
        Cancellations(world.journal).begin(row)

    world.work(60)

    assert (world.paymego.held(), world.paymego.count(CANCEL)) == (0, 70)


def test_on_a_full_disk_all_rows_have_their_turn_however_long_each_takes(world: HookedWorld) -> None:
    receipts = {owe_paid(world, f"p{number}", number).receipt_id for number in range(1, 71)}
    world.background.processor().journal.fail_from(1)  # type: ignore[attr-defined]
    world.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    before = len(world.paymego.sent)

    world.work(800)

    assert {sent.receipt_id for sent in world.paymego.sent[before:]} == receipts


def test_on_a_full_disk_all_fiscal_links_have_their_turn(world: HookedWorld) -> None:
    for number in range(1, 71):
        world.sell_and_close(f"p{number}", number, link=OFD_LINK)
    world.background.processor().journal.fail_from(1)  # type: ignore[attr-defined]
    before = len(world.paymego.sent)

    world.work(60)

    assert len({sent.receipt_id for sent in world.paymego.sent[before:] if sent.method == TELL}) == 70


def test_a_full_disk_is_told_once_a_minute_and_does_not_fill_the_log(
    world: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    processor = world.background.processor()
    owe_paid(world)
    processor.journal.fail_from(1)  # type: ignore[attr-defined]

    world.work(600)

    told = [each for each in caplog.messages if each.startswith("finished payments can't be forgotten now")]
    assert 2 <= len(told) <= 11


def test_every_due_row_is_stepped_however_many_there_are(world: HookedWorld) -> None:
    owe_paid(world)
    with world.journal.writing() as connection:
        for table, key in (("payment", ""), ("cancellation", "cancellation_id")):
            names = [row["name"] for row in connection.execute(f"PRAGMA table_info({table})") if row["name"] != key]
            values = ["'c' || value" if name in {"payment_id", "receipt_id"} else name for name in names]
            every = "WITH RECURSIVE number (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM number LIMIT 1000)"
            chosen = f"SELECT {', '.join(values)} FROM number, {table}"  # noqa: S608 - our own names
            connection.execute(f"{every} INSERT INTO {table} ({', '.join(names)}) {chosen}")
    processor = world.background.processor()
    processor.journal.fail_from(1)  # type: ignore[attr-defined]
    before = len(world.paymego.sent)

    processor.deliver_due(merchants(world))

    assert len({sent.receipt_id for sent in world.paymego.sent[before:]}) == 1001


def replace_journal(world: HookedWorld) -> None:
    """Bring a backup of the journal back, as an operator may do."""
    for file in list(world.host.folder.glob(f"{FILE_NAME}*")):
        shutil.copy2(file, world.host.folder / "copy")
        (world.host.folder / "copy").replace(file)


def test_no_cancel_leaves_after_another_journal_took_the_place_of_this_one(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.paymego.change(CHECK, meanwhile(lambda: replace_journal(world)))

    assert world.background.processor().step(row, merchants(world), is_recorded=None) is None
    assert world.paymego.count(CANCEL) == 0


def test_the_hook_sends_no_cancel_after_another_journal_took_the_place_of_this_one(world: HookedWorld) -> None:
    sold = world.sell()
    world.paymego.change(CHECK, meanwhile(lambda: replace_journal(world)))

    world.cancel(sold)

    assert world.paymego.count(CANCEL) == 0
    assert world.host.notices["payme.journal"] == world.text(Text.NOTICE_JOURNAL_MOVED)


def test_the_cancellations_of_a_deleted_journal_are_delivered_while_this_process_has_it(world: HookedWorld) -> None:
    row = owe_paid(world)
    processor = world.background.processor()
    for file in world.host.folder.glob(f"{FILE_NAME}*"):
        file.unlink()

    processor.step(row, merchants(world), is_recorded=None)

    assert world.paymego.count(CANCEL) == 1


def test_a_lease_that_stays_busy_is_told_after_two_timeouts_and_the_row_taken_over_at_once(world: HookedWorld) -> None:
    row = owe_paid(world)
    leases = Leases(world.host.folder)
    command = [sys.executable, journal_rival.__file__, "lead", str(world.host.folder), str(row.cancellation_id)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as rival:  # noqa: S603 - our own script
        assert rival.stdout is not None
        assert rival.stdout.readline()
        world.work(2 * world.settings.timeout_s)
        assert BUSY not in world.host.notices
        world.work(2)
        assert world.host.notices[BUSY] == world.text(Text.NOTICE_LEASE_BUSY, process=rival.pid)
        rival.kill()
    assert leases.holder(row.cancellation_id) is None

    world.work(1)

    assert BUSY not in world.host.notices
    assert world.paymego.count(CANCEL) == 1
