"""What ends a fiscal link: success, or a refusal, in an answer to our own request. Anything else is asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from answer_changes import error, result, without_id
from hooked_world import OFD_LINK

if TYPE_CHECKING:
    from hooked_world import HookedWorld
    from virtual_paymego import Change

TELL = "receipts.set_fiscal_data"

NO_END: dict[str, Change] = {
    "success is false": result({"success": False}),
    "success is 1": result({"success": 1}),
    "success is a text": result({"success": "true"}),
    "no success": result({"state": 4}),
    "a list": result([]),
    "success without our id": without_id(),
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
    assert (row.last_error, row.attempts > 1) == ("error -31602, perhaps of another request", True)


@pytest.mark.parametrize("code", [-31602, -32602])
def test_a_refusal_of_ours_ends_it(world: HookedWorld, code: int) -> None:
    world.sell_and_close(link=OFD_LINK)
    world.paymego.change(TELL, error(code))

    world.work(4000)

    assert world.paymego.count(TELL) == 1
    assert world.events()[-1].text == f"fiscal receipt: Payme refuses it, error {code}"
