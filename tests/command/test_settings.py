"""``payme settings check`` and ``show``."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import corrupt
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.settings import LINUXCASH
from tests.command.conftest import KEY, payme

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command.conftest import CommandTill, Ended

pytestmark = pytest.mark.floor

CALM = {"payDuration": 10_000, "frequency": 1_000}
"""Times without a warning."""


def test_settings_that_can_be_used_are_said_so_with_their_warnings(shop: CommandTill) -> None:
    shop.configure(**CALM)
    checked = shop.run("settings", "check")
    document = shop.run("settings", "check", "--json").document
    shop.configure(**CALM, ignoredErrors="-12345")
    warned = shop.run("settings", "check")

    assert (checked.code, checked.out, checked.err) == (0, f"{shop.conf} can be used.\n", "")
    assert document == {"conf_file": str(shop.conf), "ok": True, "faults": [], "warnings": []}
    assert (warned.code, warned.out) == (0, checked.out)
    assert all(sentence.startswith("warning: ignoredErrors") for sentence in warned.sentences)
    assert "-12345" in warned.err


def test_every_fault_is_printed_at_once_with_its_line(shop: CommandTill) -> None:
    shop.conf.write_text("[Main]\npayDuration = ten\npayDuratoin = 10\ntimeout = 0\n", encoding="utf-8")
    checked = shop.run("settings", "check")
    document = shop.run("settings", "check", "--json").document

    assert (checked.code, checked.out) == (2, "")
    tender, duration, timeout, unknown = checked.sentences
    assert tender.startswith(f"paymentType in {shop.conf}: it must be set")
    assert duration.startswith(f'payDuration on line 2 of {shop.conf} is "ten": use a whole number')
    assert timeout.startswith(f'timeout on line 4 of {shop.conf} is "0": use')
    assert unknown.startswith(f"warning: payDuratoin on line 3 of {shop.conf}: unknown name")
    assert unknown.endswith("the nearest known name is payDuration.")
    assert document["ok"] is False
    assert [each["message"] for each in document["faults"]] == checked.sentences[:3]
    assert {"name": "payDuration", "value": "ten", "line": 2, "message": duration} in document["faults"]


def test_every_value_is_shown_with_where_it_came_from(shop: CommandTill) -> None:
    shown = shop.run("settings", "show")
    documents = {each["name"]: each for each in shop.run("settings", "show", "--json").document}

    lines = {line.split()[0]: line for line in shown.out.splitlines()}
    assert (shown.code, list(documents)) == (0, list(lines))
    assert lines["payDuration"].split() == ["payDuration", "5000", "on", "line", "3", "of", str(shop.conf)]
    assert lines["slipCopies"].split() == ["slipCopies", "2", "by", "default"]
    assert "(none: a cancellation is queued after every error)" in lines["ignoredErrors"]
    assert [documents["timeout"][each] for each in ("value", "source", "line")] == ["5", "file", 2]
    assert (documents["keepDays"]["value"], documents["keepDays"]["source"]) == ("400", "default")


@pytest.mark.parametrize(
    ("name", "value"), [("payDuration", "ten"), ("payDuration", '"5000'), ("url", "http://payme.example/api")]
)
def test_a_setting_with_a_fault_is_named_and_every_other_one_is_shown(shop: CommandTill, name: str, value: str) -> None:
    shop.configure(**CALM)
    good = [each["name"] for each in shop.run("settings", "show", "--json").document if each["name"] != name]
    shop.configure(**{**CALM, name: value})
    shown, listed = shop.run("settings", "show"), shop.run("settings", "show", "--json")

    assert (shown.code, listed.code) == (2, 2)
    (sentence,) = shown.sentences
    assert sentence.startswith(f"{name} on line ")
    assert listed.sentences == [sentence]
    assert [line.split()[0] for line in shown.out.splitlines()] == [each["name"] for each in listed.document] == good


@pytest.mark.parametrize("command", ["settings check", "settings show", "doctor"])
def test_the_key_is_never_shown(shop: CommandTill, command: str) -> None:
    pasted_without_its_name = f"7\n{KEY}"
    for changed in ({}, {"payDuration": "ten"}, {"posKey": f'"{KEY}'}, {"paymentType": pasted_without_its_name}):
        shop.configure(**changed)
        for json in ([], ["--json"]):
            shown = shop.run(*command.split(), *json)
            assert KEY[:12] not in shown.out + shown.err


@pytest.mark.skipif(LINUXCASH.conf_file.exists(), reason="this machine is a till with settings of its own")
def test_where_the_tills_own_file_is_missing_the_defaults_are_shown_with_a_warning() -> None:
    shown, checked = payme("settings", "show"), payme("settings", "check")

    for ended in (shown, checked):
        tender, missing = ended.sentences
        assert ended.code == 2
        assert tender.startswith(f"paymentType in {LINUXCASH.conf_file}: it must be set to the number of the tender")
        assert missing == f"warning: in {LINUXCASH.conf_file}: there is no such file, so the defaults count."
    assert checked.out == ""
    lines = [line.rstrip() for line in shown.out.splitlines()]
    assert lines[0].split() == ["confFile", str(LINUXCASH.conf_file), "by", "default"]
    assert all(line.endswith("by default") for line in lines)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.conf"
    for command in (["check"], ["show"], ["set", "posId=a"]):
        ended = payme("settings", *command, "--conf", str(path))
        (sentence,) = ended.sentences
        assert (ended.code, str(path) in sentence, path.exists()) == (2, True, False)


def test_payments_that_wait_for_their_return_at_another_account_or_host_are_warnings(shop: CommandTill) -> None:
    shop.owe()
    shop.configure(url="http://127.0.0.9:9/api")
    (moved,) = [each for each in shop.run("settings", "check").sentences if each.startswith("warning: url")]
    shop.configure(posId="another")
    (lost,) = [each for each in shop.run("settings", "check").sentences if each.startswith("warning: posId")]

    assert "were made at another host, 127.0.0.1;" in moved
    assert f"add a section [Account {shop.sandbox.pos_id}]" in lost


# ---------------------------------------------------------------------------------------------------------------------
# set
# ---------------------------------------------------------------------------------------------------------------------

FILE = '[Main]\n; Код кассы\n;posId = "id"\n;posKey = "key"\ntimeout = 5\npaymentType = 7\n'


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "payme.go.conf"
    path.write_text(FILE, encoding="utf-8")
    path.chmod(0o640)
    return path


def put(conf: Path, *arguments: str) -> Ended:
    return payme("--conf", str(conf), "settings", "set", *arguments)


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Give a text to stdin, which is not a terminal."""

    def come(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))

    return come


def test_values_are_put_in_and_the_rest_of_the_file_stays(conf: Path) -> None:
    checked = put(conf, "--check", "posId=65aa", "timeout=7")
    assert (checked.code, checked.out, checked.err, conf.read_text(encoding="utf-8")) == (0, "", "", FILE)
    ended = put(conf, "posId=65aa", "timeout=7")

    assert (ended.code, ended.out, ended.err) == (0, f"{conf}: posId, timeout set.\n", "")
    assert conf.read_text(encoding="utf-8") == FILE.replace('"id"\n', '"id"\nposId = "65aa"\n').replace("= 5", "= 7")


def test_what_is_there_already_is_not_written_again(conf: Path) -> None:
    before = conf.stat()
    ended = put(conf, "timeout=5", "--json")

    assert (ended.code, ended.document) == (
        0,
        {"conf_file": str(conf), "ok": True, "faults": [], "warnings": [], "changed": []},
    )
    assert (conf.stat().st_ino, conf.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_warning_does_not_keep_a_value_from_being_written(conf: Path) -> None:
    ended = put(conf, "frequency=500")

    assert (ended.code, ended.out) == (0, f"{conf}: frequency set.\n")
    assert ended.sentences[0].startswith(f'warning: frequency on line 7 of {conf} is "500": very short')


# ---------------------------------------------------------------------------------------------------------------------
# The key
# ---------------------------------------------------------------------------------------------------------------------


def test_the_key_comes_from_stdin_whole_and_an_empty_line_keeps_the_one_that_is_there(
    conf: Path, give: Callable[[bytes], None]
) -> None:
    for empty in (b"", b"\r\n"):
        give(empty)
        assert put(conf, "--key-from-stdin", "timeout=5").code == 0
        assert conf.read_text(encoding="utf-8") == FILE
    give(f"{KEY}\r\nmore\n".encode())
    ended = put(conf, "--key-from-stdin")

    assert (ended.code, ended.out, ended.err) == (0, f"{conf}: posKey set.\n", "")
    assert conf.read_text(encoding="utf-8") == FILE.replace('"key"\n', f'"key"\nposKey = "{KEY}"\n')


def test_a_key_on_the_command_line_is_refused_and_not_repeated(conf: Path) -> None:
    ended = put(conf, f"posKey={KEY}", "posId=a")

    assert ended.code == 2
    assert ended.sentences == ["posKey on the command line: other users could see the key there; use --key-from-stdin."]
    assert KEY not in ended.err
    assert conf.read_text(encoding="utf-8") == FILE


@pytest.mark.parametrize("sent", [b"\xff\xfe\n", b"x" * 5000, "ключ\n".encode(), b"a\x00b\n"])
def test_an_invalid_key_is_refused_and_not_repeated(conf: Path, sent: bytes, give: Callable[[bytes], None]) -> None:
    give(sent)
    ended = put(conf, "--key-from-stdin")

    assert (ended.code, "ключ" in ended.err, "xxxx" in ended.err) == (2, False, False)
    assert conf.read_text(encoding="utf-8") == FILE


# ---------------------------------------------------------------------------------------------------------------------
# Faults
# ---------------------------------------------------------------------------------------------------------------------


def test_every_problem_is_printed_at_once_and_nothing_is_written(conf: Path) -> None:
    ended = put(
        conf,
        "timeout=0",
        "posid=a",
        "url2=http://h/",
        f"{KEY[:30]}=x",
        "posId",
        "url=http://h/",
        "url=http://i/",
        "language=a\tb",
        "slipCopies=1",
    )

    assert (ended.code, ended.out) == (2, "")
    pos_id, url2, piece, no_pair, twice, timeout, language, key = ended.sentences
    assert pos_id.startswith("posid on the command line: unknown name")
    assert pos_id.endswith("the nearest known name is posId.")
    assert url2.startswith("url2 on the command line: unknown name")
    assert piece.startswith("on the command line: unknown name (hidden, because it may be part of the key)")
    assert no_pair.startswith("posId on the command line: use NAME=VALUE")
    assert twice == "url on the command line: give each setting once."
    assert timeout == 'timeout on the command line is "0": use a whole number of seconds from 1 to 300.'
    assert language.startswith('language on the command line is "a\\tb": use one of ru, uz, en')
    assert key.startswith('posKey by default is "***": set it to the value of your merchant account')
    assert conf.read_text(encoding="utf-8") == FILE


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["url=http://example.com/api", "posId=65aa"], ["url on the command line", "posKey by default"]),
        (["url=https://u:canary@h/"], ["url on the command line"]),
        (["paymentType="], ['paymentType on the command line is ""']),
        (["frequency=10"], ['frequency on the command line is "10"']),
    ],
)
def test_what_would_stop_charging_is_not_written_and_neither_is_anything_beside_it(
    conf: Path, answers: list[str], expected: list[str]
) -> None:
    for more in ([], ["--check"]):
        ended, document = put(conf, *answers, *more), put(conf, *answers, *more, "--json").document
        assert (ended.code, ended.out, "canary" in ended.err) == (2, "", False)
        assert [sentence[: len(start)] for sentence, start in zip(ended.sentences, expected, strict=True)] == expected
        assert (document["ok"], document["changed"], len(document["faults"])) == (False, [], len(expected))
    assert conf.read_text(encoding="utf-8") == FILE


def test_nothing_given_and_a_file_without_room_for_a_letter_are_refused(conf: Path) -> None:
    nothing = put(conf)
    conf.write_bytes(FILE.encode("cp1251"))
    ended = put(conf, "posId=é")

    assert (nothing.code, nothing.sentences[0].startswith("nothing is given; use NAME=VALUE")) == (2, True)
    encoding = "the file's encoding is cp1251, which lacks letters of posId; save it as UTF-8."
    assert (ended.code, ended.sentences) == (2, [f"{conf} can't be changed: {encoding}"])
    assert conf.read_bytes() == FILE.encode("cp1251")


# ---------------------------------------------------------------------------------------------------------------------
# The file is replaced
# ---------------------------------------------------------------------------------------------------------------------


def test_the_files_mode_and_owner_stay_and_a_link_keeps_leading_to_it(conf: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(conf, 4321, 8765)
    link = tmp_path / "link.conf"
    link.symlink_to(conf.name)
    before = conf.stat()
    put(link, "posId=a")
    after = conf.stat()

    assert after.st_ino != before.st_ino, "it is replaced, never half written"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert (link.is_symlink(), 'posId = "a"' in conf.read_text(encoding="utf-8")) == (True, True)


def fail(_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_folder_that_can_not_be_written_leaves_the_file_as_it_is(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", fail)
    ended = put(conf, "posId=a")

    assert (ended.code, ended.sentences) == (1, [f"{conf} can't be changed: No space left on device."])
    assert conf.read_text(encoding="utf-8") == FILE
    assert list(conf.parent.iterdir()) == [conf]


def test_a_changed_file_whose_folder_can_not_be_synced_is_said_to_be_changed(
    conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payme_plugin.cli.settings.sync_folder", fail)
    ended = put(conf, "posId=a")

    assert (ended.code, ended.out) == (0, f"{conf}: posId set.\n")
    warning = f"warning: in {conf}: the file is changed, but a power cut may undo that: No space left on device."
    assert ended.sentences == [warning]
    assert 'posId = "a"' in conf.read_text(encoding="utf-8")
    assert list(conf.parent.iterdir()) == [conf]


# ---------------------------------------------------------------------------------------------------------------------
# Another merchant account
# ---------------------------------------------------------------------------------------------------------------------


def former_section(shop: CommandTill) -> str:
    """What stands in the section of the former account; nothing if there is none."""
    return shop.conf.read_text(encoding="utf-8").partition(f"\n[Account {shop.sandbox.pos_id}]\n")[2]


def whole_section(shop: CommandTill) -> str:
    return f'url = "{shop.sandbox.url}"\nposKey = "{shop.sandbox.pos_key}"\n'


def test_a_former_account_whose_payments_the_journal_holds_gets_a_section_in_the_same_write(shop: CommandTill) -> None:
    shop.configure(payDuration=10_000, frequency=1_000)
    shop.owe()
    before = shop.conf.read_text(encoding="utf-8")
    ended = shop.run("settings", "set", "posId=another")

    former = shop.sandbox.pos_id
    assert ended.out == (
        f"{shop.conf}: posId set.\n"
        f"The former account {former} is in the section [Account {former}], so that its payments can be returned.\n"
    )
    changed = before.replace(f"posId = {former}", "posId = another")
    assert shop.conf.read_text(encoding="utf-8") == f"{changed}\n[Account {former}]\n{whole_section(shop)}"
    assert shop.sandbox.pos_key not in ended.out + ended.err


@pytest.mark.parametrize(
    ("name", "value"), [("url", "ftp://old.example"), ("posId", '"{id}'), ("posKey", '"{key}'), ("posKeyFile", "/none")]
)
def test_a_former_account_that_can_not_be_kept_whole_is_not_overwritten(
    shop: CommandTill, give: Callable[[bytes], None], name: str, value: str
) -> None:
    shop.owe()
    shop.configure(**{name: value.format(id=shop.sandbox.pos_id, key=shop.sandbox.pos_key)})
    before = shop.conf.read_bytes()
    give(b"another-key\n")
    more = ["posKeyFile="] if name == "posKeyFile" else []
    ended = shop.run("settings", "set", f"url={shop.sandbox.url}", "posId=another", "--key-from-stdin", *more)

    assert (ended.code, shop.conf.read_bytes()) == (2, before)
    (sentence,) = ended.sentences
    assert f"; correct this first: {name} on line " in sentence
    assert shop.sandbox.pos_key not in sentence
    mended = {"url": shop.sandbox.url, "posId": shop.sandbox.pos_id, "posKeyFile": ""}
    if name in mended:
        assert shop.run("settings", "set", f"{name}={mended[name]}").code == 0
        assert shop.sandbox.pos_key in shop.conf.read_text(encoding="utf-8")


def test_a_former_account_is_kept_whatever_else_is_faulty(shop: CommandTill, give: Callable[[bytes], None]) -> None:
    shop.owe()
    shop.configure(frequency=10, paymentType='"7')
    give(b"another-key\n")
    ended = shop.run("settings", "set", "frequency=1000", "paymentType=7", "posId=another", "--key-from-stdin")

    assert (ended.code, former_section(shop)) == (0, whole_section(shop))


@pytest.mark.parametrize("renewed", [True, False], ids=["with a key", "with its former key"])
def test_an_account_that_is_the_current_one_again_has_no_section_any_more(
    shop: CommandTill, give: Callable[[bytes], None], renewed: bool
) -> None:
    shop.owe()
    give(b"key-of-another\n")
    assert shop.run("settings", "set", "posId=another", "--key-from-stdin").code == 0
    assert shop.run("settings", "set", "slipCopies=1").code == 0
    assert former_section(shop) == whole_section(shop)
    give(b"renewed-key\n")
    key = ["--key-from-stdin"] if renewed else []
    assert shop.run("settings", "set", f"posId={shop.sandbox.pos_id}", *key).code == 0

    text = shop.conf.read_text(encoding="utf-8")
    current = "renewed-key" if renewed else shop.sandbox.pos_key
    assert (former_section(shop), f'posKey = "{current}"' in text, "key-of-another" in text) == ("", True, False)


def test_an_account_is_kept_if_it_can_not_be_read_at_which_account_a_payment_was_made(shop: CommandTill) -> None:
    shop.pay(shop.sandbox.issue_code())
    corrupt(shop.folder / FILE_NAME, "payment", "pos_id", b"\xff")

    assert shop.run("settings", "set", "posId=another").code == 0

    assert former_section(shop) == whole_section(shop)


@pytest.mark.parametrize("journal", [None, b"no journal", b"sound"])
def test_an_account_is_kept_unless_a_journal_shows_that_it_has_no_payments(
    shop: CommandTill, journal: bytes | None
) -> None:
    if journal is not None:
        shop.folder.mkdir()
    if journal == b"no journal":
        (shop.folder / FILE_NAME).write_bytes(journal)
    assert shop.run("settings", "set", "posId=another").code == 0

    assert former_section(shop) == ("" if journal == b"sound" else whole_section(shop))
