"""What lies on the disk where a package manager may touch it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from hashlib import blake2b

WATCHED = ("/boot", "/etc", "/linuxcash", "/opt", "/srv", "/usr", "/var/lib", "/var/spool")
NOT_WATCHED = ("/var/lib/dpkg", "/var/lib/apt", "/var/lib/aptitude", "/usr/local")

LARGE_BYTES = 100_000
"""The content of a larger file is known by the moment of its last change, which no write leaves as it is."""

Disk = dict[str, "Facts"]
"""What lies at each path."""


@dataclass(frozen=True)
class Facts:
    """What there is to know of a file, a folder or a link.

    Attributes:
        mode: its kind and its permission bits.
        owner: its user and its group.
        content: a hash of its bytes, or where a link leads; empty for a folder.
    """

    mode: int
    owner: tuple[int, int]
    content: str


@dataclass
class Camera:
    """Looks at the disk again and again; what did not change since is not read again."""

    _seen: dict[tuple[int, ...], str] = field(default_factory=dict)

    def snapshot(self) -> Disk:
        """Return what lies in the watched folders."""
        found = {}
        for top in WATCHED:
            for folder, names, files in os.walk(top):
                names[:] = [name for name in names if f"{folder}/{name}" not in NOT_WATCHED]
                for name in (*names, *files):
                    path = f"{folder}/{name}"
                    found[path] = self._facts(path, os.lstat(path))
        return found

    def _facts(self, path: str, facts: os.stat_result) -> Facts:
        if stat.S_ISLNK(facts.st_mode):
            content = os.readlink(path)  # noqa: PTH115 - a hundred thousand of them
        elif stat.S_ISREG(facts.st_mode):
            content = self._content(path, facts)
        else:
            content = ""
        return Facts(facts.st_mode, (facts.st_uid, facts.st_gid), content)

    def _content(self, path: str, facts: os.stat_result) -> str:
        version = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_ctime_ns)
        if facts.st_size > LARGE_BYTES:
            return str(version)
        if version not in self._seen:
            with open(path, "rb") as file:  # noqa: PTH123 - a hundred thousand of them
                self._seen[version] = blake2b(file.read()).hexdigest()
        return self._seen[version]


def differing(before: Disk, after: Disk) -> set[str]:
    """Return the paths that are not as they were: new, gone, or with other facts."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
