"""7. Secrets, over real HTTP: a server that repeats what it was asked, a settings file, and the command."""

from __future__ import annotations

import io
import logging
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

import click
import pytest

from fakes.command_tree import commands_in
from fakes.served_till import ServedTill
from fakes.till import TENDER, VirtualHost, open_sale
from fakes.waiting import comes_true
from faults.canaries import BUYER, CARD, KEY, PHONE, Witness
from faults.echo_server import SHAPES, EchoingServer
from hookspecs import BaseUi, CancelRequest, PaymentStatus, PosPlugins
from payme_plugin.cli import main
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import BuyerAction, CancelPlan, Sandbox
from tests.command.conftest import ROOT, worker_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


METHODS = ("receipts.create", "receipts.pay", "receipts.check", "receipts.get", "receipts.cancel")


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(pos_key=KEY, buyer=BUYER, cancel=CancelPlan(settle_s=0)) as sandbox:
        yield sandbox


@pytest.fixture
def echo(running: Sandbox) -> Iterator[EchoingServer]:
    running.clear_faults()
    with EchoingServer(running) as server:
        yield server


@pytest.fixture
def till(running: Sandbox, echo: EchoingServer, tmp_path: Path) -> Iterator[ServedTill]:
    given = {"url": echo.url, "posId": running.pos_id, "posKey": KEY, "paymentType": str(TENDER)}
    quick = {"timeout": "2", "payDuration": "1000", "frequency": "100"}
    till = ServedTill(VirtualHost(tmp_path / "till", given | quick), running)
    till.plugins.register(PaymePlugin(), "payme")
    yield till
    till.plugins.on_stop()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=[name.replace(" ", "-") for name in SHAPES])
def test_no_answer_that_repeats_the_request_shows_a_secret(
    till: ServedTill,
    echo: EchoingServer,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    shape: Callable[..., bytes],
    method: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    witness = Witness(till.host.folder)
    is_asked_later = method in {"receipts.check", "receipts.get"}
    code = till.code(BuyerAction.CONFIRMS, after_s=0.02) if is_asked_later else till.code()
    echo.shapes[method] = shape
    till.plugins.on_start(till.host)

    result = till.pay(code)
    witness.note_files()
    witness.note_result("a verdict", result)
    if result.payment is not None:
        back = till.plugins.on_cancel(
            CancelRequest(payment=result.payment, receipt=open_sale(payments=(result.payment,))), BaseUi()
        )
        assert back is not None
        witness.note_result("a reversal", back)
    comes_true(lambda: not till.live() or any(row.attempts for row in till.live()), within_s=5)
    witness.note_files()
    till.plugins.on_stop()

    witness.note_files()
    witness.note_log(caplog.records)
    witness.note("a notice", till.host.notice_log)
    witness.note("a queue message", till.host.queue)
    witness.note("the console", *capsys.readouterr())
    assert witness.leaks(KEY, code, CARD, PHONE) == []


# The settings file and the command


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True), (0o606, True)])
def test_a_settings_file_that_others_can_read_is_a_warning_at_the_start_and_stops_no_sale(
    running: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    conf = tmp_path / "payme.go.conf"
    conf.write_text(
        f'[Main]\nurl = "{running.url}"\nposId = {running.pos_id}\nposKey = "{KEY}"\npaymentType = {TENDER}\n'
    )
    conf.chmod(mode)
    till = ServedTill(VirtualHost(tmp_path / "till", {"confFile": str(conf)}), running, PosPlugins())
    till.plugins.register(PaymePlugin(), "payme")
    try:
        till.plugins.on_start(till.host)
        told = [record for record in caplog.records if str(conf) in record.getMessage()]
        result = till.pay(till.code())
    finally:
        till.plugins.on_stop()

    assert [record.levelno for record in told] == ([logging.WARNING] if warned else [])
    assert all(f"{mode:04o}" in record.getMessage() and KEY not in record.getMessage() for record in told)
    assert result.status is PaymentStatus.PAID


# The command

ORDERS = (
    ["refund", "sold"],
    ["cancel", "taken back"],
    ["status"],
    ["status", "bad"],
    ["queue", "list"],
    ["queue", "deliver"],
    ["queue", "show", "1"],
    ["settings", "show"],
    ["settings", "check"],
    ["settings", "set", "timeout=3", f"posKey={KEY}"],
    ["settings", "set", f"{KEY}=3", KEY],
    ["slip", "check", "slip.xml"],
    ["slip", "preview", "slip.xml"],
    ["doctor"],
    ["reconcile", "--from", "2020-01-01", "--to", "2035-01-01"],
    ["queue", "close", "1", "--reason", "the buyer has the money"],
    ["queue", "add", "bad", "--reason", "nobody decides"],
    ["journal", "repair"],
    ["completion", "bash"],
)
SHOW_CODES_ON_PURPOSE = {"demo", "sandbox"}


def payme(*arguments: str) -> tuple[int, str]:
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main.main(args=list(arguments), prog_name="payme", standalone_mode=False)
    return code, said.getvalue()


@pytest.fixture
def options(running: Sandbox, echo: EchoingServer, tmp_path: Path) -> tuple[str, ...]:
    """What each command is given: a settings file and a folder of this test's."""
    conf = tmp_path / "payme.go.conf"
    conf.write_text(
        f'[Main]\nurl = "{echo.url}"\nposId = {running.pos_id}\nposKey = "{KEY}"\n'
        f"paymentType = {TENDER}\ntimeout = 2\npayDuration = 1000\nfrequency = 100\n"
    )
    conf.chmod(0o600)
    return ("--conf", str(conf), "--data-dir", str(tmp_path / "data"))


@pytest.mark.parametrize(
    "shape",
    ["an error's words", "an error's words, numbers in groups", "every field of the receipt", "broken JSON", "a page"],
)
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
def test_no_command_says_a_secret(
    running: Sandbox,
    echo: EchoingServer,
    options: tuple[str, ...],
    tmp_path: Path,
    shape: str,
    as_json: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    if as_json:
        options += ("--json",)
    journal = tmp_path / "data" / FILE_NAME
    template = tmp_path / "slip.xml"
    template.write_bytes((ROOT / "slips" / "payme.xml").read_bytes())
    witness, before_repair = Witness(tmp_path / "data"), Witness(tmp_path / "data")
    codes = {name: running.issue_code() for name in ("sold", "taken back", "bad")}
    for name, code in codes.items():
        if name == "bad":
            echo.shapes = {"receipts.pay": SHAPES[shape], "receipts.cancel": SHAPES[shape]}
        order = ["pay", "--amount", "15000.00", "--qr", code, "--payment-id", name]
        witness.note("payme pay", payme(*options, *order))
    echo.shapes = dict.fromkeys((*METHODS, "receipts.get_all"), SHAPES[shape])
    for order in ORDERS:
        if order[0] == "journal":
            before_repair.note_files()
            journal.write_bytes(journal.read_bytes()[:4096] + b"\xff" * 4096 + journal.read_bytes()[8192:])
        given = [str(template) if word == template.name else word for word in order]
        ended = payme(*options, *given)
        assert given[0] != "slip" or ended[0] == 0
        witness.note(f"payme {' '.join(order[:2])}", ended)
    (tmp_path / "payme.go.conf").write_text(f'[Main]\nposKey = "{KEY}\nposkey = {KEY}\n{KEY}\n')
    for order in (["settings", "check"], ["settings", "show"], ["doctor"]):
        witness.note(f"payme {order[0]}, of a file full of faults", payme(*options, *order))

    witness.note_log(caplog.records)
    assert witness.leaks(KEY, *codes.values(), CARD, PHONE) == []
    witness.note_files()
    assert witness.leaks(KEY, *codes.values(), CARD) == []
    assert before_repair.leaks(KEY, *codes.values(), CARD) == []


def test_no_worker_of_its_own_says_a_secret(
    running: Sandbox, echo: EchoingServer, options: tuple[str, ...], tmp_path: Path
) -> None:
    witness = Witness(tmp_path / "data")
    code = running.issue_code()
    echo.shapes = dict.fromkeys(("receipts.pay", "receipts.check", "receipts.cancel"), SHAPES["an error's words"])
    payme(*options, "pay", "--amount", "15000.00", "--qr", code)
    asked = len(running.requests)
    with worker_process(*options) as worker:
        assert comes_true(lambda: len(running.requests) > asked, within_s=20)
        assert comes_true(lambda: '"last_error": "' in payme(*options, "--json", "queue", "show", "1")[1])
        worker.terminate()
        witness.note("payme worker", *worker.communicate(timeout=20), worker.returncode)

    witness.note_files()
    assert worker.returncode == 0
    assert witness.leaks(KEY, code, CARD, PHONE) == []


def test_every_command_is_among_them() -> None:
    asked = {"pay", "worker", *(" ".join(order[: 2 if order[0] in GROUPS else 1]) for order in ORDERS)}

    assert asked == set(leaves(main)) - SHOW_CODES_ON_PURPOSE


GROUPS = {name for name, command in commands_in(main).items() if isinstance(command, click.Group)}


def leaves(group: click.Group, before: str = "") -> Iterator[str]:
    for name, command in commands_in(group).items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield before + name
