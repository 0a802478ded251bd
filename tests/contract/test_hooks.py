"""The contract read as a document: every hook, in the order of a sale's life, with the five things its reader needs."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from hookspecs import BaseHost, BaseUi, Host, PosPlugins, QueueMessage, SalesHost, Ui, hooks

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.floor

CONTRACT = {
    "on_start": (["host"], False),
    "payment_types": ([], False),
    "on_payment": (["request", "ui"], True),
    "on_payment_recorded": (["record"], False),
    "on_ready": ([], False),
    "on_cancel": (["request", "ui"], True),
    "validate_refund": (["request"], False),
    "on_full_refund": (["request", "ui"], True),
    "on_receipt_closed": (["receipt"], False),
    "on_shift_closed": (["shift"], False),
    "on_queue_message": (["message"], True),
    "on_stop": ([], False),
}


def specified() -> dict[str, Callable[..., object]]:
    return {name: hook for name, hook in vars(hooks).items() if hasattr(hook, "pos_spec")}


def test_the_contract_has_these_hooks_and_only_questions_with_one_answer_stop_at_the_first() -> None:
    assert {
        name: (list(inspect.signature(hook).parameters), bool(vars(hook)["pos_spec"]["firstresult"]))
        for name, hook in specified().items()
    } == CONTRACT


@pytest.mark.parametrize("name", CONTRACT)
def test_a_till_calls_every_hook_by_a_typed_method_of_the_same_shape(name: str) -> None:
    method = inspect.signature(getattr(PosPlugins, name))
    hook = inspect.signature(specified()[name])

    assert list(method.parameters.values())[1:] == list(hook.parameters.values())
    assert all(
        each.kind is each.POSITIONAL_OR_KEYWORD and each.default is each.empty for each in hook.parameters.values()
    )
    of_all_plugins = {"on_shift_closed": "list[str]"}
    assert method.return_annotation == of_all_plugins.get(name, hook.return_annotation)


@pytest.mark.parametrize(("protocol", "base"), [(Host, BaseHost), (SalesHost, BaseHost), (Ui, BaseUi)])
def test_the_bases_offer_all_of_their_protocol_with_the_same_signatures(protocol: type, base: type) -> None:
    promised = {name: each for name, each in vars(protocol).items() if not name.startswith("_")}

    assert promised
    for name, each in promised.items():
        if isinstance(each, property):
            assert isinstance(vars(base)[name], property)
        else:
            assert inspect.signature(each) == inspect.signature(vars(base)[name])


def test_a_host_that_was_written_before_sales_is_a_host() -> None:
    assert not hasattr(Host, "sales")


def test_the_defaults_of_a_host_and_its_cashier_are_safe_but_a_host_names_itself_and_its_folder() -> None:
    host, ui = BaseHost(), BaseUi()

    assert (host.language, host.slip_width, host.settings("payme")) == ("ru", 32, {})
    assert (host.is_recorded("p1"), host.sales(0, 1)) == (None, None)
    assert not host.enqueue(QueueMessage(message_id="m", kind="k", body="{}", created_at=0))
    host.notice("key", "text")
    assert (ui.scan("Scan", 30.0), ui.progress(1.0, 300.0, "Waiting")) == (None, None)
    with pytest.raises(NotImplementedError):
        _ = host.identity
    with pytest.raises(NotImplementedError):
        host.data_dir("payme")
