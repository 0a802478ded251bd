"""The three commands of docs/chain.md, as a reader runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.waiting import comes_true
from faults.child_process import without_coverage
from faults.rabbitmq import private_environment
from tests.docs.conftest import blocks, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.broker

PAGE = "docs/chain.md"


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The environment of a shell where ``payme`` and RabbitMQ's commands are on the path, and all data in a folder."""
    path = (str(Path(sys.executable).parent), "/usr/lib/rabbitmq/bin", os.environ["PATH"])
    with private_environment(tmp_path) as names:
        yield without_coverage({**os.environ, **names, "PATH": os.pathsep.join(path)})
        for process in processes_of(tmp_path):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def processes_of(home: Path) -> list[int]:
    """Return the processes whose home is this folder."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"HOME={home}".encode() in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
    return found


def test_the_three_commands_bring_up_a_chain_that_returns_the_money_of_an_unplugged_store(
    shell: Mapping[str, str], tmp_path: Path
) -> None:
    commands = [block.text for block in blocks(PAGE) if block.language == "sh"][:3]
    stops = re.findall(r"`((?:kill|rabbitmqctl) [^`]+)`", read(PAGE))[:2]
    script = "".join([*commands, "ended=$?\n", *(f"{stop}\n" for stop in stops), "wait\nexit $ended\n"])

    with (tmp_path / "shown").open("w+b") as shown:
        ended = subprocess.run(  # noqa: S603 - our own page
            ["bash", "-c", script],  # noqa: S607
            cwd=tmp_path,
            env=shell,
            stdout=shown,
            stderr=subprocess.STDOUT,
            timeout=200,
            check=False,
        )
    text = (tmp_path / "shown").read_text(encoding="utf-8")

    assert ended.returncode == 0, text
    assert "open cancellations: 0" in text
    assert comes_true(lambda: not processes_of(tmp_path)), "the page's commands stop what its commands start"
