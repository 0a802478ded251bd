"""The terminal as a cashier's screen: a real process on a real pseudo-terminal."""

from __future__ import annotations

import math
import os
import pty
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payme_plugin.cli.screen import bar
from tests.command.conftest import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEAD = """
import sys, time
from payme_plugin.cli.screen import Screen
from payme_plugin.clock import SystemClock
screen = Screen(SystemClock())
"""


@contextmanager
def terminal(script: str, **changed: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[str], str]]]:
    """Run ``script`` after ``HEAD`` on a terminal of its own; yield the process and what reads up to a text."""
    main, other = pty.openpty()
    process = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", HEAD + script],
        stdin=other,
        stdout=other,
        stderr=other,
        env=environment(COLUMNS="60", **changed),
        start_new_session=True,
    )
    os.close(other)
    seen = ""

    def until(text: str) -> str:
        nonlocal seen
        while text not in seen:
            seen += os.read(main, 4096).decode("utf-8", errors="replace")
        return seen

    with process:
        try:
            yield process, until
        finally:
            process.kill()
            os.close(main)


def scans(script: str, scanned: bytes | None) -> str:
    """What the script prints when ``scanned`` is piped into it; None: nothing comes, and the pipe stays open."""
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", HEAD + script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if scanned is not None:
            process.stdin.write(scanned)
            process.stdin.close()
        return process.stdout.read().decode()


ONE_SCAN = "print(ascii(screen.scan('Scan', 20)))"


@pytest.mark.parametrize(
    ("scanned", "read"),
    [
        (b"123456\r\n654321\n", ["'123456'", "'654321'"]),
        (b" 123456 \n\n", ["' 123456 '", "''"]),
        (b"123456", ["'123456'", "None"]),
        (b"\xff\xfe\n", [r"'\ufffd\ufffd'", "None"]),
        ("код\n".encode(), [ascii("код"), "None"]),
    ],
)
def test_a_scan_is_one_line_unchanged_and_the_end_of_input_is_none(scanned: bytes, read: list[str]) -> None:
    assert scans(f"{ONE_SCAN}; {ONE_SCAN}", scanned).splitlines() == read


@pytest.mark.parametrize("stdin", ["None", "io.StringIO('123456')"])
def test_without_a_stdin_of_the_system_nothing_is_scanned(stdin: str) -> None:
    assert scans(f"import io; sys.stdin = {stdin}; {ONE_SCAN}", b"654321\n") == "None\n"


def test_a_scan_that_does_not_come_in_time_is_none() -> None:
    assert scans("print(screen.scan('Scan', 0.05))", None) == "None\n"


def test_the_wait_is_a_bar_with_the_text_that_fits_the_terminal_and_a_notice_stands_on_its_own_lines() -> None:
    script = """
screen.progress(5.0, 10.0, 'Waiting: 5 s left, ' + 'x' * 100)
screen.notice('payme.queue', 'first\\nsecond')
screen.notice('payme.queue', None)
screen.clear()
print('over')
"""
    with terminal(script) as (_, until):
        _, shown, rest = until("over").split("\x1b[K", 2)

    line = shown.rstrip("\r")
    assert line.startswith("█" * 10 + "░" * 10 + " Waiting: 5 s left, ")
    assert len(line) == 59
    assert rest.startswith("! first\r\n! second\r\n")


def test_no_bar_is_drawn_without_a_terminal_or_on_a_dumb_one() -> None:
    assert scans("sys.stderr = sys.stdout; print(screen.progress(1.0, 2.0, 'Waiting'))", b"") == "None\n"
    with terminal("screen.progress(1.0, 2.0, 'Waiting'); print('over')", TERM="dumb") as (_, until):
        assert "Waiting" not in until("over")


def test_ctrl_c_during_a_wait_is_the_cashiers_stop_and_no_traceback() -> None:
    script = """
with screen.stoppable():
    while not screen.progress(1.0, 300.0, 'Waiting'):
        time.sleep(0.01)
print('stopped')
"""
    with terminal(script) as (process, until):
        until("Waiting")
        os.killpg(process.pid, signal.SIGINT)
        assert "Traceback" not in until("stopped")
        assert process.wait(30) == 0


def test_ctrl_c_during_a_scan_ends_it_without_a_code_and_stops_the_wait_after_it() -> None:
    script = """
with screen.stoppable():
    print(screen.scan('Scan', 60), screen.progress(1.0, 2.0, ''), screen.scan('Again', 60))
print('over')
"""
    with terminal(script) as (process, until):
        until("Scan")
        os.killpg(process.pid, signal.SIGINT)
        seen = until("over")

    assert ("None True None" in seen, "Traceback" in seen) == (True, False)


@example(elapsed_s=math.nan, total_s=1.0, width=10)
@example(elapsed_s=math.inf, total_s=math.inf, width=10)
@given(elapsed_s=st.floats(), total_s=st.floats(), width=st.integers(min_value=1, max_value=80))
def test_a_bar_is_as_wide_as_asked_whatever_it_shows(elapsed_s: float, total_s: float, width: int) -> None:
    drawn = bar(elapsed_s, total_s, width)

    assert len(drawn) == width
    assert drawn == "█" * drawn.count("█") + "░" * drawn.count("░")
