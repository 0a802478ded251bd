"""Build the Debian package once, and install it in a clean Debian 12 below a temporary folder.

Nothing is installed on this machine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from payme_plugin.sandbox import CancelPlan, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[3]
KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"

LINUXCASH = Path("/linuxcash")
CONF = LINUXCASH / "cash/conf/payme.go.conf"
SWITCH = LINUXCASH / "cash/conf/ncash.ini.d/payme.ini"
TEMPLATE = LINUXCASH / "cash/reports/payme.xml"
DATA = LINUXCASH / "cash/data/payme"
JOURNAL = DATA / "journal.sqlite3"

# What a shop's virtual environments add to the path is no part of a till.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
# The root shares the kernel's processes, terminals and loopback address with this machine, and nothing else.
_IN_ROOT = (
    'root=$1; shift; for folder in proc dev dev/pts; do mount --bind "/$folder" "$root/$folder"; done; '
    'exec chroot "$root" "$@"'
)
_WATCHED = ("boot", "etc", "linuxcash", "opt", "srv", "usr", "var/lib", "var/spool")
_NOT_WATCHED = re.compile(r"/var/lib/(dpkg|apt|aptitude)/.*|/etc/ld\.so\.cache")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def run(*command: str, stdin: str = "", cwd: Path | None = None, environment: Mapping[str, str] = ENVIRONMENT) -> Ended:
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
    """Run a command that must succeed; return all that it says."""
    ended = run(*command, **more)
    assert ended.code == 0, f"{' '.join(command)}\n{ended.out}\n{ended.err}"
    return ended.out + ended.err


# ---------------------------------------------------------------------------------------------------------------------
# The package
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Build:
    """A build of this checkout.

    Attributes:
        source: the copy of this checkout that was built.
        package: the package.
        changes: the description of the build.
        version: the version, without its epoch.
    """

    source: Path
    package: Path
    changes: Path
    version: str


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The package of this checkout."""
    source = tmp_path_factory.mktemp("build") / "source"
    listed = done("git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    done("dpkg-buildpackage", "-us", "-uc", cwd=source)
    (changes,) = source.parent.glob("*.changes")
    (package,) = source.parent.glob("*.deb")
    return Build(source, package, changes, package.name.split("_")[1])


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


# ---------------------------------------------------------------------------------------------------------------------
# The till
# ---------------------------------------------------------------------------------------------------------------------


class File(NamedTuple):
    """What a test compares of a file, a folder or a link.

    Attributes:
        mode: its kind and its permission bits.
        owner: its user.
        content: the bytes of a file, the target of a link. Of a file of a package the inode, size and time of the last
            change, because no write leaves all three as they were.
    """

    mode: int
    owner: int
    content: bytes


@dataclass(frozen=True)
class DebianTill:
    """A Debian 12 in a folder, with a repository on its disk.

    Attributes:
        folder: its root.
        environment: what its commands see.
    """

    folder: Path
    environment: dict[str, str]

    @property
    def packages(self) -> Path:
        return self.folder / "packages"

    def command(self, *words: str) -> list[str]:
        private = ["unshare", "--mount", "--propagation", "private", "bash", "-c", _IN_ROOT, "root"]
        return [*private, str(self.folder), *words]

    def run(self, *words: str, stdin: str = "") -> Ended:
        environment = self.environment | {"DEBIAN_FRONTEND": "noninteractive"}
        return run(*self.command(*words), stdin=stdin, environment=environment)

    def done(self, *words: str, stdin: str = "") -> str:
        """Run a command that must succeed; return all that it says."""
        ended = self.run(*words, stdin=stdin)
        assert ended.code == 0, f"{words}\n{ended.out}\n{ended.err}"
        return ended.out + ended.err

    def path(self, path: Path | str) -> Path:
        return self.folder / str(path)[1:]

    def serve(self, *packages: Path) -> None:
        """Add packages to the repository, and let apt know them."""
        for package in packages:
            shutil.copy2(package, self.packages)
        (self.packages / "Packages").write_text(run("apt-ftparchive", "packages", ".", cwd=self.packages).out)
        self.done("apt-get", "update")

    def preseed(self, **answers: str) -> None:
        """Give answers ahead: ``paymentType``, ``url``, ``posId``, ``posKey``."""
        lines = [
            f"artix-payme artix-payme/{name} {'password' if name == 'posKey' else 'string'} {value}\n"
            for name, value in answers.items()
        ]
        self.done("debconf-set-selections", stdin="".join(lines))

    def sell(self, code: str) -> Any:  # noqa: ANN401 - JSON
        """Let a host script take a payment."""
        ended = self.run("/usr/bin/python3", "-I", "/host.py", "{}", str(DATA), code)
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    def version(self) -> str:
        """What dpkg says of the package: its state and version; empty if it knows nothing of it."""
        ended = self.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", "artix-payme")
        return ended.out if ended.code == 0 else ""

    def disk(self, *tops: str) -> dict[Path, File]:
        """What lies below the given folders; by default where a package manager may touch it."""
        found = {}
        for top in tops or _WATCHED:
            for path in self.path(f"/{top}").rglob("*"):
                inside = Path("/") / path.relative_to(self.folder)
                if not _NOT_WATCHED.fullmatch(str(inside)):
                    found[inside] = _file(path, inside.parts[1])
        return found


def _file(path: Path, top: str) -> File:
    facts, content = path.lstat(), b""
    if stat.S_ISLNK(facts.st_mode):
        content = os.readlink(bytes(path))  # noqa: PTH115 - bytes
    elif stat.S_ISREG(facts.st_mode) and top in {"linuxcash", "etc", "var"}:
        content = path.read_bytes()
    elif stat.S_ISREG(facts.st_mode):
        content = repr((facts.st_ino, facts.st_size, facts.st_ctime_ns)).encode()
    return File(facts.st_mode, facts.st_uid, content)


def new_till(folder: Path, language: str = "C.UTF-8") -> DebianTill:
    """Make a clean Debian 12 in ``folder``, whose repository has what the package needs of Debian."""
    prepared = Path(os.environ.get("PAYME_CLEAN_ROOT", folder / "prepared"))
    done("bash", str(ROOT / ".ci/root"), str(prepared))
    done("cp", "-a", str(prepared), str(folder / "till"))
    till = DebianTill(folder / "till", ENVIRONMENT | {"LANG": language})
    shutil.copy2(ROOT / "tests/package/host.py", till.folder)
    # aptitude takes seconds to read the lists of all Debian.
    shutil.move(till.path("/var/cache/apt/archives"), till.packages)
    till.path("/etc/apt/sources.list").unlink()
    shutil.rmtree(till.path("/var/lib/apt/lists"))
    # The source that the page for technicians shows, with a folder instead of a server.
    page = (ROOT / "docs/ru/install.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"(?ms)^```text\n(Types: .*?)^```$", page)
    source = re.sub(r"(?m)^URIs: .*$", "URIs: file:/packages", source)
    source = re.sub(r"(?m)^Signed-By: .*$", "Trusted: yes", source)
    till.path("/etc/apt/sources.list.d/payme.sources").write_text(source, encoding="utf-8")
    return till


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pos_key=KEY, cancel=CancelPlan(settle_s=0.1)) as running:
        yield running
