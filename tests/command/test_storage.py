"""After invalid input or with an unusable disk or folder: one sentence, the documented exit code, no charge."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from faults.child_process import without_coverage
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.schema import SCHEMA_VERSION
from payme_plugin.till import receipts
from tests.command.conftest import OTHER_TILL, command_line, environment, payme, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.command.conftest import CommandTill, Ended

NOBODY = 65534
# A process whose files may hold so many bytes and no more: a full disk without a disk.
LIMITED = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2);"
CHARGING = ["pay", "--amount", "1", "--qr", "00770000000000000001"]


def nothing_was_charged(shop: CommandTill) -> bool:
    return shop.sent("receipts.pay") == 0 and shop.sandbox.held() == 0


def pay(shop: CommandTill, *more: str) -> Ended:
    return shop.pay(shop.sandbox.issue_code(), *more)


@pytest.fixture
def used(shop: CommandTill) -> CommandTill:
    """A shop whose till has sold before, and whose sandbox has seen nothing yet."""
    assert shop.pay(shop.sandbox.issue_code(), "--payment-id", "before").code == 0
    assert shop.run("refund", "before").code == 0
    shop.sandbox._requests.clear()
    return shop


@pytest.mark.parametrize("room", [0, 20_000], ids=lambda room: f"{room} bytes")
def test_on_a_full_disk_nothing_is_charged(shop: CommandTill, room: int) -> None:
    arguments = [str(room), *shop.options, "pay", "--amount", "1", "--qr", shop.sandbox.issue_code()]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", LIMITED + command_line()[2], *arguments],
        capture_output=True,
        encoding="utf-8",
        env=without_coverage(environment(PYTHONDONTWRITEBYTECODE="1")),
        check=False,
        timeout=60,
    )

    assert "Traceback" not in done.stderr
    assert nothing_was_charged(shop)
    said = str(shop.folder) if done.returncode == 2 else "журнал не записывается, деньги не списаны"
    assert (done.returncode in {1, 2}, said in done.stdout + done.stderr) == (True, True)
    assert pay(shop).code == 0, "with room again it works"


@pytest.mark.parametrize(
    ("command", "unwritable"),
    [
        ("pay", '"verdict": "PAID"'),
        ("pay", '"closed_at": 1'),
        ("pay", '"told": true'),
        ("cancel", '"annulled": true'),
        ("refund", '"closed_at": 1'),
    ],
)
def test_a_sale_that_can_not_be_written_after_the_hook_ends_with_3_and_the_next_command_finishes_it(
    shop: CommandTill, monkeypatch: pytest.MonkeyPatch, command: str, unwritable: str
) -> None:
    arguments = {"pay": ["--amount", "15000.00", "--qr", shop.sandbox.issue_code()]}.get(command, ["p1"])
    if command != "pay":
        pay(shop, "--payment-id", "p1")
    replace = receipts._replace

    def on_full_disk(path: Path, data: bytes) -> None:
        if unwritable in data.decode():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(path, data)

    monkeypatch.setattr(receipts, "_replace", on_full_disk)
    ended = shop.run("--json", command, *arguments)
    monkeypatch.undo()

    document = ended.document
    assert (ended.code, document["status"]) == (3, "UNKNOWN")
    (sentence,) = ended.sentences
    path = shop.folder / "receipts" / ("000002.json" if command == "refund" else "000001.json")
    assert sentence == document["message"]
    assert sentence == (
        f"Payment {document['payment_id']}: its sale can't be written: {path}: No space left on device. Make room "
        "there or let this user write. Its outcome is unknown, and the next command asks again."
    )
    assert pay(shop).code == 0
    assert (shop.sent("receipts.pay"), shop.sent("receipts.cancel")) == (2, int(command != "pay"))
    expected = {"pay": "PAID"}.get(command, "REVERSED")
    assert shop.run("--json", "status", document["payment_id"]).document["status"] == expected


@pytest.mark.parametrize("command", ["pay", "cancel", "refund"])
def test_a_sale_that_can_not_be_written_before_the_hook_ends_with_2(
    shop: CommandTill, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    if command != "pay":
        pay(shop, "--payment-id", "p1")
    monkeypatch.setattr(receipts, "_replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EROFS, "read-only")))
    asked = len(shop.sandbox.requests)
    ended = shop.run(*(CHARGING if command == "pay" else (command, "p1")))

    assert (ended.code, len(ended.sentences), len(shop.sandbox.requests)) == (2, 1, asked)


def test_a_journal_that_is_not_a_database_is_named_with_a_remedy_and_not_changed(used: CommandTill) -> None:
    journal, content = used.folder / FILE_NAME, b"no database at all" * 500
    journal.write_bytes(content)
    for command in (CHARGING, ["refund", "before"], ["status"], ["status", "before"], ["queue", "list"]):
        ended = used.run(*command)
        assert (ended.code, ended.out) == (2, "")
        (sentence,) = ended.sentences
        assert str(journal) in sentence
        assert "payme journal repair" in sentence
    assert (used.sandbox.requests, journal.read_bytes()) == ((), content)


def test_a_journal_with_a_damaged_page_charges_nothing(used: CommandTill) -> None:
    journal = used.folder / FILE_NAME
    whole = journal.read_bytes()
    with closing(sqlite3.connect(journal)) as connection:
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master"))
    for name in ("payment", "event", "code", "payment_of_sale", "sqlite_autoindex_payment_1"):
        root = roots[name]
        journal.write_bytes(whole[: (root - 1) * 4096] + b"\xff" * 4096 + whole[root * 4096 :])
        ended = pay(used)

        assert ended.code in {1, 2}, name
        assert "Traceback" not in ended.err
        assert nothing_was_charged(used), name


def test_a_newer_journal_is_named_and_left_as_it_is(used: CommandTill) -> None:
    used.change_journal(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = used.files()
    for command in (CHARGING, ["status"], ["journal", "repair"]):
        ended = used.run(*command)
        assert (ended.code, ended.out) == (2, "")
        assert f"version {SCHEMA_VERSION + 1}" in ended.sentences[0]
    assert before.items() <= used.files().items()
    assert used.sandbox.requests == ()


def test_two_tills_on_one_folder_work_one_after_the_other(used: CommandTill) -> None:
    used.configure(payDuration=60_000)
    with running(*used.options, "pay", "--amount", "1", stdin=subprocess.PIPE) as first:
        assert first.stderr is not None
        first.stderr.read(1)
        for command in (["refund", "before"], ["cancel", "before"], ["journal", "repair"]):
            second = used.run(*command)
            assert second.code == 1
            assert str(used.folder) in second.sentences[0]
        first.communicate(timeout=60)
    assert nothing_was_charged(used)


def test_the_journal_of_another_till_is_only_read(used: CommandTill) -> None:
    used.give_journal_to()
    before = used.files()
    for command in (CHARGING, ["cancel", "before"], ["refund", "before"]):
        ended = used.run(*command)
        assert (ended.code, ended.out) == (2, "")
        (sentence,) = ended.sentences
        assert OTHER_TILL in sentence
        assert str(used.folder) in sentence
    for look in (["status"], ["status", "before"], ["queue", "list"], ["queue", "show", "1"]):
        assert used.run(*look).code == 0
    assert (used.files(), used.sandbox.requests) == (before, ())


# ---------------------------------------------------------------------------------------------------------------------
# Rows that a bad disk made senseless
# ---------------------------------------------------------------------------------------------------------------------

CORRUPTIONS = {
    "payment": "UPDATE payment SET state = 'paie' WHERE payment_id = 'p1'",
    "cancellation": "UPDATE cancellation SET cause = 'whim' WHERE payment_id = 'p1'",
    "event": "UPDATE event SET text = CAST(x'd0' AS TEXT) WHERE payment_id = 'p1'",
}


@pytest.mark.parametrize(
    ("table", "look"),
    [
        ("payment", ["status"]),
        ("payment", ["status", "p1"]),
        ("cancellation", ["queue", "list"]),
        ("cancellation", ["queue", "show", "1"]),
        ("event", ["queue", "show", "1"]),
    ],
)
def test_reading_an_invalid_row_names_the_remedy_and_creates_nothing_in_another_hosts_folder(
    shop: CommandTill, table: str, look: list[str]
) -> None:
    shop.owe()
    shop.change_journal(CORRUPTIONS[table])
    shop.give_journal_to()
    (shop.folder / "terminal.log").unlink()
    before = shop.files()
    ended = shop.run(*look)

    assert (ended.code, ended.out, shop.files()) == (2, "", before)
    (sentence,) = ended.sentences
    assert sentence.startswith(f"The journal {shop.folder / FILE_NAME} can't be used: the {table}")
    assert sentence.endswith("`payme journal repair` saves what can be read of it.")


def test_delivery_with_an_invalid_row_ends_the_others_and_then_names_the_remedy(shop: CommandTill) -> None:
    for payment_id in ("p1", "p2"):
        shop.owe(payment_id)
    shop.change_journal(CORRUPTIONS["cancellation"])
    ended = shop.run("queue", "deliver", "--until-empty")

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentences[-1].endswith("`payme journal repair` saves what can be read of it.")
    assert [receipt.state for receipt in shop.sandbox.receipts()] == [0, 50]


# ---------------------------------------------------------------------------------------------------------------------
# Bad input, and folders that can't be used
# ---------------------------------------------------------------------------------------------------------------------


def one_sentence(ended: Ended, *parts: str) -> None:
    (sentence,) = ended.sentences
    assert (ended.code, ended.out) == (2, "")
    assert [part for part in parts if part not in sentence] == []


@pytest.mark.parametrize("code", ["", "\udcff\udcfe12345", "-1", "12345\x0067"])
def test_an_invalid_code_is_refused(shop: CommandTill, code: str) -> None:
    ended = shop.pay(code)

    assert (ended.code, ended.err, ended.document["status"]) == (1, "", "REFUSED")
    assert "код" in ended.document["message"].lower()
    assert shop.sent("receipts.pay") == 0


@pytest.mark.skipif(Path("/linuxcash").exists(), reason="this machine is a till")
def test_no_settings_file_where_the_till_has_its_own(tmp_path: Path) -> None:
    one_sentence(payme(*CHARGING, "--data-dir", str(tmp_path)), "/linuxcash/cash/conf/payme.go.conf", "--conf")


def test_with_settings_that_can_not_be_used_nothing_is_begun(shop: CommandTill) -> None:
    shop.configure(payDuration="ten", slipCopies="red")
    ended = shop.run(*CHARGING)

    duration, copies = ended.sentences
    assert duration.startswith(f'payDuration on line 3 of {shop.conf} is "ten": use a whole number')
    assert copies.startswith(f'slipCopies on line 9 of {shop.conf} is "red": use a whole number')
    assert (ended.code, shop.sandbox.requests, shop.folder.exists()) == (2, (), False)


@pytest.mark.parametrize("below", ["", "deeper"])
@pytest.mark.parametrize("command", [["status"], ["queue", "list"], CHARGING], ids=lambda command: command[0])
def test_a_data_folder_that_is_a_file_is_named_by_every_command(
    shop: CommandTill, command: list[str], below: str
) -> None:
    shop.folder.write_text("a file", encoding="utf-8")
    folder = str(shop.folder / below)
    ended = payme("--conf", str(shop.conf), "--data-dir", folder, *command)

    one_sentence(ended, folder, "--data-dir" if command != CHARGING or not below else "")
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
def test_a_data_folder_that_can_not_be_written(shop: CommandTill, below: str) -> None:
    with TemporaryDirectory() as readable:
        parent = Path(readable)
        conf = parent / "payme.go.conf"
        conf.write_bytes(shop.conf.read_bytes())
        parent.chmod(0o555)
        folder = parent / below
        with as_nobody():
            ended = payme("--conf", str(conf), "--data-dir", str(folder), *CHARGING)
            status = payme("status", "--json", "--data-dir", str(folder))
        parent.chmod(0o755)

    one_sentence(ended, str(folder), "Permission denied")
    assert (status.code, status.out) == (2, "") if below else (0, "[]\n")
    assert shop.sandbox.requests == ()
