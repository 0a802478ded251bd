"""What each check reports for given facts, on any machine."""

from __future__ import annotations

import errno
import platform
import stat
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.doctor import Check, Finding, Level, Report, Unchecked
from payme_plugin.doctor.files import check_disk, check_modes, look_at_settings
from payme_plugin.doctor.installation import check_imports
from payme_plugin.doctor.journal import JournalFacts, check_accounts, check_journal, check_queue
from payme_plugin.doctor.server import SERVER_CHECKS, ServerFacts, check_server
from payme_plugin.ledger.errors import TooNew
from payme_plugin.ledger.rows import CancellationRow
from payme_plugin.ledger.states import Cause
from payme_plugin.locale import message
from payme_plugin.paymego.errors import Fault, ServerError, ServerText, Unclear
from payme_plugin.settings import Settings

MIB = 1024 * 1024
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_790_000_000_000
FOLDER = Path("/linuxcash/cash/data/payme")


# ---------------------------------------------------------------------------------------------------------------------
# The report
# ---------------------------------------------------------------------------------------------------------------------

TEXTS = st.text(max_size=40).map(lambda text: message("doctor.internal", error=text))
FINDINGS = st.builds(Finding, st.sampled_from(Check), st.sampled_from(Level), TEXTS, TEXTS)


@given(st.lists(st.one_of(FINDINGS, st.builds(Unchecked, st.sampled_from(Check), TEXTS))))
def test_a_report_has_all_results_in_the_order_of_the_checks_and_is_as_bad_as_the_worst(
    results: list[Finding | Unchecked],
) -> None:
    report, order = Report.of(results), list(Check)
    levels = {each.level for each in results if isinstance(each, Finding)}

    assert len(report.findings) + len(report.unchecked) == len(results)
    for part in (report.findings, report.unchecked):
        places = [order.index(each.check) for each in part]
        assert places == sorted(places)
    assert report.worst is next((each for each in (Level.FAULT, Level.WARNING) if each in levels), Level.OK)
    assert sum(map(report.count, Level)) == len(report.findings)


# ---------------------------------------------------------------------------------------------------------------------
# The way to Payme
# ---------------------------------------------------------------------------------------------------------------------


def server(**changed: object) -> ServerFacts:
    values: dict[str, object] = {
        "host": "checkout.paycom.uz",
        "port": 80,
        "is_https": False,
        "addresses": ("192.0.2.1", "192.0.2.2"),
        "is_connected": True,
        "ahead_ms": 0,
        "doubt_ms": 50,
        "outcome": ServerError("receipts.check", -31602, ServerText()),
    }
    return ServerFacts(**(values | changed))  # type: ignore[arg-type]


def judged(facts: ServerFacts, check: Check) -> Finding:
    (found,) = [each for each in check_server(facts, NOW_MS) if each.check is check]
    assert isinstance(found, Finding)
    return found


@pytest.mark.parametrize(
    "end", [{}, {"addresses": ()}, {"is_connected": False}, {"is_https": True}, {"outcome": None}], ids=str
)
def test_each_step_has_one_result(end: dict[str, object]) -> None:
    results = check_server(server(**end), NOW_MS)

    assert sorted(each.check.value for each in results) == sorted(each.value for each in SERVER_CHECKS)


def test_plain_http_is_a_warning_unless_the_server_is_this_machine() -> None:
    found = judged(server(), Check.TLS)

    assert (found.level, "allowPlainHttp" in str(found.remedy)) == (Level.WARNING, True)
    for host in ("127.0.0.1", "::1", "localhost"):
        results = check_server(server(host=host), NOW_MS)
        assert Check.TLS in {each.check for each in results if isinstance(each, Unchecked)}


@pytest.mark.parametrize(("days", "wanted"), [(13, Level.WARNING), (14, Level.OK)])
def test_a_certificate_that_ends_within_two_weeks_is_a_warning(days: int, wanted: Level) -> None:
    found = judged(server(is_https=True, certificate_end_ms=NOW_MS + days * DAY_MS), Check.TLS)

    assert found.level is wanted
    assert f"valid for {days} more days" in str(found.text)


@given(st.integers(-(10**12), 10**12), st.integers(0, 5_000))
def test_a_clock_is_wrong_from_30_s_and_a_fault_from_an_hour_without_what_a_slow_answer_leaves_in_doubt(
    ahead_ms: int, doubt_ms: int
) -> None:
    found = judged(server(ahead_ms=ahead_ms, doubt_ms=doubt_ms), Check.CLOCK)

    # What a date leaves out is up to a second.
    certain_ms = min(abs(ahead_ms), abs(ahead_ms - 1_000)) - doubt_ms
    possible_ms = max(abs(ahead_ms), abs(ahead_ms - 1_000)) + doubt_ms
    if found.level is Level.OK:
        assert certain_ms < 30_000
    elif found.level is Level.WARNING:
        assert possible_ms >= 30_000
        assert certain_ms < HOUR_MS
    else:
        assert possible_ms >= HOUR_MS


@pytest.mark.parametrize(("doubt_ms", "wanted"), [(0, Level.WARNING), (5_000, Level.OK)])
def test_a_slow_answer_is_not_a_fault_of_the_clock(doubt_ms: int, wanted: Level) -> None:
    assert judged(server(ahead_ms=33_000, doubt_ms=doubt_ms), Check.CLOCK).level is wanted


@pytest.mark.parametrize(
    ("answer", "wanted", "text"),
    [
        (-31602, Level.OK, "accepts"),
        (-31003, Level.OK, "accepts"),
        (-31008, Level.OK, "accepts"),
        (-32504, Level.FAULT, "refuses the key"),
        (-31601, Level.FAULT, "does not serve this merchant account"),
        (-32400, Level.WARNING, "does not say"),
        (-99999, Level.WARNING, "Payme answers with error -99999"),
        (Fault.HTTP_STATUS, Level.FAULT, "is not from Payme: our words"),
        (Fault.NOT_JSON, Level.FAULT, "is not from Payme: our words"),
        (Fault.FOREIGN_ANSWER, Level.FAULT, "is not from Payme: our words"),
        (Fault.CONNECTION_LOST, Level.FAULT, "does not answer: our words"),
        (Fault.TIME_OVER, Level.FAULT, "does not answer: no answer within timeout"),
    ],
)
def test_the_answer_tells_whether_the_key_is_accepted(answer: int | Fault, wanted: Level, text: str) -> None:
    if isinstance(answer, Fault):
        outcome: object = Unclear("receipts.check", answer, "our words")
    else:
        outcome = ServerError("receipts.check", answer, ServerText())
    found = judged(server(outcome=outcome), Check.KEY)

    assert (found.level, bool(found.remedy)) == (wanted, wanted is not Level.OK)
    assert text in str(found.text)


# ---------------------------------------------------------------------------------------------------------------------
# The disk
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free_bytes", "trouble", "wanted", "text"),
    [
        (256 * MIB, None, Level.OK, "256 MiB free"),
        (None, None, Level.OK, "can be written"),
        (256 * MIB - 1, None, Level.WARNING, "nearly full"),
        (16 * MIB - 1, None, Level.FAULT, "is full"),
        (500 * MIB, errno.ENOSPC, Level.FAULT, "is full"),
        (500 * MIB, errno.EDQUOT, Level.FAULT, "is full"),
        (500 * MIB, errno.EIO, Level.FAULT, "Input/output error"),
        (500 * MIB, errno.EACCES, Level.WARNING, "This user can't write"),
    ],
)
def test_a_disk_that_takes_no_bytes_is_a_fault_and_one_with_few_left_a_warning(
    free_bytes: int | None, trouble: int | None, wanted: Level, text: str
) -> None:
    (found,) = check_disk(FOLDER, free_bytes, trouble)

    assert (found.level, bool(found.remedy)) == (wanted, wanted is not Level.OK)
    assert text in str(found.text)


# ---------------------------------------------------------------------------------------------------------------------
# The journal
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "expected", "wanted", "text"),
    [
        ({}, "till-1", Level.OK, "is sound: till till-1, payments: 3."),
        ({}, "till-2", Level.FAULT, "belongs to till till-1, not to till-2"),
        (
            {"identity": "reference-till@shop-7"},
            None,
            Level.FAULT,
            "comes from the machine shop-7, and this machine is ",
        ),
        ({"identity": "reference-till@shop-7"}, "reference-till@shop-7", Level.OK, "is sound"),
        ({"identity": f"reference-till@{platform.node()}"}, None, Level.OK, "is sound"),
        ({"unfinished": 1}, None, Level.WARNING, "Unfinished payments: 1, and no till is running."),
        ({"unfinished": 1, "is_led": True}, None, Level.OK, "is sound"),
        ({"trouble": TooNew("version 99")}, None, Level.FAULT, "version 99"),
    ],
)
def test_a_journal_is_sound_if_it_is_this_tills_and_a_till_finishes_its_payments(
    facts: dict[str, object], expected: str | None, wanted: Level, text: str
) -> None:
    sound: dict[str, object] = {"path": FOLDER, "identity": "till-1", "payments": 3, "is_led": False}
    (found,) = check_journal(JournalFacts(**(sound | facts)), expected)  # type: ignore[arg-type]

    assert found.level is wanted
    assert text in str(found.text)


def owed(created_at: int = NOW_MS, last_error: str = "", url: str = "http://localhost/api") -> CancellationRow:
    return CancellationRow(
        cancellation_id=1,
        payment_id="p1",
        receipt_id="r1",
        amount=1_500_000,
        pos_id="id",
        url=url,
        cause=Cause.UNRECORDED,
        request_id="",
        created_at=created_at,
        due_at=created_at,
        offered_at=None,
        attempts=3,
        last_error=last_error,
        ended_at=None,
        begun_at=None,
        is_queued=False,
        held=None,
        confirmed_at=None,
        reopened_at=None,
        ended_as=None,
        closed_reason=None,
    )


def queue(*rows: CancellationRow, run_worker: bool = True) -> Finding:
    return check_queue(JournalFacts(path=FOLDER, identity="till-1", live=rows), NOW_MS, run_worker=run_worker)


@given(st.lists(st.integers(-HOUR_MS, 1_000 * HOUR_MS), min_size=1, max_size=5))
def test_a_cancellation_that_waits_for_an_hour_is_a_warning_and_for_a_day_a_fault(ages_ms: list[int]) -> None:
    found = queue(*(owed(NOW_MS - age_ms) for age_ms in ages_ms))
    oldest_ms = max(ages_ms)

    wanted = Level.OK if oldest_ms < HOUR_MS else Level.WARNING if oldest_ms < DAY_MS else Level.FAULT
    assert (found.level, bool(found.remedy)) == (wanted, wanted is not Level.OK)
    assert f"Pending cancellations: {len(ages_ms)}, the oldest for" in str(found.text)


def test_the_reason_of_the_delay_is_named_and_who_should_deliver() -> None:
    late = queue(owed(NOW_MS - 3 * DAY_MS, "error -31800"), run_worker=False)

    assert str(late.text).startswith("Pending cancellations: 1, the oldest for 3 days; last result: error -31800.")
    assert str(late.text).endswith("runWorker is off.")
    assert "Is payme worker running?" in str(late.remedy)
    assert "payme queue list" in str(late.remedy)
    assert str(queue().text) == "No pending cancellations."


@pytest.mark.parametrize(
    ("pos_id", "facts", "wanted", "text"),
    [
        ("new", {"live": (owed(),)}, Level.FAULT, "can't be delivered: 1, payments that can't be refunded: 0."),
        ("new", {"refundable": {"id": 2}}, Level.WARNING, "can't be delivered: 0, payments that can't be refunded: 2."),
        ("id", {"live": (owed(url="https://old.example/api"),)}, Level.WARNING, "made at another host, old.example"),
        ("id", {"live": (owed(),), "refundable": {"id": 2}}, Level.OK, ""),
    ],
    ids=["no key, owed", "no key, refundable", "another host", "known"],
)
def test_money_needs_the_key_of_its_merchant_account_and_the_host_that_took_it(
    tmp_path: Path, pos_id: str, facts: dict[str, object], wanted: Level, text: str
) -> None:
    conf = tmp_path / "conf"
    conf.write_text(f"[Main]\npaymentType = 7\nurl = http://localhost/api\nposId = {pos_id}\nposKey = key\n", "utf-8")
    settings = look_at_settings(conf)
    assert isinstance(settings, Settings)
    results = check_accounts(JournalFacts(path=FOLDER, **facts), settings)  # type: ignore[arg-type]

    assert [(each.level, text in str(each.text)) for each in results] == [(wanted, True)] * (wanted is not Level.OK)


# ---------------------------------------------------------------------------------------------------------------------
# Files and packages
# ---------------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 0o777))
def test_a_file_that_others_can_read_or_write_is_a_warning_with_the_command_that_closes_it(mode: int) -> None:
    (found,) = check_modes({FOLDER / "journal.sqlite3": stat.S_IFREG | mode})

    assert (found.level is Level.WARNING) is bool(mode & 0o006)
    assert str(found.remedy) == (f"chmod 0600 {FOLDER / 'journal.sqlite3'}" if mode & 0o006 else "")


@pytest.mark.parametrize(("mode", "wanted"), [(0o755, Level.OK), (0o777, Level.WARNING), (0o1777, Level.OK)])
def test_a_folder_that_others_can_write_is_a_warning(mode: int, wanted: Level) -> None:
    (found,) = check_modes({FOLDER: stat.S_IFDIR | mode})

    assert found.level is wanted


@pytest.mark.parametrize(
    ("folder", "mark", "wanted", "text"),
    [
        ("/opt-copy/hookspecs", {}, Level.WARNING, "another installation of payme-plugin: /opt-copy/hookspecs"),
        ("/foreign/hookspecs", {"PROJECT": "another"}, Level.FAULT, "in /foreign/hookspecs belongs to another program"),
        ("/foreign/hookspecs", {"API_VERSION": 1}, Level.FAULT, "in /foreign/hookspecs belongs to another program"),
        (None, {"PROJECT": "another"}, Level.FAULT, "can't be imported"),
    ],
)
def test_a_package_of_another_program_is_a_fault_that_names_its_folder(
    monkeypatch: pytest.MonkeyPatch, folder: str | None, mark: dict[str, object], wanted: Level, text: str
) -> None:
    found_there = ModuleSpec("hookspecs", None, is_package=True)
    found_there.submodule_search_locations = [] if folder is None else [folder]
    monkeypatch.setattr("hookspecs.__spec__", found_there)
    for name, value in mark.items():
        monkeypatch.setattr(f"hookspecs.{name}", value)
    found, slips = check_imports()

    assert (found.level, slips.level) == (wanted, Level.OK)
    assert text in str(found.text)
