"""The Debian package, built once, and this machine as the till that it is installed on.

What is installed here is purged again, whatever became of a test. A machine that has a ``/linuxcash`` of its own is
left alone: its tests fail at once.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.sandbox import CancelPlan, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
HOST_SCRIPT = Path(__file__).parent / "till_host.py"
KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"

LINUXCASH = Path("/linuxcash")
CONF = LINUXCASH / "cash/conf/payme.go.conf"
SWITCH = LINUXCASH / "cash/conf/ncash.ini.d/payme.ini"
TEMPLATE = LINUXCASH / "cash/reports/payme.xml"
DATA = LINUXCASH / "cash/data/payme"
JOURNAL = DATA / "journal.sqlite3"
LOG = LINUXCASH / "logs/current/terminal.log"

EARLIER = "0.0.9"
"""The version that an upgrade begins with: this one, with another template and another switch."""

# What a shop's virtual environments add to the path is no part of a till.
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.out)


def run(*command: str, stdin: str = "", cwd: Path | None = None, environment: Mapping[str, str] = ENVIRONMENT) -> Ended:
    """Run a command as a technician's shell would."""
    done = subprocess.run(  # noqa: S603 - our own commands
        command,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
        cwd=cwd,
        check=False,
        timeout=300,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def done(*command: str, **more: Any) -> str:  # noqa: ANN401 - passed on
    """Run a command that must succeed; return what it says."""
    ended = run(*command, **more)
    assert ended.code == 0, f"{' '.join(command)}\n{ended.out}\n{ended.err}"
    return ended.out


# ---------------------------------------------------------------------------------------------------------------------
# The package
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shelf:
    """A repository on this machine's disk.

    Attributes:
        folder: what it holds.
        source: the copy of this checkout that was built.
        changes: the description of the build.
        version: the version that was built.
        environment: lets commands, and so apt, see this repository and no other.
    """

    folder: Path
    source: Path
    changes: Path
    version: str
    environment: dict[str, str] = field(default_factory=dict)

    def package(self, version: str) -> Path:
        return self.folder / f"artix-payme_{version}_all.deb"


def _build(source: Path) -> Path:
    """Build the package from a copy of this checkout at ``source``; return the file that describes the build."""
    listed = done("git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    done("dpkg-buildpackage", "-us", "-uc", cwd=source)
    (changes,) = source.parent.glob("*.changes")
    return changes


def _earlier(package: Path, folder: Path) -> None:
    """Make an earlier version of a package: another template and another switch, no man page."""
    tree = folder / "earlier"
    done("dpkg-deb", "-R", str(package), str(tree))
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {EARLIER}", control.read_text()), encoding="utf-8")
    for path in (TEMPLATE, SWITCH):
        there = tree / path.relative_to("/")
        comment = "<!-- earlier -->\n" if path == TEMPLATE else "; earlier\n"
        there.write_text(there.read_text(encoding="utf-8") + comment, encoding="utf-8")
    done("dpkg-deb", "--root-owner-group", "-b", str(tree), str(folder / f"artix-payme_{EARLIER}_all.deb"))
    shutil.rmtree(tree)


def _apt_sees(folder: Path) -> dict[str, str]:
    """Return an environment in which apt knows the packages of ``folder`` and those that are installed."""
    state = folder / "apt"
    (state / "lists/partial").mkdir(parents=True)
    (state / "sources.list").write_text(f"deb [trusted=yes] file:{folder} ./\n", encoding="utf-8")
    (state / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{state}/sources.list";\n'
        'Dir::Etc::sourceparts "/dev/null";\n'
        f'Dir::State::lists "{state}/lists";\n'
        'APT::Sandbox::User "root";\n'
        'Aptitude::Delete-Unused "false";\n'
        'DPkg::Options { "--no-triggers"; };\n',
        encoding="utf-8",
    )
    return {**ENVIRONMENT, "APT_CONFIG": str(state / "apt.conf")}


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """The package of this checkout and an earlier one, in a repository that apt reads."""
    folder = tmp_path_factory.mktemp("shelf")
    source = folder / "source"
    changes = _build(source)
    (package,) = folder.glob("*.deb")
    version = package.name.split("_")[1]
    _earlier(package, folder)
    (folder / "Packages").write_text(done("apt-ftparchive", "packages", ".", cwd=folder), encoding="utf-8")
    environment = _apt_sees(folder)
    done("aptitude", "update", environment=environment)
    yield Shelf(folder, source, changes, version, environment)
    # The index of the man pages is brought up to date once, not after each test.
    run("dpkg", "--triggers-only", "--pending")


# ---------------------------------------------------------------------------------------------------------------------
# The till
# ---------------------------------------------------------------------------------------------------------------------


def places_of(text: str) -> list[str]:
    """Return the files that hold ``text``, where a package manager leaves things."""
    found = run("grep", "-rlF", "--", text, "/etc", "/linuxcash", "/var/cache", "/var/lib", "/var/log", "/var/backups")
    return found.out.split()


@dataclass(frozen=True)
class Till:
    """This machine, as a till that apt installs on."""

    shelf: Shelf

    def preseed(self, **answers: str) -> None:
        """Give answers ahead: ``payment_type``, ``url``, ``pos_id``, ``pos_key``."""
        kinds = {"pos_key": "password"}
        lines = [
            f"artix-payme artix-payme/{name.replace('_', '-')} {kinds.get(name, 'string')} {value}\n"
            for name, value in answers.items()
        ]
        done("debconf-set-selections", stdin="".join(lines))

    def run(self, *command: str, stdin: str = "", **environment: str) -> Ended:
        return run(*command, stdin=stdin, environment={**self.shelf.environment, **environment})

    def done(self, *command: str) -> str:
        return done(*command, environment=self.shelf.environment)

    def install(self) -> str:
        """Install with the manual's command."""
        return self.done("aptitude", "install", "artix-payme")

    def change_to(self, version: str) -> str:
        """Upgrade or downgrade, with what an unattended upgrade of a till says of edited files."""
        keep = ("-o", "DPkg::Options::=--force-confold")
        return self.done("aptitude", "-y", *keep, "install", f"artix-payme={version}")

    def unpack(self, version: str | None = None) -> str:
        """Install without apt, which takes its time; return all that was said."""
        ended = self.run("dpkg", "--no-triggers", "-i", str(self.shelf.package(version or self.shelf.version)))
        assert ended.code == 0, ended.out + ended.err
        return ended.out + ended.err

    def reconfigure(self) -> str:
        return self.done("dpkg-reconfigure", "artix-payme")

    def payme(self, *arguments: str) -> Ended:
        return self.run("payme", *arguments)

    def sell(self, code: str, *words: str) -> Any:  # noqa: ANN401 - JSON
        """Let a host script take a payment."""
        ended = self.run("/usr/bin/python3", "-I", str(HOST_SCRIPT), code, *words)
        assert ended.code == 0, ended.err
        return ended.document

    @property
    def state(self) -> str:
        """What dpkg says of the package: ``ii``, ``rc``, ``ic``; empty when it knows nothing of it."""
        ended = run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}", "artix-payme")
        return ended.out.strip() if ended.code == 0 else ""

    def values(self) -> dict[str, str]:
        """The values that the settings file gives, as written."""
        lines = CONF.read_text(encoding="utf-8").splitlines()
        return dict(line.split(" = ", 1) for line in lines if re.match(r"\w+ = ", line))

    def forget(self) -> None:
        """Leave nothing of the package and of a test."""
        if self.state:
            DATA.mkdir(parents=True, exist_ok=True)
            (DATA / "purge-anyway").touch()
            run("dpkg", "--no-triggers", "--purge", "--force-remove-reinstreq", "artix-payme")
        run("debconf-communicate", "artix-payme", stdin="PURGE\n")
        shutil.rmtree(LINUXCASH, ignore_errors=True)
        assert self.state == ""


@contextmanager
def clean_till(shelf: Shelf) -> Iterator[Till]:
    """This machine without the package, before and after."""
    till = Till(shelf)
    assert os.geteuid() == 0, "packages are installed by root"
    assert not LINUXCASH.exists(), f"{LINUXCASH} is there already: this machine is a till"
    assert till.state == "", "artix-payme is installed already"
    try:
        yield till
    finally:
        till.forget()


@pytest.fixture
def till(shelf: Shelf) -> Iterator[Till]:
    """A till without the package."""
    with clean_till(shelf) as till:
        yield till


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pos_key=KEY, cancel=CancelPlan(settle_s=0.1)) as running:
        yield running


def answers_for(sandbox: Sandbox) -> dict[str, str]:
    """The four answers for a kassa at the sandbox."""
    return {"payment_type": "7", "url": sandbox.url, "pos_id": sandbox.pos_id, "pos_key": sandbox.pos_key}


@pytest.fixture
def answers(sandbox: Sandbox) -> dict[str, str]:
    return answers_for(sandbox)
