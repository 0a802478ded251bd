"""The receipt at Payme is created during the scan. It must be new, open and ours before the code is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import body, error, meanwhile, result, spoil, with_receipt, without_id, without_receipt_fields
from fakes.paymego import Passage
from hookspecs import PaymentStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.results import nothing_charged
from payme_plugin.paymego.errors import Fault, NotSent
from payme_plugin.sandbox import FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.paymego import Change
    from fakes.world import World

CREATE, PAY, GET = "receipts.create", "receipts.pay", "receipts.get"


def test_create_starts_beside_the_scan_so_that_the_codes_life_is_not_spent_on_it(world: World) -> None:
    world.paymego.passage = lambda method: Passage(there_s=2, back_s=2) if method == CREATE else Passage()
    ui = world.cashier(world.paymego.code(), takes_s=3)

    world.pay(ui=ui)

    assert (world.paymego.times_of(CREATE), ui.scanned_at, world.paymego.times_of(PAY)) == ([0], [3], [4])


def test_the_intent_is_durable_before_create_and_receipt_id_and_code_before_pay(world: World) -> None:
    code = world.paymego.code()
    fingerprint = world.journal.fingerprint(code)
    stored: list[tuple[PaymentState, str | None, bool]] = []

    def look() -> None:
        row = world.row()
        stored.append((row.state, row.receipt_id, world.journal.was_sent(fingerprint)))

    world.paymego.change(CREATE, meanwhile(look))
    world.paymego.change(PAY, meanwhile(look))
    world.pay(code)

    receipt_id = world.paymego.sent[-1].receipt_id
    assert stored == [(PaymentState.INTENT, None, False), (PaymentState.PAYING, receipt_id, True)]


@pytest.mark.parametrize(
    "fault",
    [
        *(FaultKind.REQUEST_LOST, FaultKind.SILENT_AFTER_EFFECT, FaultKind.HTML, FaultKind.HTTP_ERROR),
        *(result({}), result({"receipt": []}), result([])),
        *(body(text) for text in (b"[]", b"", b'{"id": 1, "result": NaN}')),
        lambda answer: {**answer, "id": 1},
        without_id(error(-32504)),
    ],
)
def test_a_create_without_a_usable_answer_is_sent_once_more(world: World, fault: FaultKind | Change) -> None:
    spoil(world.paymego, CREATE, fault)

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "create", "pay"]


@pytest.mark.parametrize(
    ("fault", "error_code"), [(FaultKind.SILENT, None), (result({}), None), (without_id(error(-32504)), -32504)]
)
def test_create_is_sent_at_most_twice(world: World, fault: FaultKind | Change, error_code: int | None) -> None:
    spoil(world.paymego, CREATE, fault, times=9)

    outcome = world.pay(world.paymego.code())

    message = world.texts.of_error(error_code) if error_code else world.text(Text.PAYMENT_RECEIPT_NOT_CREATED)
    assert (outcome.status, outcome.error_code, outcome.message) == (PaymentStatus.REFUSED, error_code, message)
    assert (world.paymego.methods, world.path_of(), world.live()) == (["create"] * 2, ["intent", "refused"], [])


def test_a_create_that_was_not_sent_is_tried_once_more_and_then_the_cashier_reads_that_there_is_no_connection(
    world: World,
) -> None:
    world.paymego.passage = lambda _: Passage(connects=False)

    outcome = world.pay(world.paymego.code())

    assert outcome.message == world.text(Text.PAYMENT_NO_CONNECTION)
    assert [heard.method for heard in world.paymego.heard] == [CREATE, CREATE]
    assert world.paymego.sent == []


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault.NAME_NOT_FOUND, Text.PAYMENT_NO_CONNECTION_NAME_NOT_FOUND),
        (Fault.TLS, Text.PAYMENT_NO_CONNECTION_TLS),
        (Fault.TIME_OVER, Text.PAYMENT_NO_CONNECTION_TIME_OVER),
        (Fault.NOT_CONNECTED, Text.PAYMENT_NO_CONNECTION),
    ],
)
def test_the_cashier_reads_why_there_is_no_connection(world: World, fault: Fault, text: Text) -> None:
    outcome = nothing_charged(world.texts, NotSent(CREATE, fault, "nothing left"), stopped=False)

    assert (outcome.status, outcome.message) == (PaymentStatus.REFUSED, world.text(text))


def test_a_create_that_the_server_refuses_is_not_repeated_and_does_not_hurry_the_scan(world: World) -> None:
    world.paymego.inject_fault(FaultKind.ERROR, CREATE, error_code=-31611)
    ui = world.cashier(world.paymego.code(), takes_s=4)

    outcome = world.pay(ui=ui)

    assert (outcome.status, outcome.error_code) == (PaymentStatus.REFUSED, -31611)
    assert outcome.message == world.texts.of_error(-31611)
    assert (len(ui.prompts), world.paymego.methods) == (1, ["create"])
    assert (outcome.cancellation_queued, world.live()) == (False, [])


@pytest.mark.parametrize(
    "change",
    [
        *(with_receipt(state=state) for state in (1, 4, None, "0")),
        *(with_receipt(amount=amount) for amount in (1_500_001, "1500000", None)),
        *(with_receipt(_id=receipt_id) for receipt_id in ("", 5, "x" * 65, "two words")),
        *(without_receipt_fields(name) for name in ("_id", "state", "amount")),
    ],
)
def test_an_answer_that_can_not_be_a_new_receipt_of_ours_is_refused_without_a_pay(world: World, change: Change) -> None:
    world.paymego.change(CREATE, change)

    outcome = world.pay(world.paymego.code())

    assert (outcome.status, outcome.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_WRONG_RECEIPT))
    assert (world.paymego.methods, world.path_of()) == (["create"], ["intent", "refused"])


def test_a_receipt_id_that_another_payment_has_is_refused_without_a_pay(world: World) -> None:
    first = world.pay(world.paymego.code())
    world.paymego.change(CREATE, with_receipt(_id=first.receipt_id))

    second = world.pay(world.paymego.code(), payment_id="p2")

    assert (second.status, second.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_WRONG_RECEIPT))
    assert (second.receipt_id, world.live("p2"), world.paymego.count(PAY)) == (None, [], 1)
    assert world.row("p1").state is PaymentState.PAID


@pytest.mark.parametrize("account", ["order_id={till}", "", "order_id={till},shift={shift}"])
def test_a_receipt_in_an_answer_without_an_id_counts_after_get_confirms_every_field_of_its_account(
    world: World, account: str
) -> None:
    world.set(account=account)
    world.paymego.change(CREATE, without_id())

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "get", "pay"]


@pytest.mark.parametrize(
    "change",
    [
        *(with_receipt(_id="another"), with_receipt(amount=1), with_receipt(account=[])),
        with_receipt(account=[{"name": "order", "value": "till-1-3-1-1"}]),
        with_receipt(account=[{"name": "order_id", "value": "till-2-3-1-1"}]),
        with_receipt(account={"order_id": "till-1-3-1-1"}),
        without_receipt_fields("account"),
        *(result({}), error(-31602), lambda answer: {**answer, "id": 1}),
    ],
)
def test_a_receipt_without_an_id_that_get_does_not_confirm_is_ignored(world: World, change: Change) -> None:
    world.paymego.change(CREATE, without_id())
    world.paymego.change(GET, change)

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "get", "create", "pay"]
    assert world.row().receipt_id == world.paymego.bank.receipts(world.paymego.now_ms)[1].receipt_id


def test_an_answer_that_came_after_the_timeout_is_thrown_away(world: World) -> None:
    world.paymego.inject_fault(FaultKind.ANSWER_DELAYED, CREATE, after_s=6)

    world.pay(world.paymego.code())

    assert world.paymego.times_of(CREATE) == [0, 5]
    assert world.row().receipt_id == world.paymego.bank.receipts(world.paymego.now_ms)[1].receipt_id
