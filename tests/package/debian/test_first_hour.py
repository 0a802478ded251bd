"""The commands of a technician's first hour, as ``docs/ru/install.md`` has them, in its order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.package.debian.conftest import CONF, KEY, LINUXCASH, LOG, ROOT

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.package.debian.conftest import Till

PAGE = (ROOT / "docs/ru/install.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", PAGE) for line in block.splitlines()]


def test_the_page_has_the_commands_of_the_manual() -> None:
    assert COMMANDS[:2] == ["aptitude update", "aptitude install artix-payme"]
    assert "dpkg-reconfigure artix-payme" in COMMANDS


def test_the_answers_that_are_given_ahead_are_those_of_the_package() -> None:
    templates = (ROOT / "debian/artix-payme.templates").read_text(encoding="utf-8")
    asked = re.findall(r"(?m)^Template: (artix-payme/.+)\nType: (string|password)$", templates)

    assert re.findall(r"(?m)^artix-payme (\S+) (string|password) ", PAGE) == asked


def test_who_replaces_the_old_module_gives_one_of_these_answers_ahead() -> None:
    page = (ROOT / "docs/ru/replace.md").read_text(encoding="utf-8")

    assert re.findall(r"(?m)^artix-payme (\S+) (string|password) ", page) == [("artix-payme/paymentType", "string")]


@pytest.mark.dpkg
@pytest.mark.timeout(600)
def test_every_command_of_the_first_hour_works(till: Till, sandbox: Sandbox, answers: dict[str, str]) -> None:
    till.preseed(**answers)
    LOG.parent.mkdir(parents=True)
    for command in COMMANDS:
        if command == "payme status":
            assert till.sell(sandbox.issue_code(), "close")["status"] == "PAID"
        # A person says yes where an upgrade or a removal is asked for.
        ended = till.run("bash", "-c", command.replace("aptitude ", "aptitude -y "))

        assert ended.code == 0, f"{command}\n{ended.out}\n{ended.err}"
        assert KEY not in ended.out + ended.err
        if command == "payme settings set payDuration=120000":
            assert "\npayDuration = 120000\n" in CONF.read_text(encoding="utf-8")
        if command == "payme status":
            assert "PAID" in ended.out
        if command.startswith("tail "):
            assert "receipts.pay" in ended.out
    LOG.unlink(missing_ok=True)
    assert not (LINUXCASH / "cash").exists()
    assert till.state == ""
