"""A running till picks a change of its settings file up at the next operation, and never in the middle of one."""

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
    from payme_plugin.sandbox import Sandbox

__all__ = ["new_till", "running", "sandbox"]

NOTICE = "payme.settings"


class ConfFile:
    """The till's settings file, edited by a technician beside the sale."""

    def __init__(self, path: Path, sandbox: Sandbox) -> None:
        self.path = path
        self._values = {
            "url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "language": "ru", "timeout": "1",
            "payDuration": "5000", "frequency": "100",
        }  # fmt: skip

    def write(self, **changed: str) -> None:
        lines = [f'{name} = "{value}"' for name, value in (self._values | changed).items()]
        self.path.write_text("\n".join(["[Main]", *lines, ""]), encoding="utf-8")
        self.path.chmod(0o600)


@pytest.fixture
def conf(tmp_path: Path, sandbox: Sandbox) -> ConfFile:
    conf = ConfFile(tmp_path / "payme.go.conf", sandbox)
    conf.write()
    return conf


@pytest.fixture
def till(new_till: Callable[..., ServedTill], conf: ConfFile) -> ServedTill:
    """A till all whose settings but the tender's number stand in a file."""
    till = new_till()
    till.host.given = {"confFile": str(conf.path), "paymentType": "7"}
    return till


def waits_in(language: str) -> str:
    """What a cashier reads while the buyer is waited for, as far as it is always the same."""
    return Texts(language)(Text.PROGRESS_WAITING_FOR_BUYER).partition("{")[0]


class Edit:
    """A cashier beside whom somebody edits the file while the buyer is waited for."""

    def __init__(self, edit: Callable[[], None]) -> None:
        self._edit = edit
        self.ui = ScriptedUi(SystemClock(), hand=self._look)
        self.edited_at: int | None = None

    def _look(self, _: float) -> None:
        if self.edited_at is None and self.ui.shown[-1].text.startswith(waits_in("ru")):
            self.edited_at = len(self.ui.shown)
            self._edit()


def test_a_change_while_the_buyer_is_waited_for_counts_from_the_next_payment_on(
    till: ServedTill, conf: ConfFile
) -> None:
    edit = Edit(
        lambda: conf.write(
            posKey="another", payDuration="1000", frequency="3600000", language="en", paymentProvider="77"
        )
    )
    before = len(till.sandbox.requests)
    edit.ui.scans = [till.code(BuyerAction.CONFIRMS, after_s=0.6)]

    result = till.pay(ui=edit.ui)

    assert edit.edited_at is not None
    assert result.status is PaymentStatus.PAID, "with the key, the time and the frequency that it began with"
    assert till.requests_since(before).count("check") > 2
    assert result.receipt_attributes["QRPaymentProvider"] == "141"
    assert result.message == Texts("ru")(Text.PAYMENT_PAID)
    later = edit.ui.shown[edit.edited_at :]
    assert later
    assert not any(shown.text.startswith(waits_in("en")) for shown in later), "Russian to the end"

    refused = till.pay(till.code(), payment_id="p2")

    assert refused.error_code == -32504, "the new key"
    assert refused.message == Texts("en").of_error(-32504)


def test_a_change_that_can_not_be_used_disturbs_no_payment_and_its_notice_goes_when_it_is_mended(
    till: ServedTill, conf: ConfFile
) -> None:
    edit = Edit(lambda: conf.write(payDuration="ten"))
    edit.ui.scans = [till.code(BuyerAction.CONFIRMS, after_s=0.4)]

    assert till.pay(ui=edit.ui).status is PaymentStatus.PAID
    assert edit.edited_at is not None
    assert NOTICE not in till.host.notices, "this payment had good settings"

    assert till.pay(till.code(), payment_id="p2").status is PaymentStatus.PAID, "the last good ones"
    assert "payDuration = ten (payme.go.conf:7)" in till.host.notices[NOTICE]

    conf.write(payDuration="5000", paymentProvider="77")
    mended = till.pay(till.code(), payment_id="p3")

    assert mended.receipt_attributes["QRPaymentProvider"] == "77"
    assert NOTICE not in till.host.notices


@pytest.mark.parametrize("broken", [{"payDuration": "ten"}, {"posKey": "canary-1\ncanary-2"}])
def test_a_till_that_starts_over_a_broken_file_logs_that_others_can_read_it_too(
    new_till: Callable[..., ServedTill], conf: ConfFile, broken: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    till = new_till()
    till.host.given = {"confFile": str(conf.path), "paymentType": "7"}
    conf.write(**broken)
    conf.path.chmod(0o644)
    caplog.clear()
    till.plugins.on_start(till.host)

    assert "the settings can't be used" in caplog.text
    assert f"settings: posKey in {conf.path}: other users can read or change the key" in caplog.text
    assert "canary" not in caplog.text


def test_a_change_that_can_not_be_used_and_opens_the_file_to_others_is_logged_as_such(
    till: ServedTill, conf: ConfFile, caplog: pytest.LogCaptureFixture
) -> None:
    till.plugins.payment_types()
    conf.write(payDuration="ten")
    conf.path.chmod(0o644)
    till.plugins.payment_types()

    assert f"settings: posKey in {conf.path}: other users can read or change the key" in caplog.text


def test_a_file_that_is_gone_keeps_the_last_good_ones_too(till: ServedTill, conf: ConfFile) -> None:
    assert till.pay(till.code()).status is PaymentStatus.PAID
    conf.path.unlink()

    assert till.pay(till.code(), payment_id="p2").status is PaymentStatus.PAID
    assert conf.path.name in till.host.notices[NOTICE]

    conf.write()
    till.pay(till.code(), payment_id="p3")
    assert NOTICE not in till.host.notices
