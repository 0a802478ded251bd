"""The worker's unit: systemd accepts it, and its command delivers and writes only where the unit allows it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.dpkg.conftest import DATA, JOURNAL, LOG, ROOT, done, open_cancellations, run

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.dpkg.conftest import Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

SOURCE = ROOT / "debian/artix-payme.payme-worker.service"
INSTALLED = Path("/lib/systemd/system/payme-worker.service")
WITHIN_S = 30
# man systemd.exec: what a system service finds in its environment.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
STRACE = ("strace", "-ff", "-y", "-s", "4096", "--seccomp-bpf", "-e", "trace=%file")


def service_options(unit: Path) -> dict[str, list[str]]:
    """Return the values of each option of the section ``[Service]``, in order."""
    section = unit.read_text(encoding="utf-8").partition("[Service]\n")[2].partition("\n[")[0]
    options = defaultdict(list)
    for line in section.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            options[name].append(value)
    return options


def is_writable(path: Path, options: dict[str, list[str]]) -> bool:
    """Return whether the unit lets its command write to a path below ``ProtectSystem=strict``."""
    assert options["ProtectSystem"] == ["strict"]
    folders = [folder.removeprefix("-") for value in options["ReadWritePaths"] for folder in value.split()]
    folders += ["/dev", "/proc"]
    if options["PrivateTmp"] == ["yes"]:
        folders += ["/tmp", "/var/tmp"]  # noqa: S108 - the service's own
    return any(path.is_relative_to(folder) for folder in folders)


def start(options: dict[str, list[str]], trace: Path) -> subprocess.Popen[str]:
    """Run the unit's command as its user, in its folder and environment, and trace the files that it writes."""
    (command,) = options["ExecStart"]
    environment = [pair for value in options["Environment"] for pair in shlex.split(value)]
    user = options["User"][-1] if options["User"] else "root"
    folder = options["WorkingDirectory"][-1] if options["WorkingDirectory"] else "/"
    return subprocess.Popen(  # noqa: S603 - our own command
        [*STRACE, "-o", str(trace), "-u", user, *shlex.split(command)],
        env={**ENVIRONMENT, **dict(pair.split("=", 1) for pair in environment)},
        cwd=folder,
        umask=int(options["UMask"][-1], 8),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def stop(worker: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal to strace and to the command; do nothing if both have ended."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, number)


def written(trace: Path) -> set[Path]:
    """Return the paths that were opened for writing, made, renamed or deleted."""
    found = set()
    for file in trace.parent.glob(f"{trace.name}.*"):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            opened = re.search(r"^(?:open|openat|creat)\(.*\bO_(?:WRONLY|RDWR|CREAT)\b.*= \d+<([^>]+)>", line)
            changed = re.search(r"^(?:mkdir|rename|unlink|link|symlink|truncate)\w*\(.*\) = 0$", line)
            if opened:
                found.add(Path(opened[1]))
            elif changed:
                found.update(Path(path) for path in re.findall(r'"(/[^"]*)"', line))
    return found


def test_the_units_command_delivers_and_writes_only_where_the_unit_allows_it(
    installed: Till, sandbox: Sandbox, tmp_path: Path
) -> None:
    LOG.parent.mkdir(parents=True)
    held = sandbox.held()
    installed.owe(sandbox)
    logged = LOG.read_text(encoding="utf-8")
    options = service_options(INSTALLED)

    worker = start(options, tmp_path / "trace")
    try:
        deadline = time.monotonic() + WITHIN_S
        while open_cancellations() and worker.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        stop(worker, signal.SIGTERM)
        said, _ = worker.communicate(timeout=20)
    finally:
        stop(worker, signal.SIGKILL)

    assert open_cancellations() == 0, said
    assert sandbox.held() == held
    assert "receipts.cancel" in LOG.read_text(encoding="utf-8").removeprefix(logged)
    paths = written(tmp_path / "trace")
    assert paths >= {JOURNAL, LOG}
    assert [path for path in sorted(paths) if not is_writable(path, options)] == []


def test_the_unit_lets_the_worker_write_the_journal_and_the_log() -> None:
    options = service_options(SOURCE)

    for path in (DATA, JOURNAL, LOG):
        assert is_writable(path, options), path


@pytest.mark.usefixtures("installed")
def test_systemd_accepts_the_unit() -> None:
    verified = run("systemd-analyze", "verify", "--man=no", "payme-worker.service")

    assert "payme-worker" not in verified.out + verified.err
    assert "not found" not in verified.err


def test_systemd_rates_the_unit_as_protected() -> None:
    rated = done("systemd-analyze", "security", "--offline=true", str(SOURCE))

    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", rated)
    assert exposure is not None
    assert float(exposure[1]) < 2.5
