from __future__ import annotations

import logging
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.till import TerminalLogFormatter, terminal_log

LAYOUT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (\S+) (\S+)  - (.*)")


def record(message: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("payme", level, __file__, 1, message, None, None)


def test_an_event_has_the_layout_of_the_tills_main_log() -> None:
    event = record("receipts.create sent")
    event.created, event.msecs = 1_769_862_896.789, 789.0
    line = TerminalLogFormatter().format(event)

    assert re.fullmatch(r"2026-01-31 \d\d:34:56,789 INFO payme  - receipts\.create sent", line)


@given(message=st.text())
def test_an_event_is_one_line_whatever_a_server_puts_into_it(message: str) -> None:
    line = TerminalLogFormatter().format(record(message))

    assert len(line.splitlines()) == 1
    assert not re.search("[\x00-\x1f\x7f]", line)


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
        ("WARNING", "pos.plugins", "first"),
        ("INFO", "payme.client", "второй"),
        ("WARNING", "pos.plugins", "второй"),
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_log(Path("/dev/full")):
        logging.getLogger("payme").info("a sale goes on")

    assert "Traceback" not in capsys.readouterr().err
