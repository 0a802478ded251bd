"""The locks of a journal: each is held until it is released or its process ends, also by SIGKILL."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from faults.journal_process import journal_process
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.locks import LEADER, USERS, LeaderLock, Leases

pytestmark = pytest.mark.floor


def test_a_byte_has_one_holder_and_every_byte_its_own(tmp_path: Path) -> None:
    leases = Leases(tmp_path)

    with leases.try_acquire(7) as first, leases.try_acquire(7) as again, leases.try_acquire(8) as another:
        assert (first, again, another) == (True, False, True)
    with leases.try_acquire(7) as later:
        assert later
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600, "for its owner only"


def test_a_shared_byte_has_many_holders_and_no_other_beside_them(tmp_path: Path) -> None:
    leases = Leases(tmp_path)

    with (
        leases.try_acquire(USERS, shared=True) as first,
        leases.try_acquire(USERS, shared=True) as second,
        leases.try_acquire(USERS) as unshared,
    ):
        assert (first, second, unshared) == (True, True, False)
    with leases.try_acquire(USERS) as unshared, leases.try_acquire(USERS, shared=True) as first:
        assert (unshared, first) == (True, False)


def test_the_holder_of_a_byte_is_the_process_that_locked_it_until_that_is_killed(tmp_path: Path) -> None:
    leases = Leases(tmp_path)
    assert leases.holder(LEADER) is None
    with journal_process("lead", tmp_path) as leader:
        with leases.try_acquire(7) as is_ours, leases.try_acquire(LEADER) as leads:
            assert (is_ours, leads) == (True, False)
            assert (leases.holder(LEADER), leases.holder(7), leases.holder(8)) == (leader.pid, os.getpid(), None)
        leader.kill()
        leader.wait(timeout=60)

        with leases.try_acquire(LEADER) as is_ours:
            assert is_ours
    assert leases.holder(LEADER) is None


def test_a_folder_that_takes_no_files_and_a_file_system_without_locks_are_unusable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unavailable), Leases(Path("/proc")).try_acquire(LEADER):
        pass

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "fcntl", no_locks)
    with pytest.raises(Unavailable), Leases(tmp_path).try_acquire(LEADER):
        pass


def test_only_one_is_the_leader_until_it_releases_the_lock(tmp_path: Path) -> None:
    first, second, leases = LeaderLock(), LeaderLock(), Leases(tmp_path)

    assert [first.acquire(leases), first.acquire(leases), second.acquire(leases)] == [True, True, False]
    assert (first.is_leader, second.is_leader) == (True, False)
    first.release()
    assert second.acquire(leases)
    assert (first.is_leader, second.is_leader) == (False, True)
    second.release()


def test_a_released_leader_lock_can_not_be_acquired_again(tmp_path: Path) -> None:
    lock, leases = LeaderLock(), Leases(tmp_path)
    lock.release()

    with pytest.raises(Unavailable, match="the till has stopped"):
        lock.acquire(leases)

    another = LeaderLock()
    assert another.acquire(leases)
    another.release()


def test_a_child_forked_while_a_lease_was_held_neither_releases_it_nor_keeps_it(tmp_path: Path) -> None:
    leases, (end, let_end) = Leases(tmp_path), os.pipe()

    def is_free() -> bool:
        with leases.try_acquire(7) as is_ours:
            return is_ours

    with ExitStack() as stack:
        assert stack.enter_context(leases.try_acquire(7))
        lives_on = os.fork()
        if lives_on == 0:
            os.read(end, 1)
            os._exit(0)
        leaves_the_block = os.fork()
        if leaves_the_block == 0:
            stack.close()
            os._exit(0)
        os.waitpid(leaves_the_block, 0)
        assert not is_free()
    assert is_free()
    os.write(let_end, b".")
    os.waitpid(lives_on, 0)
