"""``payme status`` lists the journal's payments; ``reconcile`` compares them with Payme's receipts."""

from __future__ import annotations

import csv
import json
import re
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fakes.journal_rows import corrupt
from hookspecs import SaleRecord
from payme_plugin.cli.reconcile import _COLUMNS, _csv_cell
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.sandbox import CancelPlan, FaultKind, InjectedFault
from payme_plugin.till import ReceiptStore, reference_identity
from tests.command.conftest import OTHER_TILL, payme

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import CommandTill, Ended

pytestmark = pytest.mark.floor

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def test_without_a_journal_the_lists_are_empty_and_nothing_is_made(tmp_path: Path) -> None:
    for command in (["status"], ["queue", "list"]):
        assert payme(*command, "--json", "--data-dir", str(tmp_path)).document == []
        assert payme(*command, "--data-dir", str(tmp_path)).code == 0
    assert list(tmp_path.iterdir()) == []


def test_payments_are_listed_newest_first_with_as_many_as_are_asked_for(shop: CommandTill) -> None:
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "first")
    shop.owe("second")

    def ids(*options: str) -> list[str]:
        return [each["payment_id"] for each in shop.run("--json", "status", *options).document]

    second, first = shop.run("status", "--json").document
    assert (first["payment_id"], first["status"], first["amount"]) == ("first", "PAID", 1_500_000)
    assert (second["payment_id"], second["status"]) == ("second", "REFUSED")
    assert second["receipt_id"] == shop.sandbox.receipts()[1].receipt_id
    heading, *lines = shop.run("status").out.splitlines()
    assert heading.split() == ["Time", "Amount", "Status", "Payment"]
    assert [re.sub(TIME, "", line).split() for line in lines] == [
        ["15", "000.00", "REFUSED", "second"],
        ["15", "000.00", "PAID", "first"],
    ]
    assert (ids("--limit", "1"), ids("--limit", "0")) == (["second"], ["second", "first"])
    assert ids("--status", "refused", "--status", "UNKNOWN") == ["second"]
    assert (ids("--since", time.strftime("%Y-%m-%d")), ids("--since", "2999-01-01")) == (["second", "first"], [])
    assert shop.run("status", "--limit", "1").out.splitlines()[-1] == "Shown: 1 of 2; --limit 0 shows all."
    assert shop.run("status", "--since", "2999-01-01").out == "No payments match.\n"


def test_a_list_reads_only_what_it_shows_and_a_payment_with_an_invalid_state_is_in_every_list(
    shop: CommandTill,
) -> None:
    for name in ("first", "second"):
        shop.pay(shop.sandbox.issue_code(), "--payment-id", name)
    corrupt(shop.folder / FILE_NAME, "payment", "state", "paie", "payment_id = 'first'")

    assert [each["payment_id"] for each in shop.run("--json", "status", "--limit", "1").document] == ["second"]
    for options in ([], ["--status", "refused"]):
        ended = shop.run("status", *options)
        assert (ended.code, "the payment 'first' is invalid: its state" in ended.err) == (2, True)


def test_a_payment_is_shown_with_every_event_and_its_time_from_the_intent_to_the_delivery(shop: CommandTill) -> None:
    receipt_id = shop.owe()
    assert shop.run("queue", "deliver", "--until-empty").code == 0
    payment = shop.payment()
    events, shown = payment["events"], shop.run("status", "p1").out

    assert (payment["payment_id"], payment["receipt_id"], payment["acknowledged_at"]) == ("p1", receipt_id, None)
    assert [(event["state"], event["text"]) for event in events[1:]] == [
        (None, "request receipts.create"),
        (None, "receipts.create: state 0"),
        ("paying", "the code is about to leave"),
        (None, "request receipts.pay"),
        (None, "receipts.pay: error -31630"),
        ("refused", "error -31630 proves that nothing was charged"),
        (None, "cancellation: queued, cause unrecorded"),
        (None, "receipts.check: state 0"),
        (None, "request receipts.cancel"),
        (None, "receipts.cancel: state 50"),
        (None, "cancellation: Payme says cancelled (50)"),
    ]
    assert [event["at_ms"] for event in events] == sorted(event["at_ms"] for event in events)
    lines = re.findall(r"^  \d\d:\d\d:\d\d\.\d{3}  (.{9})  (.*)$", shown, re.MULTILINE)
    assert [(state.strip(), text) for state, text in lines] == [(each["state"] or "", each["text"]) for each in events]
    assert len(re.findall(r"^\d{4}-\d\d-\d\d$", shown, re.MULTILINE)) in {1, 2}, "once a day"


def test_a_recorded_payment_is_shown_with_the_time_at_which_the_till_stored_it(shop: CommandTill) -> None:
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1")

    assert [event["state"] for event in shop.payment()["events"] if event["state"]][-2:] == ["paid", "recorded"]
    assert re.search(f"^Stored .*{TIME}$", shop.run("status", "p1").out, re.MULTILINE)


# ---------------------------------------------------------------------------------------------------------------------
# reconcile
# ---------------------------------------------------------------------------------------------------------------------

NOW = datetime.now(timezone.utc).astimezone()
OURS = f"{reference_identity()}-1-99-1"
HOUR_MS = 3_600_000
DAYS = ("--from", f"{NOW - timedelta(days=1):%Y-%m-%d}", "--to", f"{NOW + timedelta(days=1):%Y-%m-%d}")


def reconcile(shop: CommandTill, *options: str) -> Ended:
    return shop.run("reconcile", *DAYS, "--json", *options)


def lose(shop: CommandTill, value: str = OURS, *, state: int = 4, amount: int = 700) -> str:
    """Make a receipt that the journal lacks; return its id."""
    bank, now_ms = shop.sandbox.bank, shop.sandbox.now_ms()
    answer: Any = bank.call(now_ms, "receipts.create", {"amount": amount, "account": {"order_id": value}})
    receipt_id = str(answer["receipt"]["_id"])
    if state:
        bank.put_state(now_ms, receipt_id, state)
    return receipt_id


def pass_time(shop: CommandTill, duration_ms: int) -> None:
    """Let time pass at Payme."""
    now_ms = shop.sandbox.now_ms
    shop.sandbox.now_ms = lambda: now_ms() + duration_ms


def kinds(ended: Ended) -> list[tuple[str, Any]]:
    return [(each["kind"], each["payment_id"]) for each in ended.document["differences"]]


@pytest.fixture
def used(shop: CommandTill) -> CommandTill:
    """A paid, a refunded and a refused payment, delivered."""
    for payment_id in ("paid", "refunded"):
        shop.pay(shop.sandbox.issue_code(), "--payment-id", payment_id)
    shop.run("refund", "refunded")
    shop.owe("refused")
    shop.run("queue", "deliver", "--until-empty")
    return shop


def test_where_both_agree_there_is_no_difference(used: CommandTill) -> None:
    before = {**used.files(), "terminal.log": b""}
    ended = reconcile(used)

    assert (ended.code, ended.err) == (0, "")
    document = ended.document
    assert (document["differences"], document["returning"], document["agreed"]) == ([], [], 3)
    assert reconcile(used, "--from", "2020-01-01", "--to", "2020-01-02").document["in_sales"] == 0
    assert document["in_journal"] == document["at_payme"] == 1_500_000
    assert {**used.files(), "terminal.log": b""} == before
    assert used.sandbox.requests[-1].method == "receipts.get_all"
    said = used.run("reconcile", *DAYS)
    assert "Receipts that agree: 3. Differences: 0.\n" in said.out
    assert "Paid in the journal: 15 000.00. Payme holds: 15 000.00.\n" in said.out


@pytest.mark.parametrize("change", ["DELETE FROM payment", "UPDATE payment SET pos_id = 'another'"])
def test_what_only_payme_has_is_a_difference(used: CommandTill, change: str) -> None:
    used.change_journal(f"{change} WHERE payment_id = 'paid'")
    ended, said = reconcile(used), used.run("reconcile", *DAYS).out
    is_known = "DELETE" in change  # by the till's sales, which a payment of another account is left out of

    assert (ended.code, kinds(ended)) == (1, [("only-there", "paid" if is_known else None)])
    assert ended.document["of_other_accounts"] == int(not is_known)
    (difference,) = ended.document["differences"]
    assert difference["receipt_id"] == used.sandbox.receipts()[0].receipt_id
    assert difference["payme"]["account"].startswith("order_id=")
    sale = "15 000.00" if is_known else "nothing"
    assert f"only-there     journal: nothing; Payme: paid (4) 15 000.00; till: {sale}\n" in said


def test_what_payme_has_otherwise_is_a_difference(used: CommandTill) -> None:
    used.sandbox.put_state(used.sandbox.receipts()[0].receipt_id, 50)
    used.change_journal("UPDATE payment SET amount = 1 WHERE payment_id = 'refunded'")
    ended = reconcile(used)

    assert (ended.code, sorted(kinds(ended))) == (1, [("amount", "refunded"), ("state", "paid")])
    (state,) = [each for each in ended.document["differences"] if each["kind"] == "state"]
    assert (state["journal"]["status"], state["payme"]["state"]) == ("PAID", 50)


def test_a_pending_cancellation_is_not_a_difference(used: CommandTill) -> None:
    receipt_id = str(used.pay(used.sandbox.issue_code(), "--payment-id", "late").document["receipt_id"])
    used.sandbox.plan_cancel(receipt_id, CancelPlan(refused_with=-31800))
    used.run("refund", "late")
    ended = reconcile(used)

    assert (ended.code, ended.document["differences"]) == (0, [])
    assert [each["payment_id"] for each in ended.document["returning"]] == ["late"]
    (row,) = used.returning()
    used.run("queue", "close", str(row["id"]), "--reason", "paid out in cash")
    closed = reconcile(used)
    assert (closed.code, kinds(closed)) == (1, [("state", "late")])


def test_without_a_journal_the_whole_list_is_read_and_everything_that_holds_money_is_a_difference(
    shop: CommandTill,
) -> None:
    shop.folder.mkdir()
    for number in range(120):
        lose(shop, "of another till", state=4 if number % 2 else 0)
    ended = reconcile(shop)

    assert (ended.code, kinds(ended)) == (1, [("only-there", None)] * 60)
    assert ended.document["in_sales"] is None
    assert "There is no journal" in ended.sentences[0]
    assert shop.files() == {}
    offsets = [request.params["offset"] for request in shop.sandbox.requests if request.method == "receipts.get_all"]
    assert offsets == [0, 50, 100] * 2, "until a whole pass adds nothing"


def test_the_days_are_local_and_the_last_one_counts(used: CommandTill) -> None:
    yesterday = f"{NOW - timedelta(days=2):%Y-%m-%d}"
    before = used.run("reconcile", "--from", "2020-01-01", "--to", yesterday, "--json")

    assert (before.code, before.document["agreed"]) == (0, 0)
    (asked,) = [request for request in used.sandbox.requests if request.method == "receipts.get_all"]
    assert before.document["from"].startswith("2020-01-01T00:00:00.000")
    begin = datetime.fromisoformat(before.document["from"])
    assert asked.params["from"] == int(begin.timestamp() * 1000) - 3_600_000, "an hour more, for clocks differ"


def test_a_list_that_can_not_be_had_is_an_error_and_another_tills_journal_may_be_read(used: CommandTill) -> None:
    used.give_journal_to()
    assert reconcile(used).code == 0
    used.sandbox.inject(InjectedFault(FaultKind.HTML, method="receipts.get_all"))
    ended = reconcile(used)

    assert (ended.code, ended.out) == (1, "")
    assert "Payme's list of receipts is unavailable: receipts.get_all" in ended.sentences[0]


# ---------------------------------------------------------------------------------------------------------------------
# The till's sales
# ---------------------------------------------------------------------------------------------------------------------


def sales_file(shop: CommandTill, sales: object) -> str:
    path = shop.conf.with_name("sales.json")
    path.write_text(sales if isinstance(sales, str) else json.dumps(sales), encoding="utf-8")
    return str(path)


def sale_of(shop: CommandTill, payment_id: str, **changes: object) -> dict[str, object]:
    payment = shop.payment(payment_id)
    sold_at = int(datetime.fromisoformat(payment["updated_at"]).timestamp() * 1000)
    record = {"payment_id": payment_id, "amount": payment["amount"], "receipt_id": payment["receipt_id"]}
    return {**record, "sold_at": sold_at, **changes}


def test_the_reference_tills_own_sales_are_compared(used: CommandTill) -> None:
    assert reconcile(used).document["in_sales"] == 3_000_000
    store = ReceiptStore(used.folder / "receipts")
    (sale,) = [each for each in store.receipts() if each.payment_id == "paid"]
    store.store(replace(sale, annulled=True))

    ended = reconcile(used)
    assert (ended.code, kinds(ended)) == (1, [("not-in-sales", "paid")])
    (used.folder / "receipts/000001.json").write_text("{")
    assert reconcile(used).document["in_sales"] is None, "a damaged receipt may be a sale"
    assert "not compared" in used.run("reconcile", *DAYS).out


def test_every_planted_difference_is_found_and_nothing_else(used: CommandTill) -> None:
    receipts: dict[str, str] = {}
    for name in ("amount", "state", "stuck", "here", "here-2", "sold", "missing", "open"):
        paid = used.pay(used.sandbox.issue_code(), "--payment-id", name, amount="1")
        receipts[name] = str(paid.document["receipt_id"])
    used.change_journal("UPDATE payment SET closed_at = NULL WHERE payment_id = 'open'")
    used.change_journal("UPDATE payment SET receipt_id = 'gone' WHERE payment_id = 'here'")
    used.sandbox.put_state(receipts["here"], 50)
    used.change_journal("UPDATE payment SET amount = 99 WHERE payment_id = 'amount'")
    used.sandbox.put_state(receipts["state"], 50)
    used.sandbox.put_state(receipts["stuck"], 30)
    used.sandbox.put_state(receipts["sold"], 50)
    used.change_journal("UPDATE payment SET state = 'reversed', closed_at = NULL WHERE payment_id = 'sold'")
    listed = ("paid", "refunded", "amount", "state", "stuck", "here-2", "sold")
    phantom = {"payment_id": "phantom", "amount": 5, "receipt_id": "phantom", "sold_at": used.sandbox.now_ms()}
    sales = [*(sale_of(used, each) for each in listed), sale_of(used, "here"), phantom]
    lost = lose(used)
    others = lose(used, "till-2-1-1-1")
    pass_time(used, 2 * HOUR_MS)
    lose(used, "till-2-1-1-2", state=0)

    ended = reconcile(used, "--sales", sales_file(used, sales))

    found = sorted((each["kind"], each["payment_id"] or each["receipt_id"]) for each in ended.document["differences"])
    assert found == sorted(
        [
            ("amount", "amount"), ("state", "state"), ("stuck", "stuck"), ("only-here", "here"),
            ("only-in-sales", "sold"), ("only-in-sales", "phantom"), ("not-in-sales", "missing"),
            ("only-there", lost),
        ]
    )  # fmt: skip
    assert [each["receipt_id"] for each in ended.document["of_other_tills"]] == [others]
    assert (ended.code, ended.document["agreed"]) == (1, 5)


@pytest.mark.parametrize(
    ("sales", "named"),
    [
        ("{", "JSON"),
        ({}, "sales: use a list of objects with payment_id, amount, receipt_id and sold_at"),
        ([{"payment_id": "p"}], "sales[0]: use a list of objects"),
        ([{"payment_id": 1, "amount": 1, "receipt_id": "r", "sold_at": 1}], "sales[0].payment_id: use a text"),
        ([{"payment_id": "p", "amount": 0, "receipt_id": "r", "sold_at": 1}], "sales[0].amount: use a whole number"),
        ([{"payment_id": "p", "amount": 1, "receipt_id": "r", "sold_at": "now"}], "sales[0].sold_at: use a whole"),
    ],
)
def test_a_file_that_can_not_be_used_is_an_error_that_names_the_place(
    shop: CommandTill, sales: object, named: str
) -> None:
    ended = reconcile(shop, "--sales", sales_file(shop, sales))
    assert ended.code == 2
    assert named in ended.sentences[0]
    assert len(shop.sandbox.requests) == 0


@pytest.fixture
def host(used: CommandTill, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A host in a module of its own, with the sales of the used till."""
    sales = [SaleRecord(**sale_of(used, each)) for each in ("paid", "refunded")]  # type: ignore[arg-type]
    host = SimpleNamespace(asked=[], answer=False, identity=reference_identity(), knows=True)

    def is_recorded(payment_id: str) -> bool | None:
        host.asked.append(payment_id)
        if payment_id in {each.receipt_id for each in sales}:
            return bool(host.knows)
        return bool(host.answer) if host.answer is not None else None

    host.sales = lambda since, until: [each for each in sales if since <= each.sold_at < until]
    host.is_recorded = is_recorded
    monkeypatch.setitem(sys.modules, "shop_pos", SimpleNamespace(host=host, make=lambda: host, number=7))
    return host


@pytest.mark.parametrize("name", ["shop_pos:host", "shop_pos:make"])
def test_a_host_in_python_is_asked_for_its_sales(used: CommandTill, host: SimpleNamespace, name: str) -> None:
    host.identity = OTHER_TILL
    used.give_journal_to(OTHER_TILL)
    ended = reconcile(used, "--host", name)
    assert (ended.code, ended.document["in_sales"]) == (0, 3_000_000)


@pytest.mark.parametrize("name", ["shop_pos", "shop_pos:none", "no.such:host", ":", "shop_pos:number", "json:loads"])
@pytest.mark.usefixtures("host")
def test_a_host_that_can_not_be_used_is_an_error(used: CommandTill, name: str) -> None:
    ended = reconcile(used, "--host", name)
    assert ended.code == 2
    assert f"--host {name} can't be used" in ended.sentences[0]


def test_a_host_that_is_another_till_is_an_error(used: CommandTill, host: SimpleNamespace) -> None:
    host.identity = OTHER_TILL
    ended = reconcile(used, "--cancel-unknown", "--yes", "--host", "shop_pos:host")
    assert (ended.code, "another till" in ended.sentences[0]) == (2, True)


def test_a_module_that_ends_the_process_does_not_end_the_command(
    used: CommandTill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_script.py").write_text("raise SystemExit(0)")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert reconcile(used, "--host", "a_script:host").code == 2


def test_the_differences_are_printed_as_csv(used: CommandTill) -> None:
    lost = lose(used, OURS + ",\x1b")
    own, others = lose(used), lose(used, "till-2-1-1-1")
    ended = used.run("reconcile", *DAYS, "--csv")
    rows = list(csv.DictReader(ended.out.splitlines()))

    assert (ended.code, list(rows[0])) == (1, list(_COLUMNS))
    assert [(row["list"], row["kind"], row["receipt_id"]) for row in rows] == [
        ("differences", "only-there", own),
        ("of_other_tills", "", lost),
        ("of_other_tills", "", others),
    ]
    assert (rows[0]["payme_state"], rows[0]["payme_amount"], rows[0]["account"]) == ("4", "7.00", f"order_id={OURS}")
    assert "\x1b" not in ended.out
    assert used.run("--json", "reconcile", *DAYS, "--csv").code == 2


@pytest.mark.parametrize("begin", ["=", "+", "-", "@"])
def test_no_cell_of_the_csv_is_a_formula_for_a_spreadsheet(begin: str) -> None:
    assert _csv_cell(f"{begin}1") == f"'{begin}1"
    assert _csv_cell(f"1{begin}") == f"1{begin}"


def test_consent_without_a_question_is_refused(used: CommandTill) -> None:
    assert used.run("reconcile", *DAYS, "--yes").code == 2


# ---------------------------------------------------------------------------------------------------------------------
# Receipts that nobody knows
# ---------------------------------------------------------------------------------------------------------------------


def hour_later(shop: CommandTill) -> None:
    """Let an hour pass at Payme, and another till sell."""
    pass_time(shop, HOUR_MS)
    lose(shop, "till-2-1-1-1", state=0)


def test_money_that_nobody_knows_is_returned_after_a_confirmation_of_sum_and_count(
    used: CommandTill, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, others = lose(used), lose(used, "till-2-3-9-1")
    hour_later(used)
    held = used.sandbox.held()
    asked: list[str] = []

    def confirm(text: str, **_: object) -> bool:
        asked.append(text)
        return len(asked) > 1

    monkeypatch.setattr("click.confirm", confirm)

    declined = reconcile(used, "--cancel-unknown")
    assert declined.document["cancel_unknown"] == {"cancelled": [], "refused": []}
    ended = used.run("reconcile", *DAYS, "--cancel-unknown")
    assert asked == ["Return 7.00 to the buyers, receipts: 1?"] * 2
    assert ended.code == 1
    assert "Cancellations queued: 1, 7.00." in ended.out
    (row,) = used.returning()
    assert (row["receipt_id"], row["cause"]) == (lost, "unrecorded")

    assert used.run("queue", "deliver", "--until-empty").code == 0
    assert used.sandbox.held() == held - 700
    assert used.sandbox.held(others) == 700
    assert (reconcile(used).code, reconcile(used, "--cancel-unknown", "--yes").document["differences"]) == (0, [])


@pytest.mark.parametrize(
    ("wanting", "reason"),
    [
        ("time", "too-young"),
        ("denial", "not-asked"),
        ("receipt ids", "not-asked"),
        ("absence", "recorded"),
        ("readiness", "not-ready"),
        ("state", "not-paid"),
    ],
)
def test_while_a_proof_is_missing_nothing_is_cancelled(
    used: CommandTill, host: SimpleNamespace, wanting: str, reason: str
) -> None:
    lost = lose(used, state=30 if wanting == "state" else 4)
    if wanting != "time":
        hour_later(used)
    host.answer = {"denial": None, "absence": True}.get(wanting, False)
    host.knows = wanting != "receipt ids"
    if wanting == "readiness":
        used.change_journal("DELETE FROM about WHERE name = 'ready'")

    options = ("--cancel-unknown", "--yes", "--host", "shop_pos:host")
    said, ended = used.run("reconcile", *DAYS, *options), reconcile(used, *options)

    assert ended.document["cancel_unknown"] == {"cancelled": [], "refused": [{"receipt_id": lost, "reason": reason}]}
    assert f"Receipt {lost} is not returned: " in said.out
    assert "cli." not in said.out
    assert (used.returning(), used.sent("receipts.cancel")) == ([], used.sent("receipts.cancel"))


def test_the_till_is_asked_about_the_receipt_id(used: CommandTill, host: SimpleNamespace) -> None:
    lost = lose(used)
    hour_later(used)
    assert reconcile(used, "--cancel-unknown", "--yes", "--host", "shop_pos:host").code == 1
    assert host.asked[1:] == [lost], "after one of its own sales"


@pytest.mark.usefixtures("host")
def test_a_receipt_of_a_former_day_is_old_enough_by_what_payme_had_since(
    used: CommandTill, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, now_ms = lose(used), used.sandbox.now_ms
    pass_time(used, 72 * HOUR_MS)
    lose(used, "till-2-1-1-1", state=0)
    later = SimpleNamespace(wall_ms=lambda: now_ms() + 73 * HOUR_MS)
    monkeypatch.setattr("payme_plugin.cli.reconcile.SystemClock", lambda: later)
    ended = reconcile(used, "--cancel-unknown", "--yes", "--host", "shop_pos:host")
    assert ended.document["cancel_unknown"]["cancelled"] == [{"receipt_id": lost, "amount": 700}]


def test_a_receipt_that_the_journal_has_for_another_account_holds_up_no_other(used: CommandTill) -> None:
    lost, elsewhere = lose(used), lose(used)
    hour_later(used)
    used.change_journal(f"UPDATE payment SET receipt_id = '{elsewhere}' WHERE payment_id = 'refused'")  # noqa: S608
    used.change_journal("UPDATE payment SET pos_id = 'another' WHERE payment_id = 'refused'")
    options = ("--cancel-unknown", "--yes")
    assert reconcile(used, *options).document["cancel_unknown"] == {
        "cancelled": [{"receipt_id": lost, "amount": 700}],
        "refused": [{"receipt_id": elsewhere, "reason": "known"}],
    }
    assert "the journal has it" in used.run("reconcile", *DAYS, *options).out


def test_a_receipt_of_a_sale_that_the_till_has_is_not_cancelled(used: CommandTill) -> None:
    used.change_journal("DELETE FROM payment WHERE payment_id = 'paid'")
    hour_later(used)
    ended = reconcile(used, "--cancel-unknown", "--yes")
    assert [each["kind"] for each in ended.document["differences"]] == ["only-there"]
    assert (ended.document["cancel_unknown"], used.returning()) == ({"cancelled": [], "refused": []}, [])


def test_the_reference_till_denies_no_receipt_of_an_open_sale(used: CommandTill) -> None:
    store = ReceiptStore(used.folder / "receipts")
    (sale,) = [each for each in store.receipts() if each.payment_id == "paid"]
    store.store(replace(sale, closed_at=None))
    used.change_journal("DELETE FROM payment WHERE payment_id = 'paid'")
    hour_later(used)
    ended = reconcile(used, "--cancel-unknown", "--yes")
    assert [each["reason"] for each in ended.document["cancel_unknown"]["refused"]] == ["recorded"]


def test_without_the_tills_sales_or_beside_a_running_till_nothing_is_cancelled(used: CommandTill) -> None:
    lost = lose(used)
    hour_later(used)
    with Leases(used.folder).try_acquire(LEADER) as is_leader:
        assert is_leader
        assert "stop" in reconcile(used, "--cancel-unknown", "--yes").sentences[0].lower()
    used.give_journal_to(OTHER_TILL)
    ended = reconcile(used, "--cancel-unknown", "--yes")
    assert (ended.code, "--sales" in ended.sentences[0]) == (1, True)

    sales = sales_file(used, [sale_of(used, "paid"), sale_of(used, "refunded")])
    ended = reconcile(used, "--cancel-unknown", "--yes", "--sales", sales)
    assert ended.document["cancel_unknown"]["refused"] == [{"receipt_id": lost, "reason": "not-asked"}]
    assert used.returning() == []
