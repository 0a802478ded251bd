"""Build the Debian package once, and install it on this machine as on a till.

Whatever is installed here is purged again, even if a test fails. On a machine that already has ``/linuxcash`` every
test fails at once, because that machine is a till.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[3]
HOST_SCRIPT = Path(__file__).parent / "till_host.py"
KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"

LINUXCASH = Path("/linuxcash")
CONF = LINUXCASH / "cash/conf/payme.go.conf"
SWITCH = LINUXCASH / "cash/conf/ncash.ini.d/payme.ini"
TEMPLATE = LINUXCASH / "cash/reports/payme.xml"
DATA = LINUXCASH / "cash/data/payme"
JOURNAL = DATA / "journal.sqlite3"
LOG = LINUXCASH / "logs/current/terminal.log"

COMMANDS = "commands"
"""The folder of the repository with the commands that replace the system's."""

EARLIER = "0.0.9"
"""The version that an upgrade begins with: this one, with another template and another switch."""
EARLIER_CHANGES = {"payme.xml": "<!-- earlier -->\n", "payme.ini": "; earlier\n"}

# What a shop's virtual environments add to the path is no part of a till.
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


DPKG_OPTIONS = ("--no-triggers", "--force-unsafe-io")
"""Options that save time: triggers of other packages wait, and unpacked files are not synced."""


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
class Repository:
    """A repository on this machine's disk.

    Attributes:
        folder: what it holds.
        source: the copy of this checkout that was built.
        changes: the description of the build.
        version: the version that was built, without its epoch.
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


def repacked(package: Path, folder: Path, version: str, changes: Mapping[str, str]) -> Path:
    """Make another version of a package in ``folder``: ``changes`` has what is added to which files."""
    tree = folder / "tree"
    done("dpkg-deb", "-R", str(package), str(tree))
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: 1:{version}", control.read_text()), encoding="utf-8")
    for name, more in changes.items():
        with (tree / name).open("a", encoding="utf-8") as file:
            file.write(more)
    made = folder / f"artix-payme_{version}_all.deb"
    done("dpkg-deb", "--root-owner-group", "-Znone", "-b", str(tree), str(made))
    shutil.rmtree(tree)
    return made


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
        f'DPkg::Path "{_without_man_index(folder)}:{ENVIRONMENT["PATH"]}";\n'
        + "".join(f'DPkg::Options:: "{option}";\n' for option in DPKG_OPTIONS),
        encoding="utf-8",
    )
    return {**ENVIRONMENT, "APT_CONFIG": str(state / "apt.conf")}


def _without_man_index(folder: Path) -> Path:
    """Return a folder for the path that keeps apt from indexing all man pages after each step.

    man-db's trigger, which apt runs in spite of ``--no-triggers``, starts ``mandb`` by ``setpriv``. That takes longer
    than to install the package, and no test looks at the index.
    """
    commands = folder / COMMANDS
    commands.mkdir()
    (commands / "setpriv").write_text("#!/bin/sh\n", encoding="utf-8")
    (commands / "setpriv").chmod(0o755)
    return commands


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """The package of this checkout and an earlier one, in a repository that apt reads."""
    folder = tmp_path_factory.mktemp("repository")
    source = folder / "source"
    changes = _build(source)
    (package,) = folder.glob("*.deb")
    version = package.name.split("_")[1]
    additions = {f"usr/share/artix-payme/{name}": text for name, text in EARLIER_CHANGES.items()}
    repacked(package, folder, EARLIER, additions)
    (folder / "Packages").write_text(done("apt-ftparchive", "packages", ".", cwd=folder), encoding="utf-8")
    environment = _apt_sees(folder)
    done("aptitude", "update", environment=environment)
    yield Repository(folder, source, changes, version, environment)
    path = f"{folder / COMMANDS}:{ENVIRONMENT['PATH']}"
    run("dpkg", "--triggers-only", "--pending", environment={**ENVIRONMENT, "PATH": path})


# ---------------------------------------------------------------------------------------------------------------------
# The till
# ---------------------------------------------------------------------------------------------------------------------


def places_of(text: str) -> list[str]:
    """Return the files that hold ``text``, where a package manager leaves things."""
    # apt keeps gigabytes of packages in /var/cache.
    found = run(
        "grep",
        "-rlF",
        "--exclude=*.deb",
        "--",
        text,
        "/etc",
        "/linuxcash",
        "/var/cache",
        "/var/lib",
        "/var/log",
        "/var/backups",
    )
    return found.out.split()


@dataclass(frozen=True)
class Till:
    """This machine, as a till that apt installs on."""

    repository: Repository

    def preseed(self, **answers: str) -> None:
        """Give answers ahead: ``paymentType``, ``url``, ``posId``, ``posKey``."""
        kinds = {"posKey": "password"}
        lines = [
            f"artix-payme artix-payme/{name} {kinds.get(name, 'string')} {value}\n" for name, value in answers.items()
        ]
        done("debconf-set-selections", stdin="".join(lines))

    def run(self, *command: str, stdin: str = "", **environment: str) -> Ended:
        return run(*command, stdin=stdin, environment={**self.repository.environment, **environment})

    def done(self, *command: str) -> str:
        return done(*command, environment=self.repository.environment)

    def install(self) -> str:
        """Install with the manual's command."""
        return self.done("aptitude", "install", "artix-payme")

    def change_to(self, version: str) -> str:
        """Upgrade or downgrade."""
        return self.done("aptitude", "-y", "install", f"artix-payme=1:{version}")

    def unpack(self, version: str | None = None) -> str:
        """Install without apt, which takes its time; return all that was said."""
        ended = self.run("dpkg", *DPKG_OPTIONS, "-i", str(self.repository.package(version or self.repository.version)))
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

    @property
    def has_current_version(self) -> bool:
        """Whether the version that was built from this checkout is installed and configured."""
        return run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", "artix-payme").out == (
            f"ii 1:{self.repository.version}"
        )

    def values(self) -> dict[str, str]:
        """The values that the settings file gives, as written."""
        lines = CONF.read_text(encoding="utf-8").splitlines()
        return dict(line.split(" = ", 1) for line in lines if re.match(r"\w+ = ", line))

    def owe(self, sandbox: Sandbox) -> None:
        """Charge a buyer after the payment ended without a result: its cancellation is open, and no worker runs."""
        text = CONF.read_text(encoding="utf-8")
        for given, wanted in {
            ";runWorker = 1": "runWorker = 0",
            ";payDuration = 300000": "payDuration = 1000",
            ";frequency = 10000": "frequency = 100",
        }.items():
            assert given in text
            text = text.replace(given, wanted)
        CONF.write_text(text, encoding="utf-8")
        code = sandbox.issue_code(Behaviour(BuyerAction.NEVER_ANSWERS))
        assert self.sell(code)["status"] == "UNKNOWN"
        assert open_cancellations() == 1
        held = sandbox.held()
        assert sandbox.buyer_answers(code, confirms=True)
        assert sandbox.held() > held

    def purge(self, **environment: str) -> Ended:
        return self.run("dpkg", *DPKG_OPTIONS, "--purge", "artix-payme", **environment)

    def forget(self) -> None:
        """Leave nothing of the package and of a test."""
        if self.state:
            DATA.mkdir(parents=True, exist_ok=True)
            (DATA / "remove-anyway").touch()
            run("dpkg", *DPKG_OPTIONS, "--purge", "--force-remove-reinstreq", "artix-payme")
        run("debconf-communicate", "artix-payme", stdin="PURGE\n")
        shutil.rmtree(LINUXCASH, ignore_errors=True)
        assert self.state == ""


def open_cancellations() -> int:
    """Return how many cancellations of the journal still wait for the money to go back."""
    with closing(connect(f"file:{JOURNAL}?mode=ro", uri=True)) as journal:
        (count,) = journal.execute(
            "SELECT count(*) FROM cancellation WHERE ended_at IS NULL AND confirmed_at IS NULL"
        ).fetchone()
    assert isinstance(count, int)
    return count


def assert_no_till(till: Till) -> None:
    """Make sure that the package can be installed here without harm to a real till."""
    assert os.geteuid() == 0, "packages are installed by root"
    assert not LINUXCASH.exists(), f"{LINUXCASH} is there already: this machine is a till"
    assert till.state == "", "artix-payme is installed already"


@dataclass
class SharedInstallation:
    """One installation with answers given ahead, shared by the tests that need no installation of their own.

    ``restored`` puts back what such a test may change: ``/linuxcash`` and the answers that debconf remembers. If a test
    upgraded or removed the package, ``restored`` installs it again.

    Attributes:
        till: this machine.
        answers: the four answers.
        copy: where the copy of ``/linuxcash`` is kept.
        exists: whether something of this installation may be left on the machine.
    """

    till: Till
    answers: dict[str, str]
    copy: Path
    exists: bool = False

    def restored(self) -> Till:
        """Return the till as it is after an installation with answers given ahead, before the first sale."""
        if self.exists and self.till.has_current_version:
            self._put_back()
        else:
            self.end()
            self._install()
        return self.till

    def end(self) -> None:
        """Purge the package, so that a test can install it on its own."""
        if self.exists:
            self.till.forget()
            self.exists = False

    def _install(self) -> None:
        assert_no_till(self.till)
        self.exists = True
        self.till.preseed(**self.answers)
        self.till.unpack()
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(LINUXCASH, self.copy)

    def _put_back(self) -> None:
        shutil.rmtree(LINUXCASH)
        shutil.copytree(self.copy, LINUXCASH)
        # After an installation debconf remembers every answer but the key, and will ask each question again.
        answers = {**self.answers, "posKey": ""}
        orders = [f"SET artix-payme/{name} {value}" for name, value in answers.items()]
        orders += [f"FSET artix-payme/{name} seen false" for name in answers]
        done("debconf-communicate", "artix-payme", stdin="".join(f"{order}\n" for order in orders))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for the whole session, because the shared installation keeps its address."""
    with Sandbox(pos_key=KEY, cancel=CancelPlan(settle_s=0.1)) as running:
        yield running


@pytest.fixture(scope="session")
def answers(sandbox: Sandbox) -> dict[str, str]:
    """The four answers for the merchant account of the sandbox."""
    return {"paymentType": "7", "url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key}


@pytest.fixture(scope="session")
def shared(
    repository: Repository, answers: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedInstallation]:
    shared = SharedInstallation(Till(repository), answers, tmp_path_factory.mktemp("shared") / "linuxcash")
    try:
        yield shared
    finally:
        shared.end()


@pytest.fixture
def installed(shared: SharedInstallation) -> Till:
    """A till with the package installed and the four answers given, before its first sale."""
    return shared.restored()


@contextmanager
def clean_till(shared: SharedInstallation) -> Iterator[Till]:
    """This machine without the package, before and after."""
    shared.end()
    assert_no_till(shared.till)
    try:
        yield shared.till
    finally:
        shared.till.forget()


@pytest.fixture
def till(shared: SharedInstallation) -> Iterator[Till]:
    """A till without the package."""
    with clean_till(shared) as till:
        yield till


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of the shared installation follow each other: each test between them costs an installation."""
    items.sort(key=_shared_state)


def _shared_state(item: pytest.Item) -> int:
    names = getattr(item, "fixturenames", ())
    if item.get_closest_marker("dpkg") is None:
        return 0
    return 2 if "removed" in names else 1 if "installed" in names else 0
