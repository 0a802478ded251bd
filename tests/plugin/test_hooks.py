"""The hooks of a sale's life through the real plugin: acknowledgements, ``on_ready``, repeated and joined calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from fakes.joined_calls import running_call
from fakes.till import TENDER, ScriptedUi, open_sale, request_for, scan_after
from fakes.waiting import comes_true
from faults.child_process import without_coverage
from faults.full_disk import full_disk
from hookspecs import (
    CancelRequest,
    HookFailed,
    PaymentRecord,
    PaymentStatus,
    ReceiptKind,
    RefundRequest,
)
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.states import PaymentState
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.plugin import PaymePlugin
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld
    from fakes.served_till import ServedTill
    from hookspecs import PosPlugins

RU = Texts("ru")


def pay(till: ServedTill, payment_id: str = "p1", number: int = 1) -> PaymentRecord:
    result = till.pay(till.code(), payment_id=payment_id, receipt=open_sale(number))
    assert result.payment is not None
    return result.payment


def refund_of(record: PaymentRecord) -> RefundRequest:
    sale = open_sale(payments=(record,), closed_at=777)
    return RefundRequest(
        refund_id="f1", payment_type=record.payment_type, payment=record, sale=sale,
        refund=replace(sale, number=900, kind=ReceiptKind.REFUND, payments=(), closed_at=None), amount=record.amount,
        manual_selection=False, currency_selection=False,
    )  # fmt: skip


def hooks_about(record: PaymentRecord) -> dict[str, Callable[[PaymePlugin | PosPlugins], object]]:
    """Return the hooks that name a payment; the host must not go on without their answer."""
    sale = open_sale(payments=(record,), closed_at=777)
    ui = ScriptedUi(SystemClock())
    return {
        "on_payment_recorded": lambda plugin: plugin.on_payment_recorded(record),
        "on_cancel": lambda plugin: plugin.on_cancel(CancelRequest(payment=record, receipt=sale), ui),
        "validate_refund": lambda plugin: plugin.validate_refund(refund_of(record)),
        "on_full_refund": lambda plugin: plugin.on_full_refund(refund_of(record), ui),
        "on_receipt_closed": lambda plugin: plugin.on_receipt_closed(sale),
    }


HOOKS = list(hooks_about(PaymentRecord(payment_id="-", payment_type=1, amount=1, data={})))


# ---------------------------------------------------------------------------------------------------------------------
# Acknowledgements
# ---------------------------------------------------------------------------------------------------------------------


def test_a_closed_refund_acknowledges_nothing(till: ServedTill) -> None:
    record = pay(till)

    till.plugins.on_receipt_closed(replace(open_sale(payments=(record,), closed_at=777), kind=ReceiptKind.REFUND))

    assert till.row().state is PaymentState.PAID


def test_a_tender_of_another_plugin_is_not_acknowledged(till: ServedTill) -> None:
    record = replace(pay(till), data={"plugin": "other"})

    PaymePlugin().on_payment_recorded(record)
    PaymePlugin().on_receipt_closed(open_sale(payments=(record,), closed_at=777))

    assert till.row().state is PaymentState.PAID


@pytest.mark.parametrize("hook", ["on_payment_recorded", "on_receipt_closed"])
def test_an_acknowledgement_that_can_not_be_stored_raises_and_is_stored_when_the_host_repeats_it(
    till: ServedTill, hook: str
) -> None:
    acknowledge = hooks_about(pay(till))[hook]

    with full_disk(), pytest.raises(HookFailed):
        acknowledge(till.plugins)
    assert (till.row().state, till.row().acknowledged_at) == (PaymentState.PAID, None)

    acknowledge(till.plugins)
    assert till.row().state is PaymentState.RECORDED


def test_an_acknowledged_payment_outlives_a_restart_whatever_the_host_says_later(
    till: ServedTill, new_till: Callable[..., ServedTill]
) -> None:
    till.plugins.on_payment_recorded(pay(till))
    till.plugins.on_stop()
    till.host.recorded["p1"] = False

    again = new_till()

    assert (again.row().state, again.live()) == (PaymentState.RECORDED, [])


# ---------------------------------------------------------------------------------------------------------------------
# on_ready
# ---------------------------------------------------------------------------------------------------------------------


def test_on_ready_returns_the_money_of_a_payment_that_the_restarted_host_does_not_have(
    till: ServedTill, new_till: Callable[..., ServedTill]
) -> None:
    receipt_id = pay(till).data["receipt_id"]
    till.plugins.on_stop()
    assert till.row().state is PaymentState.PAID, "a stop moves no money"

    again = new_till()

    assert comes_true(lambda: again.row().state is PaymentState.REVERSED)
    assert {each.receipt_id: each.state for each in till.sandbox.receipts()}[receipt_id] == ReceiptState.CANCELLED


def returns(hook: Callable[[], None]) -> bool:
    try:
        hook()
    except HookFailed:
        return False
    return True


def test_an_on_ready_that_can_not_be_stored_raises_and_the_next_one_decides(
    till: ServedTill, new_till: Callable[..., ServedTill]
) -> None:
    pay(till)
    till.plugins.on_stop()
    again = new_till(starts=False)
    again.plugins.on_start(again.host)

    with full_disk(), pytest.raises(HookFailed):
        again.plugins.on_ready()
    assert again.row().state is PaymentState.PAID

    assert comes_true(lambda: returns(again.plugins.on_ready))  # the worker may write at the same moment
    assert comes_true(lambda: again.row().state is PaymentState.REVERSED)


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


def test_a_hook_that_outlasts_the_stop_is_joined_until_it_returns_and_a_new_start_starts_afresh(
    new_till: Callable[..., ServedTill],
) -> None:
    till = new_till(payDuration=5000)
    (plugin,) = till.plugins._manager.get_plugins()
    world = cast("HookedWorld", SimpleNamespace(dispatcher=plugin._dispatcher))
    code = till.code()
    with running_call(world, lambda wait: till.pay(scan_after(wait, code))) as running:
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
    new_till: Callable[..., ServedTill],
) -> None:
    till = new_till(payDuration=5000)
    (plugin,) = till.plugins._manager.get_plugins()
    world = cast("HookedWorld", SimpleNamespace(dispatcher=plugin._dispatcher))
    code = till.code()
    with running_call(world, lambda wait: till.pay(scan_after(wait, code))) as running:
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


@pytest.mark.parametrize("name", ["payme-warm-up", "payme-worker"])
def test_a_start_without_threads_leaves_nothing_behind_and_is_tried_again_at_the_next_hook(
    new_till: Callable[..., ServedTill], name: str
) -> None:
    till, start, before = new_till(starts=False), threading.Thread.start, set(threading.enumerate())

    def fail(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
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


_WITHOUT_DESCRIPTORS = """
import json, os, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from hookspecs import HookFailed
from payme_plugin.clock import SystemClock
from payme_plugin.plugin import PaymePlugin
from fakes.till import ScriptedUi, VirtualHost, request_for
host = VirtualHost(Path(sys.argv[2]), json.loads(sys.argv[3]))
plugin, told = PaymePlugin(), []
free = os.dup(0)
os.close(free)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
plugin.on_start(host)
told.append("payme_plugin.dispatcher" in sys.modules)
told.append(plugin.payment_types())
try:
    plugin.on_ready()
except HookFailed:
    told.append("HookFailed")
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
plugin.on_ready()
told.append(plugin.on_payment(request_for(), ScriptedUi(SystemClock(), [sys.argv[4]])).status.value)
plugin.on_stop()
print(json.dumps(told))
"""


def test_a_start_whose_imports_fail_for_want_of_descriptors_is_tried_again_at_the_next_hook(
    new_till: Callable[..., ServedTill],
) -> None:
    till = new_till(starts=False)
    support, given = Path(__file__).parents[1] / "support", json.dumps(dict(till.host.given))

    run = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", _WITHOUT_DESCRIPTORS, str(support), str(till.host.folder), given, till.code()],
        capture_output=True,
        text=True,
        env=without_coverage(os.environ),
        check=True,
        timeout=60,
    )

    assert json.loads(run.stdout) == [False, [], "HookFailed", "PAID"]


def test_after_the_stop_no_hook_tries_a_start_that_failed(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(starts=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        till.plugins.on_start(till.host)
    till.plugins.on_stop()

    assert till.plugins.payment_types() == []
    assert not till.host.folder.joinpath("journal.sqlite3-wal").exists()
