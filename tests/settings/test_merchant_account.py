"""The merchant account's id and key: complete, hidden, and never sent in clear to another machine."""

from __future__ import annotations

import copy
import pickle
import traceback
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from payme_plugin.secret import Secret
from payme_plugin.settings import SettingsError
from payme_plugin.settings.model import FormerAccount
from payme_plugin.settings.problems import Origin, Source
from tests.settings.conftest import FAR, KEY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from payme_plugin.settings import Settings
    from tests.settings.conftest import Faults, Load, Read, Write

# ---------------------------------------------------------------------------------------------------------------------
# Beyond this machine
# ---------------------------------------------------------------------------------------------------------------------


def test_beyond_this_machine_id_and_key_must_be_set(faults: Faults) -> None:
    found = faults({"url": FAR["url"]})
    assert [(fault.key, fault.value) for fault in found] == [("posId", "id"), ("posKey", "***")]
    assert [fault.key for fault in faults({**FAR, "posId": "id", "posKey": "key"})] == ["posId", "posKey"]


@pytest.mark.parametrize("url", ["http://localhost", "http://LOCALHOST:80", "http://127.5.6.7", "http://[::1]:8080/x"])
def test_on_this_machine_nothing_need_be_set_without_a_proxy(read: Read, faults: Faults, url: str) -> None:
    assert read({"url": url}).pos_id == "id"
    through_proxy = {**FAR, "url": url, "proxy": "http://proxy:3128"}
    assert [fault.key for fault in faults(through_proxy)] == ["url"]
    assert read({**through_proxy, "allowPlainHttp": "1"}).allow_plain_http


@pytest.mark.parametrize(
    "url", ["http://10.0.0.7", "http://localhost.paycom.uz", "http://0.0.0.0", "HTTP://2130706433"]
)
def test_beyond_this_machine_plain_http_must_be_allowed(read: Read, faults: Faults, url: str) -> None:
    (fault,) = faults({**FAR, "url": url})
    assert fault.key == "url"
    assert "allowPlainHttp = 1" in str(fault)
    assert read({**FAR, "url": url, "allowPlainHttp": "1"}).allow_plain_http


# ---------------------------------------------------------------------------------------------------------------------
# The file with the key
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o600)
    return path


def test_a_key_file_holds_the_key_and_one_line_end(read: Read, faults: Faults, key_file: Path) -> None:
    host = {**FAR, "posKeyFile": str(key_file)}
    del host["posKey"]
    for data in (KEY, KEY + "\n", KEY + "\r\n", "\ufeff" + KEY):
        key_file.write_text(data, encoding="utf-8", newline="")
        settings = read(host)
        assert (settings.pos_key.reveal(), settings.pos_key_file, settings.warnings) == (KEY, key_file, ())
        assert settings.origins["posKey"] == Origin(Source.FILE, key_file)
    for bad in (b"", b"\n", b"canary\n\n", b"canary \n", b"a\ncanary", b"\xffcanary", b"canary" * 1000):
        key_file.write_bytes(bad)
        assert {fault.key for fault in faults(host)} == {"posKeyFile"}
        assert "canary" not in "".join(map(str, faults(host)))


def test_a_key_file_and_a_key_from_one_place_are_a_fault(conf: Write, faults: Faults, key_file: Path) -> None:
    (fault,) = faults({"posKey": "a", "posKeyFile": str(key_file)})
    assert (fault.key, "one of the two" in str(fault)) == ("posKeyFile", True)
    conf(f"[Main]\nposKey = a\nposKeyFile = {key_file}\n")
    (fault,) = faults({})
    assert (fault.key, fault.line) == ("posKeyFile", 3)


def test_the_hosts_source_of_the_key_wins_and_the_sample_is_not_one(conf: Write, read: Read, key_file: Path) -> None:
    for in_the_file, given, key in (
        (f"posKeyFile = {key_file}", {"posKey": "own"}, "own"),
        ("posKey = own", {"posKeyFile": str(key_file)}, KEY),
        (f'posKey = "key"\nposKeyFile = {key_file}', {}, KEY),
    ):
        conf(f"[Main]\n{in_the_file}\n")
        assert read(given).pos_key.reveal() == key


@pytest.mark.parametrize(("mode", "keys"), [(0o600, []), (0o640, []), (0o644, ["posKey"]), (0o602, ["posKey"])])
def test_a_key_that_others_can_read_or_change_is_a_warning(
    conf: Write, read: Read, key_file: Path, mode: int, keys: list[str]
) -> None:
    for line, warned in ((f"posKey = {KEY}", keys), (f"posKeyFile = {key_file}", keys), ("timeout = 5", [])):
        path = conf(f"[Main]\n{line}\n")
        path = key_file if "File" in line else path
        path.chmod(mode)
        warnings = read({}).warnings
        assert [warning.key for warning in warnings] == warned
        assert all(str(path) in str(warning) for warning in warnings)


# ---------------------------------------------------------------------------------------------------------------------
# Secrets
# ---------------------------------------------------------------------------------------------------------------------

SECRETS = {**FAR, "posKey": "canary1", "queueUrl": "amqp://user:canary2@host/", "proxy": "http://u:canary3@p:1"}


@pytest.mark.parametrize("copied", [copy.deepcopy, asdict, repr, str])
def test_settings_show_no_secret(read: Read, load: Load, copied: Callable[[Settings], object]) -> None:
    settings = read(SECRETS)
    assert [secret.reveal() for secret in settings.secrets] == ["canary1", "u:canary3", "canary3"]
    shown = repr(copied(settings))
    assert [word in shown for word in ("canary1", "canary2", "canary3")] == [False, copied is asdict, False]
    rows = {row.value for row in load(SECRETS).rows}
    assert "canary" not in repr(rows)
    assert {"***", "amqp://***@host/", "http://***@p:1"} <= rows
    assert pickle.loads(pickle.dumps(settings)).pos_key.reveal() == "***"  # noqa: S301


@pytest.mark.parametrize(
    "host",
    [
        {"posKey": "canary\x00", "url": "http://u:canary@host"},
        {"posKey": "canary ключ"},
        {"posKey": '"canary'},
        {"posKeyFile": "canary" + KEY},
        {"posId": f"id:canary{KEY}"},
        {"posId": "id", "url": "https://host", "posKey": "canary", "queueUrl": "amqp//u:canary@host"},
        {"queueUrl": "u:canary@host"},
        *[{"proxy": f"http://user:canary{rest}"} for rest in ("@proxy:x", ":3128", "/proxy")],
        *[{"proxy": text} for text in ("user:canary@proxy:3128", "socks5://user:canary@proxy", "http:/canary")],
        *[{"proxy": text} for text in ("canary", "http://user;canary", "http://canary@pr xy")],
    ],
)
def test_no_problem_shows_a_secret(load: Load, host: dict[str, str]) -> None:
    loaded = load({"paymentType": "7", **host})
    found = (*loaded.faults, *loaded.warnings)
    error = SettingsError(loaded.faults, loaded.warnings)
    text = "".join([*traceback.format_exception(error), repr(error), repr(found), repr(loaded.rows)])
    assert found
    assert "canary" not in text + "".join(f"{each.short}{each.value}" for each in found)


# ---------------------------------------------------------------------------------------------------------------------
# The sections ``[Account <posId>]``: keys of merchant accounts that took payments before
# ---------------------------------------------------------------------------------------------------------------------

FORMER = "65aa00112233445566778899"
GOOD = f"[Main]\nposId = b\n[ Account \t {FORMER}]\nurl = https://old.example\nposKey = canary=;key\n"


def test_a_section_gives_the_key_and_the_server_of_an_account(conf: Write, read: Read) -> None:
    conf(f"{GOOD}[Account c]\nurl = https://c.example\nposKey = k\n")
    settings = read({})

    former = FormerAccount(FORMER, "https://old.example/api", Secret("canary=;key"))
    assert settings.former_accounts == (former, FormerAccount("c", "https://c.example/api", Secret("k")))
    assert [each.pos_id for each in settings.accounts] == ["b", FORMER, "c"]
    assert "canary" not in f"{settings!r}{settings.accounts!r}"
    assert former.pos_key in settings.secrets


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ("url = https://old.example", f"[Account {FORMER}]"),
        ("url = http://old.example\nposKey = canary", f"[Account {FORMER}] url"),
        ("url = https://old.example\nposKey = \u0416canary", f"[Account {FORMER}] posKey"),
        ("url = https://old.example\nposKey = canary\ntimeout = 5", f"[Account {FORMER}] timeout"),
        ("url = https://old.example\nposKey = canary\nposKey = canary2", "posKey"),
        ("url = https://old.example\nposKey = canary\ncanary2", None),
    ],
)
def test_an_unusable_section_is_a_warning_that_stops_no_sale(
    conf: Write, read: Read, lines: str, key: str | None
) -> None:
    conf(f"[Main]\n[Account {FORMER}]\n{lines}\n")
    settings = read({})

    assert key in [warning.key for warning in settings.warnings]
    assert "canary" not in "".join(f"{warning}{warning!r}" for warning in settings.warnings)


@pytest.mark.parametrize(("key", "counts"), [("current", True), ("former", False)])
def test_a_section_of_the_current_account_counts_only_with_its_key(
    conf: Write, read: Read, key: str, counts: bool
) -> None:
    conf(f"[Main]\nposId = b\nposKey = current\n[Account b]\nurl = https://b.example\nposKey = {key}\n")
    settings = read({})

    assert [each.pos_key.reveal() for each in settings.accounts] == ["current"] * (1 + counts)
    warned = [str(warning) for warning in settings.warnings if warning.key == "[Account b]"]
    assert [("has no effect" in each, "former" in each) for each in warned] == ([] if counts else [(True, False)])
