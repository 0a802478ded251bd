"""A scripted host, a scripted cashier, and sales and requests for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from hookspecs import BaseHost, Item, PaymentRequest, Receipt, ReceiptKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hookspecs import PaymentRecord, QueueMessage
    from payme_plugin.clock import Clock

TENDER = 7
"""The number of the tender in all tests."""

STALE = "11112222333344445555"
"""A code that Payme does not know: it answers that the code is stale, and charges nothing."""


class PowerCut(BaseException):
    """The power fails in the middle of a hook; only durable data is left."""


def open_sale(
    number: int = 1,
    *,
    till: str = "till-1",
    shift: int = 3,
    amount: int = 1_500_000,
    payments: tuple[PaymentRecord, ...] = (),
    closed_at: int | None = None,
) -> Receipt:
    """Return a sale of one item."""
    item = Item(name="Хлеб", quantity=Decimal(1), price=amount, amount=amount)
    return Receipt(
        till=till,
        shift=shift,
        number=number,
        kind=ReceiptKind.SALE,
        items=(item,),
        total=amount,
        payments=payments,
        closed_at=closed_at,
    )


def request_for(
    payment_id: str = "p1",
    *,
    amount: int = 1_500_000,
    receipt: Receipt | None = None,
    qr_code: str | None = None,
    payment_type: int = TENDER,
    repeated: bool = False,
) -> PaymentRequest:
    """Return a request for a payment."""
    return PaymentRequest(
        payment_id=payment_id,
        payment_type=payment_type,
        amount=amount,
        receipt=open_sale(amount=max(amount, 1_500_000)) if receipt is None else receipt,
        qr_code=qr_code,
        repeated=repeated,
    )


def scan_after(action: Callable[[], object], code: object) -> Callable[[], object]:
    """Return a scan for ``ScriptedUi`` that calls ``action`` and then returns ``code``."""

    def scan() -> object:
        action()
        return code

    return scan


@dataclass(frozen=True)
class Shown:
    """One call of ``Ui.progress``.

    Attributes:
        at_s: when, virtual seconds.
        elapsed_s: how long the hook has been waiting.
        total_s: how long it may wait.
        text: what the cashier reads.
    """

    at_s: float
    elapsed_s: float
    total_s: float
    text: str


@dataclass(eq=False)
class ScriptedUi:
    """A scripted cashier. An exception among the answers is raised.

    Attributes:
        clock: sleeps while a scan takes its time.
        scans: the answers of ``scan``, one for each prompt, then None. A function is called for its answer.
        takes_s: how long each scan takes; if the plugin gives less time, the answer is None.
        on_progress: returns the answer of ``progress`` for a virtual second; None by default.
        prompts: the prompts so far.
        timeouts: the seconds that each prompt gave.
        scanned_at: when each scan ended.
        shown: every progress so far.
    """

    clock: Clock
    scans: list[object] = field(default_factory=list)
    takes_s: float = 0.0
    on_progress: Callable[[float], object] = lambda _: None
    prompts: list[str] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    scanned_at: list[float] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        """Return the next scan."""
        answer = self.scans[len(self.prompts)] if len(self.prompts) < len(self.scans) else None
        self.prompts.append(prompt)
        self.timeouts.append(timeout_s)
        self.clock.sleep(min(self.takes_s, timeout_s))
        self.scanned_at.append(self.clock.monotonic())
        if self.takes_s > timeout_s:
            return None
        if callable(answer):
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[return-value] # some tests break the contract

    def cut_while_waiting(self, _now_s: float) -> object:
        """Fail the power after ``pay`` has left: for ``on_progress``, whose first call comes right before ``pay``."""
        return PowerCut() if len(self.shown) > 1 else None

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        """Record the progress and return the answer of ``on_progress``."""
        self.shown.append(Shown(self.clock.monotonic(), elapsed_s, total_s, text))
        answer = self.on_progress(self.clock.monotonic())
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[return-value] # some tests break the contract


@dataclass(eq=False)
class VirtualHost(BaseHost):
    """A scripted host.

    Attributes:
        folder: the data folder.
        given: its settings.
        name: its identity.
        tongue: its language.
        width: columns of its slip printer.
        recorded: what ``is_recorded`` answers by payment id; None for any other.
        queue: the messages of its queue.
        takes_messages: whether it has a queue.
        notices: the notices that it shows now, by key.
        notice_log: every notice and withdrawal, in order.
    """

    folder: Path
    given: Mapping[str, str] = field(default_factory=dict)
    name: str = "till-1"
    tongue: str = "ru"
    width: int = 32
    recorded: dict[str, bool | None] = field(default_factory=dict)
    queue: list[QueueMessage] = field(default_factory=list)
    takes_messages: bool = False
    notices: dict[str, str] = field(default_factory=dict)
    notice_log: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def identity(self) -> str:
        """The till's name."""
        return self.name

    @property
    def language(self) -> str:
        """The cashier's language."""
        return self.tongue

    @property
    def slip_width(self) -> int:
        """The printer's columns."""
        return self.width

    def settings(self, plugin: str) -> Mapping[str, str]:
        """Return the till's settings."""
        return self.given

    def data_dir(self, plugin: str) -> Path:
        """Return the data folder."""
        return self.folder

    def is_recorded(self, payment_id: str) -> bool | None:
        """Return whether the till has a payment."""
        return self.recorded.get(payment_id)

    def enqueue(self, message: QueueMessage) -> bool:
        """Take a message if there is a queue."""
        if self.takes_messages:
            self.queue.append(message)
        return self.takes_messages

    def notice(self, key: str, text: str | None) -> None:
        """Show or withdraw a notice."""
        self.notice_log.append((key, text))
        if text is None:
            self.notices.pop(key, None)
        else:
            self.notices[key] = text
