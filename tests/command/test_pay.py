from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.sandbox import Behaviour, BuyerAction, FaultKind, InjectedFault
from tests.command.conftest import KEY, command_line, environment, payme_process

if TYPE_CHECKING:
    from tests.command.conftest import Shop

pytestmark = pytest.mark.floor

UNKNOWN = (
    "Результат оплаты неизвестен: таймаут ожидания ответа от сервера\n"
    "Товар не отдавать. Списанные деньги вернутся покупателю сами."
)
CONFIRMS_AFTER_3_S = Behaviour(BuyerAction.CONFIRMS, after_s=3.0)


def test_a_paid_payment_ends_with_0_and_a_document_of_all_that_came_of_it(shop: Shop) -> None:
    paid = shop.pay(shop.sandbox.issue_code())

    assert (paid.code, paid.err) == (0, "")
    document = paid.document
    (receipt,) = shop.sandbox.receipts()
    assert document["status"] == "PAID"
    assert document["receipt_id"] == receipt.receipt_id
    assert document["amount"] == receipt.amount == receipt.held == 1_500_000
    assert document["error_code"] is None
    assert document["cancellation_queued"] is False
    (slip,) = document["slips"]
    assert slip["copies"] == 2
    assert any("15 000" in line or "15000" in line for line in slip["lines"])


def test_a_person_reads_the_verdict_and_gets_the_slip_twice(shop: Shop) -> None:
    paid = shop.run("pay", "--amount", "15000.00", "--qr", shop.sandbox.issue_code())

    assert (paid.code, paid.err) == (0, "")
    assert paid.out.startswith("Оплата Payme прошла.\n")
    (receipt,) = shop.sandbox.receipts()
    assert re.search(rf"PAID  15 000\.00  payment \w+\n.* {receipt.receipt_id}\n", paid.out)
    slips = paid.out.split(f"{receipt.receipt_id}\n", 1)[1].splitlines()[1:]
    assert len(slips) > 10
    assert slips[: len(slips) // 2] == slips[len(slips) // 2 :]


def test_the_sale_is_recorded_and_closed_and_the_journal_says_paid(shop: Shop) -> None:
    paid = shop.pay(shop.sandbox.issue_code(), "--payment-id", "sale 7")

    assert paid.document["payment_id"] == "sale 7"
    (payment,) = shop.run("status", "--json").document
    assert (payment["payment_id"], payment["status"], payment["state"]) == ("sale 7", "PAID", "recorded")
    (page,) = (shop.folder / "receipts").glob("*.json")
    receipt = json.loads(page.read_text(encoding="utf-8"))
    assert receipt["tenders"][0]["record"]["data"]["receipt_id"] == paid.document["receipt_id"]
    assert receipt["told"] is True


def test_a_buyer_who_confirms_after_3_s_has_paid_after_about_3_s(shop: Shop) -> None:
    shop.configure(payDuration=30_000, frequency=500)
    started = time.monotonic()
    paid = shop.pay(shop.sandbox.issue_code(CONFIRMS_AFTER_3_S))

    assert (paid.code, paid.document["status"]) == (0, "PAID")
    assert 3.0 <= time.monotonic() - started < 10.0


def test_a_buyer_who_never_confirms_leaves_it_unknown_with_one_cancellation(shop: Shop) -> None:
    shop.configure(payDuration=2000, frequency=500)
    started = time.monotonic()
    unknown = shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.NEVER_ANSWERS)), "--payment-id", "p1")

    assert 2.0 <= time.monotonic() - started < 5.0
    assert unknown.code == 3
    assert (unknown.document["status"], unknown.document["message"]) == ("UNKNOWN", UNKNOWN)
    assert unknown.document["cancellation_queued"] is True
    (row,) = shop.run("queue", "list", "--json").document
    assert (row["payment_id"], row["receipt_id"], row["cause"]) == ("p1", unknown.document["receipt_id"], "unrecorded")


def test_an_error_of_the_server_refuses_with_its_text_and_a_cancellation(shop: Shop) -> None:
    refused = shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)))

    assert refused.code == 1
    assert (refused.document["status"], refused.document["error_code"]) == ("REFUSED", -31630)
    assert "-31630" in refused.document["message"]
    assert refused.document["cancellation_queued"] is True
    assert len(shop.run("queue", "list", "--json").document) == 1


def test_an_ignored_error_refuses_without_a_cancellation(shop: Shop) -> None:
    shop.configure(ignoredErrors="-31630")
    refused = shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)))

    assert (refused.code, refused.document["status"]) == (1, "REFUSED")
    assert refused.document["cancellation_queued"] is False
    assert shop.run("queue", "list", "--json").document == []


def test_an_answer_lost_after_the_money_moved_is_paid_by_one_pay(shop: Shop) -> None:
    shop.sandbox.inject(InjectedFault(FaultKind.ANSWER_LOST, method="receipts.pay"))
    paid = shop.pay(shop.sandbox.issue_code())

    assert (paid.code, paid.document["status"]) == (0, "PAID")
    assert shop.sent("receipts.pay") == 1


def test_the_same_payment_id_is_never_charged_twice(shop: Shop) -> None:
    code = shop.sandbox.issue_code()
    shop.pay(code, "--payment-id", "p1")
    again = shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1")

    assert (again.code, again.document["status"]) == (1, "REFUSED")
    other = shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1", amount="1.00")
    assert (other.code, other.out) == (1, "")
    assert "1500000 tiyin" in other.sentences[0]
    assert shop.sent("receipts.pay") == 1


def test_a_refused_payment_asked_for_again_gets_the_same_answer(shop: Shop) -> None:
    first = shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)), "--payment-id", "p1")
    again = shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1")

    assert (again.code, again.document) == (first.code, first.document)
    assert shop.sent("receipts.pay") == 1


def test_without_a_code_it_asks_the_scanner(shop: Shop) -> None:
    code = shop.sandbox.issue_code()
    paid = payme_process(*shop.options, "pay", "--amount", "1", "--json", scanned=f"{code}\r\n")

    assert (paid.code, paid.document["status"]) == (0, "PAID")
    assert paid.err.startswith("Отсканируйте QR-код")


def test_an_implausible_scan_is_asked_for_again_with_the_reason(shop: Shop) -> None:
    code = shop.sandbox.issue_code()
    paid = payme_process(*shop.options, "pay", "--amount", "1", scanned=f"1234\n{code}\n")

    assert paid.code == 0
    assert paid.err.count("Отсканируйте QR-код") == 2
    assert "не похоже на код Payme" in paid.err


def test_nobody_at_the_scanner_aborts_it_before_there_is_anything_to_return(shop: Shop) -> None:
    aborted = payme_process(*shop.options, "pay", "--amount", "1", "--json")

    assert aborted.document["status"] == "ABORTED"
    assert aborted.code == (1 if aborted.document["receipt_id"] is None else 3)
    assert shop.sent("receipts.pay") == 0


def test_ctrl_c_while_the_buyer_thinks_is_a_stop_with_a_verdict(shop: Shop) -> None:
    shop.configure(payDuration=60_000)
    code = shop.sandbox.issue_code(Behaviour(BuyerAction.NEVER_ANSWERS))
    with subprocess.Popen(  # noqa: S603 - our own command
        command_line(*shop.options, "--json", "pay", "--amount", "1", "--qr", code),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(),
    ) as process:
        while not shop.sent("receipts.check"):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (3, "")
    aborted = json.loads(out)
    assert (aborted["status"], aborted["cancellation_queued"]) == ("ABORTED", True)
    assert len(shop.run("queue", "list", "--json").document) == 1


def test_the_command_writes_requests_into_the_tills_log_and_no_secret_anywhere(shop: Shop) -> None:
    code = shop.sandbox.issue_code()
    paid = shop.pay(code)

    log = (shop.folder / "terminal.log").read_text(encoding="utf-8")
    assert all(
        re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ +payme\S*  - ", line) for line in log.splitlines()
    )
    assert "receipts.create" in log
    assert "receipts.pay" in log
    kept = b"".join(path.read_bytes() for path in shop.folder.rglob("*") if path.is_file())
    for secret in (code, KEY):
        assert secret not in paid.out + paid.err
        assert secret.encode() not in kept


def test_what_an_earlier_command_left_is_finished_first(shop: Shop) -> None:
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1")
    (page,) = (shop.folder / "receipts").glob("*.json")
    receipt = json.loads(page.read_text(encoding="utf-8"))
    page.write_text(json.dumps({**receipt, "told": False}), encoding="utf-8")

    paid = shop.pay(shop.sandbox.issue_code(), "--payment-id", "p2")
    assert (paid.code, paid.document["payment_id"]) == (0, "p2")
    assert paid.sentences == ["Receipt 1 was left unfinished by an earlier command: CLOSED"]


@pytest.mark.parametrize("language", ["ru", "uz", "en"])
def test_the_cashier_reads_the_language_of_the_settings(shop: Shop, language: str) -> None:
    shop.configure(language=language)
    paid = shop.pay(shop.sandbox.issue_code())

    assert paid.code == 0
    assert ("Оплата" in paid.document["message"]) is (language == "ru")


def test_a_payment_that_can_not_be_decided_now_is_pending_and_decided_by_a_later_command(shop: Shop) -> None:
    shop.cut_off_a_payment()
    again = ("pay", "--amount", "1", "--payment-id", "p1", "--json")
    with Leases(shop.folder).try_acquire(LEADER):  # another process decides about this folder
        pending = shop.run(*again)

    assert (pending.code, pending.document["status"]) == (3, "PENDING")
    assert pending.document["slips"] == []
    assert shop.run("status", "p1", "--json").document["state"] == "paying"
    paid = shop.run(*again)
    assert (paid.code, paid.document["status"]) == (0, "PAID")
    assert (shop.sandbox.held(), shop.sent("receipts.pay")) == (100, 1)


def test_beside_a_pending_payment_the_next_one_is_taken_and_the_first_is_asked_for_again(shop: Shop) -> None:
    shop.cut_off_a_payment()
    (shop.folder / FILE_NAME).unlink()
    for part in ("-wal", "-shm"):
        (shop.folder / f"{FILE_NAME}{part}").unlink(missing_ok=True)
    shop.sandbox.inject(InjectedFault(FaultKind.HTTP_ERROR, method="receipts.get_all", times=None))
    paid = shop.pay(shop.sandbox.issue_code())

    assert (paid.code, paid.document["status"]) == (0, "PAID")
    assert "PENDING" in paid.sentences[0]
    shop.sandbox.clear_faults()
    assert shop.run("queue", "deliver").code == 0
    assert [row["status"] for row in shop.run("status", "--json").document] == ["PAID", "PAID"]
    assert shop.sandbox.held() == 1_500_100
