"""7. Secrets, over real HTTP: a server that repeats what it was asked, a settings file, and the command."""

from __future__ import annotations

import io
import logging
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

import pytest

from hands_canaries import BUYER, CARD, KEY, PHONE, Witness
from hands_echo import SHAPES, EchoingServer
from hookspecs import BaseUi, CancelRequest, PaymentStatus, PosPlugins
from payme_plugin.cli import main
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import BuyerAction, CancelPlan, Sandbox
from served_till import ServedTill
from virtual_till import TENDER, VirtualHost, open_sale
from waiting import comes_true

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
    quick = {"timeout": "2", "payDuration": "200", "frequency": "50"}
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


def payme(*arguments: str) -> tuple[int, str]:
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main.main(args=list(arguments), prog_name="payme", standalone_mode=False)
    return code, said.getvalue()


@pytest.mark.parametrize(
    "shape", ["an error's words", "an error's words, numbers in groups", "every field of the receipt"]
)
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
def test_no_command_says_a_secret(
    running: Sandbox, echo: EchoingServer, tmp_path: Path, shape: str, as_json: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    conf = tmp_path / "payme.go.conf"
    conf.write_text(
        f'[Main]\nurl = "{echo.url}"\nposId = {running.pos_id}\nposKey = "{KEY}"\n'
        "timeout = 2\npayDuration = 200\nfrequency = 50\n"
    )
    conf.chmod(0o600)
    options = ("--conf", str(conf), "--data-dir", str(tmp_path / "data"), *(["--json"] if as_json else []))
    witness = Witness(tmp_path / "data")
    good, bad = running.issue_code(), running.issue_code()
    witness.note("the command", payme(*options, "pay", "--amount", "15000.00", "--qr", good, "--payment-id", "good"))
    echo.shapes = {"receipts.pay": SHAPES[shape], "receipts.cancel": SHAPES[shape]}
    witness.note("the command", payme(*options, "pay", "--amount", "15000.00", "--qr", bad, "--payment-id", "bad"))
    for words in (
        ["cancel", "good"],
        ["status"],
        ["status", "bad"],
        ["queue", "list"],
        ["queue", "deliver"],
        ["queue", "show", "1"],
        ["settings", "show"],
        ["settings", "check"],
        ["reconcile", "--from", "2020-01-01", "--to", "2035-01-01"],
    ):
        witness.note(f"payme {words[0]}", payme(*options, *words))
    conf.write_text(f'[Main]\nposKey = "{KEY}\nposkey = {KEY}\n{KEY}\n')
    witness.note("payme settings check", payme(*options, "settings", "check"))

    witness.note_log(caplog.records)
    assert witness.leaks(KEY, good, bad, CARD, PHONE) == []
    witness.note_files()
    assert witness.leaks(KEY, good, bad, CARD) == []
