"""Disks and folders that fail: a clear text, the documented exit code, no request that charges, nothing overwritten."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from faults.child_process import without_coverage
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.schema import SCHEMA_VERSION
from payme_plugin.till import receipts
from tests.command.conftest import command_line, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.command.conftest import Ended, Shop

# A process whose files may hold so many bytes and no more: a full disk without a disk.
LIMITED = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2);"


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def nothing_was_charged(shop: Shop) -> bool:
    return shop.sent("receipts.pay") == 0 and shop.sandbox.held() == 0


def pay(shop: Shop, *more: str) -> Ended:
    return shop.pay(shop.sandbox.issue_code(), *more)


@pytest.fixture
def used(shop: Shop) -> Shop:
    """A shop whose till has sold before, and whose sandbox has seen nothing yet."""
    assert shop.pay(shop.sandbox.issue_code(), "--payment-id", "before").code == 0
    assert shop.run("refund", "before").code == 0
    shop.sandbox._requests.clear()
    return shop


@pytest.mark.parametrize("room", [0, 900, 20_000, 60_000], ids=lambda room: f"{room} bytes")
def test_on_a_full_disk_nothing_is_charged(shop: Shop, room: int) -> None:
    program = LIMITED + command_line()[2]
    arguments = [str(room), *shop.options, "pay", "--amount", "1", "--qr", shop.sandbox.issue_code()]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        encoding="utf-8",
        env=without_coverage(environment(PYTHONDONTWRITEBYTECODE="1")),
        check=False,
        timeout=60,
    )

    assert "Traceback" not in done.stderr
    assert nothing_was_charged(shop)
    if done.returncode == 2:
        assert str(shop.folder) in done.stderr
    else:
        assert done.returncode == 1
        assert "журнал не записывается, деньги не списаны" in done.stdout + done.stderr
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
    shop: Shop, monkeypatch: pytest.MonkeyPatch, command: str, unwritable: str
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
def test_a_sale_that_can_not_be_written_before_the_hook_ends_with_2_whatever_was_refused_before(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    arguments = {"pay": ["--amount", "1", "--qr", shop.sandbox.issue_code()]}.get(command, ["p1"])
    if command != "pay":
        pay(shop, "--payment-id", "p1")
        half = [{"name": "Bread", "quantity": "1", "price": 100, "amount": 100}]
        (shop.folder / "half.json").write_text(json.dumps(half), encoding="utf-8")
        assert shop.run("refund", "p1", "--items", str(shop.folder / "half.json")).code == 1
    monkeypatch.setattr(receipts, "_replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EROFS, "read-only")))
    asked = len(shop.sandbox.requests)
    ended = shop.run(command, *arguments)

    assert (ended.code, len(ended.sentences), len(shop.sandbox.requests)) == (2, 1, asked)


def test_a_locked_journal_refuses_and_says_so(used: Shop) -> None:
    with closing(sqlite3.connect(used.folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        refused = pay(used)

    assert (refused.code, refused.document["status"]) == (1, "REFUSED")
    assert "журнал" in refused.document["message"]
    assert nothing_was_charged(used)
    assert pay(used).code == 0


@contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    path.write_bytes(content)
    yield
    assert path.read_bytes() == content, "nothing was overwritten"


def test_a_journal_that_is_no_database_is_said_with_what_helps(used: Shop) -> None:
    journal = used.folder / FILE_NAME
    charging = (["pay", "--amount", "1", "--qr", "00770000000000000001"], ["refund", "before"])
    for command in (*charging, ["status"], ["status", "before"], ["queue", "list"]):
        with changed(journal, b"no database at all" * 500):
            ended = used.run(*command)
        assert (ended.code, ended.out) == (2, "")
        (sentence,) = ended.sentences
        assert str(journal) in sentence
        assert "payme journal repair" in sentence
    assert used.sandbox.requests == ()


def test_a_journal_with_a_damaged_page_charges_nothing(used: Shop) -> None:
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


def test_a_newer_journal_is_said_and_left_as_it_is(used: Shop) -> None:
    with closing(sqlite3.connect(used.folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = digests(used.folder)
    for command in (["pay", "--amount", "1", "--qr", "00770000000000000001"], ["status"], ["journal", "repair"]):
        ended = used.run(*command)
        assert (ended.code, ended.out) == (2, "")
        assert f"version {SCHEMA_VERSION + 1}" in ended.sentences[0]
    after = digests(used.folder)
    assert {name: after[name] for name in before} == before
    assert used.sandbox.requests == ()


def test_two_tills_on_one_folder_work_one_after_the_other(used: Shop) -> None:
    used.configure(payDuration=60_000)
    with subprocess.Popen(  # noqa: S603 - our own command
        command_line(*used.options, "pay", "--amount", "1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as first:
        assert first.stderr is not None
        first.stderr.read(1)
        for command in (["refund", "before"], ["cancel", "before"], ["journal", "repair"]):
            second = used.run(*command)
            assert second.code == 1
            assert str(used.folder) in second.sentences[0]
        first.communicate(timeout=60)
    assert nothing_was_charged(used)


# ---------------------------------------------------------------------------------------------------------------------
# Looking changes nothing
# ---------------------------------------------------------------------------------------------------------------------

LOOKS = [["status"], ["status", "before"], ["queue", "list"], ["queue", "show", "1"]]


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_looking_at_another_hosts_journal_that_is_open_changes_not_a_byte(used: Shop, look: list[str]) -> None:
    used.give_journal_to("till-7 of another shop")
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('UPDATE payment SET updated_at = updated_at + 1'); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", script, str(used.folder / FILE_NAME)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as host:
        assert host.stdout is not None
        host.stdout.readline()
        before = digests(used.folder)
        assert {f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"} < set(before)
        assert used.run(*look).code == 0
        assert digests(used.folder) == before
        host.kill()
    before = digests(used.folder)
    assert {f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"} < set(before), "a power cut left them"
    assert used.run(*look).code == 0
    assert digests(used.folder) == before
    assert used.run(*look, "--json").code == 0
    (used.folder / f"{FILE_NAME}-shm").unlink()
    before = digests(used.folder)
    assert used.run(*look).code == 0
    assert digests(used.folder) == before
