"""8. Life: ``on_stop`` during each phase of a payment ends it at once, with a durable verdict and no money lost."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from fakes.restarted_tills import new_till, started_again
from fakes.till import TENDER, ScriptedUi, open_sale, request_for
from fakes.waiting import comes_true
from hookspecs import CancelRequest, PaymentStatus, ReceiptKind, RefundRequest, ReversalStatus
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.ledger.states import PaymentState
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import BuyerAction, CancelPlan, FaultKind, InjectedFault, Sandbox
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fakes.served_till import ServedTill
    from hookspecs import PaymentResult, ReversalResult
    from payme_plugin.dispatcher import HookDispatcher


RU = Texts("ru")
PROMPT_S = 8.0
"""A stop is waited for two seconds, and a question for the state may take two; the rest is for a busy machine."""

CREATE, PAY, CHECK, GET, CANCEL = (f"receipts.{name}" for name in ("create", "pay", "check", "get", "cancel"))


@dataclass
class Stop:
    """A stop of the till at a moment of a payment.

    Attributes:
        till: which stops.
        took_s: how long ``on_stop`` took.
        at: when it was called, on the machine's monotonic clock.
    """

    till: ServedTill
    took_s: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    def now(self) -> None:
        """Stop, once."""
        if not self.at:
            self.at.append(time.monotonic())
            self.till.plugins.on_stop()
            self.took_s.append(time.monotonic() - self.at[0])


@dataclass(frozen=True)
class Phase:
    """A phase of a payment, and how it is made to last.

    Attributes:
        method: the request that is under way in it.
        action: what the buyer does.
        fault: what befalls the request.
        ends: what may come of a payment that is stopped in it.
    """

    method: str
    ends: frozenset[PaymentStatus]
    action: BuyerAction = BuyerAction.PAYS
    fault: InjectedFault | None = None


ABORTED, PAID = frozenset({PaymentStatus.ABORTED}), frozenset({PaymentStatus.PAID})
PHASES = {
    "creating": Phase(CREATE, ABORTED, fault=InjectedFault(FaultKind.ANSWER_DELAYED, CREATE, after_s=1)),
    "creating, no answer": Phase(CREATE, ABORTED, fault=InjectedFault(FaultKind.SILENT, CREATE)),
    "paying, paid": Phase(PAY, PAID, fault=InjectedFault(FaultKind.ANSWER_DELAYED, PAY, after_s=1)),
    "paying, not arrived": Phase(PAY, ABORTED, fault=InjectedFault(FaultKind.SILENT, PAY)),
    "polling": Phase(CHECK, ABORTED, BuyerAction.NEVER_ANSWERS),
    "polling, no answer": Phase(
        CHECK, ABORTED, BuyerAction.NEVER_ANSWERS, InjectedFault(FaultKind.SILENT, CHECK, times=None)
    ),
    "making the slip": Phase(GET, PAID, BuyerAction.CONFIRMS, InjectedFault(FaultKind.ANSWER_DELAYED, GET, after_s=1)),
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(cancel=CancelPlan(settle_s=0)) as running:
        yield running


@pytest.fixture
def till(sandbox: Sandbox, tmp_path: Path) -> Iterator[ServedTill]:
    till = new_till(sandbox, tmp_path)
    yield till
    till.plugins.on_stop()


def stop_while(till: ServedTill, method: str, stop: Stop, *, from_inside: bool, ui: ScriptedUi) -> threading.Thread:
    """Stop the till while a request of ``method`` is under way: from the hook's own ``Ui``, or from another thread."""

    def is_asked() -> bool:
        return any(request.method == method for request in till.sandbox.requests)

    def stop_from_outside() -> None:
        if comes_true(is_asked):
            stop.now()

    if from_inside:
        ui.hand = lambda _: stop.now() if is_asked() else None
    thread = threading.Thread(target=(lambda: None) if from_inside else stop_from_outside)
    thread.start()
    return thread


def dispatcher_of(till: ServedTill) -> HookDispatcher:
    """Return what serves the till's hooks; ``on_stop`` takes it out of service before it has heard of the stop."""
    (plugin,) = till.plugins._manager.get_plugins()
    assert isinstance(plugin, PaymePlugin)
    assert plugin._dispatcher is not None
    return plugin._dispatcher


def is_balanced(till: ServedTill, result: PaymentResult) -> bool:
    """Say whether Payme comes to hold what the till has, once the next morning's till has worked."""
    till.sandbox.clear_faults()
    expected = result.amount if result.status is PaymentStatus.PAID else 0
    with started_again(till, result.payment) as again:
        return comes_true(lambda: again.live() == [] and till.sandbox.held() == expected, within_s=20)


@pytest.mark.parametrize("from_inside", [True, False], ids=["from-inside", "from-another-thread"])
@pytest.mark.parametrize("name", PHASES, ids=lambda name: name.replace(" ", "-"))
def test_a_stop_in_any_phase_ends_the_payment_at_once_with_a_durable_verdict(
    till: ServedTill, name: str, from_inside: bool
) -> None:
    phase, stop = PHASES[name], Stop(till)
    if phase.fault is not None:
        till.sandbox.inject(phase.fault)
    after_s = 0.3 if phase.action is BuyerAction.CONFIRMS else 0.0
    ui = ScriptedUi(SystemClock(), [till.code(phase.action, after_s=after_s)])
    thread = stop_while(till, phase.method, stop, from_inside=from_inside, ui=ui)

    result = till.pay(ui=ui)
    over_s = time.monotonic() - stop.at[0]
    thread.join(20)

    assert result.status in phase.ends
    assert over_s < PROMPT_S
    assert stop.took_s[0] < PROMPT_S
    assert till.plugins.faults == ()
    assert till.host.notices == {}
    assert comes_true(lambda: till.row().state.value == result.status.value.lower())
    assert till.row().cancellation_queued == result.cancellation_queued
    assert is_balanced(till, result)


@pytest.mark.parametrize("from_inside", [True, False], ids=["from-inside", "from-another-thread"])
def test_a_stop_during_the_scan_charges_nothing_whatever_is_scanned(till: ServedTill, from_inside: bool) -> None:
    stop, dispatcher = Stop(till), dispatcher_of(till)
    code = till.code()

    def scan() -> str:
        thread = threading.Thread(target=stop.now)
        if from_inside:
            stop.now()
        else:
            thread.start()
            assert comes_true(lambda: not dispatcher.is_running())
        return code

    result = till.pay(scan)

    assert result.status is PaymentStatus.ABORTED
    assert till.sandbox.pays(code) == 0
    assert comes_true(lambda: stop.took_s)
    assert till.host.notices == {}
    assert till.row().state is PaymentState.ABORTED
    assert is_balanced(till, result)


def test_a_scan_that_outlasts_the_stop_still_ends_with_a_durable_verdict(till: ServedTill) -> None:
    stop = Stop(till)
    code = till.code()

    def scan() -> str:
        stopping = threading.Thread(target=stop.now)
        stopping.start()
        stopping.join(20)
        assert not stopping.is_alive()
        return code

    result = till.pay(scan)

    assert stop.took_s[0] < PROMPT_S
    assert (result.status, till.sandbox.pays(code)) == (PaymentStatus.ABORTED, 0)
    assert till.row().state is PaymentState.ABORTED
    with Leases(till.host.folder).try_acquire(LEADER) as is_free:
        assert is_free
    assert is_balanced(till, result)


@pytest.mark.parametrize("hook", ["on_cancel", "on_full_refund"])
@pytest.mark.parametrize("from_inside", [True, False], ids=["from-inside", "from-another-thread"])
def test_a_stop_during_a_reversal_leaves_the_moneys_return_durable(
    till: ServedTill, hook: str, from_inside: bool
) -> None:
    sold = till.pay(till.code())
    assert sold.payment is not None
    till.acknowledge(sold)
    sale = open_sale(payments=(sold.payment,), closed_at=None if hook == "on_cancel" else 777)
    if hook == "on_full_refund":
        till.plugins.on_receipt_closed(sale)
    till.sandbox.inject(InjectedFault(FaultKind.SILENT, CANCEL))
    stop, ui = Stop(till), ScriptedUi(SystemClock())
    thread = stop_while(till, CANCEL, stop, from_inside=from_inside, ui=ui)

    result = _reversal(till, hook, sold, ui)
    over_s = time.monotonic() - stop.at[0]
    thread.join(20)

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert over_s < PROMPT_S
    assert len(till.live()) == 1
    with started_again(till) as again:
        assert comes_true(lambda: again.live() == [] and till.sandbox.held() == 0, within_s=20)


def _reversal(till: ServedTill, hook: str, sold: PaymentResult, ui: ScriptedUi) -> ReversalResult:
    assert sold.payment is not None
    sale = open_sale(payments=(sold.payment,))
    if hook == "on_cancel":
        result = till.plugins.on_cancel(CancelRequest(payment=sold.payment, receipt=sale), ui)
    else:
        refund = replace(sale, number=900, kind=ReceiptKind.REFUND, payments=())
        request = RefundRequest(
            refund_id="f1", payment_type=TENDER, payment=sold.payment, sale=replace(sale, closed_at=777), refund=refund,
            amount=sold.amount, manual_selection=False, currency_selection=False,
        )  # fmt: skip
        result = till.plugins.on_full_refund(request, ui)
    assert result is not None
    return result


def test_while_a_stop_waits_no_other_money_hook_begins(till: ServedTill) -> None:
    others: list[PaymentResult | None] = []
    plugin = till.plugins
    stop = Stop(till)

    def scan() -> str:
        stopping = threading.Thread(target=stop.now)
        stopping.start()
        assert comes_true(lambda: stop.at)
        others.append(plugin.on_payment(request_for("p2"), ScriptedUi(SystemClock(), [till.code()])))
        return till.code()

    till.pay(scan)

    assert others == [None] or [one and one.message for one in others] == [RU(Text.PAYMENT_BUSY)]
    assert comes_true(lambda: stop.took_s)
    assert till.sandbox.held() == 0


def test_a_start_from_inside_a_payment_ends_it_and_the_new_start_sells(till: ServedTill) -> None:
    def scan() -> str:
        till.plugins.on_start(till.host)
        return till.code()

    first = till.pay(scan)
    second = till.pay(till.code(), payment_id="p2")

    assert (first.status, second.status) == (PaymentStatus.ABORTED, PaymentStatus.PAID)
    assert till.sandbox.held() == second.amount
