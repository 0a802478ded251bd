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


def go_down(world: HookedWorld) -> None:
    world.paymego.passage = lambda _: Passage(connects=False)


def come_back(world: HookedWorld) -> None:
    world.paymego.passage = lambda _: Passage()


def test_a_young_one_is_no_notice(world: HookedWorld) -> None:
    owe_refund(world)
    go_down(world)

    world.work(HOUR_S - 60)

    assert NOTICE not in world.host.notices


def test_one_that_is_older_than_an_hour_is_a_notice_until_it_is_gone(world: HookedWorld) -> None:
    owe_refund(world)
    go_down(world)
    world.work(HOUR_S + 60)
    assert world.host.notices[NOTICE] == world.text(Text.NOTICE_CANCELLATIONS_WAIT, count=1)

    come_back(world)
    world.work(2000)
    assert NOTICE not in world.host.notices
    assert [text for key, text in world.host.notice_log if key == NOTICE] == [
        world.text(Text.NOTICE_CANCELLATIONS_WAIT, count=1),
        None,
    ]


def test_more_than_ten_are_a_notice_at_once(world: HookedWorld) -> None:
    for number in range(1, 11):
        owe_refund(world, f"p{number}", number)
    go_down(world)
    world.work(1)
    assert NOTICE not in world.host.notices

    come_back(world)
    owe_refund(world, "p11", 11)
    go_down(world)
    world.work(1)
    assert world.host.notices[NOTICE] == world.text(Text.NOTICE_CANCELLATIONS_WAIT, count=11)

    come_back(world)
    world.work(60)
    assert NOTICE not in world.host.notices


def test_it_counts_as_they_go(world: HookedWorld) -> None:
    world.host.takes_messages = True
    for number in range(1, 13):
        owe_refund(world, f"p{number}", number)
    world.work(1)
    rows = world.journal.live_cancellations()
    world.background.processor().cancellations.end(rows[0], End.CLOSED, "paid (4)", closed_reason="settled")
    world.work(1)

    assert world.host.notices[NOTICE] == world.text(Text.NOTICE_CANCELLATIONS_WAIT, count=11)


def test_what_is_in_the_hosts_queue_counts_too(world: HookedWorld) -> None:
    world.host.takes_messages = True
    owe(world)
    go_down(world)

    world.work(HOUR_S + 60)

    assert NOTICE in world.host.notices
