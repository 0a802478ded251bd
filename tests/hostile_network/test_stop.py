"""``on_stop`` ends a payment or a reversal at once in any phase, with a durable result and no money lost."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from fakes.till import ScriptedUi, open_sale, request_for
from fakes.waiting import comes_true
from hookspecs import CancelRequest, PaymentStatus, ReversalStatus
from payme_plugin.clock import SystemClock
from payme_plugin.sandbox import BuyerAction, FaultKind, InjectedFault
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.served_till import ServedTill
    from hookspecs import PaymentResult

PROMPT_S = 8.0
"""``on_stop`` waits up to 2 s for the hook, and a query for the state up to 2 s; the rest is for a busy machine."""

CREATE, PAY, CHECK, GET, CANCEL = (f"receipts.{name}" for name in ("create", "pay", "check", "get", "cancel"))


@dataclass(frozen=True)
class Phase:
    """A phase of a payment, and what makes it last.

    Attributes:
        method: the request that is under way in it.
        status: the result of a payment that is stopped in it.
        action: what the buyer does.
        fault: what happens to the request.
    """

    method: str
    status: PaymentStatus
    action: BuyerAction = BuyerAction.PAYS
    fault: InjectedFault | None = None


ABORTED, PAID = PaymentStatus.ABORTED, PaymentStatus.PAID
PHASES = {
    "creating": Phase(CREATE, ABORTED, fault=InjectedFault(FaultKind.SILENT, CREATE)),
    "paying, paid": Phase(PAY, PAID, fault=InjectedFault(FaultKind.ANSWER_DELAYED, PAY, after_s=1)),
    "paying, not arrived": Phase(PAY, ABORTED, fault=InjectedFault(FaultKind.SILENT, PAY)),
    "polling": Phase(CHECK, ABORTED, BuyerAction.NEVER_ANSWERS),
    "completing the slip": Phase(
        GET, PAID, BuyerAction.CONFIRMS, InjectedFault(FaultKind.ANSWER_DELAYED, GET, after_s=1)
    ),
}


@pytest.fixture
def till(new_till: Callable[..., ServedTill]) -> ServedTill:
    """A till whose payments last until they are stopped."""
    return new_till(timeout=2, payDuration=60_000)


class Stop:
    """The one stop of a till, once a request of ``method`` is under way: from the hook's own ``Ui``, or from a thread.

    Attributes:
        began_at: when it was called, on the machine's monotonic clock.
        ended_at: when it returned.
    """

    def __init__(self, till: ServedTill, method: str, ui: ScriptedUi, *, from_inside: bool) -> None:
        self.began_at = 0.0
        self.ended_at = 0.0
        self._till = till
        self._method = method
        self._first = len(till.sandbox.requests)
        if from_inside:
            ui.on_progress = self._stop_if_asked
        else:
            threading.Thread(target=self._stop_when_asked).start()

    def was_prompt(self) -> bool:
        """Wait for the end of the stop; return whether it was prompt."""
        return comes_true(lambda: self.ended_at) and self.ended_at - self.began_at < PROMPT_S

    def _is_asked(self) -> bool:
        return self._method in {request.method for request in self._till.sandbox.requests[self._first :]}

    def _stop_when_asked(self) -> None:
        if comes_true(self._is_asked):
            self._stop()

    def _stop_if_asked(self, _: float) -> None:
        if not self.began_at and self._is_asked():
            self._stop()

    def _stop(self) -> None:
        self.began_at = time.monotonic()
        self._till.plugins.on_stop()
        self.ended_at = time.monotonic()


@pytest.mark.parametrize("from_inside", [True, False], ids=["from-inside", "from-another-thread"])
@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)
def test_a_stop_in_any_phase_ends_the_payment_at_once_with_a_durable_result(
    new_till: Callable[..., ServedTill], till: ServedTill, phase: Phase, from_inside: bool
) -> None:
    if phase.fault is not None:
        till.sandbox.inject(phase.fault)
    ui = ScriptedUi(SystemClock(), [till.code(phase.action, after_s=0.3)])
    stop = Stop(till, phase.method, ui, from_inside=from_inside)

    result = till.pay(ui=ui)

    assert time.monotonic() - stop.began_at < PROMPT_S
    assert stop.was_prompt()
    assert (result.status, till.plugins.faults, till.host.notices) == (phase.status, (), {})
    row = till.row()
    assert (row.state.value, row.cancellation_queued) == (result.status.value.lower(), result.cancellation_queued)
    till.sandbox.clear_faults()
    again = new_till(host=till.host, is_ready=False)
    if result.payment is not None:
        again.plugins.on_payment_recorded(result.payment)
    again.plugins.on_ready()
    owed = result.amount if result.status is PAID else 0
    assert comes_true(lambda: again.live() == [] and held(till) == owed, within_s=20)


def held(till: ServedTill) -> int:
    receipt_id = till.row().receipt_id
    return 0 if receipt_id is None else till.sandbox.held(receipt_id)


@pytest.mark.parametrize("from_inside", [True, False], ids=["from-inside", "from-another-thread"])
def test_a_stop_during_a_reversal_leaves_a_durable_cancellation(
    new_till: Callable[..., ServedTill], till: ServedTill, from_inside: bool
) -> None:
    record = till.acknowledge(till.pay(till.code()))
    till.sandbox.inject(InjectedFault(FaultKind.SILENT, CANCEL))
    ui = ScriptedUi(SystemClock())
    stop = Stop(till, CANCEL, ui, from_inside=from_inside)

    result = till.plugins.on_cancel(CancelRequest(payment=record, receipt=open_sale(payments=(record,))), ui)

    assert result is not None
    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert stop.was_prompt()
    assert len(till.live()) == 1
    again = new_till(host=till.host)
    assert comes_true(lambda: again.live() == [] and held(till) == 0, within_s=20)


def test_while_a_stop_waits_no_other_money_hook_begins(till: ServedTill) -> None:
    others: list[PaymentResult | None] = []
    stopping = threading.Thread(target=till.plugins.on_stop)

    def scan() -> str:
        stopping.start()
        request = request_for("p2", receipt=open_sale(2))
        others.append(till.plugins.on_payment(request, ScriptedUi(SystemClock(), [till.code()])))
        return till.code()

    asked = len(till.sandbox.requests)
    till.pay(scan)
    stopping.join()

    assert [other and other.message for other in others] in ([None], [Texts("ru")(Text.PAYMENT_BUSY)])
    assert "pay" not in till.requests_since(asked)
