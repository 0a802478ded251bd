"""What every command has: help in three languages, the environment, errors in JSON, exit codes that nothing changes."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click
import pytest

from fakes.command_tree import commands_in
from payme_plugin.cli import main
from payme_plugin.cli.app import VERSION
from payme_plugin.cli.output import ExitCode, style
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault
from tests.command.conftest import Ended, command_line, environment, payme

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.command.conftest import Shop

pytestmark = pytest.mark.floor

OF_ALL = {"conf", "folder", "json", "lang", "version"}
BAD_ID = "p\x1b[31m\n\u202ex"
ESCAPED_ID = "p\\x1b[31m\\n\\u202ex"


def walk(command: click.Command = main, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    for word, each in commands_in(command).items():
        yield from walk(each, *words, word)


COMMANDS = [words for words, _ in walk()]


# ---------------------------------------------------------------------------------------------------------------------
# Help and languages
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "ru", "uz"])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_help_that_fits_80_columns(words: tuple[str, ...], language: str) -> None:
    shown = payme("--lang", language, *words, "--help").out

    assert "cli." not in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    options = [line for line in shown.splitlines() if re.match(r"  -", line)]
    command = dict(walk())[words]
    assert len(options) == sum(isinstance(each, click.Option) for each in command.params) + 1
    assert bool(re.search("[а-я]", shown)) == (language == "ru")


def test_each_summary_fits_the_list_in_one_line() -> None:
    for words, command in walk():
        if not isinstance(command, click.Group):
            continue
        lines = payme(*words, "--help").out.splitlines()
        for name in command.list_commands(click.Context(command)):
            assert sum(line.startswith(f"  {name} ") for line in lines) == 1
        after = lines[lines.index(next(line for line in lines if line.startswith("  -h"))) :]
        assert not any(line.startswith(" " * 6) for line in after[1:]), words


def test_the_list_of_commands_is_in_sections_in_the_order_of_use() -> None:
    shown = payme("--help").out
    titles = re.findall(r"^(\S.*):$", shown, re.MULTILINE)

    assert titles == ["Options", "Payments", "Inspect", "Deliver and repair", "Set up and try"]
    assert shown.index("  pay ") < shown.index("  status ") < shown.index("  queue ") < shown.index("  settings ")


def test_the_list_of_commands_imports_none_of_them() -> None:
    script = "import sys; from payme_plugin.cli import main; main(['--help'], 'payme', standalone_mode=False);"
    script += "print(*sorted(name for name in sys.modules if name.startswith(('payme_plugin.ledger', 'urllib3'))))"
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment()
    )

    assert done.stdout.splitlines()[-1] == ""


def test_the_man_page_has_every_command_with_its_options_and_summary() -> None:
    page = (Path(__file__).parents[2] / "debian/payme.1").read_text(encoding="utf-8").replace("\\-", "-")

    for words, command in walk():
        if isinstance(command, click.Group):
            continue
        summary = payme(*words, "--help").out.partition("\n\n")[2].partition("\n\n")[0]
        found = re.search(rf"^\.B payme {' '.join(words)}\b(.*)\n(.*)$", page, re.MULTILINE)
        assert found is not None, words
        assert found[2] == " ".join(summary.split())
        options = [each for each in command.params if isinstance(each, click.Option) and each.name not in OF_ALL]
        assert set(re.findall("--[a-z-]+", found[1])) == {each.opts[0] for each in options}
    for code in ExitCode:
        assert f".B {int(code)}\n" in page
    for option in ("CONF", "DATA_DIR", "JSON", "LANG"):
        assert f"PAYME_{option}" in page


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_the_distributions(option: str) -> None:
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")

    assert payme(option).out == f"payme {VERSION}\n"
    assert f'\nversion = "{VERSION}"\n' in pyproject


@pytest.mark.parametrize(
    ("lang", "named", "settings", "locale", "found"),
    [
        (["--lang", "uz"], "ru", "ru", "en_US.UTF-8", "uz"),
        ([], "uz", "ru", "ru_RU.UTF-8", "uz"),
        ([], None, "uz", "ru_RU.UTF-8", "uz"),
        ([], None, None, "ru_RU.UTF-8", "ru"),
        ([], None, None, "uz", "uz"),
        ([], None, None, "de_DE.UTF-8", "en"),
        ([], None, None, "C", "en"),
        ([], "fr", "uz", "C", "uz"),
    ],
)
def test_the_language_is_the_options_the_environments_the_settings_or_the_locales(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lang: list[str],
    named: str | None,
    settings: str | None,
    locale: str,
    found: str,
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "PAYME_LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", locale)
    if named is not None:
        monkeypatch.setenv("PAYME_LANG", named)
    conf = tmp_path / "payme.go.conf"
    conf.write_text("[Main]\n" + (f"language = {settings}\n" if settings else ""), encoding="utf-8")
    hints = {"ru": "Справка: payme", "uz": "Yordam: payme", "en": "Try 'payme"}

    assert hints[found] in payme("--conf", str(conf), *lang, "sell").err


def test_an_error_of_usage_is_in_the_language_that_is_named_after_it() -> None:
    ended = payme("pay", "--amout", "1", "--lang", "ru")

    assert ended.err.startswith("Использование: payme pay [OPTIONS]\nСправка: payme pay --help\n\n")
    (sentence,) = re.findall("^payme: (.*)$", ended.err, re.MULTILINE)
    assert re.fullmatch("Нет параметра --amout[.]? Возможно, '?--amount'?[?]", sentence)


RECONCILE = ["reconcile", "--from", "2026-01-31", "--to", "2026-01-31"]


@pytest.mark.parametrize("command", [["queue", "list"], ["status"], RECONCILE], ids=lambda words: words[0])
def test_what_a_technician_reads_is_in_the_language(shop: Shop, command: list[str]) -> None:
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)), "--payment-id", "p1")

    assert re.search("[а-я]{4}", shop.run("--lang", "ru", *command).out)
    assert not re.search("[а-я]", shop.run("--lang", "uz", *command).out)


# ---------------------------------------------------------------------------------------------------------------------
# The environment, and errors in JSON
# ---------------------------------------------------------------------------------------------------------------------


def test_the_global_options_may_come_from_the_environment(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1")
    monkeypatch.setenv("PAYME_CONF", str(shop.conf))
    monkeypatch.setenv("PAYME_DATA_DIR", str(shop.folder))
    monkeypatch.setenv("PAYME_JSON", "1")

    assert [each["payment_id"] for each in payme("status").document] == ["p1"]
    assert payme("settings", "check").document["conf_file"] == str(shop.conf)
    assert payme("status", "--data-dir", str(shop.conf.parent)).document == [], (
        "an option counts before the environment"
    )


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        *((value, ["status", "p1"]) for value in ("0", "false", "no", "off")),
        (None, ["queue", "add", "p1", "--reason", "--json"]),
        (None, ["queue", "close", "1", "--reason", "--json"]),
    ],
)
def test_json_is_off_where_the_environment_says_so_and_where_it_is_the_value_of_another_option(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, said: str | None, arguments: list[str]
) -> None:
    shop.folder.mkdir()
    if said is not None:
        monkeypatch.setenv("PAYME_JSON", said)
    ended = shop.run(*arguments)

    assert (ended.code, ended.error, len(ended.sentences)) == (1, None, 1)


@pytest.mark.parametrize(
    ("arguments", "error_id", "code"),
    [
        (["--json", "sell"], "cli.usage", 2),
        (["pay", "--json"], "cli.usage", 2),
        (["pay", "--colour", "--json"], "cli.usage", 2),
        (["sell", "p1", "--json"], "cli.usage", 2),
        (["--json", "status", "p1"], "cli.no_payment", 1),
        (["--json", "queue", "show", "7"], "cli.no_cancellation", 1),
        (["--json", "status", "--data-dir", "/nowhere/at/all"], "cli.no_data_dir", 2),
        (["--json", "pay", "--amount", "1", "--conf", "/nowhere"], "cli.unusable", 2),
    ],
)
def test_with_json_an_error_is_a_document_on_stdout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], error_id: str, code: int
) -> None:
    monkeypatch.setenv("PAYME_DATA_DIR", str(tmp_path))
    ended = payme(*arguments)

    assert (ended.code, ended.error["id"], ended.error["exit_code"]) == (code, error_id, code)
    assert ended.error["message"] == "\n".join(ended.sentences)


@pytest.mark.parametrize("command", ["status", "queue list", "queue deliver", "worker", "journal repair"])
def test_a_data_folder_that_was_named_must_exist(shop: Shop, command: str) -> None:
    ended = shop.run(*command.split())

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentences == [f"The data folder {shop.folder} does not exist; check --data-dir."]


# ---------------------------------------------------------------------------------------------------------------------
# Exit codes that a failing output does not change
# ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def full() -> Iterator[int | IO[str]]:
    """A file on a full disk."""
    with Path("/dev/full").open("w", encoding="utf-8") as file:
        yield file


@contextmanager
def closed() -> Iterator[int | IO[str]]:
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


Output = Callable[[], AbstractContextManager[int | IO[str]]]
OUTPUTS = [pytest.param(full, id="full disk"), pytest.param(closed, id="closed pipe")]


def into(output: Output, *arguments: str) -> Ended:
    with output() as stdout:
        done = subprocess.run(  # noqa: S603 - our own command
            command_line(*arguments),
            stdout=stdout,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=environment(),
            check=False,
            timeout=60,
        )
    return Ended(done.returncode, "", done.stderr)


@pytest.mark.parametrize("json_option", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_payment_keeps_its_exit_code_if_it_can_not_be_printed(
    shop: Shop, output: Output, json_option: list[str]
) -> None:
    paying = ("pay", "--amount", "1", "--payment-id", "p1", "--qr", shop.sandbox.issue_code())
    paid = into(output, *shop.options, *json_option, *paying)

    assert paid.code == 0
    (sentence,) = paid.sentences
    assert "The outcome is final and the exit code tells it" in sentence
    lacking = shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS))
    refused = into(output, *shop.options, *json_option, "pay", "--amount", "1", "--qr", lacking)
    assert refused.code == 1
    assert shop.run("status", "p1", "--json").document["status"] == "PAID"


@pytest.mark.parametrize("command", ["cancel", "refund"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_reversal_keeps_its_exit_code_if_it_can_not_be_printed(shop: Shop, output: Output, command: str) -> None:
    for payment_id in ("p1", "p2"):
        assert shop.pay(shop.sandbox.issue_code(), "--payment-id", payment_id).code == 0
    assert into(output, *shop.options, command, "p1").code == 0
    shop.sandbox.plan_cancel(str(shop.sandbox.receipts()[1].receipt_id), CancelPlan(refused_with=-31800))
    assert into(output, *shop.options, command, "p2").code == 3


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_delivery_keeps_its_exit_code_if_it_can_not_be_printed(shop: Shop, output: Output) -> None:
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)))

    assert into(output, *shop.options, "queue", "deliver").code == 0
    assert shop.returning() == []


@pytest.mark.parametrize("json_option", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_changed_settings_keep_their_exit_code_if_it_can_not_be_printed(
    shop: Shop, output: Output, json_option: list[str]
) -> None:
    changed = into(output, *shop.options, *json_option, "settings", "set", "slipCopies=1")

    assert (changed.code, "slipCopies = 1" in shop.conf.read_text(encoding="utf-8")) == (0, True)
    assert "The outcome is final and the exit code tells it" in changed.err


def test_a_list_that_can_not_be_printed_ends_with_70_and_for_a_reader_that_has_gone_with_141(shop: Shop) -> None:
    shop.pay(shop.sandbox.issue_code())
    on_full_disk, into_closed_pipe = into(full, *shop.options, "status"), into(closed, *shop.options, "status")

    assert (on_full_disk.code, on_full_disk.sentences) == (
        70,
        ["The output can't be written: No space left on device."],
    )
    assert (into_closed_pipe.code, into_closed_pipe.err) == (141, "")


def test_a_stderr_that_can_not_be_written_changes_nothing(shop: Shop) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as stderr:
        done = subprocess.run(  # noqa: S603 - our own command
            command_line(*shop.options, "pay", "--amount", "1"),
            input=shop.sandbox.issue_code() + "\n",
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
            env=environment(),
            check=False,
            timeout=60,
        )

    assert done.returncode == 0
    assert "PAID" in done.stdout


# ---------------------------------------------------------------------------------------------------------------------
# Ctrl+C
# ---------------------------------------------------------------------------------------------------------------------


def test_ctrl_c_while_an_earlier_payment_is_awaited_begins_no_other_charge(shop: Shop) -> None:
    shop.configure(payDuration=30_000)
    waiting = Behaviour(BuyerAction.NEVER_ANSWERS)
    paying = ("pay", "--amount", "1", "--qr")
    with subprocess.Popen(  # noqa: S603 - our own command
        command_line(*shop.options, *paying, shop.sandbox.issue_code(waiting), "--payment-id", "p1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as first:
        while shop.sent("receipts.check") == 0:
            time.sleep(0.01)
        first.kill()
    asked = len(shop.sandbox.requests)
    with subprocess.Popen(  # noqa: S603 - our own command
        command_line(*shop.options, "--json", *paying, shop.sandbox.issue_code(), "--payment-id", "p2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(),
    ) as second:
        while len(shop.sandbox.requests) < asked + 2:
            time.sleep(0.01)
        second.send_signal(signal.SIGINT)
        out, err = second.communicate(timeout=30)

    assert second.returncode == 130, err
    assert json.loads(out)["error"] == {"id": "cli.stopped", "message": "Stopped.", "exit_code": 130}
    assert shop.sent("receipts.pay") == 1
    assert shop.run("status", "p2").code == 1


# ---------------------------------------------------------------------------------------------------------------------
# Text from outside, colours, completion
# ---------------------------------------------------------------------------------------------------------------------


def test_names_from_outside_reach_the_terminal_escaped(shop: Shop) -> None:
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)), "--payment-id", "p1")
    with closing(sqlite3.connect(shop.folder / FILE_NAME, isolation_level=None)) as connection:
        for table in ("payment", "event", "cancellation"):
            connection.execute(f"UPDATE {table} SET payment_id = ?", (BAD_ID,))  # noqa: S608 - a table's name of our own
    commands = (["status"], ["status", BAD_ID], ["queue", "list"], ["queue", "show", "1"], ["queue", "add", BAD_ID])

    for command in commands:
        ended = shop.run(*command, *(["--reason", "x"] if "add" in command else []))
        assert ESCAPED_ID in ended.out + ended.err, command
        assert not re.search("[\x1b\u202e]", ended.out + ended.err), command
    for command in (["status", f"no{BAD_ID}"], ["status", "--data-dir", f"/nowhere/{BAD_ID}"], [BAD_ID]):
        (sentence,) = payme(*command).sentences
        assert ESCAPED_ID in sentence
    (document,) = shop.run("--json", "status").document
    assert document["payment_id"] == BAD_ID
    assert "\u202e" not in shop.run("--json", "status").out


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_color_and_a_dumb_terminal_get_no_escape_sequence(
    monkeypatch: pytest.MonkeyPatch, plain: dict[str, str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert style("fault\x1b", fg="red") == "\x1b[31mfault\\x1b\x1b[0m"
    for name, value in plain.items():
        monkeypatch.setenv(name, value)
    assert style("fault", fg="red") == "fault"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_asks_the_command_itself(shell: str) -> None:
    shown = payme("completion", shell)

    assert shown.code == 0
    assert "_PAYME_COMPLETE=" + shell in shown.out


def completed(*words: str, **changed: str) -> list[str]:
    asking = {"_PAYME_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(  # noqa: S603 - our own command
        command_line(), capture_output=True, text=True, env=environment(**asking, **changed), check=False, timeout=60
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_commands_goods_and_payments_are_completed(shop: Shop) -> None:
    for payment_id in ("sale-1", "sale-2", "other"):
        shop.pay(shop.sandbox.issue_code(), "--payment-id", payment_id)

    assert completed("payme", "st") == ["status"]
    assert completed("payme", "queue", "de") == ["deliver"]
    assert completed("payme", "pay", "--goods", "m") == ["marked", "medicine"]
    known = {"PAYME_DATA_DIR": str(shop.folder)}
    assert completed("payme", "refund", "sale", **known) == ["sale-2", "sale-1"]
    assert completed("payme", "status", "o", **known) == ["other"]
    assert completed("payme", "status", "o", PAYME_DATA_DIR="/etc/passwd") == []


def test_an_id_that_a_shell_would_take_for_more_than_a_word_is_not_completed(shop: Shop) -> None:
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)), "--payment-id", "p-1_a.b")
    with closing(sqlite3.connect(shop.folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("CREATE TEMP TABLE copied AS SELECT * FROM payment")
        for bad in ("-p", *(f"p{each}x" for each in "\n\x1b\u202e $`'\"\\*?[{;&|<>(!#~:,=")):
            connection.execute("UPDATE copied SET payment_id = ?, receipt_id = NULL, state = 'refused'", (bad,))
            connection.execute("INSERT INTO payment SELECT * FROM copied")

    assert completed("payme", "refund", "", PAYME_DATA_DIR=str(shop.folder)) == ["p-1_a.b"]


# ---------------------------------------------------------------------------------------------------------------------
# status and queue list
# ---------------------------------------------------------------------------------------------------------------------


def test_status_shows_the_newest_and_says_how_many_there_are(shop: Shop) -> None:
    for number in range(3):
        shop.pay(shop.sandbox.issue_code(), "--payment-id", f"p{number}")
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)), "--payment-id", "p3")

    def ids(*options: str) -> list[str]:
        return [each["payment_id"] for each in shop.run("--json", "status", *options).document]

    assert ids("--limit", "2") == ["p3", "p2"]
    assert ids("--limit", "0") == ["p3", "p2", "p1", "p0"]
    assert ids("--status", "refused", "--status", "UNKNOWN") == ["p3"]
    assert ids("--since", time.strftime("%Y-%m-%d")) == ["p3", "p2", "p1", "p0"]
    assert ids("--since", "2999-01-01") == []
    assert shop.run("status", "--limit", "1").out.splitlines()[-1] == "Shown: 1 of 4; --limit 0 shows all."
    assert shop.run("status", "--since", "2999-01-01").out == "No payments match.\n"


def test_queue_list_shows_the_fiscal_receipts_that_wait_without_json_too(shop: Shop) -> None:
    link = "https://ofd.soliq.uz/check?t=UZ1&r=1&c=20240312184051&s=1"
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1", "--fiscal-url", link)
    title, heading, row = shop.run("queue", "list", "--fiscal-links").out.splitlines()

    assert title == "Fiscal receipts that Payme does not have yet:"
    assert heading.split()[:4] == ["Id", "Age", "Tries", "Payment"]
    assert "p1" in row.split()
    shop.run("queue", "deliver")
    assert shop.run("queue", "list", "--fiscal-links").out == "Payme has all fiscal receipts.\n"


def test_a_fault_of_the_network_in_a_command_is_no_closed_output(shop: Shop) -> None:
    shop.sandbox.inject(InjectedFault(FaultKind.SILENT_AFTER_EFFECT, method="receipts.get_all"))
    shop.configure(timeout=1)
    shop.folder.mkdir()

    assert shop.run("reconcile", "--from", "2026-01-31", "--to", "2026-01-31").code == 1
