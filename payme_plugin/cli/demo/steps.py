"""The steps of the demo as data: what the cashier, the buyer and the server do, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from hookspecs import GoodsKind
from payme_plugin.cli.demo.shop import DemoShop
from payme_plugin.sandbox import Behaviour, BuyerAction, FaultKind, InjectedFault
from payme_plugin.till import one_line_sale

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payme_plugin.cli.demo.shop import Code, Outcome


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens, and its expected result.

    Attributes:
        text: what happens.
        do: does it in the shop.
        result: the expected result.
        held: the tiyin that Payme holds for the sale afterwards.
        codes: the codes that the cashier scans, in order. A step with codes begins a sale.
        journal: the states in the journal, and whether a cancellation is queued; empty: not checked.
        faults: what goes wrong between the till and Payme.
        settings: settings of this step only.
        waits: the cashier waits about a second, with a progress bar.
    """

    text: str
    do: Callable[[DemoShop], Outcome]
    result: str
    held: int = 0
    codes: tuple[Code, ...] = ()
    journal: str = ""
    faults: tuple[InjectedFault, ...] = ()
    settings: Mapping[str, int] = field(default_factory=dict)
    waits: bool = False


def _sell(amount: int) -> Callable[[DemoShop], Outcome]:
    return partial(DemoShop.sell, items=one_line_sale("Чай", amount))


_BREAD = one_line_sale("Хлеб", 800_000)
_SELL_BASKET = partial(DemoShop.sell, items=_BREAD + one_line_sale("Молоко", 1_400_000))
_SELL_CIGARETTES = partial(DemoShop.sell, items=one_line_sale("Сигареты", 2_500_000, GoodsKind.TOBACCO))
_REFUND_BREAD = partial(DemoShop.refund, items=_BREAD)
_REFUND_BY_HAND = partial(DemoShop.refund, by_hand=True)
_CUT_ONCE_CHARGED = partial(DemoShop.cut_power, amount=880_000, when=DemoShop.held)
_CUT_WHILE_POLLING = partial(DemoShop.cut_power, amount=660_000, when=partial(DemoShop.sent, method="receipts.check"))
_LOSE_SALE = partial(DemoShop.restart, loses_sale=True)

_CODE = (Behaviour(), 0.0)
_EXPIRED = (Behaviour(), 31.0)
_CONFIRMS = (Behaviour(BuyerAction.CONFIRMS, after_s=1.0), 0.0)
_CONFIRMS_LATE = (Behaviour(BuyerAction.CONFIRMS, after_s=60.0), 0.0)
_LACKS_FUNDS = (Behaviour(BuyerAction.LACKS_FUNDS), 0.0)

_ANSWER_LOST = InjectedFault(FaultKind.ANSWER_LOST, method="receipts.pay")
_OUTAGE = (_ANSWER_LOST, InjectedFault(FaultKind.REQUEST_LOST, method="receipts.check", times=None))
_SILENCE = (InjectedFault(FaultKind.SILENT_AFTER_EFFECT, method="receipts.pay"),)
_SHORT = {"payDuration": 1000}
_BROKEN = {"frequency": 0}
_KILLED = "till killed by SIGKILL"
_PENDING = "PENDING, on_ready called"
_PAID_NOW = "PAID, on_ready called"
_PAYING = "intent -> paying"
_PAID = "intent -> paying -> paid -> recorded"
_QUEUED = "intent -> paying -> unknown, one cancellation queued"

STEPS = (
    Step("A sale", _sell(1_500_000), "PAID", 1_500_000, (_CODE,), _PAID),
    Step("The buyer confirms after a second", _sell(750_000), "PAID", 750_000, (_CONFIRMS,), waits=True),
    Step("The buyer's card lacks funds", _sell(9_900_000), "REFUSED (-31630)", 0, (_LACKS_FUNDS,)),
    Step("The code has expired; the buyer shows a new one", _sell(420_000), "PAID", 420_000, (_EXPIRED, _CODE)),
    Step("Payme's answer is lost", _sell(330_000), "PAID", 330_000, (_CODE,), faults=(_ANSWER_LOST,)),
    Step("No answer in time", _sell(1_200_000), "UNKNOWN", 1_200_000, (_CODE,), _QUEUED, _OUTAGE, _SHORT, True),
    Step("The worker delivers the cancellation (payme queue deliver).", DemoShop.deliver, "delivered"),
    Step("An open sale is cancelled", _sell(600_000), "PAID", 600_000, (_CODE,)),
    Step("The cashier annuls the sale (payme cancel ID).", DemoShop.cancel, "REVERSED"),
    Step("The cashier annuls it again, by mistake.", DemoShop.cancel, "REFUSED (already-reversed)"),
    Step("A full refund", _SELL_BASKET, "PAID", 2_200_000, (_CODE,)),
    Step("The buyer brings everything back (payme refund ID).", DemoShop.refund, "REVERSED"),
    Step("A partial refund is blocked", _SELL_BASKET, "PAID", 2_200_000, (_CODE,)),
    Step("The buyer brings back only the bread.", _REFUND_BREAD, "REFUSED (partial-refund)", 2_200_000),
    Step("Marked goods are refunded by hand", _SELL_CIGARETTES, "PAID", 2_500_000, (_CODE,)),
    Step("The cashier presses one key.", DemoShop.refund, "REFUSED (manual-selection-required)", 2_500_000),
    Step("The cashier scans the goods one by one (--manual-selection).", _REFUND_BY_HAND, "REVERSED"),
    Step("The power fails before the answer", _CUT_ONCE_CHARGED, _KILLED, 880_000, (_CODE,), faults=_SILENCE),
    Step("The till restarts with frequency = 0.", DemoShop.restart, _PENDING, 880_000, (), _PAYING, settings=_BROKEN),
    Step("The setting is corrected; the till asks again.", DemoShop.ask_again, _PAID_NOW, 880_000, (), _PAID),
    Step("The power fails, and the sale is lost", _CUT_WHILE_POLLING, _KILLED, 0, (_CONFIRMS_LATE,)),
    Step("The till restarts without it.", _LOSE_SALE, "nothing to ask again, on_ready called", journal=_QUEUED),
    Step("Only now does the buyer confirm.", DemoShop.buyer_confirms, "charged", 660_000),
    Step("The worker delivers the cancellation.", DemoShop.deliver, "delivered"),
)
