"""The key, the code, the card and the phone are planted, everything goes wrong, and nobody but Payme has seen them.

Looked at is all that a till shows, stores and says: log records with their arguments and tracebacks, notices, prompts,
verdicts, slips, queue messages, the raw bytes of the journal and of its write-ahead log, and the command's words. Two
exceptions: a slip has the masked card, and the buyer's phone is in ``receipt_attributes``.
"""

from __future__ import annotations

import logging
from random import Random
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import error
from fakes.hooked_world import HookedWorld
from fakes.till import VirtualHost, open_sale, request_for
from faults.canaries import BUYER, CARD, CODE, KEY, MASKED_CARD, PHONE, Witness, grouped
from hookspecs import CancelRequest, PaymentStatus
from payme_plugin.operations.payment_slips import PaymentSlips, TemplateCache
from payme_plugin.sandbox import Bank, Behaviour, BuyerAction, CancelPlan, FaultKind
from slips import SlipRenderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hookspecs import PaymentResult

SECRETS = (KEY, CODE, CARD, PHONE)
METHODS = ("receipts.create", "receipts.pay", "receipts.check", "receipts.get", "receipts.cancel")
WORDS = f"{KEY} {CODE} {grouped(CODE)} {CARD} {grouped(CARD)} {grouped(CARD, '-')} +{PHONE} +998 (90) 111-22-33"


@pytest.fixture
def world(tmp_path: Path, renderer: SlipRenderer, caplog: pytest.LogCaptureFixture) -> Iterator[HookedWorld]:
    """A till on virtual time with real slips, whose buyer's phone shows the planted code."""
    caplog.set_level(logging.DEBUG)
    world = HookedWorld(tmp_path, posKey=KEY)
    world.paymego.bank = Bank(Random(1), buyer=BUYER, cancel=CancelPlan(settle_s=1))  # noqa: S311 - a seed is to replay
    world.slips = PaymentSlips(TemplateCache(renderer), None, 32, 2, world.texts, world.host.notice)
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
    result = world.dispatcher.pay(request, ui)
    assert result is not None
    witness.note_result("a verdict", result)
    if result.payment is not None:
        back = world.dispatcher.cancel(_cancel(result), ui)
        assert back is not None
        witness.note_result("a reversal", back)
    witness.note_files()
    world.work(40)
    for message in world.host.queue:
        witness.note("a queue message", message)
    world.work(7200)
    note_till(world.host, witness)
    witness.note("the screen", ui.prompts, ui.shown)
    witness.note("a print", world.settings, world.client, world.context(), world.journal, request)
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


# Faults of the plugin's own


class Broken(RuntimeError):
    """A fault whose words repeat everything."""


def break_slips(world: HookedWorld) -> None:
    class Maker:
        def render(self, *arguments: object) -> tuple[()]:
            secret = WORDS
            raise Broken(secret)

    world.slips = Maker()  # type: ignore[assignment]


def break_renderer(world: HookedWorld) -> None:
    class Renderer:
        def load(self, *arguments: object) -> object:
            secret = WORDS
            raise Broken(secret)

        render = load

        def render_plain(self, *arguments: object) -> object:
            return SlipRenderer().render_plain(*arguments)  # type: ignore[arg-type]

    renderer = Renderer()
    world.slips = PaymentSlips(TemplateCache(renderer), None, 32, 2, world.texts, world.host.notice)  # type: ignore[arg-type]


def break_clients(world: HookedWorld) -> None:
    def client(*arguments: object) -> object:
        secret = WORDS
        raise Broken(secret)

    world.paymego.befall(FaultKind.ANSWER_LOST, "receipts.cancel")
    context = world.context()
    world.context = lambda: context  # type: ignore[method-assign] # the sale has its client; the worker gets none
    world.paymego.client = client  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("broken", [break_slips, break_renderer, break_clients])
def test_no_fault_of_the_plugins_own_shows_a_secret_in_its_words_or_its_traceback(
    world: HookedWorld, caplog: pytest.LogCaptureFixture, broken: Callable[[HookedWorld], None]
) -> None:
    witness = Witness(world.host.folder)
    show_code(world)
    broken(world)

    a_day(world, witness)

    witness.note_log(caplog.records)
    assert "Broken < test_secrets.py:" in caplog.text
    assert witness.leaks(*SECRETS) == []
