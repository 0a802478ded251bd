"""What a process wrote, synced and sent, read from the output of ``strace -f -y -o FILE``.

A call that blocks is two lines there, ``<unfinished ...>`` and ``<... resumed>``, with other threads' lines between.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
SYNCS = ("fsync", "fdatasync")
SENDS = ("sendto", "sendmsg", "write", "writev")
OPENS = ("open", "openat", "creat", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "symlinkat")
SYSCALLS = (*WRITES, *SYNCS, *SENDS, *OPENS)

_LINE = re.compile(r"(?P<process>\d+) +(?P<rest>.*)")
_WHOLE = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?)")
_BEGUN = re.compile(r"(?P<name>\w+)\((?P<arguments>.*?),? *<unfinished \.\.\.>")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)\) += (?P<result>-?\d+|\?)")
_DESCRIPTOR = re.compile(r"\d+<(?P<path>[^>]*)>")
_QUOTED = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"')
_METHOD = re.compile(r'\\"method\\": ?\\"(?P<method>[\w.]+)\\"')


@dataclass(frozen=True)
class Call:
    """A system call.

    Attributes:
        began: number of the line where it began.
        ended: number of the line where it returned; the same where nothing came between.
        name: its name.
        arguments: as strace shows them.
        result: what it returned; below zero: an error; None: it never returned.
    """

    began: int
    ended: int
    name: str
    arguments: str
    result: int | None

    @property
    def path(self) -> str:
        """The path of its first argument, where that is a descriptor; else empty."""
        found = _DESCRIPTOR.match(self.arguments)
        return found["path"] if found else ""


def read_trace(lines: Iterable[str]) -> list[Call]:
    """Return the calls in a trace that did not fail, in the order in which they began."""
    calls: list[Call] = []
    under_way: dict[tuple[str, str], int] = {}
    for number, line in enumerate(lines):
        found = _LINE.match(line)
        if found is None:
            continue
        process, rest = found["process"], found["rest"]
        if begun := _BEGUN.match(rest):
            under_way[process, begun["name"]] = len(calls)
            calls.append(Call(number, number, begun["name"], begun["arguments"], None))
        elif resumed := _RESUMED.match(rest):
            position = under_way.pop((process, resumed["name"]))
            whole = calls[position].arguments + resumed["arguments"]
            calls[position] = replace(calls[position], ended=number, arguments=whole, result=_number(resumed["result"]))
        elif call := _WHOLE.match(rest):
            calls.append(Call(number, number, call["name"], call["arguments"], _number(call["result"])))
    return [call for call in calls if call.result is None or call.result >= 0]


def _number(text: str) -> int | None:
    return None if text == "?" else int(text)


def sent_methods(calls: Sequence[Call]) -> list[tuple[str, Call]]:
    """Return the requests that left over a socket, by the method in their JSON, in order."""
    found = []
    for call in calls:
        if call.name in SENDS and call.path.startswith(("TCP", "socket")):
            found += [(method["method"], call) for method in _METHOD.finditer(call.arguments)]
    return found


def writes_to(calls: Sequence[Call], file: str) -> list[Call]:
    """Return the writes to a file, in order."""
    return [call for call in calls if call.name in WRITES and call.path == file]


def faults_before(calls: Sequence[Call], moment: Call, file: str, *, since: Call, says: str) -> list[str]:
    """Say why ``file`` may lack what was to be on the disk when ``moment`` began: nothing, or one line.

    Args:
        calls: the trace.
        moment: e.g. a request that leaves.
        file: the file's path.
        since: something that holds ``says`` must have been written to the file since then; and every write that began
            before ``moment`` must be followed by a sync that began after it had ended, and returned before ``moment``.
        says: a text of the row that ``moment`` rests on.
    """
    written = [call for call in writes_to(calls, file) if call.began < moment.began]
    if not any(since.ended < call.began and says in call.arguments for call in written):
        return [f"between lines {since.ended + 1} and {moment.began + 1} no {says!r} was written to {file}"]
    last = max(written, key=lambda call: call.ended)
    for call in calls:
        is_sync = call.name in SYNCS and call.path == file and call.result == 0
        if is_sync and last.ended < call.began and call.ended < moment.began:
            return []
    return [f"the write to {file} in line {last.began + 1} was not synced before line {moment.began + 1}"]


def synced_before(calls: Sequence[Call], moment: Call) -> set[str]:
    """Return the paths of the files and folders that were synced before ``moment`` began."""
    return {call.path for call in calls if call.name in SYNCS and call.result == 0 and call.ended < moment.began}


def changed_paths(calls: Sequence[Call]) -> set[str]:
    """Return the path of every file or folder that was made, renamed or opened to be written."""
    paths: set[str] = set()
    for call in calls:
        is_open = call.name in {"open", "openat"}
        if call.name in OPENS and (not is_open or re.search("O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", call.arguments)):
            paths.update(found["text"] for found in _QUOTED.finditer(call.arguments))
    return paths
