"""All checks in their order. None of them raises, and each has a time limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.doctor import broker, files, installation, journal, server
from payme_plugin.doctor.finding import Check, Finding, Level, Report, Result, Unchecked
from payme_plugin.doctor.server import SERVER_CHECKS, bounded
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.locale import message
from payme_plugin.settings import Settings, SettingsError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from payme_plugin.clock import Clock

_LIMIT_S = 30
_LONG_LIMIT_S = 120
"""A slow till reads a journal of years in half a minute, and needs seconds for the schemas of slips."""


def examine(
    conf_file: Path, data_dir: Path, clock: Clock, *, till: str | None = None, log: logging.Logger | None = None
) -> Report:
    """Check everything and return the results; never raise.

    Only ``log`` is written. Each step to Payme takes at most the ``timeout`` of the settings.

    Args:
        conf_file: the settings file.
        data_dir: the folder of the journal; it may be missing.
        clock: time.
        till: the till that the journal should belong to; None: any, but the reference till only of this machine.
        log: where its request is logged; None: nowhere.
    """
    path = data_dir / FILE_NAME
    read: Settings | SettingsError | None = None

    def check_settings() -> list[Finding]:
        nonlocal read
        read = files.look_at_settings(conf_file)
        return files.check_settings(read, conf_file)

    def check_journal() -> list[Result]:
        facts = journal.look_at_journal(path)
        if facts.trouble is not None:
            return [*journal.check_journal(facts), *_unchecked("doctor.no_journal", Check.LOCKS, Check.QUEUE)]
        queue = journal.check_queue(facts, clock.wall_ms(), run_worker=settings is None or settings.run_worker)
        accounts = [] if settings is None else journal.check_accounts(facts, settings)
        return [*journal.check_journal(facts, till), *journal.check_locks(facts), queue, *accounts]

    results = _guarded(check_settings, Check.SETTINGS)
    settings = read if isinstance(read, Settings) else None
    results += _guarded(lambda: files.check_modes(files.look_at_modes(conf_file, read, path)), Check.MODES)
    results += _guarded(installation.check_imports, Check.IMPORTS)
    results += _guarded(installation.check_plugin, Check.PLUGIN)
    results += _guarded(lambda: installation.check_data(installation.look_at_data()), Check.DATA)
    results += _guarded(lambda: files.check_disk(*files.look_at_disk(data_dir)), Check.DISK)
    results += _guarded(check_journal, Check.JOURNAL, Check.LOCKS, Check.QUEUE, limit_s=_LONG_LIMIT_S)
    if settings is None:
        return Report.of([*results, *_unchecked("doctor.no_settings", Check.SLIPS, *SERVER_CHECKS)])

    def check_server() -> list[Result]:
        return server.check_server(server.look_at_server(settings, clock, log), clock.wall_ms())

    results += _guarded(lambda: installation.check_slips(settings), Check.SLIPS, limit_s=_LONG_LIMIT_S)
    results += _guarded(check_server, *SERVER_CHECKS, limit_s=9 * settings.timeout_s)
    results += _guarded(lambda: broker.check_broker(settings), Check.BROKER)
    return Report.of(results)


def _guarded(look: Callable[[], Iterable[Result]], *checks: Check, limit_s: float = 0) -> list[Result]:
    limit_s = limit_s or _LIMIT_S
    try:
        return bounded(limit_s, lambda: list(look()))
    except TimeoutError:
        text, remedy = message("doctor.hangs", limit=limit_s), message("doctor.hangs.remedy")
    except Exception as error:  # noqa: BLE001 - one check that fails must not hide what the others found
        text, remedy = message("doctor.internal", error=type(error).__name__), message("doctor.internal.remedy")
    return [Finding(check, Level.FAULT, text, remedy) for check in checks]


def _unchecked(reason: str, *checks: Check) -> list[Result]:
    return [Unchecked(check, message(reason)) for check in checks]
