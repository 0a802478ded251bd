"""What is said of facts: pure, whatever the machine."""

from __future__ import annotations

import errno
import stat
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.doctor import Check, Finding, Level, Unchecked
from payme_plugin.doctor.files import check_disk, check_modes
from payme_plugin.doctor.installation import check_imports
from payme_plugin.doctor.journal import JournalFacts, check_queue
from payme_plugin.doctor.server import SERVER_CHECKS, ServerFacts, check_server
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
        "addresses": ("192.0.2.1", "192.0.2.2"),
        "is_connected": True,
        "ahead_ms": 0,
        "doubt_ms": 50,
        "outcome": ServerError("receipts.check", -31602, ServerText()),
    }
    return ServerFacts(**(values | changed))  # type: ignore[arg-type]


def said_of(facts: ServerFacts, check: Check) -> Finding:
    (found,) = [each for each in check_server(facts, NOW_MS) if each.check is check]
    assert isinstance(found, Finding)
    return found


@pytest.mark.parametrize(
    "end", [{}, {"addresses": ()}, {"is_connected": False}, {"is_https": True}, {"outcome": None}], ids=str
)
def test_every_step_is_told_or_unchecked_exactly_once(end: dict[str, object]) -> None:
    results = check_server(walked(**end), NOW_MS)

    assert sorted(each.check.value for each in results) == sorted(each.value for each in SERVER_CHECKS)


def test_plain_http_beyond_this_machine_shows_the_key_to_everybody() -> None:
    found = said_of(walked(), Check.TLS)

    assert found.level is Level.WARNING
    assert "allowPlainHttp" in str(found.remedy)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_plain_http_to_this_machine_is_nothing_to_look_at(host: str) -> None:
    assert Check.TLS in {each.check for each in check_server(walked(host=host), NOW_MS) if isinstance(each, Unchecked)}


@given(st.integers(-(10**12), 10**12), st.integers(0, 5_000))
def test_the_further_the_clocks_are_apart_the_worse_and_a_slow_answer_is_no_fault_of_the_clock(
    ahead_ms: int, doubt_ms: int
) -> None:
    found = said_of(walked(ahead_ms=ahead_ms, doubt_ms=doubt_ms), Check.CLOCK)

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
    assert said_of(walked(ahead_ms=33_000, doubt_ms=doubt_ms), Check.CLOCK).level is wanted


# ---------------------------------------------------------------------------------------------------------------------
# The disk
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free_bytes", "trouble", "wanted", "said"),
    [
        (500 * MIB, None, Level.OK, "500 MiB free"),
        (50 * 1024 * MIB, None, Level.OK, "51200 MiB free"),
        (None, None, Level.OK, "can be written"),
        (256 * MIB - 1, None, Level.WARNING, "nearly full"),
        (16 * MIB - 1, None, Level.FAULT, "is full"),
        (500 * MIB, errno.ENOSPC, Level.FAULT, "is full"),
        (500 * MIB, errno.EDQUOT, Level.FAULT, "is full"),
        (500 * MIB, errno.EROFS, Level.FAULT, "Read-only file system"),
        (500 * MIB, errno.EIO, Level.FAULT, "Input/output error"),
        (500 * MIB, errno.EACCES, Level.WARNING, "This user can't write"),
    ],
)
def test_a_disk_that_takes_no_bytes_is_a_fault_and_one_with_few_left_a_warning(
    free_bytes: int | None, trouble: int | None, wanted: Level, said: str
) -> None:
    (found,) = check_disk(FOLDER, free_bytes, trouble)

    assert found.level is wanted
    assert said in str(found.text)
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
    return check_queue(JournalFacts(path=FOLDER, identity="till-1", live=rows), NOW_MS, run_worker=run_worker)


@given(st.lists(st.integers(-HOUR_MS, 1_000 * HOUR_MS), min_size=1, max_size=5))
def test_money_that_waits_for_an_hour_is_a_warning_and_for_a_day_a_fault(ages_ms: list[int]) -> None:
    found = queue(*(owed(NOW_MS - age_ms) for age_ms in ages_ms))
    oldest_ms = max(ages_ms)

    wanted = Level.OK if oldest_ms < HOUR_MS else Level.WARNING if oldest_ms < 24 * HOUR_MS else Level.FAULT
    assert found.level is wanted
    assert f"Pending cancellations: {len(ages_ms)}, the oldest for" in str(found.text)
    assert bool(found.remedy) is (wanted is not Level.OK)


def test_why_money_waits_is_told_and_who_should_return_it() -> None:
    late = queue(owed(NOW_MS - 3 * 24 * HOUR_MS, "error -31800"), run_worker=False)

    assert str(late.text).startswith("Pending cancellations: 1, the oldest for 3 days; last result: error -31800.")
    assert str(late.text).endswith("runWorker is off.")
    assert "Is payme worker running?" in str(late.remedy)
    assert "payme queue list" in str(late.remedy)
    assert str(queue().text) == "No pending cancellations."


# ---------------------------------------------------------------------------------------------------------------------
# Files and packages
# ---------------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 0o777))
def test_a_file_that_others_can_read_or_write_is_a_warning_with_the_command_that_closes_it(mode: int) -> None:
    (found,) = check_modes({FOLDER / "journal.sqlite3": stat.S_IFREG | mode})

    assert (found.level is Level.WARNING) is bool(mode & 0o006)
    assert str(found.remedy) == (f"chmod 0600 {FOLDER / 'journal.sqlite3'}" if mode & 0o006 else "")


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [(0o700, Level.OK), (0o755, Level.OK), (0o777, Level.WARNING), (0o1777, Level.OK)],
)
def test_a_folder_may_be_looked_into_but_nothing_taken_out_of_it(mode: int, wanted: Level) -> None:
    (found,) = check_modes({FOLDER: stat.S_IFDIR | mode})

    assert found.level is wanted


@pytest.mark.parametrize(
    ("folder", "project", "wanted", "said"),
    [
        ("/opt-copy/hookspecs", "pos", Level.WARNING, "another installation of payme-plugin: /opt-copy/hookspecs"),
        ("/foreign/hookspecs", "another", Level.FAULT, "in /foreign/hookspecs belongs to another program"),
        (None, "another", Level.FAULT, "can't be imported"),
    ],
)
def test_a_package_of_another_program_is_a_fault_that_names_its_folder(
    monkeypatch: pytest.MonkeyPatch, folder: str | None, project: str, wanted: Level, said: str
) -> None:
    found_there = ModuleSpec("hookspecs", None, is_package=True)
    found_there.submodule_search_locations = [] if folder is None else [folder]
    monkeypatch.setattr("hookspecs.__spec__", found_there)
    monkeypatch.setattr("hookspecs.PROJECT", project)
    found, _ = check_imports()

    assert found.level is wanted
    assert said in str(found.text)
