"""A running till picks a change of its settings up at the next operation, and never in the middle of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.fixtures import new_till, running, sandbox
from fakes.till import ScriptedUi
from hookspecs import PaymentStatus
from payme_plugin.clock import SystemClock
from payme_plugin.sandbox import BuyerAction
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.served_till import ServedTill

__all__ = ["new_till", "running", "sandbox"]


def waits_in(language: str) -> str:
    """Return what a cashier reads while the buyer is waited for, as far as it is always the same."""
    return Texts(language)(Text.PROGRESS_WAITING_FOR_BUYER).partition("{")[0]


def test_a_change_while_the_buyer_is_waited_for_counts_from_the_next_payment_on(
    new_till: Callable[..., ServedTill],
) -> None:
    till = new_till(language="ru", payDuration=5000)
    before, edited_at = len(till.sandbox.requests), list[int]()

    def edit(_: float) -> None:
        if not edited_at and ui.shown[-1].text.startswith(waits_in("ru")):
            edited_at.append(len(ui.shown))
            changed = {"posKey": "another", "payDuration": "1000", "frequency": "3600000", "paymentProvider": "77"}
            till.host.given = {**till.host.given, **changed, "language": "en"}

    ui = ScriptedUi(SystemClock(), [till.code(BuyerAction.CONFIRMS, after_s=0.6)], hand=edit)

    result = till.pay(ui=ui)

    assert result.status is PaymentStatus.PAID, "with the key, the time and the frequency that it began with"
    assert till.requests_since(before).count("check") > 2
    assert result.receipt_attributes["QRPaymentProvider"] == "141"
    assert result.message == Texts("ru")(Text.PAYMENT_PAID)
    assert edited_at
    later = [shown.text for shown in ui.shown[edited_at[0] :]]
    assert later
    assert not any(text.startswith(waits_in("en")) for text in later), "Russian to the end"

    refused = till.pay(till.code(), payment_id="p2")

    assert refused.error_code == -32504, "the new key"
    assert refused.message == Texts("en").of_error(-32504)


@pytest.mark.parametrize("broken", ["payDuration = ten", 'posKey = "canary-1\ncanary-2"'])
def test_that_others_can_read_the_key_is_logged_also_of_a_file_that_can_not_be_used(
    new_till: Callable[..., ServedTill], tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    path = tmp_path / "payme.go.conf"
    till = new_till()
    till.host.given = {"confFile": str(path), "paymentType": "7"}
    path.write_text(f"[Main]\nposKey = a\n{broken}\n".replace("posKey = a\nposKey", "posKey"))
    path.chmod(0o644)
    till.plugins.on_start(till.host)

    assert "the settings can't be used" in caplog.text
    assert f"settings: posKey in {path}: other users can read or change the key" in caplog.text
    assert "canary" not in caplog.text


def test_a_change_that_can_not_be_used_keeps_the_last_good_settings_with_a_notice_until_it_is_corrected(
    new_till: Callable[..., ServedTill],
) -> None:
    till = new_till()
    good = till.host.given
    till.host.given = {**good, "payDuration": "ten"}

    assert till.pay(till.code()).status is PaymentStatus.PAID
    assert "payDuration = ten" in till.host.notices["payme.settings"]

    till.host.given = {**good, "paymentProvider": "77"}
    corrected = till.pay(till.code(), payment_id="p2")

    assert corrected.receipt_attributes["QRPaymentProvider"] == "77"
    assert "payme.settings" not in till.host.notices
