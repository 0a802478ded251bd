"""Whatever a person can set, call or read has its place in the pages."""

from __future__ import annotations

import json
import re
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import click
import pytest

from payme_plugin.cli import main
from payme_plugin.cli.output import ExitCode
from payme_plugin.ledger.states import PaymentState, is_allowed
from payme_plugin.paymego import codes
from payme_plugin.sandbox import Behaviour, BuyerAction
from payme_plugin.settings import SETTINGS, read_settings
from payme_plugin.texts import Text, Texts
from tests.docs.conftest import ROOT, blocks, headings, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from payme_plugin.sandbox import Sandbox

MISSING = re.compile(r"`payme ([a-z]+)`")


def commands(command: click.Command = main, name: str = "payme") -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for word, each in command.commands.items():
            yield from commands(each, f"{name} {word}")


@pytest.mark.parametrize("page", ["docs/settings.md", "docs/ru/settings.md"])
def test_every_setting_is_in_the_sample_with_its_default_and_no_other(page: str) -> None:
    (sample,) = [block.text for block in blocks(page) if block.language == "ini"]
    found = re.findall(r"^;(\w+) =(?: \"(.*)\"| (.*))?$", sample, re.MULTILINE)

    assert {name: quoted or plain for name, quoted, plain in found} == {each.name: each.default for each in SETTINGS}


@pytest.mark.parametrize("page", ["docs/settings.md", "docs/ru/settings.md"])
def test_the_sample_uncommented_line_by_line_is_a_settings_file_of_defaults(page: str, tmp_path: Path) -> None:
    (sample,) = [block.text for block in blocks(page) if block.language == "ini"]
    conf = tmp_path / "payme.go.conf"
    conf.write_text(re.sub(r"^;(?=\w+ =)", "", sample, flags=re.MULTILINE), encoding="utf-8")
    conf.chmod(0o600)
    without = tmp_path / "without.conf"
    without.write_text("[Main]\n", encoding="utf-8")
    without.chmod(0o600)

    read_sample, read_nothing = read_settings({}, conf, codes), read_settings({}, without, codes)

    for setting in SETTINGS:
        assert getattr(read_sample, setting.field) == getattr(read_nothing, setting.field), setting.name


@pytest.mark.parametrize("page", ["README.md", "README.ru.md"])
def test_the_settings_of_a_readme_can_be_used(page: str, tmp_path: Path) -> None:
    (sample,) = [block.text for block in blocks(page) if block.language == "ini"]
    conf = tmp_path / "payme.go.conf"
    conf.write_text(sample, encoding="utf-8")
    conf.chmod(0o600)

    read_sample = read_settings({}, conf, codes)

    assert read_sample.payment_type == 7
    assert read_sample.warnings == ()


@pytest.mark.parametrize("code", [entry.code for entry in codes.CATALOGUE])
def test_every_error_code_is_in_its_table(code: int) -> None:
    assert f"\n| {code} |" in read("docs/error-codes.md")


def test_every_command_has_a_heading_with_its_options_below() -> None:
    page = read("docs/till.md")

    assert [title for title in headings("docs/till.md") if re.match(r"payme\b", title)] == [
        name for name, _ in sorted(commands(), key=lambda each: each[0].split())
    ]
    for name, command in commands():
        below = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        options = [option for each in command.params for option in each.opts if option.startswith("--")]
        assert all(option in below for option in options), name


def test_every_exit_code_is_in_its_table() -> None:
    assert all(f"\n| {code.value} | " in read("docs/till.md") for code in ExitCode)


@pytest.mark.parametrize("text", Text, ids=lambda text: text.value)
def test_every_text_of_a_cashier_is_on_the_technicians_page_word_for_word(text: Text) -> None:
    words = Texts("ru")(text).replace("\n", "<br>").replace("|", "\\|")

    assert f"\n| {words} | `{text.value}` |\n" in read("docs/ru/messages.md")


@pytest.mark.parametrize("category", sorted({text.value.partition(".")[0] for text in Text}))
def test_every_kind_of_text_says_what_to_do(category: str) -> None:
    page = read("docs/ru/messages.md").partition(f"<!-- generated: {category} -->")[0]
    heading, _, advice = page.rpartition("\n## ")[2].partition("\n")

    assert heading
    assert len(advice.strip()) > 40


@pytest.mark.parametrize("before", PaymentState)
def test_every_transition_that_the_journal_allows_is_in_the_diagram_and_no_other(before: PaymentState) -> None:
    page = read("docs/payment.md")

    assert f"\n| `{before.value}` | " in page
    for after in PaymentState:
        assert (f"\n    {before.value} --> {after.value}\n" in page) is is_allowed(before, after)


@pytest.mark.parametrize("page", ["README.md", "README.ru.md", "CHANGELOG.md"])
def test_what_a_page_says_is_not_here_yet_is_not_here(page: str) -> None:
    heading = {"README.md": "## What is not here yet", "README.ru.md": "## Чего пока нет"}.get(
        page, "### Still to come"
    )
    told = MISSING.findall(read(page).partition(heading)[2].partition("\n## ")[0])

    assert set(told).isdisjoint(name.removeprefix("payme ") for name, _ in commands()), "it is here: mend the page"


# ---------------------------------------------------------------------------------------------------------------------
# The documents of the command
# ---------------------------------------------------------------------------------------------------------------------


def documented(command: str) -> list[str]:
    """Return the names that the table of documents has for a command, up to what it says of an inner one."""
    (row,) = [line for line in read("docs/till.md").splitlines() if line.startswith(f"| `{command}` |")]
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
    values = {**kassa, "payDuration": "100", "frequency": "50"}
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
        assert name in groups or f"| `{name}" in read("docs/till.md"), name
