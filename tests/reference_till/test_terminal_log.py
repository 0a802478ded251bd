"""The till's log: its layout, its place, and that it stops nothing."""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.till import TerminalLogFormatter, terminal_log

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.floor

LAYOUT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?=.{5} \S)(\S+) +(\S+)  - (.*)")


def record(message: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("payme", level, __file__, 1, message, None, None)


def test_an_event_has_the_layout_of_the_tills_main_log() -> None:
    event = record("receipts.create sent")
    event.created, event.msecs = 1_769_862_896.789, 789.0
    line = TerminalLogFormatter().format(event)

    local = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.created))
    assert line == f"{local},789 INFO  payme  - receipts.create sent"


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (logging.DEBUG, "DEBUG"),
        (logging.INFO, "INFO "),
        (logging.WARNING, "WARN "),
        (logging.ERROR, "ERROR"),
        (logging.CRITICAL, "FATAL"),
    ],
)
def test_a_level_has_its_name_of_that_log_in_five_columns(level: int, shown: str) -> None:
    assert f" {shown} payme  - x" in TerminalLogFormatter().format(record("x", level))


@given(message=st.text())
def test_an_event_is_one_line_whatever_a_server_puts_into_it(message: str) -> None:
    line = TerminalLogFormatter().format(record(message))

    assert len(line.splitlines()) == 1
    assert line.isprintable()


@pytest.mark.parametrize("character", ["\x1b", "\n", "\x9b", "\u202e", "\u2066", "\u200f", "\u2028"])
def test_a_character_that_changes_a_terminal_or_turns_text_around_is_escaped(character: str) -> None:
    line = TerminalLogFormatter().format(record(f"receipt {character}65f0"))

    assert line.endswith(f"receipt {character.encode('unicode_escape').decode()}65f0")


def test_a_traceback_stays_on_the_line_of_its_event(tmp_path: Path) -> None:
    with terminal_log(tmp_path / "terminal.log"):
        try:
            raise RuntimeError("boom\n2026-01-31 12:34:56,789 INFO payme  - forged")
        except RuntimeError:
            logging.getLogger("payme").exception("on_payment failed")

    (line,) = (tmp_path / "terminal.log").read_text(encoding="utf-8").splitlines()
    assert "on_payment failed\\nTraceback" in line
    assert "RuntimeError: boom\\n2026" in line


def test_the_log_is_appended_to_and_is_not_for_others(tmp_path: Path) -> None:
    path = tmp_path / "terminal.log"
    for text in ("first", "второй"):
        with terminal_log(path):
            logging.getLogger("payme.client").info(text)
            logging.getLogger("pos.plugins").warning(text)

    lines = [LAYOUT.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [found and found.groups() for found in lines] == [
        ("INFO", "payme.client", "first"),
        ("WARN", "pos.plugins", "first"),
        ("INFO", "payme.client", "второй"),
        ("WARN", "pos.plugins", "второй"),
    ]
    assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0


def test_nothing_is_written_before_and_after_and_the_loggers_are_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "terminal.log"
    logger = logging.getLogger("payme")
    before = (logger.level, list(logger.handlers))
    with terminal_log(path):
        pass
    logger.info("later")

    assert (logger.level, logger.handlers) == before
    assert not path.exists()


@pytest.mark.parametrize("folder", [".", "missing/deeper"], ids=["it is a folder", "its folder is missing"])
def test_a_log_that_can_not_be_written_stops_nothing(
    tmp_path: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with terminal_log(tmp_path / folder):
        logging.getLogger("payme").info("a sale goes on")

    assert capsys.readouterr() == ("", "")


def events_in(path: Path) -> list[str]:
    """The events of a log without times, levels and names; none if it does not exist."""
    if not path.exists():
        return []
    lines = [LAYOUT.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [found.group(3) if found else "no event" for found in lines]


def test_the_main_log_is_taken_where_it_is_there(tmp_path: Path) -> None:
    own, main = tmp_path / "terminal.log", tmp_path / "main.log"
    main.write_text("", encoding="utf-8")
    main.chmod(0o644)
    with terminal_log(own, main):
        logging.getLogger("payme").info("a request")

    assert (events_in(main), events_in(own)) == (["a request"], [])
    assert stat.S_IMODE(main.stat().st_mode) == 0o644, "the host's file keeps its mode"


def test_a_main_log_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    own, main = tmp_path / "terminal.log", tmp_path / "main.log"
    with terminal_log(own, main):
        logging.getLogger("payme").info("a request")

    assert (events_in(own), main.exists()) == (["a request"], False)


def test_a_main_log_that_the_till_puts_away_is_left_and_the_next_one_is_taken(tmp_path: Path) -> None:
    own, main = tmp_path / "terminal.log", tmp_path / "main.log"
    main.write_text("", encoding="utf-8")
    logger = logging.getLogger("payme")
    with terminal_log(own, main):
        logger.info("of the first shift")
        main.rename(tmp_path / "yesterday.log")
        logger.info("between the shifts")
        main.write_text("", encoding="utf-8")
        logger.info("of the second shift")

    assert events_in(tmp_path / "yesterday.log") == ["of the first shift"]
    assert events_in(own) == ["between the shifts"]
    assert events_in(main) == ["of the second shift"]


def test_a_main_log_in_a_folder_that_may_not_be_entered_stops_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may enter any folder, so the refusal is played at the system call."""
    own, main = tmp_path / "terminal.log", tmp_path / "closed" / "main.log"
    stat = os.stat

    def closed(path: Path, **given: bool) -> os.stat_result:
        if str(path) == str(main):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return stat(path, **given)

    monkeypatch.setattr(os, "stat", closed)
    with terminal_log(own, main):
        logging.getLogger("payme").info("a request")

    assert events_in(own) == ["a request"]


def test_a_main_log_that_the_till_puts_away_during_an_event_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, main = tmp_path / "terminal.log", tmp_path / "main.log"
    main.touch()

    def is_file(path: Path) -> bool:
        path.rename(tmp_path / "yesterday.log")
        return True

    monkeypatch.setattr(os.path, "isfile", is_file)
    with terminal_log(own, main):
        logging.getLogger("payme").info("a request")

    assert (events_in(own), main.exists()) == (["a request"], False)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["a folder", "a pipe that nobody reads"])
def test_a_main_log_that_is_no_file_is_left_alone(tmp_path: Path, make: Callable[[Path], None]) -> None:
    own, main = tmp_path / "terminal.log", tmp_path / "main.log"
    make(main)
    with terminal_log(own, main):
        logging.getLogger("payme").info("a request")

    assert events_in(own) == ["a request"]


def test_an_event_whose_arguments_do_not_fit_is_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("payme"), "propagate", False)  # the test runner's own handler raises
    with terminal_log(tmp_path / "terminal.log"):
        logging.getLogger("payme").info("%d", "seven")
        logging.getLogger("payme").info("a sale goes on")

    assert events_in(tmp_path / "terminal.log") == ["a sale goes on"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_log(Path("/dev/full")):
        logging.getLogger("payme").info("a sale goes on")

    assert "Traceback" not in capsys.readouterr().err
