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


def merchants(till: HookedWorld) -> Mapping[str, MerchantClient]:
    found = till.background.merchants()
    assert found is not None
    return found


def test_a_step_that_begins_while_another_is_under_way_does_nothing(till: HookedWorld) -> None:
    row = owe_paid(till)
    seconds: list[StepOutcome | None] = []
    processor = till.background.processor()
    till.paymego.change(
        CHECK, meanwhile(lambda: seconds.append(processor.step(row, merchants(till), is_recorded=None)))
    )

    first = processor.step(row, merchants(till), is_recorded=None)

    assert (first, seconds) == (StepOutcome.ACCEPTED, [None])
    assert (till.live()[0].attempts, till.paymego.count(CANCEL)) == (1, 1)


def test_a_row_that_ended_since_it_was_read_is_done_without_a_request(till: HookedWorld) -> None:
    row = owe_paid(till)
    processor = till.background.processor()
    processor.cancellations.end(row, End.CLOSED, "paid (4)", closed_reason="settled")
    sent = len(till.paymego.sent)

    assert processor.step(row, merchants(till), is_recorded=None) is StepOutcome.DONE
    assert len(till.paymego.sent) == sent


def test_a_row_that_ends_during_a_step_gets_no_cancel(till: HookedWorld) -> None:
    owe_refund(till)
    till.work()
    (row,) = till.live()
    processor = till.background.processor()
    rows = Cancellations(till.journal)
    sent = till.paymego.count(CANCEL)
    till.paymego.bank.put_state(till.paymego.now_ms, row.receipt_id, 4)
    till.paymego.change(CHECK, meanwhile(lambda: rows.end(row, End.CLOSED, "paid (4)", closed_reason="settled")))

    assert processor.step(row, merchants(till), is_recorded=None) is StepOutcome.DONE
    assert till.paymego.count(CANCEL) == sent


def test_a_row_that_a_person_ends_during_a_step_stays_as_the_person_ended_it(till: HookedWorld) -> None:
    row = owe_paid(till)
    processor = till.background.processor()
    rows = Cancellations(till.journal)
    till.paymego.change(CHECK, meanwhile(lambda: rows.end(row, End.CLOSED, "paid (4)", closed_reason="settled")))

    assert processor.step(row, merchants(till), is_recorded=None) is StepOutcome.DONE
    ended = till.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert ended.ended_as is End.CLOSED


def test_a_step_that_can_not_be_stored_leaves_the_row_as_it_was(
    till: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    row = owe_paid(till)
    processor = till.background.processor()
    processor.journal.fail_from(1)  # type: ignore[attr-defined]

    assert processor.step(row, merchants(till), is_recorded=None) is None
    assert till.live() == [row]
    assert f"cancellation {row.cancellation_id}: database or disk is full" in caplog.text
    assert till.paymego.count(CANCEL) == 0
    processor.journal.recover()  # type: ignore[attr-defined]
    assert processor.step(row, merchants(till), is_recorded=None) is StepOutcome.ACCEPTED


def test_a_second_process_beside_the_till_steps_the_same_rows_and_no_money_moves_twice(till: HookedWorld) -> None:
    rows = [owe_refund(till, f"p{number}", number) for number in range(1, 4)]
    first = till.background.processor()
    till.restart(dead=False)
    second = till.background.processor()
    for _ in range(4):
        for row in rows:
            first.step(row, merchants(till), is_recorded=None)
            second.step(row, merchants(till), is_recorded=None)
        till.clock.sleep(1)

    assert till.journal.live_cancellations() == []
    assert till.paymego.held() == 0
    assert len([each for each in till.paymego.bank.movements(till.paymego.now_ms) if each.amount < 0]) == 3


def test_a_lease_ends_with_its_step(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.background.processor().step(row, merchants(till), is_recorded=None)

    with till.background._storage.opened.leases.try_acquire(row.cancellation_id) as is_free:
        assert is_free


def test_a_fiscal_link_in_the_hands_of_another_is_not_sent_twice(till: HookedWorld) -> None:
    till.sell_and_close(link=OFD_LINK)
    processor = till.background.processor()
    (link,) = processor.links.due(5)
    till.paymego.change(TELL, meanwhile(lambda: processor.send_link(link, merchants(till))))

    processor.send_link(link, merchants(till))
    processor.send_link(link, merchants(till))

    assert till.paymego.count(TELL) == 1


def test_a_fiscal_link_whose_end_can_not_be_stored_is_sent_again(
    till: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    till.sell_and_close(link=OFD_LINK)
    processor = till.background.processor()
    processor.journal.fail_from(1)  # type: ignore[attr-defined]
    till.work()
    processor.journal.recover()  # type: ignore[attr-defined]
    till.work(30)

    assert till.paymego.count(TELL) == 2
    assert processor.links.due(5) == []
    assert "fiscal link 1: database or disk is full" in caplog.text


def test_a_link_and_a_row_of_the_same_number_do_not_share_a_lease(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.sell_and_close("p2", 2, link=OFD_LINK)
    processor = till.background.processor()
    (link,) = processor.links.due(5)
    assert link.fiscal_link_id == row.cancellation_id
    till.paymego.befall(FaultKind.HTTP_ERROR, CANCEL)

    with till.background._storage.opened.leases.try_acquire(row.cancellation_id):
        processor.send_link(link, merchants(till))

    assert till.paymego.count(TELL) == 1


def test_a_full_disk_does_not_stop_a_cancellation_that_has_begun(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.restart()
    Cancellations(till.journal).begin(row)
    (row,) = till.live()
    till.background.processor().journal.fail_from(1)  # type: ignore[attr-defined]
    till.journal.fail_from(1)

    till.work(3600)

    assert (till.paymego.state(row.receipt_id), till.paymego.held()) == (50, 0)
    assert till.paymego.count(CANCEL) == 1
    assert till.live() == [row]


def test_what_can_not_be_stored_is_tried_again_after_a_rest(till: HookedWorld) -> None:
    owe_paid(till)
    till.background.processor().journal.fail_from(1)  # type: ignore[attr-defined]
    before = till.paymego.count(CHECK)

    till.work(600)

    assert 20 <= till.paymego.count(CHECK) - before <= 35
    till.background.processor().journal.recover()  # type: ignore[attr-defined]
    till.work(30)
    assert till.live() == []


def test_on_a_full_disk_all_rows_have_their_turn(till: HookedWorld) -> None:
    receipts = {owe_paid(till, f"p{number}", number).receipt_id for number in range(1, 71)}
    assert len(receipts) == 70
    till.background.processor().journal.fail_from(1)  # type: ignore[attr-defined]

    for row in till.journal.live_cancellations():
        Cancellations(till.journal).begin(row)

    till.work(60)

    assert (till.paymego.held(), till.paymego.count(CANCEL)) == (0, 70)


def test_on_a_full_disk_all_rows_have_their_turn_however_long_each_takes(till: HookedWorld) -> None:
    receipts = {owe_paid(till, f"p{number}", number).receipt_id for number in range(1, 71)}
    till.background.processor().journal.fail_from(1)  # type: ignore[attr-defined]
    till.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    before = len(till.paymego.sent)

    till.work(800)

    assert {sent.receipt_id for sent in till.paymego.sent[before:]} == receipts


def test_on_a_full_disk_all_fiscal_links_have_their_turn(till: HookedWorld) -> None:
    for number in range(1, 71):
        till.sell_and_close(f"p{number}", number, link=OFD_LINK)
    till.background.processor().journal.fail_from(1)  # type: ignore[attr-defined]
    before = len(till.paymego.sent)

    till.work(60)

    assert len({sent.receipt_id for sent in till.paymego.sent[before:] if sent.method == TELL}) == 70


def test_a_full_disk_is_told_once_a_minute_and_does_not_fill_the_log(
    till: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    processor = till.background.processor()
    owe_paid(till)
    processor.journal.fail_from(1)  # type: ignore[attr-defined]

    till.work(600)

    told = [each for each in caplog.messages if each.startswith("finished payments can't be forgotten now")]
    assert 2 <= len(told) <= 11


def test_every_due_row_is_stepped_however_many_there_are(till: HookedWorld) -> None:
    owe_paid(till)
    with till.journal.writing() as connection:
        for table, key in (("payment", ""), ("cancellation", "cancellation_id")):
            names = [row["name"] for row in connection.execute(f"PRAGMA table_info({table})") if row["name"] != key]
            values = ["'c' || value" if name in {"payment_id", "receipt_id"} else name for name in names]
            every = "WITH RECURSIVE number (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM number LIMIT 1000)"
            chosen = f"SELECT {', '.join(values)} FROM number, {table}"  # noqa: S608 - our own names
            connection.execute(f"{every} INSERT INTO {table} ({', '.join(names)}) {chosen}")
    processor = till.background.processor()
    processor.journal.fail_from(1)  # type: ignore[attr-defined]
    before = len(till.paymego.sent)

    processor.deliver_due(merchants(till))

    assert len({sent.receipt_id for sent in till.paymego.sent[before:]}) == 1001


def replace_journal(till: HookedWorld) -> None:
    """Bring a backup of the journal back, as an operator may do."""
    for file in list(till.host.folder.glob(f"{FILE_NAME}*")):
        shutil.copy2(file, till.host.folder / "copy")
        (till.host.folder / "copy").replace(file)


def test_no_cancel_leaves_after_another_journal_took_the_place_of_this_one(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.paymego.change(CHECK, meanwhile(lambda: replace_journal(till)))

    assert till.background.processor().step(row, merchants(till), is_recorded=None) is None
    assert till.paymego.count(CANCEL) == 0


def test_the_hook_sends_no_cancel_after_another_journal_took_the_place_of_this_one(till: HookedWorld) -> None:
    sold = till.sell()
    till.paymego.change(CHECK, meanwhile(lambda: replace_journal(till)))

    till.cancel(sold)

    assert till.paymego.count(CANCEL) == 0
    assert till.host.notices["payme.journal"] == till.text(Text.NOTICE_JOURNAL_MOVED)


def test_the_cancellations_of_a_deleted_journal_are_delivered_while_this_process_has_it(till: HookedWorld) -> None:
    row = owe_paid(till)
    processor = till.background.processor()
    for file in till.host.folder.glob(f"{FILE_NAME}*"):
        file.unlink()

    processor.step(row, merchants(till), is_recorded=None)

    assert till.paymego.count(CANCEL) == 1


def test_a_lease_that_stays_busy_is_told_after_two_timeouts_and_the_row_taken_over_at_once(till: HookedWorld) -> None:
    row = owe_paid(till)
    leases = Leases(till.host.folder)
    command = [sys.executable, journal_rival.__file__, "lead", str(till.host.folder), str(row.cancellation_id)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as rival:  # noqa: S603 - our own script
        assert rival.stdout is not None
        assert rival.stdout.readline()
        till.work(2 * till.settings.timeout_s)
        assert BUSY not in till.host.notices
        till.work(2)
        assert till.host.notices[BUSY] == till.text(Text.NOTICE_LEASE_BUSY, process=rival.pid)
        rival.kill()
    assert leases.holder(row.cancellation_id) is None

    till.work(1)

    assert BUSY not in till.host.notices
    assert till.paymego.count(CANCEL) == 1
