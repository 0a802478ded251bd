"""The demonstration, once for a person and once as a document."""

from __future__ import annotations

import re
import subprocess
import time

import pytest

from tests.cli.conftest import Ended, command_line, environment


@pytest.fixture(scope="module")
def shows() -> tuple[Ended, Ended, float]:
    """Both at a time, and how long they took together, in seconds."""
    started = time.monotonic()
    running = [
        subprocess.Popen(  # noqa: S603 - our own command
            command_line("demo", *more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=environment(),
        )
        for more in ((), ("--json",))
    ]
    spoken, written = [process.communicate(timeout=110) for process in running]
    codes = [process.returncode for process in running]
    return Ended(codes[0], *spoken), Ended(codes[1], *written), time.monotonic() - started


def test_the_demo_plays_every_act_right_within_its_time(shows: tuple[Ended, Ended, float]) -> None:
    shown, _, elapsed_s = shows

    assert (shown.code, shown.err) == (0, "")
    assert elapsed_s < 45
    assert re.search(r"All \d+ checks were right\.\n$", shown.out)
    assert "WRONG" not in shown.out
    assert all(len(line) <= 80 for line in shown.out.splitlines())


def test_the_demo_as_a_document_has_every_check(shows: tuple[Ended, Ended, float]) -> None:
    _, shown, _ = shows

    assert (shown.code, shown.err) == (0, "")
    assert shown.document["ok"] is True
    titles = [act["title"] for act in shown.document["acts"]]
    assert len(titles) == len(set(titles)) >= 8
    checks = [check["text"] for act in shown.document["acts"] for check in act["checks"]]
    assert "the slip is printed twice, after the receipt has closed" in checks
    assert "intent -> created -> paying -> paid -> recorded" in checks
    assert "one cancellation waits in the journal" in checks
    for story in ("The power fails", "A cancel", "A full refund", "A part of a sale", "Marked goods"):
        assert any(title.startswith(story) for title in titles), story
    assert "the process was killed (signal 9)" in checks
    assert "after the restart the verdict is PAID" in checks
    assert "after the restart the verdict is UNKNOWN" in checks
    assert "the rule is partial-refund" in checks
    assert checks[-3:-1] == ["no cancellation is left to deliver", "every sale agrees"]
