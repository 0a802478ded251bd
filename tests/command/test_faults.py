"""Bad input: one clear sentence (what, where, what is allowed), the documented exit code, no traceback, no pay."""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME, Journal
from tests.command.conftest import Ended, payme

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.command.conftest import Shop

NOBODY = 65534


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def one_sentence(ended: Ended, *parts: str) -> None:
    (sentence,) = ended.sentences
    assert "Traceback" not in sentence
    assert ended.out == ""
    for part in parts:
        assert part in sentence


@pytest.mark.parametrize("amount", ["0", "-1", "10.005", "NaN", "1e9", "", "Infinity", "92233720368547758.08"])
def test_an_amount_that_can_not_be_charged(shop: Shop, amount: str) -> None:
    ended = shop.pay("00770000000000000001", amount=amount)

    assert ended.code == 2
    one_sentence(ended, "--amount", "at most" if amount.startswith("9") else "e.g. 15000.00")
    assert shop.sandbox.requests == ()
    assert not shop.folder.exists()


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("", id="empty"),
        pytest.param("1234", id="4 digits"),
        pytest.param("кодкодкод", id="Cyrillic"),
        pytest.param("1" * 10_000, id="10,000 characters"),
        pytest.param("\udcff\udcfe12345", id="bytes that are no text"),
        pytest.param("-1", id="looks like an option"),
        pytest.param("12345\x0067", id="with a NUL"),
    ],
)
def test_a_code_that_is_none(shop: Shop, code: str) -> None:
    ended = shop.pay(code)

    assert ended.code == 1
    assert ended.document["status"] == "REFUSED"
    assert "код" in ended.document["message"].lower()
    assert shop.sent("receipts.pay") == 0
    assert ended.err == ""


def test_no_settings_file_where_one_is_named(shop: Shop) -> None:
    shop.conf.unlink()
    ended = shop.pay("123456")

    assert ended.code == 2
    one_sentence(ended, str(shop.conf))
    assert not shop.folder.exists()


@pytest.mark.skipif(Path("/linuxcash").exists(), reason="this machine is a till")
def test_no_settings_file_where_the_till_has_its_own(tmp_path: Path) -> None:
    ended = payme("pay", "--amount", "1", "--qr", "123456", "--data-dir", str(tmp_path))

    assert ended.code == 2
    one_sentence(ended, "/linuxcash/cash/conf/payme.go.conf", "--conf")


def test_two_values_that_are_no_numbers(shop: Shop) -> None:
    shop.configure(payDuration="ten", slipCopies="red")
    ended = shop.pay("123456")

    assert ended.code == 2
    duration, copies = ended.sentences
    assert duration.startswith(f'payDuration on line 3 of {shop.conf} is "ten": use a whole number')
    assert copies.startswith(f'slipCopies on line 9 of {shop.conf} is "red": use a whole number')
    assert shop.sandbox.requests == ()


def test_a_wrong_key(shop: Shop) -> None:
    shop.configure(posKey="wrong")
    ended = shop.pay(shop.sandbox.issue_code())

    assert ended.code == 1
    assert (ended.document["status"], ended.document["error_code"]) == ("REFUSED", -32504)
    assert "-32504" in ended.document["message"]
    assert shop.sent("receipts.pay") == 0


def test_a_refused_connection(shop: Shop) -> None:
    code = shop.sandbox.issue_code()
    shop.sandbox.stop()
    ended = shop.pay(code)

    assert ended.code == 1
    assert (ended.document["status"], ended.document["receipt_id"]) == ("REFUSED", None)
    assert ended.document["message"]
    assert ended.document["cancellation_queued"] is False


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = payme("sandbox", "--port", str(port), "--data-dir", str(tmp_path))

    assert ended.code == 2
    one_sentence(ended, f"Port {port} on 127.0.0.1 can't be used", "Choose another")


@pytest.mark.parametrize("port", ["-1", "65536", "http", ""])
def test_a_port_that_is_none(port: str) -> None:
    ended = payme("sandbox", "--port", port)

    assert ended.code == 2
    one_sentence(ended, "port")


@pytest.mark.parametrize("below", ["", "deeper"])
@pytest.mark.parametrize("command", [["status"], ["queue", "list"], ["pay", "--amount", "1", "--qr", "123456"]])
def test_a_data_folder_that_is_a_file_is_said_by_every_command(shop: Shop, command: list[str], below: str) -> None:
    shop.folder.write_text("a file", encoding="utf-8")
    folder = str(shop.folder / below)
    ended = payme("--conf", str(shop.conf), "--data-dir", folder, *command)

    assert ended.code == 2
    one_sentence(ended, folder, "--data-dir" if command[0] != "pay" or not below else "")
    assert shop.sandbox.requests == ()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Rights count for nothing while one is root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("below", ["", "deeper"], ids=["it is there", "it would have to be made"])
def test_a_data_folder_that_can_not_be_written(shop: Shop, below: str) -> None:
    with TemporaryDirectory() as readable:
        parent = Path(readable)
        conf = parent / "payme.go.conf"
        conf.write_bytes(shop.conf.read_bytes())
        parent.chmod(0o555)
        folder = parent / below
        with as_nobody():
            ended = payme("--conf", str(conf), "--data-dir", str(folder), "pay", "--amount", "1", "--qr", "123456")
            status = payme("status", "--json", "--data-dir", str(folder))
        parent.chmod(0o755)

    assert ended.code == 2
    one_sentence(ended, str(folder), "Permission denied")
    assert (status.code, status.out) == (2, "") if below else (0, "[]\n")
    assert shop.sandbox.requests == ()


def test_the_journal_of_another_till_is_read_and_never_written(shop: Shop) -> None:
    Journal(shop.folder / FILE_NAME, host_identity="till-7 of another shop", clock=SystemClock()).close()
    before = tree(shop.folder)

    ended = shop.pay(shop.sandbox.issue_code())
    assert ended.code == 2
    one_sentence(ended, str(shop.folder), "till-7 of another shop", "--data-dir")
    assert shop.run("status", "--json").document == []
    assert shop.run("queue", "list", "--json").document == []
    assert tree(shop.folder) == before
    assert shop.sandbox.requests == ()


def test_another_programs_database_is_no_journal(shop: Shop) -> None:
    shop.folder.mkdir()
    with sqlite3.connect(shop.folder / FILE_NAME) as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    ended = shop.run("status")

    assert (ended.code, "Traceback" in ended.err) == (2, False)
    one_sentence(ended, str(shop.folder / FILE_NAME))
