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
from payme_plugin.doctor import Check, Level, checkup, examine, files, installation
from tests.command.conftest import KEY
from tests.command.conftest import payme as run
from tests.doctor.conftest import Till, finding, served

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from tests.command.conftest import Ended
    from tests.doctor.conftest import Payme


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finding is on one line."""
    monkeypatch.setenv("COLUMNS", "1000")


def doctor(till: Till, *more: str) -> Ended:
    return run("--conf", str(till.conf), "--data-dir", str(till.folder), "doctor", *more)


def test_without_a_fault_it_ends_with_0_and_every_line_begins_with_its_level(till: Till, payme: Payme) -> None:
    till.configure(payme.url)
    ended = doctor(till)

    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.partition("\n\n")[0].splitlines()
    assert {line.split()[0] for line in lines} == {"ok"}
    assert ended.out.endswith("\nFaults: 0, warnings: 0.\n")


def test_warnings_alone_end_with_0_and_say_what_to_do(till: Till, payme: Payme) -> None:
    till.configure(payme.url)
    till.conf.chmod(0o644)
    ended = doctor(till)

    assert ended.code == 0
    assert f"\nwarning  modes      Other users can read or change {till.conf} (mode 0644).\n" in ended.out
    assert f"\n                    -> chmod 0600 {till.conf}\n" in ended.out
    assert ended.out.endswith("\nFaults: 0, warnings: 1.\n")


def test_texts_are_in_the_language_of_lang_and_names_and_levels_in_json_are_the_same_in_each(
    till: Till, payme: Payme
) -> None:
    payme.error_code = -32504
    till.configure(payme.url)
    russian, uzbek = doctor(till, "--lang", "ru"), doctor(till, "--lang", "uz")
    documents = [doctor(till, "--json", "--lang", language).document for language in ("en", "ru")]
    told = [[(each["name"], each["level"]) for each in document["findings"]] for document in documents]

    assert "\nошибка   key        Payme не принимает ключ кассы (ошибка -32504).\n" in russian.out
    assert "\n                    -> Сверьте posId и posKey с кабинетом Payme; " in russian.out
    assert russian.out.endswith("\nОшибок: 1, предупреждений: 0.\n")
    assert "\nxato     key        Payme kassa kalitini qabul qilmaydi (xato -32504).\n" in uzbek.out
    assert told[0] == told[1]
    assert documents[1]["unchecked"] == [{"name": "tls", "reason": "url ведёт на этот же компьютер по http"}]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_colour", "begin"), [(None, "\x1b[33mwarning  \x1b[0mmodes "), ("1", "warning  modes ")])
def test_levels_are_coloured_on_a_terminal_unless_no_color_is_set(
    till: Till, payme: Payme, monkeypatch: pytest.MonkeyPatch, no_colour: str | None, begin: str
) -> None:
    till.configure(payme.url)
    till.conf.chmod(0o644)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_colour is not None:
        monkeypatch.setenv("NO_COLOR", no_colour)
    with redirect_stdout(Terminal()) as terminal:
        arguments = ["--conf", str(till.conf), "--data-dir", str(till.folder), "doctor"]
        main.main(args=arguments, prog_name="payme", standalone_mode=False)

    assert f"\n{begin}" in terminal.getvalue()


@pytest.mark.parametrize("language", ["en", "ru", "uz"])
def test_lines_fit_the_terminal_unless_a_path_is_longer(
    till: Till, payme: Payme, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    payme.error_code = -32504
    till.configure(payme.url)
    monkeypatch.setenv("COLUMNS", "80")
    lines = doctor(till, "--lang", language).out.splitlines()

    assert [line for line in lines if len(line) > 80 and max(map(len, line.split())) < 60] == []
    assert len([line for line in lines if line.startswith(" " * 23)]) > 0, "a remedy goes on below its beginning"


def test_a_fault_ends_with_1(till: Till, payme: Payme) -> None:
    payme.error_code = -32504
    till.configure(payme.url)

    assert doctor(till).code == 1
    assert doctor(till, "--json").code == 1


def test_settings_that_can_not_be_used_are_a_fault_like_any_other(till: Till) -> None:
    ended = doctor(till)

    assert ended.code == 1
    assert ended.out.startswith("fault    settings ")
    assert "Not checked:" in ended.out


def test_usage_ends_with_2(till: Till) -> None:
    assert doctor(till, "--nothing").code == 2
    assert doctor(till, "more").code == 2


def test_with_json_it_is_one_document(till: Till, payme: Payme) -> None:
    till.configure(payme.url)
    till.conf.chmod(0o644)
    ended = doctor(till, "--json")
    document = ended.document

    assert (ended.code, ended.err) == (0, "")
    assert list(document) == ["ok", "worst", "findings", "unchecked"]
    assert (document["ok"], document["worst"]) == (True, "warning")
    (modes,) = [each for each in document["findings"] if each["name"] == "modes"]
    assert modes == {
        "name": "modes",
        "level": "warning",
        "text": f"Other users can read or change {till.conf} (mode 0644).",
        "remedy": f"chmod 0600 {till.conf}",
    }
    assert document["unchecked"] == [{"name": "tls", "reason": "url is plain http to this machine"}]
    told = {each["name"] for each in document["findings"] + document["unchecked"]}
    assert told == {check.value for check in Check} - {"accounts"}, "accounts are told of only if something is wrong"


def test_the_till_that_should_have_the_journal_can_be_named(till: Till, payme: Payme) -> None:
    till.configure(payme.url)

    assert doctor(till, "--till", "till-1").code == 0


def test_the_key_is_never_shown(till: Till, good_for: Callable[..., ssl.SSLContext], ca_file: Path) -> None:
    shown = ""
    with served() as plain, served(good_for("localhost", days=-1)) as expired:
        for url in (plain.url, expired.url, "http://127.0.0.1:1/api"):
            for changed in ({}, {"posKey": f'"{KEY}'}, {"timeout": 0}, {"posId": KEY[:20]}):
                till.configure(url, caFile=ca_file, **changed)
                ended = doctor(till)
                shown += ended.out + ended.err
        plain.page = f'{{"id": null, "error": {{"code": 1, "message": "{KEY}"}}}}'.encode()
        till.configure(plain.url)
        shown += doctor(till).out + doctor(till, "--json").out

    assert KEY not in shown
    assert KEY[20:] not in shown


def test_its_requests_are_in_the_tills_log_where_there_is_one_and_no_log_is_made(till: Till, payme: Payme) -> None:
    till.configure(payme.url)
    till.folder.mkdir()
    doctor(till)
    assert list(till.folder.iterdir()) == []

    (till.folder / "terminal.log").touch()
    doctor(till)
    assert (till.folder / "terminal.log").read_text(encoding="utf-8").count("request receipts.check") == 1


def test_what_fails_goes_into_the_report_alone(
    till: Till, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    till.configure("http://127.0.0.1:1/api")
    with caplog.at_level(logging.DEBUG, logger="payme"):
        doctor(till)

    assert [record.name for record in caplog.records if record.name.startswith("payme")] == []
    assert capfd.readouterr().err == ""


def test_a_disk_that_hangs_is_a_fault_within_its_time_and_hides_no_other(
    till: Till, payme: Payme, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.configure(payme.url)
    is_over = threading.Event()
    monkeypatch.setattr(files, "look_at_disk", lambda _: is_over.wait(30))
    monkeypatch.setattr(checkup, "_LIMIT_S", 4)
    report = examine(till.conf, till.folder, SystemClock())
    is_over.set()

    assert finding(report, Check.DISK).level is Level.FAULT
    assert str(finding(report, Check.DISK).text) == "No answer within 4 s."
    assert finding(report, Check.KEY).level is Level.OK


def test_a_look_that_fails_unforeseen_is_a_fault_of_its_own_and_hides_no_other(
    till: Till, payme: Payme, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.configure(payme.url)
    # Only a mistake of ours leads there.
    monkeypatch.setattr(installation, "look_at_data", lambda: 1 / 0)
    report = examine(till.conf, till.folder, SystemClock())

    assert finding(report, Check.DATA).level is Level.FAULT
    assert "ZeroDivisionError" in str(finding(report, Check.DATA).text)
    assert finding(report, Check.KEY).level is Level.OK
