"""What waits too long, or is too much, shows as a notice at the till, and goes when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.owed_money import owe, owe_refund
from fakes.paymego import Passage
from payme_plugin.ledger.states import End
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

NOTICE = "payme.cancellations"
HOUR_S = 3600


def go_down(till: HookedWorld) -> None:
    till.paymego.passage = lambda _: Passage(connects=False)


def come_back(till: HookedWorld) -> None:
    till.paymego.passage = lambda _: Passage()


def test_a_young_one_is_no_notice(till: HookedWorld) -> None:
    owe_refund(till)
    go_down(till)

    till.work(HOUR_S - 60)

    assert NOTICE not in till.host.notices


def test_one_that_is_older_than_an_hour_is_a_notice_until_it_is_gone(till: HookedWorld) -> None:
    owe_refund(till)
    go_down(till)
    till.work(HOUR_S + 60)
    assert till.host.notices[NOTICE] == till.text(Text.NOTICE_CANCELLATIONS_WAIT, count=1)

    come_back(till)
    till.work(2000)
    assert NOTICE not in till.host.notices
    assert [text for key, text in till.host.notice_log if key == NOTICE] == [
        till.text(Text.NOTICE_CANCELLATIONS_WAIT, count=1),
        None,
    ]


def test_more_than_ten_are_a_notice_at_once(till: HookedWorld) -> None:
    for number in range(1, 11):
        owe_refund(till, f"p{number}", number)
    go_down(till)
    till.work(1)
    assert NOTICE not in till.host.notices

    come_back(till)
    owe_refund(till, "p11", 11)
    go_down(till)
    till.work(1)
    assert till.host.notices[NOTICE] == till.text(Text.NOTICE_CANCELLATIONS_WAIT, count=11)

    come_back(till)
    till.work(60)
    assert NOTICE not in till.host.notices


def test_it_counts_as_they_go(till: HookedWorld) -> None:
    till.host.takes_messages = True
    for number in range(1, 13):
        owe_refund(till, f"p{number}", number)
    till.work(1)
    rows = till.journal.live_cancellations()
    till.background.processor().cancellations.end(rows[0], End.CLOSED, "paid (4)", closed_reason="settled")
    till.work(1)

    assert till.host.notices[NOTICE] == till.text(Text.NOTICE_CANCELLATIONS_WAIT, count=11)


def test_what_is_in_the_hosts_queue_counts_too(till: HookedWorld) -> None:
    till.host.takes_messages = True
    owe(till)
    go_down(till)

    till.work(HOUR_S + 60)

    assert NOTICE in till.host.notices
