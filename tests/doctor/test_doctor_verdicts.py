"""What is said of facts: pure, whatever the machine."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.doctor import Check, Finding, Level, Unchecked
from payme_plugin.doctor.configuration import FileFacts, check_modes
from payme_plugin.doctor.disk import DiskFacts, check_disk
from payme_plugin.doctor.facts import KeyFacts, ServerDate, ServerFacts
from payme_plugin.doctor.installation import (
    PackageFacts,
    check_imports,
    check_plugins,
    check_texts,
    look_at_plugins,
)
from payme_plugin.doctor.journal import JournalFacts, check_queue
from payme_plugin.doctor.server import SERVER_CHECKS, check_server
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.rows import CancellationRow
from payme_plugin.ledger.states import Cause
from payme_plugin.paymego.errors import ServerError, ServerText

MIB = 1024 * 1024
HOUR_MS = 3_600_000
NOW_MS = 1_790_000_000_000
FOLDER = Path("/linuxcash/cash/data/payme")


# ---------------------------------------------------------------------------------------------------------------------
# The way to Payme
# ---------------------------------------------------------------------------------------------------------------------


def walked(**changed: object) -> ServerFacts:
    values: dict[str, object] = {
        "host": "checkout.paycom.uz",
        "port": 80,
        "is_https": False,
        "timeout_ms": 10_000,
        "walked_at_ms": NOW_MS,
        "addresses": ("192.0.2.1", "192.0.2.2"),
        "look_up_ms": 12.0,
        "connect_ms": 35.0,
        "date": ServerDate(NOW_MS, NOW_MS, 50),
        "key": KeyFacts(ServerError("receipts.check", -31602, ServerText()), 120.0, 45.0),
    }
    return ServerFacts(**(values | changed))  # type: ignore[arg-type]


def said_of(facts: ServerFacts, check: Check) -> Finding:
    (found,) = [each for each in check_server(facts) if each.check is check]
    assert isinstance(found, Finding)
    return found


def test_every_step_is_told_or_unchecked_exactly_once() -> None:
    for facts in (walked(), walked(addresses=()), walked(connect_ms=None), walked(is_https=True), walked(key=None)):
        assert sorted(each.check.value for each in check_server(facts)) == sorted(each.value for each in SERVER_CHECKS)


def test_plain_http_beyond_this_machine_shows_the_key_to_everybody() -> None:
    found = said_of(walked(), Check.TLS)

    assert found.level is Level.WARNING
    assert "allowPlainHttp" in found.remedy


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_plain_http_to_this_machine_is_nothing_to_look_at(host: str) -> None:
    assert Check.TLS in {each.check for each in check_server(walked(host=host)) if isinstance(each, Unchecked)}


@pytest.mark.parametrize(
    ("check", "slow"),
    [
        (Check.NAME, {"look_up_ms": 1_001.0}),
        (Check.CONNECTION, {"connect_ms": 1_001.0}),
        (Check.LATENCY, {"key": KeyFacts(ServerError("receipts.check", -31602, ServerText()), 3_000.0, 2_001.0)}),
        (
            Check.LATENCY,
            {"timeout_ms": 1_000, "key": KeyFacts(ServerError("receipts.check", -31602, ServerText()), 700.0, 501.0)},
        ),
    ],
)
def test_what_is_slow_is_a_warning_with_its_time(check: Check, slow: dict[str, object]) -> None:
    assert said_of(walked(), check).level is Level.OK
    found = said_of(walked(**slow), check)

    assert found.level is Level.WARNING
    assert found.remedy
    assert any(part in found.text for part in ("1001 ms", "2001 ms", "501 ms"))


@given(st.integers(-(10**12), 10**12), st.integers(0, 5_000))
def test_the_further_the_clocks_are_apart_the_worse_and_a_slow_answer_is_no_fault_of_the_clock(
    ahead_ms: int, doubt_ms: int
) -> None:
    found = said_of(walked(date=ServerDate(NOW_MS, NOW_MS + ahead_ms, doubt_ms)), Check.CLOCK)

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
def test_what_a_slow_answer_leaves_in_doubt_is_not_held_against_the_clock(doubt_ms: int, wanted: Level) -> None:
    assert said_of(walked(date=ServerDate(NOW_MS, NOW_MS + 33_000, doubt_ms)), Check.CLOCK).level is wanted


# ---------------------------------------------------------------------------------------------------------------------
# The disk
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free_bytes", "trouble", "wanted", "said"),
    [
        (500 * MIB, None, Level.OK, "500 MiB free"),
        (50 * 1024 * MIB, None, Level.OK, "50.0 GiB free"),
        (None, None, Level.OK, "can be written"),
        (256 * MIB - 1, None, Level.WARNING, "nearly full"),
        (16 * MIB - 1, None, Level.FAULT, "is full"),
        (500 * MIB, errno.ENOSPC, Level.FAULT, "is full"),
        (500 * MIB, errno.EDQUOT, Level.FAULT, "is full"),
        (500 * MIB, errno.EROFS, Level.FAULT, "Read-only file system"),
        (500 * MIB, errno.EIO, Level.FAULT, "Input/output error"),
        (500 * MIB, errno.EACCES, Level.WARNING, "This user may not write"),
    ],
)
def test_a_disk_that_takes_no_bytes_is_a_fault_and_one_with_few_left_a_warning(
    free_bytes: int | None, trouble: int | None, wanted: Level, said: str
) -> None:
    found = check_disk(DiskFacts(FOLDER, free_bytes, trouble))

    assert found.level is wanted
    assert said in found.text
    assert bool(found.remedy) is (wanted is not Level.OK)


# ---------------------------------------------------------------------------------------------------------------------
# The queue
# ---------------------------------------------------------------------------------------------------------------------


def owed(created_at: int, last_error: str = "") -> CancellationRow:
    return CancellationRow(
        cancellation_id=1,
        payment_id="p1",
        receipt_id="r1",
        amount=1_500_000,
        pos_id="id",
        url="http://localhost/api",
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
    found = check_queue(JournalFacts(path=FOLDER, identity="till-1", live=rows), NOW_MS, run_worker=run_worker)
    assert isinstance(found, Finding)
    return found


@given(st.lists(st.integers(-HOUR_MS, 1_000 * HOUR_MS), min_size=1, max_size=5))
def test_money_that_waits_for_an_hour_is_a_warning_and_for_a_day_a_fault(ages_ms: list[int]) -> None:
    found = queue(*(owed(NOW_MS - age_ms) for age_ms in ages_ms))
    oldest_ms = max(ages_ms)

    wanted = Level.OK if oldest_ms < HOUR_MS else Level.WARNING if oldest_ms < 24 * HOUR_MS else Level.FAULT
    assert found.level is wanted
    assert f"that wait: {len(ages_ms)}, the oldest for" in found.text
    assert bool(found.remedy) is (wanted is not Level.OK)


def test_why_money_waits_is_told_and_who_should_return_it() -> None:
    late = queue(owed(NOW_MS - 3 * 24 * HOUR_MS, "error -31800"), run_worker=False)

    assert late.text == "Cancellations that wait: 1, the oldest for 3 days; last said: error -31800."
    assert "is payme worker running?" in late.remedy
    assert "payme queue list" in late.remedy
    assert queue().text == "No cancellation waits."


def test_the_queue_of_a_journal_that_can_not_be_used_is_unchecked() -> None:
    found = check_queue(JournalFacts(path=FOLDER, trouble=Unavailable("locked")), NOW_MS, run_worker=True)

    assert isinstance(found, Unchecked)


# ---------------------------------------------------------------------------------------------------------------------
# Files, packages, texts
# ---------------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 0o777))
def test_a_file_that_others_can_read_or_write_is_a_warning_with_the_command_that_closes_it(mode: int) -> None:
    (found,) = check_modes([FileFacts(FOLDER / "journal.sqlite3", mode, is_folder=False)])

    assert (found.level is Level.WARNING) is bool(mode & 0o006)
    assert found.remedy == (f"chmod 0600 {FOLDER / 'journal.sqlite3'}" if mode & 0o006 else "")


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [(0o700, Level.OK), (0o755, Level.OK), (0o777, Level.WARNING), (0o1777, Level.OK)],
)
def test_a_folder_may_be_looked_into_but_nothing_taken_out_of_it(mode: int, wanted: Level) -> None:
    (found,) = check_modes([FileFacts(FOLDER, mode, is_folder=True)])

    assert found.level is wanted


@pytest.mark.parametrize(
    ("folder", "is_ours", "is_beside", "wanted", "said"),
    [
        (Path("/usr/lib/python3/dist-packages/hookspecs"), True, True, Level.OK, "is ours: /usr/lib/python3"),
        (Path("/opt-copy/hookspecs"), True, False, Level.WARNING, "another installation: /opt-copy/hookspecs"),
        (Path("/foreign/hookspecs"), False, False, Level.FAULT, "another program's, in /foreign/hookspecs"),
        (None, False, False, Level.FAULT, "can't be imported"),
    ],
)
def test_a_package_of_another_program_is_a_fault_that_names_its_folder(
    folder: Path | None, is_ours: bool, is_beside: bool, wanted: Level, said: str
) -> None:
    (found,) = check_imports([PackageFacts("hookspecs", folder, is_ours, is_beside)])

    assert found.level is wanted
    assert said in found.text


def test_a_language_that_lacks_texts_is_a_fault() -> None:
    (found,) = check_texts({"ru": 0, "uz": 3, "en": 0})

    assert found.level is Level.FAULT
    assert found.text.startswith("3 of ")
    assert "uz" in found.text
    assert [each.level for each in check_texts({"ru": 0, "uz": 0})] == [Level.OK]


def test_a_damaged_distribution_beside_ours_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / "good_plugin-1.0.dist-info"
    left.mkdir()
    left.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: good-plugin\nVersion: 1.0\n")
    left.joinpath("entry_points.txt").write_bytes(b"\xff\xfe\x00")
    monkeypatch.syspath_prepend(tmp_path)

    faults = look_at_plugins()
    assert str(left) in faults
    (found,) = check_plugins({name: faults[name] for name in faults if name == str(left)})
    assert (found.check, found.level, str(left) in found.text) == (Check.IMPORTS, Level.WARNING, True)
