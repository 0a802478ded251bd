"""A person at a terminal is asked the four questions: at the first installation, and by dpkg-reconfigure."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import pytest

from tests.dpkg.conftest import CONF, KEY, places_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.dpkg.conftest import Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

RECONFIGURE = ("dpkg-reconfigure", "artix-payme")
INSTALL = ("aptitude", "install", "artix-payme")
CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>78])|[\x0e\x0f]")
ROWS_COLUMNS = struct.pack("HHHH", 40, 120, 0, 0)


def at_terminal(till: Till, command: tuple[str, ...], replies: list[tuple[str, str]], **environment: str) -> str:
    """Run a command at a terminal; give each reply when its prompt is there. Return what was shown, without colours."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, ROWS_COLUMNS)
    child = subprocess.Popen(  # noqa: S603 - our own command
        ["setsid", "--ctty", "--wait", *command],  # noqa: S607
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**till.repository.environment, "TERM": "dumb", **environment},
    )
    os.close(slave)
    shown, told, deadline = "", 0, time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            if master in select.select([master], [], [], 0.1)[0]:
                try:
                    shown += os.read(master, 4096).decode(errors="replace")
                except OSError:
                    break
            if replies and replies[0][0] in CONTROL.sub("", shown[told:]):
                told = len(shown)
                os.write(master, f"{replies.pop(0)[1]}\r".encode())
        assert replies == [], shown
        assert child.wait(10) == 0, shown
    finally:
        # What still runs would keep the database of the answers locked.
        child.kill()
        os.close(master)
    return CONTROL.sub("", shown)


FIND_ON_COMMAND_LINES = """
import os, pathlib, sys
while True:
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            data = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if sys.argv[1] in data and path.parent.name != str(os.getpid()):
            print(data, flush=True)
"""


@contextmanager
def on_no_command_line(text: str) -> Iterator[None]:
    """Make sure that no command line has ``text`` in the meantime."""
    finder = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", FIND_ON_COMMAND_LINES, text], stdout=subprocess.PIPE, text=True
    )
    try:
        yield
    finally:
        finder.kill()
        found, _ = finder.communicate()
    assert found == ""


@pytest.mark.parametrize(("frontend", "screen"), [("readline", "dumb"), ("dialog", "linux")])
def test_at_the_first_installation_a_person_answers_four_questions(till: Till, frontend: str, screen: str) -> None:
    replies = [
        ("Number of the Payme tender:", "7"),
        ("Address of the PaymeGO server:", ""),
        ("Id of the kassa (posId):", "5e73"),
        ("Key of the kassa (posKey):", KEY),
    ]
    # One frontend is enough: the finder takes a whole processor.
    with on_no_command_line(KEY[:20]) if frontend == "readline" else nullcontext():
        shown = at_terminal(till, INSTALL, replies, DEBIAN_FRONTEND=frontend, TERM=screen)

    assert till.state == "ii"
    assert till.values() == {
        "url": '"https://checkout.paycom.uz/api"',
        "posId": '"5e73"',
        "posKey": f'"{KEY}"',
        "paymentType": "7",
    }
    assert till.payme("settings", "check").code == 0
    assert places_of(KEY) == [str(CONF)]
    assert KEY not in shown


def test_at_a_terminal_an_invalid_answer_is_asked_again(installed: Till, answers: dict[str, str]) -> None:
    before = CONF.read_bytes()
    replies = [
        ("Number of the Payme tender: ", "thirty"),
        ("Number of the Payme tender: ", "2147483648"),
        ("Number of the Payme tender: ", "32"),
        ("Address of the PaymeGO server: ", "checkout.paycom.uz"),
        ("Address of the PaymeGO server: ", "http://checkout.paycom.uz/api"),
        ("Address of the PaymeGO server: ", ""),
        ("Id of the kassa (posId): ", "a:b"),
        ("Id of the kassa (posId): ", "5e73"),
        ("Key of the kassa (posKey): ", "ключ"),
        ("Key of the kassa (posKey): ", ""),
    ]
    shown = at_terminal(installed, RECONFIGURE, replies, DEBIAN_FRONTEND="readline")

    assert shown.count("This answer can't be used") == 6
    assert CONF.read_bytes() == before.replace(b"paymentType = 7", b"paymentType = 32").replace(
        answers["pos_id"].encode(), b"5e73"
    )


def test_the_files_present_values_are_offered_and_the_key_is_not(
    installed: Till, answers: dict[str, str], tmp_path: Path
) -> None:
    CONF.write_text(CONF.read_text(encoding="utf-8").replace("paymentType = 7", "paymentType = 31"), encoding="utf-8")
    before = CONF.read_bytes()
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\ncat "$1" >>{tmp_path}/asked\n', encoding="utf-8")
    editor.chmod(0o755)
    at_terminal(installed, RECONFIGURE, [], DEBIAN_FRONTEND="editor", EDITOR=str(editor), VISUAL=str(editor))
    asked = (tmp_path / "asked").read_text(encoding="utf-8")

    assert re.findall(r'(?m)^artix-payme/(.*)="(.*)"$', asked) == [
        ("payment-type", "31"),
        ("url", answers["url"]),
        ("pos-id", answers["pos_id"]),
        ("pos-key", ""),
    ]
    assert CONF.read_bytes() == before
