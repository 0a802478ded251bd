"""The scenes, in the order of the day; each plays a sale and checks what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookspecs import PaymentStatus
from payme_plugin.cli.demo.checks import check_sent_once, check_verdict, is_about
from payme_plugin.cli.demo.giving_back import cancel, full_refund, marked_goods, partial_refund
from payme_plugin.cli.demo.power import orphan, pending, power_cut, power_cut_and_late_buyer
from payme_plugin.cli.output import uzs
from payme_plugin.cli.status import payment_lines
from payme_plugin.sandbox import Behaviour, BuyerAction, Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.cli.demo.day import Day
    from payme_plugin.cli.demo.outcomes import Sold

__all__ = ["SCENES", "Scene"]

_UNKNOWN = "Результат оплаты неизвестен: таймаут ожидания ответа от сервера"
_STORY = ["intent", "paying", "paid", "recorded"]
_NO_FUNDS = -31630
_CANCELLED = 50


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene.

    Attributes:
        title: what it shows.
        play: plays and checks it.
    """

    title: str
    play: Callable[[Day], None]


def _pays_at_once(day: Day) -> None:
    day.stage.tell("15 000.00 sums. The cashier picks Payme and scans the code in the app.")
    sold = day.sell("pays at once", 1_500_000, day.buyer())
    for slip in sold.slips:
        day.stage.slip(slip)
    _check_paid(day, sold)
    day.stage.check(
        "the slip is printed twice, after the receipt has closed", right=[slip.copies for slip in sold.slips] == [2]
    )


def _confirms_later(day: Day) -> None:
    day.stage.tell("7 500.00 sums. The buyer takes 2 seconds to confirm; frequency = 500.")
    sold = day.sell("confirms after 2 s", 750_000, day.buyer(Behaviour(BuyerAction.CONFIRMS, after_s=2.0)))
    _check_paid(day, sold)
    day.stage.check(f"the till waited {sold.elapsed_s:.1f} s, with a progress bar", right=is_about(sold, 2.0, day))


def _lacks_funds(day: Day) -> None:
    day.stage.tell("99 000.00 sums, which the buyer's card does not have.")
    sold = day.sell("lacks funds", 9_900_000, day.buyer(Behaviour(BuyerAction.LACKS_FUNDS)))
    check_verdict(day, sold, PaymentStatus.REFUSED)
    code = sold.payment.result.error_code
    day.stage.check(f"the server's code is {code}", right=code == _NO_FUNDS)
    day.stage.check("no slip, and no money at Payme", right=not sold.slips and day.at_payme(day.sales[-1]) == 0)


def _stale_code(day: Day) -> None:
    day.stage.tell("4 200.00 sums. The code is 31 seconds old; the buyer then shows a fresh one.")
    sold = day.sell("stale code, second scan", 420_000, day.buyer(waits_s=31.0), day.buyer())
    check_verdict(day, sold, PaymentStatus.PAID)
    day.stage.check("the cashier was asked for a second scan", right=len(day.cashier.prompts) == 2)  # noqa: PLR2004
    day.stage.check("two codes left the till, one receipt was paid", right=sold.sent("receipts.pay") == 2)  # noqa: PLR2004


def _never_answers(day: Day) -> None:
    day.stage.tell("12 000.00 sums. The buyer puts the phone away; payDuration = 2000.")
    day.write_settings(payDuration=2_000)
    sold = day.sell("never answers", 1_200_000, day.buyer(Behaviour(BuyerAction.NEVER_ANSWERS)))
    day.write_settings()
    check_verdict(day, sold, PaymentStatus.UNKNOWN)
    day.stage.check(f"the cashier knows after {sold.elapsed_s:.1f} s", right=is_about(sold, 2.0, day))
    day.stage.check("the cashier reads the documented text", right=_UNKNOWN in sold.payment.result.message)
    queued = day.cancellations(sold.payment.payment_id)
    day.stage.check("one cancellation waits in the journal", right=len(queued) == 1)
    day.stage.check("the queue is delivered (payme queue deliver --until-empty)", right=day.deliver())
    state = day.sandbox.receipts()[-1].state
    day.stage.check(f"Payme says cancelled ({state})", right=state == _CANCELLED)


def _answer_lost(day: Day) -> None:
    day.stage.tell("3 300.00 sums. The money moves, and the line dies before the answer is here.")
    day.sandbox.inject(Fault(FaultKind.ANSWER_LOST, method="receipts.pay"))
    sold = day.sell("answer lost", 330_000, day.buyer())
    _check_paid(day, sold)


def _journal_tells(day: Day) -> None:
    row, events = day.first_story()
    day.stage.show(payment_lines(row, events))
    states = [event.after.value for event in events if event.after is not None]
    day.stage.blank()
    day.stage.check(" -> ".join(states), right=states == _STORY)


def _sums_agree(day: Day) -> None:
    is_empty = day.deliver()
    rows = [(sale.title, day.at_till(sale), day.at_payme(sale)) for sale in day.sales]
    total = ("total", sum(row[1] for row in rows), sum(row[2] for row in rows))
    day.stage.tell(f"{'':<28}{'sales at the till':>20}{'money at Payme':>20}")
    for title, till, payme in rows:
        day.stage.tell(f"{title:<28}{_or_nothing(till):>20}{_or_nothing(payme):>20}")
    day.stage.tell("─" * 68)
    day.stage.tell(f"{total[0]:<28}{uzs(total[1]):>20}{uzs(total[2]):>20}")
    day.stage.blank()
    day.stage.check("no cancellation is left to deliver", right=is_empty)
    day.stage.check("every sale agrees", right=all(till == payme for _, till, payme in rows))
    held = day.sandbox.held()
    day.stage.check(f"Payme holds {uzs(held)} and nothing else", right=held == total[1])


SCENES = (
    Scene("The buyer pays at once", _pays_at_once),
    Scene("The buyer confirms after 2 seconds", _confirms_later),
    Scene("The buyer lacks funds", _lacks_funds),
    Scene("The code is stale", _stale_code),
    Scene("The buyer never answers", _never_answers),
    Scene("The answer is lost after the money moved", _answer_lost),
    Scene("The power fails between the request and its answer", power_cut),
    Scene("The power fails, and the buyer confirms too late", power_cut_and_late_buyer),
    Scene("The power fails, and the payment can't be decided at once", pending),
    Scene("The power fails, and the till loses the sale", orphan),
    Scene("A cancel before the receipt closes", cancel),
    Scene("A full refund", full_refund),
    Scene("A part of a sale can't be refunded", partial_refund),
    Scene("Marked goods: refused with one key, allowed by hand", marked_goods),
    Scene("What the journal tells of the first payment (payme status ID)", _journal_tells),
    Scene("Sales at the till = money at Payme", _sums_agree),
)


def _check_paid(day: Day, sold: Sold) -> None:
    check_verdict(day, sold, PaymentStatus.PAID)
    check_sent_once(day, sold.sent("receipts.pay"))


def _or_nothing(amount: int) -> str:
    return uzs(amount) if amount else "-"
