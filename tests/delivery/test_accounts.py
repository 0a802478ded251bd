"""A payment is returned with the key of the ``posId`` that took it, however ``url`` is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.owed_money import owe_paid
from hookspecs import ReversalStatus
from payme_plugin.sandbox import FaultKind
from payme_plugin.secret import Secret
from payme_plugin.settings.model import FormerAccount
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld
    from fakes.reversal_calls import Reversal

CANCEL, CHECK = "receipts.cancel", "receipts.check"
KEY_NOTICE, UNKNOWN_NOTICE = "payme.cancellations.key", "payme.cancellations.unknown"
ANOTHER = "0" * 24


def use_another_account(till: HookedWorld, *, has_section: bool) -> str:
    """Set another ``posId``; return the former one, which has a section or not."""
    former = till.settings.pos_id
    till.set(posId=ANOTHER)
    if has_section:
        section = FormerAccount(former, "https://former.example/api", Secret("former-key"))
        till.settings = replace(till.settings, former_accounts=(section,))
    return former


@pytest.mark.parametrize("url", ["HTTP://LocalHost/api", "http://127.0.0.1/api/", "http://localhost:80/api"])
def test_another_spelling_of_url_stops_no_cancellation(till: HookedWorld, url: str) -> None:
    owe_paid(till)
    till.set(url=url)

    till.work(1000)

    assert (till.live(), till.paymego.held()) == ([], 0)


def test_a_section_of_the_current_account_goes_before_the_settings(till: HookedWorld) -> None:
    section = FormerAccount(till.settings.pos_id, "https://former.example/api", Secret("former-key"))
    till.settings = replace(till.settings, former_accounts=(section,))

    assert [(one.pos_id, one.url) for one in till.merchants.values()] == [(section.pos_id, section.url)]


def test_a_reversal_and_the_worker_use_the_key_of_the_accounts_section(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    owe_paid(till, "p2", 2)
    former = use_another_account(till, has_section=True)

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED
    till.work(1000)

    assert (till.live("p2"), till.paymego.held(), till.host.notices.get(KEY_NOTICE)) == ([], 0, None)
    assert [sent.pos_id for sent in till.paymego.sent if sent.method == CANCEL] == [former] * 2


def test_without_a_key_it_is_queued_and_a_notice_at_once_and_delivered_once_it_has_one(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    former = use_another_account(till, has_section=False)
    sent = len(till.paymego.sent)

    result = reversal.run(till, sold)

    assert (result.status, result.message) == (ReversalStatus.QUEUED, till.text(Text.REVERSAL_QUEUED))
    assert (result.slips, result.cancellation_queued) == ((), True)
    till.work(300)
    assert till.host.notices[KEY_NOTICE] == till.texts(Text.NOTICE_KEY_MISSING, pos_id=former)
    assert f"the settings hold no key of merchant account {former}" in till.live()[0].last_error
    assert len(till.paymego.sent) == sent
    till.set()
    use_another_account(till, has_section=True)
    till.work(1000)
    assert (till.live(), till.paymego.held(), till.host.notices.get(KEY_NOTICE)) == ([], 0, None)


@pytest.mark.parametrize("code", [-31602, -32504, -31601])
@pytest.mark.parametrize("method", [CHECK, CANCEL])
def test_a_receipt_that_is_not_known_where_it_is_asked_for_waits_and_is_a_notice_with_both_hosts(
    till: HookedWorld, method: str, code: int
) -> None:
    till.set(ignoredErrors=code)
    owe_paid(till)
    till.set(url="https://another.example/api", ignoredErrors=code)
    till.paymego.inject_fault(FaultKind.ERROR, method, times=None, error_code=code)

    till.work(100)

    assert len(till.live()) == 1
    text = till.texts(Text.NOTICE_RECEIPT_UNKNOWN, made_at="localhost", asked_at="another.example")
    assert till.host.notices[UNKNOWN_NOTICE] == text
    till.paymego.faults.clear()
    till.work(2000)
    assert (till.live(), till.host.notices.get(UNKNOWN_NOTICE)) == ([], None)


@pytest.mark.parametrize("code", [-31602, -32504, -31601])
def test_a_refund_is_never_refused_because_its_receipt_is_not_known(till: HookedWorld, code: int) -> None:
    till.set(ignoredErrors=code)
    sold = till.sell_and_close()
    till.paymego.inject_fault(FaultKind.ERROR, CANCEL, error_code=code)

    assert till.refund(sold).status is ReversalStatus.QUEUED
    till.work(1000)
    assert (till.live(), till.paymego.held()) == ([], 0)
