"""What the command says where the plugin that is installed as ``payme`` is missing, broken or silent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.command.conftest import Ended, environment, payme_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command.conftest import CommandTill

pytestmark = pytest.mark.floor

ANSWERS = """
from hookspecs import hookimpl

class Plugin:
    @hookimpl
    def on_payment(self, request, ui):
        {answer}

    @hookimpl
    def on_full_refund(self, request, ui):
        {answer}

plugin = Plugin()
"""
SILENT = ANSWERS.format(answer="return None")
RAISES = ANSWERS.format(answer="raise RuntimeError('a fault of the plugin')")
PAY = ("pay", "--amount", "1", "--qr", "123456", "--payment-id", "p1")


@pytest.fixture
def run_with(shop: CommandTill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run a command with another plugin under the name ``payme``: its distribution hides the real one."""
    site = tmp_path / "site"
    metadata = site / "payme_plugin-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    metadata.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: payme-plugin\nVersion: 0.1.0\n")
    metadata.joinpath("entry_points.txt").write_text("[pos]\npayme = stand_in:plugin\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), environment()["PYTHONPATH"]]))

    def run(source: str, *arguments: str) -> Ended:
        site.joinpath("stand_in.py").write_text(source, encoding="utf-8")
        return payme_process(*shop.options, "--json", *arguments)

    return run


def test_a_plugin_that_can_not_be_imported_is_named_with_its_fault(run_with: Callable[..., Ended]) -> None:
    ended = run_with("import a_library_that_is_not_there", *PAY)

    assert (ended.code, ended.out) == (1, "")
    fault, consequence = ended.sentences
    assert fault.startswith("Plugin payme can't be imported from 'stand_in:plugin'")
    assert "a_library_that_is_not_there" in fault
    assert consequence.startswith("The plugin 'payme' is not in service")


def test_where_no_plugin_answers_nothing_was_charged(run_with: Callable[..., Ended]) -> None:
    ended = run_with(SILENT, *PAY)

    assert (ended.code, ended.out) == (1, "")
    assert ended.sentences == ["No plugin in service answers for tender 141; nothing was charged."]


@pytest.mark.parametrize("command", ["pay", "refund"])
def test_a_plugin_that_fails_leaves_the_outcome_unknown_and_the_next_command_asks_again(
    run_with: Callable[..., Ended], shop: CommandTill, command: str
) -> None:
    if command != "pay":
        assert shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1").code == 0
    arguments = PAY if command == "pay" else (command, "p1")
    for _ in range(2):
        ended = run_with(RAISES, *arguments)

        (sentence,) = ended.sentences
        assert (ended.code, ended.document["message"]) == (3, sentence)
        assert (ended.document["status"], ended.document["payment_id"]) == ("UNKNOWN", "p1")
        assert (ended.document["receipt_id"], ended.document["slips"]) == (None, [])
    log = (shop.folder / "terminal.log").read_text(encoding="utf-8")
    assert "RuntimeError: a fault of the plugin" in log
    again = shop.run("--json", *arguments)
    assert list(again.document) == list(ended.document), "as in any other document of it"
    assert again.document["status"] == ("REFUSED" if command == "pay" else "REVERSED")
