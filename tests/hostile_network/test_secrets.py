"""Under every fault, nobody but Payme sees the key, the code, the card and the phone.

The search covers all that a till shows, stores and logs: log records with their arguments and tracebacks, notices,
prompts, results, slips, queue messages, the raw bytes of the journal and of its write-ahead log, and the output of
commands. Two exceptions: a slip has the masked card, and the buyer's phone is in ``receipt_attributes``.
``test_faults`` searches after every fault of the network; ``tests/protocol/test_secrets.py`` tests the client.
"""

from __future__ import annotations

import io
import json
import logging
from contextlib import closing, redirect_stderr, redirect_stdout
from random import Random
from typing import TYPE_CHECKING, Any

import click
import pytest

from fakes.answer_changes import error
from fakes.command_tree import commands_in
from fakes.hooked_world import HookedWorld
from fakes.till import TENDER, open_sale
from faults.canaries import BUYER, CARD, CODE, KEY, MASKED_CARD, PHONE, WORDS, LeakSearch, grouped
from faults.proxy import FaultProxy, Phase
from hookspecs import CancelRequest, PaymentResult, PaymentStatus, Slip
from payme_plugin.cli import main
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.operations.payment_slips import PaymentSlips, TemplateCache
from payme_plugin.sandbox import Bank, Behaviour, BuyerAction, CancelPlan, FaultKind, Sandbox
from slips import SlipRenderer
from tests.command.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faults.server import Connection

SECRETS = (KEY, CODE, CARD, PHONE)
METHODS = ("receipts.create", "receipts.pay", "receipts.check", "receipts.get", "receipts.cancel")


@pytest.fixture
def world(tmp_path: Path, renderer: SlipRenderer, caplog: pytest.LogCaptureFixture) -> Iterator[HookedWorld]:
    """A till on virtual time with real slips, whose buyer's phone shows the planted code."""
    caplog.set_level(logging.DEBUG)
    world = HookedWorld(tmp_path, posKey=KEY)
    world.paymego.bank = Bank(Random(1), buyer=BUYER, cancel=CancelPlan(settle_s=1))  # noqa: S311 - a seed is to replay
    world.paymego.bank._know(CODE, world.paymego.now_ms, Behaviour(BuyerAction.CONFIRMS, after_s=3))
    world.slips = PaymentSlips(TemplateCache(lambda: renderer), None, 32, 2, world.texts, world.host.notice)
    world.host.takes_messages = True
    yield world
    world.close()


@pytest.fixture
def sell_and_cancel(
    world: HookedWorld, search: LeakSearch, caplog: pytest.LogCaptureFixture
) -> Callable[[], PaymentResult]:
    """Sell, give back what was sold, let the worker work, and make sure that nothing has shown a secret."""

    def run() -> PaymentResult:
        ui = world.cashier(CODE, CODE)
        result = world.ask(ui=ui)
        search.add_result(result)
        if result.payment is not None:
            sale = open_sale(payments=(result.payment,))
            back = world.dispatcher.cancel(CancelRequest(payment=result.payment, receipt=sale), ui)
            assert back is not None
            search.add_result(back)
        search.add_files()
        world.work(40)
        search.add("a queue message", *world.host.queue)
        world.work(7200)
        search.add("a notice", world.host.notice_log)
        search.add("the screen", ui.prompts, ui.shown)
        search.add("a repr", world.settings, world.client, world.context(), world.journal)
        search.add("the journal", world.journal.payments(), world.events(), world.live())
        search.add_files()
        search.add_log(caplog.records)
        assert search.leaks(*SECRETS) == []
        return result

    return run


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", FaultKind, ids=lambda kind: kind.value)
def test_no_fault_of_the_wire_or_the_server_shows_a_secret(
    world: HookedWorld, sell_and_cancel: Callable[[], PaymentResult], kind: FaultKind, method: str
) -> None:
    world.paymego.inject_fault(kind, method, times=2, error_code=-31999)

    sell_and_cancel()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("words", [WORDS, {"ru": WORDS, "uz": WORDS}, [WORDS]], ids=["text", "map", "list"])
def test_no_error_in_the_servers_words_shows_a_secret(
    world: HookedWorld, sell_and_cancel: Callable[[], PaymentResult], method: str, words: object
) -> None:
    world.paymego.change(method, error(-31999, words), times=3)

    sell_and_cancel()


def test_a_slip_shows_the_masked_card_and_only_the_attributes_the_phone(
    sell_and_cancel: Callable[[], PaymentResult],
) -> None:
    result = sell_and_cancel()

    assert result.status is PaymentStatus.PAID
    assert any(MASKED_CARD in line for slip in result.slips for line in slip.lines)
    assert [name for name, value in result.receipt_attributes.items() if PHONE in value] == ["PhoneNumber"]


class Broken(RuntimeError):
    """A fault whose words repeat everything."""


def fail(*_: object) -> Any:  # noqa: ANN401 - whatever is replaced
    words = WORDS
    raise Broken(words)


def break_slips(world: HookedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PaymentSlips, "render", fail)


def break_renderer(world: HookedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlipRenderer, "load", fail)
    monkeypatch.setattr(SlipRenderer, "render", fail)


def break_clients(world: HookedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.paymego.inject_fault(FaultKind.ANSWER_LOST, "receipts.cancel")
    context = world.context()
    monkeypatch.setattr(world, "context", lambda: context)  # the sale has its client; the worker gets none
    monkeypatch.setattr(world.paymego, "client", fail)


@pytest.mark.parametrize("broken", [break_slips, break_renderer, break_clients])
def test_no_fault_of_the_plugins_own_shows_a_secret_in_its_words_or_its_traceback(
    world: HookedWorld,
    sell_and_cancel: Callable[[], PaymentResult],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    broken: Callable[[HookedWorld, pytest.MonkeyPatch], None],
) -> None:
    broken(world, monkeypatch)

    sell_and_cancel()

    assert "Broken < test_secrets.py:" in caplog.text


# The command

COMMANDS = (
    ["pay", "--amount", "15000.00", "--qr", "{0}", "--payment-id", "bad"],
    ["refund", "sold"],
    ["cancel", "taken back"],
    ["status", "bad"],
    ["queue", "list"],
    ["queue", "deliver"],
    ["queue", "show", "1"],
    ["queue", "parked", "list"],
    ["queue", "parked", "retry", "--all"],
    ["queue", "parked", "close", "1", "--reason", "{0}"],
    ["settings", "show"],
    ["settings", "check"],
    ["settings", "set", "timeout=3", f"posKey={KEY}"],
    ["slip", "check", str(ROOT / "slips" / "payme.xml")],
    ["slip", "preview", str(ROOT / "slips" / "payme.xml")],
    ["doctor"],
    ["reconcile", "--from", "2020-01-01", "--to", "2035-01-01"],
    ["queue", "close", "1", "--reason", "the buyer has the money"],
    ["queue", "add", "bad", "--reason", "nobody decides"],
    ["journal", "repair"],
    ["completion", "bash"],
    ["sandbox", "fault", "add", "html", "--code", "{0}"],
    ["sandbox", "fault", "add", "html", "--code", "{0}1"],
    ["sandbox", "fault", "list"],
    ["sandbox", "fault", "remove", "1"],
    ["sandbox", "fault", "clear"],
)
SHOW_CODES_ON_PURPOSE = {"demo", "sandbox"}
HAS_NO_SECRETS = {"conformance"}  # it reads no settings; its own sandbox has its own key
RUNS_UNTIL_IT_IS_STOPPED = {"worker"}  # what it says are the log records of the worker


def request_repeated(connection: Connection) -> str:
    request = connection.requests[-1]
    return f"{request.headers['X-Auth']} {request.body.decode()} card {CARD} phone +{PHONE}"


def in_an_error(connection: Connection, _: bytes) -> bool:
    words = request_repeated(connection)
    connection.answer(connection.requests[-1], error={"code": -31999, "message": words, "data": words})
    return True


def in_the_receipt(connection: Connection, answer: bytes) -> bool:
    words, document = request_repeated(connection), json.loads(answer)
    merchant = {"name": words, "organization": words, "epos": {"merchantId": words, "terminalId": words}}
    result = document.get("result")
    for receipt in result if isinstance(result, list) else [(result or {}).get("receipt")]:
        if receipt is not None:
            receipt |= {"description": words, "detail": {"items": [words]}, "merchant": merchant, words: words}
    connection.reply(json.dumps(document).encode())
    return True


def in_a_page(connection: Connection, _: bytes) -> bool:
    connection.reply(request_repeated(connection).encode())
    return True


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pos_key=KEY, buyer=BUYER) as sandbox:
        yield sandbox


@pytest.fixture
def proxy(sandbox: Sandbox) -> Iterator[FaultProxy]:
    with closing(FaultProxy(sandbox.port)) as proxy:
        yield proxy


@pytest.fixture
def payme(
    sandbox: Sandbox, proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    """Run a command with a settings file and a folder of this test's; return its exit code and what it printed."""
    monkeypatch.setenv("PAYME_SANDBOX_URL", sandbox.origin)
    conf = tmp_path / "payme.go.conf"
    conf.write_text(
        f'[Main]\nurl = "{proxy.url}"\nposId = {sandbox.pos_id}\nposKey = "{KEY}"\n'
        f"paymentType = {TENDER}\ntimeout = 2\npayDuration = 1000\nfrequency = 100\n"
    )
    conf.chmod(0o600)

    def run(*arguments: str) -> tuple[int, str]:
        printed = io.StringIO()
        options = ("--conf", str(conf), "--data-dir", str(tmp_path / "data"))
        with redirect_stdout(printed), redirect_stderr(printed):
            code = main.main(args=[*options, *arguments], prog_name="payme", standalone_mode=False)
        return code, printed.getvalue()

    return run


@pytest.mark.parametrize("repeating", [in_an_error, in_the_receipt, in_a_page])
@pytest.mark.parametrize("as_json", [["--json"], []], ids=["json", "text"])
def test_no_command_prints_or_stores_a_secret(
    payme: Callable[..., tuple[int, str]],
    sandbox: Sandbox,
    proxy: FaultProxy,
    tmp_path: Path,
    repeating: Callable[[Connection, bytes], bool],
    as_json: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    search, stored = LeakSearch(tmp_path / "data"), LeakSearch(tmp_path / "data")
    codes = [sandbox.issue_code() for _ in range(3)]
    for name, code in zip(("sold", "taken back"), codes[1:], strict=True):
        payme("pay", "--amount", "15000.00", "--qr", code, "--payment-id", name)
    proxy.inject(repeating, Phase.AFTER, *METHODS, "receipts.get_all")
    for command in COMMANDS:
        if command[0] == "journal":
            stored.add_files()
            journal = search.folder / FILE_NAME
            journal.write_bytes(journal.read_bytes()[:4096] + b"\xff" * 4096 + journal.read_bytes()[8192:])
        search.add(" ".join(command[:2]), payme(*as_json, *(word.format(codes[0]) for word in command)))
    (tmp_path / "payme.go.conf").write_text(f'[Main]\nposKey = "{KEY}\nposkey = {KEY}\n{KEY}\n')
    for command in (["settings", "check"], ["settings", "show"], ["doctor"]):
        search.add(f"{command[0]}, of a file full of faults", payme(*as_json, *command))
    search.add_log(caplog.records)
    stored.add_files()

    assert search.leaks(KEY, *codes, CARD, PHONE) == []
    assert stored.leaks(KEY, *codes, CARD) == []  # the till has the phone in the attributes of its receipts


def test_every_command_is_among_them() -> None:
    names = set(leaves(main))
    asked = {name for name in names if any(command[: name.count(" ") + 1] == name.split() for command in COMMANDS)}

    assert asked == names - SHOW_CODES_ON_PURPOSE - RUNS_UNTIL_IT_IS_STOPPED - HAS_NO_SECRETS


def leaves(group: click.Group, before: str = "") -> Iterator[str]:
    for name, command in commands_in(group).items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield before + name


# The search itself


def test_a_planted_secret_is_found_wherever_it_is_shown(search: LeakSearch, world: HookedWorld) -> None:
    def hold(_: str) -> None:
        raise KeyError from ValueError(PHONE)

    slip = Slip(xml="".join(f"&#{ord(letter)};" for letter in KEY), lines=(CODE[:9], f"   {CODE[9:]}"), copies=1)
    result = PaymentResult(status=PaymentStatus.PAID, amount=1, message="", slips=(slip,))
    with pytest.raises(KeyError) as raised:
        hold(KEY)
    search.add("groups", grouped(CARD), grouped(CARD[2:], "-"))
    search.add_result(result)
    search.add_error("a traceback", raised.value)
    (search.folder / "kept").write_text(f"the buyer showed {CODE[:-2]}")
    search.add_files()

    shown = {(CARD, "groups"), (KEY, "a slip"), (CODE, "a slip"), (KEY, "a traceback"), (PHONE, "a traceback")}
    assert shown | {(CODE, "kept")} <= set(search.leaks(*SECRETS))


def test_the_visible_digits_of_a_masked_number_are_not_a_leak(search: LeakSearch) -> None:
    search.add("a slip", MASKED_CARD, CODE[-4:], KEY[:7], f"*****{PHONE[-4:]}")

    assert search.leaks(*SECRETS) == []
