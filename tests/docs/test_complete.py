"""The settings and JSON documents in the pages are those of the product."""

from __future__ import annotations

import json
import re
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import click
import pytest

from fakes.command_tree import commands_in
from payme_plugin.cli import main
from payme_plugin.paymego import codes
from payme_plugin.sandbox import Behaviour, BuyerAction
from payme_plugin.settings import read_settings
from tests.docs.conftest import ROOT, blocks, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from payme_plugin.sandbox import Sandbox


def commands(command: click.Command = main, name: str = "payme") -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for word, each in commands_in(command).items():
        yield from commands(each, f"{name} {word}")


def test_the_technicians_page_shows_the_settings_file_of_the_package() -> None:
    sample, *_ = [block.text for block in blocks("docs/ru/settings.md") if block.language == "ini"]

    assert sample == (ROOT / "debian/payme.go.conf").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "README.ru.md"])
def test_the_settings_of_a_readme_can_be_used(page: str, tmp_path: Path) -> None:
    (sample,) = [block.text for block in blocks(page) if block.language == "ini"]
    conf = tmp_path / "payme.go.conf"
    conf.write_text(sample, encoding="utf-8")
    conf.chmod(0o600)

    read_sample = read_settings({}, conf, codes)

    assert (read_sample.payment_type, read_sample.warnings) == (7, ())


def documented(command: str) -> list[str]:
    """Return the names that the table of documents has for a command, up to what it says of an inner one."""
    (row,) = [line for line in read("docs/cli.md").splitlines() if line.startswith(f"| `{command}` |")]
    return re.findall(r"`([a-zA-Z_]+)`", row.split("|")[2].partition(";")[0])


def test_every_document_has_the_names_that_the_page_gives(sandbox: Sandbox, tmp_path: Path) -> None:
    conf = tmp_path / "payme.conf"
    # With little patience, so that a cancel is queued.
    values = {"url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "payDuration": 1000}
    conf.write_text("[Main]\npaymentType = 7\nfrequency = 100\n" + "".join(f"{k} = {v}\n" for k, v in values.items()))
    conf.chmod(0o600)

    def ask(command: str, *arguments: str, also: str = "") -> Any:  # noqa: ANN401 - JSON
        out = StringIO()
        words = ["--json", "--conf", str(conf), "--data-dir", str(tmp_path / "data"), *command.split()[1:], *arguments]
        with redirect_stdout(out):
            main.main(args=[word for word in words if word != "ID"], prog_name="payme", standalone_mode=False)
        document = json.loads(out.getvalue())
        names = list(document[0] if isinstance(document, list) else document)
        assert names == [*(documented(also) if also else ()), *documented(command)], command
        return document

    sale = ("--amount", "15000.00", "--qr")
    paid = ask("payme pay", *sale, sandbox.issue_code())["payment_id"]
    for _ in range(2):
        ask("payme pay", *sale, sandbox.issue_code(Behaviour(BuyerAction.NEVER_ANSWERS)))
    ask("payme status")
    ask("payme status ID", paid, also="payme status")
    ask("payme cancel", paid)
    row = str(ask("payme queue list")[0]["id"])
    ask("payme queue show ID", row, also="payme queue list")
    ask("payme queue close", row, "--reason", "a test")
    ask("payme queue deliver")
    for command in ("payme settings check", "payme settings show", "payme journal repair", "payme doctor"):
        ask(command)
    ask("payme reconcile", "--from", "2026-01-31", "--to", "2026-01-31")
    for command in ("payme slip check", "payme slip preview"):
        ask(command, str(ROOT / "slips/payme.xml"))
    assert documented("payme cancel") == documented("payme refund")
    for name, each in commands():
        assert isinstance(each, click.Group) or f"| `{name}" in read("docs/cli.md"), name
