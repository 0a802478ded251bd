"""A grammar of the dialect: every template of it is valid, and each deviation is reported with its line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import cycle
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slips import OPERATIONS, SlipRenderer, TemplateError, sample_data
from slips.dialect import dialect
from slips.schemas import Schemas
from slips.source import read_xml

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.floor

DIALECT = dialect()


@dataclass(frozen=True)
class Written:
    """One element as it is written into a file.

    Attributes:
        element: its name.
        attributes: their names and values.
        text: its text.
        spaces: what stands before each attribute, in turn.
        end: what stands before the end of its tag.
    """

    element: str
    attributes: tuple[tuple[str, str], ...]
    text: str
    spaces: tuple[str, ...] = (" ",)
    end: str = ""

    def __str__(self) -> str:
        spaced = zip(cycle(self.spaces), self.attributes)
        attributes = "".join(f"{space}{name}={quoted(value)}" for space, (name, value) in spaced)
        return f"<{self.element}{attributes}{self.end}>{escape(self.text)}</{self.element}>"


def quoted(value: str) -> str:
    """Quote a value and leave its line breaks as they are."""
    return "'" + escape(value, {"'": "&apos;"}) + "'"


LITERAL = st.text(alphabet=st.sampled_from("aбЎʻ $%|.№<&\"'=商 \n\u00a0"), max_size=12)
SPACES = st.lists(st.sampled_from([" ", "\n", " \n\t ", "\n\n"]), min_size=1, max_size=3).map(tuple)


@st.composite
def placeholders(draw: st.DrawFn) -> str:
    field = draw(st.sampled_from(list(DIALECT.fields.values())))
    filter_name = draw(st.none() | st.sampled_from(DIALECT.filters[field.kind]))
    return f"${{{field.name}}}" if filter_name is None else f"${{{field.name}|{filter_name}}}"


TEXT = st.lists(LITERAL | placeholders(), max_size=4).map("".join)
WHEN = st.builds(
    str.join,
    st.sampled_from([" ", "\n", "\n "]),
    st.lists(st.sampled_from([*OPERATIONS, *DIALECT.fields]), min_size=1, max_size=4),
)


@st.composite
def elements(draw: st.DrawFn) -> Written:
    name = draw(st.sampled_from(list(DIALECT.elements)))
    rule = DIALECT.elements[name]
    attributes = []
    for attribute in rule.attributes:
        if attribute in rule.required or draw(st.booleans()):
            values = DIALECT.values.get(attribute)
            value = WHEN if attribute == "when" else TEXT if values is None else st.sampled_from(values)
            attributes.append((attribute, draw(value)))
    text = draw(TEXT) if rule.has_text else ""
    text += "x" if rule.needs_text else ""
    return Written(name, tuple(attributes), text, draw(SPACES), draw(st.sampled_from(["", " ", "\n"])))


def written(parts: list[Written]) -> bytes:
    return "\n".join(["<slip>", *map(str, parts), "</slip>"]).encode()


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas()


@given(parts=st.lists(elements(), min_size=1, max_size=6), operation=st.sampled_from(OPERATIONS))
def test_all_that_the_dialect_makes_is_accepted_and_filled(
    renderer: SlipRenderer, schemas: Schemas, parts: list[Written], operation: str
) -> None:
    text = written(parts)
    assert schemas.first_error("template", read_xml(text).root) is None, "the schema and the check are of one mind"
    template = renderer.load_text(text + b"<!-- end -->", "test")
    always = renderer.load_text(written([*parts, Written("rule", (), "")]), "test")
    assert {node.element for nodes in template.nodes.values() for node in nodes} == {part.element for part in parts}
    assert renderer.render(always, sample_data(operation), 32).lines[-1] == "-" * 32


@dataclass(frozen=True)
class Mutation:
    """One step out of the dialect.

    Attributes:
        make: makes it of an element.
        fault: how the fault begins in the element; nothing before it looks like it.
        schema_sees_it: whether the schema finds it too.
    """

    make: Callable[[Written], Written]
    fault: str
    schema_sees_it: bool = True


def other(element: str, text: str = "", *attributes: tuple[str, str]) -> Callable[[Written], Written]:
    """Keep of an element how it is written, and nothing else."""
    return lambda part: replace(part, element=element, attributes=attributes, text=text)


def more(name: str, value: str) -> Callable[[Written], Written]:
    def make(part: Written) -> Written:
        kept = [pair for pair in part.attributes if pair[0] != name]
        return replace(part, attributes=(*kept, (name, value)))

    return make


LIKE_A_TAG = 'Card="1"\n align="left"'
MUTATIONS = {
    "unknown element": Mutation(lambda part: replace(part, element="note"), "<note"),
    "unknown attribute": Mutation(more("colour", "red"), "colour="),
    "attribute of a namespace": Mutation(more("xml:lang", "ru"), "xml:lang="),
    "wrong value": Mutation(other("line", LIKE_A_TAG, ("bold", "true"), ("align", "middle")), "align='middle"),
    "missing label": Mutation(other("pair", "x"), "<pair"),
    "empty code": Mutation(other("qr"), "<qr"),
    "unknown filter": Mutation(other("line", "x\n\n< ${amount|monney}"), "${amount|monney}", schema_sees_it=False),
    "loose brace": Mutation(other("line", "x\n & {amount}"), "{amount}"),
    "loose brace in a label": Mutation(other("pair", "", ("label", "x &\n {amount}")), "label="),
    "text in a rule": Mutation(other("rule", "x"), "<rule"),
    "too many conditions": Mutation(other("rule", "", ("when", "pay\n" * 21)), "when="),
    "too long": Mutation(other("line", "x" * 2001), "x" * 2001),
    "unknown field": Mutation(other("line", "x\n&'\n${receipt.nothing}"), "${receipt.nothing}", schema_sees_it=False),
    "unknown field in a label": Mutation(
        other("pair", "x", ("label", "<\n\n ${receipt.nothing}")), "label=", schema_sees_it=False
    ),
    "unknown field in when": Mutation(more("when", "pay\n receipt.nothing"), "when="),
    "unfit filter": Mutation(other("line", "x\n ${amount|date}"), "${amount|date}", schema_sees_it=False),
    "unprintable": Mutation(other("line", "x\n\n y\u202ez"), "\u202e", schema_sees_it=False),
    "unprintable in a label": Mutation(other("pair", "", ("label", "x\n\n y\u202ez")), "label=", schema_sees_it=False),
}


@pytest.mark.parametrize("name", MUTATIONS)
@given(parts=st.lists(elements(), min_size=1, max_size=6), data=st.data())
def test_one_step_out_of_the_dialect_is_reported_with_its_line_and_column(
    renderer: SlipRenderer, schemas: Schemas, name: str, parts: list[Written], data: st.DataObject
) -> None:
    mutation = MUTATIONS[name]
    at = data.draw(st.integers(0, len(parts) - 1))
    mutated = mutation.make(parts[at])
    text = written([*parts[:at], mutated, *parts[at + 1 :]])
    with pytest.raises(TemplateError) as caught:
        renderer.load_text(text, "test")
    before = "\n".join(["<slip>", *map(str, parts[:at]), str(mutated).partition(mutation.fault)[0]])
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert [(fault.line, fault.column) for fault in caught.value.faults] == [place]
    if mutation.schema_sees_it:
        assert schemas.first_error("template", read_xml(text).root) is not None


@given(part=elements())
def test_the_schema_of_slips_allows_what_templates_do_but_conditions(schemas: Schemas, part: Written) -> None:
    """The two schemas are files of their own: what one allows, the other must."""
    kept = tuple((name, "x" if name == "label" else value) for name, value in part.attributes if name != "when")
    plain = replace(part, attributes=kept, text="x" if part.text else "")
    slip = f"<slip operation='pay'>{plain}</slip>".encode()
    assert schemas.first_error("slip", read_xml(slip).root) is None
    for name in {"label", *DIALECT.values} - {*DIALECT.elements[part.element].attributes}:
        wrong = replace(plain, attributes=(*kept, (name, DIALECT.values.get(name, ("x",))[0])))
        text = f"<slip operation='pay'>{wrong}</slip>".encode()
        assert schemas.first_error("slip", read_xml(text).root) is not None
