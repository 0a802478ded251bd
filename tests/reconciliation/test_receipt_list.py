"""Payme's list is complete, whatever arrives while it is read, or there is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payme_plugin.operations.receipt_list import ChangingList, EndlessList, ReceiptList, list_receipts
from payme_plugin.paymego.errors import CallFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fakes.world import World

    Envelope = Mapping[str, object]

DAY_MS = 86_400_000
ORDER = {"amount": 100, "account": {"order_id": "till-1-1-1-1"}}


def create(world: World, count: int = 1) -> None:
    for _ in range(count):
        world.paymego.bank.call(world.paymego.now_ms, "receipts.create", ORDER)


def listed(world: World, **how: Callable[[], None]) -> ReceiptList:
    now_ms = world.paymego.now_ms
    return list_receipts(world.client, world.clock, 5.0, now_ms - DAY_MS, now_ms + DAY_MS, **how)


def ids(world: World) -> set[str]:
    return {each.receipt_id for each in world.paymego.bank.receipts(world.paymego.now_ms)}


def newest_first(world: World, limit: int = 50) -> None:
    """Let Payme list the newest receipts first, as the page of the API shows them."""
    bank = world.paymego.bank
    usual = bank._get_all

    def get_all(now_ms: int, params: Mapping[str, object], pos_id: str) -> dict[str, object] | list[object]:
        offset = int(str(params["offset"]))
        whole: list[object] = []
        while page := usual(now_ms, {**params, "offset": len(whole), "count": limit}, pos_id):
            whole += page
        return whole[::-1][offset : offset + limit]

    bank._methods["receipts.get_all"] = get_all


def test_a_list_of_one_page_is_asked_for_once(world: World) -> None:
    create(world, 49)
    assert {each.receipt_id for each in listed(world).receipts} == ids(world)
    assert world.paymego.count("receipts.get_all") == 1


def test_a_longer_list_is_read_until_a_whole_pass_adds_nothing(world: World) -> None:
    create(world, 120)
    found = listed(world).receipts
    assert sorted(str(each.receipt_id) for each in found) == sorted(ids(world))
    assert [sent.params["offset"] for sent in world.paymego.sent] == [0, 50, 100, 0, 50, 100]
    assert {(sent.params["to"], sent.params["count"]) for sent in world.paymego.sent} == {(1767315600000, 50)}


def test_10000_receipts_are_all_found_while_new_ones_arrive(world: World) -> None:
    create(world, 10_000)
    before, pages = ids(world), list[None]()

    def sale_goes_on() -> None:
        pages.append(None)
        world.clock.sleep(0.05)
        create(world, 3)

    found = [each.receipt_id for each in listed(world, before_page=sale_goes_on).receipts]

    assert before <= set(found)
    assert len(found) == len(set(found))
    assert len(pages) < 450, "two passes: newer receipts force no other"


def test_the_newest_first_list_is_complete_too_while_new_receipts_arrive(world: World) -> None:
    create(world, 500)
    newest_first(world)
    before = ids(world)

    def sale_goes_on() -> None:
        world.clock.sleep(0.05)
        create(world, 3)

    found = [each.receipt_id for each in listed(world, before_page=sale_goes_on).receipts]
    assert before <= set(found)
    assert len(found) == len(set(found))


def test_a_receipt_that_a_page_missed_is_found_by_the_next_pass(world: World) -> None:
    create(world, 120)

    def without_one(answer: Envelope) -> Envelope:
        page = answer["result"]
        assert isinstance(page, list)
        return {**answer, "result": [*page[:-1], page[0]]}

    world.paymego.change("receipts.get_all", without_one, skip=1)

    assert {each.receipt_id for each in listed(world).receipts} == ids(world)
    assert world.paymego.count("receipts.get_all") == 9, "the second pass found it, the third adds nothing"


def test_a_receipt_has_its_latest_state(world: World) -> None:
    create(world, 60)
    first = world.paymego.bank.receipts(world.paymego.now_ms)[0].receipt_id
    asked: list[None] = []

    def pay_before_the_second_pass() -> None:
        asked.append(None)
        if len(asked) == 3:
            world.paymego.bank.put_state(world.paymego.now_ms, first, 4)

    found = listed(world, before_page=pay_before_the_second_pass).receipts
    assert [each.state for each in found if each.receipt_id == first] == [4]


def test_a_list_that_changes_all_the_time_is_an_error(world: World) -> None:
    create(world, 60)

    def old_receipt() -> None:
        world.clock.sleep(0.05)
        now_ms = world.paymego.now_ms
        world.paymego.bank._latest_ms = now_ms - DAY_MS // 2
        world.paymego.bank.call(now_ms - DAY_MS // 2, "receipts.create", ORDER)
        world.paymego.bank._latest_ms = now_ms

    with pytest.raises(ChangingList):
        listed(world, before_page=old_receipt)
    assert world.paymego.count("receipts.get_all") < 40


def test_a_server_that_sends_the_same_page_again_is_an_error(world: World) -> None:
    create(world, 50)
    bank = world.paymego.bank
    page = bank._get_all(world.paymego.now_ms, {"from": 0, "to": 2**60}, bank.accounts[0].pos_id)
    bank._methods["receipts.get_all"] = lambda *_: page

    with pytest.raises(EndlessList):
        listed(world)
    assert world.paymego.count("receipts.get_all") == 2


def test_a_page_that_does_not_come_is_an_error(world: World) -> None:
    create(world, 60)
    world.paymego.change("receipts.get_all", lambda _: b"<html>", skip=1)
    with pytest.raises(CallFailed):
        listed(world)


def test_the_newest_time_in_the_list_is_a_lower_bound_of_paymes_clock(world: World) -> None:
    assert listed(world).server_ms == 0
    create(world)
    created_ms = world.paymego.now_ms
    assert listed(world).server_ms == created_ms
    world.clock.sleep(100)
    receipt_id = next(iter(ids(world)))
    world.paymego.bank.put_state(world.paymego.now_ms, receipt_id, 4)
    paid_ms = world.paymego.now_ms
    world.clock.sleep(100)
    assert listed(world).server_ms == paid_ms


def test_what_a_list_keeps_has_no_data_of_the_buyer(world: World) -> None:
    world.pay(world.paymego.code())
    (receipt,) = listed(world).receipts
    assert receipt.phone is None
    assert receipt.raw.keys() == {"account"}
    assert receipt.account["order_id"] == "till-1-3-1-1"
