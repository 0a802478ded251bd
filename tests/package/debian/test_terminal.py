"""A person at a terminal is asked four questions, at the first installation and by dpkg-reconfigure."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import pytest

from tests.package.debian.conftest import CONF, KEY, places_of
from tests.package.debian.terminal import at_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.package.debian.conftest import Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

RECONFIGURE = ("dpkg-reconfigure", "artix-payme")
INSTALL = ("aptitude", "install", "artix-payme")
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
        ("Id of the merchant account (posId):", "5e73"),
        ("Key of the merchant account (posKey):", KEY),
    ]
    # One frontend is enough: the finder takes a whole processor.
    with on_no_command_line(KEY[:20]) if frontend == "readline" else nullcontext():
        environment = till.repository.environment | {"DEBIAN_FRONTEND": frontend, "TERM": screen}
        shown = at_terminal(INSTALL, replies, environment)

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


def test_the_answers_that_cant_be_used_are_asked_again_and_no_other(installed: Till, answers: dict[str, str]) -> None:
    before = CONF.read_bytes()
    number, url = "Number of the Payme tender: ", "Address of the PaymeGO server: "
    pos_id, key = "Id of the merchant account (posId): ", "Key of the merchant account (posKey): "
    replies = [
        *((number, "thirty"), (url, "checkout.paycom.uz"), (pos_id, "5e73"), (key, "ключ")),
        *((number, "2147483648"), (url, "http://checkout.paycom.uz/api"), (key, "")),
        *((number, "32"), (url, "")),
    ]
    environment = installed.repository.environment | {"DEBIAN_FRONTEND": "readline"}
    shown = at_terminal(RECONFIGURE, replies, environment)

    assert shown.count("Answers that can't be used") == 2
    assert CONF.read_bytes() == before.replace(b"paymentType = 7", b"paymentType = 32").replace(
        answers["posId"].encode(), b"5e73"
    )


def test_the_files_present_values_are_offered_and_the_key_is_not(
    installed: Till, answers: dict[str, str], tmp_path: Path
) -> None:
    CONF.write_text(CONF.read_text(encoding="utf-8").replace("paymentType = 7", "paymentType = 31"), encoding="utf-8")
    before = CONF.read_bytes()
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\ncat "$1" >>{tmp_path}/asked\n', encoding="utf-8")
    editor.chmod(0o755)
    wanted = {"DEBIAN_FRONTEND": "editor", "EDITOR": str(editor), "VISUAL": str(editor)}
    at_terminal(RECONFIGURE, [], installed.repository.environment | wanted)
    asked = (tmp_path / "asked").read_text(encoding="utf-8")

    assert re.findall(r'(?m)^artix-payme/(.*)="(.*)"$', asked) == [
        ("paymentType", "31"),
        ("url", answers["url"]),
        ("posId", answers["posId"]),
        ("posKey", ""),
    ]
    assert CONF.read_bytes() == before
