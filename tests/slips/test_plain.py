"""The plain slip can be rendered from any data without a template or a schema."""

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

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("operation", "amount", "receipt_id", "paid_at", "reversed_at", "till", "receipt")
LANGUAGES = ["ru", "uz", "uz-Cyrl", "en"]


def test_it_holds_what_buyer_and_bank_cannot_do_without() -> None:
    made = plain_slip(sample_data("refund"), 32, timezone=timezone(timedelta(hours=5)))
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
    ("language", "lines"),
    [
        ("uz", {"Summa: 1 234 500.00 so'm", "Sana: 31.01.2026 09:33:16"}),
        ("en", {"Amount: 1 234 500.00 UZS", "Date: 31.01.2026 09:33:16"}),
        ("de", {"Сумма: 1 234 500.00 сум", "Дата: 31.01.2026 09:33:16"}),
    ],
)
def test_a_renderer_makes_it_in_its_own_language_zone_and_letters(language: str, lines: set[str]) -> None:
    renderer = SlipRenderer(encoding="cp866", timezone=timezone.utc)
    assert lines <= {*renderer.render_plain(sample_data("pay"), 48, language).lines}


@given(
    data=st.dictionaries(st.sampled_from(NAMES), ANYTHING | st.sampled_from(["pay", "cancel", "refund"])),
    width=st.integers(),
    language=st.text(max_size=3) | st.sampled_from(LANGUAGES),
    encoding=st.none() | st.text(max_size=6) | st.sampled_from(["cp866", "ascii"]),
)
def test_no_data_make_it_fail_and_its_schema_accepts_it(
    data: dict[str, object], width: int, language: str, encoding: str | None
) -> None:
    made = plain_slip(data, width, language=language, encoding=encoding)
    assert Schemas().first_error("slip", read_xml(made.xml.encode()).root) is None
    assert all(text_width(line) <= max(24, min(80, width)) and line.isprintable() for line in made.lines)


_IN_A_PROCESS = """
import sys
from importlib.metadata import version
import slips, xml.etree.ElementTree
from payme_plugin.operations.payment_slips import import_slip_parts
slips.plain_slip(slips.sample_data("pay"), 32)
renderer = slips.SlipRenderer()
assert not {"xmlschema", "defusedxml", "PIL"} & set(sys.modules)
sought = []
class Watch:
    def find_spec(self, name, *_): sought.append(name)
import_slip_parts()
swaps = int(version("elementpath").partition(".")[0]) < 5
assert "defusedxml.ElementTree" in sys.modules and ("xmlschema" in sys.modules) is swaps
sys.meta_path.insert(0, Watch())
renderer.warm_up()
assert "xmlschema" in sys.modules and "xml.etree.ElementTree" not in sought
"""


def test_it_loads_no_library_and_warming_up_imports_elementtree_not_anew() -> None:
    """Another thread may be importing it."""
    subprocess.run([sys.executable, "-c", _IN_A_PROCESS], check=True, timeout=60)  # noqa: S603 - our own text
