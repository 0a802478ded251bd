"""Disks and folders that fail: a clear text, the documented exit code, no request that charges, nothing overwritten."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.schema import SCHEMA_VERSION
from tests.cli.conftest import command_line, environment, payme
from unmeasured import without_coverage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Ended, Shop

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


def pay(shop: Shop) -> Ended:
    return shop.pay(shop.sandbox.issue_code())


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
    for command in (["pay", "--amount", "1", "--qr", "00770000000000000001"], ["refund", "before"], ["status"]):
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


def test_a_copied_folder_at_another_till_is_refused(used: Shop, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    used.give_journal_to("till-7 of another shop")
    shutil.copytree(used.folder, copied)
    before = digests(copied)
    options = ("--conf", str(used.conf), "--data-dir", str(copied))
    ended = payme(*options, "pay", "--amount", "1", "--qr", "00770000000000000001")

    assert ended.code == 2
    assert "till-7 of another shop" in ended.sentences[0]
    assert digests(copied) == before
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
