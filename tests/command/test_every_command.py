"""What every command has: help in three languages, global options, the environment, errors in JSON, completion."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from typing import TYPE_CHECKING

import click
import pytest

from fakes.command_tree import commands_in
from payme_plugin.cli import main
from payme_plugin.cli.output import ExitCode
from payme_plugin.ledger.journal import FILE_NAME
from tests.command.conftest import ROOT, environment, payme, payme_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.command.conftest import CommandTill

pytestmark = pytest.mark.floor

OF_ALL = {"conf", "folder", "json", "lang", "version"}
USAGE = "Usage: payme [OPTIONS] COMMAND [ARGS]...\nTry 'payme --help' for help.\n\n"
SERVES_WITHOUT_A_COMMAND = ("sandbox",)
RECONCILE = ["reconcile", "--from", "2026-01-31", "--to", "2026-01-31"]


def walk(command: click.Command = main, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    for word, each in commands_in(command).items():
        yield from walk(each, *words, word)


COMMANDS = dict(walk())


# ---------------------------------------------------------------------------------------------------------------------
# Help and languages
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "ru", "uz"])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_help_that_fits_80_columns(words: tuple[str, ...], language: str) -> None:
    command = COMMANDS[words]
    shown = payme("--lang", language, *words, "--help").out

    assert "cli." not in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    options = [line for line in shown.splitlines() if re.match(r"  -", line)]
    assert len(options) == sum(isinstance(each, click.Option) for each in command.params) + 1
    assert bool(re.search("[а-я]", shown)) == (language == "ru")
    if words == SERVES_WITHOUT_A_COMMAND:
        assert "Exit code: 0 " in " ".join(shown.split()) or language != "en"
    elif isinstance(command, click.Group):
        assert payme("--lang", language, *words).out == shown, "a group without a command shows its help"
    elif language == "en":
        assert "Exit code: 0 " in " ".join(shown.split())


def test_the_list_of_commands_is_in_sections_in_the_order_of_use_with_a_line_for_each() -> None:
    shown = payme("--help").out
    titles = re.findall(r"^(\S.*):$", shown, re.MULTILINE)

    assert titles == ["Options", "Payments", "Inspect", "Deliver and repair", "Set up and try"]
    assert shown.index("  pay ") < shown.index("  status ") < shown.index("  queue ") < shown.index("  settings ")
    for words, command in COMMANDS.items():
        lines = payme(*words, "--help").out.partition("\n  -h")[2].splitlines()
        for name in commands_in(command):
            assert sum(line.startswith(f"  {name} ") for line in lines) == 1
            assert not any(line.startswith(" " * 6) for line in lines[1:]), words


def test_the_list_of_commands_imports_none_of_them() -> None:
    script = "import sys; from payme_plugin.cli import main; main(['--help'], 'payme', standalone_mode=False);"
    script += "print(*sorted(name for name in sys.modules if name.startswith(('payme_plugin.ledger', 'urllib3'))))"
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment()
    )

    assert done.stdout.splitlines()[-1] == ""


def test_the_man_page_has_every_command_with_its_options_and_summary() -> None:
    page = (ROOT / "debian/payme.1").read_text(encoding="utf-8").replace("\\-", "-")

    for words, command in COMMANDS.items():
        if isinstance(command, click.Group) and words != SERVES_WITHOUT_A_COMMAND:
            continue
        summary = payme(*words, "--help").out.partition("\n\n")[2].partition("\n\n")[0]
        found = re.search(rf"^\.B payme {' '.join(words)}\b(.*)\n(.*)$", page, re.MULTILINE)
        assert found is not None, words
        assert found[2] == " ".join(summary.split())
        options = [each for each in command.params if isinstance(each, click.Option) and each.name not in OF_ALL]
        assert set(re.findall("--[a-z-]+", found[1])) == {each.opts[0] for each in options}
    assert all(f".B {int(code)}\n" in page for code in ExitCode)
    assert all(f"PAYME_{option}" in page for option in ("CONF", "DATA_DIR", "JSON", "LANG"))


@pytest.mark.parametrize(
    ("option", "named", "settings", "locale", "found"),
    [
        ("uz", "ru", "ru", "en_US.UTF-8", "Yordam: payme"),
        (None, "uz", "ru", "ru_RU.UTF-8", "Yordam: payme"),
        (None, "fr", "uz", "ru_RU.UTF-8", "Yordam: payme"),
        (None, "", "", "ru_RU.UTF-8", "Справка: payme"),
        (None, "", "", "de_DE.UTF-8", "Try 'payme"),
        (None, "", "", "C", "Try 'payme"),
    ],
)
def test_the_language_is_the_options_the_environments_the_settings_or_the_locales(
    shop: CommandTill,
    monkeypatch: pytest.MonkeyPatch,
    option: str | None,
    named: str,
    settings: str,
    locale: str,
    found: str,
) -> None:
    for name, value in (("LC_ALL", ""), ("LC_MESSAGES", ""), ("LANG", locale), ("PAYME_LANG", named)):
        monkeypatch.setenv(name, value)
    if settings:
        shop.configure(language=settings)

    assert found in shop.run("sell", *([] if option is None else ["--lang", option])).err


def test_an_error_of_usage_is_in_the_language_that_is_named_after_it() -> None:
    ended = payme("pay", "--amout", "1", "--lang", "ru")

    assert ended.err.startswith("Использование: payme pay [OPTIONS]\nСправка: payme pay --help\n\n")
    (sentence,) = re.findall("^payme: (.*)$", ended.err, re.MULTILINE)
    assert re.fullmatch("Нет параметра --amout[.]? Возможно, '?--amount'?[?]", sentence)


def test_what_a_technician_reads_is_in_the_language(shop: CommandTill) -> None:
    shop.owe()
    for command in (["queue", "list"], ["status"], RECONCILE):
        assert re.search("[а-я]{4}", shop.run("--lang", "ru", *command).out)
        assert not re.search("[а-я]", shop.run("--lang", "uz", *command).out)


# ---------------------------------------------------------------------------------------------------------------------
# Global options, the environment, and errors in JSON
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        "--data-dir {folder} --json queue list",
        "queue --data-dir {folder} --json list",
        "queue list --data-dir {folder} --json",
        "--data-dir /nowhere --json queue list --data-dir {folder}",
    ],
)
def test_global_options_are_taken_before_and_after_the_command_and_the_last_one_counts(
    arguments: str, tmp_path: Path
) -> None:
    shown = payme(*arguments.format(folder=tmp_path).split())

    assert (shown.code, shown.document, shown.err) == (0, [], "")


def test_the_global_options_may_come_from_the_environment(shop: CommandTill, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.owe()
    monkeypatch.setenv("PAYME_CONF", str(shop.conf))
    monkeypatch.setenv("PAYME_DATA_DIR", str(shop.folder))
    monkeypatch.setenv("PAYME_JSON", "1")

    assert [each["payment_id"] for each in payme("status").document] == ["p1"]
    assert payme("settings", "check").document["conf_file"] == str(shop.conf)
    before_the_environment = payme("status", "--data-dir", str(shop.conf.parent))
    assert before_the_environment.document == []


@pytest.mark.parametrize(
    ("said", "arguments"),
    [("0", ["status", "p1"]), ("off", ["status", "p1"]), (None, ["queue", "add", "p1", "--reason", "--json"])],
)
def test_json_is_off_if_the_environment_turns_it_off_or_it_is_the_value_of_another_option(
    shop: CommandTill, monkeypatch: pytest.MonkeyPatch, said: str | None, arguments: list[str]
) -> None:
    shop.folder.mkdir()
    if said is not None:
        monkeypatch.setenv("PAYME_JSON", said)
    ended = shop.run(*arguments)

    assert (ended.code, ended.error, len(ended.sentences)) == (1, None, 1)


def test_the_data_folder_is_the_users_where_the_till_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert payme("status").out in (
        f"There are no payments in {tmp_path / 'payme'}.\n",
        "There are no payments in /linuxcash/cash/data/payme.\n",
    )
    monkeypatch.setenv("XDG_DATA_HOME", "not/from/the/root")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "not/from" not in payme("status").out


@pytest.mark.parametrize(
    ("arguments", "error_id", "code", "sentence"),
    [
        (["sell"], "cli.usage", 2, "There is no command 'sell'."),
        (["stats"], "cli.usage", 2, "Did you mean 'status'?"),
        (["queue", "shew"], "cli.usage", 2, "Did you mean 'show'?"),
        (["--colour"], "cli.usage", 2, "--colour"),
        (["pay"], "cli.usage", 2, "--amount"),
        (["pay", "--amount"], "cli.usage", 2, "--amount"),
        (["status", "one", "two"], "cli.usage", 2, "two"),
        *(
            (["pay", "--amount", "1", "--payment-id", bad], "cli.usage", 2, "1 to 100 printable characters")
            for bad in ("", "a\nb", "x" * 101)
        ),
        (["pay", "--amount", "0"], "cli.usage", 2, "e.g. 15000.00"),
        (["sandbox", "--port", "65536"], "cli.usage", 2, "65536"),
        (["reconcile", "--from", "2026-01-02", "--to", "2026-01-01"], "cli.usage", 2, "is after --to 2026-01-01."),
        *(
            (["reconcile", "--from", day, "--to", "2026-01-31"], "cli.usage", 2, "e.g. 2026-01-31")
            for day in ("yesterday", "2026-02-30", "2026-1-1", "20260101", "")
        ),
        (["reconcile", "--from", "2026-01-01", "--to", "9999-12-31"], "cli.usage", 2, "e.g. 2026-01-31"),
        *((["journal", "repair", "--days", days], "cli.usage", 2, days) for days in ("0", "99999")),
        (["journal", "repair"], "cli.no_journal", 2, "There is no journal in "),
        *(
            (["pay", "--amount", "1", "--fiscal-url", url], "cli.usage", 2, "an OFD link with t, r, c and s")
            for url in ("", "https://ofd.soliq.uz/check?t=UZ1")
        ),
        *(
            (["slip", "preview", "payme.xml", option, value], "cli.usage", 2, value)
            for option, value in (
                ("--width", "23"),
                ("--width", "81"),
                ("--operation", "sell"),
                ("--encoding", "klingon"),
            )
        ),
        (["sandbox", "--port", "http"], "cli.usage", 2, "port"),
        (["status", "p1"], "cli.no_payment", 1, "There is no payment 'p1' in the journal of "),
        (["queue", "show", "7"], "cli.no_cancellation", 1, "7"),
        (["status", "--data-dir", "/nowhere/at/all"], "cli.no_data_dir", 2, "/nowhere/at/all does not exist"),
        (["pay", "--amount", "1", "--conf", "/nowhere"], "cli.unusable", 2, "/nowhere"),
    ],
)
def test_an_error_is_one_sentence_on_stderr_and_with_json_a_document_on_stdout_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], error_id: str, code: int, sentence: str
) -> None:
    monkeypatch.setenv("PAYME_DATA_DIR", str(tmp_path))
    ended = payme(*arguments)
    with_document = payme("--json", *arguments)

    assert (ended.code, ended.out, ended.error) == (code, "", None)
    (found,) = ended.sentences
    assert sentence in found
    assert (with_document.code, with_document.err) == (code, ended.err)
    assert with_document.error["id"] == error_id


@pytest.mark.parametrize("command", ["status", "queue list", "queue deliver", "worker", "journal repair"])
def test_a_data_folder_that_was_named_must_exist(shop: CommandTill, command: str) -> None:
    ended = shop.run(*command.split())

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentences == [f"The data folder {shop.folder} does not exist; check --data-dir."]


def test_as_a_process_it_ends_with_the_same_codes() -> None:
    assert payme_process("-V") == payme("--version")
    assert payme("--version").out == f"payme {version('payme-plugin')}\n"
    refused = payme_process("sell")
    err = refused.err.replace("[COMMAND] ", "COMMAND ")  # spelt differently by click 8.1
    assert (refused.code, refused.out, err) == (2, "", USAGE + "payme: There is no command 'sell'.\n")


# ---------------------------------------------------------------------------------------------------------------------
# Completion
# ---------------------------------------------------------------------------------------------------------------------


def test_a_completion_script_asks_the_command_itself() -> None:
    for shell in ("bash", "zsh", "fish"):
        assert f"_PAYME_COMPLETE={shell}" in payme("completion", shell).out


def completed(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    monkeypatch.setenv("_PAYME_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    return [line.partition(",")[2] for line in payme_process().out.splitlines() if line]


def test_commands_goods_and_payments_are_completed_but_no_id_that_is_more_than_a_word_to_a_shell(
    shop: CommandTill, monkeypatch: pytest.MonkeyPatch
) -> None:
    for payment_id in ("sale-1", "sale-2_a.b", "other"):
        shop.owe(payment_id)
    with closing(sqlite3.connect(shop.folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("CREATE TEMP TABLE copied AS SELECT * FROM payment WHERE payment_id = 'other'")
        for bad in ("-p", *(f"p{each}x" for each in "\n\x1b\u202e $`'\"\\*?[{;&|<>(!#~:,=")):
            connection.execute("UPDATE copied SET payment_id = ?, receipt_id = NULL", (bad,))
            connection.execute("INSERT INTO payment SELECT * FROM copied")

    assert completed(monkeypatch, "payme", "queue", "de") == ["deliver"]
    assert completed(monkeypatch, "payme", "pay", "--goods", "m") == ["marked", "medicine"]
    monkeypatch.setenv("PAYME_DATA_DIR", str(shop.folder))
    assert completed(monkeypatch, "payme", "refund", "") == ["other", "sale-2_a.b", "sale-1"]
    assert completed(monkeypatch, "payme", "status", "o") == ["other"]
    monkeypatch.setenv("PAYME_DATA_DIR", "/etc/passwd")
    assert completed(monkeypatch, "payme", "status", "o") == []
