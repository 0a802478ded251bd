"""The allowed values of each setting in every spelling. Any other value is a fault with its line."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payme_plugin.paymego import codes
from payme_plugin.secret import Secret
from payme_plugin.settings import SETTINGS, LoadedSettings, Settings, SettingsError, account_of, load, read_settings
from payme_plugin.settings.parsers import PATTERN, ProxyAddress
from tests.settings.conftest import FAR, KEY, NOWHERE

if TYPE_CHECKING:
    from payme_plugin.settings.model import Setting
    from tests.settings.conftest import Faults, Load, Read, Write

FAST = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150)

WHOLE = {
    "timeout": ("timeout_s", 1, 300),
    "payDuration": ("pay_duration_ms", 1_000, 3_600_000),
    "frequency": ("frequency_ms", 100, 3_600_000),
    "paymentProvider": ("payment_provider", 1, 999_999),
    "paymentType": ("payment_type", 0, 2**31 - 1),
    "slipCopies": ("slip_copies", 0, 5),
    "keepDays": ("keep_days", 30, 3650),
}
"""The whole numbers: their fields, from where to where."""
SWITCHES = {
    "allowPlainHttp": "allow_plain_http",
    "cancelAcceptedIsDone": "cancel_accepted_is_done",
    "runWorker": "run_worker",
}

# ---------------------------------------------------------------------------------------------------------------------
# What is not allowed
# ---------------------------------------------------------------------------------------------------------------------

BAD_NUMBERS = ["ten", "1e9", "10.5", "", "0x10", "1_0", "٣", "9223372036854775808", "1" * 3000, "10 s", "+1", "1 ; a"]
REFUSED = {
    **{name: [*BAD_NUMBERS, str(low - 1), str(high + 1)] for name, (_, low, high) in WHOLE.items()},
    **{name: ["", "2", "ja", "y"] for name in SWITCHES},
    "ignoredErrors": ["x", "-31400,", ",", "-31400;-31101", "..", "--1", "-9223372036854775808"],
    "staleCodes": ["x", "0", "-31602"],
    "language": ["RU", "de", "ru_RU"],
    "earlyPolling": ["2", "ja", "early"],
    "slipEncoding": [
        *["utf-8", "utf-16", "utf-7", "gbk", "hz", "cp037", "rot13", "idna", "punycode", "unicode_escape", "undefined"],
        *["../x", "кодировка", "x" * 99],
    ],
    "slipTemplate": ["payme.xml", "~/payme.xml"],
    "posKeyFile": ["key", "/nowhere/key", "/"],
    "caFile": ["ca.pem", "/nowhere/ca.pem", "/dev/null", "/", "/" + "x" * 3000, "/etc/hostname"],
    "proxy": [
        *["proxy", "proxy:3128", "https://proxy:3128", "http://", "http://proxy:x", "http://proxy:0"],
        *["http://proxy:3128/path", "http://proxy/?a", "http://:p@proxy", "http://@proxy", "http://p r:1"],
    ],
    "codePrefix": ["x" * 65],
    "codeSuffix": ["x" * 65],
    "codePattern": ["(", "(a+)+", ""],
    "queueUrl": [
        *["host", "http://host", "amqp://", "amqp://host:x", "amqp://a b"],
        *["amqp://u:12/3@host/v", "amqp://u:12?3@host/v", "amqp://u:12#3@host/v", "amqp://host/v?a=b"],
    ],
    "account": [
        *["order", "=x", "order=", "1a=x", "a=1,a=2", "a b=c", "a=1,,b=2"],
        *["a={kassa}", "a={", "a={{till}}", "a={till.__class__}", "a={till!r}"],
    ],
    "posId": ["", "a:b", '" a"', "касса", "x" * 513],
    "posKey": ["", '" a"', '"a "', "ключ", "a\u2019b", "a\tb", "x" * 513],
    "url": [
        *["", "localhost", "localhost:80", "//localhost", "ftp://localhost", "http://", "http:///api"],
        *["http://a:b@localhost", "http://localhost/api#x", "http://localhost?", "http://localhost:0"],
        *["http://localhost:99999", "http://localhost:x", "http://localhost:", "http://[::1", "http://::1/"],
        *["http://[v1.x]/", "http://-a/", "http://a..b/", "http://касса", "http:\\\\localhost"],
        "https://" + "a" * 2000,
    ],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in REFUSED.items() for text in texts])
def test_a_value_that_is_not_allowed_is_one_fault_that_says_where_it_is_and_what_is(
    conf: Write, faults: Faults, load: Load, name: str, text: str
) -> None:
    (fault,) = faults({name: text})
    assert fault.key == name
    assert re.search("use |allowed|must|can't|remove|no certificate", str(fault.explanation))
    assert len(str(fault).splitlines()) == 1
    assert len(str(fault)) < 400, "a long value is cut"
    assert str(fault).startswith(f"{name} in the host's settings is \"")
    conf(f"[Main]\n; a comment\n{name} = {text}\n")
    assert [fault.line for fault in load({}).faults if fault.key == name] == [3]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_no_setting_takes_control_characters_or_endless_text(faults: Faults, setting: Setting) -> None:
    for text in ("a\x00b", "a\nb", "a\x7fb", "a\x85b", "a\ud800b", "a\ufffdb", "x" * 4001):
        assert [fault.key for fault in faults({setting.name: text})] == [setting.name]


@pytest.mark.parametrize("value", [10, None, True, b"10", ["10"]])
def test_a_host_that_gives_no_text_is_a_fault(faults: Faults, value: object) -> None:
    (fault,) = faults({"timeout": value})
    assert f"must be text, not {type(value).__name__}" in str(fault)


def test_every_fault_is_reported_at_once_to_a_cashier_in_no_language(conf: Write, faults: Faults) -> None:
    path = conf('[Main]\nfrequency = 0\nnonsense\npayDuration = ten\nurl = http://u:p@host\nposId = "a\n')
    found = faults({"keepDays": "1"})
    assert [(fault.key, fault.line) for fault in found] == [
        ("frequency", 2),
        (None, 3),
        ("payDuration", 4),
        ("url", 5),
        ("posId", 6),
        ("keepDays", None),
    ]
    assert [fault.short for fault in found[1:3]] == ["payme.go.conf:3", "payDuration = ten (payme.go.conf:4)"]
    assert [fault.short for fault in found[4:]] == ["posId (payme.go.conf:6)", "keepDays = 1"]
    assert str(found[2]) == (
        f'payDuration on line 4 of {path} is "ten": '
        "use a whole number of milliseconds from 1000 to 3600000; 10 seconds is 10000."
    )
    assert found[2].message.text("ru") == (
        f"payDuration в строке 4 файла {path}, значение «ten»: "
        "укажите целое число миллисекунд от 1000 до 3600000; 10 секунд — это 10000."
    )


# ---------------------------------------------------------------------------------------------------------------------
# What is allowed
# ---------------------------------------------------------------------------------------------------------------------

Valid = tuple[str, str, object]
"""The setting's field, a text for it, and the value that is meant."""

PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x2FFF, exclude_categories=["Cc", "Cs", "Cn"])
LATIN_1 = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"])
WORD = st.text(PRINTABLE, max_size=12)
AFFIX = WORD.filter(lambda text: text == text.strip())
CODES = st.lists(st.sampled_from([-31400, -31101, -31103, -31630, -31303]), max_size=6)


def whole(field: str, low: int, high: int) -> st.SearchStrategy[Valid]:
    numbers = st.integers(low, high) | st.sampled_from([low, high])
    return st.builds(lambda number, zeros: (field, "0" * zeros + str(number), number), numbers, st.integers(0, 3))


def words(field: str, *texts: str, **meanings: object) -> st.SearchStrategy[Valid]:
    """Return texts that mean themselves and others with another meaning."""
    return st.sampled_from([*((field, text, text) for text in texts), *((field, *pair) for pair in meanings.items())])


def code_list(field: str) -> st.SearchStrategy[Valid]:
    separators = st.sampled_from([",", ", ", " , ", " ", "\t", ",\t"])
    written = st.builds(
        lambda numbers, separator: (field, separator.join(map(str, numbers)), frozenset(numbers)), CODES, separators
    )
    return written | st.just((field, ".", frozenset()))


def header(*forbidden: str) -> st.SearchStrategy[str]:
    texts = st.text(LATIN_1, min_size=1, max_size=40).filter(lambda text: text == text.strip())
    return texts.filter(lambda text: not any(letter in text for letter in forbidden) and text not in {"id", "key"})


def account() -> st.SearchStrategy[Valid]:
    part = st.text(PRINTABLE.filter(lambda letter: letter not in ",{}"), max_size=6)
    value = st.builds(lambda a, name, b: f"{a}{{{name}}}{b}", part, st.sampled_from(["till", "shift", "number"]), part)
    pairs = st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), value, max_size=4)
    return pairs.map(lambda found: ("account", text := ",".join(f"{k}={v}" for k, v in found.items()), text))


ON_AND_OFF: dict[str, object] = {
    "1": True,
    "true": True,
    "Yes": True,
    "ON": True,
    "0": False,
    "FALSE": False,
    "off": False,
}
CODE_PATTERNS = ["[0-9]{6,64}", r"\d+", r"PAYME:\d{20}", r"[^;#=]+", r"(?!88)[0-9]{11,20}", "a|b"]
ALLOWED: dict[str, st.SearchStrategy[Valid]] = {
    **{name: whole(*numbers) for name, numbers in WHOLE.items()},
    **{name: words(field, **ON_AND_OFF) for name, field in SWITCHES.items()},
    "url": words(
        "url",
        *["https://checkout.paycom.uz/api", "https://[2001:db8::1]:8443/a;b=c%20", "HTTPS://Checkout.Paycom.UZ/V1/"],
        **{each: f"{each.rstrip('/')}/api" for each in ("http://localhost", "https://h:8443/", "http://[::1]:8765")},
    ),
    "posId": header(":").map(lambda text: ("pos_id", text, text)),
    "posKey": (header() | st.sampled_from([KEY, '"', '""', "a\xa0\xadz"])).map(
        lambda text: ("pos_key", text, Secret(text))
    ),
    "ignoredErrors": code_list("ignored_errors"),
    "language": words("language", "ru", "uz", "en", **{"": None}),
    "earlyPolling": words("early_polling", **ON_AND_OFF),
    "account": account(),
    "slipTemplate": WORD.map(lambda text: ("slip_template", f"/{text}", Path(f"/{text}"))),
    "slipEncoding": words(
        "slip_encoding", "cp866", "koi8-r", "ascii", **{"CP1251": "cp1251", "windows-1251": "cp1251", "": None}
    ),
    "proxy": words(
        "proxy",
        **{
            "http://proxy:3128": ProxyAddress("proxy", 3128, None),
            "HTTP://10.0.0.7/": ProxyAddress("10.0.0.7", 80, None),
            "http://[::1]:3128": ProxyAddress("::1", 3128, None),
            "http://us%3Aer:p%40ss:w@proxy:1": ProxyAddress("proxy", 1, Secret("us:er:p@ss:w")),
            "http://user@proxy:1": ProxyAddress("proxy", 1, Secret("user:")),
            "": None,
        },
    ),
    "codePattern": words("code_pattern", **{text: PATTERN.parse(text) for text in CODE_PATTERNS}),
    "codePrefix": AFFIX.map(lambda text: ("code_prefix", text, text)),
    "codeSuffix": AFFIX.map(lambda text: ("code_suffix", text, text)),
    "staleCodes": code_list("stale_codes"),
    "queueUrl": words("queue_url", "", "amqp://u:p@h/%2f", "amqps://u:p@mq.local:5671/%2f"),
}


def test_no_setting_is_left_out() -> None:
    """The files with a key and with certificates have tests of their own."""
    assert {*REFUSED} == {*ALLOWED, "posKeyFile", "caFile"} == {setting.name for setting in SETTINGS}


COMMENTS = st.lists(
    st.one_of(st.just(""), st.builds(lambda mark, text: f"{mark}{text}", st.sampled_from([";", "# "]), WORD)),
    max_size=2,
)


@st.composite
def spelled(draw: st.DrawFn, name: str, text: str) -> str:
    """One line that gives a setting."""
    bare = text == text.strip() and not text.startswith('"') and not text.endswith('"')
    if not bare or draw(st.booleans()):
        text = f'"{text}"'
    blanks = [draw(st.sampled_from(["", " ", "\t", "  "])) for _ in range(4)]
    return f"{blanks[0]}{name}{blanks[1]}={blanks[2]}{text}{blanks[3]}"


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, dict[str, Valid]]:
    names = draw(st.permutations(sorted(ALLOWED)))
    chosen = {"paymentType", "posId", "posKey", "url", *names[: draw(st.integers(0, len(names)))]}
    meant = {name: draw(ALLOWED[name]) for name in names if name in chosen}
    meant["allowPlainHttp"] = ("allow_plain_http", "1", True)
    lines = [*draw(COMMENTS), "[Main]"]
    for name, (_, text, _) in meant.items():
        lines += [*draw(COMMENTS), draw(spelled(name, text))]
    text = draw(st.sampled_from(["\n", "\r\n", "\r"])).join([*lines, ""])
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig"]))), meant


@FAST
@given(files())
def test_any_valid_settings_in_any_spelling_come_back(tmp_path: Path, file: tuple[bytes, dict[str, Valid]]) -> None:
    data, meant = file
    path = tmp_path / "payme.go.conf"
    path.write_bytes(data)
    path.chmod(0o600)
    result = read_settings({}, path, codes, places=NOWHERE)
    for name, (field, _, value) in meant.items():
        assert getattr(result, field) == value
        assert result.origins[name].path == path
    assert {warning.key for warning in result.warnings} <= {*meant, "timeout", "payDuration", "frequency"}
    rows = {row.name: row.value for row in LoadedSettings({}, path, codes, places=NOWHERE).rows}
    rows |= {name: text for name, (_, text, _) in meant.items() if name in {"posKey", "proxy", "queueUrl"}}
    rows = {name: f'"{text}"' for name, text in rows.items() if name != "confFile"}
    assert read_settings(rows, None, codes, places=NOWHERE) == replace(result, conf_file=NOWHERE.conf_file), "as shown"


@FAST
@given(st.binary(max_size=200), st.dictionaries(WORD, WORD, max_size=3))
def test_nothing_but_a_settings_error_comes_out(tmp_path: Path, data: bytes, host: dict[str, str]) -> None:
    path = tmp_path / "payme.go.conf"
    path.write_bytes(b"[Main]\n" + data)
    try:
        read = read_settings(host, path, codes, places=NOWHERE)
    except SettingsError:
        return
    assert isinstance(read, Settings)


@pytest.mark.parametrize(
    ("url", "has_pika", "expected"),
    [
        ("amqps://u:canary@mq.local:5671/%2f", True, []),
        ("amqp://u:canary@127.0.0.1/%2f", True, []),
        ("amqp://u:canary@mq.local/%2f", True, ["settings.plain_broker"]),
        ("amqps://u:canary@mq.local/%2f", False, ["settings.no_pika"]),
    ],
)
def test_a_broker_in_clear_or_without_its_library_is_a_warning(
    read: Read, monkeypatch: pytest.MonkeyPatch, url: str, has_pika: bool, expected: list[str]
) -> None:
    monkeypatch.setattr(load, "find_spec", lambda name: has_pika or None)
    warnings = read({"queueUrl": url}).warnings
    assert [(each.key, each.value, each.explanation.key) for each in warnings] == [
        ("queueUrl", None, key) for key in expected
    ]


def test_a_template_beside_the_till_is_taken_and_a_missing_one_is_a_warning(read: Read, tmp_path: Path) -> None:
    for path in ("/nowhere/payme.xml", "/dev/null/payme.xml", "/", "/" + "x" * 3000):
        settings = read({"slipTemplate": path})
        assert settings.slip_template == Path(path)
        assert [warning.key for warning in settings.warnings] == ["slipTemplate"]
    assert read({}).slip_template is None
    for name in ("payme.xml", "other.xml"):
        (tmp_path / name).write_text("<slip/>")
    assert read({}).slip_template == tmp_path / "payme.xml"
    assert read({"slipTemplate": str(tmp_path / "other.xml")}).slip_template == tmp_path / "other.xml"


def test_certificates_must_be_a_pem_file(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n")
    assert read({**FAR, "caFile": str(path)}).ca_file == path


# ---------------------------------------------------------------------------------------------------------------------
# What identifies a sale at Payme
# ---------------------------------------------------------------------------------------------------------------------


@given(st.text())
def test_the_account_names_sale_and_attempt_whatever_the_till_is_called(till: str) -> None:
    default = next(setting.default for setting in SETTINGS if setting.name == "account")
    for template, account in (
        (default, {"order_id": f"{till}-12-345-2"}),
        ("kkm={till}, device_id = POS , d=n={number}", {"kkm": till, "device_id": "POS", "d": "n=345"}),
        ("", {}),
    ):
        assert account_of(template, till=till, shift=12, number=345, attempt=2) == account
