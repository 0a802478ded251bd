"""``payme cancel`` and ``payme refund``: verdicts, exit codes, slips, and what the sandbox saw of them."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault
from tests.command.conftest import command_line, environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Shop

BREAD = {"name": "Хлеб", "quantity": "2", "price": 400_000, "amount": 800_000, "barcode": "4780000000011"}
MILK = {"name": "Молоко", "quantity": "1", "price": 1_400_000, "amount": 1_400_000}
SHOES = {"name": "Туфли", "quantity": "1", "price": 9_000_000, "amount": 9_000_000, "goods": "shoes"}
BOTH = pytest.mark.parametrize("reverse", ["cancel", "refund"])


def listed(folder: Path, *items: dict[str, object]) -> str:
    path = folder / "items.json"
    path.write_text(json.dumps(items), encoding="utf-8")
    return str(path)


def sale(shop: Shop, payment_id: str = "p1", *items: dict[str, object]) -> str:
    """Sell; return Payme's receipt id."""
    sold = ("--items", listed(shop.conf.parent, *items)) if items else ("--amount", "15000")
    code = shop.sandbox.issue_code()
    paid = shop.run("--json", "pay", "--qr", code, "--payment-id", payment_id, *sold)
    assert paid.code == 0, paid
    return str(paid.document["receipt_id"])


@BOTH
def test_a_payment_given_back_ends_with_0_and_its_slip(shop: Shop, reverse: str) -> None:
    receipt_id = sale(shop)
    back = shop.run(reverse, "p1", "--json")

    assert (back.code, back.err) == (0, "")
    document = back.document
    assert set(document) == {
        *("status", "payment_id", "receipt_id", "message", "error_code", "cancellation_queued", "slips", "violations")
    }
    assert (document["status"], document["payment_id"], document["receipt_id"]) == ("REVERSED", "p1", receipt_id)
    assert (document["error_code"], document["cancellation_queued"], document["violations"]) == (None, False, [])
    (slip,) = document["slips"]
    assert slip["copies"] == 2
    assert any(word in " ".join(slip["lines"]) for word in ("ОТМЕНА", "ВОЗВРАТ"))
    assert any(receipt_id in line for line in slip["lines"]), "it names the original payment"
    assert shop.sandbox.held() == 0
    (payment,) = shop.run("status", "--json").document
    assert payment["status"] == "REVERSED"


@BOTH
def test_a_person_gets_the_slip_of_a_reversal_twice_at_once(shop: Shop, reverse: str) -> None:
    receipt_id = sale(shop)
    back = shop.run(reverse, "p1")

    assert back.out.startswith("Возврат выполнен")
    printed = back.out.split(f"Payme's receipt {receipt_id}\n", 1)[1].splitlines()[1:]
    assert len(printed) > 10
    assert printed[: len(printed) // 2] == printed[len(printed) // 2 :]


@pytest.mark.parametrize("again", ["cancel", "refund"])
@BOTH
def test_a_second_reversal_is_refused_without_a_request(shop: Shop, reverse: str, again: str) -> None:
    sale(shop)
    assert shop.run(reverse, "p1").code == 0
    before = len(shop.sandbox.requests)
    second = shop.run(again, "p1", "--json")

    assert (second.code, second.document["status"]) == (1, "REFUSED")
    assert [each["rule"] for each in second.document["violations"]] == ["already-reversed"]
    assert len(shop.sandbox.requests) == before


def test_a_refund_with_one_line_missing_is_a_partial_refund_and_no_request_leaves(shop: Shop) -> None:
    sale(shop, "p1", BREAD, MILK)
    before = len(shop.sandbox.requests)
    refused = shop.run("refund", "p1", "--json", "--items", listed(shop.conf.parent, BREAD))

    assert (refused.code, refused.document["status"]) == (1, "REFUSED")
    assert {each["rule"] for each in refused.document["violations"]} == {"partial-refund"}
    assert "Молоко" in refused.document["message"]
    assert (refused.document["slips"], refused.document["cancellation_queued"]) == ([], False)
    assert len(shop.sandbox.requests) == before
    assert shop.sandbox.held() == 2_200_000


def test_a_refund_of_every_line_in_another_order_is_the_whole_sale(shop: Shop) -> None:
    sale(shop, "p1", BREAD, MILK)
    halves = {**BREAD, "quantity": "1.000", "amount": 400_000}
    refunded = shop.run("refund", "p1", "--json", "--items", listed(shop.conf.parent, MILK, halves, halves))

    assert (refunded.code, refunded.document["status"]) == (0, "REVERSED")


def test_marked_goods_are_refunded_by_hand_alone_and_in_no_other_tender(shop: Shop) -> None:
    sale(shop, "p1", SHOES)
    before = len(shop.sandbox.requests)
    at_once = shop.run("refund", "p1", "--json")
    in_another_tender = shop.run("refund", "p1", "--json", "--manual-selection", "--currency-selection")

    assert [each["rule"] for each in at_once.document["violations"]] == ["manual-selection-required"]
    assert [each["rule"] for each in in_another_tender.document["violations"]] == ["currency-selection-forbidden"]
    assert (at_once.code, in_another_tender.code) == (1, 1)
    assert len(shop.sandbox.requests) == before
    assert shop.run("refund", "p1", "--manual-selection").code == 0


@pytest.mark.parametrize("kind", ["marked", "ALCOHOL", "tobacco", "shoes", "medicine"])
def test_the_kind_of_goods_can_be_said_with_the_amount(shop: Shop, kind: str) -> None:
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1", "--goods", kind)
    assert shop.run("refund", "p1").code == 1


def test_a_refund_while_the_server_is_down_is_queued_and_delivered_when_it_is_back(shop: Shop) -> None:
    receipt_id = sale(shop)
    shop.configure(payDuration=1000, timeout=1)
    shop.sandbox.stop()
    queued = shop.run("refund", "p1", "--json")

    assert (queued.code, queued.document["status"]) == (3, "QUEUED")
    assert (queued.document["slips"], queued.document["cancellation_queued"]) == ([], True)
    assert "Наличными не выдавать" in queued.document["message"]
    assert shop.run("refund", "p1").code == 1, "it is on its way already"

    shop.sandbox.start()
    assert shop.run("queue", "deliver", "--until-empty").code == 0
    (receipt,) = shop.sandbox.receipts()
    assert (receipt.receipt_id, receipt.state) == (receipt_id, 50)
    assert shop.run("status", "p1", "--json").document["status"] == "REVERSED"


@BOTH
def test_an_ignored_refusal_of_payme_keeps_the_payment(shop: Shop, reverse: str) -> None:
    shop.configure(ignoredErrors="-31800")
    shop.sandbox.plan_cancel(sale(shop), CancelPlan(refused_with=-31800))
    refused = shop.run(reverse, "p1", "--json")

    assert (refused.code, refused.document["status"], refused.document["error_code"]) == (1, "REFUSED", -31800)
    assert refused.document["cancellation_queued"] is False
    assert shop.run("queue", "list", "--json").document == []
    assert shop.run("status", "p1", "--json").document["status"] == "PAID"


@BOTH
def test_any_other_refusal_of_payme_is_queued(shop: Shop, reverse: str) -> None:
    shop.sandbox.plan_cancel(sale(shop), CancelPlan(refused_with=-31800))
    queued = shop.run(reverse, "p1", "--json")

    assert (queued.code, queued.document["status"], queued.document["error_code"]) == (3, "QUEUED", -31800)
    (row,) = shop.run("queue", "list", "--json").document
    assert (row["payment_id"], row["cause"]) == ("p1", reverse)


@BOTH
def test_a_reversal_that_was_killed_goes_on_where_it_was(shop: Shop, reverse: str) -> None:
    sale(shop)
    shop.sandbox.inject(InjectedFault(FaultKind.SILENT_AFTER_EFFECT, method="receipts.cancel"))
    with subprocess.Popen(  # noqa: S603 - our own command
        command_line(*shop.options, reverse, "p1"), stdout=subprocess.DEVNULL, env=environment()
    ) as process:
        while not shop.sent("receipts.cancel"):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    again = shop.run(reverse, "p1", "--json")

    assert (again.code, again.err, again.document["status"]) == (0, "", "REVERSED")
    assert len(again.document["slips"]) == 1
    assert shop.sandbox.held() == 0
    assert shop.returning() == []


@BOTH
def test_a_reversal_that_was_killed_is_finished_by_the_next_command(shop: Shop, reverse: str) -> None:
    sale(shop)
    shop.sandbox.inject(InjectedFault(FaultKind.SILENT, method="receipts.cancel"))
    with subprocess.Popen(  # noqa: S603 - our own command
        command_line(*shop.options, reverse, "p1"), stdout=subprocess.DEVNULL, env=environment()
    ) as process:
        while not shop.sent("receipts.cancel"):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    sale_after = shop.pay(shop.sandbox.issue_code())

    assert sale_after.code == 0
    assert any("REVERSED" in sentence or "QUEUED" in sentence for sentence in sale_after.sentences)
    assert shop.run("queue", "deliver", "--until-empty").code == 0
    assert shop.sandbox.held() == 1_500_000, "the second sale alone"


@BOTH
def test_only_a_paid_payment_can_be_given_back(shop: Shop, reverse: str) -> None:
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)), "--payment-id", "p1")
    before = len(shop.sandbox.requests)
    for unpaid in ("p1", "nobody"):
        ended = shop.run(reverse, unpaid, "--json")
        assert (ended.code, ended.out) == (1, "")
        assert ended.sentences == [f"This till has no paid payment {unpaid}."]
    assert len(shop.sandbox.requests) == before


@BOTH
def test_with_settings_that_can_not_be_used_nothing_is_begun(shop: Shop, reverse: str) -> None:
    sale(shop)
    shop.configure(payDuration="ten")
    ended = shop.run(reverse, "p1")

    assert ended.code == 2
    assert ended.sentences[0].startswith("payDuration")
    assert shop.sandbox.held() == 1_500_000


def test_a_pending_payment_is_cancelled(shop: Shop) -> None:
    shop.cut_off_a_payment()
    with Leases(shop.folder).try_acquire(LEADER):  # the payment can't be decided, but its return needs no leader
        cancelled = shop.run("cancel", "p1", "--json")

    assert (cancelled.code, cancelled.document["status"]) == (0, "REVERSED")
    assert shop.run("queue", "deliver", "--until-empty").code == 0
    assert shop.sandbox.held() == 0
