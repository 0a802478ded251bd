"""What the command says where the plugin that is installed as ``payme`` is missing, broken or silent."""

from __future__ import annotations

import os
import subprocess
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.command.conftest import Ended, command_line, ended, environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command.conftest import Shop

pytestmark = pytest.mark.floor

SILENT = """
    from hookspecs import hookimpl

    class Plugin:
        @hookimpl
        def on_payment(self, request, ui):
            return None

    plugin = Plugin()
"""
RAISES = SILENT.replace("return None", "raise RuntimeError('a fault of the plugin')")
GIVES_NOTHING_BACK = """
    from hookspecs import hookimpl

    class Plugin:
        @hookimpl
        def on_cancel(self, request, ui):
            raise RuntimeError("a fault of the plugin")

        @hookimpl
        def on_full_refund(self, request, ui):
            raise RuntimeError("a fault of the plugin")

    plugin = Plugin()
"""


@pytest.fixture
def run_with(shop: Shop, tmp_path: Path) -> Callable[..., Ended]:
    """Run a command with another plugin under the name ``payme``: its distribution hides the real one."""
    site = tmp_path / "site"
    metadata = site / "payme_plugin-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    metadata.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: payme-plugin\nVersion: 0.1.0\n")
    metadata.joinpath("entry_points.txt").write_text("[pos]\npayme = stand_in:plugin\n")

    def run(source: str, *arguments: str) -> Ended:
        site.joinpath("stand_in.py").write_text(dedent(source), encoding="utf-8")
        inherited = environment()
        done = subprocess.run(  # noqa: S603 - our own command
            command_line(*shop.options, "--json", *arguments),
            capture_output=True,
            encoding="utf-8",
            env={**inherited, "PYTHONPATH": os.pathsep.join([str(site), inherited["PYTHONPATH"]])},
            check=False,
            timeout=60,
        )
        return ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def pay_with(run_with: Callable[..., Ended]) -> Callable[[str], Ended]:
    """Pay with another plugin under the name ``payme``."""
    return lambda source: run_with(source, "pay", "--amount", "1", "--qr", "123456", "--payment-id", "p1")


def test_a_plugin_that_can_not_be_imported_is_named_with_its_fault(pay_with: Callable[[str], Ended]) -> None:
    ended = pay_with("import a_library_that_is_not_there")

    assert (ended.code, ended.out) == (1, "")
    fault, consequence = ended.sentences
    assert fault.startswith("Plugin payme can't be imported from 'stand_in:plugin'")
    assert "a_library_that_is_not_there" in fault
    assert consequence.startswith("The plugin 'payme' is not in service")


def test_where_no_plugin_answers_nothing_was_charged(pay_with: Callable[[str], Ended]) -> None:
    ended = pay_with(SILENT)

    assert (ended.code, ended.out) == (1, "")
    assert ended.sentences == ["No plugin in service answers for tender 141; nothing was charged."]


def test_a_plugin_that_fails_leaves_the_outcome_unknown_and_the_next_command_asks_again(
    pay_with: Callable[[str], Ended], shop: Shop
) -> None:
    for _ in range(2):
        ended = pay_with(RAISES)

        assert ended.code == 3
        assert (ended.document["status"], ended.document["payment_id"]) == ("UNKNOWN", "p1")
        (sentence,) = ended.sentences
        assert sentence == ended.document["message"]
        assert "Traceback" not in sentence
    log = (shop.folder / "terminal.log").read_text(encoding="utf-8")
    assert "RuntimeError: a fault of the plugin" in log
    assert len(list((shop.folder / "receipts").glob("*.json"))) == 1


@pytest.mark.parametrize("reverse", ["cancel", "refund"])
def test_a_plugin_that_fails_in_a_reversal_leaves_its_outcome_unknown_and_the_document_says_so(
    run_with: Callable[..., Ended], shop: Shop, reverse: str
) -> None:
    assert shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1").code == 0
    for _ in range(2):
        ended = run_with(GIVES_NOTHING_BACK, reverse, "p1")

        assert ended.code == 3
        (sentence,) = ended.sentences
        assert "the next command asks again" in sentence
        assert ended.document == {
            "status": "UNKNOWN",
            "payment_id": "p1",
            "receipt_id": None,
            "message": sentence,
            "error_code": None,
            "cancellation_queued": False,
            "slips": [],
            "violations": [],
        }
    back = shop.run("--json", reverse, "p1")
    assert list(back.document) == list(ended.document), "as in any other document of it"
    assert (back.code, back.document["status"]) == (0, "REVERSED")
