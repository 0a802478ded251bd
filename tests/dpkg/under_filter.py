"""Runs a command under the filters of system calls that systemd makes of a unit; the distribution's Python runs it.

Its arguments are a plan as JSON (``calls``, ``refusal``, ``families``, ``umask``) and the command.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from mmap import PROT_EXEC, PROT_WRITE
from typing import Any

from seccomp import (  # type: ignore[import-not-found]
    ALLOW,
    EQ,
    ERRNO,
    GT,
    KILL_PROCESS,
    LT,
    MASKED_EQ,
    NE,
    Arch,
    Arg,
    SyscallFilter,
    resolve_syscall,
)

NEW_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
SET_ID_BITS = (0o4000, 0o2000)
SHM_EXEC = 0o100000
OTHER_SCHEDULERS = 3  # beyond SCHED_OTHER and SCHED_BATCH, which is 3


def is_known(call: str) -> bool:
    """Whether this machine's kernel interface has the call."""
    return bool(resolve_syscall(Arch(), call) >= 0)


def listed(calls: list[str], refusal: str | None) -> SyscallFilter:
    """SystemCallFilter and SystemCallErrorNumber: without the latter, a call that is not allowed kills."""
    made = SyscallFilter(KILL_PROCESS if refusal is None else ERRNO(getattr(errno, refusal)))
    for call in filter(is_known, calls):
        made.add_rule(ALLOW, call)
    return made


def restricted(families: list[str]) -> SyscallFilter:
    """The options that look at the arguments of calls."""
    made = SyscallFilter(ALLOW)

    def refuse(call: str, *arguments: Any) -> None:  # noqa: ANN401 - the library's own
        if is_known(call):
            made.add_rule(ERRNO(errno.EPERM), call, *arguments)

    # MemoryDenyWriteExecute
    both = PROT_EXEC | PROT_WRITE
    refuse("mmap", Arg(2, MASKED_EQ, both, both))
    refuse("mprotect", Arg(2, MASKED_EQ, PROT_EXEC, PROT_EXEC))
    refuse("pkey_mprotect", Arg(2, MASKED_EQ, PROT_EXEC, PROT_EXEC))
    refuse("shmat", Arg(2, MASKED_EQ, SHM_EXEC, SHM_EXEC))
    # LockPersonality
    refuse("personality", Arg(0, NE, 0))
    # RestrictNamespaces
    refuse("setns")
    for flag in NEW_NAMESPACES:
        refuse("clone", Arg(0, MASKED_EQ, flag, flag))
        refuse("unshare", Arg(0, MASKED_EQ, flag, flag))
    made.add_rule(ERRNO(errno.ENOSYS), "clone3")
    # RestrictRealtime
    refuse("sched_setscheduler", Arg(1, EQ, os.SCHED_FIFO))
    refuse("sched_setscheduler", Arg(1, EQ, os.SCHED_RR))
    refuse("sched_setscheduler", Arg(1, GT, OTHER_SCHEDULERS))
    # RestrictSUIDSGID
    for bit in SET_ID_BITS:
        for call, place in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2), ("mknod", 1)):
            refuse(call, Arg(place, MASKED_EQ, bit, bit))
        refuse("open", Arg(1, MASKED_EQ, os.O_CREAT, os.O_CREAT), Arg(2, MASKED_EQ, bit, bit))
        refuse("openat", Arg(2, MASKED_EQ, os.O_CREAT, os.O_CREAT), Arg(3, MASKED_EQ, bit, bit))
    # RestrictAddressFamilies
    numbers = sorted(int(getattr(socket, family)) for family in families)
    foreign = [number for number in range(numbers[0], numbers[-1]) if number not in numbers]
    for argument in (Arg(0, LT, numbers[0]), Arg(0, GT, numbers[-1]), *(Arg(0, EQ, number) for number in foreign)):
        made.add_rule(ERRNO(errno.EAFNOSUPPORT), "socket", argument)
    return made


def main(plan: str, *command: str) -> None:
    """Take up the filters and become the command."""
    given = json.loads(plan)
    os.umask(int(given["umask"], 8))
    # The list comes last: it withholds the call that takes up filters no longer than it must.
    restricted(given["families"]).load()
    listed(given["calls"], given["refusal"]).load()
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
