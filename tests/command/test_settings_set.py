"""``payme settings set``: values into the settings file, and the key on no command line."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pytest

from payme_plugin.ledger.journal import FILE_NAME
from tests.command.conftest import KEY, payme, payme_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Ended, Shop

pytestmark = pytest.mark.floor

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
def stdin(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """What comes from stdin, which is no terminal."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, encoding="ascii"))
    return raw


def give(stdin: io.BytesIO, line: bytes) -> None:
    stdin.write(line)
    stdin.seek(0)


def test_values_are_put_in_and_the_rest_of_the_file_stays(conf: Path) -> None:
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


def test_the_key_comes_from_stdin_whole(conf: Path) -> None:
    ended = payme_process("--conf", str(conf), "settings", "set", "--key-from-stdin", scanned=f"{KEY}\r\nmore\n")

    assert (ended.code, ended.out, ended.err) == (0, f"{conf}: posKey set.\n", "")
    assert conf.read_text(encoding="utf-8") == FILE.replace('"key"\n', f'"key"\nposKey = "{KEY}"\n')


@pytest.mark.parametrize("line", ["", "\n", "\r\n"])
def test_an_empty_key_keeps_the_one_that_is_there(conf: Path, line: str, stdin: io.BytesIO) -> None:
    give(stdin, line.encode())
    ended = put(conf, "--key-from-stdin", "posId=a")

    assert ended.out == f"{conf}: posId set.\n"
    assert parsed_key(conf) is None


def parsed_key(conf: Path) -> str | None:
    given = [line for line in conf.read_text(encoding="utf-8").splitlines() if line.startswith("posKey")]
    return given[0] if given else None


def test_a_key_on_the_command_line_is_refused_and_not_repeated(conf: Path) -> None:
    ended = put(conf, f"posKey={KEY}", "posId=a")

    assert ended.code == 2
    assert ended.sentences == ["posKey on the command line: other users could see the key there; use --key-from-stdin."]
    assert KEY not in ended.err
    assert conf.read_text(encoding="utf-8") == FILE


@pytest.mark.parametrize("sent", [b"\xff\xfe\n", b"x" * 5000, "ключ\n".encode(), b"a\x00b\n", b" a\n"])
def test_a_key_that_is_none_is_refused_and_not_repeated(conf: Path, sent: bytes, stdin: io.BytesIO) -> None:
    give(stdin, sent)
    ended = put(conf, "--key-from-stdin")

    assert ended.code == 2
    assert "ключ" not in ended.err
    assert conf.read_text(encoding="utf-8") == FILE


def test_every_problem_is_told_at_once_and_nothing_is_written(conf: Path) -> None:
    ended = put(
        conf,
        "timeout=0",
        "posid=a",
        "url2=http://h/",
        f"{KEY[:30]}=x",
        "KCRWkzqPxxUeWBHNMAOtR=x",
        "posId",
        "url=http://h/",
        "url=http://i/",
        "language=a\tb",
        "slipCopies=1",
    )

    assert (ended.code, ended.out) == (2, "")
    pos_id, url2, piece, letters, no_pair, twice, timeout, language, key = ended.sentences
    assert pos_id.startswith("posid on the command line: unknown name")
    assert pos_id.endswith("the nearest known name is posId.")
    assert url2.startswith("url2 on the command line: unknown name")
    assert piece == letters
    assert piece.startswith("on the command line: unknown name (hidden, because it may be part of the key)")
    assert no_pair.startswith("posId on the command line: use NAME=VALUE")
    assert twice == "url on the command line: give each setting once."
    assert timeout == 'timeout on the command line is "0": use a whole number of seconds from 1 to 300.'
    assert language.startswith('language on the command line is "a\\tb": use one of ru, uz, en')
    assert key.startswith('posKey by default is "***": set it to the value of your merchant account')
    assert conf.read_text(encoding="utf-8") == FILE


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (["url=http://example.com/api", "posId=65aa"], ["url on the command line", "posKey by default"]),
        (["url=https://example.com/api", "posId=id"], ["posId on the command line", "posKey by default"]),
        (["paymentType="], ['paymentType on the command line is ""']),
        (["slipCopies=1", "posId=65aa", "timeout=0"], ['timeout on the command line is "0"']),
        (["frequency=10"], ['frequency on the command line is "10"']),
    ],
)
def test_what_would_stop_charging_is_not_written_and_neither_is_anything_beside_it(
    conf: Path, answers: list[str], told: list[str]
) -> None:
    for more in ([], ["--check"]):
        ended = put(conf, *answers, *more)
        assert (ended.code, ended.out) == (2, "")
        assert [sentence.startswith(start) for sentence, start in zip(ended.sentences, told, strict=True)] == [
            True
        ] * len(told)
        document = put(conf, *answers, *more, "--json").document
        assert (document["ok"], document["changed"], len(document["faults"])) == (False, [], len(told))
    assert conf.read_text(encoding="utf-8") == FILE


def test_a_fault_elsewhere_in_the_file_is_told_by_its_line(conf: Path) -> None:
    conf.write_text(FILE + "nonsense\n", encoding="utf-8")
    ended = put(conf, "slipCopies=1")

    assert ended.code == 2
    assert ended.sentences[0].startswith(f"on line 8 of {conf}: use a section")
    assert conf.read_text(encoding="utf-8") == FILE + "nonsense\n"


def test_a_check_writes_nothing_and_says_nothing(conf: Path) -> None:
    ended = put(conf, "--check", "posId=65aa", "timeout=7")

    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert conf.read_text(encoding="utf-8") == FILE


def test_a_warning_does_not_keep_a_value_from_being_written(conf: Path) -> None:
    ended = put(conf, "frequency=500")

    assert (ended.code, ended.out) == (0, f"{conf}: frequency set.\n")
    assert ended.sentences[0].startswith(f'warning: frequency on line 7 of {conf} is "500": very short')


# ---------------------------------------------------------------------------------------------------------------------
# Another merchant account
# ---------------------------------------------------------------------------------------------------------------------


def test_a_former_account_whose_payments_the_journal_holds_gets_a_section_in_the_same_write(shop: Shop) -> None:
    shop.configure(payDuration=10_000, frequency=1_000)
    assert shop.pay(shop.sandbox.issue_code()).code == 0
    before = shop.conf.read_text(encoding="utf-8")
    ended = shop.run("settings", "set", "posId=another")

    assert ended.out == (
        f"{shop.conf}: posId set.\n"
        f"The former account {shop.sandbox.pos_id} is in the section [Account {shop.sandbox.pos_id}], "
        "so that its payments can be returned.\n"
    )
    assert shop.conf.read_text(encoding="utf-8") == before.replace(
        f"posId = {shop.sandbox.pos_id}", "posId = another"
    ) + (f'\n[Account {shop.sandbox.pos_id}]\nurl = "{shop.sandbox.url}"\nposKey = "{shop.sandbox.pos_key}"\n')
    assert shop.sandbox.pos_key not in ended.out + ended.err


def test_the_key_of_a_former_account_comes_from_its_file(shop: Shop, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(shop.sandbox.pos_key)
    key_file.chmod(0o600)
    shop.pay(shop.sandbox.issue_code())
    shop.configure(posKey='"key"', posKeyFile=key_file)
    assert shop.run("settings", "set", "posId=another").code == 0

    assert f'posKey = "{shop.sandbox.pos_key}"\n' in shop.conf.read_text(encoding="utf-8").partition("[Account ")[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "ftp://old.example"),
        ("url", '"http://old.example'),
        ("posId", "{pos_id}:"),
        ("posId", '"{pos_id}'),
        ("posKey", '"{pos_key}'),
        ("posKeyFile", "/none"),
        ("posKeyFile", "none"),
    ],
)
def test_a_former_account_that_can_not_be_kept_whole_is_not_overwritten(
    shop: Shop, stdin: io.BytesIO, name: str, value: str
) -> None:
    shop.pay(shop.sandbox.issue_code())
    shop.configure(**{name: value.format(pos_id=shop.sandbox.pos_id, pos_key=shop.sandbox.pos_key)})
    before = shop.conf.read_bytes()
    give(stdin, b"another-key\n")
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


def test_a_former_account_is_kept_whatever_else_is_faulty(shop: Shop, stdin: io.BytesIO) -> None:
    shop.pay(shop.sandbox.issue_code())
    shop.configure(frequency=10, paymentType='"7')
    give(stdin, b"another-key\n")
    ended = shop.run("settings", "set", "frequency=1000", "paymentType=7", "posId=another", "--key-from-stdin")

    assert ended.code == 0
    former = shop.conf.read_text(encoding="utf-8").partition(f"[Account {shop.sandbox.pos_id}]\n")[2]
    assert former == f'url = "{shop.sandbox.url}"\nposKey = "{shop.sandbox.pos_key}"\n'


def test_an_account_that_is_the_current_one_again_with_a_key_has_no_section_any_more(
    shop: Shop, stdin: io.BytesIO
) -> None:
    shop.pay(shop.sandbox.issue_code())
    shop.configure(payDuration=10_000, frequency=1_000)
    first, section = f"posId={shop.sandbox.pos_id}", f"[Account {shop.sandbox.pos_id}]"
    assert shop.run("settings", "set", "posId=another").code == 0
    assert shop.run("settings", "set", "slipCopies=1").err == ""
    give(stdin, b"renewed-key\n")
    without_key = shop.run("settings", "set", first, "--check")
    assert shop.run("settings", "set", first, "--key-from-stdin").err == without_key.err == ""

    text = shop.conf.read_text(encoding="utf-8")
    assert (section in text, 'posKey = "renewed-key"' in text) == (False, True)


def test_an_account_that_is_the_current_one_again_without_a_key_has_its_former_one(
    shop: Shop, stdin: io.BytesIO
) -> None:
    shop.pay(shop.sandbox.issue_code())
    give(stdin, b"key-of-another\n")
    assert shop.run("settings", "set", "posId=another", "--key-from-stdin").code == 0
    ended = shop.run("settings", "set", f"posId={shop.sandbox.pos_id}")

    text = shop.conf.read_text(encoding="utf-8")
    assert ended.code == 0
    assert ("[Account" in text, shop.sandbox.pos_key in text, "key-of-another" in text) == (False, True, False)


def test_with_a_wrong_data_folder_the_account_is_kept(shop: Shop) -> None:
    shop.pay(shop.sandbox.issue_code())
    ended = payme("settings", "set", "posId=another", "--conf", str(shop.conf), "--data-dir", str(shop.folder / "typo"))

    assert ended.code == 0
    assert f"[Account {shop.sandbox.pos_id}]" in shop.conf.read_text(encoding="utf-8")


def test_an_account_without_payments_gets_no_section(shop: Shop) -> None:
    shop.folder.mkdir(exist_ok=True)
    assert shop.run("settings", "set", "posId=another").code == 0
    assert "[Account" not in shop.conf.read_text(encoding="utf-8")


def test_if_the_journal_can_not_be_read_the_account_is_kept(shop: Shop) -> None:
    shop.folder.mkdir(exist_ok=True)
    (shop.folder / FILE_NAME).write_bytes(b"no journal")
    assert shop.run("settings", "set", "posId=another").code == 0
    assert f"[Account {shop.sandbox.pos_id}]" in shop.conf.read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------------------
# What can't be done
# ---------------------------------------------------------------------------------------------------------------------


def test_a_password_in_an_address_is_masked(conf: Path) -> None:
    ended = put(conf, "url=https://u:canary@h/")

    assert ended.code == 2
    assert "canary" not in ended.err


def test_nothing_given_is_said_so(conf: Path) -> None:
    ended = put(conf)

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentences[0].startswith("nothing is given; use NAME=VALUE")


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    ended = put(tmp_path / "none.conf", "posId=a")

    assert ended.code == 2
    assert ended.sentences == [f"{tmp_path / 'none.conf'} can't be changed: No such file or directory."]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_has_no_room_for_the_value_stays(conf: Path) -> None:
    conf.write_bytes(FILE.encode("cp1251"))
    ended = put(conf, "posId=é")

    assert ended.code == 2
    assert ended.sentences == [
        f"{conf} can't be changed: the file's encoding is cp1251, which lacks letters of posId; save it as UTF-8."
    ]
    assert conf.read_bytes() == FILE.encode("cp1251")


def test_the_files_mode_and_owner_stay(conf: Path) -> None:
    if os.geteuid() == 0:
        os.chown(conf, 4321, 8765)
    before = conf.stat()
    put(conf, "posId=a")
    after = conf.stat()

    assert after.st_ino != before.st_ino, "it is replaced, never half written"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_link_keeps_leading_to_the_file(conf: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.conf"
    link.symlink_to(conf.name)
    put(link, "posId=a")

    assert link.is_symlink()
    assert 'posId = "a"' in conf.read_text(encoding="utf-8")


def test_a_folder_that_can_not_be_written_leaves_the_file_as_it_is(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ended = put(conf, "posId=a")

    assert ended.code == 1
    assert ended.sentences == [f"{conf} can't be changed: No space left on device."]
    assert conf.read_text(encoding="utf-8") == FILE
    assert list(conf.parent.iterdir()) == [conf]


def test_a_changed_file_whose_folder_can_not_be_synced_is_said_to_be_changed(
    conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("payme_plugin.cli.settings.sync_folder", fail)
    ended = put(conf, "posId=a")

    assert (ended.code, ended.out) == (0, f"{conf}: posId set.\n")
    assert ended.sentences == [
        f"warning: in {conf}: the file is changed, but a power cut may undo that: Input/output error."
    ]
    assert 'posId = "a"' in conf.read_text(encoding="utf-8")
    assert list(conf.parent.iterdir()) == [conf]
