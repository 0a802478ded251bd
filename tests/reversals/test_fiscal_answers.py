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
def test_an_answer_that_is_no_success_of_ours_is_asked_for_again(till: HookedWorld, change: Change) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.change(TELL, change)

    till.work(100)

    assert till.paymego.count(TELL) == 2
    assert till.events()[-1].text == "fiscal receipt: Payme has it"
    assert till.journal.live_fiscal_links() == []


def test_what_came_is_shown_while_it_waits(till: HookedWorld) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.change(TELL, without_id(error(-31602)), times=1000)
    till.work(100)

    (row,) = till.journal.live_fiscal_links()
    assert (row.last_error, row.attempts > 1) == ("error -31602", True)


def test_success_without_our_id_ends_it(till: HookedWorld) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.change(TELL, lambda answer: {**answer, "id": None})

    till.work(4000)

    assert (till.paymego.count(TELL), till.journal.live_fiscal_links()) == (1, [])


@pytest.mark.parametrize("code", [-32400, -31625, -31002, -31622, -32504])
def test_a_transient_error_is_tried_again_with_growing_pauses(till: HookedWorld, code: int) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.change(TELL, error(code), times=8)

    till.work(8 * 900)

    times = till.paymego.times_of(TELL)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == 9
    assert pauses == sorted(pauses)
    assert till.journal.live_fiscal_links() == []
    assert till.host.notices.get(NOTICE) is None


@pytest.mark.parametrize("change", [error(-32400), without_id(error(-31602)), result({"success": False})])
def test_an_answer_that_does_not_end_it_within_3_days_is_the_last_and_a_notice(
    till: HookedWorld, change: Change
) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.change(TELL, change, times=10_000)

    till.work(3 * DAY_S - 1000)
    assert len(till.journal.live_fiscal_links()) == 1
    till.work(3000)
    sent = till.paymego.count(TELL)
    till.work(DAY_S)

    assert (till.paymego.count(TELL), till.journal.live_fiscal_links()) == (sent, [])
    assert till.host.notices[NOTICE] == till.texts(Text.NOTICE_FISCAL_LINKS_ENDED, count=1)


def test_a_network_that_is_away_for_a_week_loses_no_fiscal_receipt(till: HookedWorld) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.passage = lambda _: Passage(connects=False)
    till.work(7 * DAY_S)
    till.paymego.passage = lambda _: Passage()
    till.work(1000)

    assert till.events()[-1].text == "fiscal receipt: Payme has it"


@pytest.mark.parametrize("code", [-31602, -32602])
def test_a_refusal_of_ours_ends_it(till: HookedWorld, code: int) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.change(TELL, error(code))

    till.work(4000)

    assert till.paymego.count(TELL) == 1
    assert till.events()[-1].text == f"fiscal receipt: error {code}"
