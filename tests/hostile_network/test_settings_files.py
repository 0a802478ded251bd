"""6. Settings: a file as hands and editors leave it; no setting is left out, and several mistakes come at once.

What each line, each value and each source means is in ``tests/settings``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faults.settings_files import ENDS, KEYS, NOWHERE, in_bytes
from payme_plugin.paymego import codes
from payme_plugin.settings import SETTINGS, LoadedSettings, SettingsError, read_settings

if TYPE_CHECKING:
    from pathlib import Path

MANY = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KASSA = "65aa00112233445566778899"
PEM = b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"

COMMENTS = st.lists(st.sampled_from(["", "; Код кассы", "# posKey = x", "  ;timeout = 0", ";[Other]"]), max_size=3)


def numbers(low: int, high: int) -> tuple[st.SearchStrategy[str], st.SearchStrategy[str]]:
    """Return texts of whole numbers that are allowed, and of things that are not."""
    outside = st.integers(max_value=low - 1) | st.integers(min_value=high + 1)
    wrong = st.sampled_from(
        ["ten", "1e3", "1.0", "0x1", "1_0", "٣", "１", "10 s", "+1", "1 ; a", "--1", "%(x)s", "1" * 99]
    )
    return st.integers(low, high).map(str), outside.map(str) | wrong


def choices(right: list[str], wrong: list[str]) -> tuple[st.SearchStrategy[str], st.SearchStrategy[str]]:
    return st.sampled_from(right), st.sampled_from(wrong)


SWITCH = choices(["0", "1", "true", "NO", "on"], ["", "2", "ja", "true false"])
SPELLINGS: dict[str, tuple[st.SearchStrategy[str], st.SearchStrategy[str]]] = {
    "timeout": numbers(1, 300),
    "url": choices(
        ["http://localhost", "https://checkout.paycom.uz/api", "https://[::1]:8443/a;b=c%20"],
        ["", "localhost", "ftp://h", "https://u:p@h/", "https://h/?a=1", "https://h#x", "https://h:99999"],
    ),
    "posId": (st.just(KASSA), st.sampled_from(["", "a:b", '" a"', "касса", "x" * 600])),
    "posKey": (KEYS, st.sampled_from(["", '"a "', "ключ", "a\tb", "x" * 600])),
    "payDuration": numbers(1_000, 3_600_000),
    "frequency": numbers(100, 3_600_000),
    "paymentProvider": numbers(1, 999_999),
    "ignoredErrors": choices(
        ["", ".", "-31400", "-31400, -31101", "-31400 -31101"], ["x", ",", "1;2", "-31400,", "=."]
    ),
    "paymentType": numbers(0, 2**31 - 1),
    "language": choices(["", "ru", "uz", "en"], ["RU", "de", "ru_RU", "русский"]),
    "account": choices(["", "order_id={till}", "a=1,b={shift}-{number}"], ["x", "a=", "a={b}", "a={till", "a=1,a=2"]),
    "slipTemplate": choices(["", "/etc/hostname", "/a/кириллица %s"], ["payme.xml", "~/payme.xml"]),
    "slipCopies": numbers(0, 5),
    "slipEncoding": choices(["", "cp866", "CP1251"], ["utf-8", "utf-16", "rot13", "../x"]),
    "posKeyFile": (st.just(""), st.sampled_from(["key", "/nowhere/key", "/"])),
    "caFile": (st.just("{ca}"), st.sampled_from(["ca.pem", "/nowhere/ca", "/etc/hostname"])),
    "proxy": choices([""], ["proxy:3128", "https://proxy", "http://proxy:x", "http://u:p@proxy/path"]),
    "allowPlainHttp": SWITCH,
    "codePattern": choices(["[0-9]{6,64}", r"PAYME:\d{20}", "[^;#=]+"], ["", "(", "(a+)+", "[", "%("]),
    "codePrefix": choices(["", "QR:", "]"], ["x" * 65]),
    "codeSuffix": choices(["", "#"], ["x" * 65]),
    "staleCodes": choices(["", "-31400", "-31101 -31103"], ["x", "-31602", "-31400,"]),
    "cancelAcceptedIsDone": SWITCH,
    "queueUrl": choices(["", "amqp://u:p@h/%2f"], ["h", "http://h", "amqp://"]),
    "keepDays": numbers(30, 3650),
    "runWorker": SWITCH,
}
"""For every setting: what it may be, and what it may not."""


def test_no_setting_is_left_out() -> None:
    assert set(SPELLINGS) == {setting.name for setting in SETTINGS}


@st.composite
def lines_of(draw: st.DrawFn, values: dict[str, str]) -> tuple[list[str], dict[str, int]]:
    """Return the lines of a file that gives these values, in some spelling, and the line of each."""
    lines, places = [*draw(COMMENTS), draw(st.sampled_from(["[Main]", " [Main]\t"]))], {}
    for name in draw(st.permutations(sorted(values))):
        text = values[name]
        if text != text.strip() or text.startswith('"') or text.endswith('"'):
            text = f'"{text}"' if not (text.startswith('"') and text.endswith('"') and len(text) > 1) else text
        elif draw(st.booleans()):
            text = f'"{text}"'
        lines += [*draw(COMMENTS), draw(st.sampled_from(["{} = {}", "{}={}", "\t{}  =  {} "])).format(name, text)]
        places[name] = len(lines)
    return lines, places


ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig"])


@MANY
@given(st.data())
def test_of_right_and_wrong_values_together_only_the_wrong_ones_are_named_each_with_its_line(
    tmp_path: Path, data: st.DataObject
) -> None:
    (tmp_path / "ca.pem").write_bytes(PEM)
    wrong = data.draw(st.sets(st.sampled_from(sorted(SPELLINGS)), min_size=1, max_size=5))
    right = data.draw(st.sets(st.sampled_from(sorted(set(SPELLINGS) - wrong)), max_size=8)) | (
        {"paymentType", "posId", "posKey"} - wrong
    )
    values = {name: data.draw(SPELLINGS[name][name in wrong]) for name in sorted(wrong | right)}
    values = {name: text.replace("{ca}", str(tmp_path / "ca.pem")) for name, text in values.items()}
    if "url" not in wrong:
        values["url"] = "http://localhost"
    if "posKeyFile" in wrong:
        values.pop("posKey", None)
    lines, places = data.draw(lines_of(values))
    conf = tmp_path / "payme.go.conf"
    conf.write_bytes(in_bytes(lines, data.draw(ENDS), data.draw(ENCODINGS)))

    with pytest.raises(SettingsError) as raised:
        read_settings({}, conf, codes, places=NOWHERE)

    told = {fault.key or "": fault for fault in raised.value.faults}
    assert set(told) == {name for name in wrong if name in values}
    for name, fault in told.items():
        assert fault.line == places[name]
        assert f"{name} on line {places[name]} of {conf}" in str(fault)
        assert f"(payme.go.conf:{places[name]})" in fault.short
        assert "\n" not in fault.short


@MANY
@given(st.data())
def test_what_is_shown_of_the_settings_can_be_written_into_a_file_and_means_the_same(
    tmp_path: Path, data: st.DataObject
) -> None:
    (tmp_path / "ca.pem").write_bytes(PEM)
    values = {name: data.draw(right) for name, (right, _) in SPELLINGS.items() if data.draw(st.booleans())}
    values = {name: text.replace("{ca}", str(tmp_path / "ca.pem")) for name, text in values.items()}
    values |= {"url": "http://localhost", "queueUrl": "", "paymentType": "7"}
    values |= {"posKey": f'"{values["posKey"]}"'} if "posKey" in values else {}
    first = read_settings(values, None, codes, places=NOWHERE)
    seen = LoadedSettings(values, None, codes, places=NOWHERE).rows
    rows = {row.name: row.value for row in seen if row.name not in {"confFile", "posKey"}}
    conf = tmp_path / "payme.go.conf"
    lines = ["[Main]", *(f'{name} = "{text}"' for name, text in rows.items()), f'posKey = "{first.pos_key.reveal()}"']
    conf.write_bytes(in_bytes(lines, data.draw(ENDS), data.draw(ENCODINGS)))

    second = read_settings({}, conf, codes, places=NOWHERE)

    for setting in SETTINGS:
        assert getattr(second, setting.field) == getattr(first, setting.field), setting.name
