"""The request for a payment: its result, what is refused at once, and calls that join the running payment."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.clock import BEGINNING_MS
from fakes.joined_calls import running_call
from fakes.journal_rows import walk
from fakes.till import open_sale, scan_after
from fakes.world import World
from faults.full_disk import full_disk
from hookspecs import PaymentRecord, PaymentStatus, ReceiptKind
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import BuyerAction
from payme_plugin.sandbox.receipt import Buyer
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld
    from hookspecs import PaymentResult


def test_a_paid_payment_is_one_create_and_one_pay_at_paymes_time(world: World) -> None:
    world.clock.set_wall(86_400_000)

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID

    assert world.paymego.methods == ["create", "pay"]
    assert world.path_of() == ["intent", "paying", "paid"]
    assert (world.live(), world.paymego.held()) == ([], 1_500_000)
    assert world.row().paid_at == BEGINNING_MS + 30


def test_the_host_gets_all_that_it_stores_prints_and_puts_onto_the_fiscal_receipt(world: World) -> None:
    outcome = world.pay(world.paymego.code())

    row = world.row()
    data = {
        "v": "1",
        "plugin": "payme",
        "receipt_id": str(row.receipt_id),
        "posId": world.settings.pos_id,
        "url": world.settings.url,
        "paid_at": str(row.paid_at),
    }
    assert outcome.payment == PaymentRecord(payment_id="p1", payment_type=7, amount=1_500_000, data=data)
    assert (outcome.amount, outcome.error_code, outcome.cancellation_queued) == (1_500_000, None, False)
    assert (outcome.receipt_id, outcome.message) == (row.receipt_id, world.text(Text.PAYMENT_PAID))
    assert outcome.receipt_attributes == {
        "QRPaymentProvider": "141",
        "QRPaymentID": row.receipt_id,
        "PhoneNumber": Buyer().phone,
    }
    assert [slip.lines for slip in outcome.slips] == [("pay", "p1")]


def test_each_press_of_a_tender_on_a_sale_is_another_attempt_in_the_account(world: World) -> None:
    for index in range(3):
        world.pay(world.paymego.code(BuyerAction.LACKS_FUNDS), payment_id=f"p{index}")
    world.pay(world.paymego.code(), payment_id="p9", receipt=open_sale(2))

    accounts = [sent.params["account"] for sent in world.paymego.sent if sent.method == "receipts.create"]

    assert accounts == [{"order_id": f"till-1-3-{end}"} for end in ("1-1", "1-2", "1-3", "2-1")]


def test_the_events_say_what_was_asked_and_answered(world: World) -> None:
    world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=5))

    texts = [event.text for event in world.events()]

    assert texts[0] == "1500000 tiyin, receipt till-1/3/1"
    assert {"receipts.create: state 0", "receipts.pay: state 1", "receipts.check: state 1 (3 times)"} <= set(texts)
    assert texts[-2:] == ["receipts.check: state 4", "Payme says paid (4)"]


@pytest.mark.parametrize("action", [BuyerAction.PAYS, BuyerAction.CONFIRMS], ids=["at once", "later"])
def test_a_payment_is_three_commits_inside_the_hook(till: HookedWorld, action: BuyerAction) -> None:
    """The intent; receipt id and code; the result. The acknowledgement is a fourth, outside of it."""
    before = till.journal.commits

    outcome = till.ask(till.paymego.code(action, after_s=9))

    assert (outcome.status, till.journal.commits - before) == (PaymentStatus.PAID, 3)


def test_a_payment_reads_nothing_twice_but_whether_its_code_was_sent(till: HookedWorld) -> None:
    """Another payment may have sent the code since its scan. What a commit changes is returned by its own statement."""
    statements: list[str] = []
    with till.journal.reading() as connection:
        connection.set_trace_callback(statements.append)

    assert till.ask(till.paymego.code()).status is PaymentStatus.PAID

    reads = [each for each in statements if each.startswith(("SELECT", "PRAGMA"))]
    repeated = {each for each in reads if reads.count(each) > 1}
    assert [each.partition(" WHERE ")[0] for each in repeated] == ["SELECT sent_at FROM code"]
    assert len(reads) == 6


# ---------------------------------------------------------------------------------------------------------------------
# What can't work is refused at once: no row, no request, no scan
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"amount": 0}, Text.PAYMENT_AMOUNT_NOT_ALLOWED),
        ({"amount": -1_500_000}, Text.PAYMENT_AMOUNT_NOT_ALLOWED),
        ({"amount": 2**63}, Text.PAYMENT_AMOUNT_NOT_ALLOWED),
        ({"receipt": replace(open_sale(), kind=ReceiptKind.REFUND)}, Text.PAYMENT_NOT_A_SALE),
    ],
    ids=["0", "negative", "huge", "a refund"],
)
def test_what_no_receipt_can_have_is_refused_before_anything_is_stored(
    world: World, asked: dict[str, Any], text: Text
) -> None:
    ui = world.cashier(world.paymego.code())

    outcome = world.pay(ui=ui, **asked)

    assert (outcome.status, outcome.message) == (PaymentStatus.REFUSED, world.text(text))
    assert outcome.amount == asked.get("amount", 1_500_000)
    assert (world.paymego.sent, ui.prompts, world.journal.payments()) == ([], [], [])


@settings(max_examples=40)
@given(total=st.integers(1, 10**9), paid=st.lists(st.integers(1, 10**9), max_size=3), amount=st.integers(1, 2 * 10**9))
def test_an_amount_is_charged_to_the_tiyin_or_refused_if_the_receipt_owes_less(
    tmp_path_factory: pytest.TempPathFactory, total: int, paid: list[int], amount: int
) -> None:
    payments = tuple(
        PaymentRecord(payment_id=f"cash-{index}", payment_type=1, amount=each, data={})
        for index, each in enumerate(paid)
    )
    with closing(World(tmp_path_factory.mktemp("owes"))) as world:
        ui = world.cashier(world.paymego.code())

        outcome = world.pay(ui=ui, amount=amount, receipt=open_sale(amount=total, payments=payments))

        if amount <= total - sum(paid):
            assert (outcome.status, world.paymego.held()) == (PaymentStatus.PAID, amount)
        else:
            message = world.text(Text.PAYMENT_AMOUNT_ABOVE_DUE)
            assert (outcome.status, outcome.message) == (PaymentStatus.REFUSED, message)
            assert (world.paymego.sent, ui.prompts, world.journal.payments()) == ([], [], [])


def test_what_the_journal_can_not_store_is_not_charged(world: World) -> None:
    ui = world.cashier(world.paymego.code())

    with full_disk():
        outcome = world.pay(ui=ui)

    assert (outcome.status, outcome.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_JOURNAL_UNWRITABLE))
    assert (world.paymego.sent, ui.prompts) == ([], [])
    assert world.host.notices == {"payme.journal": world.text(Text.NOTICE_JOURNAL_UNWRITABLE)}


@pytest.mark.parametrize("asked", [{"receipt": open_sale(2**70)}, {"payment_id": "p\ud800"}], ids=["number", "id"])
def test_what_no_row_can_hold_is_refused(till: HookedWorld, asked: dict[str, Any]) -> None:
    outcome = till.ask(till.paymego.code(), **asked)

    assert (outcome.status, till.paymego.sent) == (PaymentStatus.REFUSED, [])


# ---------------------------------------------------------------------------------------------------------------------
# The same payment at once joins the running call; another one finds the till busy. On real threads: the first call
# waits in its scan until the test lets it go on.
# ---------------------------------------------------------------------------------------------------------------------


def _paying(till: HookedWorld) -> Callable[[Callable[[], None]], PaymentResult]:
    return lambda wait: till.ask(scan_after(wait, till.paymego.code()))


@pytest.mark.parametrize("repeated", [False, True])
def test_the_same_payment_joins_and_gets_the_same_result_from_one_charge(till: HookedWorld, repeated: bool) -> None:
    with running_call(till, _paying(till)) as running:
        ui = till.cashier(till.paymego.code())
        joined = [running.join(lambda: till.ask(ui=ui, repeated=repeated)) for _ in range(3)]
        assert not any(each.done() for each in joined)
        running.go_on()
        first = running.result.result()

    assert first.status is PaymentStatus.PAID
    assert all(each.result() == first for each in joined)
    assert (ui.prompts, till.paymego.methods, till.paymego.held()) == ([], ["create", "pay"], 1_500_000)
    assert till.ask(till.paymego.code(), payment_id="p2", receipt=open_sale(2)).status is PaymentStatus.PAID


def test_a_call_joins_also_after_the_stop_has_begun(till: HookedWorld) -> None:
    with running_call(till, _paying(till)) as running:
        before = running.join(lambda: till.ask(till.paymego.code()))
        stopping = running.beside(till.dispatcher.stop)
        while till.dispatcher.is_running():
            pass
        after = running.join(lambda: till.ask(till.paymego.code()))
        running.go_on()
        first = running.result.result()
        stopping.result()

    # The stop acts as the cashier's: no code is sent.
    assert first.status is PaymentStatus.ABORTED
    assert (before.result(), after.result()) == (first, first)
    assert till.paymego.count("receipts.pay") == 0


def test_another_payment_meanwhile_is_refused_if_new_and_pending_if_repeated(till: HookedWorld) -> None:
    walk(till.journal, PaymentState.PAID, "known")
    with running_call(till, _paying(till)) as running:
        ui = till.cashier(till.paymego.code())
        new = till.ask(ui=ui, payment_id="p2", receipt=open_sale(2))
        repeated = till.ask(ui=ui, payment_id="p3", receipt=open_sale(3), repeated=True)
        known = till.ask(ui=ui, payment_id="known")
        running.go_on()

    assert (new.status, new.message) == (PaymentStatus.REFUSED, till.text(Text.PAYMENT_BUSY))
    assert (repeated.status, repeated.message) == (PaymentStatus.PENDING, till.text(Text.PAYMENT_PENDING))
    assert known.status is PaymentStatus.PENDING
    assert (ui.prompts, till.journal.find("p2"), till.journal.find("p3")) == ([], None, None)


def test_a_call_from_within_the_running_one_does_not_wait_for_itself(till: HookedWorld) -> None:
    inner: list[PaymentResult] = []

    outer = till.ask(scan_after(lambda: inner.append(till.ask()), till.paymego.code()))

    assert (outer.status, [each.status for each in inner]) == (PaymentStatus.PAID, [PaymentStatus.PENDING])
