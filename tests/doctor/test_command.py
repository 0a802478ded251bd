"""``payme doctor`` as an operator and a program see it."""

from __future__ import annotations

import io
import logging
import threading
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import pytest

from payme_plugin.cli import main
from payme_plugin.clock import SystemClock
from payme_plugin.doctor import Check, Level, checkup, files, installation
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.sandbox import Sandbox
from tests.command.conftest import KEY
from tests.doctor.conftest import examined, finding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.doctor.conftest import DoctorTill


def test_warnings_end_with_0_and_say_what_to_do_in_lines_or_in_one_document(till: DoctorTill) -> None:
    till.conf.chmod(0o644)
    ended, json = till.run("doctor"), till.run("doctor", "--json")
    document = json.document
    text, remedy = f"Other users can read or change {till.conf} (mode 0644).", f"chmod 0600 {till.conf}"

    assert (ended.code, ended.err, json.code, json.err) == (0, "", 0, "")
    assert f"\nwarning  modes      {text}\n                    -> {remedy}\n" in ended.out
    assert ended.out.endswith("\nFaults: 0, warnings: 1.\n")
    assert list(document) == ["ok", "worst", "findings", "unchecked"]
    assert (document["ok"], document["worst"]) == (True, "warning")
    assert {"name": "modes", "level": "warning", "text": text, "remedy": remedy} in document["findings"]
    assert document["unchecked"][0] == {"name": "tls", "reason": "url is plain http to this machine"}
    names = {each["name"] for each in document["findings"] + document["unchecked"]}
    # Accounts are named only if something is wrong with them, the broker only if queueUrl is set.
    assert names == {check.value for check in Check} - {"accounts", "broker"}


def test_texts_are_in_the_language_of_lang_and_names_and_levels_in_json_are_the_same_in_each(till: DoctorTill) -> None:
    till.configure(posKey="another")
    russian, uzbek = till.run("doctor", "--lang", "ru"), till.run("doctor", "--lang", "uz")
    documents = [till.run("doctor", "--json", "--lang", language) for language in ("en", "ru")]
    levels = [[(each["name"], each["level"]) for each in ended.document["findings"]] for ended in documents]

    assert "\nошибка   key        Payme не принимает ключ кассы (ошибка -32504).\n" in russian.out
    assert "\n                    -> Сверьте posId и posKey с кабинетом Payme; " in russian.out
    assert russian.out.endswith("\nОшибок: 1, предупреждений: 0.\n")
    assert "\nxato     key        Payme kassa kalitini qabul qilmaydi (xato -32504).\n" in uzbek.out
    assert levels[0] == levels[1]
    assert [ended.code for ended in documents] == [1, 1]


def test_levels_are_coloured_on_a_terminal(till: DoctorTill, monkeypatch: pytest.MonkeyPatch) -> None:
    till.conf.chmod(0o644)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with redirect_stdout(io.StringIO()) as terminal:
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        main.main(args=[*till.options, "doctor"], prog_name="payme", standalone_mode=False)

    assert "\n\x1b[33mwarning  \x1b[0mmodes " in terminal.getvalue()


@pytest.mark.parametrize("language", ["en", "ru", "uz"])
def test_lines_fit_the_terminal_unless_a_path_is_longer(
    till: DoctorTill, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    till.configure(posKey="another")
    monkeypatch.setenv("COLUMNS", "80")
    lines = till.run("doctor", "--lang", language).out.splitlines()

    assert [line for line in lines if len(line) > 80 and max(map(len, line.split())) < 60] == []
    assert len([line for line in lines if line.startswith(" " * 23)]) > 0, "a remedy goes on below its beginning"


def test_the_till_that_should_have_the_journal_can_be_named(till: DoctorTill) -> None:
    Journal(till.folder / FILE_NAME, host_identity="till-1", clock=SystemClock()).close()
    ended = till.run("doctor", "--till", "till-2")

    assert (ended.code, "belongs to till till-1, not to till-2" in ended.out) == (1, True)
    assert till.run("doctor", "--till", "till-1").code == 0


def test_the_key_is_never_shown_and_what_fails_is_only_in_the_report(
    till: DoctorTill,
    certificate: Callable[..., Path],
    ca_file: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shown = ""
    with (
        Sandbox(pos_key=KEY, certfile=certificate("127.0.0.1", days=-1)) as expired,
        caplog.at_level(logging.DEBUG, logger="payme"),
    ):
        for url in (till.sandbox.url, expired.url, "http://127.0.0.1:1/api"):
            for changed in ({}, {"posKey": f'"{KEY}'}, {"timeout": 0}, {"posId": KEY[:20]}):
                till.configure(url=url, caFile=ca_file, **changed)
                shown += till.run("doctor").out
        shown += till.run("doctor", "--json").out

    assert (KEY in shown, KEY[20:] in shown) == (False, False)
    assert [record.name for record in caplog.records if record.name.startswith("payme")] == []
    assert capfd.readouterr().err == ""


def test_its_requests_are_in_the_tills_log_where_there_is_one_and_no_log_is_made(till: DoctorTill) -> None:
    till.folder.mkdir()
    till.run("doctor")
    assert list(till.folder.iterdir()) == []

    (till.folder / "terminal.log").touch()
    till.run("doctor")
    assert (till.folder / "terminal.log").read_text(encoding="utf-8").count("request receipts.check") == 1


def test_a_check_that_hangs_or_fails_unforeseen_is_a_fault_and_hides_no_other(
    till: DoctorTill, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_over = threading.Event()
    monkeypatch.setattr(files, "look_at_disk", lambda _: is_over.wait(30))
    monkeypatch.setattr(installation, "look_at_data", lambda: 1 / 0)
    monkeypatch.setattr(checkup, "_LIMIT_S", 2)
    report = examined(till)
    is_over.set()

    assert finding(report, Check.DISK).level is Level.FAULT
    assert str(finding(report, Check.DISK).text) == "No answer within 2 s."
    assert finding(report, Check.DATA).level is Level.FAULT
    assert "ZeroDivisionError" in str(finding(report, Check.DATA).text)
    assert finding(report, Check.KEY).level is Level.OK
