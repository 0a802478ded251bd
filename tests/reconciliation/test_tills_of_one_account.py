"""Tills that share a merchant account: each compares only its own sales, by the account in the receipt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import Sold
from fakes.till import TENDER, open_sale
from fakes.world import World
from hookspecs import PaymentRecord, PaymentStatus, ReversalStatus
from payme_plugin.operations.receipt_list import list_receipts
from payme_plugin.operations.reconciliation import Reconciled, TillAccounts, read_journal, reconcile
from payme_plugin.paymego.receipts import ServerReceipt
from payme_plugin.settings import account_of, accounts_of_till

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fakes.hooked_world import HookedWorld

DAY_MS = 86_400_000
DEFAULT = "order_id={till}-{shift}-{number}-{attempt}"
NAMES = ["1", "1-2", "11", "2-1", "shop-1", "shop-1-2", "shop-11", "a.b", "axb", "касса 1", "-", "1-"]
APART = [DEFAULT, "id={till}", "id={shift}-{till}", "id={shift}x{till}x{number}", "shop=7,id=t{till}.{number}"]
NOT_APART = ["", "id={number}", "id={till}{shift}", "id={shift}{till}", "id={till}1-{shift}", "id=1{till}"]


def receipt(account: dict[str, str]) -> ServerReceipt:
    listed = [{"name": name, "title": name, "value": value} for name, value in account.items()]
    return ServerReceipt(
        receipt_id="r1",
        state=4,
        amount=1,
        create_time_ms=1,
        pay_time_ms=1,
        phone=None,
        raw={"account": listed},
    )


@pytest.mark.parametrize("template", APART)
def test_a_till_knows_its_own_accounts_and_no_other_tills(template: str) -> None:
    for owner in NAMES:
        made = account_of(template, till=owner, shift=12, number=3, attempt=1)
        knows = [till for till in NAMES if TillAccounts(template, [till])(receipt(made))]
        assert knows == [owner], made


@pytest.mark.parametrize("template", NOT_APART)
def test_without_a_name_that_stands_apart_no_receipt_is_a_tills_own(template: str) -> None:
    assert accounts_of_till(template, "shop-1") is None
    made = account_of(template, till="shop-1", shift=12, number=3, attempt=1)
    assert not TillAccounts(template, ["shop-1"])(receipt(made))


@pytest.mark.parametrize(
    "account", [{}, {"order_id": "till-1"}, {"other": "till-1-1-1-1"}, {"order_id": "till-1-1-1-1\n"}]
)
def test_an_account_of_another_form_is_not_a_tills_own(account: dict[str, str]) -> None:
    assert TillAccounts(DEFAULT, ["till-1"])(receipt({"order_id": "till-1-1-1-1"}))
    assert not TillAccounts(DEFAULT, ["till-1"])(receipt(account))


def compared(world: World) -> Reconciled:
    now_ms = world.clock.wall_ms()
    period = now_ms - DAY_MS, now_ms
    listed = list_receipts(world.client, world.clock, 5.0, *period)
    stored = read_journal(world.journal, world.settings, listed, None, period)
    is_ours = TillAccounts(world.settings.account, stored.tills)
    return reconcile(stored, listed, None, is_ours, period, as_of_ms=now_ms)


def lost_receipt(world: World, value: str) -> str:
    """Return a paid receipt that no journal has."""
    order = {"amount": 5, "account": {"order_id": value}}
    answer = world.paymego.bank.call(world.paymego.now_ms, "receipts.create", order)
    assert isinstance(answer, dict)
    receipt_id = str(answer["receipt"]["_id"])  # type: ignore[index]
    world.paymego.bank.put_state(world.paymego.now_ms, receipt_id, 4)
    return receipt_id


@pytest.fixture
def second(world: World, tmp_path: Path) -> Iterator[World]:
    """Another till of the merchant account."""
    second = World(tmp_path / "second")
    for file in (tmp_path / "second").iterdir():
        file.unlink()
    second.paymego, second.clock, second.host.name = world.paymego, world.clock, "till-2"
    second.restart()
    yield second
    second.close()


def test_two_tills_of_one_account_each_find_their_own_difference(world: World, second: World) -> None:
    lost = {till: lost_receipt(world, f"{till}-3-9-1") for till in ("till-1", "till-2")}
    for till in (world, second):
        sale = open_sale(till=till.host.name)
        assert till.pay(world.paymego.code(), receipt=sale).status is PaymentStatus.PAID
    world.clock.sleep(10)

    for till, mine, theirs in ((world, "till-1", "till-2"), (second, "till-2", "till-1")):
        found = compared(till)
        assert [each.match.receipt_id for each in found.differences] == [lost[mine]]
        assert lost[theirs] in {each.receipt_id for each in found.of_other_tills}
        assert (found.agreed, len(found.of_other_tills)) == (1, 2)


def test_a_refund_of_another_tills_sale_does_not_make_that_tills_receipts_its_own(till: HookedWorld) -> None:
    refunded, kept = lost_receipt(till, "till-2-3-1-1"), lost_receipt(till, "till-2-3-2-1")
    data = {"plugin": "payme", "receipt_id": refunded, "posId": till.settings.pos_id}
    record = PaymentRecord(payment_id="p1", payment_type=TENDER, amount=5, data=data)
    sale = replace(open_sale(amount=5, till="till-2"), payments=(record,), closed_at=till.clock.wall_ms())
    assert till.refund(Sold(record, sale)).status is ReversalStatus.REVERSED
    till.clock.sleep(10)

    found = compared(till)
    assert (found.differences, found.agreed) == ((), 1)
    assert [each.receipt_id for each in found.of_other_tills] == [kept]


def test_where_the_account_names_no_till_unknown_receipts_are_reported_apart(world: World) -> None:
    world.set(account="order_id={number}")
    world.pay(world.paymego.code())
    lost = lost_receipt(world, "9")
    world.clock.sleep(10)

    found = compared(world)
    assert (found.differences, found.agreed) == ((), 1)
    assert [each.receipt_id for each in found.of_other_tills] == [lost]


def test_a_payment_is_found_in_the_journal_even_if_the_tills_clock_was_wrong_when_it_was_made(world: World) -> None:
    world.clock.set_wall(-3 * DAY_MS)
    world.pay(world.paymego.code())
    world.clock.set_wall(3 * DAY_MS)
    world.clock.sleep(10)

    found = compared(world)
    assert (found.differences, found.agreed) == ((), 1)
