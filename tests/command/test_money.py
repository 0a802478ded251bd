"""``payme pay``, ``cancel`` and ``refund``: what they print, how they exit, what they finish."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault
from tests.command.conftest import LACKING, payme_process, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import CommandTill


pytestmark = pytest.mark.floor

UNKNOWN = (
    "Результат оплаты неизвестен: таймаут ожидания ответа от сервера\n"
    "Товар не отдавать. Списанные деньги вернутся покупателю сами."
)
SILENT_BUYER = Behaviour(BuyerAction.NEVER_ANSWERS)


def test_a_paid_payment_ends_with_0_and_a_document_of_all_that_came_of_it(shop: CommandTill) -> None:
    paid = shop.pay(shop.sandbox.issue_code(), "--payment-id", "sale 7")

    assert (paid.code, paid.err) == (0, "")
    document = paid.document
    (receipt,) = shop.sandbox.receipts()
    assert (document["status"], document["payment_id"]) == ("PAID", "sale 7")
    assert document["receipt_id"] == receipt.receipt_id
    assert document["amount"] == receipt.amount == receipt.held == 1_500_000
    assert (document["error_code"], document["cancellation_queued"]) == (None, False)
    (slip,) = document["slips"]
    assert slip["copies"] == 2
    assert any("15 000" in line or "15000" in line for line in slip["lines"])
    assert shop.payment("sale 7")["state"] == "recorded"


@pytest.mark.parametrize("command", ["pay", "cancel", "refund"])
def test_a_person_reads_the_result_and_gets_the_slip_twice(shop: CommandTill, command: str) -> None:
    paid = shop.run("pay", "--amount", "15000.00", "--qr", shop.sandbox.issue_code(), "--payment-id", "p1")
    shown = paid if command == "pay" else shop.run(command, "p1")

    (receipt,) = shop.sandbox.receipts()
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("Оплата Payme прошла.\n" if command == "pay" else "Возврат выполнен")
    result = "PAID  15 000.00" if command == "pay" else "REVERSED"
    head, slips = shown.out.split(f"Payme's receipt {receipt.receipt_id}\n")
    assert head.endswith(f"\n{result}  payment p1\n")
    lines = slips.splitlines()[1:]
    assert len(lines) > 10
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]


def test_a_buyer_who_never_confirms_leaves_it_unknown_with_one_cancellation(shop: CommandTill) -> None:
    shop.configure(payDuration=1000)
    started = time.monotonic()
    unknown = shop.pay(shop.sandbox.issue_code(SILENT_BUYER), "--payment-id", "p1")

    assert 1.0 <= time.monotonic() - started < 5.0
    assert unknown.code == 3
    assert (unknown.document["status"], unknown.document["message"]) == ("UNKNOWN", UNKNOWN)
    assert unknown.document["cancellation_queued"] is True
    (row,) = shop.queued()
    assert (row["payment_id"], row["receipt_id"], row["cause"]) == ("p1", unknown.document["receipt_id"], "unrecorded")


def test_a_refused_payment_ends_with_1_and_asked_for_again_has_the_same_answer(shop: CommandTill) -> None:
    first, again = (shop.pay(shop.sandbox.issue_code(LACKING), "--payment-id", "p1") for _ in range(2))

    assert (first.code, first.document["status"], first.document["error_code"]) == (1, "REFUSED", -31630)
    assert "-31630" in first.document["message"]
    assert first.document["cancellation_queued"] is True
    assert (again.code, again.document) == (first.code, first.document)
    assert (len(shop.queued()), shop.sent("receipts.pay")) == (1, 1)


# ---------------------------------------------------------------------------------------------------------------------
# The scanner and Ctrl+C
# ---------------------------------------------------------------------------------------------------------------------


def test_without_a_code_it_asks_the_scanner_and_again_after_an_implausible_one(shop: CommandTill) -> None:
    paid = payme_process(*shop.options, "pay", "--amount", "1", scanned=f"1234\r\n{shop.sandbox.issue_code()}\r\n")

    assert (paid.code, "PAID" in paid.out) == (0, True)
    assert paid.err.startswith("Отсканируйте QR-код")
    assert paid.err.count("Отсканируйте QR-код") == 2
    assert "не похоже на код Payme" in paid.err


def test_without_a_scan_the_payment_is_aborted_and_no_code_is_sent(shop: CommandTill) -> None:
    aborted = payme_process(*shop.options, "pay", "--amount", "1", "--json")

    assert aborted.document["status"] == "ABORTED"
    assert aborted.code == (1 if aborted.document["receipt_id"] is None else 3)
    assert shop.sent("receipts.pay") == 0


def test_ctrl_c_while_the_buyer_thinks_is_a_stop_with_a_result(shop: CommandTill) -> None:
    shop.configure(payDuration=60_000)
    code = shop.sandbox.issue_code(SILENT_BUYER)
    with running(*shop.options, "--json", "pay", "--amount", "1", "--qr", code) as process:
        while not shop.sent("receipts.check"):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (3, "")
    aborted = json.loads(out)
    assert (aborted["status"], aborted["cancellation_queued"]) == ("ABORTED", True)
    assert len(shop.queued()) == 1


def test_ctrl_c_while_an_earlier_payment_is_awaited_begins_no_other_charge(shop: CommandTill) -> None:
    shop.configure(payDuration=30_000)
    paying = ("pay", "--amount", "1", "--qr")
    first = (*paying, shop.sandbox.issue_code(SILENT_BUYER), "--payment-id", "p1")
    shop.kill_once(*first, when=lambda: shop.sent("receipts.check") > 0)
    asked = len(shop.sandbox.requests)
    second = ("--json", *paying, shop.sandbox.issue_code(), "--payment-id", "p2")
    with running(*shop.options, *second) as process:
        while len(shop.sandbox.requests) < asked + 2:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 130, err
    assert json.loads(out)["error"] == {"id": "cli.stopped", "message": "Stopped.", "exit_code": 130}
    assert shop.sent("receipts.pay") == 1
    assert shop.run("status", "p2").code == 1


# ---------------------------------------------------------------------------------------------------------------------
# After and beside other commands
# ---------------------------------------------------------------------------------------------------------------------


def test_a_payment_that_can_not_be_decided_now_is_pending_and_decided_by_a_later_command(shop: CommandTill) -> None:
    shop.cut_off_a_payment()
    again = ("pay", "--amount", "1", "--payment-id", "p1", "--json")
    with Leases(shop.folder).try_acquire(LEADER):  # another process decides about this folder
        pending = shop.run(*again)
        beside = shop.run("queue", "deliver", "--until-empty")

    assert (pending.code, pending.document["status"], pending.document["slips"]) == (3, "PENDING", [])
    assert (beside.code, beside.out) == (3, "Delivered: 0. Left: 0.\n")
    assert "Receipt 1 was left unfinished by an earlier command: PENDING" in beside.err
    assert shop.payment()["state"] == "paying"
    paid = shop.run(*again)
    assert (paid.code, paid.document["status"]) == (0, "PAID")
    assert (shop.sandbox.held(), shop.sent("receipts.pay")) == (100, 1)


def test_beside_a_pending_payment_that_the_journal_lost_the_next_one_is_taken_and_the_first_is_looked_for_again(
    shop: CommandTill,
) -> None:
    shop.cut_off_a_payment()
    for part in ("", "-wal", "-shm"):
        (shop.folder / f"{FILE_NAME}{part}").unlink(missing_ok=True)
    shop.sandbox.inject(InjectedFault(FaultKind.HTTP_ERROR, method="receipts.get_all", times=None))
    paid = shop.pay(shop.sandbox.issue_code())

    assert (paid.code, paid.document["status"]) == (0, "PAID")
    assert "PENDING" in paid.sentences[0]
    shop.sandbox.clear_faults()
    assert shop.run("queue", "deliver").code == 0
    assert [row["status"] for row in shop.run("status", "--json").document] == ["PAID", "PAID"]
    assert shop.sandbox.held() == 1_500_100


# ---------------------------------------------------------------------------------------------------------------------
# Cancels and refunds
# ---------------------------------------------------------------------------------------------------------------------

BREAD = {"name": "Хлеб", "quantity": "2", "price": 400_000, "amount": 800_000, "barcode": "4780000000011"}
MILK = {"name": "Молоко", "quantity": "1", "price": 1_400_000, "amount": 1_400_000}
BOTH = pytest.mark.parametrize("reverse", ["cancel", "refund"])


def listed(folder: Path, *items: dict[str, object]) -> str:
    path = folder / "items.json"
    path.write_text(json.dumps(items), encoding="utf-8")
    return str(path)


def sale(shop: CommandTill, *sold: str) -> str:
    """Sell for 15 000 or what is given; return Payme's receipt id."""
    code = shop.sandbox.issue_code()
    paid = shop.run("--json", "pay", "--qr", code, "--payment-id", "p1", *(sold or ("--amount", "15000")))
    assert paid.code == 0, paid
    return str(paid.document["receipt_id"])


@BOTH
def test_a_reversed_payment_ends_with_0_and_its_slip_and_is_reversed_once(shop: CommandTill, reverse: str) -> None:
    receipt_id = sale(shop)
    back = shop.run(reverse, "p1", "--json")

    assert (back.code, back.err) == (0, "")
    document = back.document
    assert (document["status"], document["payment_id"], document["receipt_id"]) == ("REVERSED", "p1", receipt_id)
    assert (document["error_code"], document["cancellation_queued"], document["violations"]) == (None, False, [])
    (slip,) = document["slips"]
    assert slip["copies"] == 2
    assert any(word in " ".join(slip["lines"]) for word in ("ОТМЕНА", "ВОЗВРАТ"))
    assert any(receipt_id in line for line in slip["lines"]), "it names the original payment"
    assert (shop.sandbox.held(), shop.payment()["status"]) == (0, "REVERSED")
    before = len(shop.sandbox.requests)
    assert shop.run(reverse, "nobody").sentences == ["This till has no paid payment nobody."]
    for again in ("cancel", "refund"):
        second = shop.run(again, "p1", "--json")
        assert (second.code, second.document["status"]) == (1, "REFUSED")
        assert [each["rule"] for each in second.document["violations"]] == ["already-reversed"]
    assert len(shop.sandbox.requests) == before


def test_a_refund_with_one_line_missing_is_refused_and_every_line_in_another_order_is_the_whole_sale(
    shop: CommandTill,
) -> None:
    sale(shop, "--items", listed(shop.conf.parent, BREAD, MILK))
    before = len(shop.sandbox.requests)
    refused = shop.run("refund", "p1", "--json", "--items", listed(shop.conf.parent, BREAD))

    assert (refused.code, refused.document["status"]) == (1, "REFUSED")
    assert {each["rule"] for each in refused.document["violations"]} == {"partial-refund"}
    assert "Молоко" in refused.document["message"]
    assert (refused.document["slips"], refused.document["cancellation_queued"]) == ([], False)
    assert (len(shop.sandbox.requests), shop.sandbox.held()) == (before, 2_200_000)
    halves = {**BREAD, "quantity": "1.000", "amount": 400_000}
    whole = listed(shop.conf.parent, MILK, halves, halves)
    assert shop.run("refund", "p1", "--json", "--items", whole).document["status"] == "REVERSED"


@pytest.mark.parametrize("kind", ["marked", "ALCOHOL", "tobacco", "shoes", "medicine"])
def test_marked_goods_are_refunded_only_by_hand_and_in_no_other_tender(shop: CommandTill, kind: str) -> None:
    sale(shop, "--amount", "1", "--goods", kind)
    before = len(shop.sandbox.requests)
    at_once = shop.run("refund", "p1", "--json")
    in_another_tender = shop.run("refund", "p1", "--json", "--manual-selection", "--currency-selection")

    assert [each["rule"] for each in at_once.document["violations"]] == ["manual-selection-required"]
    assert [each["rule"] for each in in_another_tender.document["violations"]] == ["currency-selection-forbidden"]
    assert (at_once.code, in_another_tender.code) == (1, 1)
    assert len(shop.sandbox.requests) == before
    assert shop.run("refund", "p1", "--manual-selection").code == 0


@BOTH
def test_a_refusal_of_payme_is_queued(shop: CommandTill, reverse: str) -> None:
    shop.sandbox.plan_cancel(sale(shop), CancelPlan(refused_with=-31800))
    queued = shop.run(reverse, "p1", "--json")

    assert (queued.code, queued.document["status"], queued.document["error_code"]) == (3, "QUEUED", -31800)
    assert (queued.document["slips"], queued.document["cancellation_queued"]) == ([], True)
    assert "Наличными не выдавать" in queued.document["message"]
    assert [(row["payment_id"], row["cause"]) for row in shop.queued()] == [("p1", reverse)]


def test_a_reversal_that_was_killed_is_finished_by_the_next_command(shop: CommandTill) -> None:
    sale(shop)
    shop.sandbox.inject(InjectedFault(FaultKind.SILENT, method="receipts.cancel"))
    shop.kill_once("refund", "p1", when=lambda: shop.sent("receipts.cancel") > 0)
    next_sale = shop.pay(shop.sandbox.issue_code())

    assert next_sale.code == 0
    assert any("REVERSED" in sentence or "QUEUED" in sentence for sentence in next_sale.sentences)
    assert shop.run("queue", "deliver", "--until-empty").code == 0
    assert shop.sandbox.held() == 1_500_000, "only the second sale"
