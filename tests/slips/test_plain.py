"""The slip of last resort: whatever the data, it is made, and it needs neither template nor schema."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slips import SlipRenderer, plain_slip, sample_data
from slips.characters import text_width
from slips.schemas import Schemas
from slips.source import read_xml

TASHKENT = timezone(timedelta(hours=5))

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("operation", "amount", "receipt_id", "paid_at", "reversed_at", "till", "receipt")


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas()


def test_it_holds_what_buyer_and_bank_cannot_do_without() -> None:
    made = plain_slip(sample_data("refund"), 32, timezone=TASHKENT)
    assert made.lines == (
        "PAYME",
        "Возврат",
        "Касса: 3",
        "Дата: 01.02.2026 14:33:16",
        "Карта: 860012******3456",
        "Сумма: 1 234 500.00 сум",
        "Чек Payme:",
        "65f0a1b2c3d4e5f601234567",
    )


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("ru", "Сумма: 1 234 500.00 сум"),
        ("uz", "Summa: 1 234 500.00 soʻm"),
        ("en", "Amount: 1 234 500.00 UZS"),
        ("de", "Сумма: 1 234 500.00 сум"),
    ],
)
def test_it_speaks_the_languages_of_the_till(language: str, line: str) -> None:
    assert line in plain_slip(sample_data("pay"), 48, language=language).lines


@given(
    data=st.dictionaries(st.sampled_from(NAMES), ANYTHING | st.sampled_from(["pay", "cancel", "refund"])),
    width=st.integers(),
    language=st.text(max_size=3) | st.sampled_from(["uz", "en"]),
    encoding=st.none() | st.text(max_size=6) | st.sampled_from(["cp866", "ascii"]),
)
def test_no_data_make_it_fail_and_its_schema_accepts_it(
    schemas: Schemas, data: dict[str, object], width: int, language: str, encoding: str | None
) -> None:
    made = plain_slip(data, width, language=language, encoding=encoding)
    assert schemas.first_error("slip", read_xml(made.xml.encode()).root) is None
    assert all(text_width(line) <= max(24, min(80, width)) and line.isprintable() for line in made.lines)


def test_a_press_makes_it_in_its_own_zone_and_letters() -> None:
    renderer = SlipRenderer(encoding="cp866", timezone=TASHKENT)
    lines = renderer.render_plain(sample_data("pay"), 48, "uz").lines
    assert "Summa: 1 234 500.00 so'm" in lines
    assert "Sana: 31.01.2026 14:33:16" in lines


def test_neither_importing_slips_nor_a_plain_slip_loads_the_xml_libraries() -> None:
    script = (
        "import sys, slips; slips.plain_slip(slips.sample_data('pay'), 32); slips.SlipRenderer();"
        "assert not {'xmlschema', 'defusedxml'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)  # noqa: S603 - our own text


def test_after_the_parts_are_imported_no_warming_up_imports_elementtree_anew_under_another_threads_feet() -> None:
    script = (
        "import sys, slips, xml.etree.ElementTree\n"
        "sought = []\n"
        "class Watch:\n"
        "    def find_spec(self, name, *_): sought.append(name)\n"
        "renderer = slips.SlipRenderer(); renderer.import_libraries()\n"
        "sys.meta_path.insert(0, Watch()); renderer.warm_up()\n"
        "assert {'xmlschema', 'defusedxml.ElementTree'} <= set(sys.modules)\n"
        "assert 'xml.etree.ElementTree' not in sought"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)  # noqa: S603 - our own text
