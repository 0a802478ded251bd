"""The terminal as a cashier's screen: a real process on a real pseudo-terminal."""

from __future__ import annotations

import math
import os
import pty
import signal
import subprocess
import sys
from contextlib import contextmanager
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payme_plugin.cli.screen import bar
from tests.command.conftest import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """
    import sys
    from payme_plugin.cli.screen import Screen
    from payme_plugin.clock import SystemClock
    screen = Screen(SystemClock())
"""


class Terminal:
    """A process whose three streams are a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def until(self, text: str) -> str:
        """Read what is shown until ``text`` is in it, or to the end."""
        while text not in self.seen:
            try:
                more = os.read(self._descriptor, 4096)
            except OSError:
                more = b""
            if not more:
                break
            self.seen += more.decode("utf-8", errors="replace")
        assert text in self.seen, self.seen
        return self.seen


@contextmanager
def terminal(script: str) -> Iterator[Terminal]:
    """Run ``script`` after ``HEAD`` on a terminal of its own; Ctrl+C typed there is a signal, as on any terminal."""
    main, other = pty.openpty()
    process = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", dedent(HEAD) + dedent(script)],
        stdin=other,
        stdout=other,
        stderr=other,
        env=environment(COLUMNS="60"),
        start_new_session=True,
    )
    os.close(other)
    with process:
        try:
            yield Terminal(process, main)
        finally:
            process.kill()
            os.close(main)


def scans(script: str, scanned: bytes | None) -> str:
    """What the script prints when ``scanned`` is piped into it; None: nothing comes, and the pipe stays open."""
    process = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", dedent(HEAD) + dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        if scanned is not None:
            process.stdin.write(scanned)
            process.stdin.close()
        return process.stdout.read().decode()


ONE_SCAN = "print(ascii(screen.scan('Scan', 20)))"
TWO_SCANS = f"{ONE_SCAN}; {ONE_SCAN}"


@pytest.mark.parametrize(
    ("scanned", "read"),
    [
        (b"123456\n", ["'123456'", "None"]),
        (b"123456\r\n654321\n", ["'123456'", "'654321'"]),
        (b" 123456 \n\n", ["' 123456 '", "''"]),
        (b"123456", ["'123456'", "None"]),
        (b"", ["None", "None"]),
        (b"\xff\xfe\n", [r"'\ufffd\ufffd'", "None"]),
        ("код\n".encode(), [ascii("код"), "None"]),
    ],
)
def test_a_scan_is_one_line_unchanged_and_the_end_of_input_is_none(scanned: bytes, read: list[str]) -> None:
    assert scans(TWO_SCANS, scanned).splitlines() == read


@pytest.mark.parametrize("stdin", ["None", "io.StringIO('123456')"])
def test_without_a_stdin_of_the_system_nothing_is_scanned(stdin: str) -> None:
    assert scans(f"import io; sys.stdin = {stdin}; {ONE_SCAN}", b"654321\n") == "None\n"


def test_a_scan_that_does_not_come_in_time_is_none() -> None:
    assert scans("print(screen.scan('Scan', 0.05))", None) == "None\n"


def test_the_wait_is_a_bar_with_the_text_that_fits_the_terminal() -> None:
    script = """
        screen.progress(5.0, 10.0, 'Waiting: 5 s left, ' + 'x' * 100)
        screen.clear()
        print('over')
    """
    with terminal(script) as shown:
        seen = shown.until("over")

    line = seen.split("\x1b[K")[1].rstrip("\r")
    assert line.startswith("█" * 10 + "░" * 10 + " Waiting: 5 s left, ")
    assert len(line) == 59


def test_where_nobody_looks_no_bar_is_drawn() -> None:
    assert scans("sys.stderr = sys.stdout; print(screen.progress(1.0, 2.0, 'Waiting'))", b"") == "None\n"


def test_a_dumb_terminal_gets_no_bar() -> None:
    script = """
        import os
        os.environ["TERM"] = "dumb"
        screen.progress(1.0, 2.0, 'Waiting')
        print('over')
    """
    with terminal(script) as shown:
        assert "Waiting" not in shown.until("over")


def test_ctrl_c_during_a_wait_is_the_cashiers_stop_and_no_traceback() -> None:
    script = """
        import time
        with screen.stoppable():
            print('ready')
            while not screen.progress(1.0, 300.0, 'Waiting'):
                time.sleep(0.01)
        print('stopped')
    """
    with terminal(script) as shown:
        shown.until("Waiting")
        os.killpg(shown.process.pid, signal.SIGINT)
        assert "Traceback" not in shown.until("stopped")
        assert shown.process.wait(30) == 0


def test_ctrl_c_during_a_scan_is_no_code_and_the_wait_after_it_is_stopped() -> None:
    script = """
        with screen.stoppable():
            print(screen.scan('Scan', 60), screen.progress(1.0, 2.0, ''), screen.scan('Again', 60))
        print('over')
    """
    with terminal(script) as shown:
        shown.until("Scan")
        os.killpg(shown.process.pid, signal.SIGINT)
        seen = shown.until("over")

    assert "None True None" in seen
    assert "Traceback" not in seen


def test_a_notice_clears_the_bar_and_stands_on_lines_of_its_own() -> None:
    script = """
        screen.progress(1.0, 2.0, 'Waiting')
        screen.notice('payme.queue', 'first\\nsecond')
        screen.notice('payme.queue', None)
        print('over')
    """
    with terminal(script) as shown:
        seen = shown.until("over")

    assert "Waiting\r\x1b[K! first\r\n! second\r\n" in seen


@example(elapsed_s=math.nan, total_s=1.0, width=10)
@example(elapsed_s=math.inf, total_s=math.inf, width=10)
@given(elapsed_s=st.floats(), total_s=st.floats(), width=st.integers(min_value=1, max_value=80))
def test_a_bar_is_as_wide_as_asked_whatever_it_shows(elapsed_s: float, total_s: float, width: int) -> None:
    drawn = bar(elapsed_s, total_s, width)

    assert len(drawn) == width
    assert drawn == "█" * drawn.count("█") + "░" * drawn.count("░")
