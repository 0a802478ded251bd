"""Whose key returns a payment: that of the ``posId`` which took it, however ``url`` is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.owed_money import owe_paid, owe_refund
from hookspecs import ReversalStatus
from payme_plugin.sandbox import FaultKind
from payme_plugin.secret import Secret
from payme_plugin.settings.model import FormerAccount
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

CANCEL, CHECK = "receipts.cancel", "receipts.check"
KEY_NOTICE, UNKNOWN_NOTICE = "payme.cancellations.key", "payme.cancellations.unknown"
ANOTHER = "0" * 24


def replace_account(world: HookedWorld, *, with_section: bool, url: str = "https://former.example/api") -> str:
    """Set another ``posId``; return the former one, which has a section or not."""
    former = world.settings.pos_id
    world.set(posId=ANOTHER)
    if with_section:
        section = FormerAccount(former, url, Secret("former-key"))
        world.settings = replace(world.settings, former_accounts=(section,))
    return former


def senders(world: HookedWorld, method: str) -> set[str]:
    return {sent.pos_id for sent in world.paymego.sent if sent.method == method}


@pytest.mark.parametrize("url", ["HTTP://LocalHost/api", "http://127.0.0.1/api/", "http://localhost:80/api"])
def test_another_spelling_of_url_stops_no_cancellation(world: HookedWorld, url: str) -> None:
    owe_paid(world)
    world.set(url=url)

    world.work(1000)

    assert (world.live(), world.paymego.held()) == ([], 0)


def test_a_cancellation_goes_with_the_key_of_its_accounts_section(world: HookedWorld) -> None:
    owe_paid(world)
    former = replace_account(world, with_section=True)

    world.work(1000)

    assert (world.live(), world.paymego.held()) == ([], 0)
    assert senders(world, CANCEL) == {former}
    assert world.host.notices.get(KEY_NOTICE) is None


def test_a_section_of_the_current_account_goes_before_the_settings(world: HookedWorld) -> None:
    section = FormerAccount(world.settings.pos_id, "https://former.example/api", Secret("former-key"))
    world.settings = replace(world.settings, former_accounts=(section,))

    merchants = world.background.merchants()

    assert merchants is not None
    assert [(one.pos_id, one.url) for one in merchants.values()] == [(section.pos_id, section.url)]


def test_a_cancellation_without_a_key_is_a_notice_at_once_until_it_has_one(world: HookedWorld) -> None:
    owe_paid(world)
    former = replace_account(world, with_section=False)
    sent = len(world.paymego.sent)

    world.work(1)

    assert world.host.notices[KEY_NOTICE] == world.texts(Text.NOTICE_KEY_MISSING, pos_id=former)
    assert len(world.paymego.sent) == sent
    section = FormerAccount(former, "https://former.example/api", Secret("former-key"))
    world.settings = replace(world.settings, former_accounts=(section,))
    world.work(1000)
    assert (world.live(), world.paymego.held()) == ([], 0)
    assert world.host.notices.get(KEY_NOTICE) is None


def test_a_refund_goes_with_the_key_of_its_accounts_section(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    former = replace_account(world, with_section=True)

    assert world.refund(sold).status is ReversalStatus.REVERSED
    assert senders(world, CANCEL) == {former}


def test_a_refund_without_a_key_is_queued_and_a_notice(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    former = replace_account(world, with_section=False)

    assert world.refund(sold).status is ReversalStatus.QUEUED
    world.work(1)

    assert world.host.notices[KEY_NOTICE] == world.texts(Text.NOTICE_KEY_MISSING, pos_id=former)


@pytest.mark.parametrize("code", [-31602, -32504, -31601])
@pytest.mark.parametrize("method", [CHECK, CANCEL])
def test_a_receipt_that_is_not_known_where_it_is_asked_for_waits_and_is_a_notice_with_both_hosts(
    world: HookedWorld, method: str, code: int
) -> None:
    world.set(ignoredErrors=code)
    owe_paid(world)
    world.set(url="https://another.example/api", ignoredErrors=code)
    world.paymego.befall(FaultKind.ERROR, method, times=None, error_code=code)

    world.work(100)

    assert len(world.live()) == 1
    text = world.texts(Text.NOTICE_RECEIPT_UNKNOWN, made_at="localhost", asked_at="another.example")
    assert world.host.notices[UNKNOWN_NOTICE] == text
    world.paymego.faults.clear()
    world.work(2000)
    assert (world.live(), world.host.notices.get(UNKNOWN_NOTICE)) == ([], None)


@pytest.mark.parametrize("code", [-31602, -32504, -31601])
def test_a_refund_is_never_refused_because_its_receipt_is_not_known(world: HookedWorld, code: int) -> None:
    world.set(ignoredErrors=code)
    sold = world.sell_and_close()
    world.paymego.befall(FaultKind.ERROR, CANCEL, error_code=code)

    assert world.refund(sold).status is ReversalStatus.QUEUED
    world.work(1000)
    assert (world.live(), world.paymego.held()) == ([], 0)


def test_a_queued_refund_of_a_former_account_is_delivered(world: HookedWorld) -> None:
    owe_refund(world)
    replace_account(world, with_section=True)

    world.work(1000)

    assert (world.live(), world.paymego.held()) == ([], 0)
