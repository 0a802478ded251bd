"""The examples in the pages run, and take a payment."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from hookspecs import PaymentStatus, PosPlugins, ReversalStatus
from tests.docs.conftest import NAMES, ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from payme_plugin.sandbox import Sandbox

WITH_EXAMPLES = [name for name in NAMES if any(block.language == "python" for block in blocks(name))]
LONGEST_HOST = 15
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
    assert WITH_EXAMPLES == ["README.md", "docs/embedding.md", "docs/host.md"]


def test_the_host_of_the_readme_takes_a_payment_in_15_lines(
    names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beginning, host = (each for each in blocks("README.md") if each.language == "python")
    assert beginning.fixtures == host.fixtures == (), "a reader can paste them as they are"
    assert len([line for line in host.text.splitlines() if line.strip()]) <= LONGEST_HOST
    del names["sandbox"], names["folder"]
    monkeypatch.chdir(tmp_path)

    run("README.md", names)

    result = names["result"]
    assert result.status is PaymentStatus.PAID
    assert result.slips[0].copies == 2
    assert names["sandbox"].held() == result.amount == 1_500_000


def test_the_host_of_the_contract_sells_gives_back_and_logs_as_an_artix_till(
    sandbox: Sandbox, names: dict[str, Any], tmp_path: Path
) -> None:
    run("docs/host.md", names)

    assert names["paid"].status is PaymentStatus.PAID
    assert names["paper"], "the slip was printed"
    assert names["given_back"].status is ReversalStatus.REVERSED
    assert sandbox.held() == 0
    assert [text for text in names["notices"].values() if text] == []

    lines = (tmp_path / "terminal.log").read_text(encoding="utf-8").splitlines()
    (shown,) = [block.text.splitlines() for block in blocks("docs/host.md") if block.language == "text"]
    assert [line for line in lines + shown if not LAYOUT.fullmatch(line)] == []
    assert all(
        any(f" - request {method}" in line for line in lines) for method in ("receipts.create", "receipts.cancel")
    )
    assert set(map(made_alike, shown)) <= set(map(made_alike, lines)), "the page shows lines that are written"
    assert sandbox.pos_key not in "".join(lines)
