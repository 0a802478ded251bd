"""The kassa's id and key: whole, unseen, and never in clear beyond this machine."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payme_plugin.paymego import codes
from payme_plugin.settings import LoadedSettings, Places, Settings, SettingsError, read_settings
from payme_plugin.settings.problems import Origin, SettingFault, Source

Read = Callable[[Mapping[str, object]], Settings]
Load = Callable[[Mapping[str, object]], LoadedSettings]
Faults = Callable[[Mapping[str, object]], "tuple[SettingFault, ...]"]
Write = Callable[["str | bytes"], Path]

REAL_KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"
NOWHERE = Places(Path("/nowhere/payme.go.conf"), Path("/nowhere/payme.xml"))
FAR = {"url": "https://checkout.paycom.uz", "posId": "65aa00112233445566778899", "posKey": REAL_KEY}
KEY_LETTERS = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"])
KEYS = st.text(KEY_LETTERS, min_size=1, max_size=64).filter(lambda key: key == key.strip())


@pytest.mark.parametrize(("name", "value"), [("posKeyFile", REAL_KEY), ("posId", f"{FAR['posId']}:{REAL_KEY}")])
def test_a_key_in_the_place_of_another_setting_is_not_shown(load: Load, name: str, value: str) -> None:
    loaded = load(FAR | {"paymentType": "7", name: value})
    shown = [
        *loaded.faults,
        *(fault.short for fault in loaded.faults),
        *loaded.warnings,
        *(row.value for row in loaded.rows),
    ]

    assert any(name in str(each) for each in [*loaded.faults, *loaded.rows])
    assert REAL_KEY[:12] not in "".join(map(str, shown))  # a long value is cut


@pytest.mark.parametrize("template", ["posKey = {}", 'posKey = "{}"', "posKey={}", "  posKey\t=\t{}  "])
def test_a_real_key_comes_through_whole(conf: Write, read: Read, template: str) -> None:
    conf(f"[Main]\n{template.format(REAL_KEY)}\n")
    assert read({}).pos_key.reveal() == REAL_KEY


@given(KEYS)
@example(REAL_KEY)
@example('"')
@example('""')
@example("a\xa0\xadz")
def test_any_key_that_a_header_can_carry_comes_through_whole(key: str) -> None:
    assert (
        read_settings({"paymentType": "7", "posKey": f'"{key}"'}, None, codes, places=NOWHERE).pos_key.reveal() == key
    )


def test_beyond_this_machine_id_and_key_must_be_set(faults: Faults) -> None:
    found = faults({"url": FAR["url"]})
    assert [(fault.key, fault.value) for fault in found] == [("posId", "id"), ("posKey", "***")]
    found = faults({**FAR, "posId": "id", "posKey": "key"})
    assert [fault.key for fault in found] == ["posId", "posKey"]


@pytest.mark.parametrize("url", ["http://localhost", "http://LOCALHOST:80", "http://127.5.6.7", "http://[::1]:8080/x"])
def test_on_this_machine_nothing_need_be_set(read: Read, url: str) -> None:
    assert read({"url": url}).pos_id == "id"


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.7",
        "http://checkout.paycom.uz",
        "http://localhost.paycom.uz",
        "http://0.0.0.0",
        "HTTP://2130706433",
    ],
)
def test_beyond_this_machine_plain_http_must_be_allowed(read: Read, faults: Faults, url: str) -> None:
    (fault,) = faults({**FAR, "url": url})
    assert fault.key == "url"
    assert "allowPlainHttp = 1" in str(fault)
    assert read({**FAR, "url": url, "allowPlainHttp": "1"}).allow_plain_http


def test_a_key_file_holds_the_key_and_one_line_end(read: Read, faults: Faults, tmp_path: Path) -> None:
    path = tmp_path / "key"
    host = {**FAR, "posKeyFile": str(path)}
    del host["posKey"]
    for data in (REAL_KEY, REAL_KEY + "\n", REAL_KEY + "\r\n", "\ufeff" + REAL_KEY):
        path.write_text(data, encoding="utf-8", newline="")
        path.chmod(0o600)
        settings = read(host)
        assert settings.pos_key.reveal() == REAL_KEY
        assert settings.pos_key_file == path
        assert settings.origins["posKey"] == Origin(Source.FILE, path)
        assert settings.warnings == ()
    for bad in (b"", b"\n", b"canary\n\n", b"canary \n", b"a\ncanary", b"\xffcanary", b"canary" * 1000):
        path.write_bytes(bad)
        assert {fault.key for fault in faults(host)} == {"posKeyFile"}
        assert "canary" not in "".join(map(str, faults(host)))


def test_a_key_file_and_a_key_from_one_place_are_a_fault(conf: Write, faults: Faults, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(REAL_KEY)
    (fault,) = faults({"posKey": "a", "posKeyFile": str(tmp_path / "key")})
    assert fault.key == "posKeyFile"
    assert "one of the two" in str(fault)
    conf(f"[Main]\nposKey = a\nposKeyFile = {tmp_path / 'key'}\n")
    (fault,) = faults({})
    assert (fault.key, fault.line) == ("posKeyFile", 3)


def test_the_tills_own_source_of_the_key_wins(conf: Write, read: Read, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(REAL_KEY)
    (tmp_path / "key").chmod(0o600)
    conf(f"[Main]\nposKeyFile = {tmp_path / 'key'}\n")
    settings = read({"posKey": "own"})
    assert (settings.pos_key.reveal(), settings.pos_key_file) == ("own", None)
    conf("[Main]\nposKey = own\n")
    assert read({"posKeyFile": str(tmp_path / "key")}).pos_key.reveal() == REAL_KEY


def test_the_sample_key_stands_in_no_key_files_way(conf: Write, read: Read, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(REAL_KEY)
    conf(f'[Main]\nposKey = "key"\nposKeyFile = {tmp_path / "key"}\n')
    assert read({}).pos_key.reveal() == REAL_KEY


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True)])
def test_a_key_that_others_can_read_or_change_is_a_warning(conf: Write, read: Read, mode: int, warned: bool) -> None:
    path = conf(f"[Main]\nposKey = {REAL_KEY}\n")
    path.chmod(mode)
    assert [warning.key for warning in read({}).warnings] == (["posKey"] if warned else [])
    assert all(str(path) in str(warning) for warning in read({}).warnings)


def test_a_key_file_that_others_can_read_is_a_warning(read: Read, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(REAL_KEY)
    (tmp_path / "key").chmod(0o604)
    (warning,) = read({"posKeyFile": str(tmp_path / "key")}).warnings
    assert str(tmp_path / "key") in str(warning)


def test_a_file_without_a_key_may_be_read_by_all(conf: Write, read: Read) -> None:
    conf('[Main]\nposKey = "key"\nslipCopies = 1\n').chmod(0o644)
    assert read({}).warnings == ()


@pytest.mark.parametrize("copied", [copy.deepcopy, asdict, repr, str])
def test_settings_show_no_secret(read: Read, copied: Callable[[Settings], object]) -> None:
    settings = read({**FAR, "posKey": "canary1", "queueUrl": "amqp://user:canary2@host/"})
    if copied is not asdict:
        assert "canary" not in repr(copied(settings))
    assert "canary1" not in repr(copied(settings))


def test_no_shown_value_has_a_secret(load: Load) -> None:
    loaded = load(
        {**FAR, "posKey": "canary1", "queueUrl": "amqp://user:canary2@host/", "proxy": "http://u:canary3@p:1"}
    )
    assert "canary" not in repr(loaded.rows)
    assert {"***", "amqp://***@host/", "http://***@p:1"} <= {row.value for row in loaded.rows}


def test_settings_can_be_pickled_without_their_key(read: Read) -> None:
    assert pickle.loads(pickle.dumps(read({"posKey": "canary"}))).pos_key.reveal() == "***"  # noqa: S301


@pytest.mark.parametrize(
    "host",
    [
        {"posKey": "canary\x00", "url": "http://u:canary@host"},
        {"posKey": "canary ключ"},
        {"posKey": '"canary'},
        {"poskey": "canary"},
        {"posId": "id", "url": "https://host", "posKey": "canary", "queueUrl": "amqp//u:canary@host"},
        {"queueUrl": "u:canary@host"},
    ],
)
def test_no_problem_shows_a_secret(load: Load, host: dict[str, str]) -> None:
    loaded = load(host)
    found = (*loaded.faults, *loaded.warnings)
    error = SettingsError(loaded.faults, loaded.warnings)
    text = "".join(traceback.format_exception(error))
    assert "canary" not in text + repr(error) + repr(found) + "".join(fault.short for fault in found)
