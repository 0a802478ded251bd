"""A till in a folder of its own, and a plugin whose answers a test writes down."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from hookspecs import (
    BaseUi,
    CancelRequest,
    Host,
    PaymentRecord,
    PaymentRequest,
    PaymentResult,
    PaymentStatus,
    PosPlugins,
    Receipt,
    RefundRequest,
    RefundViolation,
    ReversalResult,
    Slip,
    Ui,
    hookimpl,
)
from payme_plugin.till import Till, one_line_sale, print_slip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from payme_plugin.till import Payment

SLIP = Slip(xml="<slip/>", lines=("PAYME", "150.00"), copies=2)


class PowerCut(BaseException):
    """The till is gone in the middle of a hook; only what it had stored is left."""


def paid(request: PaymentRequest) -> PaymentResult:
    record = PaymentRecord(
        payment_id=request.payment_id,
        payment_type=request.payment_type,
        amount=request.amount,
        data={"plugin": "scripted", "receipt_id": "65f0"},
    )
    return PaymentResult(
        status=PaymentStatus.PAID,
        amount=request.amount,
        receipt_id="65f0",
        payment=record,
        slips=(SLIP,),
        receipt_attributes={"QRPaymentID": "65f0"},
    )


def pay(till: Till, amount: int, *, goods: str, payment_id: str | None = None, qr_code: str | None = None) -> Payment:
    """Sell one piece of ``goods``."""
    return till.sell(one_line_sale(goods, amount), payment_id=payment_id, qr_code=qr_code)


def not_paid(status: PaymentStatus) -> Callable[[PaymentRequest], PaymentResult]:
    return lambda request: PaymentResult(status=status, amount=request.amount)


@dataclass(eq=False)
class ScriptedPlugin:
    """Answers hooks by the functions it was given, and keeps what it was asked, in order."""

    payment: Callable[[PaymentRequest], PaymentResult | None] = paid
    cancel: Callable[[CancelRequest], ReversalResult | None] = lambda _: None
    refund: Callable[[RefundRequest], ReversalResult | None] = lambda _: None
    rules: Callable[[RefundRequest], list[RefundViolation]] = lambda _: []
    stored: Callable[[PaymentRecord], None] = lambda _: None
    ready: Callable[[None], None] = lambda _: None
    closed: Callable[[Receipt], None] = lambda _: None
    asked: list[tuple[str, object]] = field(default_factory=list)
    host: Host | None = None
    ui: Ui | None = None

    @property
    def hooks(self) -> list[str]:
        return [hook for hook, _ in self.asked]

    def recorded(self, payment_id: str) -> bool | None:
        assert self.host is not None
        return self.host.is_recorded(payment_id)

    @hookimpl
    def on_start(self, host: Host) -> None:
        self.host = host
        self.asked.append(("on_start", host))

    @hookimpl
    def on_payment(self, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        self.ui = ui
        self.asked.append(("on_payment", request))
        return self.payment(request)

    @hookimpl
    def on_payment_recorded(self, record: PaymentRecord) -> None:
        self.asked.append(("on_payment_recorded", record))
        self.stored(record)

    @hookimpl
    def on_ready(self) -> None:
        self.asked.append(("on_ready", None))
        self.ready(None)

    @hookimpl
    def on_cancel(self, request: CancelRequest, ui: Ui) -> ReversalResult | None:
        self.asked.append(("on_cancel", request))
        return self.cancel(request)

    @hookimpl
    def validate_refund(self, request: RefundRequest) -> list[RefundViolation]:
        self.asked.append(("validate_refund", request))
        return self.rules(request)

    @hookimpl
    def on_full_refund(self, request: RefundRequest, ui: Ui) -> ReversalResult | None:
        self.asked.append(("on_full_refund", request))
        return self.refund(request)

    @hookimpl
    def on_receipt_closed(self, receipt: Receipt) -> None:
        self.asked.append(("on_receipt_closed", receipt))
        self.closed(receipt)

    @hookimpl
    def on_stop(self) -> None:
        self.asked.append(("on_stop", None))


@dataclass
class Shop:
    """Opens a till on one folder as often as a test wants; each opening is a start of the till."""

    folder: Path
    plugin: ScriptedPlugin
    printed: list[str] = field(default_factory=list)
    notices: dict[str, str | None] = field(default_factory=dict)

    def till(
        self,
        *,
        ui: Ui | None = None,
        plugin: ScriptedPlugin | None = None,
        write_line: Callable[[str], None] | None = None,
        language: str = "ru",
    ) -> Till:
        plugins = PosPlugins()
        assert plugins.register(plugin or self.plugin, "scripted")
        numbers = itertools.count(1)
        return Till(
            self.folder,
            {"timeout": "5"},
            ui or BaseUi(),
            language=language,
            slip_width=32,
            print_slip=lambda slip: print_slip(slip, write_line or self.printed.append),
            notice=self.notices.__setitem__,
            plugins=plugins,
            now_ms=lambda: 1_700_000_000_000,
            new_id=lambda: f"id-{next(numbers)}",
        )


@pytest.fixture
def plugin() -> ScriptedPlugin:
    return ScriptedPlugin()


@pytest.fixture
def shop(tmp_path: Path, plugin: ScriptedPlugin) -> Shop:
    return Shop(tmp_path / "till", plugin)
