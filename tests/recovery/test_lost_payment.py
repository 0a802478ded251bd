"""A repeated payment that the journal lacks: nothing was sent, or the journal is new and Payme's list has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fakes.answer_changes import body, error, result, spoil
from fakes.paymego import Passage
from fakes.till import open_sale
from faults.full_disk import full_disk
from hookspecs import PaymentStatus
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.states import PaymentState
from payme_plugin.paymego import receipts
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.paymego import Change, Envelope
    from fakes.world import World
    from hookspecs import PaymentResult

GET_ALL = "receipts.get_all"


def _lose_the_journal(world: World) -> None:
    """Let another process come, whose journal is new: nobody has said ``on_ready`` since it was made."""
    world.journal.close()
    for file in world.host.folder.iterdir():
        file.unlink()
    world.restart()


def _pay_and_lose(world: World) -> str | None:
    receipt_id = world.pay(world.paymego.code()).receipt_id
    _lose_the_journal(world)
    return receipt_id


def _ask_again(world: World, **asked: object) -> PaymentResult:
    """Ask again; make sure that it neither scans nor sends anything that charges."""
    ui, charging = world.cashier(world.paymego.code()), ("receipts.create", "receipts.pay")
    before = [world.paymego.count(method) for method in charging]
    again = world.pay(ui=ui, repeated=True, **asked)
    assert (ui.prompts, [world.paymego.count(method) for method in charging]) == ([], before)
    return again


def test_a_paid_one_is_adopted_from_paymes_list(world: World) -> None:
    receipt_id = _pay_and_lose(world)

    again = _ask_again(world)

    assert (again.status, again.receipt_id) == (PaymentStatus.PAID, receipt_id)
    assert again.payment is not None
    assert again.payment.data["receipt_id"] == receipt_id
    row = world.row()
    assert (row.state, row.receipt_id, row.amount, row.owner) == (PaymentState.PAID, receipt_id, 1_500_000, world.owner)
    assert (row.till, row.shift, row.number, row.closed_at) == ("till-1", 3, 1, None)


@pytest.mark.parametrize(
    ("action", "status"),
    [(BuyerAction.NEVER_ANSWERS, PaymentStatus.UNKNOWN), (BuyerAction.DECLINES, PaymentStatus.REFUSED)],
)
def test_an_unpaid_one_is_adopted_with_its_true_state(world: World, action: BuyerAction, status: PaymentStatus) -> None:
    world.pay(world.paymego.code(action))
    _lose_the_journal(world)

    assert (_ask_again(world).status, len(world.live())) == (status, 1)


def test_of_two_attempts_at_one_sale_the_paid_one_is_adopted_and_only_once(world: World) -> None:
    paid = world.pay(world.paymego.code())
    world.pay(world.paymego.code(BuyerAction.LACKS_FUNDS), payment_id="p2")
    _lose_the_journal(world)

    assert _ask_again(world).receipt_id == paid.receipt_id
    assert _ask_again(world, payment_id="p3").receipt_id != paid.receipt_id


@pytest.mark.parametrize("action", [BuyerAction.PAYS, BuyerAction.LACKS_FUNDS], ids=["paid", "not paid"])
def test_of_two_attempts_the_second_is_adopted_if_it_is_the_paid_one_or_neither_is(
    world: World, action: BuyerAction
) -> None:
    world.pay(world.paymego.code(BuyerAction.LACKS_FUNDS))
    world.clock.sleep(60)
    second = world.pay(world.paymego.code(action), payment_id="p2")
    _lose_the_journal(world)

    assert _ask_again(world, payment_id="p2").receipt_id == second.receipt_id


@pytest.mark.parametrize("slow_ms", [0, 1_800_000], ids=["six days later", "by a clock that is half an hour slow"])
def test_a_paid_one_is_found_within_7_days_and_though_the_clocks_differ(world: World, slow_ms: int) -> None:
    receipt_id = _pay_and_lose(world)
    world.clock.set_wall(-slow_ms)
    world.clock.suspend(0 if slow_ms else 6 * 86_400)

    assert _ask_again(world).receipt_id == receipt_id


@pytest.mark.parametrize(
    "asked",
    [{"amount": 1_400_000}, {"receipt": open_sale(2)}, {"receipt": open_sale(shift=4)}],
    ids=["amount", "number", "shift"],
)
def test_one_that_the_list_does_not_have_is_refused(world: World, asked: dict[str, Any]) -> None:
    _pay_and_lose(world)

    again = _ask_again(world, **asked)

    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_NOT_SENT))
    assert world.journal.payments() == []


def test_an_account_that_does_not_name_the_sale_proves_nothing_unless_no_receipt_has_the_amount(world: World) -> None:
    world.set(account="order_id={till}")
    _pay_and_lose(world)

    assert _ask_again(world).status is PaymentStatus.PENDING
    assert _ask_again(world, amount=1_400_000).status is PaymentStatus.REFUSED


@pytest.mark.parametrize(
    "fault", [FaultKind.SILENT, FaultKind.REQUEST_LOST, body(b"<html>"), error(-32504), result({"no": "list"})]
)
def test_while_payme_can_not_be_asked_it_is_pending(world: World, fault: FaultKind | Change) -> None:
    _pay_and_lose(world)
    spoil(world.paymego, GET_ALL, fault)

    again = _ask_again(world)

    assert (again.status, again.message) == (PaymentStatus.PENDING, world.text(Text.PAYMENT_PENDING))
    assert world.journal.payments() == []
    assert _ask_again(world).status is PaymentStatus.PAID


def _full_page(page: int) -> list[dict[str, object]]:
    """Return a page of other sales' receipts."""
    numbers = range(page * receipts.MAX_RECEIPTS, (page + 1) * receipts.MAX_RECEIPTS)
    return [{"_id": f"{number:024x}", "state": 4, "amount": 5, "create_time": 1, "account": []} for number in numbers]


def test_a_list_of_more_than_100_pages_is_searched_to_its_end(world: World) -> None:
    receipt_id = _pay_and_lose(world)
    answers: list[Envelope] = []

    def long_list(answer: Envelope) -> Envelope:
        answers.append(answer)
        last = len(answers) == 130
        return {**answer, "result": answers[0]["result"] if last else _full_page(len(answers))}

    world.paymego.change(GET_ALL, long_list, times=130)

    again = _ask_again(world)

    assert (again.status, again.receipt_id, len(answers)) == (PaymentStatus.PAID, receipt_id, 130)


def test_a_search_of_the_list_that_takes_the_whole_pay_duration_ends_then_and_is_pending(world: World) -> None:
    _pay_and_lose(world)
    world.paymego.passage = lambda _: Passage(back_s=4.5)
    world.paymego.change(GET_ALL, lambda answer: {**answer, "result": _full_page(1)}, times=1000)
    began = world.clock.monotonic()

    assert _ask_again(world).status is PaymentStatus.PENDING
    assert world.clock.monotonic() - began == pytest.approx(20, abs=0.05)
    assert world.journal.payments() == []


def test_once_the_host_was_ready_nothing_is_searched_in_a_later_process_either(world: World) -> None:
    _pay_and_lose(world)
    world.journal.mark_ready()
    world.restart()

    again = _ask_again(world)

    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_NOT_SENT))
    assert (world.paymego.count(GET_ALL), world.journal.payments()) == (0, [])


def test_one_that_can_not_be_adopted_leaves_nothing_behind(world: World) -> None:
    _pay_and_lose(world)

    with full_disk(), pytest.raises(Unavailable):
        _ask_again(world)

    assert (world.journal.payments(), world.live()) == ([], [])
    assert _ask_again(world).status is PaymentStatus.PAID
