"""The setting ``account``: what identifies a sale at Payme."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.settings import SETTINGS, account_of

DEFAULT = next(setting.default for setting in SETTINGS if setting.name == "account")


def filled(template: str, till: str = "K7") -> dict[str, str]:
    return account_of(template, till=till, shift=12, number=345, attempt=2)


def test_the_default_names_the_sale_and_the_attempt() -> None:
    assert filled(DEFAULT) == {"order_id": "K7-12-345-2"}


def test_every_shape_that_is_used_in_the_field_can_be_written() -> None:
    assert filled("") == {}
    assert filled("order_id=test") == {"order_id": "test"}
    assert filled("kkm_id={till}, device_id = POS , document={number}") == {
        "kkm_id": "K7",
        "device_id": "POS",
        "document": "345",
    }


def test_a_value_may_hold_an_equals_sign() -> None:
    assert filled("a=b=c") == {"a": "b=c"}


@given(st.text())
def test_the_tills_name_is_never_read_as_a_template(till: str) -> None:
    assert filled("a={till}", till) == {"a": till}
