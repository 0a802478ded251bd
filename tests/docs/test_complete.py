"""What the pages promise of the settings and of the JSON documents holds."""

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

    assert read_sample.payment_type == 7
    assert read_sample.warnings == ()


def documented(command: str) -> list[str]:
    """Return the names that the table of documents has for a command, up to what it says of an inner one."""
    (row,) = [line for line in read("docs/cli.md").splitlines() if line.startswith(f"| `{command}` |")]
    return re.findall(r"`([a-zA-Z_]+)`", row.split("|")[2].partition(";")[0])


def asked(*arguments: str) -> Any:  # noqa: ANN401 - JSON
    out = StringIO()
    with redirect_stdout(out):
        main.main(args=["--json", *arguments], prog_name="payme", standalone_mode=False)
    return json.loads(out.getvalue())


@pytest.fixture
def options(sandbox: Sandbox, tmp_path: Path) -> list[str]:
    """Settings with little patience, so that a cancel is queued, and a folder."""
    conf = tmp_path / "payme.conf"
    kassa = {"url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key}
    values = {**kassa, "paymentType": "7", "payDuration": "1000", "frequency": "100"}
    conf.write_text("[Main]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()), encoding="utf-8")
    conf.chmod(0o600)
    return ["--conf", str(conf), "--data-dir", str(tmp_path / "data")]


def test_the_documents_of_a_sale_have_the_names_that_the_page_gives(sandbox: Sandbox, options: list[str]) -> None:
    paid = asked(*options, "pay", "--amount", "15000.00", "--qr", sandbox.issue_code())
    assert list(paid) == documented("payme pay")
    (listed,) = asked(*options, "status")
    assert list(listed) == documented("payme status")
    told = asked(*options, "status", paid["payment_id"])
    assert list(told) == [*documented("payme status"), *documented("payme status ID")]
    assert (
        list(asked(*options, "cancel", paid["payment_id"])) == documented("payme cancel") == documented("payme refund")
    )


def test_the_documents_of_the_queue_have_the_names_that_the_page_gives(sandbox: Sandbox, options: list[str]) -> None:
    never = Behaviour(BuyerAction.NEVER_ANSWERS)
    for _ in range(2):
        asked(*options, "pay", "--amount", "15000.00", "--qr", sandbox.issue_code(never))

    first, _ = asked(*options, "queue", "list")
    assert list(first) == documented("payme queue list")
    row = str(first["id"])
    assert list(asked(*options, "queue", "show", row)) == [
        *documented("payme queue list"),
        *documented("payme queue show ID"),
    ]
    assert list(asked(*options, "queue", "close", row, "--reason", "a test")) == documented("payme queue close")
    assert list(asked(*options, "queue", "deliver")) == documented("payme queue deliver")


@pytest.mark.parametrize(
    "arguments",
    [
        ["settings", "check"],
        ["settings", "show"],
        ["reconcile", "--from", "2026-01-31", "--to", "2026-01-31"],
        ["journal", "repair"],
        ["doctor"],
        ["slip", "check", str(ROOT / "slips/payme.xml")],
        ["slip", "preview", str(ROOT / "slips/payme.xml")],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_document_has_the_names_that_the_page_gives(
    sandbox: Sandbox, options: list[str], arguments: list[str]
) -> None:
    asked(*options, "pay", "--amount", "15000.00", "--qr", sandbox.issue_code())
    document = asked(*options, *arguments)
    names = [word for word in arguments if re.fullmatch("[a-z]+", word)]

    assert list(document[0] if isinstance(document, list) else document) == documented(" ".join(["payme", *names]))


def test_every_command_that_says_something_has_its_document() -> None:
    groups = [name for name, command in commands() if isinstance(command, click.Group)]

    for name, _ in commands():
        assert name in groups or f"| `{name}" in read("docs/cli.md"), name
