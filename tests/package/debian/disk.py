"""What lies on the disk where a package manager may touch it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

WATCHED = ("/boot", "/etc", "/linuxcash", "/opt", "/srv", "/usr", "/var/lib", "/var/spool")
NOT_WATCHED = {"/var/lib/dpkg", "/var/lib/apt", "/var/lib/aptitude", "/usr/local"}

LARGE_BYTES = 100_000
READ_BELOW = ("/etc/", "/linuxcash/", "/var/")
"""Only files below these folders and up to this size are read.

Of any other file the snapshot keeps inode, size and time of the last change, because no write leaves all three as they
were. The files that are read may be written again with the same content, e.g. the caches of package managers.
"""

Disk = dict[str, "Facts"]
"""What lies at each path."""


class Facts(NamedTuple):
    """What there is to know of a file, a folder or a link.

    Attributes:
        mode: its kind and its permission bits.
        owner: its user and its group.
        content: a hash of its bytes, the version of a file that is not read, or the target of a link; empty for a
            folder.
    """

    mode: int
    owner: tuple[int, int]
    content: str | tuple[int, ...]


@dataclass
class Camera:
    """Take snapshots of the disk; a file that did not change since the last one is not read again."""

    _seen: dict[tuple[int, ...], str] = field(default_factory=dict)

    def snapshot(self, *tops: str) -> Disk:
        """Return what lies below the given folders; by default below all that are watched."""
        found: Disk = {}
        folders = [top for top in tops or WATCHED if os.path.isdir(top)]  # noqa: PTH112 - a hundred thousand of them
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.path in NOT_WATCHED:
                        continue
                    facts = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(facts.st_mode):
                        folders.append(entry.path)
                    found[entry.path] = self._facts(entry.path, facts)
        return found

    def _facts(self, path: str, facts: os.stat_result) -> Facts:
        content: str | tuple[int, ...]
        if stat.S_ISREG(facts.st_mode):
            content = self._content(path, facts)
        elif stat.S_ISLNK(facts.st_mode):
            content = os.readlink(path)  # noqa: PTH115 - a hundred thousand of them
        else:
            content = ""
        return Facts(facts.st_mode, (facts.st_uid, facts.st_gid), content)

    def _content(self, path: str, facts: os.stat_result) -> str | tuple[int, ...]:
        version = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_ctime_ns)
        if facts.st_size > LARGE_BYTES or not path.startswith(READ_BELOW):
            return version
        if version not in self._seen:
            with open(path, "rb") as file:  # noqa: PTH123 - a hundred thousand of them
                self._seen[version] = blake2b(file.read()).hexdigest()
        return self._seen[version]


def differing(before: Disk, after: Disk) -> set[str]:
    """Return the paths that are not as they were: new, gone, or with other facts."""
    return {path for path, facts in after.items() if before.get(path) != facts} | (before.keys() - after.keys())
