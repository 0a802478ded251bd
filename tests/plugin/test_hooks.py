"""The hooks of a sale's life through the real plugin: ``on_ready``, out of service, joined calls, failed starts."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from fakes.joined_calls import RunningCall, running_call
from fakes.till import TENDER, ScriptedUi, open_sale, request_for, scan_after
from fakes.waiting import comes_true
from hookspecs import HookFailed, PaymentRecord, PaymentResult, PaymentStatus
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.states import PaymentState
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.plugin import PaymePlugin
from payme_plugin.texts import Text, Texts
from tests.plugin.conftest import hooks_about

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.hooked_world import HookedWorld
    from fakes.served_till import ServedTill

RU = Texts("ru")


def pay(till: ServedTill, payment_id: str = "p1", number: int = 1) -> PaymentRecord:
    result = till.pay(till.code(), payment_id=payment_id, receipt=open_sale(number))
    assert result.payment is not None
    return result.payment


HOOKS = list(hooks_about(PaymentRecord(payment_id="-", payment_type=1, amount=1, data={})))


def test_on_ready_returns_the_money_of_a_payment_that_the_restarted_host_does_not_have(
    till: ServedTill, new_till: Callable[..., ServedTill]
) -> None:
    receipt_id = pay(till).data["receipt_id"]
    till.plugins.on_stop()
    assert till.row().state is PaymentState.PAID, "a stop moves no money"

    again = new_till()

    assert comes_true(lambda: again.row().state is PaymentState.REVERSED)
    assert {each.receipt_id: each.state for each in till.sandbox.receipts()}[receipt_id] == ReceiptState.CANCELLED


# ---------------------------------------------------------------------------------------------------------------------
# Out of service
# ---------------------------------------------------------------------------------------------------------------------


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def unstarted(_: ServedTill) -> PaymePlugin:
    return PaymePlugin()


def stopped(till: ServedTill) -> PaymePlugin:
    plugin = PaymePlugin()
    plugin.on_start(till.host)
    plugin.on_stop()
    return plugin


def without_threads(till: ServedTill) -> PaymePlugin:
    plugin = PaymePlugin()
    plugin.on_start(till.host)
    return plugin


@pytest.mark.parametrize("out_of_service", [unstarted, stopped, without_threads])
@pytest.mark.parametrize("hook", HOOKS)
def test_a_plugin_that_does_not_run_fails_for_its_own_payments_and_leaves_others_alone(
    till: ServedTill,
    monkeypatch: pytest.MonkeyPatch,
    hook: str,
    out_of_service: Callable[[ServedTill], PaymePlugin],
) -> None:
    record = pay(till)
    till.plugins.on_stop()
    if out_of_service is without_threads:
        monkeypatch.setattr(threading.Thread, "start", no_thread)
    plugin = out_of_service(till)

    with pytest.raises(HookFailed) as raised:
        hooks_about(record)[hook](plugin)
    assert (raised.value.plugin, raised.value.hook) == ("payme", hook)

    others = replace(record, data={"plugin": "other"})
    assert hooks_about(others)[hook](plugin) in (None, [])
    assert till.row().state is PaymentState.PAID


@pytest.mark.parametrize("out_of_service", [unstarted, stopped])
def test_on_ready_fails_while_the_plugin_does_not_run(
    till: ServedTill, out_of_service: Callable[[ServedTill], PaymePlugin]
) -> None:
    till.plugins.on_stop()

    with pytest.raises(HookFailed):
        out_of_service(till).on_ready()


# ---------------------------------------------------------------------------------------------------------------------
# Repeated and joined calls
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def scanning(new_till: Callable[..., ServedTill]) -> Iterator[tuple[ServedTill, str, RunningCall[PaymentResult]]]:
    """A till in the middle of a scan, the code that is scanned, and the payment that waits for it."""
    till = new_till(payDuration=5000)
    (plugin,) = till.plugins._manager.get_plugins()
    world, code = cast("HookedWorld", SimpleNamespace(dispatcher=plugin._dispatcher)), till.code()
    with running_call(world, lambda wait: till.pay(scan_after(wait, code))) as running:
        yield till, code, running


def test_a_hook_that_outlasts_the_stop_is_joined_until_it_returns_and_a_new_start_starts_afresh(
    scanning: tuple[ServedTill, str, RunningCall[PaymentResult]],
) -> None:
    till, code, running = scanning
    till.plugins.on_stop()  # gives up waiting
    joined = running.join(lambda: till.pay(till.code(), repeated=True))
    assert not joined.done()
    running.go_on()
    first = running.result.result()

    assert first.status is PaymentStatus.ABORTED
    assert (joined.result(), till.sandbox.pays(code)) == (first, 0)
    assert till.plugins.on_payment(request_for("p2"), ScriptedUi(SystemClock())) is None
    assert till.plugins.payment_types() == []

    till.plugins.on_start(till.host)
    assert till.pay(till.code(), payment_id="p2", receipt=open_sale(2)).status is PaymentStatus.PAID


def test_a_start_beside_a_hook_that_outlasted_the_stop_sells_once_that_has_returned(
    scanning: tuple[ServedTill, str, RunningCall[PaymentResult]],
) -> None:
    till, code, running = scanning
    till.plugins.on_start(till.host)
    refused = till.pay(till.code(), payment_id="p2", receipt=open_sale(2))
    running.go_on()
    first = running.result.result()

    assert (refused.status, refused.message) == (PaymentStatus.REFUSED, RU(Text.PAYMENT_ANOTHER_TILL))
    assert (first.status, till.sandbox.pays(code)) == (PaymentStatus.ABORTED, 0)
    assert till.pay(till.code(), payment_id="p3", receipt=open_sale(3)).status is PaymentStatus.PAID


# ---------------------------------------------------------------------------------------------------------------------
# A start that fails
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lacks", ["payme-warm-up", "payme-worker", "imports"])
def test_a_start_without_a_thread_or_an_import_leaves_nothing_behind_and_is_tried_again_at_the_next_hook(
    new_till: Callable[..., ServedTill], lacks: str
) -> None:
    till, start, before = new_till(starts=False), threading.Thread.start, set(threading.enumerate())

    def fail(thread: threading.Thread) -> None:
        if thread.name == lacks:
            raise RuntimeError("can't start new thread")
        start(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        if lacks == "imports":  # e.g. for want of descriptors
            patch.setitem(sys.modules, "payme_plugin.dispatcher", None)
        till.plugins.on_start(till.host)
        assert till.plugins.faults == ()
        assert till.plugins.on_payment(request_for(), ScriptedUi(SystemClock())) is None
        with pytest.raises(HookFailed):
            till.plugins.on_ready()
        assert comes_true(lambda: {each for each in threading.enumerate() if not each.daemon} <= before)

    till.plugins.on_ready()
    assert pay(till).amount == request_for().amount


@pytest.mark.parametrize("hook", ["payment_types", "on_payment", "on_ready", "on_payment_recorded"])
def test_any_hook_tries_the_start_again(new_till: Callable[..., ServedTill], hook: str) -> None:
    first = new_till()
    record = pay(first)
    first.plugins.on_stop()
    till = new_till(starts=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        till.plugins.on_start(till.host)

    calls: dict[str, Callable[[], object]] = {
        "payment_types": till.plugins.payment_types,
        "on_payment": lambda: till.pay(repeated=True),
        "on_ready": till.plugins.on_ready,
        "on_payment_recorded": lambda: till.plugins.on_payment_recorded(record),
    }
    calls[hook]()

    assert [each.number for each in till.plugins.payment_types()] == [TENDER]
    assert till.row().state is {"on_ready": PaymentState.REVERSING, "on_payment_recorded": PaymentState.RECORDED}.get(
        hook, PaymentState.PAID
    )


def test_after_the_stop_no_hook_tries_a_start_that_failed(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(starts=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        till.plugins.on_start(till.host)
    till.plugins.on_stop()

    assert till.plugins.payment_types() == []
    assert not till.host.folder.joinpath("journal.sqlite3-wal").exists()
