"""The worker's unit: systemd understands it, and under what it withholds the worker gives buyers their money back."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from payme_plugin.sandbox import Behaviour, BuyerAction
from tests.dpkg.conftest import DATA, ENVIRONMENT, LOG, ROOT, done, run
from tests.dpkg.unit_lock import NOT_PLAYED, PLAYED, PLAYED_ANY, Unit

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.dpkg.conftest import Shelf, Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

SOURCE = ROOT / "debian/artix-payme.payme-worker.service"
INSTALLED = Path("/lib/systemd/system/payme-worker.service")
WITHIN_S = 30


@cache
def members(group: str) -> tuple[str, ...]:
    """Return what systemd counts in a group of system calls."""
    lines = done("systemd-analyze", "--no-pager", "syscall-filter", group).splitlines()[1:]
    return tuple(name for line in lines if (name := line.strip()) and not name.startswith("#"))


@pytest.fixture
def owing(till: Till, sandbox: Sandbox, answers: dict[str, str]) -> Till:
    """A till whose buyer did not answer: the cancellation is written, and the worker is to carry it out."""
    till.preseed(**answers)
    till.unpack()
    LOG.parent.mkdir(parents=True)
    assert till.payme("settings", "set", "runWorker=0", "payDuration=300", "frequency=100").code == 0
    assert till.sell(sandbox.issue_code(Behaviour(BuyerAction.NEVER_ANSWERS)))["status"] == "UNKNOWN"
    assert len(queued(till)) == 1
    return till


def queued(till: Till) -> list[object]:
    rows = till.payme("--json", "queue", "list").document
    assert isinstance(rows, list)
    return rows


def work(till: Till, unit: Unit, *, mounts: bool = False) -> tuple[bool, int, str]:
    """Run the unit's command, locked in, until nothing is owed, it ends, or time is up; then stop it as systemd does.

    Returns:
        Whether everything was delivered, the exit code, what was said.
    """
    worker = subprocess.Popen(  # noqa: S603 - our own command
        unit.locked(members, mounts=mounts),
        env=ENVIRONMENT,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + WITHIN_S
        while worker.poll() is None and time.monotonic() < deadline and queued(till):
            worker.poll()
        worker.terminate()
        said, _ = worker.communicate(timeout=20)
    finally:
        worker.kill()
    return not queued(till), worker.returncode, said


def test_under_the_units_filters_and_without_privileges_the_worker_delivers(owing: Till, sandbox: Sandbox) -> None:
    logged = LOG.read_text(encoding="utf-8")
    delivered, code, said = work(owing, Unit.read(INSTALLED))

    assert delivered, said
    assert (code, sandbox.held()) == (0, 0)
    assert "receipts.cancel" in LOG.read_text(encoding="utf-8").removeprefix(logged)


@pytest.mark.skipif(
    run("unshare", "--mount", "true").code != 0,
    reason="this container lets not even root mount: ProtectSystem is not played",
)
def test_where_only_the_units_folders_can_be_written_the_worker_delivers(owing: Till, sandbox: Sandbox) -> None:
    delivered, code, said = work(owing, Unit.read(INSTALLED), mounts=True)

    assert delivered, said
    assert (code, sandbox.held()) == (0, 0)
    assert "receipts.cancel" in LOG.read_text(encoding="utf-8")


@pytest.mark.skipif(
    run("unshare", "--mount", "true").code != 0,
    reason="this container lets not even root mount: ProtectSystem is not played",
)
def test_without_its_folders_the_worker_could_write_nothing(owing: Till) -> None:
    delivered, code, _ = work(owing, Unit.read(INSTALLED).without("ReadWritePaths"), mounts=True)

    assert not delivered
    assert code != 0


def test_a_refused_call_would_kill_the_worker_if_the_unit_did_not_say_that_it_fails(owing: Till) -> None:
    delivered, code, said = work(owing, Unit.read(INSTALLED).without("SystemCallErrorNumber"))

    assert not delivered, said
    assert code == -signal.SIGSYS


@pytest.mark.parametrize("missing", ["connect", "openat"])
def test_the_filter_that_is_played_bites(owing: Till, missing: str) -> None:
    delivered, _, said = work(owing, Unit.read(INSTALLED).with_line("SystemCallFilter", f"~{missing}"))

    assert not delivered, said


def test_every_lock_of_the_unit_is_played_here_or_known_to_be_not(shelf: Shelf) -> None:
    unit = Unit.read(SOURCE)

    assert unit.locks == PLAYED.keys() | PLAYED_ANY | NOT_PLAYED
    assert {name: unit.values(name) for name in PLAYED} == {name: [value] for name, value in PLAYED.items()}
    assert str(DATA) in " ".join(unit.values("ReadWritePaths"))


def test_systemd_understands_the_unit(till: Till) -> None:
    till.unpack()
    verified = run("systemd-analyze", "verify", "--man=no", "payme-worker.service")

    assert "payme-worker" not in verified.out + verified.err
    assert "not found" not in verified.err


def test_systemd_finds_the_worker_locked_in() -> None:
    judged = done("systemd-analyze", "security", "--offline=true", str(SOURCE))

    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", judged)
    assert exposure is not None
    assert float(exposure[1]) < 2.5
