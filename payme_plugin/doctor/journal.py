"""The journal as it lies on the disk, and the money that waits in it. It is only read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from payme_plugin.doctor.finding import Check, Finding, Level, Remark, Unchecked
from payme_plugin.ledger.errors import Damaged, JournalError, TooNew
from payme_plugin.ledger.locks import FILE_NAME as LEASES_NAME
from payme_plugin.ledger.locks import LEADER, Leases, are_locked
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.repair import fault_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.settings import Settings

__all__ = ["JournalFacts", "check_accounts", "check_journal", "check_queue", "look_at_journal"]

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFacts:
    """What a journal says of itself.

    Attributes:
        path: its file.
        trouble: why it can't be used; None: it can, or there is none.
        identity: the till that it belongs to; None: there is no journal.
        version: version of its schema.
        payments: how many payments are in it.
        unfinished: how many of them have no verdict, or are not yet known to be in the till's sale.
        till_works: whether a process is the leader; None if that can't be determined.
        live: the cancellations that have not ended, oldest first.
        holders: the process that holds each locked byte: the leader's, and those of the live cancellations.
    """

    path: Path
    trouble: JournalError | None = None
    identity: str | None = None
    version: int = 0
    payments: int = 0
    unfinished: int = 0
    till_works: bool | None = None
    live: tuple[CancellationRow, ...] = ()
    holders: Mapping[int, int | None] = field(default_factory=dict)


def look_at_journal(path: Path) -> JournalFacts:
    """Read the whole journal at ``path``; not a byte of it changes, and no lock is taken that another could miss."""
    try:
        # A till that begins a new log between two reads looks like damage; real damage is there at the second look too.
        fault = fault_in(path) and fault_in(path)
        if fault:
            return JournalFacts(path=path, trouble=Damaged(fault))
        reader = JournalReader.open_read_only(path)
        if reader is None:
            return JournalFacts(path=path)
        try:
            return _facts(path, reader)
        finally:
            reader.close()
    except JournalError as error:
        return JournalFacts(path=path, trouble=error)


def _facts(path: Path, reader: JournalReader) -> JournalFacts:
    live = tuple(reader.live_cancellations())
    held = _held(path.with_name(LEASES_NAME), [LEADER, *(row.cancellation_id for row in live)])
    with reader.reading() as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (payments,) = connection.execute("SELECT count(*) FROM payment").fetchone()
    return JournalFacts(
        path=path,
        identity=reader.host_identity,
        version=version,
        payments=payments,
        unfinished=len(reader.unfinished()),
        till_works=None if held is None else LEADER in held,
        live=live,
        holders={number: Leases(path.parent).holder(number) for number in held or ()},
    )


def _held(leases: Path, numbers: list[int]) -> list[int] | None:
    """Return which bytes are locked, without taking a lock; None if that can't be determined."""
    try:
        file = os.open(leases, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    except OSError:
        return None
    try:
        return [number for number in numbers if are_locked(file, number)]
    except OSError:
        return None
    finally:
        os.close(file)


def check_journal(facts: JournalFacts, expected: str | None = None) -> list[Remark]:
    """Judge a journal's health.

    Args:
        facts: what it says.
        expected: the till that it should belong to; None: any.
    """
    if facts.trouble is not None:
        return [_unusable(facts.path, facts.trouble)]
    if facts.identity is None:
        return [Finding(Check.JOURNAL, Level.OK, f"There is no journal in {facts.path.parent} yet.")]
    said: list[Remark] = []
    if expected not in (None, facts.identity):
        text = f"The journal {facts.path} belongs to till {facts.identity!r}, not to {expected!r}: it charges nothing."
        remedy = "A copied disk or a shared folder? Give each till a data folder of its own."
        said.append(Finding(Check.JOURNAL, Level.FAULT, text, remedy))
    if facts.unfinished and facts.till_works is False:
        text = f"{facts.unfinished} payments wait for the till, which does not work with the journal now."
        said.append(Finding(Check.JOURNAL, Level.WARNING, text, "Start the till; it settles them by itself."))
    return said or [Finding(Check.JOURNAL, Level.OK, _sound(facts))]


def _unusable(path: Path, trouble: JournalError) -> Finding:
    if isinstance(trouble, Damaged):
        text, remedy = f"The journal {path} is damaged: {trouble}.", "Stop the till, then: payme journal repair"
    elif isinstance(trouble, TooNew):
        text, remedy = f"{path}: {trouble}.", "Install the version of payme-plugin that wrote it, or a newer one."
    else:
        text = f"The journal {path} can't be read: {trouble}."
        remedy = "Run payme doctor as the till's user; look at the rights of the folder and at the disk."
    return Finding(Check.JOURNAL, Level.FAULT, text, remedy)


def _sound(facts: JournalFacts) -> str:
    process = facts.holders.get(LEADER) or "?"
    works = {
        True: f"the till works with it now, process {process}",
        False: "no till works with it now",
        None: "its lock can't be read",
    }
    return (
        f"{facts.path} is sound: till {facts.identity}, schema {facts.version}, payments: {facts.payments}; "
        f"{works[facts.till_works]}."
    )


def check_queue(facts: JournalFacts, now_ms: int, *, run_worker: bool) -> Remark:
    """Judge how long buyers wait for their money.

    Args:
        facts: the journal.
        now_ms: now, Unix milliseconds.
        run_worker: the till returns money by itself; else ``payme worker`` must run.
    """
    if facts.trouble is not None:
        return Unchecked(Check.QUEUE, "the journal can't be used")
    if not facts.live:
        return Finding(Check.QUEUE, Level.OK, "No cancellation waits.")
    age_ms = max(0, now_ms - min(row.created_at for row in facts.live))
    last = next((row.last_error for row in facts.live if row.last_error), "")
    text = f"Cancellations that wait: {len(facts.live)}, the oldest for {_duration(age_ms)}"
    text += f"; last said: {last}." if last else "."
    for number in sorted(facts.holders.keys() - {LEADER}):
        text += f" Process {facts.holders[number] or '?'} works on cancellation {number}."
    if age_ms < _HOUR_MS:
        return Finding(Check.QUEUE, Level.OK, text)
    hint = "" if run_worker else " runWorker is off: is payme worker running?"
    remedy = f"payme queue list shows why; payme queue deliver tries at once.{hint}"
    return Finding(Check.QUEUE, Level.WARNING if age_ms < _DAY_MS else Level.FAULT, text, remedy)


def _duration(span_ms: int) -> str:
    for unit_ms, name in ((_DAY_MS, "days"), (_HOUR_MS, "h")):
        if span_ms >= 2 * unit_ms:
            return f"{span_ms // unit_ms} {name}"
    return f"{span_ms // _MINUTE_MS} min"


def check_accounts(facts: JournalFacts, settings: Settings) -> list[Finding]:
    """Judge whether every cancellation can be sent: with its account's key, to the host that took the payment."""
    urls = {each.pos_id: each.url for each in settings.accounts}
    said = []
    for pos_id in sorted({row.pos_id for row in facts.live} - urls.keys()):
        text = f"Cancellations wait for the key of merchant account {pos_id}, which the settings lack."
        remedy = f"Add a section [Account {pos_id}] with url and posKey to the settings file."
        said.append(Finding(Check.ACCOUNTS, Level.WARNING, text, remedy))
    moved = {(row.pos_id, urlsplit(row.url).hostname) for row in facts.live if row.pos_id in urls}
    for pos_id, made_at in sorted(moved, key=str):
        asked_at = urlsplit(urls[pos_id]).hostname
        if made_at != asked_at:
            text = f"Cancellations of merchant account {pos_id} were made at {made_at}, and url leads to {asked_at}."
            remedy = "If it is another server, set url back until they are done."
            said.append(Finding(Check.ACCOUNTS, Level.WARNING, text, remedy))
    return said
