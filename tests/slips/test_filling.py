"""Filling a template: what each name and filter prints, and what ``when`` keeps."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from slips import LANGUAGES, OPERATIONS, SlipError, SlipRenderer, sample_data
from slips.dialect import dialect
from slips.source import read_xml
from slips.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.floor

TILLS = {"ru": "Касса", "uz": "Kassa", "uz-Cyrl": "Касса", "en": "Till"}
COMMISSIONS = {"ru": "Комиссия", "uz": "Komissiya", "uz-Cyrl": "Комиссия", "en": "Commission"}


def printed(renderer: SlipRenderer, body: str, data: Mapping[str, object], language: str = "ru") -> tuple[str, ...]:
    template = renderer.load_text(f"<slip>{body}</slip>".encode(), "test", language)
    return renderer.render(template, {"operation": "pay", **data}, 80).lines


def shipped(renderer: SlipRenderer, language: str, data: Mapping[str, object]) -> tuple[str, ...]:
    return renderer.render(renderer.load(None, language), data, 48).lines


@pytest.mark.parametrize(
    ("placeholder", "data", "text"),
    [
        ("${amount}", {"amount": 1_500_000}, "15 000.00"),
        ("${amount|money}", {"amount": 1}, "0.01"),
        ("${receipt.amount}", {"receipt": {"amount": -150}}, "-1.50"),
        ("${amount}", {"amount": 10**21 + 1}, ""),
        ("${amount}", {"amount": 15.5}, ""),
        ("${paid_at}", {"paid_at": 1_769_851_996_000}, "31.01.2026 14:33:16"),
        ("${paid_at|date} / ${paid_at|time}", {"paid_at": 1_769_851_996_000}, "31.01.2026 / 14:33:16"),
        ("${paid_at}", {"paid_at": 0, "receipt": {"pay_time": 1_769_851_996_999}}, "31.01.2026 14:33:16"),
        ("${paid_at}", {"paid_at": 10**300}, ""),
        ("${receipt.merchant.name|upper}", {"receipt": {"merchant": {"name": "Чорсу"}}}, "ЧОРСУ"),
        ("${receipt.merchant.name}", {"receipt": {"merchant": None}}, ""),
        ("${receipt.merchant.name}", {"receipt": {"merchant": {"name": ["a"]}}}, ""),
        ("${receipt.merchant.type}", {"receipt": {"merchant": {"type": {"uz": "Bozor", "ru": "Рынок"}}}}, "Рынок"),
        ("${receipt.merchant.type}", {"receipt": {"merchant": {"type": {"en": "Market"}}}}, "Market"),
        ("${receipt.merchant.epos.terminalId}", {"receipt": {"merchant": {"epos": {"terminalId": 7}}}}, "7"),
        ("${receipt.account.order_id}", {"receipt": {"account": [{"name": "order_id", "value": "3-118"}]}}, "3-118"),
        ("${receipt.account.a.title}", {"receipt": {"account": [{"name": "a", "title": {"ru": "Заказ"}}]}}, "Заказ"),
        ("${receipt.account.order_id}", {"receipt": {"account": {"order_id": 118}}}, "118"),
        ("${receipt.account.order_id}", {"receipt": {"account": [None, 7, {"name": "x"}]}}, ""),
        ("${shift} / ${number}", {"shift": 0, "number": 5}, "0 / 5"),
        ("a ${till} b", {}, "a b"),
        ("US$ ${till}$", {"till": "3"}, "US$ 3$"),
        ("${ till | mask }", {"till": "1234567890"}, "****7890"),
        ("Чои\u0306хона ${till}", {"till": "и\u0306"}, "Чойхона й"),  # a letter of two characters becomes one
        ("a\u2003b \u1680\n\t${till}", {"till": "c"}, "a b c"),  # any space of a template is a plain one
    ],
)
def test_a_placeholder_prints(renderer: SlipRenderer, placeholder: str, data: dict[str, object], text: str) -> None:
    assert printed(renderer, f"<line>{placeholder}</line>", data) == (text,)


def test_a_text_that_its_values_make_too_long_is_cut(renderer: SlipRenderer) -> None:
    body = f"<line>{'${till}' * 40}</line>"
    template = renderer.load_text(f"<slip>{body}</slip>".encode(), "test", "ru")

    (line,) = read_xml(renderer.render(template, {"operation": "pay", "till": "7" * 99}, 80).xml.encode()).root

    assert (len(line.text or ""), (line.text or "")[-2:]) == (2000, "7…")


def test_operation_and_status_speak_the_language_of_the_template(renderer: SlipRenderer) -> None:
    body, refund = "<line>${operation}: ${status}</line>", {"operation": "refund"}
    assert printed(renderer, body, refund, "uz") == ("Pulni qaytarish: Pul qaytarildi",)
    named = renderer.load_text(f"<slip language='en'>{body}</slip>".encode(), "test", "uz-Cyrl")
    assert renderer.render(named, refund, 80).lines == ("Refund: Money returned",), "a language that it names is kept"
    assert printed(renderer, "<line>${status}</line>", {"status": "Принято"}) == ("Принято",)


@pytest.mark.parametrize(
    ("when", "data", "is_printed"),
    [
        ("pay refund", {}, True),
        ("cancel refund", {}, False),
        ("till", {"till": "3"}, True),
        ("till", {"till": ""}, False),
        ("pay till shift", {"till": "3", "shift": 0}, True),
        ("pay till shift", {"till": "3"}, False),
        ("receipt.commission", {"receipt": {"commission": 0}}, False),
        ("receipt.card.number", {"receipt": {"card": None}}, False),
    ],
)
def test_when_names_operations_and_fields(
    renderer: SlipRenderer, when: str, data: dict[str, object], is_printed: bool
) -> None:
    assert printed(renderer, f"<line when='{when}'>x</line><rule/>", data) == ("x",) * is_printed + ("-" * 80,)


def test_a_value_can_never_become_markup(renderer: SlipRenderer) -> None:
    evil = "</line><cut/><line a=\"b\" c='d'>&amp; ${amount} ]]> <!-- x -->"
    template = renderer.load_text(b"<slip><line>${till}</line><pair label='${till}'>${till}</pair></slip>", "test")
    made = renderer.render(template, {"operation": "pay", "amount": 5, "till": evil}, 80)
    line, pair = read_xml(made.xml.encode()).root
    assert line.text == pair.text == pair.attrib["label"] == made.lines[0] == evil


def test_what_a_barcode_cannot_hold_is_printed_as_a_line(renderer: SlipRenderer) -> None:
    body = "<barcode>${till}</barcode><qr>${till}</qr>"
    assert printed(renderer, body, {"till": "65f0"}) == ("[BARCODE] 65f0", "[QR] 65f0")
    assert printed(renderer, body, {"till": "Касса"}) == ("Касса", "[QR] Касса")
    assert printed(renderer, body + "<rule/>", {}) == ("-" * 80,)


@pytest.mark.parametrize("operation", ["", "PAY", "confirm", None, 5])
def test_an_unknown_operation_is_a_slip_error(renderer: SlipRenderer, operation: object) -> None:
    with pytest.raises(SlipError, match="operation must be one of pay, cancel, refund"):
        renderer.render(renderer.load(None), {"operation": operation}, 32)
    with pytest.raises(ValueError, match="allowed are pay, cancel, refund"):
        sample_data(str(operation))


def test_a_template_with_nothing_for_an_operation_is_a_slip_error(renderer: SlipRenderer) -> None:
    template = renderer.load_text(b"<slip><line when='pay'>a</line></slip>", "mine.xml")
    with pytest.raises(SlipError, match=r"mine\.xml: nothing is left to print for the operation 'refund'"):
        renderer.render(template, {"operation": "refund"}, 32)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_shipped_slip_holds_what_the_bank_asks_for(renderer: SlipRenderer, language: str, operation: str) -> None:
    data, words = sample_data(operation), WORDS[language]
    lines = shipped(renderer, language, data)
    text = "\n".join(lines)
    for fact in ("Чорсу Market", "Навои, 12", "860012******3456", "1 234 500.00", "65f0a1b2c3d4e5f601234567"):
        assert fact in text
    assert "31.01.2026 14:33:16" in text, "the payment's own time, on a reversal too"
    signed, reversed_at, own_number = (each in text for each in ("____", "01.02.2026", "13 / 9"))
    assert signed is reversed_at is own_number is (operation == "refund")
    assert text.count("12 / 118") == 1
    assert any(line.split() == [TILLS[language], "3"] for line in lines)
    assert any(line.endswith("  " + words.statuses[operation]) for line in lines)

    charged = {**data, "receipt": {**dict(data["receipt"]), "commission": 12_345}}  # type: ignore[call-overload]
    (commission,) = set(shipped(renderer, language, charged)) - {*lines}
    assert commission.split() == [COMMISSIONS[language], "123.45", words.currency]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("operation", ["cancel", "refund"])
def test_a_slip_says_that_money_is_back_only_where_it_is(renderer: SlipRenderer, language: str, operation: str) -> None:
    words = WORDS[language]
    for state, known, is_returned in (
        (50, {}, True),
        (21, {}, False),
        (50, {"is_accepted_only": True}, False),
        (21, {"is_accepted_only": False}, True),
    ):
        text = "\n".join(shipped(renderer, language, {**sample_data(operation), "receipt": {"state": state}, **known}))
        assert (words.statuses[operation] in text) is is_returned
        assert (words.accepted[operation] in text) is not is_returned


def test_every_field_of_the_vocabulary_can_be_printed(renderer: SlipRenderer) -> None:
    body = "".join(f"<line>${{{name}}}</line>" for name in dialect().fields)
    lines = printed(renderer, body, sample_data("refund"))
    empty = {name for name, line in zip(dialect().fields, lines, strict=True) if not line}
    assert empty == {"receipt.description", "receipt.processing_id", "receipt.merchant.business_id"}


def test_the_machines_own_time_zone_is_taken_where_none_is_given() -> None:
    ahead = SlipRenderer(timezone=timezone(timedelta(hours=14)))
    data = {"paid_at": 1_769_851_996_000}
    assert printed(ahead, "<line>${paid_at}</line>", data) == ("31.01.2026 23:33:16",)
    assert printed(SlipRenderer(), "<line>${paid_at|date}</line>", data) in {("31.01.2026",), ("30.01.2026",)}
