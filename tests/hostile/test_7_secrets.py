"""The key, the code, the card and the phone are planted, everything goes wrong, and nobody but Payme has seen them.

Looked at is all that a till shows, stores and says: log records with their arguments and tracebacks, notices, prompts,
verdicts, slips, queue messages, the raw bytes of the journal and of its write-ahead log, and the command's words. Two
exceptions: a slip has the masked card, and the buyer's phone is in ``receipt_attributes``.
"""

from __future__ import annotations

import io
import logging
from contextlib import redirect_stderr, redirect_stdout
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answer_changes import error
from hands_canaries import BUYER, CARD, CODE, KEY, MASKED_CARD, PHONE, Witness, grouped
from hands_echo import SHAPES, EchoingServer
from hooked_world import HookedWorld
from hookspecs import BaseUi, CancelRequest, PaymentStatus, PosPlugins
from payme_plugin.cli import main
from payme_plugin.operations.slip_desk import SlipDesk, TemplateShelf
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import Bank, Behaviour, BuyerAction, CancelPlan, FaultKind, Sandbox
from payme_plugin.secret import mask_digits, without_words
from served_till import ServedTill
from slips import SlipPress
from virtual_till import TENDER, VirtualHost, open_sale, request_for
from waiting import comes_true

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hookspecs import PaymentResult

SECRETS = (KEY, CODE, CARD, PHONE)
METHODS = ("receipts.create", "receipts.pay", "receipts.check", "receipts.get", "receipts.cancel")
WORDS = f"{KEY} {CODE} {grouped(CODE)} {CARD} {grouped(CARD)} {grouped(CARD, '-')} +{PHONE} +998 (90) 111-22-33"


@pytest.fixture(scope="module")
def press() -> SlipPress:
    """The real maker of slips; its schemas are built once."""
    return SlipPress()


@pytest.fixture
def world(tmp_path: Path, press: SlipPress, caplog: pytest.LogCaptureFixture) -> Iterator[HookedWorld]:
    """A till on virtual time with real slips, whose buyer's phone shows the planted code."""
    caplog.set_level(logging.DEBUG)
    world = HookedWorld(tmp_path, posKey=KEY)
    world.paymego.bank = Bank(Random(1), buyer=BUYER, cancel=CancelPlan(settle_s=1))  # noqa: S311 - a seed is to replay
    world.slips = SlipDesk(press, TemplateShelf(press), None, 32, 2, world.texts, world.host.notice)
    world.host.takes_messages = True
    yield world
    world.close()


def show_code(world: HookedWorld, action: BuyerAction = BuyerAction.PAYS, **how: float) -> str:
    world.paymego.bank._know(CODE, world.paymego.now_ms, Behaviour(action, **how))  # type: ignore[arg-type]
    return CODE


def a_day(world: HookedWorld, witness: Witness) -> PaymentResult:
    """Sell, give back what was sold, let the worker work, and note all that is to be seen of it."""
    ui = world.cashier(CODE, CODE)
    request = request_for(qr_code=None)
    result = world.counter.pay(request, ui)
    assert result is not None
    witness.note("a verdict", result, result.message, result.payment, result.payment and result.payment.data)
    for slip in result.slips:
        witness.note("a slip", slip.xml, *slip.lines)
    if result.payment is not None:
        back = world.counter.cancel(_cancel(result), ui)
        witness.note("a reversal", back, *([] if back is None else [back.slips]))
    witness.note_files()
    world.work(40)
    for message in world.host.queue:
        witness.note("a queue message", message)
    world.work(7200)
    note_till(world.host, witness)
    witness.note("the screen", ui.prompts, ui.shown)
    witness.note("a print", world.settings, world.client, world.tools(), world.journal, request)
    witness.note("the story", world.journal.payments(), world.events(), world.live())
    witness.note_files()
    return result


def note_till(host: VirtualHost, witness: Witness) -> None:
    witness.note("a notice", host.notice_log)
    witness.note("a queue message", host.queue)


def _cancel(result: PaymentResult) -> CancelRequest:
    assert result.payment is not None
    return CancelRequest(payment=result.payment, receipt=open_sale(payments=(result.payment,)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", FaultKind, ids=lambda kind: kind.value)
def test_no_fault_of_the_wire_or_the_server_shows_a_secret(
    world: HookedWorld, caplog: pytest.LogCaptureFixture, kind: FaultKind, method: str
) -> None:
    witness = Witness(world.host.folder)
    show_code(world, BuyerAction.CONFIRMS, after_s=3)
    world.paymego.befall(kind, method, times=2, error_code=-31999)

    a_day(world, witness)

    witness.note_log(caplog.records)
    assert witness.leaks(*SECRETS) == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "words", [WORDS, {"ru": WORDS, "uz": WORDS, "en": WORDS}, [WORDS]], ids=["text", "map", "list"]
)
def test_no_error_in_the_servers_words_shows_a_secret(
    world: HookedWorld, caplog: pytest.LogCaptureFixture, method: str, words: object
) -> None:
    witness = Witness(world.host.folder)
    show_code(world, BuyerAction.CONFIRMS, after_s=3)
    world.paymego.change(method, error(-31999, words), times=3)

    a_day(world, witness)

    witness.note_log(caplog.records)
    assert witness.leaks(*SECRETS) == []


def test_a_slip_shows_the_masked_card_and_the_attributes_alone_the_phone(world: HookedWorld) -> None:
    witness = Witness(world.host.folder)
    show_code(world)

    result = a_day(world, witness)

    assert result.status is PaymentStatus.PAID
    assert any(MASKED_CARD in line for slip in result.slips for line in slip.lines)
    assert [name for name, value in result.receipt_attributes.items() if PHONE in value] == ["PhoneNumber"]
    assert witness.leaks(*SECRETS) == []


# The plugin as a host has it, over real HTTP, before a server that repeats what it was asked


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
    witness.note("a verdict", result, result.message, result.payment, result.slips)
    if result.payment is not None:
        witness.note("a reversal", till.plugins.on_cancel(_cancel(result), BaseUi()))
    comes_true(lambda: not till.live() or any(row.attempts for row in till.live()), within_s=5)
    witness.note_files()
    till.plugins.on_stop()

    witness.note_files()
    witness.note_log(caplog.records)
    note_till(till.host, witness)
    witness.note("the console", *capsys.readouterr())
    assert witness.leaks(KEY, code, CARD, PHONE) == []


# Faults of the plugin's own


class Broken(RuntimeError):
    """A fault whose words repeat everything."""


def break_slips(world: HookedWorld) -> None:
    class Maker:
        def make(self, *arguments: object) -> tuple[()]:
            secret = WORDS
            raise Broken(secret)

    world.slips = Maker()


def break_press(world: HookedWorld) -> None:
    class Press:
        def load(self, *arguments: object) -> object:
            secret = WORDS
            raise Broken(secret)

        make = load

        def make_plain(self, *arguments: object) -> object:
            return SlipPress().make_plain(*arguments)  # type: ignore[arg-type]

    press = Press()
    world.slips = SlipDesk(press, TemplateShelf(press), None, 32, 2, world.texts, world.host.notice)  # type: ignore[arg-type]


def break_clients(world: HookedWorld) -> None:
    def client(*arguments: object) -> object:
        secret = WORDS
        raise Broken(secret)

    world.paymego.befall(FaultKind.ANSWER_LOST, "receipts.cancel")
    world.paymego.client = client  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("broken", [break_slips, break_press, break_clients])
def test_no_fault_of_the_plugins_own_shows_a_secret_in_its_words_or_its_traceback(
    world: HookedWorld, caplog: pytest.LogCaptureFixture, broken: Callable[[HookedWorld], None]
) -> None:
    witness = Witness(world.host.folder)
    show_code(world)
    broken(world)

    a_day(world, witness)

    witness.note_log(caplog.records)
    assert "Broken < test_7_secrets.py:" in caplog.text
    assert witness.leaks(*SECRETS) == []


def test_a_fault_is_told_by_its_class_and_the_places_that_it_came_through_and_so_is_its_cause() -> None:
    def inner() -> None:
        raise KeyError(WORDS)

    def outer() -> None:
        try:
            inner()
        except KeyError as cause:
            raise Broken(WORDS) from cause

    with pytest.raises(Broken) as raised:
        outer()

    told = without_words(raised.value)
    assert told.startswith("Broken < test_7_secrets.py:")
    assert ", after KeyError < test_7_secrets.py:" in told
    assert "\n" not in told
    assert KEY not in told


def test_a_circle_of_causes_has_an_end() -> None:
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one

    assert without_words(one) == "ValueError, after KeyError"


# Numbers in what others say


@given(
    number=st.sampled_from([CARD, CODE, PHONE]),
    by=st.sampled_from(["", " ", "-", "\u00a0", "\u2011", ".", "- ", ") ", "\u200b"]),
    size=st.integers(2, 6),
    before=st.text(st.characters(exclude_categories=["Cs", "N"]), max_size=9),
)
def test_a_number_in_groups_is_masked_but_for_its_last_four_digits(
    number: str, by: str, size: int, before: str
) -> None:
    masked = mask_digits(f"{before}{grouped(number, by, size)}.")

    assert masked == f"{before}{'*' * (len(number) - 4)}{number[-4:]}."


@pytest.mark.parametrize(
    "text",
    ["", "15 000 000 sum", "150 000.00", "error -31400", "-31400, -31101, -31103", "12:30:59", "2026-01-31", "a1b2c3"],
)
def test_amounts_codes_and_times_stay(text: str) -> None:
    assert mask_digits(text) == text


@given(st.text())
def test_masking_is_done_once(text: str) -> None:
    once = mask_digits(text)

    assert mask_digits(once) == once


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
