"""What each setting may be; the sentence on a value that it may not be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from payme_plugin.secret import Secret
from payme_plugin.settings import SETTINGS, Settings
from payme_plugin.settings.parsers import ProxyAddress
from payme_plugin.settings.problems import Origin, SettingFault, Source

if TYPE_CHECKING:
    from payme_plugin.settings.model import Setting

Read = Callable[[Mapping[str, object]], Settings]
Faults = Callable[[Mapping[str, object]], "tuple[SettingFault, ...]"]
Write = Callable[["str | bytes"], Path]

KASSA = {"posId": "65aa00112233445566778899", "posKey": "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"}
BAD_NUMBERS = ["ten", "1e9", "10.5", "", "0x10", "1_0", "٣", "0", "-1", "9223372036854775808", "1" * 3000, "10 s", "+1"]
FAR = {**KASSA, "url": "https://checkout.paycom.uz/api"}

REFUSED = {
    "timeout": [*BAD_NUMBERS, "301"],
    "payDuration": [*BAD_NUMBERS, "999", "3600001"],
    "frequency": [*BAD_NUMBERS, "99", "3600001"],
    "paymentProvider": BAD_NUMBERS,
    "keepDays": [*BAD_NUMBERS, "29", "3651"],
    "slipCopies": ["", "two", "-1", "6"],
    "paymentType": ["", "ten", "-1", "1.0", "2147483648"],
    "ignoredErrors": ["x", "-31400,", ",", "-31400;-31101", "..", "--1", "-9223372036854775808"],
    "staleCodes": ["x", "0", "-31602"],
    "language": ["RU", "de", "ru_RU"],
    "allowPlainHttp": ["", "2", "ja", "y"],
    "cancelAcceptedIsDone": ["", "2"],
    "slipEncoding": [
        *["utf-8", "utf-16", "utf-7", "gbk", "shift_jis", "big5", "hz", "cp037", "rot13", "idna", "punycode"],
        *["unicode_escape", "undefined", "../x", "кодировка", "x" * 99],
    ],
    "slipTemplate": ["payme.xml", "~/payme.xml"],
    "posKeyFile": ["key", "/nowhere/key", "/"],
    "caFile": ["ca.pem", "/nowhere/ca.pem", "/dev/null", "/", "/" + "x" * 3000],
    "proxy": [
        *[
            "proxy",
            "proxy:3128",
            "https://proxy:3128",
            "socks5://proxy:1080",
            "http://",
            "http://proxy:x",
            "http://proxy:0",
        ],
        *[
            "http://proxy:3128/path",
            "http://proxy/?a",
            "http://:p@proxy",
            "http://@proxy",
            "http://p r:1",
            "http://прокси",
        ],
    ],
    "codePrefix": ["x" * 65],
    "codeSuffix": ["x" * 65],
    "queueUrl": ["host", "http://host", "amqp://", "amqp://host:x", "amqp://a b"],
    "account": [
        *["order", "=x", "order=", "1a=x", "a=1,a=2", "a b=c", "a=1,,b=2"],
        *["a={kassa}", "a={", "a={{till}}", "a={till.__class__}", "a={till!r}", "a={}"],
    ],
    "posId": ["", "a:b", '" a"', "касса", "x" * 513],
    "posKey": ["", '" a"', '"a "', "ключ", "a\u2019b", "a\tb", "x" * 513],
    "url": [
        *["", "localhost", "localhost:80", "//localhost", "ftp://localhost", "http://", "http:///api"],
        *["http://a:b@localhost", "http://localhost/api?x=1", "http://localhost/api#x", "http://localhost?"],
        *["http://localhost:0", "http://localhost:99999", "http://localhost:x", "http://localhost:"],
        *["http://[::1", "http://::1/", "http://[v1.x]/", "http://-a/", "http://a..b/", "http://касса"],
        *["http:\\\\localhost", "http://local host", "https://" + "a" * 2000],
    ],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in REFUSED.items() for text in texts])
def test_a_value_that_is_not_allowed_is_one_fault_that_says_what_is(faults: Faults, name: str, text: str) -> None:
    (fault,) = faults({name: text})
    assert fault.key == name
    assert fault.origin == Origin(Source.HOST)
    assert re.search("use |allowed|must|can't|remove|no certificate", str(fault.explanation))
    assert len(str(fault).splitlines()) == 1
    assert str(fault).startswith(f"{name} in the host's settings is \"")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_no_setting_takes_control_characters_or_endless_text(faults: Faults, setting: Setting) -> None:
    for text in ("a\x00b", "a\nb", "a\x7fb", "a\x85b", "a\ud800b", "a\ufffdb", "x" * 4001):
        assert [fault.key for fault in faults({setting.name: text})] == [setting.name]


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("timeout", "1", "timeout_s", 1),
        ("timeout", "300", "timeout_s", 300),
        ("timeout", "007", "timeout_s", 7),
        ("payDuration", "3600000", "pay_duration_ms", 3_600_000),
        ("frequency", " 1000 ", "frequency_ms", 1_000),
        ("ignoredErrors", ".", "ignored_errors", frozenset()),
        ("ignoredErrors", "", "ignored_errors", frozenset()),
        ("ignoredErrors", "-31400,-31101 -31103 , -31630", "ignored_errors", {-31400, -31101, -31103, -31630}),
        ("paymentType", "17", "payment_type", 17),
        ("language", "uz", "language", "uz"),
        ("language", "", "language", None),
        ("allowPlainHttp", "YES", "allow_plain_http", True),
        ("allowPlainHttp", "off", "allow_plain_http", False),
        ("cancelAcceptedIsDone", "true", "cancel_accepted_is_done", True),
        ("slipEncoding", "CP866", "slip_encoding", "cp866"),
        ("slipEncoding", "windows-1251", "slip_encoding", "cp1251"),
        ("slipEncoding", "koi8-r", "slip_encoding", "koi8-r"),
        ("slipEncoding", "ascii", "slip_encoding", "ascii"),
        ("slipEncoding", "", "slip_encoding", None),
        ("slipCopies", "0", "slip_copies", 0),
        ("account", "", "account", ""),
        ("account", "kkm_id = {till}, document=№{number}=x", "account", "kkm_id = {till}, document=№{number}=x"),
        ("queueUrl", "amqps://u:p@mq.local:5671/%2f", "queue_url", "amqps://u:p@mq.local:5671/%2f"),
        ("codePrefix", '"QR: "', "code_prefix", "QR: "),
        ("codeSuffix", "#", "code_suffix", "#"),
        ("proxy", "", "proxy", None),
        ("keepDays", "3650", "keep_days", 3650),
    ],
)
def test_a_value_that_is_allowed(read: Read, name: str, text: str, field: str, value: object) -> None:
    settings = read({name: text})
    assert getattr(settings, field) == value
    assert [warning.key for warning in settings.warnings if warning.key != "queueUrl"] == []


@pytest.mark.parametrize(
    "text",
    [
        *[
            "http://user:canary@proxy:x",
            "http://user:canary:3128",
            "user:canary@proxy:3128",
            "http://user:canary/proxy",
        ],
        *["socks5://user:canary@proxy", "http:/canary", "canary", "http://user;canary", "http://canary@pr xy"],
    ],
)
def test_a_proxys_password_is_in_no_fault(faults: Faults, text: str) -> None:
    (fault,) = faults({"proxy": text})
    assert fault.key == "proxy"
    assert "canary" not in f"{fault!s}{fault!r}{fault.short}{fault.value}"


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy:3128", ProxyAddress("proxy", 3128, None)),
        ("HTTP://10.0.0.7/", ProxyAddress("10.0.0.7", 80, None)),
        ("http://[::1]:3128", ProxyAddress("::1", 3128, None)),
        ("http://us%3Aer:p%40ss:w@proxy:1", ProxyAddress("proxy", 1, Secret("us:er:p@ss:w"))),
        ("http://user@proxy:1", ProxyAddress("proxy", 1, Secret("user:"))),
    ],
)
def test_a_proxy_with_its_login(read: Read, text: str, proxy: ProxyAddress) -> None:
    assert read({**FAR, "proxy": text}).proxy == proxy


def test_a_proxys_password_is_in_no_repr_and_shown_masked(read: Read) -> None:
    settings = read({**FAR, "proxy": "http://user:canary@proxy:3128"})
    assert "canary" not in f"{settings!r}{settings.proxy!r}{settings.proxy!s}"
    assert str(settings.proxy) == "http://***@proxy:3128"
    assert [secret.reveal() for secret in settings.secrets[1:]] == ["user:canary", "canary"]


@pytest.mark.parametrize("given", [{}, {"allowPlainHttp": "1"}])
def test_the_key_goes_in_clear_to_a_proxy_only_where_that_is_allowed(
    read: Read, faults: Faults, given: dict[str, str]
) -> None:
    values = {**KASSA, "url": "http://localhost", "proxy": "http://proxy:3128", **given}
    if given:
        assert read(values).allow_plain_http
    else:
        assert [fault.key for fault in faults(values)] == ["url"]


def test_a_brokers_address_is_checked_and_is_a_warning_that_the_till_delivers_by_itself(read: Read) -> None:
    settings = read({"queueUrl": "amqps://u:canary@mq.local:5671/%2f"})

    (warning,) = settings.warnings
    assert (warning.key, warning.value) == ("queueUrl", None)
    assert "the till delivers its cancellations by itself" in str(warning)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://checkout.paycom.uz/api", "https://checkout.paycom.uz/api"),
        ("https://checkout.paycom.uz", "https://checkout.paycom.uz/api"),
        ("https://checkout.paycom.uz/", "https://checkout.paycom.uz/api"),
        ("https://checkout.paycom.uz:8443", "https://checkout.paycom.uz:8443/api"),
        ("https://proxy.local/payme/v1/", "https://proxy.local/payme/v1/"),
        ("HTTPS://Checkout.Paycom.UZ/API", "HTTPS://Checkout.Paycom.UZ/API"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765/api"),
        ("http://[::1]:8765", "http://[::1]:8765/api"),
        ("https://10.0.0.7/api", "https://10.0.0.7/api"),
    ],
)
def test_the_address_is_used_as_written_and_gets_a_path_where_it_has_none(read: Read, text: str, url: str) -> None:
    assert read({**KASSA, "url": text}).url == url


def test_a_sentence_says_what_where_and_what_is_allowed(conf: Write, faults: Faults) -> None:
    path = conf("[Main]\n\npayDuration = ten\n")
    (fault,) = faults({})
    assert str(fault) == (
        f'payDuration on line 3 of {path} is "ten": '
        "use a whole number of milliseconds from 1000 to 3600000; 10 seconds is 10000."
    )
    assert fault.short == "payDuration = ten (payme.go.conf:3)"


def test_a_cashier_is_told_of_a_fault_in_no_language(conf: Write, faults: Faults) -> None:
    conf('[Main]\nnonsense\nposId = "a\ntimeout = ten\n')
    assert [fault.short for fault in faults({"keepDays": "1"})] == [
        "payme.go.conf:2",
        "posId (payme.go.conf:3)",
        "timeout = ten (payme.go.conf:4)",
        "keepDays = 1",
    ]


def test_a_long_value_is_cut_where_it_is_shown(faults: Faults) -> None:
    (fault,) = faults({"timeout": "1" * 3000})
    assert len(str(fault)) < 200


@pytest.mark.parametrize("value", [10, None, True, b"10", ["10"]])
def test_a_host_that_gives_no_text_is_a_fault(faults: Faults, value: object) -> None:
    (fault,) = faults({"timeout": value})
    assert f"must be text, not {type(value).__name__}" in str(fault)


def test_every_fault_is_told_at_once_down_the_file(conf: Write, faults: Faults) -> None:
    conf('[Main]\nfrequency = 0\nnonsense\ntimeout = "ten"\nurl = http://u:p@host\nposId = a:b\n')
    found = faults({"keepDays": "1"})
    assert [(fault.key, fault.line) for fault in found] == [
        ("frequency", 2),
        (None, 3),
        ("timeout", 4),
        ("url", 5),
        ("posId", 6),
        ("keepDays", None),
    ]


def test_the_slips_template_of_the_till_is_taken_where_it_is_there(read: Read, tmp_path: Path) -> None:
    assert read({}).slip_template is None
    (tmp_path / "payme.xml").write_text("<slip/>")
    assert read({}).slip_template == tmp_path / "payme.xml"
    other = tmp_path / "other.xml"
    other.write_text("<slip/>")
    assert read({"slipTemplate": str(other)}).slip_template == other


@pytest.mark.parametrize("path", ["/nowhere/payme.xml", "/dev/null/payme.xml", "/", "/" + "x" * 3000])
def test_a_template_that_is_not_there_stops_no_sale(read: Read, path: str) -> None:
    settings = read({"slipTemplate": path})
    assert settings.slip_template == Path(path)
    assert [warning.key for warning in settings.warnings] == ["slipTemplate"]


def test_certificates_must_be_a_pem_file(read: Read, faults: Faults, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n")
    assert read({"caFile": str(path)}).ca_file == path
    path.write_text("-----BEGIN PRIVATE KEY-----\n")
    (fault,) = faults({"caFile": str(path)})
    assert "PEM" in str(fault)
