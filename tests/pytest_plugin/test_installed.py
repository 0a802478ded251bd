"""The fixture ``paymego`` as a user has it, who has installed the package and tests something of their own."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pytest_plugin.conftest import UserProject

pytestmark = pytest.mark.floor

CLIENT = """
import json
import urllib.request


def call(paymego, method, **params):
    settings = paymego.settings
    request = urllib.request.Request(
        settings["url"],
        json.dumps({"method": method, "params": params}).encode(),
        {"X-Auth": f"{settings['posId']}:{settings['posKey']}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def create(paymego, amount=1_500_000):
    return call(paymego, "receipts.create", amount=amount, account={})["result"]["receipt"]["_id"]
"""
PAYMENTS = (
    CLIENT
    + """
import pytest


@pytest.mark.parametrize("amount", [100, 1_500_000])
def test_a_buyer_pays(paymego, amount):
    assert call(paymego, "receipts.pay", id=create(paymego, amount), token=paymego.buyer().code())["result"]
    assert paymego.held == amount
"""
)
FAILING = (
    CLIENT
    + """
def test_it_fails(paymego):
    paymego.fail("error", "receipts.pay")
    assert "result" in call(paymego, "receipts.pay", id=create(paymego), token=paymego.buyer().code())


def test_it_fails_without_a_server():
    raise AssertionError
"""
)
WRONG = """
import pytest


@pytest.mark.parametrize(
    "wrong",
    [
        lambda paymego: paymego.buyer("sleeps"),
        lambda paymego: paymego.buyer("fails"),
        lambda paymego: paymego.buyer(balance=-1),
        lambda paymego: paymego.fail("explode"),
        lambda paymego: paymego.fail("error", status=200),
        lambda paymego: paymego.advance(-1),
    ],
)
def test_it_is_wrong(paymego, wrong):
    wrong(paymego)
"""
FOREIGN = """
import os
import sys


def test_what_is_loaded():
    ours = {name for name in sys.modules if name.partition(".")[0] in {"payme_plugin", "hookspecs", "slips"}}
    assert ours == {"payme_plugin", "payme_plugin.testing", "payme_plugin.testing.pytest_plugin"}
    assert not {"urllib3", "xmlschema", "defusedxml", "click", "segno"} & set(sys.modules)
    assert sys.modules["payme_plugin"].__file__.startswith(os.environ["PYTHONPATH"])
"""


@pytest.mark.parametrize(
    "options", [(), ("-n", "2"), ("--disable-socket", "--allow-hosts=127.0.0.1")], ids=["", "xdist", "pytest-socket"]
)
def test_a_test_gets_a_server_of_its_own(project: UserProject, options: tuple[str, ...]) -> None:
    (project.folder / "test_client.py").write_text(PAYMENTS, encoding="utf-8")

    ended = project.pytest(*options)

    assert (ended.returncode, " 2 passed" in ended.stdout) == (0, True), ended.stdout


def test_nothing_of_ours_is_imported_for_tests_that_do_not_ask_for_it(project: UserProject) -> None:
    """Else it would be missing where coverage begins to measure after the plugins are loaded."""
    (project.folder / "test_own.py").write_text(FOREIGN, encoding="utf-8")

    ended = project.pytest()

    assert (ended.returncode, " 1 passed" in ended.stdout) == (0, True), ended.stdout


def test_the_report_of_a_test_that_failed_shows_what_arrived(project: UserProject) -> None:
    (project.folder / "test_client.py").write_text(FAILING, encoding="utf-8")

    shown = project.pytest("-p", "no:randomly").stdout

    assert shown.count("Requests at paymego") == 1
    assert 'receipts.create {"amount": 1500000, "account": {}}: state 0' in shown
    assert ": error -32400, fault error" in shown


def test_wrong_arguments_are_shown_at_the_line_of_the_test_without_our_code(project: UserProject) -> None:
    (project.folder / "test_client.py").write_text(WRONG, encoding="utf-8")

    shown = project.pytest("-p", "no:randomly").stdout

    assert " 6 failed" in shown, shown
    ours = ("structure.py", "paymego.py", "behaviour.py", "faults.py", "server.py", "scenario.py")
    assert [name for name in ours if name in shown] == []
    assert re.search("^E +ValueError: error_code is required with the behaviour 'fails'", shown, re.MULTILINE)


def test_pytest_shows_what_the_fixture_is(project: UserProject) -> None:
    shown = project.pytest("--fixtures", "-q").stdout

    assert "paymego" in shown
    assert "A PaymeGO server on a free port of this machine" in shown


def test_the_product_does_not_need_pytest(project: UserProject) -> None:
    script = "import sys; sys.modules['pytest'] = None; import payme_plugin.testing.paymego, payme_plugin.plugin;"
    script += "from payme_plugin.cli import main; main(['sandbox', '--help'], 'payme')"

    assert project.python("-c", script).returncode == 0


def test_it_can_be_turned_off(project: UserProject) -> None:
    (project.folder / "test_own.py").write_text(
        textwrap.dedent("""
            def test_nothing_is_loaded():
                import sys
                assert "payme_plugin" not in sys.modules
        """),
        encoding="utf-8",
    )

    assert project.pytest("-p", "no:paymego").returncode == 0
