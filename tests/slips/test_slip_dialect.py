"""The dialect as a grammar: all that it makes is accepted, and one step out of it is reported with its line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slips import FIELDS, FILTERS, SlipPress, TemplateError, sample_data
from slips.dialect import ATTRIBUTE_VALUES, ELEMENTS
from slips.schemas import Schemas
from slips.source import read_xml


@dataclass(frozen=True)
class Written:
    """One element as it is written into a file, one line each."""

    element: str
    attributes: tuple[tuple[str, str], ...]
    text: str

    def __str__(self) -> str:
        attributes = "".join(f" {name}={quoteattr(value)}" for name, value in self.attributes)
        return f"<{self.element}{attributes}>{escape(self.text)}</{self.element}>"


LITERAL = st.text(alphabet=st.sampled_from("aбЎʻ $%|.№<&\"'商 "), max_size=12)


@st.composite
def placeholders(draw: st.DrawFn) -> str:
    field = draw(st.sampled_from(list(FIELDS.values())))
    filter_name = draw(st.none() | st.sampled_from(FILTERS[field.kind]))
    return f"${{{field.name}}}" if filter_name is None else f"${{{field.name}|{filter_name}}}"


TEXT = st.lists(LITERAL | placeholders(), max_size=4).map("".join)
WHEN = st.lists(st.sampled_from(["pay", "cancel", "refund", *FIELDS]), min_size=1, max_size=4).map(" ".join)


@st.composite
def elements(draw: st.DrawFn) -> Written:
    name = draw(st.sampled_from(list(ELEMENTS)))
    rule = ELEMENTS[name]
    attributes = []
    for attribute in rule.attributes:
        if attribute in rule.required or draw(st.booleans()):
            values = ATTRIBUTE_VALUES.get(attribute)
            value = WHEN if attribute == "when" else TEXT if values is None else st.sampled_from(values)
            attributes.append((attribute, draw(value)))
    text = draw(TEXT) if rule.has_text else ""
    return Written(name, tuple(attributes), text + "x" if rule.needs_text else text)


def written(parts: list[Written]) -> bytes:
    return "\n".join(["<slip>", *map(str, parts), "</slip>"]).encode()


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas()


@settings(deadline=None)
@given(parts=st.lists(elements(), min_size=1, max_size=6), operation=st.sampled_from(["pay", "cancel", "refund"]))
def test_all_that_the_dialect_makes_is_accepted_and_filled(
    press: SlipPress, schemas: Schemas, parts: list[Written], operation: str
) -> None:
    text = written(parts)
    assert schemas.first_error("template", read_xml(text).root) is None, "the schema and the check are of one mind"
    template = press.load_text(text + b"<!-- end -->", "test")
    always = press.load_text(written([*parts, Written("rule", (), "")]), "test")
    assert {node.part.element for nodes in template.nodes.values() for node in nodes} == {
        part.element for part in parts
    }
    assert press.make(always, sample_data(operation), 32).lines[-1] == "-" * 32


def unknown_element(part: Written) -> Written:
    return replace(part, element="note")


def unknown_attribute(part: Written) -> Written:
    return replace(part, attributes=(*part.attributes, ("colour", "red")))


def wrong_align(part: Written) -> Written:
    return replace(part, element="line", attributes=(("align", "middle"),), text="x")


def missing_label(part: Written) -> Written:
    return replace(part, element="pair", attributes=(), text="x")


def empty_code(part: Written) -> Written:
    return replace(part, element="qr", attributes=(), text="")


def unknown_field(part: Written) -> Written:
    return replace(part, element="line", attributes=(), text="x ${receipt.nothing}")


def unknown_field_in_when(part: Written) -> Written:
    return replace(
        part, attributes=(*(pair for pair in part.attributes if pair[0] != "when"), ("when", "pay receipt.nothing"))
    )


def unknown_filter(part: Written) -> Written:
    return replace(part, element="line", attributes=(), text="x ${amount|monney}")


def unfit_filter(part: Written) -> Written:
    return replace(part, element="line", attributes=(), text="x ${amount|date}")


def loose_brace(part: Written) -> Written:
    return replace(part, element="line", attributes=(), text="{amount}")


def text_in_a_rule(part: Written) -> Written:
    return replace(part, element="rule", attributes=(), text="x")


def too_many_conditions(part: Written) -> Written:
    return replace(part, element="rule", attributes=(("when", "pay " * 21),), text="")


def too_long(part: Written) -> Written:
    return replace(part, element="line", attributes=(), text="x" * 2001)


SEEN_BY_THE_SCHEMA_TOO = (
    unknown_element,
    unknown_attribute,
    wrong_align,
    missing_label,
    empty_code,
    unknown_filter,
    loose_brace,
    text_in_a_rule,
    too_long,
    too_many_conditions,
)
SEEN_BY_THE_CHECK_ALONE = (unknown_field, unknown_field_in_when, unfit_filter)


@pytest.mark.parametrize("mutation", [*SEEN_BY_THE_SCHEMA_TOO, *SEEN_BY_THE_CHECK_ALONE])
@settings(deadline=None)
@given(parts=st.lists(elements(), min_size=1, max_size=6), data=st.data())
def test_one_step_out_of_the_dialect_is_reported_with_its_line(
    press: SlipPress, schemas: Schemas, mutation: object, parts: list[Written], data: st.DataObject
) -> None:
    assert callable(mutation)
    at = data.draw(st.integers(0, len(parts) - 1))
    mutated = [*parts[:at], mutation(parts[at]), *parts[at + 1 :]]
    with pytest.raises(TemplateError) as caught:
        press.load_text(written(mutated), "test")
    assert {fault.line for fault in caught.value.faults} == {at + 2}
    if mutation in SEEN_BY_THE_SCHEMA_TOO:
        assert schemas.first_error("template", read_xml(written(mutated)).root) is not None


@settings(deadline=None)
@given(parts=st.lists(elements(), min_size=1, max_size=4), data=st.data())
def test_an_element_inside_another_is_reported_with_its_line(
    press: SlipPress, schemas: Schemas, parts: list[Written], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(parts) - 1))
    lines = ["<slip>", *map(str, parts), "</slip>"]
    lines[at + 1] = f"<line>a <{parts[at].element}/></line>"
    text = "\n".join(lines).encode()
    with pytest.raises(TemplateError) as caught:
        press.load_text(text, "test")
    assert [fault.line for fault in caught.value.faults] == [at + 2]
    assert schemas.first_error("template", read_xml(text).root) is not None
