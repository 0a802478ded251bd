"""Decides at each hook: it passes, the host is killed, the hook fails, or the kit answers in its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from hookspecs import PaymentStatus
from payme_plugin.testing.conformance import duties
from payme_plugin.testing.conformance.process import Killed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payme_plugin.testing.conformance.process import Call
    from payme_plugin.testing.conformance.watch import Payment, Watch

UNKNOWN_ID = "0" * 32
"""A payment that no host has."""


class Act(Enum):
    """What the kit does at a hook."""

    KILL = "kill"
    FAIL = "fail"
    """HookFailed: before the effect at the entry, after it at the exit."""
    ANSWER = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """What happens at a hook.

    Attributes:
        hook: its name.
        act: what the kit does.
        moment: ``entry`` or ``exit``.
        times: how often.
        result: the answer instead of the plugin's, for ANSWER.
    """

    hook: str
    act: Act
    moment: str = "entry"
    times: int = 1
    result: Any = None


class HookDecider:
    """Decides at each hook of the host, and lets ``watch`` note it.

    Attributes:
        watch: what the host did.
        held_open: the amount of the sale that is to be kept open, until its payment has begun.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.held_open: int | None = None
        self._disturbances: list[Disturbance] = []
        self._ask: tuple[str, Callable[[], list[str]]] | None = None

    def disturb(self, *disturbances: Disturbance) -> None:
        """Let these happen, the first that fits at a time, in place of those that have not happened."""
        self._disturbances = list(disturbances)

    def ask_at(self, hook: str, ids: Callable[[], list[str]]) -> None:
        """Ask ``Host.is_recorded`` at the next call of ``hook`` about the ids that ``ids`` then returns."""
        self._ask = (hook, ids)

    def all_ids(self) -> list[str]:
        """Return the ids of every payment and of its receipt at Payme, and one that nobody has."""
        known = [payment_id for payment in self.watch.payments.values() for payment_id in sorted(_ids_of(payment))]
        return [*known, UNKNOWN_ID]

    def decide(self, call: Call, recorded: Mapping[str, object] | None) -> Mapping[str, object]:
        """Return what becomes of a hook; ``ask`` asks the host about payments first, and then this is called again.

        Raises:
            Killed: the host is to be killed here.
        """
        if recorded is not None:
            self._check_recorded(recorded)
        elif call.moment == "entry":
            self.watch.entered(call)
            self._hold_open()
            if self._ask is not None and self._ask[0] == call.hook:
                (_, ids), self._ask = self._ask, None
                return {"ask": ids()}
        if call.moment == "raised":
            self.watch.left(call, failed=True)
            return {"do": "go"}
        disturbance = self._taken(call)
        if disturbance is not None and disturbance.act is Act.KILL:
            raise Killed
        failed = disturbance is not None and disturbance.act is Act.FAIL
        if failed or call.moment == "exit":
            self.watch.left(call, failed=failed)
        if disturbance is None:
            return {"do": "go"}
        return {"do": disturbance.act.value, "result": disturbance.result}

    def _hold_open(self) -> None:
        """Note that the payment of the sale that is to be kept open has begun."""
        payment = None if self.held_open is None else self.watch.of(self.held_open)
        if payment is not None:
            payment.is_held_open, self.held_open = True, None

    def _taken(self, call: Call) -> Disturbance | None:
        for number, each in enumerate(self._disturbances):
            if (each.hook, each.moment) == (call.hook, call.moment):
                left = [replace(each, times=each.times - 1)] if each.times > 1 else []
                self._disturbances[number : number + 1] = left
                return each
        return None

    def _check_recorded(self, recorded: Mapping[str, object]) -> None:
        """Check what ``Host.is_recorded`` returned for ids of payments or of Payme's receipts."""
        for asked, answer in recorded.items():
            payment = next((each for each in self.watch.payments.values() if asked in _ids_of(each)), None)
            if payment is not None and payment.refund is not None:
                continue  # the sale of a refunded payment is closed: any answer is right
            if payment is not None and payment.status is PaymentStatus.PAID and not payment.is_over:
                self.watch.check(answer in {True, None}, duties.NO_VETO, payment, f"returned {answer}")
            else:
                self.watch.check(answer in {False, None}, duties.WRONG_VETO, payment, f"returned {answer}")


def _ids_of(payment: Payment) -> set[str]:
    receipt_id = None if payment.record is None else payment.record.data.get("receipt_id")
    return {payment.payment_id} | ({receipt_id} if receipt_id else set())
