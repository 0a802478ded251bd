"""The till's log: its layout, its place, and that it stops nothing."""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payme_plugin.till import TerminalLogFormatter, terminal_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.floor

LAYOUT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?=.{5} \S)(\S+) +(\S+)  - (.*)")
LEVELS = {"DEBUG": "DEBUG", "INFO": "INFO ", "WARNING": "WARN ", "ERROR": "ERROR", "CRITICAL": "FATAL"}
payme = logging.getLogger("payme")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "terminal.log"


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """The place of the till's main log, where nothing is yet."""
    return tmp_path / "main.log"


def events_in(path: Path) -> list[str]:
    """The events of a log without times, levels and names; none if it does not exist."""
    if not path.exists():
        return []
    lines = [LAYOUT.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [found.group(3) if found else "no event" for found in lines]


# ---------------------------------------------------------------------------------------------------------------------
# One event, one line
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_an_event_has_the_layout_of_the_tills_main_log(level: str) -> None:
    event = logging.LogRecord("payme", getattr(logging, level), __file__, 1, "receipts.create sent", None, None)
    event.created, event.msecs = 1_769_862_896.789, 789.0

    local = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.created))
    assert TerminalLogFormatter().format(event) == f"{local},789 {LEVELS[level]} payme  - receipts.create sent"


@given(message=st.text())
@example("\x1b\n\x9b\u202e\u2066\u200f\u2028")
def test_an_event_is_one_line_without_what_changes_a_terminal_or_turns_text_around(message: str) -> None:
    line = TerminalLogFormatter().format(logging.LogRecord("payme", logging.INFO, __file__, 1, message, None, None))

    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_a_traceback_stays_on_the_line_of_its_event(own: Path) -> None:
    with terminal_log(own):
        try:
            raise RuntimeError("boom\n2026-01-31 12:34:56,789 INFO payme  - forged")
        except RuntimeError:
            payme.exception("on_payment failed")

    (line,) = own.read_text(encoding="utf-8").splitlines()
    assert "on_payment failed\\nTraceback" in line
    assert "RuntimeError: boom\\n2026" in line


# ---------------------------------------------------------------------------------------------------------------------
# The file
# ---------------------------------------------------------------------------------------------------------------------


def test_the_log_is_appended_to_and_is_not_for_others(own: Path) -> None:
    for text in ("first", "второй"):
        with terminal_log(own):
            logging.getLogger("payme.client").info(text)
            logging.getLogger("pos.plugins").warning(text)

    assert events_in(own) == ["first", "first", "второй", "второй"]
    assert stat.S_IMODE(own.stat().st_mode) & 0o137 == 0


def test_nothing_is_written_before_and_after_and_the_loggers_are_as_they_were(own: Path) -> None:
    before = (payme.level, list(payme.handlers))
    with terminal_log(own):
        pass
    payme.info("later")

    assert (payme.level, payme.handlers) == before
    assert not own.exists()


@pytest.mark.parametrize("path", [".", "missing/deeper", "/dev/full"])
def test_a_log_that_can_not_be_written_stops_nothing(
    tmp_path: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with terminal_log(tmp_path / path):
        payme.info("a sale goes on")

    assert "Traceback" not in capsys.readouterr().err


def test_an_event_whose_arguments_do_not_fit_is_dropped(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payme, "propagate", False)  # the test runner's own handler raises
    with terminal_log(own):
        payme.info("%d", "seven")
        payme.info("a sale goes on")

    assert events_in(own) == ["a sale goes on"]
    assert capsys.readouterr() == ("", "")


# ---------------------------------------------------------------------------------------------------------------------
# The till's main log
# ---------------------------------------------------------------------------------------------------------------------


def test_a_main_log_is_taken_while_it_is_there_and_the_next_one_after_it(tmp_path: Path, own: Path, main: Path) -> None:
    main.touch()
    main.chmod(0o644)
    with terminal_log(own, main):
        payme.info("of the first shift")
        assert stat.S_IMODE(main.stat().st_mode) == 0o644, "the host's file keeps its mode"
        main.rename(tmp_path / "yesterday.log")
        payme.info("between the shifts")
        assert not main.exists(), "only the till makes it"
        main.touch()
        payme.info("of the second shift")

    assert events_in(tmp_path / "yesterday.log") == ["of the first shift"]
    assert events_in(own) == ["between the shifts"]
    assert events_in(main) == ["of the second shift"]


def test_a_main_log_that_the_till_puts_away_during_an_event_is_not_made_anew(
    tmp_path: Path, own: Path, main: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main.touch()

    def is_file(path: Path) -> bool:
        path.rename(tmp_path / "yesterday.log")
        return True

    monkeypatch.setattr(os.path, "isfile", is_file)
    with terminal_log(own, main):
        payme.info("a request")

    assert (events_in(own), main.exists()) == (["a request"], False)


def in_a_closed_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may enter any folder, so the refusal is played at the system call."""
    status = os.stat

    def closed(asked: Path, **given: bool) -> os.stat_result:
        if str(asked) == str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return status(asked, **given)

    monkeypatch.setattr(os, "stat", closed)


def a_folder(path: Path, _: pytest.MonkeyPatch) -> None:
    path.mkdir()


def a_pipe_that_nobody_reads(path: Path, _: pytest.MonkeyPatch) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [in_a_closed_folder, a_folder, a_pipe_that_nobody_reads])
def test_a_main_log_that_is_not_a_file_is_not_changed(
    own: Path, main: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    make(main, monkeypatch)
    with terminal_log(own, main):
        payme.info("a request")

    assert events_in(own) == ["a request"]
