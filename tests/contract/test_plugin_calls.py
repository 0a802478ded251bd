from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.till import VirtualHost
from hookspecs import (
    BaseUi,
    HookFailed,
    PaymentRecord,
    PaymentResult,
    PaymentStatus,
    PaymentType,
    PosPlugins,
    QueueMessage,
    QueueVerdict,
    ReceiptKind,
    RefundViolation,
    ReversalResult,
    ReversalStatus,
    Shift,
    hookimpl,
)
from tests.contract.conftest import CANCEL, PAYMENT, RECEIPT, RECORD, REFUND

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.floor

SHIFT = Shift(number=1, opened_at=0, closed_at=1)
MESSAGE = QueueMessage(message_id="m1", kind="test.cancel", body="{}", created_at=0)
UI = BaseUi()
HOST = VirtualHost(Path("/nowhere"))


class Answers:
    """A plugin that answers every hook with what it was given for it, and records that it was asked."""

    def __init__(self, name: str, asked: list[str], **answers: object) -> None:
        self.name = name
        self.asked = asked
        self.answers = answers

    def _answer(self, hook: str) -> object:
        self.asked.append(f"{self.name}.{hook}")
        answer = self.answers.get(hook)
        if isinstance(answer, Exception):
            raise answer
        return answer

    on_start = hookimpl(lambda self, host: self._answer("on_start"))
    payment_types = hookimpl(lambda self: self._answer("payment_types"))
    on_payment = hookimpl(lambda self, request, ui: self._answer("on_payment"))
    on_payment_recorded = hookimpl(lambda self, record: self._answer("on_payment_recorded"))
    on_ready = hookimpl(lambda self: self._answer("on_ready"))
    on_shift_closed = hookimpl(lambda self, shift: self._answer("on_shift_closed"))
    on_cancel = hookimpl(lambda self, request, ui: self._answer("on_cancel"))
    validate_refund = hookimpl(lambda self, request: self._answer("validate_refund"))
    on_full_refund = hookimpl(lambda self, request, ui: self._answer("on_full_refund"))
    on_receipt_closed = hookimpl(lambda self, receipt: self._answer("on_receipt_closed"))
    on_queue_message = hookimpl(lambda self, message: self._answer("on_queue_message"))
    on_stop = hookimpl(lambda self: self._answer("on_stop"))


def till_with(*answers: dict[str, object]) -> tuple[PosPlugins, list[str]]:
    """A till with one plugin for each of ``answers`` (named a, b, c, asked in this order), and what they were asked."""
    plugins, asked = PosPlugins(), list[str]()
    for name, given in reversed(list(zip("abc", answers, strict=False))):
        assert plugins.register(Answers(name, asked, **given), name)
    return plugins, asked


def started_till_with(*answers: dict[str, object]) -> tuple[PosPlugins, list[str]]:
    """The same, after ``on_start``."""
    plugins, asked = till_with(*answers)
    plugins.on_start(HOST)
    asked.clear()
    return plugins, asked


def taken_by(plugin: str) -> PaymentRecord:
    return replace(RECORD, data={"plugin": plugin})


PAID = PaymentResult(status=PaymentStatus.PAID, amount=1000, payment=RECORD)
REVERSED = ReversalResult(status=ReversalStatus.REVERSED)
BOOM = RuntimeError("boom")


# ---------------------------------------------------------------------------------------------------------------------
# Hooks where the first answer counts
# ---------------------------------------------------------------------------------------------------------------------


def ask(plugins: PosPlugins, hook: str) -> object:
    calls: dict[str, Callable[[], object]] = {
        "on_payment": lambda: plugins.on_payment(PAYMENT, UI),
        "on_cancel": lambda: plugins.on_cancel(CANCEL, UI),
        "on_full_refund": lambda: plugins.on_full_refund(REFUND, UI),
        "on_queue_message": lambda: plugins.on_queue_message(MESSAGE),
    }
    return calls[hook]()


FIRST_RESULT = [
    pytest.param("on_payment", PAID, id="on_payment"),
    pytest.param("on_cancel", REVERSED, id="on_cancel"),
    pytest.param("on_full_refund", REVERSED, id="on_full_refund"),
    pytest.param("on_queue_message", QueueVerdict.DROP, id="on_queue_message"),
]
MONEY_HOOKS = FIRST_RESULT[:3]


@pytest.mark.parametrize(("hook", "answer"), FIRST_RESULT)
def test_the_first_answer_ends_the_question(hook: str, answer: object) -> None:
    plugins, asked = till_with({}, {hook: answer}, {hook: answer})

    assert ask(plugins, hook) is answer
    assert asked == [f"a.{hook}", f"b.{hook}"]


@pytest.mark.parametrize(("hook", "answer"), FIRST_RESULT)
def test_a_plugin_that_raises_does_not_silence_the_next(hook: str, answer: object) -> None:
    plugins, _ = till_with({hook: BOOM}, {hook: answer})

    assert ask(plugins, hook) is answer


@pytest.mark.parametrize(("hook", "answer"), MONEY_HOOKS)
def test_a_money_hook_that_raises_is_an_unknown_outcome_and_never_a_none(hook: str, answer: object) -> None:
    plugins, _ = till_with({}, {hook: BOOM}, {})

    with pytest.raises(HookFailed) as failed:
        ask(plugins, hook)
    assert (failed.value.plugin, failed.value.hook) == ("b", hook)
    assert failed.value.reason == "raised RuntimeError"
    assert failed.value.__cause__ is BOOM
    assert "boom" not in str(failed.value), "what a plugin raises may hold a secret; the log redacts it"


@pytest.mark.parametrize(("hook", "answer"), MONEY_HOOKS)
def test_a_plugins_own_hook_failed_reaches_the_host_with_its_reason(hook: str, answer: object) -> None:
    own = HookFailed("b", hook, "could not store it: the disk is full")

    with pytest.raises(HookFailed) as failed:
        ask(till_with({}, {hook: own})[0], hook)
    assert failed.value is own


@pytest.mark.parametrize(("hook", "answer"), MONEY_HOOKS)
@pytest.mark.parametrize("wrong", [True, "PAID", 4, {"status": "PAID"}, [PAID], RECORD])
def test_a_money_hook_that_returns_another_type_has_failed(hook: str, answer: object, wrong: object) -> None:
    plugins, _ = till_with({hook: wrong})

    with pytest.raises(HookFailed) as failed:
        ask(plugins, hook)
    assert failed.value.reason == f"returned {type(wrong).__name__}"


def test_a_queue_message_whose_plugin_fails_is_delivered_again() -> None:
    assert ask(till_with({"on_queue_message": BOOM})[0], "on_queue_message") is QueueVerdict.RETRY
    assert ask(till_with({"on_queue_message": "DONE"})[0], "on_queue_message") is QueueVerdict.RETRY


class OnlyTenders:
    @hookimpl
    def payment_types(self) -> list[PaymentType]:
        return []


@pytest.mark.parametrize("plugin", [None, OnlyTenders(), Answers("a", [])], ids=["none", "without the hook", "silent"])
def test_where_no_plugin_has_anything_to_say_the_answer_is_none(plugin: object) -> None:
    plugins = PosPlugins()
    assert plugin is None or plugins.register(plugin, "plugin")

    for hook in ("on_payment", "on_cancel", "on_full_refund", "on_queue_message"):
        assert ask(plugins, hook) is None
    assert plugins.validate_refund(REFUND) == []
    plugins.on_payment_recorded(RECORD)
    plugins.on_ready()
    plugins.on_receipt_closed(RECEIPT)
    plugins.on_stop()


# ---------------------------------------------------------------------------------------------------------------------
# Hooks where all answers count
# ---------------------------------------------------------------------------------------------------------------------


def violation(rule: str) -> RefundViolation:
    return RefundViolation(rule=rule, message=rule)


def test_lists_of_all_plugins_become_one_in_the_order_of_asking() -> None:
    one, two, three = (PaymentType(number=number, name=str(number)) for number in (1, 2, 3))
    plugins, _ = till_with({"payment_types": [two, one]}, {"payment_types": []}, {"payment_types": [three]})

    assert plugins.payment_types() == [two, one, three]


def test_every_plugin_may_forbid_a_refund_and_none_allows_it_with_an_empty_list() -> None:
    assert till_with({"validate_refund": []}, {})[0].validate_refund(REFUND) == []
    plugins, _ = till_with(
        {"validate_refund": [violation("partial-refund")]}, {"validate_refund": [violation("no-sale-receipt")]}
    )

    assert [each.rule for each in plugins.validate_refund(REFUND)] == ["partial-refund", "no-sale-receipt"]


@pytest.mark.parametrize(
    "answer",
    [BOOM, True, "partial-refund", [True], (violation("partial-refund"),)],
    ids=lambda each: type(each).__name__,
)
def test_a_refund_must_not_close_where_a_plugin_could_not_say(answer: object) -> None:
    plugins, asked = till_with({"validate_refund": answer}, {"validate_refund": []})

    with pytest.raises(HookFailed):
        plugins.validate_refund(REFUND)
    assert asked == ["a.validate_refund", "b.validate_refund"]


@pytest.mark.parametrize("answer", [BOOM, [7], "Payme"])
def test_a_plugin_that_cannot_name_its_tenders_offers_none(answer: object) -> None:
    tender = PaymentType(number=2, name="Two")
    plugins, _ = till_with({"payment_types": answer}, {"payment_types": [tender]})

    assert plugins.payment_types() == [tender]


TOLD: dict[str, Callable[[PosPlugins], None]] = {
    "on_payment_recorded": lambda plugins: plugins.on_payment_recorded(RECORD),
    "on_ready": lambda plugins: plugins.on_ready(),
    "on_receipt_closed": lambda plugins: plugins.on_receipt_closed(RECEIPT),
}


@pytest.mark.parametrize("hook", TOLD)
def test_what_a_plugin_could_not_store_is_repeated_after_all_were_told(hook: str) -> None:
    plugins, asked = till_with({hook: BOOM}, {})

    with pytest.raises(HookFailed) as failed:
        TOLD[hook](plugins)
    assert (failed.value.plugin, failed.value.hook) == ("a", hook)
    assert asked == [f"a.{hook}", f"b.{hook}"]


def test_the_shift_report_has_the_texts_of_all_plugins_that_have_one() -> None:
    plugins, asked = till_with(
        {"on_shift_closed": BOOM}, {"on_shift_closed": "agrees"}, {"on_shift_closed": b"no text"}
    )

    assert plugins.on_shift_closed(SHIFT) == ["agrees"]
    assert asked == ["a.on_shift_closed", "b.on_shift_closed", "c.on_shift_closed"]


# ---------------------------------------------------------------------------------------------------------------------
# Nobody answers, although somebody must
# ---------------------------------------------------------------------------------------------------------------------


def test_a_repeated_payment_that_no_plugin_answers_for_is_unknown_and_never_a_none() -> None:
    pending = PaymentResult(status=PaymentStatus.PENDING, amount=1000)
    silent, _ = started_till_with({}, {})
    answering, _ = started_till_with({}, {"on_payment": pending})

    assert silent.on_payment(PAYMENT, UI) is None
    with pytest.raises(HookFailed) as failed:
        silent.on_payment(replace(PAYMENT, repeated=True), UI)
    assert (failed.value.plugin, failed.value.hook) == (None, "on_payment")
    assert answering.on_payment(replace(PAYMENT, repeated=True), UI) is pending


NAMED: dict[str, Callable[[PosPlugins, PaymentRecord], object]] = {
    "on_cancel": lambda plugins, record: plugins.on_cancel(replace(CANCEL, payment=record), UI),
    "on_full_refund": lambda plugins, record: plugins.on_full_refund(replace(REFUND, payment=record), UI),
    "validate_refund": lambda plugins, record: plugins.validate_refund(replace(REFUND, payment=record)),
    "on_payment_recorded": lambda plugins, record: plugins.on_payment_recorded(record),
    "on_receipt_closed": lambda plugins, record: plugins.on_receipt_closed(replace(RECEIPT, payments=(record,))),
}


def never_registered() -> PosPlugins:
    return started_till_with({})[0]


def before_the_start() -> PosPlugins:
    plugins = till_with({})[0]
    plugins.register(Answers("taker", []), "taker")
    return plugins


def after_the_stop() -> PosPlugins:
    plugins = before_the_start()
    plugins.on_start(HOST)
    plugins.on_stop()
    return plugins


def after_a_failed_start() -> PosPlugins:
    plugins = till_with({})[0]
    plugins.register(Answers("taker", [], on_start=BOOM), "taker")
    plugins.on_start(HOST)
    return plugins


@pytest.mark.parametrize("hook", NAMED)
@pytest.mark.parametrize("out_of_service", [never_registered, before_the_start, after_the_stop, after_a_failed_start])
def test_a_payment_whose_plugin_is_out_of_service_is_nobody_elses(
    hook: str, out_of_service: Callable[[], PosPlugins]
) -> None:
    with pytest.raises(HookFailed) as failed:
        NAMED[hook](out_of_service(), taken_by("taker"))
    assert (failed.value.plugin, failed.value.hook, failed.value.reason) == ("taker", hook, "is not in service")


@pytest.mark.parametrize("hook", ["on_cancel", "on_full_refund"])
def test_a_payment_whose_plugin_has_nothing_to_say_is_unknown_and_never_a_none(hook: str) -> None:
    plugins, _ = started_till_with({}, {})

    with pytest.raises(HookFailed) as failed:
        NAMED[hook](plugins, taken_by("b"))
    assert (failed.value.plugin, failed.value.hook) == ("b", hook)


@pytest.mark.parametrize("hook", NAMED)
@pytest.mark.parametrize("plugin", ["a", ""])
def test_a_payment_of_a_plugin_in_service_or_of_none_passes(hook: str, plugin: str) -> None:
    plugins, _ = started_till_with({"on_cancel": REVERSED, "on_full_refund": REVERSED})

    NAMED[hook](plugins, taken_by(plugin))
    NAMED[hook](plugins, RECORD)
    assert list(plugins.faults) == []


@pytest.mark.parametrize("hook", ["on_cancel", "on_full_refund"])
def test_an_answer_counts_whoever_gives_it(hook: str) -> None:
    plugins, _ = started_till_with({hook: REVERSED})

    assert NAMED[hook](plugins, taken_by("taker")) is REVERSED


def test_a_refund_without_the_original_payment_names_no_plugin() -> None:
    plugins, _ = started_till_with({})
    cash = replace(REFUND, payment=None)

    assert plugins.validate_refund(cash) == []
    assert plugins.on_full_refund(cash, UI) is None


def test_a_refund_receipt_acknowledges_no_payment() -> None:
    plugins, asked = started_till_with({})

    plugins.on_receipt_closed(replace(RECEIPT, kind=ReceiptKind.REFUND, payments=(taken_by("taker"),)))
    assert asked == ["a.on_receipt_closed"]


# ---------------------------------------------------------------------------------------------------------------------
# The order of asking
# ---------------------------------------------------------------------------------------------------------------------


def test_the_plugin_that_was_registered_last_is_asked_first_unless_it_says_otherwise() -> None:
    plugins, asked = PosPlugins(), list[str]()

    class Recorder:
        def __init__(self, name: str) -> None:
            self.name = name

        @hookimpl
        def on_ready(self) -> None:
            asked.append(self.name)

    class First(Recorder):
        on_ready = hookimpl(lambda self: asked.append(self.name), tryfirst=True)

    class Last(Recorder):
        on_ready = hookimpl(lambda self: asked.append(self.name), trylast=True)

    for plugin in (First("first"), Recorder("one"), Recorder("two"), Last("last")):
        assert plugins.register(plugin, plugin.name)
    plugins.on_ready()

    assert (plugins.names, asked) == (("first", "one", "two", "last"), ["first", "two", "one", "last"])


# ---------------------------------------------------------------------------------------------------------------------
# The till's day
# ---------------------------------------------------------------------------------------------------------------------


def test_a_plugin_that_fails_at_the_start_is_out_of_service_and_the_till_works_on() -> None:
    plugins, asked = till_with({"on_start": BOOM, "on_payment": PAID}, {"on_payment": PAID})
    plugins.on_start(HOST)

    assert plugins.names == ("b",)
    assert plugins.faults[0].plugin == "a"
    assert re.search("on_start.*boom", plugins.faults[0].reason)
    assert plugins.on_payment(PAYMENT, UI) is PAID
    plugins.on_stop()
    assert asked == ["a.on_start", "b.on_start", "b.on_payment", "b.on_stop"]


def test_a_second_start_asks_a_plugin_that_failed_again_and_takes_back_its_fault() -> None:
    answers: dict[str, object] = {"on_start": BOOM, "on_payment": PAID}
    plugins, asked = PosPlugins(), list[str]()
    plugin = Answers("a", asked, **answers)
    assert plugins.register(plugin, "a")
    plugins.on_start(HOST)
    plugins.on_start(HOST)
    assert [fault.plugin for fault in plugins.faults] == ["a"], "one fault, however often it failed"

    del plugin.answers["on_start"]
    plugins.on_start(HOST)

    assert (plugins.names, plugins.faults) == (("a",), ())
    assert plugins.on_payment(PAYMENT, UI) is PAID
    assert asked == ["a.on_start"] * 3 + ["a.on_payment"]


def test_every_plugin_is_stopped_after_one_that_raises_too_and_the_log_names_that_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugins, asked = till_with({"on_stop": BOOM}, {})
    plugins.on_stop()

    assert asked == ["a.on_stop", "b.on_stop"]
    assert [(each.name, each.getMessage()) for each in caplog.records] == [
        ("pos.plugins", "plugin a failed in on_stop")
    ]
