"""What the answer to ``receipts.pay`` means, and which answers are about our receipt. ``pay`` is sent once.

Without the request's id, 0, 4, 21 and 50 count only if ``receipts.get`` repeats them with our receipt id and amount.
An answer with another request's id is ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import body, error, result, spoil, with_receipt, without_id, without_receipt_fields
from fakes.till import STALE
from hookspecs import PaymentStatus
from payme_plugin.ledger.states import Cause
from payme_plugin.paymego.codes import CATALOGUE
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.paymego import Change, Envelope
    from fakes.world import World

PAY, CHECK, GET = "receipts.pay", "receipts.check", "receipts.get"
PROVING = sorted(entry.code for entry in CATALOGUE if entry.proves_no_charge)
ASKING = sorted(entry.code for entry in CATALOGUE if not entry.proves_no_charge)
IGNORABLE = [code for code in ASKING if code > -32400]
NOT_4: list[object] = [0, 1, 3, 5, 21, 50, 77, -1, 2**60, "4", 4.0, True]
FACTS_OF_ANOTHER: list[dict[str, object]] = [{"state": 50}, {"_id": "another"}, {"id": "another"}, {"amount": 1}]


def _beside(**facts: object) -> Change:
    """Answer with the receipt as it is, and with these facts beside it."""

    def changed(answer: Envelope) -> Envelope:
        found = answer["result"]
        assert isinstance(found, dict)
        return {**answer, "result": {**found, **facts}}

    return changed


# ---------------------------------------------------------------------------------------------------------------------
# What it means
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_ignored", [False, True], ids=["not ignored", "ignored"])
@pytest.mark.parametrize("error_code", PROVING)
def test_an_error_that_proves_no_charge_is_refused_without_a_query_and_cancelled_unless_it_is_ignored(
    world: World, error_code: int, is_ignored: bool
) -> None:
    world.set(ignoredErrors=error_code if is_ignored else "")

    outcome = world.pay(qr_code=world.paymego.code(BuyerAction.FAILS, error_code=error_code))

    assert (outcome.status, outcome.error_code) == (PaymentStatus.REFUSED, error_code)
    assert str(error_code) in outcome.message
    assert world.paymego.methods == ["create", "pay"]
    assert outcome.cancellation_queued is not is_ignored
    assert [row.cause for row in world.live()] == ([] if is_ignored else [Cause.UNRECORDED])


@pytest.mark.parametrize(
    ("error_code", "ignored"), [*((code, "") for code in ASKING), *((code, code) for code in IGNORABLE)]
)
def test_any_other_error_is_asked_after_and_refused_with_a_cancellation_if_the_state_is_0(
    world: World, error_code: int, ignored: object
) -> None:
    world.set(ignoredErrors=ignored)

    outcome = world.pay(world.paymego.code(BuyerAction.FAILS, error_code=error_code))

    assert (outcome.status, outcome.error_code) == (PaymentStatus.REFUSED, error_code)
    assert world.paymego.methods == ["create", "pay", "check"]
    assert (outcome.cancellation_queued, len(world.live())) == (True, 1)


@pytest.mark.parametrize("error_code", [-31100, -31623, -32400, -31999, -40000, -1, 0, 7])
def test_any_other_error_known_or_not_is_paid_if_the_state_is_4(world: World, error_code: int) -> None:
    world.paymego.change(PAY, error(error_code))

    outcome = world.pay(world.paymego.code())

    assert (outcome.status, outcome.error_code, world.live()) == (PaymentStatus.PAID, None, [])
    assert world.paymego.methods == ["create", "pay", "check", "get"]


@pytest.mark.parametrize(
    ("action", "check", "status", "text"),
    [
        (BuyerAction.DECLINES, None, PaymentStatus.REFUSED, Text.PAYMENT_CANCELLED_BY_PAYME),
        (BuyerAction.PAYS, result({"state": 21}), PaymentStatus.REFUSED, Text.PAYMENT_RETURNING),
        (BuyerAction.CONFIRMS, None, PaymentStatus.PAID, Text.PAYMENT_PAID),
        (BuyerAction.PAYS, FaultKind.SILENT, PaymentStatus.PAID, Text.PAYMENT_PAID),
        (BuyerAction.PAYS, FaultKind.ERROR, PaymentStatus.PAID, Text.PAYMENT_PAID),
    ],
)
def test_any_other_error_with_any_other_state_is_followed_by_the_wait_for_the_buyer(
    world: World, action: BuyerAction, check: FaultKind | Change | None, status: PaymentStatus, text: Text
) -> None:
    world.paymego.inject_fault(FaultKind.ERROR_AFTER_EFFECT, PAY, error_code=-31100)
    if check is not None:
        spoil(world.paymego, CHECK, check, times=1 if isinstance(check, FaultKind) else 9)

    outcome = world.pay(world.paymego.code(action, after_s=3))

    assert (outcome.status, outcome.message) == (status, world.text(text))
    assert len(world.live()) == (status is PaymentStatus.REFUSED)


def test_only_for_an_error_without_a_text_of_ours_the_cashier_reads_the_servers_words(world: World) -> None:
    words = {"ru": "Приходите завтра", "uz": "Ertaga keling", "en": "Come tomorrow"}
    world.paymego.change(PAY, error(-31999, words))

    outcome = world.pay(world.paymego.code(BuyerAction.FAILS, error_code=-31999))

    assert outcome.status is PaymentStatus.REFUSED
    assert outcome.message == world.texts(Text.PAYMENT_SERVER_ERROR, text="Приходите завтра", code=-31999)


@pytest.mark.parametrize(
    "kind",
    [
        *(FaultKind.REQUEST_LOST, FaultKind.SILENT, FaultKind.HTML, FaultKind.HTTP_ERROR),
        *(FaultKind.ANSWER_LOST, FaultKind.SILENT_AFTER_EFFECT, FaultKind.HTML_AFTER_EFFECT),
        *(FaultKind.FOREIGN_ID, FaultKind.FOREIGN_RECEIPT, FaultKind.HTTP_ERROR_AFTER_EFFECT),
    ],
)
def test_a_pay_without_a_usable_answer_is_not_sent_again_and_the_state_decides(world: World, kind: FaultKind) -> None:
    world.paymego.inject_fault(kind, PAY)
    code = world.paymego.code()

    outcome = world.pay(code)

    is_charged = kind.effect
    assert outcome.status is (PaymentStatus.PAID if is_charged else PaymentStatus.UNKNOWN)
    assert (world.paymego.count(PAY), world.paymego.bank.pays(code)) == (1, int(is_charged))
    assert len(world.live()) == (not is_charged)


@pytest.mark.parametrize(
    "change",
    [
        *(with_receipt(state=state) for state in NOT_4),
        *(with_receipt(_id=receipt_id) for receipt_id in ("another", 17)),
        *(with_receipt(amount=amount) for amount in (1_500_001, "1500000")),
        *(_beside(**facts) for facts in FACTS_OF_ANOTHER),
        *(without_receipt_fields("state"), result({}), result({"receipt": None})),
        *(body(text) for text in (b'{"id": ', b"\xff\xfe")),
    ],
)
def test_an_answer_that_does_not_say_4_of_our_receipt_and_amount_is_asked_after_at_once(
    world: World, change: Change
) -> None:
    world.paymego.change(PAY, change)

    outcome = world.pay(world.paymego.code())

    assert (outcome.status, world.paymego.methods) == (PaymentStatus.PAID, ["create", "pay", "check", "get"])
    assert world.paymego.times_of(CHECK) == [pytest.approx(0.04)]


def test_the_answer_may_leave_out_what_it_repeats(world: World) -> None:
    world.paymego.change(PAY, without_receipt_fields("_id", "amount"))

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.count(CHECK) == 0


# ---------------------------------------------------------------------------------------------------------------------
# Whose it is
# ---------------------------------------------------------------------------------------------------------------------


def _with_another_id(answer: Envelope) -> Envelope:
    return {**answer, "id": 1}


_NOT_OURS = [
    *(with_receipt(**fields) for fields in ({"_id": "another"}, {"amount": 1}, {"state": 1})),
    *(without_receipt_fields(name) for name in ("_id", "amount", "state")),
    *(result({}), error(-31602), _with_another_id),
    *(_beside(**facts) for facts in FACTS_OF_ANOTHER),
]


def test_paid_without_an_id_counts_if_get_repeats_it_even_without_an_id_too(world: World) -> None:
    world.paymego.change(PAY, without_id())
    world.paymego.change(GET, without_id())

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "pay", "get"]


@pytest.mark.parametrize("change", _NOT_OURS)
def test_paid_without_an_id_does_not_count_if_get_does_not_repeat_it(world: World, change: Change) -> None:
    world.paymego.change(PAY, without_id())
    world.paymego.change(GET, change)

    world.pay(world.paymego.code())

    assert world.paymego.methods[:4] == ["create", "pay", "get", "check"]


@pytest.mark.parametrize(
    ("state", "status", "text"),
    [
        (4, PaymentStatus.PAID, Text.PAYMENT_PAID),
        (21, PaymentStatus.REFUSED, Text.PAYMENT_RETURNING),
        (50, PaymentStatus.REFUSED, Text.PAYMENT_CANCELLED_BY_PAYME),
    ],
)
def test_a_decisive_check_without_an_id_counts_if_get_repeats_it(
    world: World, state: int, status: PaymentStatus, text: Text
) -> None:
    world.paymego.change(PAY, body(b"lost"))
    world.paymego.change(CHECK, without_id(result({"state": state})))
    world.paymego.change(GET, with_receipt(state=state), times=2)

    outcome = world.pay(world.paymego.code())

    assert (outcome.status, outcome.message) == (status, world.text(text))
    assert len(world.live()) == (state != 4)


@pytest.mark.parametrize("state", [4, 21, 50])
def test_a_decisive_check_without_an_id_that_get_does_not_repeat_decides_nothing(world: World, state: int) -> None:
    world.paymego.change(CHECK, without_id(result({"state": state})), times=99)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=30))

    assert (outcome.status, len(world.live())) == (PaymentStatus.UNKNOWN, 1)


def test_a_check_without_an_id_that_decides_nothing_needs_no_get(world: World) -> None:
    world.paymego.change(CHECK, without_id(), times=99)

    world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert world.paymego.count(GET) == 0


@pytest.mark.parametrize("is_true", [True, False], ids=["repeated by get", "not repeated by get"])
def test_after_a_stale_code_state_0_without_an_id_lets_another_be_sent_only_if_get_repeats_it(
    world: World, is_true: bool
) -> None:
    # If it is not true, the receipt is in state 1, with the first code on its way.
    world.paymego.change(PAY, error(-31400))
    world.paymego.change(CHECK, without_id(result({"state": 0})))
    code = STALE if is_true else world.paymego.code(BuyerAction.CONFIRMS, after_s=30)

    world.pay(code, world.paymego.code())

    assert world.paymego.methods == ["create", "pay", "check", "get", *["pay"] * is_true]


@pytest.mark.parametrize("code", [-31630, -31400, -32504, -31602])
def test_an_error_without_an_id_proves_nothing_and_the_wait_for_the_buyer_goes_on(world: World, code: int) -> None:
    world.set(ignoredErrors=-31630)
    world.paymego.change(PAY, without_id(error(code)))

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=5))

    assert (outcome.status, world.live()) == (PaymentStatus.PAID, [])


@pytest.mark.parametrize("code", [-31630, -31400], ids=["ignored", "stale"])
def test_an_error_without_an_id_is_cancelled_even_if_it_is_ignored_and_lets_no_other_code_be_sent(
    world: World, code: int
) -> None:
    world.set(ignoredErrors=f"{code}")
    world.paymego.change(PAY, without_id())

    outcome = world.pay(world.paymego.code(BuyerAction.FAILS, error_code=code), world.paymego.code())

    assert (outcome.status, outcome.error_code) == (PaymentStatus.REFUSED, code)
    assert world.paymego.methods == ["create", "pay", "check"]
    assert (outcome.cancellation_queued, len(world.live())) == (True, 1)


@pytest.mark.parametrize(
    ("method", "change", "status"),
    [
        (PAY, _with_another_id, PaymentStatus.PAID),
        (PAY, lambda answer: {"id": 1, "error": {"code": -31630, "message": "no"}}, PaymentStatus.PAID),
        (CHECK, _with_another_id, PaymentStatus.UNKNOWN),
    ],
)
def test_an_answer_or_error_with_another_id_is_ignored(
    world: World, method: str, change: Change, status: PaymentStatus
) -> None:
    world.paymego.change(method, change, times=99)

    assert world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1)).status is status


@pytest.mark.parametrize("state", [4, 50])
@pytest.mark.parametrize(
    "facts",
    [
        *({"_id": receipt_id} for receipt_id in ("another", 17)),
        *({"amount": amount} for amount in (1, "1500000")),
        {"id": "another"},
        *({"receipt": {name: "another"}} for name in ("_id", "id", "amount", "state")),
        *({"receipt": {"state": 0}}, {"receipt": {"amount": 1}}, {"receipt": "another"}, {"receipt": []}),
    ],
)
def test_a_check_with_our_id_that_names_another_receipt_amount_or_state_decides_nothing(
    world: World, facts: dict[str, object], state: int
) -> None:
    world.paymego.change(CHECK, result({"state": state, **facts}), times=99)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=30))

    assert (outcome.status, len(world.live())) == (PaymentStatus.UNKNOWN, 1)
    events = "\n".join(event.text for event in world.events())
    assert "about another receipt, amount or state" in events or "the receipt in the result is not an object" in events


def test_a_check_may_name_our_receipt_our_amount_and_its_state_again(world: World) -> None:
    def with_all(answer: Envelope) -> Envelope:
        mine = {"_id": world.row().receipt_id, "amount": world.row().amount, "state": 4}
        return {"id": answer["id"], "result": {**mine, "receipt": {**mine, "id": "of something else", "card": None}}}

    world.paymego.change(PAY, body(b"lost"))
    world.paymego.change(CHECK, with_all)

    assert world.pay(world.paymego.code()).status is PaymentStatus.PAID
    assert world.paymego.count(CHECK) == 1
