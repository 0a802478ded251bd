"""The renderer among threads: schemas are built once, by whoever comes first, and the others wait."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

from slips import SlipError, SlipRenderer, sample_data
from slips.schemas import Schemas
from slips.source import read_xml
from slips.template import Node, Template

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.floor


def test_a_slip_asked_for_while_another_thread_warms_up_waits_for_the_schema() -> None:
    renderer = SlipRenderer()
    renderer.import_libraries()
    made: list[tuple[str, ...]] = []
    barrier = threading.Barrier(4)

    def warm() -> None:
        barrier.wait(5)
        renderer.warm_up()

    def make() -> None:
        barrier.wait(5)
        made.append(renderer.render(renderer.load(None), sample_data("pay"), 32).lines)

    threads = [threading.Thread(target=target) for target in (warm, warm, make, make)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 2
    assert made[0] == made[1]


def test_each_schema_is_built_once_in_a_process() -> None:
    schemas = Schemas()
    assert schemas.get("slip") is Schemas().get("slip")
    assert schemas.get("slip") is not schemas.get("template")


def test_a_schema_without_its_file_is_a_slip_error_that_names_it() -> None:
    with pytest.raises(SlipError, match=r"missing\.xsd: No such file"):
        Schemas().get("missing")


def test_a_slip_that_its_schema_refuses_is_an_error_that_repeats_no_value(renderer: SlipRenderer) -> None:
    node = Node("line", {"align": "8600123412343456"}, ("a",))
    with pytest.raises(SlipError) as caught:
        renderer.render(Template("mine.xml", "ru", {"pay": (node,)}), {"operation": "pay"}, 32)
    assert str(caught.value) == "mine.xml: the filled slip is not valid at <line>"
    assert "8600" not in repr(caught.value)
    assert caught.value.__context__ is None


def test_the_schema_of_slips_refuses_control_characters_and_unknown_elements() -> None:
    schemas = Schemas()
    for body in (
        "<line>a\x85b</line>",
        "<note>a</note>",
        "<line when='pay'>a</line>",
        "<pair>a</pair>",
        "<qr/>",
        "<rule>a</rule>",
        "",
    ):
        assert (
            schemas.first_error("slip", read_xml(f"<slip operation='pay'>{body}</slip>".encode()).root) is not None
        ), body
    assert schemas.first_error("slip", read_xml(b"<slip operation='pay'><line/></slip>").root) is None


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
    calls += [] if missing == "xmlschema" else [renderer.import_libraries]
    for call in calls:
        with pytest.raises(SlipError, match=f"can't be imported: .*{missing}"):
            call()
