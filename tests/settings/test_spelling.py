"""Any valid settings, in any legal spelling, come back as they were meant; any invalid one is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payme_plugin.paymego import codes
from payme_plugin.secret import Secret
from payme_plugin.settings import Places, Settings, SettingsError, read_settings
from payme_plugin.settings.parsers import PATTERN

NOWHERE = Places(Path("/nowhere/payme.go.conf"), Path("/nowhere/payme.xml"))
FAST = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150)

PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x2FFF, exclude_categories=["Cc", "Cs", "Cn"])
LATIN_1 = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"])
WORD = st.text(PRINTABLE, max_size=12)
NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)

Valid = tuple[str, str, object]
"""The setting's field, a text for it, and the value that is meant."""


def whole(field: str, low: int, high: int) -> st.SearchStrategy[Valid]:
    numbers = st.integers(low, high)
    return st.builds(lambda number, zeros: (field, "0" * zeros + str(number), number), numbers, st.integers(0, 3))


def words(field: str, *meanings: tuple[str, object]) -> st.SearchStrategy[Valid]:
    return st.sampled_from([(field, text, value) for text, value in meanings])


def switch(field: str) -> st.SearchStrategy[Valid]:
    on = [(text, True) for text in ("1", "true", "Yes", "ON")]
    off = [(text, False) for text in ("0", "FALSE", "no", "off")]
    return words(field, *on, *off)


def code_list(field: str, allowed: st.SearchStrategy[int]) -> st.SearchStrategy[Valid]:
    separators = st.sampled_from([",", ", ", " , ", " ", "\t", ",\t"])

    def written(numbers: list[int], separator: str) -> Valid:
        return field, separator.join(map(str, numbers)), frozenset(numbers)

    return st.one_of(st.builds(written, st.lists(allowed, max_size=6), separators), words(field, (".", frozenset())))


def header(field: str, *forbidden: str) -> st.SearchStrategy[str]:
    texts = st.text(LATIN_1, min_size=1, max_size=40).filter(lambda text: text == text.strip())
    return texts.filter(lambda text: not any(letter in text for letter in forbidden) and text not in {"id", "key"})


def account() -> st.SearchStrategy[Valid]:
    part = st.text(PRINTABLE.filter(lambda letter: letter not in ",{}"), max_size=6)
    value = st.builds(lambda a, name, b: f"{a}{{{name}}}{b}", part, st.sampled_from(["till", "shift", "number"]), part)
    pairs = st.dictionaries(NAME, value, max_size=4)
    return pairs.map(lambda found: ("account", text := ",".join(f"{k}={v}" for k, v in found.items()), text))


CODE_PATTERNS = ["[0-9]{6,64}", r"\d+", r"PAYME:\d{20}", r"[^;#=]+", r"(?!88)[0-9]{11,20}", "a|b"]
VALID: dict[str, st.SearchStrategy[Valid]] = {
    "timeout": whole("timeout_s", 1, 300),
    "url": words(
        "url",
        ("http://localhost", "http://localhost/api"),
        ("https://checkout.paycom.uz/api", "https://checkout.paycom.uz/api"),
        ("https://[2001:db8::1]:8443/a;b=c%20", "https://[2001:db8::1]:8443/a;b=c%20"),
    ),
    "posId": header("posId", ":").map(lambda text: ("pos_id", text, text)),
    "posKey": header("posKey").map(lambda text: ("pos_key", text, Secret(text))),
    "payDuration": whole("pay_duration_ms", 1_000, 3_600_000),
    "frequency": whole("frequency_ms", 100, 3_600_000),
    "paymentProvider": whole("payment_provider", 1, 999_999),
    "ignoredErrors": code_list("ignored_errors", st.integers(-99_999, 99_999)),
    "paymentType": whole("payment_type", 0, 2**31 - 1),
    "language": words("language", ("ru", "ru"), ("uz", "uz"), ("en", "en"), ("", None)),
    "account": account(),
    "slipTemplate": WORD.map(lambda text: ("slip_template", f"/{text}", Path(f"/{text}"))),
    "slipCopies": whole("slip_copies", 0, 5),
    "slipEncoding": words("slip_encoding", ("cp866", "cp866"), ("CP1251", "cp1251"), ("", None)),
    "allowPlainHttp": switch("allow_plain_http"),
    "codePattern": words("code_pattern", *[(text, PATTERN.parse(text)) for text in CODE_PATTERNS]),
    "staleCodes": code_list("stale_codes", st.sampled_from([-31400, -31101, -31103, -31630, -31303])),
    "cancelAcceptedIsDone": switch("cancel_accepted_is_done"),
    "queueUrl": words("queue_url", ("", ""), ("amqp://u:p@h/%2f", "amqp://u:p@h/%2f")),
    "keepDays": whole("keep_days", 30, 3650),
}

INVALID: dict[str, list[str]] = {
    "timeout": ["ten", "0", "301", "1e1", "10.5", '""', "9" * 30],
    "url": ["localhost", "https://u:p@h/", "https://h/?q", "ftp://h"],
    "posId": ['""', "a:b", "касса"],
    "posKey": ['""', '" a"', "ключ"],
    "payDuration": ["ten", "0", "999", "3600001"],
    "frequency": ["ten", "0", "99", "1 ; a"],
    "paymentProvider": ["x", "-1"],
    "ignoredErrors": ["x", ",", "1;2"],
    "paymentType": ["x", "-1", '""'],
    "language": ["de"],
    "account": ["x", "a={b}"],
    "slipTemplate": ["x"],
    "slipCopies": ["9"],
    "slipEncoding": ["utf-8"],
    "posKeyFile": ["/nowhere/key"],
    "caFile": ["/nowhere/ca"],
    "allowPlainHttp": ["maybe"],
    "codePattern": ["(", "(a+)+", '""'],
    "staleCodes": ["-31602"],
    "cancelAcceptedIsDone": ["maybe"],
    "queueUrl": ["http://h"],
    "keepDays": ["1"],
}


@st.composite
def spelled(draw: st.DrawFn, name: str, text: str) -> str:
    """One line that gives a setting."""
    bare = text == text.strip() and not text.startswith('"') and not text.endswith('"')
    if not bare or draw(st.booleans()):
        text = f'"{text}"'
    blanks = [draw(st.sampled_from(["", " ", "\t", "  "])) for _ in range(4)]
    return f"{blanks[0]}{name}{blanks[1]}={blanks[2]}{text}{blanks[3]}"


@st.composite
def encoded(draw: st.DrawFn, lines: list[str]) -> bytes:
    """The bytes of a file of these lines, as some editor would leave them."""
    text = draw(st.sampled_from(["\n", "\r\n", "\r"])).join([*lines, ""])
    kind = draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1251"]))
    try:
        data = text.encode(kind)
        data.decode("utf-8" if kind == "cp1251" else kind)
    except UnicodeEncodeError:
        return text.encode()
    except UnicodeDecodeError:
        return data
    return text.encode() if kind == "cp1251" else data


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, dict[str, Valid]]:
    names = draw(st.permutations(sorted(VALID)))
    chosen = {"paymentType", "posId", "posKey", *names[: draw(st.integers(0, len(names)))]}
    meant = {name: draw(VALID[name]) for name in names if name in chosen}
    lines = [*draw(st.lists(comments, max_size=2)), "[Main]"]
    for name, (_, text, _) in meant.items():
        lines += [*draw(st.lists(comments, max_size=2)), draw(spelled(name, text))]
    return draw(encoded(lines)), meant


comments = st.one_of(st.just(""), st.builds(lambda mark, text: f"{mark}{text}", st.sampled_from([";", "# "]), WORD))


@FAST
@given(files())
def test_any_valid_settings_in_any_legal_spelling_come_back(
    tmp_path: Path, file: tuple[bytes, dict[str, Valid]]
) -> None:
    data, meant = file
    path = tmp_path / "payme.go.conf"
    path.write_bytes(data)
    path.chmod(0o600)
    result = read_settings({}, path, codes, places=NOWHERE)
    for name, (field, _, value) in meant.items():
        assert getattr(result, field) == value
        assert result.origins[name].path == path
    assert {warning.key for warning in result.warnings} <= {*meant, "timeout", "payDuration", "frequency"}


@FAST
@given(st.data())
def test_any_invalid_value_is_named_with_its_line(tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(INVALID)))
    text = data.draw(st.sampled_from(INVALID[name]))
    before = data.draw(st.lists(comments, max_size=5))
    lines = [*before, "[Main]", *data.draw(st.lists(comments, max_size=5)), f"{name} = {text}"]
    path = tmp_path / "payme.go.conf"
    path.write_bytes(data.draw(encoded(lines)))
    with pytest.raises(SettingsError) as raised:
        read_settings({}, path, codes, places=NOWHERE)
    assert [(fault.key, fault.line) for fault in raised.value.faults if fault.key == name] == [(name, len(lines))]


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
