"""Who works on a payment: alive while its process lives, dead when that ends, however it ends. And the leader."""

from __future__ import annotations

import errno
import fcntl
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import journal_rival
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.locks import LeaderLock, Leases, Owner, is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.floor

_SCRIPT = Path(journal_rival.__file__)


@contextmanager
def _another_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, str(_SCRIPT), "own", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        try:
            yield child, child.stdout.readline().strip()
        finally:
            child.kill()


def test_this_process_is_alive_to_itself_and_to_others(tmp_path: Path) -> None:
    owner = Owner(tmp_path)

    assert owner.is_alive(owner.token)
    assert is_alive(tmp_path, owner.token)

    owner.release()


def test_two_owners_in_one_process_live_and_end_apart(tmp_path: Path) -> None:
    first, second = Owner(tmp_path), Owner(tmp_path)

    first.release()

    assert first.token != second.token
    assert not second.is_alive(first.token)
    assert second.is_alive(second.token)
    second.release()


def test_a_released_owner_is_dead_and_leaves_no_file(tmp_path: Path) -> None:
    owner = Owner(tmp_path)

    owner.release()

    assert not is_alive(tmp_path, owner.token)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_can_not_be_deleted_is_not_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(path: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    owner = Owner(tmp_path)
    monkeypatch.setattr(Path, "unlink", keep)

    owner.release()

    assert [path.stem for path in tmp_path.iterdir()] == [owner.token]
    assert not is_alive(tmp_path, owner.token)


def test_another_process_is_alive_until_it_is_killed(tmp_path: Path) -> None:
    with _another_process(tmp_path) as (child, token):
        assert is_alive(tmp_path, token)
        assert is_alive(tmp_path, token)

        child.kill()
        child.wait(timeout=60)

        assert not is_alive(tmp_path, token)
        assert not is_alive(tmp_path, token)


def test_asking_about_the_dead_removes_what_they_left(tmp_path: Path) -> None:
    with _another_process(tmp_path) as (child, token):
        child.kill()
        child.wait(timeout=60)
        assert [file.name for file in tmp_path.iterdir()] == [f"{token}.owner"]

        assert not is_alive(tmp_path, token)

    assert list(tmp_path.iterdir()) == []


def test_who_asks_about_the_dead_does_not_make_them_look_alive_to_another_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _another_process(tmp_path) as (child, token):
        child.kill()
        child.wait(timeout=60)
    flock, answers = fcntl.flock, []

    def asked_meanwhile(file: int, operation: int) -> None:
        flock(file, operation)
        monkeypatch.setattr(fcntl, "flock", flock)
        answers.append(is_alive(tmp_path, token))

    monkeypatch.setattr(fcntl, "flock", asked_meanwhile)
    answers.append(is_alive(tmp_path, token))

    assert answers == [False, False]


def test_a_new_owner_whose_folder_is_swept_before_it_has_its_lock_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def swept_before(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        assert not any(is_alive(tmp_path, path.stem) for path in tmp_path.glob("*.owner"))
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", swept_before)
    owner = Owner(tmp_path)

    assert is_alive(tmp_path, owner.token)

    owner.release()
    assert list(tmp_path.iterdir()) == []


def test_an_owner_that_can_not_be_locked_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(_: int, __: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(Unavailable):
        Owner(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_process_that_released_is_dead(tmp_path: Path) -> None:
    with _another_process(tmp_path) as (child, token):
        assert child.stdin is not None
        child.stdin.write("release\n")
        child.stdin.flush()
        child.wait(timeout=60)

        assert not is_alive(tmp_path, token)


def test_an_unknown_token_is_dead(tmp_path: Path) -> None:
    assert not is_alive(tmp_path, "0" * 32)
    assert not is_alive(tmp_path / "missing", "0" * 32)


@pytest.mark.parametrize("token", ["", "a\0b", "\0", "/", "../token", "a/b"])
def test_a_token_that_no_file_can_have_for_its_name_is_dead_and_nothing_is_touched(tmp_path: Path, token: str) -> None:
    (tmp_path / "owners").mkdir()
    for folder in (tmp_path, tmp_path / "owners"):
        (folder / "token.owner").touch()
        (folder / ".owner").touch()

    assert not is_alive(tmp_path / "owners", token)
    assert len(list(tmp_path.rglob("*.owner"))) == 4


def test_a_file_that_can_not_be_read_counts_as_alive(tmp_path: Path) -> None:
    (tmp_path / "token.owner").mkdir()

    assert is_alive(tmp_path, "token")


def test_tokens_are_secret_to_other_users(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "owners")

    (file,) = (tmp_path / "owners").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    owner.release()


def test_a_folder_that_takes_no_files_is_unwritable() -> None:
    with pytest.raises(Unavailable):
        Owner(Path("/proc/owners"))


def test_one_is_the_leader_until_it_releases_the_lock(tmp_path: Path) -> None:
    first, second, leases = LeaderLock(), LeaderLock(), Leases(tmp_path)

    assert [first.acquire(leases), first.acquire(leases), second.acquire(leases)] == [True, True, False]
    assert (first.is_leader, second.is_leader) == (True, False)
    first.release()
    assert second.acquire(leases)
    assert (first.is_leader, second.is_leader) == (False, True)
    second.release()


def test_who_released_the_leaders_lock_never_becomes_the_leader_again(tmp_path: Path) -> None:
    lock, leases = LeaderLock(), Leases(tmp_path)
    lock.release()

    with pytest.raises(Unavailable, match="the till has stopped"):
        lock.acquire(leases)

    another = LeaderLock()
    assert another.acquire(leases)
    another.release()


_FORKS = """
import os, sys
from pathlib import Path
from payme_plugin.ledger.locks import Leases

def is_free():
    with leases.try_acquire(7) as is_ours:
        return is_ours

leases, (end, let_end) = Leases(Path(sys.argv[1])), os.pipe()
try:
    with leases.try_acquire(7):
        if os.fork() == 0:
            os.read(end, 1)
            os._exit(0)
        leaves_the_block = os.fork()
        if leaves_the_block == 0:
            raise SystemExit
        os.waitpid(leaves_the_block, 0)
        print(is_free())
finally:
    if leaves_the_block:
        print(is_free())
        os.write(let_end, b".")
"""


def test_a_child_forked_while_a_lease_was_held_neither_releases_it_nor_keeps_it(tmp_path: Path) -> None:
    run = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", _FORKS, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )

    assert run.stdout.split() == ["False", "True"]
