"""A running till reads its settings at each operation, and a mistake in them stops no sale that worked before."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from payme_plugin.paymego import codes
from payme_plugin.settings import Places, SettingsError, SettingsReader

pytestmark = pytest.mark.floor

Write = Callable[["str | bytes"], Path]


class Till:
    """A host whose settings change."""

    def __init__(self) -> None:
        self.settings: Mapping[str, object] | None = {}
        self.tender: Mapping[str, object] = {"paymentType": "7"}

    def __call__(self) -> Mapping[str, object]:
        if self.settings is None:
            raise RuntimeError("no such table: settings; posKey=canary")
        return {**self.tender, **self.settings}


def wrong(reader: SettingsReader) -> list[str | None]:
    return [fault.key for fault in reader.problem.faults] if reader.problem else []


@pytest.fixture
def till() -> Till:
    return Till()


@pytest.fixture
def reader(till: Till, places: Places) -> SettingsReader:
    return SettingsReader(till, codes, places=places)


def test_a_change_counts_at_the_next_reading(conf: Write, till: Till, reader: SettingsReader) -> None:
    conf("[Main]\ntimeout = 20\n")
    assert reader.read().timeout_s == 20
    conf("[Main]\ntimeout = 21\n")
    assert reader.read().timeout_s == 21
    till.settings = {"timeout": "22"}
    assert reader.read().timeout_s == 22
    till.settings = {}
    assert reader.read().timeout_s == 21


class SlowCodes:
    """The catalogue; the first question of all is answered after something else was tried."""

    def __init__(self, first: Callable[[], None]) -> None:
        self._first: Callable[[], None] | None = first

    def is_documented(self, code: int) -> bool:
        first, self._first = self._first, None
        if first is not None:
            first()
        return codes.is_documented(code)

    def proves_no_charge(self, code: int) -> bool:
        return codes.proves_no_charge(code)


def test_a_reading_that_took_long_does_not_replace_what_another_thread_has_read_since(
    conf: Write, till: Till, places: Places
) -> None:
    def change() -> None:
        conf("[Main]\ntimeout = 21\n")
        another.start()
        another.join(0.1)

    reader = SettingsReader(till, SlowCodes(change), places=places)
    another = threading.Thread(target=reader.read)
    conf("[Main]\ntimeout = 20\nignoredErrors = -31630\n")
    reader.read()
    another.join()

    conf("[Main]\nno line\n")
    assert reader.read().timeout_s == 21


@pytest.mark.parametrize("left", ["", "\n", "[Main]\n; a comment\n"])
def test_a_file_that_is_emptied_stops_no_sale_that_worked_before(
    conf: Write, reader: SettingsReader, left: str
) -> None:
    conf("[Main]\ntimeout = 20\n")
    reader.read()

    conf(left)
    assert reader.read().timeout_s == 20
    assert "the file is gone or has no settings any more" in str(reader.problem)

    conf("[Main]\ntimeout = 21\n")
    assert reader.read().timeout_s == 21
    assert reader.problem is None


def test_a_file_that_never_gave_a_setting_may_stay_empty_or_go(conf: Write, till: Till, reader: SettingsReader) -> None:
    path = conf("[Main]\n")
    till.settings = {"timeout": "20"}
    assert reader.read().timeout_s == 20
    conf("")
    reader.read()
    path.unlink()
    reader.read()
    assert reader.problem is None


def test_a_change_of_equal_size_and_time_counts_too(conf: Write, reader: SettingsReader) -> None:
    path = conf("[Main]\ntimeout = 20\n")
    stamp = path.stat()
    reader.read()
    conf("[Main]\ntimeout = 21\n")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert reader.read().timeout_s == 21


def test_a_file_that_comes_or_changes_its_mode_counts(conf: Write, reader: SettingsReader) -> None:
    assert reader.read().timeout_s == 10
    path = conf("[Main]\ntimeout = 20\nposKey = a\n")
    assert reader.read().timeout_s == 20
    path.chmod(0o644)
    assert [warning.key for warning in reader.read().warnings] == ["posKey"]


def test_a_file_that_never_was_there_is_no_fault(reader: SettingsReader) -> None:
    for _ in range(2):
        assert reader.read().timeout_s == 10
        assert wrong(reader) == []


def test_a_file_that_goes_is_a_change_that_can_not_be_used(conf: Write, till: Till, reader: SettingsReader) -> None:
    path = conf("[Main]\ntimeout = 20\n")
    good = reader.read()
    path.unlink()
    for _ in range(2):
        assert reader.read() is good, "not the defaults"
        assert str(reader.problem).startswith(f"in {path}: the file is gone or has no settings any more")
    till.settings = {"frequency": "777"}
    assert reader.read() is good, "whatever else changes meanwhile"
    assert reader.payment_type() == good.payment_type
    till.settings = None
    assert reader.read() is good
    till.settings = {}
    assert reader.read() is good
    conf("[Main]\ntimeout = 21\n")
    assert reader.read().timeout_s == 21
    assert wrong(reader) == []


def test_a_till_that_names_another_file_does_not_miss_the_former_one(
    conf: Write, till: Till, reader: SettingsReader, tmp_path: Path
) -> None:
    path = conf("[Main]\ntimeout = 20\n")
    assert reader.read().timeout_s == 20
    (tmp_path / "other.conf").write_text("[Main]\ntimeout = 40\n")
    till.settings = {"confFile": str(tmp_path / "other.conf")}
    path.unlink()
    assert reader.read().timeout_s == 40
    till.settings = {}
    assert reader.read().timeout_s == 10
    assert wrong(reader) == []


def test_files_that_settings_name_are_looked_at_again(till: Till, reader: SettingsReader, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("first")
    till.settings = {"posKeyFile": str(key)}
    assert reader.read().pos_key.reveal() == "first"
    key.write_text("other")
    assert reader.read().pos_key.reveal() == "other"
    assert reader.read().slip_template is None
    (tmp_path / "payme.xml").write_text("<slip/>")
    assert reader.read().slip_template == tmp_path / "payme.xml"


def test_unchanged_settings_are_the_same_object(conf: Write, reader: SettingsReader) -> None:
    conf("[Main]\ntimeout = 20\n")
    assert reader.read() is reader.read()


def test_what_an_operation_has_read_does_not_change_under_it(conf: Write, reader: SettingsReader) -> None:
    conf("[Main]\ntimeout = 20\n")
    settings = reader.read()
    conf("[Main]\ntimeout = 21\n")
    reader.read()
    assert settings.timeout_s == 20


def test_a_change_that_can_not_be_used_keeps_the_last_good_ones(conf: Write, reader: SettingsReader) -> None:
    conf("[Main]\ntimeout = 20\n")
    good = reader.read()
    assert wrong(reader) == []
    conf("[Main]\ntimeout = ten\n")
    assert reader.read() is good
    assert wrong(reader) == ["timeout"]
    assert reader.read() is good
    assert wrong(reader) == ["timeout"]
    conf("[Main]\ntimeout = 30\n")
    assert reader.read().timeout_s == 30
    assert wrong(reader) == []


def test_without_good_ones_every_reading_says_what_is_wrong(conf: Write, reader: SettingsReader) -> None:
    conf("[Main]\ntimeout = ten\n")
    for _ in range(2):
        with pytest.raises(SettingsError) as raised:
            reader.read()
        assert [fault.key for fault in raised.value.faults] == ["timeout"]
        assert len(raised.traceback) == 2


def test_a_till_that_fails_to_give_its_settings_is_a_fault(till: Till, reader: SettingsReader) -> None:
    till.settings = None
    with pytest.raises(SettingsError, match=r"Host\.settings raised RuntimeError: no such table: settings;") as raised:
        reader.read()
    assert "canary" not in str(raised.value)
    assert reader.payment_type() is None
    till.settings = {"paymentType": "3"}
    assert reader.read().payment_type == 3
    till.settings = None
    assert reader.read().payment_type == 3
    assert wrong(reader) == [None]


def test_the_tenders_number_is_known_even_where_nothing_else_works(
    conf: Write, till: Till, reader: SettingsReader
) -> None:
    till.tender = {}
    conf("[Main]\npaymentType = 17\ntimeout = ten\n")
    assert reader.payment_type() == 17
    conf("[Main]\nno line\npaymentType = 18\n")
    assert reader.payment_type() == 18
    till.settings = {"paymentType": "x"}
    assert reader.payment_type() is None
    till.settings = {"paymentType": "19"}
    assert reader.payment_type() == 19
    conf("[Main]\n")
    assert reader.read().payment_type == 19
    till.settings = {"paymentType": "x"}
    assert reader.payment_type() == 19, "the last good one"


def test_no_repr_of_a_reader_shows_the_key(till: Till, reader: SettingsReader) -> None:
    till.settings = {"posKey": "canary"}
    reader.read()
    assert "canary" not in repr(reader) + repr(vars(reader))


def test_a_named_file_is_read_where_the_caller_names_one(till: Till, places: Places, tmp_path: Path) -> None:
    other = tmp_path / "other.conf"
    other.write_text("[Main]\ntimeout = 33\n")
    assert SettingsReader(till, codes, file=other, places=places).read().timeout_s == 33
