"""``payme settings set``: values into the settings file, and the key on no command line."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import KEY, payme, payme_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Ended

pytestmark = pytest.mark.floor

FILE = '[Main]\n; Код кассы\n;posId = "id"\n;posKey = "key"\ntimeout = 5\n'


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


def test_values_are_put_in_and_the_rest_of_the_file_stays(conf: Path) -> None:
    ended = put(conf, "posId=65aa", "timeout=7")

    assert (ended.code, ended.out, ended.err) == (0, f"{conf}: posId, timeout set.\n", "")
    assert conf.read_text(encoding="utf-8") == FILE.replace('"id"\n', '"id"\nposId = "65aa"\n').replace("= 5", "= 7")


def test_what_is_there_already_is_not_written_again(conf: Path) -> None:
    before = conf.stat()
    ended = put(conf, "timeout=5", "--json")

    assert (ended.code, ended.document) == (0, {"conf_file": str(conf), "changed": []})
    assert (conf.stat().st_ino, conf.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_key_comes_from_stdin_whole(conf: Path) -> None:
    ended = payme_process("--conf", str(conf), "settings", "set", "--key-from-stdin", scanned=f"{KEY}\r\nmore\n")

    assert (ended.code, ended.out, ended.err) == (0, f"{conf}: posKey set.\n", "")
    assert conf.read_text(encoding="utf-8") == FILE.replace('"key"\n', f'"key"\nposKey = "{KEY}"\n')


@pytest.mark.parametrize("line", ["", "\n", "\r\n"])
def test_an_empty_key_keeps_the_one_that_is_there(conf: Path, line: str, stdin: io.BytesIO) -> None:
    stdin.write(line.encode())
    stdin.seek(0)
    ended = put(conf, "--key-from-stdin", "posId=a")

    assert ended.out == f"{conf}: posId set.\n"
    assert parsed_key(conf) is None


def parsed_key(conf: Path) -> str | None:
    given = [line for line in conf.read_text(encoding="utf-8").splitlines() if line.startswith("posKey")]
    return given[0] if given else None


def test_a_key_on_the_command_line_is_refused_and_not_repeated(conf: Path) -> None:
    ended = put(conf, f"posKey={KEY}", "posId=a")

    assert ended.code == 2
    assert ended.sentences == ["posKey can't be given on the command line, where others see it; use --key-from-stdin."]
    assert KEY not in ended.err
    assert conf.read_text(encoding="utf-8") == FILE


@pytest.mark.parametrize("sent", [b"\xff\xfe\n", b"x" * 5000, "ключ\n".encode(), b"a\x00b\n", b" a\n"])
def test_a_key_that_is_none_is_refused_and_not_repeated(conf: Path, sent: bytes, stdin: io.BytesIO) -> None:
    stdin.write(sent)
    stdin.seek(0)
    ended = put(conf, "--key-from-stdin")

    assert ended.code == 2
    assert "ключ" not in ended.err
    assert conf.read_text(encoding="utf-8") == FILE


def test_every_fault_is_told_at_once_and_nothing_is_written(conf: Path) -> None:
    ended = put(
        conf,
        "timeout=0",
        "posid=a",
        f"{KEY[:30]}=x",
        "KCRWkzqPxxUeWBHNMAOtR=x",
        "posId",
        "url=http://h/",
        "url=http://i/",
        "language=a\tb",
    )

    assert ended.code == 2
    timeout, pos_id, piece, letters, no_pair, twice, control = ended.sentences
    assert timeout == 'timeout is "0": allowed is a whole number of seconds from 1 to 300.'
    assert pos_id == "there is no setting posid; did you mean posId."
    assert piece.startswith("there is no setting a name of 30 characters; allowed are timeout, url,")
    assert letters.startswith("there is no setting a name of 21 characters; allowed are timeout, url,")
    assert no_pair == "allowed are NAME=VALUE, paymentType=7 say, and --key-from-stdin."
    assert twice == "url is given twice; allowed is once."
    assert control.startswith("language: allowed are up to")
    assert conf.read_text(encoding="utf-8") == FILE


def test_a_password_in_an_address_is_masked(conf: Path) -> None:
    ended = put(conf, "url=https://u:canary@h/")

    assert ended.code == 2
    assert "canary" not in ended.err


def test_nothing_given_is_said_so(conf: Path) -> None:
    ended = put(conf)

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentences[0].startswith("nothing is given; allowed are NAME=VALUE")


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
        f"{conf} can't be changed: its encoding is cp1251, which lacks letters of posId; save it as UTF-8."
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
    assert ended.sentences == [f"{conf} can't be written: No space left on device."]
    assert conf.read_text(encoding="utf-8") == FILE
    assert list(conf.parent.iterdir()) == [conf]
