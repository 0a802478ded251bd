"""The sections ``[Account <posId>]``: keys of merchant accounts that took payments before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from payme_plugin.secret import Secret
from payme_plugin.settings import Settings
from payme_plugin.settings.model import FormerAccount

Read = Callable[[Mapping[str, object]], Settings]
Write = Callable[["str | bytes"], Path]

FORMER = "65aa00112233445566778899"
GOOD = f"[Main]\nposId = b\n[Account {FORMER}]\nurl = https://old.example\nposKey = canary=;key\n"


def test_a_section_gives_the_key_and_the_server_of_an_account(conf: Write, read: Read) -> None:
    conf(GOOD)
    settings = read({})

    assert settings.former_accounts == (FormerAccount(FORMER, "https://old.example/api", Secret("canary=;key")),)
    assert [(each.pos_id, each.url) for each in settings.accounts] == [
        ("b", settings.url),
        (FORMER, "https://old.example/api"),
    ]
    assert "canary" not in f"{settings!r}{settings.accounts!r}"
    assert Secret("canary=;key") in settings.secrets


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ("url = https://old.example", f"[Account {FORMER}]"),
        ("posKey = canary", f"[Account {FORMER}]"),
        ("url = ftp://old\nposKey = canary", f"[Account {FORMER}] url"),
        ("url = http://old.example\nposKey = canary", f"[Account {FORMER}] url"),
        ("url = https://old.example\nposKey = \u0416canary", f"[Account {FORMER}] posKey"),
        ("url = https://old.example\nposKey = canary\ntimeout = 5", f"[Account {FORMER}] timeout"),
        ('url = https://old.example\nposKey = "canary', "posKey"),
        ("url = https://old.example\nposKey = canary\nposKey = canary2", "posKey"),
        ("url = https://old.example\nposKey = canary\ncanary2", None),
    ],
)
def test_what_can_not_be_used_is_a_warning_that_names_section_and_key_and_stops_no_sale(
    conf: Write, read: Read, lines: str, key: str | None
) -> None:
    conf(f"[Main]\n[Account {FORMER}]\n{lines}\n")
    settings = read({})

    assert key in [warning.key for warning in settings.warnings]
    assert "canary" not in "".join(f"{warning}{warning!r}" for warning in settings.warnings)


def test_the_same_name_may_stand_in_each_section_once(conf: Write, read: Read) -> None:
    path = conf(GOOD)
    path.write_text(GOOD + "[Account c]\nurl = https://c.example\nposKey = k\n")

    assert [each.pos_id for each in read({}).former_accounts] == [FORMER, "c"]


@pytest.mark.parametrize(("key", "counts"), [("current", True), ("former", False)])
def test_a_section_of_the_current_account_with_another_key_has_no_effect_and_is_a_warning(
    conf: Write, read: Read, key: str, counts: bool
) -> None:
    conf(f"[Main]\nposId = b\nposKey = current\n[Account b]\nurl = https://b.example\nposKey = {key}\n")
    settings = read({})

    assert [each.pos_key.reveal() for each in settings.accounts] == ["current"] * (1 + counts)
    warned = [str(warning) for warning in settings.warnings if warning.key == "[Account b]"]
    assert [("has no effect" in each, "former" in each) for each in warned] == ([] if counts else [(True, False)])


def test_blanks_before_the_id_are_no_part_of_it(conf: Write, read: Read) -> None:
    conf(GOOD.replace("[Account ", "[ Account \t "))
    assert [each.pos_id for each in read({}).former_accounts] == [FORMER]
