"""The receipt at Payme is made beside the scan, joined after it, and must be new, open and ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import body, error, meanwhile, result, with_receipt, without_id, without_receipt_fields
from fakes.paymego import Passage
from hookspecs import PaymentStatus
from payme_plugin.sandbox import FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.paymego import Change
    from fakes.world import World
    from payme_plugin.ledger.rows import PaymentRow

CREATE, PAY, GET = "receipts.create", "receipts.pay", "receipts.get"


def test_create_starts_beside_the_scan_so_that_the_codes_life_is_not_spent_on_it(world: World) -> None:
    world.paymego.passage = lambda method: Passage(there_s=2, back_s=2) if method == CREATE else Passage()
    ui = world.cashier(world.paymego.code(), takes_s=3)

    world.pay(ui=ui)

    assert world.paymego.times_of(CREATE) == [0]
    assert ui.scanned_at == [3]
    assert world.paymego.times_of(PAY) == [4]


def test_the_intent_is_durable_before_create_leaves(world: World) -> None:
    seen: list[str] = []
    world.paymego.change(CREATE, meanwhile(lambda: seen.extend(world.path_of())))

    world.pay(world.paymego.code())

    assert seen == ["intent"]


def test_the_receipt_id_is_durable_before_pay_leaves(world: World) -> None:
    seen: list[PaymentRow] = []
    world.paymego.change(PAY, meanwhile(lambda: seen.append(world.row())))

    world.pay(world.paymego.code())

    (row,) = seen
    assert row.receipt_id == world.paymego.sent[-1].receipt_id
    assert row.state.value == "paying"


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.REQUEST_LOST,
        FaultKind.ANSWER_LOST,
        FaultKind.SILENT,
        FaultKind.SILENT_AFTER_EFFECT,
        FaultKind.FOREIGN_ID,
        FaultKind.HTML,
        FaultKind.HTTP_ERROR,
    ],
)
def test_a_create_without_a_usable_answer_is_made_once_more(world: World, kind: FaultKind) -> None:
    world.paymego.befall(kind, CREATE)

    result = world.pay(world.paymego.code())

    assert result.status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "create", "pay"]


@pytest.mark.parametrize("kind", [FaultKind.ANSWER_LOST, FaultKind.SILENT, FaultKind.HTTP_ERROR])
def test_it_is_made_no_third_time(world: World, kind: FaultKind) -> None:
    world.paymego.befall(kind, CREATE, times=None)

    result = world.pay(world.paymego.code())

    assert result.status is PaymentStatus.REFUSED
    assert result.message == world.text(Text.PAYMENT_RECEIPT_NOT_CREATED)
    assert world.paymego.methods == ["create", "create"]
    assert (world.path_of(), world.live()) == (["intent", "refused"], [])


def test_a_create_that_never_left_is_made_once_more_and_then_the_cashier_reads_that_there_is_no_connection(
    world: World,
) -> None:
    world.paymego.passage = lambda _: Passage(connects=False)

    result = world.pay(world.paymego.code())

    assert result.message == world.text(Text.PAYMENT_NO_CONNECTION)
    assert [heard.method for heard in world.paymego.heard] == [CREATE, CREATE]
    assert world.paymego.sent == []


def test_a_create_that_the_server_refuses_is_not_repeated_and_its_code_is_told(world: World) -> None:
    world.paymego.befall(FaultKind.ERROR, CREATE, error_code=-31611)

    result = world.pay(world.paymego.code())

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, -31611)
    assert result.message == world.texts.of_error(-31611)
    assert world.paymego.methods == ["create"]
    assert (result.cancellation_queued, world.live()) == (False, [])


@pytest.mark.parametrize(
    "change",
    [
        with_receipt(state=1),
        with_receipt(state=4),
        with_receipt(state=50),
        with_receipt(state=None),
        with_receipt(state="0"),
        with_receipt(amount=1_500_001),
        with_receipt(amount="1500000"),
        with_receipt(amount=None),
        with_receipt(_id=""),
        with_receipt(_id=5),
        with_receipt(_id="x" * 65),
        with_receipt(_id="two words"),
        without_receipt_fields("_id"),
        without_receipt_fields("state"),
        without_receipt_fields("amount"),
    ],
)
def test_an_answer_that_can_not_be_a_new_receipt_of_ours_is_refused_without_a_pay(world: World, change: Change) -> None:
    world.paymego.change(CREATE, change)

    result = world.pay(world.paymego.code())

    assert result.status is PaymentStatus.REFUSED
    assert result.message == world.text(Text.PAYMENT_WRONG_RECEIPT)
    assert world.paymego.methods == ["create"]
    assert world.path_of() == ["intent", "refused"]


@pytest.mark.parametrize(
    "change",
    [result({}), result({"receipt": []}), result([]), body(b"[]"), body(b""), body(b'{"id": 1, "result": NaN}')],
)
def test_a_senseless_answer_is_no_answer(world: World, change: Change) -> None:
    world.paymego.change(CREATE, change, times=2)

    result = world.pay(world.paymego.code())

    assert result.status is PaymentStatus.REFUSED
    assert world.paymego.methods == ["create", "create"]


def test_a_receipt_id_that_another_payment_has_is_refused_without_a_pay(world: World) -> None:
    first = world.pay(world.paymego.code())
    world.paymego.change(CREATE, with_receipt(_id=first.receipt_id))

    second = world.pay(world.paymego.code(), payment_id="p2")

    assert second.status is PaymentStatus.REFUSED
    assert second.message == world.text(Text.PAYMENT_WRONG_RECEIPT)
    assert (second.receipt_id, world.live("p2")) == (None, [])
    assert world.paymego.count(PAY) == 1
    assert world.row("p1").state.value == "paid"


def test_a_receipt_in_an_answer_without_an_id_counts_after_get_confirms_it(world: World) -> None:
    world.paymego.change(CREATE, without_id())

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "get", "pay"]


@pytest.mark.parametrize("account", ["", "order_id={till},shift={shift}"])
def test_get_confirms_every_field_of_the_account(world: World, account: str) -> None:
    world.set(account=account)
    world.paymego.change(CREATE, without_id())

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID


@pytest.mark.parametrize(
    "change",
    [
        with_receipt(_id="another"),
        with_receipt(amount=1),
        with_receipt(account=[{"name": "order_id", "value": "till-2-3-1-1"}]),
        with_receipt(account=[{"name": "order", "value": "till-1-3-1-1"}]),
        with_receipt(account=[]),
        with_receipt(account={"order_id": "till-1-3-1-1"}),
        without_receipt_fields("account"),
        result({}),
        error(-31602),
        lambda answer: {**answer, "id": 1},
    ],
)
def test_a_receipt_without_an_id_that_get_does_not_confirm_is_no_answer(world: World, change: Change) -> None:
    world.paymego.change(CREATE, without_id())
    world.paymego.change(GET, change)

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "get", "create", "pay"]
    assert world.row().receipt_id == world.paymego.bank.receipts(world.paymego.now_ms)[1].receipt_id


def test_another_tills_receipt_in_an_answer_without_an_id_is_never_paid(world: World) -> None:
    others = {"amount": 1_500_000, "account": {"order_id": "till-2-3-1-1"}}
    made = world.paymego.bank.call(world.paymego.now_ms, CREATE, others)
    world.paymego.change(CREATE, without_id(result(made)), times=2)

    outcome = world.pay(world.paymego.code())

    assert outcome.status is PaymentStatus.REFUSED
    assert outcome.message == world.text(Text.PAYMENT_RECEIPT_NOT_CREATED)
    assert (world.paymego.count(PAY), world.paymego.held()) == (0, 0)


def test_an_error_without_an_id_may_be_another_calls_so_create_is_made_once_more(world: World) -> None:
    world.paymego.change(CREATE, without_id(error(-32504)))

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "create", "pay"]


def test_an_error_without_an_id_that_comes_again_is_what_the_cashier_reads(world: World) -> None:
    world.paymego.change(CREATE, without_id(error(-32504)), times=2)

    outcome = world.pay(world.paymego.code())

    assert (outcome.status, outcome.error_code) == (PaymentStatus.REFUSED, -32504)
    assert world.paymego.methods == ["create", "create"]


def test_an_answer_that_came_after_the_timeout_is_thrown_away(world: World) -> None:
    world.paymego.befall(FaultKind.ANSWER_DELAYED, CREATE, after_s=6)

    world.pay(world.paymego.code())

    assert world.paymego.times_of(CREATE) == [0, 5]
    assert world.row().receipt_id == world.paymego.bank.receipts(world.paymego.now_ms)[1].receipt_id


def test_a_refused_create_does_not_hurry_the_scan_but_no_code_leaves(world: World) -> None:
    world.paymego.change(CREATE, error(-32504))
    ui = world.cashier(world.paymego.code(), takes_s=4)

    result = world.pay(ui=ui)

    assert result.error_code == -32504
    assert len(ui.prompts) == 1
    assert world.paymego.count(PAY) == 0


def test_create_is_not_repeated_for_a_sale_that_has_no_code(world: World) -> None:
    world.paymego.befall(FaultKind.SILENT, CREATE)

    result = world.pay(None)

    assert result.status is PaymentStatus.ABORTED
    assert world.paymego.methods == ["create"]


def test_a_receipt_that_is_never_paid_is_cancelled_by_the_same_road(world: World) -> None:
    result = world.pay(None)

    assert (result.status, result.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert world.path_of() == ["intent", "aborted"]
    assert [row.receipt_id for row in world.live()] == [world.row().receipt_id]
