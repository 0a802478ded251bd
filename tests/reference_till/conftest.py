"""A till in a folder of its own, and a plugin whose answers a test writes down."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

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
from payme_plugin.till import ReceiptStore, Till, one_line_sale, print_slip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from payme_plugin.till import Payment, StoredReceipt
    from payme_plugin.till.till import Restored

SLIP = Slip(xml="<slip/>", lines=("PAYME", "150.00"), copies=2)


class PowerCut(BaseException):
    """The till is gone in the middle of a hook; only what it had stored is left."""


def power_cut(_: object) -> NoReturn:
    raise PowerCut


def fail(_: object) -> NoReturn:
    raise RuntimeError("a fault of the plugin")


def no_answer(_: object) -> None:
    return None


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


def pay(till: Till, payment_id: str = "p1", amount: int = 100, qr_code: str | None = None) -> Payment:
    """Sell one piece of bread."""
    return till.sell(one_line_sale("Bread", amount), payment_id=payment_id, qr_code=qr_code)


def not_paid(status: PaymentStatus) -> Callable[[PaymentRequest], PaymentResult]:
    return lambda request: PaymentResult(status=status, amount=request.amount)


@dataclass(eq=False)
class ScriptedPlugin:
    """Answers hooks by the functions it was given, and keeps what it was asked, in order."""

    payment: Callable[[PaymentRequest], PaymentResult | None] = paid
    cancel: Callable[[CancelRequest], ReversalResult | None] = no_answer
    refund: Callable[[RefundRequest], ReversalResult | None] = no_answer
    rules: Callable[[RefundRequest], list[RefundViolation]] = lambda _: []
    stored: Callable[[PaymentRecord], None] = no_answer
    ready: Callable[[None], None] = no_answer
    closed: Callable[[Receipt], None] = no_answer
    asked: list[tuple[str, object]] = field(default_factory=list)
    host: Host = field(init=False)
    ui: Ui = field(init=False)
    is_stopped: bool = False

    @property
    def hooks(self) -> list[str]:
        """The hooks that were called, except for start and stop."""
        return [hook for hook, _ in self.asked]

    @property
    def payments(self) -> list[PaymentRequest]:
        return [asked for _, asked in self.asked if isinstance(asked, PaymentRequest)]

    @property
    def refunds(self) -> list[RefundRequest]:
        return [asked for _, asked in self.asked if isinstance(asked, RefundRequest)]

    def recorded(self, payment_id: str = "p1") -> bool | None:
        return self.host.is_recorded(payment_id)

    @hookimpl
    def on_start(self, host: Host) -> None:
        self.host = host

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
        self.is_stopped = True


@dataclass
class TillFolder:
    """Opens a till on one folder as often as a test wants; each opening is a start of the till."""

    folder: Path
    plugin: ScriptedPlugin
    printed: list[str] = field(default_factory=list)
    notices: dict[str, str | None] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def till(
        self, *, ui: Ui | None = None, write_line: Callable[[str], None] | None = None, language: str = "ru"
    ) -> Till:
        plugins = PosPlugins()
        assert plugins.register(self.plugin, "scripted")
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
            new_id=lambda: f"id-{next(self.numbers)}",
        )

    def crash(self, hook: str, act: Callable[[Till], object] = pay) -> None:
        """Cut the power while a hook runs; later it answers again, and nothing was asked yet."""
        answer = getattr(self.plugin, hook)
        setattr(self.plugin, hook, power_cut)
        with pytest.raises(PowerCut), self.till() as till:
            act(till)
        setattr(self.plugin, hook, answer)
        self.plugin.asked.clear()

    def restart(self) -> tuple[Restored, ...]:
        """Start the till, which finishes what is unfinished, and stop it."""
        with self.till() as till:
            return till.restore()

    @property
    def store(self) -> ReceiptStore:
        """What the disk holds, read as a till does that starts anew."""
        return ReceiptStore(self.folder / "receipts")

    @property
    def receipts(self) -> tuple[StoredReceipt, ...]:
        return self.store.receipts()


@pytest.fixture
def plugin() -> ScriptedPlugin:
    return ScriptedPlugin()


@pytest.fixture
def shop(tmp_path: Path, plugin: ScriptedPlugin) -> TillFolder:
    return TillFolder(tmp_path / "till", plugin)
