"""The examples in the pages run, and take a payment; so do the lines of the tutorial, typed into a shell."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from faults.child_process import without_coverage
from hookspecs import PosPlugins, ReversalStatus
from payme_plugin.sandbox import FaultKind, InjectedFault
from tests.docs.conftest import NAMES, ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payme_plugin.sandbox import Sandbox

WITH_EXAMPLES = [name for name in NAMES if any(block.language == "python" for block in blocks(name))]
LONGEST_HOST = 55
ENDING = """
from payme_plugin.ledger.reader import JournalReader

reader = JournalReader.open_read_only(folder / "payme" / "journal.sqlite3")
while any(row.confirmed_at is None for row in reader.live_cancellations()):
    time.sleep(0.01)
plugins.on_stop()
"""
"""What the host of the pages does at its end in a test: it waits until what is owed is returned."""

LAYOUT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?:INFO |WARN |ERROR|FATAL) (?:payme|pos[.a-z]*)  - \S.*")


def made_alike(line: str) -> str:
    """Return what a line of the log says, whatever the time, the receipt and the milliseconds."""
    return re.sub(r"\b[0-9a-f]{24}\b|\d+(?= ms)", "0", line.partition("  - ")[2])


@pytest.fixture
def names(sandbox: Sandbox, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The names that an example may ask for; its plugins are stopped whatever became of it."""
    given: dict[str, Any] = {"sandbox": sandbox, "folder": tmp_path}
    loggers = [logging.getLogger(name) for name in ("payme", "pos")]
    levels = [logger.level for logger in loggers]
    yield given
    plugins = given.get("plugins")
    if isinstance(plugins, PosPlugins):
        plugins.on_stop()
    if "sandbox" in given:
        given["sandbox"].stop()
    handler = given.get("handler")
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
        if isinstance(handler, logging.Handler):
            logger.removeHandler(handler)
    if isinstance(handler, logging.Handler):
        handler.close()


def run(page: str, names: dict[str, Any]) -> None:
    """Run the Python of a page in one go, with the lines that it has there."""
    for block in blocks(page):
        if block.language == "python":
            assert set(block.fixtures) <= {"sandbox", "folder"}, f"{page}:{block.line}: no such fixture"
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, str(ROOT / page), "exec"), names)  # noqa: S102 - our own page


def test_the_pages_with_examples_are_these() -> None:
    assert WITH_EXAMPLES == [
        "README.md",
        "docs/conformance.md",
        "docs/embedding.md",
        "docs/host.md",
        "docs/sandbox.md",
        "docs/testing.md",
    ]


def host_of(page: str) -> str:
    """Return the host in a page: its longest example."""
    return max((block.text for block in blocks(page) if block.language == "python"), key=len)


def test_the_host_of_the_readme_takes_a_payment_in_50_lines(
    names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beginning, host = (each for each in blocks("README.md") if each.language == "python")
    assert beginning.fixtures == host.fixtures == (), "a reader can paste them as they are"
    assert len([line for line in host.text.splitlines() if line.strip()]) <= LONGEST_HOST
    assert host.text == host_of("docs/host.md")
    del names["sandbox"], names["folder"]
    monkeypatch.chdir(tmp_path)

    run("README.md", names)

    assert sold_in(tmp_path / "till-data") == names["sandbox"].held() == 1_500_000


def sold_in(folder: Path) -> int:
    """Return what the closed sales in the host's book come to."""
    with closing(sqlite3.connect(folder / "till.db")) as book:
        return int(book.execute("SELECT coalesce(sum(amount), 0) FROM sale WHERE status = 'CLOSED'").fetchone()[0])


def started(sandbox: Sandbox, folder: Path) -> subprocess.Popen[bytes]:
    """Start the host of the pages in a process of its own, at a sandbox in this one.

    It restores what was left, and then makes a sale to a buyer who pays.
    """
    given = {"url": sandbox.url, "pos_id": sandbox.pos_id, "pos_key": sandbox.pos_key}
    beginning = (
        "from pathlib import Path\nfrom types import SimpleNamespace\n"
        f"folder, code = Path({str(folder)!r}), {sandbox.issue_code()!r}\n"
        f"sandbox = SimpleNamespace(**{given!r}, issue_code=lambda: code)\n"
    )
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(  # noqa: S603 - our own page
        [sys.executable, "-c", beginning + host_of("docs/host.md") + ENDING],
        env=without_coverage({**os.environ, "PYTHONPATH": path}),
    )


@pytest.mark.parametrize(("method", "sales"), [("receipts.create", 1), ("receipts.pay", 2)])
def test_the_host_of_the_pages_killed_in_a_payment_has_its_money(
    sandbox: Sandbox, tmp_path: Path, method: str, sales: int
) -> None:
    sandbox.inject(InjectedFault(FaultKind.SILENT_AFTER_EFFECT, method))
    with started(sandbox, tmp_path) as process:
        while not any(request.method == method for request in sandbox.requests):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.001)
        process.kill()
    sandbox.clear_faults()

    with started(sandbox, tmp_path) as process:
        assert process.wait(60) == 0
    assert sandbox.held() == sold_in(tmp_path) == 1_500_000 * sales


def test_the_host_of_the_contract_sells_gives_back_and_logs_as_an_artix_till(
    sandbox: Sandbox, names: dict[str, Any], tmp_path: Path
) -> None:
    run("docs/host.md", names)

    assert names["paper"], "the slip was printed"
    assert names["given_back"].status is ReversalStatus.REVERSED
    assert sandbox.held() == 0

    lines = (tmp_path / "terminal.log").read_text(encoding="utf-8").splitlines()
    (shown,) = [block.text.splitlines() for block in blocks("docs/host.md") if block.language == "text"]
    assert [line for line in lines + shown if not LAYOUT.fullmatch(line)] == []
    assert all(
        any(f" - request {method}" in line for line in lines) for method in ("receipts.create", "receipts.cancel")
    )
    assert set(map(made_alike, shown)) <= set(map(made_alike, lines)), "the page shows lines that are written"
    assert sandbox.pos_key not in "".join(lines)


def test_the_lines_of_the_tutorial_do_what_it_says(sandbox: Sandbox, tmp_path: Path) -> None:
    page = "docs/first-payment.md"
    lines = "".join(block.text for block in blocks(page) if block.language == "sh")
    (exports,) = (line for block in blocks(page) for line in block.text.splitlines() if line.startswith("export"))
    names = dict(word.split("=") for word in exports.split()[2:])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    ended = subprocess.run(  # noqa: S603 - our own page
        ["bash", "-eu", "-c", lines.replace(":8765", f":{sandbox.port}")],  # noqa: S607
        cwd=tmp_path,
        env=without_coverage({**os.environ, **names, "PATH": path}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    last = ended.stdout.splitlines()[-3:]
    assert [line.split()[2:-1] for line in last] == [
        ["1", "000.00", "PAID"],
        ["30", "000.00", "PAID"],
        ["15", "000.00", "REVERSED"],
    ]
    assert "REVERSED" in ended.stdout
    assert "PAYING" in ended.stdout
    assert sandbox.held() == 3_100_000
