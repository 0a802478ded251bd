"""All looks in their order. None of them raises, and each has its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.doctor import configuration, disk, installation, journal, server
from payme_plugin.doctor.finding import Check, Finding, Level, Remark, Report, Unchecked
from payme_plugin.doctor.limits import Limits
from payme_plugin.doctor.probe import look_at_server
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.paymego.errors import TransportError
from payme_plugin.settings import Settings, SettingsError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from payme_plugin.clock import Clock

__all__ = ["examine"]

_DISK_S = 10.0
_JOURNAL_S = 120.0
"""Two minutes: a journal of years is read in half a minute on a slow till."""

Look = tuple[tuple[Check, ...], "Callable[[], Iterable[Remark]]"]


def examine(
    conf_file: Path, data_dir: Path, clock: Clock, *, till: str | None = None, log: logging.Logger | None = None
) -> Report:
    """Look at everything, and return what was found.

    It creates and changes nothing, ``log`` apart, and never raises. Each step of the way to Payme takes at most the
    ``timeout`` of the settings.

    Args:
        conf_file: the settings file.
        data_dir: the folder of the journal; it need not be there.
        clock: time.
        till: the till that the journal should belong to; None: any.
        log: where the lines of its requests go; None: nowhere.

    Money effect: none.
    """
    limits = Limits(clock)
    try:
        checkup = _Checkup(conf_file, data_dir, limits, till, log)
        return Report.of(said for checks, look in checkup.looks() for said in _guarded(checks, look))
    finally:
        limits.close()


class _Checkup:
    def __init__(
        self, conf_file: Path, data_dir: Path, limits: Limits, till: str | None, log: logging.Logger | None
    ) -> None:
        self._conf_file = conf_file
        self._data_dir = data_dir
        self._limits = limits
        self._till = till
        self._log = log
        self._read: Settings | SettingsError | None = None

    def looks(self) -> Iterator[Look]:
        """Yield what is looked at; the settings come first, for others need them."""
        yield (Check.SETTINGS,), self._settings
        yield (Check.IGNORED_ERRORS,), self._ignored_errors
        yield (Check.MODES,), self._modes
        yield (Check.IMPORTS,), self._imports
        yield (Check.TEXTS,), lambda: installation.check_texts(installation.look_at_texts())
        yield (Check.SLIPS,), self._slips
        yield (Check.DISK,), self._disk
        yield (Check.JOURNAL, Check.QUEUE), self._journal
        yield server.SERVER_CHECKS, self._server

    def _settings(self) -> Iterable[Remark]:
        self._read = configuration.look_at_settings(self._conf_file)
        return configuration.check_settings(self._read, self._conf_file)

    def _ignored_errors(self) -> Iterable[Remark]:
        settings = self._usable()
        if settings is None:
            return _unchecked((Check.IGNORED_ERRORS,), "the settings can't be used")
        return configuration.check_ignored_errors(settings)

    def _modes(self) -> Iterable[Remark]:
        files = [*_files_with_secrets(self._conf_file, self._read), self._data_dir, self._data_dir / FILE_NAME]
        return configuration.check_modes(configuration.look_at_files(dict.fromkeys(files)))

    def _imports(self) -> list[Finding]:
        found = installation.check_imports(installation.look_at_packages())
        return [*found, *installation.check_plugins(installation.look_at_plugins())]

    def _slips(self) -> Iterable[Remark]:
        settings = self._usable()
        if settings is None:
            return _unchecked((Check.SLIPS,), "the settings can't be used")
        # On this thread: what it imports must not be imported on another one.
        return installation.look_at_slips(settings)

    def _disk(self) -> Iterable[Remark]:
        try:
            facts = self._limits.within(_DISK_S, lambda _: disk.look_at_disk(self._data_dir))
        except TransportError:
            text = f"The disk of {self._data_dir} did not answer within {_DISK_S:.0f} s."
            return [Finding(Check.DISK, Level.FAULT, text, "Look at the system's log; the disk may be broken.")]
        return [disk.check_disk(facts)]

    def _journal(self) -> Iterable[Remark]:
        try:
            facts = self._limits.within(_JOURNAL_S, lambda _: journal.look_at_journal(self._data_dir / FILE_NAME))
        except TransportError:
            return _unchecked((Check.JOURNAL, Check.QUEUE), f"it could not be read within {_JOURNAL_S:.0f} s")
        settings = self._usable()
        run_worker = settings is None or settings.run_worker
        queue = journal.check_queue(facts, self._limits.clock.wall_ms(), run_worker=run_worker)
        accounts = [] if settings is None else journal.check_accounts(facts, settings)
        return [*journal.check_journal(facts, self._till), queue, *accounts]

    def _server(self) -> Iterable[Remark]:
        settings = self._usable()
        if settings is None:
            return _unchecked(server.SERVER_CHECKS, "the settings can't be used")
        return server.check_server(look_at_server(settings, self._limits, self._log))

    def _usable(self) -> Settings | None:
        return self._read if isinstance(self._read, Settings) else None


def _files_with_secrets(conf_file: Path, read: Settings | SettingsError | None) -> list[Path]:
    """Return the file that holds the key, and the settings file where it may hold a secret."""
    if isinstance(read, Settings):
        key_file = read.origins["posKey"].path
        files = [key_file] if key_file is not None else []
        return [*files, conf_file] if read.queue_url or len(read.secrets) > 1 else files
    warnings = () if read is None else read.warnings
    # What can't be read whole warns of files that others can read all the same.
    key_files = [warning.origin.path for warning in warnings if warning.key == "posKey"]
    return [conf_file, *(path for path in key_files if path is not None)]


def _guarded(checks: tuple[Check, ...], look: Callable[[], Iterable[Remark]]) -> list[Remark]:
    try:
        return list(look())
    except Exception as error:  # noqa: BLE001 - one look that fails must not hide what the others found
        text = f"Unexpected {type(error).__name__}; this is a fault of the program."
        return [Finding(check, Level.FAULT, text, "Report it to those who made payme-plugin.") for check in checks]


def _unchecked(checks: Iterable[Check], reason: str) -> list[Remark]:
    return [Unchecked(check, reason) for check in checks]
