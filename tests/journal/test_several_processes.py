"""Two at one journal: threads of a process, and processes of a till by mistake. Each change has one winner."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import contents, intent_of, walk
from faults import journal_rival
from payme_plugin.ledger.errors import Conflict, Unavailable
from payme_plugin.ledger.journal import Journal
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from fakes.clock import VirtualClock

pytestmark = pytest.mark.floor

_SCRIPT = Path(journal_rival.__file__)


def test_two_connections_see_each_others_commits_at_once(journal: Journal, path: Path, clock: VirtualClock) -> None:
    other = Journal(path, host_identity="till-1", clock=clock)

    row = walk(journal, PaymentState.PAYING)
    assert other.payment("p1") == row
    paid = other.move(row, PaymentState.PAID, "4")

    assert journal.payment("p1") == paid
    with pytest.raises(Conflict):
        journal.move(row, PaymentState.UNKNOWN, "time is over")
    other.close()


def test_while_another_commits_a_change_waits_and_then_gives_up_without_a_trace(
    journal: Journal, path: Path, clock: VirtualClock
) -> None:
    other = Journal(path, host_identity="till-1", clock=clock)
    row = walk(journal, PaymentState.PAYING)
    held = contents(journal)
    with journal.reading() as connection:
        connection.execute("PRAGMA busy_timeout = 10")

    with other.writing(), pytest.raises(Unavailable, match="locked"):
        journal.move(row, PaymentState.PAID, "4")

    assert contents(journal) == held
    assert journal.move(row, PaymentState.PAID, "4").state is PaymentState.PAID
    other.close()


def test_while_another_commits_reading_goes_on(journal: Journal, path: Path, clock: VirtualClock) -> None:
    other = Journal(path, host_identity="till-1", clock=clock)
    walk(journal, PaymentState.PAYING)

    with other.writing():
        assert journal.payment("p1").state is PaymentState.PAYING

    other.close()


def test_of_many_processes_one_takes_a_payment_over(journal: Journal, path: Path) -> None:
    walk(journal, PaymentState.PAYING)
    rivals = [
        subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, str(_SCRIPT), "take-over", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for rival in rivals:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "ready\n"

    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    said = sorted(rival.communicate(timeout=60)[0].strip() for rival in rivals)

    assert said == ["lost", "lost", "lost", "won"]
    assert journal.payment("p1").owner in {f"process-{rival.pid}" for rival in rivals}
    assert [event.text for event in journal.events("p1")].count("the host asks again") == 1


def test_of_many_threads_one_stores_a_payment(journal: Journal) -> None:
    stored: list[str] = []
    failed: list[Exception] = []
    together = threading.Barrier(8)

    def sell(name: str) -> None:
        together.wait()
        try:
            journal.add_intent(intent_of("p1", owner=name), "begun")
        except Conflict as error:
            failed.append(error)
        else:
            stored.append(name)

    threads = [threading.Thread(target=sell, args=(f"thread-{index}",)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [journal.payment("p1").owner] == stored
    assert len(failed) == 7
