"""5. Hands: a host whose ``Ui`` breaks the contract, and one that pumps events and calls again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fakes.till import TENDER, ScriptedUi, open_sale, request_for, scan_after
from faults.hook_calls import codes_on_the_wire, paid_or_not, reversal
from hookspecs import PaymentRecord, PaymentStatus, ReversalStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import BuyerAction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.hooked_world import HookedWorld
    from hookspecs import PaymentResult, ReversalResult


MONEY_HOOKS = ("on_payment", "on_cancel", "on_full_refund")


# A host whose ``Ui`` breaks the contract


class Wreck:
    """A ``Ui`` whose answers are what a test says, raised where they are exceptions; nothing checks their types."""

    def __init__(self, scans: list[object], progress: object) -> None:
        self._scans = scans
        self._progress = progress

    def scan(self, prompt: str, timeout_s: float) -> Any:  # noqa: ANN401 - that is the point
        return _given(self._scans.pop(0) if self._scans else None)

    def progress(self, elapsed_s: float, total_s: float, text: str) -> Any:  # noqa: ANN401 - that is the point
        return _given(self._progress)


def _given(answer: Any) -> Any:  # noqa: ANN401 - that is the point
    if isinstance(answer, Exception):
        raise answer
    return answer


class Liar(str):
    """A text that lies about itself."""

    __slots__ = ()

    def strip(self, *_: object) -> str:
        raise RuntimeError("no strip")

    def __getitem__(self, _: object) -> str:
        raise RuntimeError("no letters")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no letters")


BROKEN_PROGRESS = [
    RuntimeError("x"),
    KeyError("x"),
    OSError(5, "x"),
    RecursionError("x"),
    None,
    1,
    "stop",
    [True],
    object(),
]


@pytest.mark.parametrize("answer", BROKEN_PROGRESS)
def test_a_progress_that_raises_or_answers_nonsense_neither_stops_nor_hangs_a_payment(
    world: HookedWorld, answer: object
) -> None:
    code = world.paymego.code(BuyerAction.CONFIRMS, after_s=3)

    result = world.dispatcher.pay(request_for(), Wreck([code], answer))

    assert paid_or_not(result).status is PaymentStatus.PAID


def test_a_scanned_text_that_lies_about_itself_is_taken_for_its_letters(world: HookedWorld) -> None:
    code = world.paymego.code()

    result = world.dispatcher.pay(request_for(), Wreck([Liar(f" {code}\r\n")], None))

    assert paid_or_not(result).status is PaymentStatus.PAID
    assert codes_on_the_wire(world) == [code]


@pytest.mark.parametrize("ui", [None, object(), 7, "scan", ScriptedUi])
def test_what_is_no_ui_at_all_scans_nothing_and_charges_nothing(world: HookedWorld, ui: object) -> None:
    result = world.dispatcher.pay(request_for(), ui)  # type: ignore[arg-type]

    assert paid_or_not(result).status is PaymentStatus.ABORTED
    assert codes_on_the_wire(world) == []


@pytest.mark.parametrize("ui", [None, object(), Wreck([], RuntimeError("x")), Wreck([], "stop")])
@pytest.mark.parametrize("hook", ["on_cancel", "on_full_refund"])
def test_a_ui_that_breaks_the_contract_keeps_no_money_from_going_back(
    world: HookedWorld, hook: str, ui: object
) -> None:
    sold = world.sell()
    if hook == "on_full_refund":
        sold = world.close_sale(sold)

    back = reversal(world, hook, sold, ui)

    assert back.status is ReversalStatus.REVERSED
    assert world.paymego.held() == 0


# A host that pumps events and calls again


def _outer(world: HookedWorld, hook: str, ui: ScriptedUi) -> Callable[[], PaymentResult | ReversalResult]:
    """Return a money hook that will wait long enough in front of ``ui``."""
    if hook == "on_payment":
        ui.scans.append(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))
        return lambda: paid_or_not(world.dispatcher.pay(request_for("outer", receipt=open_sale(77)), ui))
    sold = world.sell("outer", 77)
    if hook == "on_full_refund":
        sold = world.close_sale(sold)
    return lambda: reversal(world, hook, sold, ui)


@pytest.mark.parametrize("inner", MONEY_HOOKS)
@pytest.mark.parametrize("outer", MONEY_HOOKS)
def test_a_second_money_hook_from_inside_a_progress_charges_nothing_and_leaves_a_reversal_to_the_worker(
    world: HookedWorld, outer: str, inner: str
) -> None:
    other = world.sell_and_close("other", 5) if inner == "on_full_refund" else world.sell("other", 5)
    seconds: list[PaymentResult | ReversalResult] = []
    asked: list[int] = []
    ui = world.cashier()

    def call_again(_: float) -> None:
        if seconds:
            return
        before, began = len(world.paymego.sent), world.clock.monotonic()
        if inner == "on_payment":
            seconds.append(paid_or_not(world.dispatcher.pay(request_for("inner"), world.cashier(world.paymego.code()))))
        else:
            seconds.append(reversal(world, inner, other, world.cashier()))
        assert world.clock.monotonic() == began
        asked.append(len(world.paymego.sent) - before)

    ui.hand = call_again
    first = _outer(world, outer, ui)()

    expected = PaymentStatus.PAID if outer == "on_payment" else ReversalStatus.REVERSED
    assert first.status is expected
    charges = inner == "on_payment"
    assert [second.status for second in seconds] == [PaymentStatus.REFUSED if charges else ReversalStatus.QUEUED]
    assert asked == [0]
    assert world.journal.find("inner") is None
    assert world.row("other").state.value == ("paid" if charges else "reversing")


def test_the_same_payment_asked_for_from_inside_its_own_scan_is_pending_and_goes_on(world: HookedWorld) -> None:
    code = world.paymego.code()
    seconds: list[PaymentResult] = []
    again = lambda: seconds.append(paid_or_not(world.dispatcher.pay(request_for(), world.cashier(code))))  # noqa: E731

    first = paid_or_not(world.dispatcher.pay(request_for(), world.cashier(scan_after(again, code))))

    assert (first.status, seconds[0].status) == (PaymentStatus.PAID, PaymentStatus.PENDING)
    assert codes_on_the_wire(world) == [code]


def test_after_a_refused_second_hook_the_till_is_free_again(world: HookedWorld) -> None:
    ui = world.cashier(
        scan_after(lambda: world.dispatcher.pay(request_for("p2"), world.cashier()), world.paymego.code())
    )
    world.dispatcher.pay(request_for("p1"), ui)

    third = paid_or_not(world.dispatcher.pay(request_for("p3"), world.cashier(world.paymego.code())))

    assert third.status is PaymentStatus.PAID


def test_hooks_that_move_no_money_are_served_from_inside_a_payment(world: HookedWorld) -> None:
    closed = world.sell("closed", 4)
    served: list[object] = []

    def close_another(_: float) -> None:
        if not served:
            world.close_sale(closed)
            served.append(world.dispatcher.violations(world.refund_of(closed)))

    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))
    ui.hand = close_another

    assert paid_or_not(world.dispatcher.pay(request_for(), ui)).status is PaymentStatus.PAID
    assert served == [[]]
    assert world.row("closed").state.value == "recorded"


@pytest.mark.parametrize("closed_at", [None, 5], ids=["recorded", "closed"])
@pytest.mark.parametrize(
    "buyer",
    [
        (BuyerAction.CONFIRMS, PaymentStatus.PAID, PaymentState.RECORDED),
        (BuyerAction.NEVER_ANSWERS, PaymentStatus.UNKNOWN, PaymentState.UNKNOWN),
    ],
    ids=["confirms", "never answers"],
)
def test_an_acknowledgement_of_the_payment_under_way_changes_no_result_and_is_applied_to_it(
    world: HookedWorld, buyer: tuple[BuyerAction, PaymentStatus, PaymentState], closed_at: int | None
) -> None:
    """No host has a payment that it was not told of: only Payme says whether this one is paid."""
    action, status, state = buyer
    record = PaymentRecord(payment_id="p1", payment_type=TENDER, amount=request_for().amount, data={"plugin": "payme"})

    def acknowledge(_: float) -> None:
        if closed_at is None:
            world.dispatcher.acknowledge(record)
        else:
            world.dispatcher.receipt_closed(open_sale(payments=(record,), closed_at=closed_at))

    ui = world.cashier(world.paymego.code(action, after_s=3))
    ui.hand = acknowledge

    result = paid_or_not(world.dispatcher.pay(request_for(), ui))
    row = world.row()

    assert (result.status, row.state, row.closed_at) == (status, state, closed_at)
    assert row.acknowledged_at is not None
    assert result.cancellation_queued is (status is PaymentStatus.UNKNOWN)
    world.work(60)
    assert world.paymego.held() == (result.amount if status is PaymentStatus.PAID else 0)
