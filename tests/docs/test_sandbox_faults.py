"""The section on faults of the page of the sandbox: its commands print what it says, and its tables are complete."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from dataclasses import fields
from io import StringIO
from typing import TYPE_CHECKING

from fakes.command_tree import commands_in
from payme_plugin.cli import main
from payme_plugin.sandbox import FaultKind, InjectedFault, Sandbox, load_scenario
from tests.docs.conftest import blocks, read

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAGE = "docs/sandbox.md"


def shown(title: str) -> list[tuple[str, str]]:
    """Return the commands of the block that begins with ``$ title``, each with its output."""
    (text,) = [each.text for each in blocks(PAGE) if each.text.startswith(f"$ {title}")]
    found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
    assert "".join(f"$ {command}\n{out}" for command, out in found) == text
    return found


def test_the_commands_of_the_page_print_what_it_says(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYME_SANDBOX_URL", sandbox.origin)
    monkeypatch.setenv("PAYME_LANG", "en")
    for command, expected in shown("payme sandbox fault add"):
        printed = StringIO()
        with redirect_stdout(printed):
            main.main(args=command.split()[1:], prog_name="payme", standalone_mode=False)
        assert printed.getvalue() == expected, command


def test_the_scenario_of_the_page_can_be_played(tmp_path: Path) -> None:
    (_, document), (command, _) = shown("cat scenario.json")
    path = tmp_path / "scenario.json"
    path.write_text(document)
    played = Sandbox().play(load_scenario(path))

    assert [len(part) for part in (played.faults, played.accounts, played.phones)] == [2, 1, 1]
    assert command == "payme sandbox --scenario scenario.json"


def test_the_tables_have_every_kind_key_and_option_of_a_fault() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (no|yes|`after_s` later)[^|]*\| ", read(PAGE), re.MULTILINE))
    assert {kind.value: kind.effect for kind in FaultKind} == {kind: said != "no" for kind, said in rows.items()}
    selecting = re.findall(r"^\| (`[a-z_`, ]+`) \| `--([a-z-]+)[^|]*` \| ", read(PAGE), re.MULTILINE)
    keys = {name for names, _ in selecting for name in re.findall(r"[a-z_]+", names)}
    assert keys == {field.name for field in fields(InjectedFault)} - {"kind"}
    add = commands_in(commands_in(commands_in(main)["sandbox"])["fault"])["add"]
    options = {option[2:] for parameter in add.params for option in parameter.opts if option.startswith("--")}
    assert {option for _, option in selecting} == options - {"url", "conf", "data-dir", "json", "lang"}
