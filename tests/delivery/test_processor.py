"""Several threads and processes work on one journal: only the holder of its lease steps a row."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import meanwhile
from fakes.hooked_world import OFD_LINK
from fakes.owed_money import owe, owe_paid, owe_refund
from fakes.paymego import Passage
from faults import journal_process
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.locks import Leases
from payme_plugin.ledger.states import End
from payme_plugin.operations.cancellation import StepOutcome
from payme_plugin.sandbox import CancelPlan, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld

PATIENCE_S = 20
BUSY = "payme.cancellations.busy"
CANCEL, CHECK, SEND = "receipts.cancel", "receipts.check", "receipts.set_fiscal_data"


def test_a_step_that_begins_while_another_is_under_way_does_nothing(till: HookedWorld) -> None:
    row = owe_paid(till)
    seconds: list[StepOutcome | None] = []
    till.background.processor()
    till.paymego.change(CHECK, meanwhile(lambda: seconds.append(till.step(row))))

    first = till.step(row)

    assert (first, seconds) == (StepOutcome.ACCEPTED, [None])
    assert (till.live()[0].attempts, till.paymego.count(CANCEL)) == (1, 1)


def test_a_row_that_a_person_ends_during_a_step_gets_no_cancel_and_stays_as_the_person_ended_it(
    till: HookedWorld,
) -> None:
    row = owe_paid(till)
    till.background.processor()
    rows = Cancellations(till.journal)
    till.paymego.change(CHECK, meanwhile(lambda: rows.end(row, End.CLOSED, "paid (4)", closed_reason="settled")))

    assert till.step(row) is StepOutcome.DONE
    assert till.paymego.count(CANCEL) == 0
    ended = till.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert ended.ended_as is End.CLOSED


def test_a_step_that_can_not_be_stored_leaves_the_row_as_it_was(
    till: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    row = owe_paid(till)
    processor = till.background.processor()
    processor.journal.fail_from(1)  # type: ignore[attr-defined]

    assert till.step(row) is None
    assert till.live() == [row]
    assert f"cancellation {row.cancellation_id}: database or disk is full" in caplog.text
    assert till.paymego.count(CANCEL) == 0
    processor.journal.recover()  # type: ignore[attr-defined]
    assert till.step(row) is StepOutcome.ACCEPTED


def test_a_fiscal_link_whose_lease_is_taken_is_not_sent_twice(till: HookedWorld) -> None:
    till.sell_and_close(link=OFD_LINK)
    processor = till.background.processor()
    (link,) = processor.links.due(5)
    till.paymego.change(SEND, meanwhile(lambda: processor.send_link(link, till.merchants)))

    processor.send_link(link, till.merchants)
    processor.send_link(link, till.merchants)

    assert till.paymego.count(SEND) == 1


def test_a_fiscal_link_whose_end_can_not_be_stored_is_sent_again(
    till: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    till.sell_and_close(link=OFD_LINK)
    processor = till.background.processor()
    processor.journal.fail_from(1)  # type: ignore[attr-defined]
    till.work()
    processor.journal.recover()  # type: ignore[attr-defined]
    till.work(30)

    assert till.paymego.count(SEND) == 2
    assert processor.links.due(5) == []
    assert "fiscal link 1: database or disk is full" in caplog.text


def test_a_link_and_a_row_of_the_same_number_do_not_share_a_lease(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.sell_and_close("p2", 2, link=OFD_LINK)
    processor = till.background.processor()
    (link,) = processor.links.due(5)
    assert link.fiscal_link_id == row.cancellation_id
    till.paymego.inject_fault(FaultKind.HTTP_ERROR, CANCEL)

    with till.background._storage.opened.leases.try_acquire(row.cancellation_id):
        processor.send_link(link, till.merchants)

    assert till.paymego.count(SEND) == 1


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


def test_a_full_disk_is_logged_once_a_minute(till: HookedWorld, caplog: pytest.LogCaptureFixture) -> None:
    processor = till.background.processor()
    till.sell_and_close("old")
    till.clock.sleep(401 * 86_400)
    owe_paid(till, "p2", 2)
    processor.journal.fail_from(1)  # type: ignore[attr-defined]

    till.work(600)

    lines = [each for each in caplog.messages if each.startswith("finished payments can't be forgotten now")]
    assert 2 <= len(lines) <= 11


def test_on_a_full_disk_all_rows_and_all_fiscal_links_have_their_turn_however_long_each_takes(
    till: HookedWorld,
) -> None:
    for number in range(1, 71):
        till.sell_and_close(f"p{number}", number, link=OFD_LINK)
    receipts = {owe_paid(till, f"p{number}", number).receipt_id for number in range(71, 141)}
    till.background.processor().journal.fail_from(1)  # type: ignore[attr-defined]
    till.paymego.inject_fault(FaultKind.SILENT, CHECK, times=None)
    before = len(till.paymego.sent)

    till.work(800)

    sent = till.paymego.sent[before:]
    assert {each.receipt_id for each in sent if each.method == CHECK} == receipts
    assert len({each.receipt_id for each in sent if each.method == SEND}) == 70


def replace_journal(till: HookedWorld) -> None:
    """Bring a backup of the journal back, as an operator may do."""
    for file in list(till.host.folder.glob(f"{FILE_NAME}*")):
        shutil.copy2(file, till.host.folder / "copy")
        (till.host.folder / "copy").replace(file)


def step_of_worker(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.paymego.change(CHECK, meanwhile(lambda: replace_journal(till)))
    assert till.step(row) is None


def cancel_by_hook(till: HookedWorld) -> None:
    sold = till.sell()
    till.paymego.change(CHECK, meanwhile(lambda: replace_journal(till)))
    till.cancel(sold)
    assert till.host.notices["payme.journal"] == till.text(Text.NOTICE_JOURNAL_MOVED)


@pytest.mark.parametrize("who", [step_of_worker, cancel_by_hook])
def test_no_cancel_leaves_after_another_journal_took_the_place_of_this_one(
    till: HookedWorld, who: Callable[[HookedWorld], None]
) -> None:
    who(till)

    assert till.paymego.count(CANCEL) == 0


def test_the_cancellations_of_a_deleted_journal_are_delivered_while_this_process_has_it(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.background.processor()
    for file in till.host.folder.glob(f"{FILE_NAME}*"):
        file.unlink()

    till.step(row)

    assert till.paymego.count(CANCEL) == 1


def test_a_lease_that_stays_busy_is_a_notice_after_two_timeouts_and_its_row_is_delivered_once_it_is_free(
    till: HookedWorld,
) -> None:
    row = owe_paid(till)
    leases = Leases(till.host.folder)
    command = [sys.executable, journal_process.__file__, "lead", str(till.host.folder), str(row.cancellation_id)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:  # noqa: S603 - our own script
        assert holder.stdout is not None
        assert holder.stdout.readline()
        till.work(2 * till.settings.timeout_s)
        assert BUSY not in till.host.notices
        till.work(2)
        assert till.host.notices[BUSY] == till.text(Text.NOTICE_LEASE_BUSY, process=holder.pid)
        holder.kill()
    assert leases.holder(row.cancellation_id) is None

    till.work(1)

    assert BUSY not in till.host.notices
    assert till.paymego.count(CANCEL) == 1


def test_a_lease_that_a_hook_of_this_process_holds_is_no_notice_however_long(till: HookedWorld) -> None:
    row = owe_paid(till)
    with Leases(till.host.folder).try_acquire(row.cancellation_id):
        till.work(3 * till.settings.timeout_s)

    assert BUSY not in till.host.notices


# ``payme queue deliver``: every due row once, or every row until none is left or nothing moves any more.


def drain(till: HookedWorld) -> bool:
    return till.background.processor().deliver_until_empty(till.merchants, PATIENCE_S)


def deliver(till: HookedWorld) -> bool:
    till.background.processor().deliver_due(till.merchants)
    return not till.journal.live_cancellations()


def test_an_empty_queue_is_empty_without_a_request(till: HookedWorld) -> None:
    assert drain(till)
    assert deliver(till)
    assert till.paymego.sent == []


def test_rows_that_are_due_are_stepped_once_each_and_the_others_only_if_all_are_asked_for(till: HookedWorld) -> None:
    rows = [owe_refund(till, "p1", 1), owe_paid(till, "p2", 2), owe(till, "p3", 3)]
    till.background.processor().cancellations.postpone(rows[2], 900_000, "no answer")
    for row in rows:
        till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=12))
    turn = len(till.paymego.sent)

    assert not deliver(till)
    cancelled = [sent.receipt_id for sent in till.paymego.sent[turn:] if sent.method == CANCEL]
    assert cancelled == [row.receipt_id for row in rows[:2]]
    assert drain(till)
    assert (till.journal.live_cancellations(), till.paymego.held()) == ([], 0)


def test_a_lease_that_is_taken_is_waited_for_until_the_patience_is_over(till: HookedWorld) -> None:
    row = owe_refund(till)
    began = till.clock.monotonic()
    with ExitStack() as another:
        assert another.enter_context(till.background._storage.opened.leases.try_acquire(row.cancellation_id))
        assert not drain(till)
        assert till.clock.monotonic() - began == pytest.approx(PATIENCE_S, abs=1)

        till.clock.at(till.clock.monotonic() + 9, another.close)
        assert drain(till)


def test_a_run_that_changes_nothing_ends_it_at_once(till: HookedWorld) -> None:
    owe_refund(till)
    till.paymego.passage = lambda _: Passage(connects=False)
    began = till.clock.monotonic()

    assert not drain(till)
    assert till.clock.monotonic() - began < 1


def test_polling_a_lasting_21_ends_after_the_patience_and_asks_about_each_other_row_once(
    till: HookedWorld,
) -> None:
    rows = [owe_paid(till, f"p{number}", number) for number in range(1, 6)]
    for row in rows[1:]:
        till.paymego.bank.put_state(till.paymego.now_ms, row.receipt_id, 77)
    till.paymego.bank.put_state(till.paymego.now_ms, rows[0].receipt_id, 21)
    till.paymego.bank.plan_cancel(rows[0].receipt_id, CancelPlan(settle_s=3600))
    turn, began = len(till.paymego.sent), till.clock.monotonic()

    assert not drain(till)

    assert till.clock.monotonic() - began == pytest.approx(PATIENCE_S, abs=1)
    asked = [sent.receipt_id for sent in till.paymego.sent[turn:]]
    assert [asked.count(row.receipt_id) for row in rows[1:]] == [1, 1, 1, 1]
    assert asked.count(rows[0].receipt_id) > 10


def test_every_row_that_ends_renews_the_patience(till: HookedWorld) -> None:
    rows = [owe_refund(till, f"p{number}", number) for number in range(1, 4)]
    for row, settles_s in zip(rows, (15.0, 30.0, 45.0), strict=True):
        till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=settles_s))

    assert drain(till)
