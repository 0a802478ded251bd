"""Refunds of other tenders pass untouched, beside another payment plugin too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.till import TENDER
from hookspecs import (
    BaseHost,
    CancelRequest,
    PaymentRecord,
    PosPlugins,
    RefundRequest,
    RefundViolation,
    ReversalResult,
    ReversalStatus,
    Ui,
    hookimpl,
)
from payme_plugin.plugin import PaymePlugin

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld
    from hookspecs import Host
    from payme_plugin.dispatcher import HookDispatcher

OTHER_TENDER = 8


class OtherPlugin:
    """A payment plugin that refunds anything of its own, and forbids what another test says."""

    def __init__(self) -> None:
        self.forbids = False
        self.refunded: list[str] = []

    def _is_own(self, payment: PaymentRecord | None) -> bool:
        return payment is not None and payment.data.get("plugin") == "other"

    @hookimpl
    def on_cancel(self, request: CancelRequest, ui: Ui) -> ReversalResult | None:
        return self._given_back(request.payment)

    @hookimpl
    def validate_refund(self, request: RefundRequest) -> list[RefundViolation]:
        is_forbidden = self.forbids and self._is_own(request.payment)
        return [RefundViolation(rule="other-rule", message="no")] if is_forbidden else []

    @hookimpl
    def on_full_refund(self, request: RefundRequest, ui: Ui) -> ReversalResult | None:
        return self._given_back(request.payment)

    def _given_back(self, payment: PaymentRecord | None) -> ReversalResult | None:
        if payment is None or not self._is_own(payment):
            return None
        self.refunded.append(payment.payment_id)
        return ReversalResult(status=ReversalStatus.REVERSED)


class StartedPlugin(PaymePlugin):
    """The plugin with the till's dispatcher, which has started already."""

    def __init__(self, dispatcher: HookDispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher

    @hookimpl
    def on_start(self, host: Host) -> None: ...


@pytest.fixture
def other() -> OtherPlugin:
    return OtherPlugin()


@pytest.fixture(params=["ours first", "other first"])
def plugins(request: pytest.FixtureRequest, till: HookedWorld, other: OtherPlugin) -> PosPlugins:
    ours = StartedPlugin(till.dispatcher)
    plugins = PosPlugins()
    both: list[tuple[object, str]] = [(ours, "payme"), (other, "other")]
    for plugin, name in both if request.param == "ours first" else reversed(both):
        assert plugins.register(plugin, name), plugins.faults
    plugins.on_start(BaseHost())
    return plugins


def foreign(till: HookedWorld, **changes: object) -> RefundRequest:
    """Return a refund of a sale that holds a payment of ours and one of the other plugin, of the other's part."""
    sold = till.sell_and_close()
    payment = PaymentRecord(payment_id="q1", payment_type=OTHER_TENDER, amount=5, data={"plugin": "other"})
    sale = replace(sold.receipt, payments=(sold.record, payment))
    request = till.refund_of(sold, sale=sale, payment=payment, payment_type=OTHER_TENDER, amount=5)
    return replace(request, **changes)  # type: ignore[arg-type]


def test_neither_forbids_the_others_refund(till: HookedWorld, plugins: PosPlugins, other: OtherPlugin) -> None:
    theirs = foreign(till)
    ours = replace(theirs, payment=till.sell_and_close("p2", 2).record, payment_type=TENDER, amount=1_500_000)

    assert plugins.validate_refund(theirs) == []
    assert plugins.validate_refund(ours) == []


def test_a_partial_refund_of_the_others_part_passes_us(till: HookedWorld, plugins: PosPlugins) -> None:
    theirs = foreign(till, amount=1)

    assert plugins.validate_refund(replace(theirs, refund=replace(theirs.refund, items=()))) == []


def test_what_the_other_forbids_is_no_reason_of_ours(
    till: HookedWorld, plugins: PosPlugins, other: OtherPlugin
) -> None:
    other.forbids = True
    theirs = foreign(till)
    ours = till.refund_of(till.sell_and_close("p2", 2))

    assert [violation.rule for violation in plugins.validate_refund(theirs)] == ["other-rule"]
    assert plugins.validate_refund(ours) == []


def test_each_refunds_its_own(till: HookedWorld, plugins: PosPlugins, other: OtherPlugin) -> None:
    theirs = foreign(till)
    sent = len(till.paymego.sent)

    result = plugins.on_full_refund(theirs, till.cashier())
    assert result is not None
    assert (result.status, other.refunded, len(till.paymego.sent)) == (ReversalStatus.REVERSED, ["q1"], sent)

    sold = till.sell_and_close("p2", 2)
    result = plugins.on_full_refund(till.refund_of(sold), till.cashier())
    assert result is not None
    assert (result.receipt_id, other.refunded) == (sold.receipt_id, ["q1"])


def test_each_cancels_its_own(till: HookedWorld, plugins: PosPlugins, other: OtherPlugin) -> None:
    sold = till.sell()
    payment = PaymentRecord(payment_id="q1", payment_type=OTHER_TENDER, amount=5, data={"plugin": "other"})

    theirs = plugins.on_cancel(CancelRequest(payment=payment, receipt=sold.receipt), till.cashier())
    assert theirs is not None
    assert (other.refunded, till.paymego.held()) == (["q1"], 1_500_000)

    ours = plugins.on_cancel(CancelRequest(payment=sold.record, receipt=sold.receipt), till.cashier())
    assert ours is not None
    assert (ours.receipt_id, other.refunded) == (sold.receipt_id, ["q1"])


@pytest.mark.parametrize(
    "payment", [None, PaymentRecord(payment_id="c", payment_type=1, amount=5)], ids=["none", "cash"]
)
def test_a_refund_in_cash_is_nobodys(till: HookedWorld, plugins: PosPlugins, payment: PaymentRecord | None) -> None:
    cash = foreign(till, payment=payment, payment_type=1)

    assert plugins.validate_refund(cash) == []
    assert plugins.on_full_refund(cash, till.cashier()) is None


def test_our_tender_without_our_data_is_a_foreign_payment(till: HookedWorld, plugins: PosPlugins) -> None:
    payment = PaymentRecord(payment_id="q1", payment_type=TENDER, amount=5)
    request = foreign(till, payment=payment, payment_type=TENDER)

    assert "foreign-payment" in [violation.rule for violation in plugins.validate_refund(request)]
    result = plugins.on_full_refund(request, till.cashier())
    assert result is not None
    assert result.status is ReversalStatus.REFUSED


def test_without_a_tender_of_our_own_a_payment_of_ours_is_ours_by_its_record_or_by_the_journal(
    till: HookedWorld, plugins: PosPlugins
) -> None:
    sold = till.sell_and_close()
    till.set(paymentType=99)

    assert plugins.on_full_refund(till.refund_of(sold, payment=None, payment_type=1), till.cashier()) is None
    for payment in (None, sold.record):
        assert plugins.validate_refund(till.refund_of(sold, payment=payment)) == []
        result = plugins.on_full_refund(till.refund_of(sold, payment=payment), till.cashier())
        assert result is not None
        assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
