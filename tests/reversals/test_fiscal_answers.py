"""What ends a fiscal link: success, or a refusal, in an answer to our own request. Anything else is asked again."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import error, result, without_id
from fakes.hooked_world import OFD_LINK
from fakes.paymego import Passage
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld
    from fakes.paymego import Change

TELL = "receipts.set_fiscal_data"
NOTICE = "payme.fiscal_links"
DAY_S = 86_400

NO_END: dict[str, Change] = {
    "success is false": result({"success": False}),
    "success is 1": result({"success": 1}),
    "success is a text": result({"success": "true"}),
    "no success": result({"state": 4}),
    "a list": result([]),
    "a refusal without our id": without_id(error(-31602)),
}


@pytest.mark.parametrize("change", NO_END.values(), ids=NO_END)
def test_an_answer_that_is_no_success_of_ours_is_asked_for_again(world: HookedWorld, change: Change) -> None:
    world.sell_and_close(link=OFD_LINK)
    world.paymego.change(TELL, change)

    world.work(100)

    assert world.paymego.count(TELL) == 2
    assert world.events()[-1].text == "fiscal receipt: Payme has it"
    assert world.journal.live_fiscal_links() == []


def test_what_came_is_shown_while_it_waits(world: HookedWorld) -> None:
    world.sell_and_close(link=OFD_LINK)
    world.paymego.change(TELL, without_id(error(-31602)), times=1000)
    world.work(100)

    (row,) = world.journal.live_fiscal_links()
    assert (row.last_error, row.attempts > 1) == ("error -31602", True)


def test_success_without_our_id_ends_it(world: HookedWorld) -> None:
    world.sell_and_close(link=OFD_LINK)
    world.paymego.change(TELL, lambda answer: {**answer, "id": None})

    world.work(4000)

    assert (world.paymego.count(TELL), world.journal.live_fiscal_links()) == (1, [])


@pytest.mark.parametrize("code", [-32400, -31625, -31002, -31622, -32504])
def test_a_transient_error_is_tried_again_with_growing_pauses(world: HookedWorld, code: int) -> None:
    world.sell_and_close(link=OFD_LINK)
    world.paymego.change(TELL, error(code), times=8)

    world.work(8 * 900)

    times = world.paymego.times_of(TELL)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == 9
    assert pauses == sorted(pauses)
    assert world.journal.live_fiscal_links() == []
    assert world.host.notices.get(NOTICE) is None


@pytest.mark.parametrize("change", [error(-32400), without_id(error(-31602)), result({"success": False})])
def test_an_answer_that_does_not_end_it_within_3_days_is_the_last_and_a_notice(
    world: HookedWorld, change: Change
) -> None:
    world.sell_and_close(link=OFD_LINK)
    world.paymego.change(TELL, change, times=10_000)

    world.work(3 * DAY_S - 1000)
    assert len(world.journal.live_fiscal_links()) == 1
    world.work(3000)
    sent = world.paymego.count(TELL)
    world.work(DAY_S)

    assert (world.paymego.count(TELL), world.journal.live_fiscal_links()) == (sent, [])
    assert world.host.notices[NOTICE] == world.texts(Text.NOTICE_FISCAL_LINKS_ENDED, count=1)


def test_a_network_that_is_away_for_a_week_loses_no_fiscal_receipt(world: HookedWorld) -> None:
    world.sell_and_close(link=OFD_LINK)
    world.paymego.passage = lambda _: Passage(connects=False)
    world.work(7 * DAY_S)
    world.paymego.passage = lambda _: Passage()
    world.work(1000)

    assert world.events()[-1].text == "fiscal receipt: Payme has it"


@pytest.mark.parametrize("code", [-31602, -32602])
def test_a_refusal_of_ours_ends_it(world: HookedWorld, code: int) -> None:
    world.sell_and_close(link=OFD_LINK)
    world.paymego.change(TELL, error(code))

    world.work(4000)

    assert world.paymego.count(TELL) == 1
    assert world.events()[-1].text == f"fiscal receipt: error {code}"
