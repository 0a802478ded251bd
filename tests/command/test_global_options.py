from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import click
import pytest

from fakes.command_tree import commands_in
from payme_plugin.cli import main
from tests.command.conftest import command_line, environment, payme, payme_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.floor

USAGE = "Usage: payme [OPTIONS] COMMAND [ARGS]...\nTry 'payme --help' for help.\n\n"
COMMANDS = ["demo", "pay", "status", "queue", "settings", "sandbox"]


def names(group: click.Group) -> Iterator[list[str]]:
    """Yield the words of every command that is no group."""
    for word, command in commands_in(group).items():
        if isinstance(command, click.Group):
            yield from ([word, *words] for words in names(command))
        else:
            yield [word]


def test_without_a_command_it_shows_its_help_and_that_is_no_fault() -> None:
    shown = payme()

    assert shown.code == 0
    assert all(f"\n  {command} " in shown.out for command in COMMANDS)
    assert payme("--help").out == shown.out


@pytest.mark.parametrize("group", ["queue", "settings"])
def test_a_group_without_a_command_shows_its_help(group: str) -> None:
    assert payme(group).code == 0
    assert f"payme {group}" in payme(group).out


@pytest.mark.parametrize(
    "command", [["demo"], ["pay"], ["status"], ["sandbox"], ["queue", "list"], ["settings", "check"]]
)
def test_every_command_takes_the_global_options_and_explains_itself(command: list[str]) -> None:
    shown = payme(*command, "--help")

    assert shown.code == 0
    assert all(option in shown.out for option in ("--conf", "--data-dir", "--json"))


@pytest.mark.parametrize("command", list(names(main)), ids=" ".join)
def test_every_command_tells_its_exit_codes(command: list[str]) -> None:
    assert "Exit code: 0 " in " ".join(payme(*command, "--help").out.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("--data-dir", "{folder}", "--json", "queue", "list"),
        ("queue", "--data-dir", "{folder}", "--json", "list"),
        ("queue", "list", "--data-dir", "{folder}", "--json"),
        ("--json", "queue", "list", "--data-dir", "{folder}"),
    ],
)
def test_global_options_are_taken_before_and_after_the_command(arguments: tuple[str, ...], tmp_path: Path) -> None:
    shown = payme(*(each.format(folder=tmp_path) for each in arguments))

    assert (shown.code, shown.document, shown.err) == (0, [], "")


def test_the_option_behind_the_command_wins(tmp_path: Path) -> None:
    (tmp_path / "after").mkdir()
    shown = payme("--data-dir", str(tmp_path / "before"), "status", "--data-dir", str(tmp_path / "after"))

    assert shown.out == f"There are no payments in {tmp_path / 'after'}.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sell"], "There is no command 'sell'."),
        (["stats"], "Did you mean 'status'?"),
        (["queue", "shew"], "Did you mean 'show'?"),
        (["--colour"], "--colour"),
        (["pay"], "--amount"),
        (["pay", "--amount"], "--amount"),
        (["status", "one", "two"], "two"),
        (["pay", "--amount", "1", "--payment-id", ""], "1 to 100 printable characters"),
        (["pay", "--amount", "1", "--payment-id", "a\nb"], "1 to 100 printable characters"),
        (["pay", "--amount", "1", "--payment-id", "x" * 101], "1 to 100 printable characters"),
    ],
)
def test_a_wrong_usage_is_one_sentence_on_stderr_and_exit_2(arguments: list[str], sentence: str) -> None:
    ended = payme(*arguments)

    assert (ended.code, ended.out) == (2, "")
    (found,) = ended.sentences
    assert sentence in found


def test_as_a_process_it_ends_with_the_same_codes() -> None:
    assert payme_process("--version").out == "payme 0.1.0\n"
    assert payme_process("--version").code == 0
    refused = payme_process("sell")
    err = refused.err.replace("[COMMAND] ", "COMMAND ")  # spelt differently by click 8.1
    assert (refused.code, refused.out, err) == (
        2,
        "",
        USAGE + "payme: There is no command 'sell'.\n",
    )


def test_letters_that_a_terminal_lacks_do_not_stop_it(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        command_line("status", "Карл", "--data-dir", str(tmp_path)),
        capture_output=True,
        env=environment(PYTHONIOENCODING="ascii"),
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(b"payme: There is no payment ")
    assert b"Traceback" not in done.stderr


def test_an_unforeseen_fault_is_one_sentence_and_its_details_are_in_the_log(tmp_path: Path) -> None:
    script = dedent("""
        from payme_plugin.cli import main, status

        def broken(folder):
            raise ZeroDivisionError("secret")

        status.read_journal = broken
        main(prog_name="payme")
    """)
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", script, "status", "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        timeout=60,
    )

    assert done.returncode == 70
    (sentence,) = done.stderr.splitlines()
    assert "Internal error (ZeroDivisionError in broken)" in sentence
    assert "secret" not in sentence
    log = (tmp_path / "terminal.log").read_text(encoding="utf-8")
    assert "ERROR payme  - the command failed" in log
    assert "ZeroDivisionError < <string>:5" in log
    assert "secret" not in log
    assert len(log.splitlines()) == 1
