"""The contract read as a document: every hook, in the order of a sale's life, with the five things its reader needs."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hookspecs
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


def test_the_contract_has_these_hooks_and_no_other() -> None:
    assert sorted(specified()) == sorted(CONTRACT)


@pytest.mark.parametrize("name", CONTRACT)
def test_a_hook_takes_plain_names_without_defaults(name: str) -> None:
    parameters = inspect.signature(specified()[name]).parameters.values()

    assert [each.name for each in parameters] == CONTRACT[name][0]
    assert all(each.kind is each.POSITIONAL_OR_KEYWORD and each.default is each.empty for each in parameters)


@pytest.mark.parametrize("name", CONTRACT)
def test_only_questions_with_one_answer_stop_at_the_first(name: str) -> None:
    assert bool(vars(specified()[name])["pos_spec"]["firstresult"]) is CONTRACT[name][1]


@pytest.mark.parametrize("name", CONTRACT)
def test_a_till_calls_every_hook_by_a_typed_method_of_the_same_shape(name: str) -> None:
    method = inspect.signature(getattr(PosPlugins, name))
    hook = inspect.signature(specified()[name])

    assert list(method.parameters)[1:] == list(hook.parameters)
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


def test_the_defaults_of_a_host_are_safe() -> None:
    host = BaseHost()

    assert host.language == "ru"
    assert host.slip_width == 32
    assert host.settings("payme") == {}
    assert host.is_recorded("p1") is None
    assert host.sales(0, 1) is None
    assert not host.enqueue(QueueMessage(message_id="m", kind="k", body="{}", created_at=0))
    host.notice("key", "text")
    host.notice("key", None)


class HostOfVersion1:
    """A host that was written before ``sales``."""

    identity = property(lambda _: "till-1")
    language = property(lambda _: "ru")
    slip_width = property(lambda _: 32)

    def settings(self, plugin: str) -> dict[str, str]:
        return {}

    def data_dir(self, plugin: str) -> Path:
        return Path("/nowhere")

    def is_recorded(self, payment_id: str) -> bool | None:
        return None

    def enqueue(self, message: QueueMessage) -> bool:
        return False

    def notice(self, key: str, text: str | None) -> None: ...


def test_a_host_without_sales_is_a_host() -> None:
    host: Host = HostOfVersion1()  # the type checker's test
    plugins = PosPlugins()
    plugins.on_start(host)

    assert list(plugins.faults) == []


def test_a_host_must_name_itself_and_its_folder() -> None:
    host = BaseHost()

    with pytest.raises(NotImplementedError):
        _ = host.identity
    with pytest.raises(NotImplementedError):
        host.data_dir("payme")


def test_the_default_cashier_neither_scans_nor_stops() -> None:
    ui = BaseUi()

    assert ui.scan("Scan", 30.0) is None
    assert ui.progress(1.0, 300.0, "Waiting") is None


def test_the_contract_imports_nothing_of_ours() -> None:
    root = Path(hookspecs.__file__).parent.parent
    script = "import sys, hookspecs; print(sorted({'payme_plugin', 'slips'} & set(sys.modules)))"
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"
