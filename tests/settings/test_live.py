"""A running till reads its settings at each operation, and a mistake in them stops no sale that worked before."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fakes.fixtures import new_till, running, sandbox
from fakes.till import ScriptedUi
from hookspecs import PaymentStatus
from payme_plugin.clock import SystemClock
from payme_plugin.paymego import codes
from payme_plugin.sandbox import BuyerAction
from payme_plugin.settings import SettingsError, SettingsReader
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from fakes.served_till import ServedTill
    from payme_plugin.settings import Places
    from tests.settings.conftest import Write

pytestmark = pytest.mark.floor

__all__ = ["new_till", "running", "sandbox"]


class ChangingSettings:
    """A host whose settings change."""

    def __init__(self) -> None:
        self.settings: Mapping[str, object] | None = {"paymentType": "7"}

    def give(self, **settings: str) -> None:
        self.settings = {"paymentType": "7", **settings}

    def __call__(self) -> Mapping[str, object]:
        if self.settings is None:
            raise RuntimeError("no such table: settings; posKey=canary")
        return self.settings


def wrong(reader: SettingsReader) -> list[str | None]:
    return [fault.key for fault in reader.problem.faults] if reader.problem else []


@pytest.fixture
def till() -> ChangingSettings:
    return ChangingSettings()


@pytest.fixture
def reader(till: ChangingSettings, places: Places) -> SettingsReader:
    return SettingsReader(till, codes, places=places)


def test_a_change_of_equal_size_and_time_counts_too(
    conf: Write, till: ChangingSettings, reader: SettingsReader
) -> None:
    path = conf("[Main]\ntimeout = 20\nposKey = a\n")
    stamp = path.stat()
    first = reader.read()
    assert reader.read() is first, "unchanged settings are the same object"
    conf("[Main]\ntimeout = 21\nposKey = a\n")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert (reader.read().timeout_s, first.timeout_s) == (21, 20), "an operation keeps what it has read"
    till.give(timeout="22")
    assert reader.read().timeout_s == 22
    till.give()
    assert (reader.read().timeout_s, reader.read().warnings) == (21, ())
    path.chmod(0o644)
    assert [warning.key for warning in reader.read().warnings] == ["posKey"]


def test_a_reading_that_took_long_does_not_replace_what_was_read_since(places: Places) -> None:
    answers = ["20", "21", "wrong"]

    def host() -> Mapping[str, object]:
        answer = answers.pop(0)
        if len(answers) == 2:
            slow.read()  # another thread, which is faster
        return {"paymentType": "7", "timeout": answer}

    slow = SettingsReader(host, codes, places=places)
    assert [slow.read().timeout_s, slow.read().timeout_s] == [20, 21], "the last good ones"


@pytest.mark.parametrize("left", ["", "[Main]\n; a comment\n", None, "[Main]\ntimeout = ten\n"])
def test_a_file_that_is_faulty_emptied_or_gone_keeps_the_last_good_settings(
    conf: Write, till: ChangingSettings, reader: SettingsReader, left: str | None
) -> None:
    path = conf("[Main]\ntimeout = 20\n")
    good = reader.read()
    conf(left or "")
    if left is None:
        path.unlink()
    for given in ({}, {"frequency": "777"}):
        till.give(**given)
        assert reader.read() is good
        assert reader.payment_type() == good.payment_type
        lost = f"in {path}: the file is gone or has no settings any more"
        assert str(reader.problem).startswith("timeout on line 2" if left and "ten" in left else lost)
    till.settings = None
    assert reader.read() is good
    till.give()
    conf("[Main]\ntimeout = 21\n")
    assert (reader.read().timeout_s, reader.problem) == (21, None)


def test_a_file_that_never_gave_a_setting_may_be_missing_stay_empty_or_go(conf: Write, reader: SettingsReader) -> None:
    assert reader.read().timeout_s == 10
    path = conf("[Main]\n")
    reader.read()
    conf("")
    reader.read()
    path.unlink()
    reader.read()
    assert reader.problem is None


def test_the_former_of_two_files_is_not_missed(
    conf: Write, till: ChangingSettings, reader: SettingsReader, tmp_path: Path
) -> None:
    path = conf("[Main]\ntimeout = 20\n")
    assert reader.read().timeout_s == 20
    (tmp_path / "other.conf").write_text("[Main]\ntimeout = 40\n")
    till.give(confFile=str(tmp_path / "other.conf"))
    path.unlink()
    assert reader.read().timeout_s == 40
    till.give()
    assert (reader.read().timeout_s, wrong(reader)) == (10, [])


def test_files_that_settings_name_are_looked_at_again(
    till: ChangingSettings, reader: SettingsReader, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    till.give(posKeyFile=str(key))
    for text in ("first", "other"):
        key.write_text(text)
        assert reader.read().pos_key.reveal() == text
    assert reader.read().slip_template is None
    (tmp_path / "payme.xml").write_text("<slip/>")
    assert reader.read().slip_template == tmp_path / "payme.xml"


def test_without_good_ones_every_reading_says_what_is_wrong(conf: Write, reader: SettingsReader) -> None:
    conf("[Main]\ntimeout = ten\n")
    for _ in range(2):
        with pytest.raises(SettingsError) as raised:
            reader.read()
        assert [fault.key for fault in raised.value.faults] == ["timeout"]
        assert len(raised.traceback) == 2


def test_a_till_that_fails_to_give_its_settings_is_a_fault(till: ChangingSettings, reader: SettingsReader) -> None:
    till.settings = None
    with pytest.raises(SettingsError, match=r"Host\.settings raised RuntimeError: no such table: settings;") as raised:
        reader.read()
    assert "canary" not in str(raised.value)
    assert reader.payment_type() is None
    till.give(posKey="canary")
    assert reader.read().payment_type == 7
    till.settings = None
    assert (reader.read().payment_type, wrong(reader)) == (7, [None])
    assert "canary" not in repr(reader) + repr(vars(reader))


def test_the_tenders_number_is_known_whatever_else_fails(
    conf: Write, till: ChangingSettings, reader: SettingsReader
) -> None:
    for given, text, number in (
        ({}, "paymentType = 17\ntimeout = ten\n", 17),
        ({}, "no line\npaymentType = 18\n", 18),
        ({"paymentType": "x"}, "no line\npaymentType = 18\n", None),
        ({"paymentType": "19"}, "no line\n", 19),
        ({"paymentType": "20"}, "", 20),
        ({"paymentType": "x"}, "", 20),  # the last good one
    ):
        till.settings = given
        conf(f"[Main]\n{text}")
        assert reader.payment_type() == number


def test_a_named_file_is_read_where_the_caller_names_one(
    till: ChangingSettings, places: Places, tmp_path: Path
) -> None:
    other = tmp_path / "other.conf"
    other.write_text("[Main]\ntimeout = 33\n")
    assert SettingsReader(till, codes, file=other, places=places).read().timeout_s == 33


# ---------------------------------------------------------------------------------------------------------------------
# At a till in service
# ---------------------------------------------------------------------------------------------------------------------


def waits_in(language: str) -> str:
    """Return what a cashier reads while the buyer is waited for, as far as it is always the same."""
    return Texts(language)(Text.PROGRESS_WAITING_FOR_BUYER).partition("{")[0]


def test_a_change_during_a_payment_counts_from_the_next_one_on(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(language="ru", payDuration=5000)
    before, edited_at = len(till.sandbox.requests), list[int]()

    def edit(_: float) -> None:
        if not edited_at and ui.shown[-1].text.startswith(waits_in("ru")):
            edited_at.append(len(ui.shown))
            changed = {"posKey": "another", "payDuration": "1000", "frequency": "3600000", "paymentProvider": "77"}
            till.host.given = {**till.host.given, **changed, "language": "en"}

    ui = ScriptedUi(SystemClock(), [till.code(BuyerAction.CONFIRMS, after_s=0.6)], on_progress=edit)

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


def test_a_bad_change_keeps_the_last_good_settings_and_is_a_notice_until_corrected(
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
