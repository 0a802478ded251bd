"""The same payment asked for twice at once joins the running call; another one meanwhile finds the till busy.

On real threads: the first call waits in its scan until the test lets it go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.joined_calls import running_call
from fakes.journal_rows import walk
from fakes.till import open_sale, scan_after
from hookspecs import PaymentStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld
    from hookspecs import PaymentResult


def _paying(till: HookedWorld) -> Callable[[Callable[[], None]], PaymentResult]:
    return lambda wait: till.ask(scan_after(wait, till.paymego.code()))


@pytest.mark.parametrize("repeated", [False, True])
def test_the_same_payment_joins_and_gets_the_same_result_from_one_charge(till: HookedWorld, repeated: bool) -> None:
    with running_call(till, _paying(till)) as running:
        ui = till.cashier(till.paymego.code())
        joined = [running.join(lambda: till.ask(ui=ui, repeated=repeated)) for _ in range(3)]
        assert not any(each.done() for each in joined)
        running.go_on()
        first = running.result.result()

    assert first.status is PaymentStatus.PAID
    assert all(each.result() == first for each in joined)
    assert (ui.prompts, till.paymego.methods, till.paymego.held()) == ([], ["create", "pay"], 1_500_000)


def test_a_call_joins_also_after_the_stop_has_begun(till: HookedWorld) -> None:
    with running_call(till, _paying(till)) as running:
        before = running.join(lambda: till.ask(till.paymego.code()))
        stopping = running.beside(till.dispatcher.stop)
        while till.dispatcher.is_running():
            pass
        after = running.join(lambda: till.ask(till.paymego.code()))
        running.go_on()
        first = running.result.result()
        stopping.result()

    # The stop acts as the cashier's: no code leaves.
    assert first.status is PaymentStatus.ABORTED
    assert (before.result(), after.result()) == (first, first)
    assert till.paymego.count("receipts.pay") == 0


def test_another_payment_meanwhile_is_refused_if_new_and_pending_if_repeated(till: HookedWorld) -> None:
    walk(till.journal, PaymentState.PAID, "known")
    with running_call(till, _paying(till)) as running:
        ui = till.cashier(till.paymego.code())
        new = till.ask(ui=ui, payment_id="p2", receipt=open_sale(2))
        repeated = till.ask(ui=ui, payment_id="p3", receipt=open_sale(3), repeated=True)
        known = till.ask(ui=ui, payment_id="known")
        running.go_on()

    assert (new.status, new.message) == (PaymentStatus.REFUSED, till.text(Text.PAYMENT_BUSY))
    assert (repeated.status, repeated.message) == (PaymentStatus.PENDING, till.text(Text.PAYMENT_PENDING))
    assert known.status is PaymentStatus.PENDING
    assert (ui.prompts, till.journal.find("p2"), till.journal.find("p3")) == ([], None, None)
    assert running.result.result().status is PaymentStatus.PAID


def test_a_call_from_within_the_running_one_does_not_wait_for_itself(till: HookedWorld) -> None:
    told: list[PaymentResult] = []
    code = till.paymego.code()

    result = till.ask(scan_after(lambda: told.append(till.ask()), code))

    assert [each.status for each in told] == [PaymentStatus.PENDING]
    assert result.status is PaymentStatus.PAID


def test_after_it_the_next_payment_is_taken(till: HookedWorld) -> None:
    with running_call(till, _paying(till)) as running:
        running.join(till.ask)
        running.go_on()

    assert till.ask(till.paymego.code(), payment_id="p2", receipt=open_sale(2)).status is PaymentStatus.PAID
