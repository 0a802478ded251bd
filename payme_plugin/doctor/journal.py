"""The journal, the processes that use it, pending cancellations, and their merchant accounts. It is only read."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from payme_plugin.doctor.finding import DAY_MS, HOUR_MS, Finding, duration
from payme_plugin.ledger.connection import files_of
from payme_plugin.ledger.errors import Damaged, JournalError, TooNew
from payme_plugin.ledger.locks import FILE_NAME as LEASES_NAME
from payme_plugin.ledger.locks import LEADER, USERS, are_locked
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.repair import fault_in
from payme_plugin.locale import message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.settings import Settings

_REFERENCE_TILL = "reference-till@"
"""Begins the identity of a journal of ``payme pay``; the machine's name follows."""

_LOCK = re.compile(r"^lock:.* OFDLCK .* (\d+) \d+$", re.MULTILINE)
_DELETED = " (deleted)"
_COMMAND_WORDS = 3


@dataclass(frozen=True, slots=True)
class JournalUser:
    """A process that has files of the journal open.

    Attributes:
        process: its id.
        command: the first words of its command line, without options.
        locks: the bytes of the lock file that it has locked.
        moved: files that it has open and that were deleted, moved or replaced.
    """

    process: int
    command: str
    locks: tuple[int, ...] = ()
    moved: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFacts:
    """A journal and the processes and files around it.

    Attributes:
        path: its file.
        trouble: why it can't be used, or None.
        identity: the till that it belongs to; None if there is no journal.
        payments: number of payments.
        unfinished: number of payments without a result, or paid and not yet recorded.
        is_led: whether a process is the leader; None if that can't be determined.
        users: the processes that use it, as far as this user may know.
        live: the pending cancellations, oldest first.
        refundable: number of payments that a sale holds, by posId.
    """

    path: Path
    trouble: JournalError | OSError | None = None
    identity: str | None = None
    payments: int = 0
    unfinished: int = 0
    is_led: bool | None = None
    users: tuple[JournalUser, ...] = ()
    live: tuple[CancellationRow, ...] = ()
    refundable: Mapping[str, int] = field(default_factory=dict)


# ---------------------------------------------------------------------------------------------------------------------
# Look
# ---------------------------------------------------------------------------------------------------------------------


def look_at_journal(path: Path) -> JournalFacts:
    """Read the whole journal at ``path`` and find its users; change nothing, and take no lock."""
    facts = JournalFacts(path=path, users=tuple(_users(path)))
    try:
        with suppress(FileNotFoundError):
            path.stat()  # newer Pythons say of a folder that may not be entered that the file does not exist
        # A till that begins a new log between two reads looks like damage; real damage is found twice.
        fault = fault_in(path) and fault_in(path)
        if fault:
            return replace(facts, trouble=Damaged(fault))
        reader = JournalReader.open_read_only(path)
        if reader is None:
            return facts
        with closing(reader):
            return _read(facts, reader)
    except (JournalError, OSError) as error:
        return replace(facts, trouble=error)


def _read(facts: JournalFacts, reader: JournalReader) -> JournalFacts:
    with reader.reading() as connection:
        (payments,) = connection.execute("SELECT count(*) FROM payment").fetchone()
        refundable = "SELECT pos_id, count(*) FROM payment WHERE state IN ('paid', 'recorded') GROUP BY pos_id"
        accounts = {str(pos_id): int(count) for pos_id, count in connection.execute(refundable)}
    return replace(
        facts,
        identity=reader.host_identity,
        payments=payments,
        unfinished=len(reader.unfinished()),
        is_led=_is_led(facts.path.with_name(LEASES_NAME)),
        live=tuple(reader.live_cancellations()),
        refundable=accounts,
    )


def _is_led(leases: Path) -> bool | None:
    try:
        with leases.open("rb") as file:
            return are_locked(file.fileno(), LEADER)
    except FileNotFoundError:
        return False
    except OSError:
        return None


def _users(path: Path) -> Iterator[JournalUser]:
    """Yield the processes that have files of the journal open, by their ids; those of other users are hidden."""
    folder = Path(os.path.realpath(path.parent))
    files = {folder / each.name for each in (*files_of(path), path.with_name(LEASES_NAME))}
    there = {file: _identity(file) for file in files}
    for number in sorted(int(each.name) for each in Path("/proc").glob("[0-9]*")):
        with suppress(OSError):  # it has ended, or is another user's
            if (user := _user(Path(f"/proc/{number}"), folder / path.name, there)) is not None:
                yield user


def _user(process: Path, path: Path, there: Mapping[Path, tuple[int, int] | None]) -> JournalUser | None:
    opened: dict[tuple[int, int] | None, Path] = {}
    locks: set[int] = set()
    for link in (process / "fd").iterdir():
        with suppress(OSError):  # it was closed
            file = Path(str(link.readlink()).removesuffix(_DELETED))
            if file.parent == path.parent:
                opened[_identity(link)] = file
                if file.name == LEASES_NAME:
                    locks |= set(map(int, _LOCK.findall((process / "fdinfo" / link.name).read_text("ascii"))))
    if there.keys().isdisjoint(opened.values()):
        return None
    moved = {file for identity, file in opened.items() if file in there and identity != there[file]}
    if not set(files_of(path)[1:]).isdisjoint(opened.values()) and there[path] not in opened:
        moved.add(path)  # whoever has its log open has it open too, wherever it was moved to
    return JournalUser(int(process.name), _command(process), tuple(sorted(locks)), tuple(sorted(moved)))


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _command(process: Path) -> str:
    """Return the first words of a process's command line; what follows may be a buyer's code or a key."""
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")[:_COMMAND_WORDS]
    return " ".join(takewhile(lambda word: word and not word.startswith("-") and "=" not in word, words)) or "?"


# ---------------------------------------------------------------------------------------------------------------------
# Check
# ---------------------------------------------------------------------------------------------------------------------


def check_journal(facts: JournalFacts, expected: str | None = None) -> list[Finding]:
    """Judge a journal's health.

    Args:
        facts: the journal.
        expected: the till that it should belong to; None: any, but the reference till only of this machine.
    """
    path, identity, machine = facts.path, facts.identity, platform.node()
    results = [
        Finding.fault("doctor.journal.moved", file=file, process=user.process, command=user.command)
        for user in facts.users
        for file in user.moved
    ]
    if facts.trouble is not None:
        return [*results, _unusable(path, facts.trouble)]
    if identity is None:
        return results or [Finding.ok("doctor.journal.none", folder=path.parent)]
    if expected is None and identity.startswith(_REFERENCE_TILL) and identity != f"{_REFERENCE_TILL}{machine}":
        other = identity.removeprefix(_REFERENCE_TILL)
        results.append(Finding.fault("doctor.journal.other_machine", path=path, other=other, machine=machine))
    if expected not in (None, identity):
        results.append(Finding.fault("doctor.journal.other_till", path=path, other=identity, till=expected))
    if facts.unfinished and facts.is_led is False:
        results.append(Finding.warning("doctor.journal.unfinished", count=facts.unfinished))
    return results or [Finding.ok("doctor.journal.sound", path=path, till=identity, payments=facts.payments)]


def _unusable(path: Path, trouble: JournalError | OSError) -> Finding:
    if isinstance(trouble, PermissionError) or isinstance(trouble.__cause__, PermissionError):
        return Finding.fault("doctor.journal.forbidden", path=path)
    if isinstance(trouble, Damaged):
        return Finding.fault("doctor.journal.damaged", path=path, reason=trouble)
    if isinstance(trouble, TooNew):
        return Finding.fault("doctor.journal.too_new", path=path, reason=trouble)
    return Finding.fault("doctor.journal.unreadable", path=path, reason=trouble)


def check_locks(facts: JournalFacts) -> list[Finding]:
    """Name the processes that use a journal: the leader, those that work on a cancellation, and others."""
    results = []
    for user in facts.users:
        values = {"process": user.process, "command": user.command}
        rows = set(user.locks) - {LEADER, USERS}
        if LEADER in user.locks:
            results.append(Finding.ok("doctor.locks.leader", **values))
        if rows:
            results.append(Finding.ok("doctor.locks.lease", numbers=", ".join(map(str, sorted(rows))), **values))
        if not {LEADER, *rows} & set(user.locks):
            results.append(Finding.ok("doctor.locks.user", **values))
    if facts.is_led and not any(LEADER in user.locks for user in facts.users):
        results.append(Finding.ok("doctor.locks.hidden"))
    return results or [Finding.ok("doctor.locks.none")]


def check_queue(facts: JournalFacts, now_ms: int, *, run_worker: bool) -> Finding:
    """Judge how long buyers wait for their money.

    Args:
        facts: the journal.
        now_ms: now, Unix milliseconds.
        run_worker: the till delivers cancellations by itself; else ``payme worker`` must run.
    """
    if not facts.live:
        return Finding.ok("doctor.queue.empty")
    age_ms = max(0, now_ms - min(row.created_at for row in facts.live))
    last = next((row.last_error for row in facts.live if row.last_error), message("doctor.no_attempt"))
    values = {"count": len(facts.live), "age": duration(age_ms), "reason": last}
    if age_ms < HOUR_MS:
        return Finding.ok("doctor.queue.pending", **values)
    level = Finding.warning if age_ms < DAY_MS else Finding.fault
    return level("doctor.queue.pending" if run_worker else "doctor.queue.without_worker", **values)


def check_accounts(facts: JournalFacts, settings: Settings) -> list[Finding]:
    """Judge whether money can be returned: with the key of its merchant account, to the host that took it."""
    known = {each.pos_id for each in settings.accounts}
    pending = Counter(row.pos_id for row in facts.live)
    results = []
    for pos_id in sorted((pending.keys() | facts.refundable.keys()) - known):
        values = {"account": pos_id, "pending": pending[pos_id], "payments": facts.refundable.get(pos_id, 0)}
        level = Finding.fault if pending[pos_id] else Finding.warning
        results.append(level("doctor.accounts.no_key", **values))
    moved = settings.return_warnings([(row.pos_id, row.url) for row in facts.live if row.pos_id in known])
    return results + [Finding.warning("doctor.accounts.other_host", problem=each.message) for each in moved]
