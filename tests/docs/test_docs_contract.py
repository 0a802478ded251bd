"""The page of the contract has every hook, service and model, with its exact signature."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass

import pytest

from hookspecs import Host, Ui, hooks, models
from payme_plugin.plugin import PaymePlugin
from tests.docs.conftest import headings, read

PAGE = "docs/host.md"
HOOKS = {name: hook for name, hook in vars(hooks).items() if hasattr(hook, "pos_spec")}


def called(name: str, function: object) -> str:
    assert callable(function)
    arguments = [each for each in inspect.signature(function).parameters if each != "self"]
    return f"{name}({', '.join(arguments)})"


def section(title: str) -> str:
    """Return what stands below a heading of the third level."""
    return read(PAGE).partition(f"\n### {title}\n")[2].partition("\n### ")[0]


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_a_heading_with_its_signature_and_says_what_it_may_do_to_money(name: str) -> None:
    text = section(called(name, HOOKS[name]))

    assert f" -> {inspect.signature(HOOKS[name]).return_annotation}`" in text
    assert "**Money effect.**" in text
    assert "**If it raises.**" in text
    first = vars(HOOKS[name])["pos_spec"]["firstresult"]
    assert ("the first plugin that answers" in text) is bool(first)


def test_the_hooks_stand_in_the_order_of_a_sales_life() -> None:
    wanted = [called(name, hook) for name, hook in HOOKS.items()]

    assert [title for title in headings(PAGE) if title in wanted] == wanted


@pytest.mark.parametrize("name", HOOKS)
def test_the_plugin_answers_to_every_hook_of_the_page(name: str) -> None:
    assert called(name, getattr(PaymePlugin, name)) == called(name, HOOKS[name])


@pytest.mark.parametrize("protocol", [Host, Ui])
def test_a_service_has_a_heading_for_each_member(protocol: type) -> None:
    text = section(protocol.__name__)

    for name, member in vars(protocol).items():
        if name.startswith("_"):
            continue
        wanted = f"#### {name}:" if isinstance(member, property) else f"#### {called(name, member)}\n"
        assert wanted in text


@pytest.mark.parametrize("name", models.__all__)
def test_a_model_is_there_with_all_that_it_holds(name: str) -> None:
    model = getattr(models, name)
    text = section(name)

    members = [field.name for field in fields(model)] if is_dataclass(model) else [each.name for each in model]
    assert members
    assert all(f"- `{member}`" in text for member in members)
