"""The package asks before the plugin is there: what its script reads and refuses, the plugin reads and refuses too."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from string import ascii_letters

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from payme_plugin.conf_file import MAX_FILE_BYTES, MAX_LINES, parse
from payme_plugin.paymego import codes
from payme_plugin.settings import SettingsError, read_settings

pytestmark = pytest.mark.skipif(shutil.which("perl") is None, reason="there is no Perl")

SCRIPT = (Path(__file__).parents[2] / "debian/artix-payme.config").read_text(encoding="utf-8")
READER, JUDGE = re.findall(r"<<'PERL'\n(.*?)^PERL$", SCRIPT, re.MULTILINE | re.DOTALL)
NAMES = ("paymentType", "url", "posId")


def perl(script: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own script
        ["perl", "-", *arguments],  # noqa: S607
        input=script.encode(),
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert done.stderr == b""
    return done.stdout.decode()


# ---------------------------------------------------------------------------------------------------------------------
# What the file says is offered
# ---------------------------------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)
BLANKS = st.sampled_from(["", " ", "\t", "\x0b", "\x1c", "\x1f", "\x85", "\xa0", "\u2003", "\u200b", "\ufeff", "\x00"])
VALUES = st.one_of(WORDS, WORDS.map(lambda word: f'"{word}"'), WORDS.map(lambda word: f'"{word}'))
GIVEN = st.builds(
    lambda *parts: "".join(parts),
    BLANKS,
    st.sampled_from([*NAMES, "timeout", "posid"]),
    st.sampled_from(["=", " = ", "\t=  ", "\xa0=\x1d", "=="]),
    VALUES,
    BLANKS,
)
HEADERS = st.sampled_from(["[Main]", " [ Main ] ", "[\xa0Main]\x1e", "[Others]", "[Main", "[]", "[posId=1]"])
LINES = st.one_of(st.just(""), WORDS, GIVEN, GIVEN.map(lambda line: f";{line}"), HEADERS, st.just("; Код кассы"))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = end.join(draw(st.lists(LINES, max_size=8)))
    data = text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1251", "utf-16"])), errors="replace")
    return draw(st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe"])) + data


def offered(path: Path, name: str) -> str:
    return perl(READER, str(path), name)


@settings(max_examples=80)
@given(data=files(), name=st.sampled_from(NAMES))
@example(b"posId = a\xc2\xa0", "posId").via("a hard space is a blank in UTF-8")
@example("; Код\nposId = a\xa0".encode("cp1251"), "posId").via("and in Windows-1251")
@example("; Код\nposId = a…".encode("cp1251"), "posId").via("where the byte of a line end of UTF-8 is a letter")
@example("\ufeffposId = a\n; Код".encode() + b"\xea", "posId").via("a mark of UTF-8 before what is not UTF-8")
@example(b"; \xed\xa0\x80 \xc2\x85\nposId = a\xc2\x85", "posId").via("half a pair is not UTF-8")
@example(b'posId = "a\nposId = b\nposId = c', "posId").via("the first that can be read")
@example(b'posId = "\nposId = ""', "posId").via("a lonely quotation mark is no value")
@example(b'posId = ""a"', "posId").via("nothing between the outer quotation marks is special")
@example(b"[Main]\n[Others]\nposId = a\n[Main]\nposId = b", "posId").via("a section may come again")
@example(b"posId = a ; mine", "posId").via("a comment behind a value is a part of it")
@example(b"x\n" * MAX_LINES + b"posId = a", "posId").via("a line too many")
@example(b"x\n" * (MAX_LINES - 1) + b"posId = a", "posId").via("no line too many")
def test_the_questions_offer_what_the_plugin_reads(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("conf") / "payme.go.conf"
    path.write_bytes(data)
    value = parse(data).values.get(name)
    # Beyond ASCII nothing is offered: an empty answer keeps what is there.
    fit = value is not None and re.fullmatch(r"[\x20-\x7e]*", value.text)

    assert offered(path, name) == (value.text if value is not None and fit else "")


@pytest.mark.parametrize("surplus", [0, 1])
def test_of_a_file_that_is_too_large_for_the_plugin_nothing_is_offered(tmp_path: Path, surplus: int) -> None:
    path = tmp_path / "payme.go.conf"
    path.write_bytes(b"posId = a\n;".ljust(MAX_FILE_BYTES + surplus, b"x"))

    assert offered(path, "posId") == ("" if surplus else "a")


def test_where_there_is_no_file_nothing_is_offered(tmp_path: Path) -> None:
    assert offered(tmp_path, "posId") == ""
    assert offered(tmp_path / "none", "posId") == ""


# ---------------------------------------------------------------------------------------------------------------------
# What the plugin refuses is asked again
# ---------------------------------------------------------------------------------------------------------------------

HERE, BEYOND = "http://localhost", "https://checkout.paycom.uz/api"


def package_takes(name: str, value: str, url: str = BEYOND, plain: str = "") -> bool:
    return perl(JUDGE, name, url, plain, given=value) == "usable"


def plugin_takes(name: str, value: str, url: str = BEYOND, plain: str = "") -> bool:
    """Ask the plugin's own settings, of a till whose other settings are good."""
    till = {"posId": "5e73", "posKey": "secret", "url": url, name: f'"{value}"', "allowPlainHttp": plain or "0"}
    try:
        read_settings(till, None, codes)
    except SettingsError as error:
        return name not in {fault.key for fault in error.faults}
    return True


TABLE = [
    *((True, "paymentType", value) for value in ("0", "7", "007", "-0", "2147483647")),
    *(
        (False, "paymentType", value)
        for value in ("2147483648", "99999999999999999999", "-1", "7.0", "1e3", "seven", "7 8", "+7", "٧")
    ),
    *(
        (True, "url", value)
        for value in (
            BEYOND,
            "HTTPS://Checkout.Paycom.uz",
            "https://a.uz:8443/api",
            "https://a.uz./api",
            "https://a_b.uz/@x:y",
            "https://[2001:db8::1]:443/api",
            "http://localhost",
            "http://LOCALHOST.:8080/api",
            "http://127.9.9.9",
            "http://[::1]:8765/api",
        )
    ),
    *(
        (False, "url", value)
        for value in (
            "checkout.paycom.uz",
            "//checkout.paycom.uz",
            "ftp://a.uz",
            "https:a.uz",
            "https:/a.uz",
            "https://",
            "https:///api",
            "https://a.uz/api?x=1",
            "https://a.uz/api#x",
            "https://a.uz\\api",
            "https://a .uz",
            "https://a.uz/a b",
            "https://a.uz/апи",
            "https://касса.uz",
            "https://user:word@a.uz",
            "https://@a.uz",
            "https://a.uz:",
            "https://a.uz:0",
            "https://a.uz:65536",
            "https://a.uz:https",
            "https://a:b:1",
            "https://-a.uz",
            "https://a..uz",
            "https://.uz",
            f"https://{'a' * 64}.uz",
            f"https://a.uz/{'a' * 1990}",
            "https://[::1",
            "https://[1.2.3.4]",
            "https://[v1.a]",
            "https://::1/api",
            "http://checkout.paycom.uz",
            "http://127.0.0.1.example.uz",
            "http://127.1",
            "http://localhost.uz",
            "http://[::2]",
        )
    ),
    *(
        (True, name, value)
        for name in ("posId", "posKey")
        for value in ("5e73", 'a"b', "a b", "é", "a\xa0b", "x" * 512)
    ),
    *(
        (False, name, value)
        for name in ("posId", "posKey")
        for value in ("касса", "a\tb", "x" * 513, "a\x7f", "a\x85b")
    ),
    *((False, name, value) for name in ("posId", "posKey") for value in ("\xa0a", "a\xa0", "€", "a\nb")),
    (False, "posId", "a:b"),
    (True, "posKey", "a:b"),
    (False, "posId", "id"),
    (True, "posId", "key"),
    (False, "posKey", "key"),
    (True, "posKey", "id"),
]


@pytest.mark.parametrize(("usable", "name", "value"), TABLE, ids=lambda part: ascii(part)[:40])
def test_an_answer_is_usable_where_the_plugin_takes_it(usable: bool, name: str, value: str) -> None:
    assert package_takes(name, value) is usable
    assert plugin_takes(name, value) is usable


@pytest.mark.parametrize("name", [*NAMES, "posKey"])
def test_no_answer_is_one(name: str) -> None:
    assert package_takes(name, "")


@pytest.mark.parametrize(
    ("usable", "plain"),
    [(True, "1"), (True, "Yes"), (True, "on"), (True, "true"), (False, "0"), (False, "off"), (False, "")],
)
def test_plain_http_beyond_this_machine_is_usable_where_the_file_allows_it(usable: bool, plain: str) -> None:
    assert package_takes("url", "http://10.0.0.7/api", plain=plain) is usable
    assert plugin_takes("url", "http://10.0.0.7/api", plain=plain) is usable


@pytest.mark.parametrize(("name", "value"), [("posId", "id"), ("posKey", "key")])
@pytest.mark.parametrize("url", [HERE, "http://127.0.0.1:8765/api", "https://[::1]", "https://[::2]", BEYOND])
def test_the_words_of_the_sample_are_for_a_server_of_this_machine(name: str, value: str, url: str) -> None:
    assert package_takes(name, value, url) == plugin_takes(name, value, url) == (url not in {"https://[::2]", BEYOND})


PIECES = st.one_of(
    st.sampled_from(["http", "HTTPS", "://", "::1", "127.0.0.1", "localhost", "a.uz", "65536", "id", "key"]),
    st.text('htps:/@?#[].-_%01 \\"\xa0é', max_size=2),
)
ODD = st.lists(PIECES, max_size=8).map("".join)
ODD_URLS = st.builds("{}{}".format, st.sampled_from(["https://", "http://", "https://[", ""]), ODD)


@settings(max_examples=150)
@given(name=st.sampled_from([*NAMES, "posKey"]), value=ODD | ODD_URLS | st.text(ascii_letters + " :", max_size=4))
def test_whatever_the_package_takes_the_plugin_takes(name: str, value: str) -> None:
    # The blanks at the ends of an answer are gone by then.
    value = value.strip(" ")
    assert not value or not package_takes(name, value) or plugin_takes(name, value)
