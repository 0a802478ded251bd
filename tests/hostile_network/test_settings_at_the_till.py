"""6. Settings at work: the key on the wire, a till over each kind of file, no mistake that shows the key."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fakes.served_till import ServedTill
from fakes.till import TENDER, VirtualHost
from faults.canaries import KEY
from faults.settings_files import ENDS, KEYS, NOWHERE, in_bytes
from hookspecs import PaymentStatus
from payme_plugin.clock import SystemClock
from payme_plugin.paymego import codes, receipts
from payme_plugin.paymego.client import PaymeGoClient
from payme_plugin.paymego.errors import ServerError
from payme_plugin.paymego.protocols import MerchantAccount
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import Sandbox
from payme_plugin.settings import LoadedSettings, SettingsError, read_settings
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MANY = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FEW = settings(MANY, max_examples=25)
ACCESS_DENIED = -32504
KASSA = "65aa00112233445566778899"
PAYMENTS = itertools.count(1)


# The key, from the file to the wire


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pos_id=KASSA, pos_key=KEY) as running:
        yield running


REAL_KEYS = [
    KEY,
    "%(posId)s%R",
    "${posId}$x",
    "a;b#c",
    "a ; b",
    "=",
    "\\n\\",
    "'a'",
    'a"b',
    '"',
    "[Main]",
    "; a",
    "é\xa0ÿ",
]


@pytest.mark.parametrize("key", REAL_KEYS)
def test_a_key_that_looks_like_anything_else_reaches_the_server_whole(
    sandbox: Sandbox, tmp_path: Path, key: str
) -> None:
    assert_key_arrives(sandbox, tmp_path, key, "\r\n")


@FEW
@given(key=KEYS, end=ENDS)
def test_any_key_reaches_the_server_whole(sandbox: Sandbox, tmp_path: Path, key: str, end: str) -> None:
    assert_key_arrives(sandbox, tmp_path, key, end)


def assert_key_arrives(sandbox: Sandbox, tmp_path: Path, key: str, end: str) -> None:
    sandbox.pos_id, sandbox.pos_key = KASSA, key
    conf = tmp_path / "payme.go.conf"
    lines = ["[Main]", "paymentType = 7", f"url = {sandbox.url}", f"posId = {KASSA}", f'posKey = "{key}"']
    conf.write_bytes(in_bytes(lines, end, "utf-8-sig"))
    read = read_settings({}, conf, codes, places=NOWHERE)
    clock = SystemClock()
    client = PaymeGoClient(MerchantAccount(read.pos_id, read.pos_key, read.url), clock=clock, request_ids=lambda: 1)
    try:
        with pytest.raises(ServerError) as refused:
            client.begin("receipts.check", receipts.by_id("0" * 24), clock.monotonic() + 10).answer()
    finally:
        client.close()
    assert refused.value.code != ACCESS_DENIED


# A till over such a file


def plain(sandbox: Sandbox, **more: str) -> list[str]:
    values = {"url": sandbox.url, "posId": KASSA, "posKey": f'"{KEY}"', "paymentType": str(TENDER), **more}
    return ["[Main]", "; Настройки процессинга PaymeGo", *(f"{name} = {text}" for name, text in values.items())]


def text_of(lines: list[str]) -> str:
    return "\n".join([*lines, ""])


SELLS: dict[str, Callable[[Sandbox], bytes]] = {
    "a byte order mark": lambda sandbox: text_of(plain(sandbox)).encode("utf-8-sig"),
    "CRLF": lambda sandbox: text_of(plain(sandbox)).replace("\n", "\r\n").encode(),
    "CR": lambda sandbox: text_of(plain(sandbox)).replace("\n", "\r").encode(),
    "Windows-1251": lambda sandbox: text_of(plain(sandbox)).encode("cp1251"),
    "indented lines": lambda sandbox: text_of(plain(sandbox)).replace("\n", "\n    ").encode(),
    "no line end at the end": lambda sandbox: text_of(plain(sandbox)).rstrip("\n").encode(),
    "another section": lambda sandbox: text_of([*plain(sandbox), ";[Other]", "#x", "[Other]", "timeout = x"]).encode(),
    "a misspelt name": lambda sandbox: text_of(plain(sandbox, timeuot="5")).encode(),
}

REFUSES: dict[str, tuple[Callable[[Sandbox], bytes], str]] = {
    "a name twice": (lambda sandbox: text_of([*plain(sandbox), "timeout = 5", "timeout = 6"]).encode(), "timeout :8"),
    "no section": (lambda sandbox: text_of(plain(sandbox)[1:]).encode(), "url :2"),
    "a wrong value": (lambda sandbox: text_of(plain(sandbox, timeout="soon")).encode(), "timeout soon :7"),
    "a comment behind a value": (lambda sandbox: text_of(plain(sandbox, timeout="5 ; s")).encode(), "timeout :7"),
    "an interpolation": (lambda sandbox: text_of(plain(sandbox, timeout="%(frequency)s")).encode(), "timeout :7"),
    "a zero byte": (lambda sandbox: text_of(plain(sandbox, account="a=\x00")).encode(), "account :7"),
    "UTF-16": (lambda sandbox: text_of(plain(sandbox)).encode("utf-16"), "payme.go.conf"),
    "an endless file": (lambda sandbox: b"[Main]\n" + b";" * 100_000, "payme.go.conf"),
}


@pytest.fixture
def till_over(sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[[bytes], ServedTill]]:
    sandbox.pos_id, sandbox.pos_key = KASSA, KEY
    tills: list[ServedTill] = []

    def start(data: bytes) -> ServedTill:
        conf = tmp_path / "payme.go.conf"
        conf.write_bytes(data)
        conf.chmod(0o600)
        # The tender's number stands in the till itself too, so that a payment of ours is ours whatever the file says.
        given = {"confFile": str(conf), "paymentType": str(TENDER)}
        till = ServedTill(VirtualHost(tmp_path / "till", given), sandbox)
        till.plugins.register(PaymePlugin(), "payme")
        till.plugins.on_start(till.host)
        tills.append(till)
        return till

    yield start
    for till in tills:
        till.plugins.on_stop()


@pytest.mark.parametrize("data", SELLS.values(), ids=[name.replace(" ", "-") for name in SELLS])
def test_a_till_sells_over_any_file_that_an_editor_may_leave(
    sandbox: Sandbox, till_over: Callable[[bytes], ServedTill], data: Callable[[Sandbox], bytes]
) -> None:
    till = till_over(data(sandbox))

    assert till.pay(till.code()).status is PaymentStatus.PAID
    assert till.host.notices == {}


@pytest.mark.parametrize(("data", "named"), REFUSES.values(), ids=[name.replace(" ", "-") for name in REFUSES])
def test_a_till_over_a_broken_file_names_the_key_and_the_line_to_the_cashier_and_asks_nobody(
    sandbox: Sandbox, till_over: Callable[[bytes], ServedTill], data: Callable[[Sandbox], bytes], named: str
) -> None:
    asked = len(sandbox.requests)
    till = till_over(data(sandbox))
    notice = till.host.notices["payme.settings"]

    result = till.pay(till.code())

    assert result.status is PaymentStatus.REFUSED
    assert all(word in result.message and word in notice for word in named.split())
    assert len(result.message.splitlines()) == len(Texts("ru")(Text.PAYMENT_SETTINGS_BROKEN, fault="x").splitlines())
    assert KEY not in result.message + notice
    assert till.requests_since(asked) == []


@pytest.mark.parametrize("what", ["folder", "pipe", "loop", "gone"])
def test_a_file_that_is_none_is_a_fault_and_never_waited_for(
    sandbox: Sandbox, till_over: Callable[[bytes], ServedTill], tmp_path: Path, what: str
) -> None:
    till = till_over(text_of(plain(sandbox)).encode())
    till.plugins.on_stop()
    conf = tmp_path / "payme.go.conf"
    conf.unlink()
    if what == "folder":
        conf.mkdir()
    elif what == "pipe":
        os.mkfifo(conf)
    elif what == "loop":
        conf.symlink_to(conf)
    till.plugins.on_start(till.host)

    result = till.pay(till.code())

    assert result.status is PaymentStatus.REFUSED
    assert "payme.go.conf" in result.message


BEHIND_THE_KEY = -len(f'"\npaymentType = {TENDER}\n')


@FEW
@given(damage=st.binary(max_size=80), at=st.integers(0, 400))
@example(damage=b"x", at=0)  # a line that is none
@example(damage=b"\x00", at=1)  # another section: the keys stand in none that is known
@example(damage=b"\x00", at=BEHIND_THE_KEY)  # a value that is none
@example(damage=b";", at=400)  # a comment
@example(damage=b"x", at=BEHIND_THE_KEY)  # another key
def test_a_file_damaged_while_the_till_runs_stops_no_sale_unless_it_reads_as_another_kassa(
    sandbox: Sandbox, running_till: tuple[ServedTill, Path], damage: bytes, at: int
) -> None:
    till, conf = running_till
    whole = text_of(plain(sandbox)).encode()
    conf.write_bytes(whole)
    assert till.plugins.payment_types()[0].number == TENDER
    kassa = merchant_in(till, conf)
    assert kassa is not None

    conf.write_bytes(whole[:at] + damage + whole[at:])
    result = till.pay(till.code(), payment_id=f"p{next(PAYMENTS)}")

    read = merchant_in(till, conf)
    if read is None or read == kassa:
        assert result.status is PaymentStatus.PAID
    elif read.url == kassa.url:  # another address may be the same one, written otherwise
        assert (result.status, result.error_code) == (PaymentStatus.REFUSED, ACCESS_DENIED)
    # No value of the file is left, as in one that is being written.
    is_emptied = read is not None and (read.url, read.pos_id) == ("http://localhost/api", "id")
    assert ("payme.settings" in till.host.notices) is (read is None or is_emptied)
    assert [one.number for one in till.plugins.payment_types()] == [TENDER]
    assert till.plugins.faults == ()


def merchant_in(till: ServedTill, conf: Path) -> MerchantAccount | None:
    """Return the kassa that a new till with this file would work for; None where the file can't be used."""
    try:
        return MerchantAccount.of(read_settings(till.host.given, conf, codes, places=NOWHERE))
    except SettingsError:
        return None


@pytest.fixture
def running_till(sandbox: Sandbox, till_over: Callable[[bytes], ServedTill], tmp_path: Path) -> tuple[ServedTill, Path]:
    return till_over(text_of(plain(sandbox)).encode()), tmp_path / "payme.go.conf"


# No mistake shows the key


BROKEN_KEYS = [
    "{0}", "[{0}]", "[{0}", "posKey {0}", "posKey: {0}", 'posKey = "{0}', 'posKey = {0}"', "poskey = {0}", "PosKey={0}",
    "{0} = x", "{0}=", "= {0}", "posKey = {0}\x01", "posKey = \u2019{0}", "{1}\n{2}", "posKey = {1}\n{2} = x",
    "posKeyFile = /nowhere/key\nposKey = {0}", "queueUrl = amqp//u:{0}@h", "url = http://u:{0}@h", "queueUrl = u:{0}@h",
    "proxy = http://u:{0}@h:x", "proxy = http://u:{0}", "proxy = u:{0}@h", "proxy = http://u:{0}@h/path",
]  # fmt: skip


@MANY
@given(
    broken=st.lists(st.sampled_from(BROKEN_KEYS), min_size=1, max_size=4),
    section=st.sampled_from(["[Main]", "[Other]", ""]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_no_mistake_shows_the_key_or_a_half_of_it(
    tmp_path: Path, broken: list[str], section: str, encoding: str
) -> None:
    key = "Qx7&vN2pLs" + "Wk9@tR4mZd"
    conf = tmp_path / "payme.go.conf"
    lines = [section, *(line.format(key, key[:10], key[10:]) for line in broken), "frequency = never"]
    conf.write_bytes(in_bytes(lines, "\n", encoding))

    loaded = LoadedSettings({}, conf, codes, places=NOWHERE)

    error, problems = SettingsError(loaded.faults, loaded.warnings), (*loaded.faults, *loaded.warnings)
    told = f"{error} {error!r}" + "".join(f"{each} {each!r} {each.short}" for each in problems)
    assert [half for half in (key[:10], key[10:]) if half in told] == []
