"""The schemas are built once, and every filled slip is validated against them."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

import slips.schemas
from slips import SlipError, SlipRenderer, sample_data
from slips.schemas import Schemas
from slips.source import read_xml
from slips.template import Node, Template

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.floor


@pytest.mark.usefixtures("no_schema_is_built")
def test_each_schema_is_built_once_and_who_needs_one_meanwhile_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    renderer, build = SlipRenderer(), Mock(wraps=slips.schemas.build_schema)
    monkeypatch.setattr(slips.schemas, "build_schema", build)

    def make(_: int) -> tuple[str, ...]:
        renderer.warm_up()
        return renderer.render(renderer.load(None), sample_data("pay"), 32).lines

    with ThreadPoolExecutor(4) as pool:
        made = {*pool.map(make, range(4))}
    assert (len(made), build.call_count) == (1, 2)
    assert Schemas().get("slip") is renderer._schemas.get("slip"), "of any renderer"


def test_a_schema_without_its_file_is_a_slip_error_that_names_it() -> None:
    with pytest.raises(SlipError, match=r"missing\.xsd: No such file"):
        Schemas().get("missing")


def test_a_slip_that_its_schema_refuses_is_an_error_that_repeats_no_value(renderer: SlipRenderer) -> None:
    node = Node("line", {"align": "8600123412343456"}, ("a",))
    with pytest.raises(SlipError) as caught:
        renderer.render(Template("mine.xml", "ru", {"pay": (node,)}), {"operation": "pay"}, 32)
    assert str(caught.value) == "mine.xml: the filled slip is not valid at <line>"
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "body", ["<line>a\x85b</line>", "<note>a</note>", "<line when='pay'>a</line>", "<rule>a</rule>", ""]
)
def test_the_schema_of_slips_refuses_control_characters_and_what_is_not_a_filled_element(body: str) -> None:
    root = read_xml(f"<slip operation='pay'>{body}</slip>".encode()).root
    assert Schemas().first_error("slip", root) is not None


def test_the_document_says_what_the_validated_tree_says(renderer: SlipRenderer) -> None:
    template = renderer.load(None, "ru")
    made = renderer.render(template, sample_data("refund"), 32)
    parts = renderer.fill(template, sample_data("refund")).parts
    assert [(child.tag, child.attrib, child.text or "") for child in read_xml(made.xml.encode()).root] == [
        (part.element, part.attributes, part.text) for part in parts
    ]


@pytest.mark.usefixtures("no_schema_is_built")
@pytest.mark.parametrize("missing", ["xmlschema", "defusedxml", "defusedxml.ElementTree"])
def test_a_library_that_is_missing_is_a_slip_error_that_names_it(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    renderer = SlipRenderer()
    calls: list[Callable[[], object]] = [renderer.warm_up, lambda: renderer.load(None)]
    for call in calls:
        with pytest.raises(SlipError, match=f"can't be imported: .*{missing}"):
            call()
