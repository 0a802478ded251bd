"""What the worker's unit withholds from it, and a command that withholds the same where systemd is not PID 1."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FILTER_SCRIPT = Path(__file__).parent / "under_filter.py"

PLAYED = {
    "CapabilityBoundingSet": "",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "NoNewPrivileges": "yes",
    "PrivateTmp": "yes",
    "ProtectHome": "yes",
    "ProtectSystem": "strict",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
}
"""Options that are played here as systemd carries them out, with the one value that is played."""

PLAYED_ANY = {"ReadWritePaths", "RestrictAddressFamilies", "SystemCallErrorNumber", "SystemCallFilter", "UMask"}
"""Options that are played whatever their value is."""

NOT_PLAYED = {
    "PrivateDevices",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "RemoveIPC",
    "SystemCallArchitectures",
}
"""Options that take away devices, the kernel's own files and calls that the filter refuses already."""

READ_ONLY = r"""
cut -d ' ' -f 5 /proc/self/mountinfo | grep -v -E '^/(dev|proc|sys)(/|$)' | while read -r place; do
    mount -o remount,bind,ro "$place" 2>/dev/null || true
done
"""


@dataclass(frozen=True)
class Unit:
    """The section ``[Service]`` of a unit.

    Attributes:
        lines: its options and their values, in order; an option may come again.
    """

    lines: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: Path) -> Unit:
        section = path.read_text(encoding="utf-8").partition("[Service]\n")[2].partition("\n[")[0]
        pairs = (line.partition("=") for line in section.splitlines() if line and not line.startswith("#"))
        return cls(tuple((name, value) for name, _, value in pairs))

    def without(self, name: str) -> Unit:
        return Unit(tuple(pair for pair in self.lines if pair[0] != name))

    def with_line(self, name: str, value: str) -> Unit:
        return Unit((*self.lines, (name, value)))

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.lines if each == name]

    @property
    def locks(self) -> set[str]:
        """The options that withhold something."""
        started = {"Type", "ExecStart", "Restart", "RestartSec"}
        return {name for name, _ in self.lines} - started

    @property
    def command(self) -> list[str]:
        return self.values("ExecStart")[0].split()

    def allowed_calls(self, members: Callable[[str], Iterable[str]]) -> set[str]:
        """Return the system calls that the filter lets through.

        Args:
            members: the names that stand in a group: of calls, or of groups.
        """

        def calls(name: str) -> set[str]:
            return set().union(*map(calls, members(name))) if name.startswith("@") else {name}

        # A list of what is allowed begins with what no process can do without.
        allowed = calls("@default")
        for line in self.values("SystemCallFilter"):
            named = set().union(*map(calls, line.removeprefix("~").split()))
            allowed = allowed - named if line.startswith("~") else allowed | named
        return allowed

    def locked(self, members: Callable[[str], Iterable[str]], *, mounts: bool) -> list[str]:
        """Return a command that runs the unit's command with what the unit withholds withheld.

        Args:
            members: as in ``allowed_calls``.
            mounts: whether the file system is withheld too; not every container lets root do that.
        """
        plan = {
            "calls": sorted(self.allowed_calls(members)),
            "refusal": next(iter(self.values("SystemCallErrorNumber")), None),
            "families": " ".join(self.values("RestrictAddressFamilies")).split(),
            "umask": self.values("UMask")[0],
        }
        filtered = [
            "/usr/bin/python3",
            "-I",
            "-c",
            FILTER_SCRIPT.read_text(encoding="utf-8"),
            json.dumps(plan),
            *self.command,
        ]
        privileges = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", *filtered]
        if not mounts:
            return privileges
        script = f'set -e\n{self._mounts()}exec "$@"\n'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *privileges]

    def _mounts(self) -> str:
        """Return the shell's lines that make everything read-only but some folders."""
        writable = [path for value in self.values("ReadWritePaths") for path in value.split()]
        lines = []
        for path in writable:
            place = path.removeprefix("-")
            there = f"[ ! -e {place} ] || " if path.startswith("-") else ""
            lines.append(f"{there}mount --bind {place} {place}")
        lines.append(READ_ONLY)
        lines += [
            f"[ ! -e {path.removeprefix('-')} ] || mount -o remount,bind,rw {path.removeprefix('-')}"
            for path in writable
        ]
        lines += [f"mount -t tmpfs private {place}" for place in ("/tmp", "/var/tmp")]  # noqa: S108 - PrivateTmp
        lines += [f"mount -t tmpfs -o mode=000,ro hidden {place}" for place in ("/home", "/root")]
        return "\n".join(lines) + "\n"
