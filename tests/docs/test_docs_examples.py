"""The examples in the pages run, and take a payment."""

from __future__ import annotations

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


@pytest.fixture
def names(sandbox: Sandbox, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The names that an example may ask for; its plugins are stopped whatever became of it."""
    given: dict[str, Any] = {"sandbox": sandbox, "folder": tmp_path}
    yield given
    plugins = given.get("plugins")
    if isinstance(plugins, PosPlugins):
        plugins.on_stop()


def run(page: str, names: dict[str, Any]) -> None:
    """Run the Python of a page in one go, with the lines that it has there."""
    for block in blocks(page):
        if block.language == "python":
            assert set(block.fixtures) <= {"sandbox", "folder"}, f"{page}:{block.line}: no such fixture"
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, str(ROOT / page), "exec"), names)  # noqa: S102 - our own page


def test_the_pages_with_examples_are_these() -> None:
    assert WITH_EXAMPLES == ["README.md", "docs/host.md"]


def test_the_host_of_the_readme_takes_a_payment_in_15_lines(sandbox: Sandbox, names: dict[str, Any]) -> None:
    (block,) = [each for each in blocks("README.md") if each.language == "python"]
    assert len([line for line in block.text.splitlines() if line.strip()]) <= LONGEST_HOST

    run("README.md", names)

    result = names["result"]
    assert result.status is PaymentStatus.PAID
    assert result.slips[0].copies == 2
    assert sandbox.held() == result.amount == 1_500_000


def test_the_host_of_the_contract_sells_and_gives_back(sandbox: Sandbox, names: dict[str, Any]) -> None:
    run("docs/host.md", names)

    assert names["paid"].status is PaymentStatus.PAID
    assert names["paper"], "the slip was printed"
    assert names["given_back"].status is ReversalStatus.REVERSED
    assert sandbox.held() == 0
    assert [text for text in names["notices"].values() if text] == []
