"""Read the settings at each operation and keep the last good ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payme_plugin.conf_file import Snapshot
from payme_plugin.secret import foreign_fault, remember
from payme_plugin.settings.reading import payment_type_of, read_settings
from payme_plugin.settings.remarks import Origin, SettingFault, SettingsError, Source
from payme_plugin.settings.sources import LINUXCASH, Places

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from payme_plugin.settings.model import Settings
    from payme_plugin.settings.reading import ErrorCodes

__all__ = ["SettingsReader"]


@dataclass(frozen=True, slots=True, repr=False)
class _Reading:
    """The result of one reading. It holds the key in clear: no repr."""

    host: Mapping[str, object] | None
    snapshot: Snapshot
    good: Settings | None
    problem: SettingsError | None
    good_file: Path | None = None
    """The settings file that gave a value of ``good``; None where it gave none."""

    def holds(self, host: Mapping[str, object]) -> bool:
        return self.host == host and self.snapshot.is_unchanged()


class SettingsReader:
    """The settings of a running till.

    Args:
        host: asked for the till's own settings at each reading.
        codes: the catalogue of error codes.
        file: the settings file where the caller names one.
        places: where the till keeps its files.
    """

    def __init__(
        self,
        host: Callable[[], Mapping[str, object]],
        codes: ErrorCodes,
        *,
        file: Path | None = None,
        places: Places = LINUXCASH,
    ) -> None:
        self._host = host
        self._codes = codes
        self._file = file
        self._places = places
        self._reading = _Reading(None, Snapshot(), None, None)

    @property
    def problem(self) -> SettingsError | None:
        """What was wrong at the last reading, whose settings were then not taken; None where nothing was."""
        return self._reading.problem

    def read(self) -> Settings:
        """Return the settings of this moment; where they can't be used, the last good ones, and ``problem`` says why.

        An operation asks once, at its beginning, and lives by the answer to its end.

        Raises:
            SettingsError: they can't be used, and there never were good ones.

        Money effect: none.
        """
        latest = self._latest()
        if latest.good is not None:
            for secret in latest.good.secrets:
                remember(secret)
            return latest.good
        problem = latest.problem
        if problem is None:
            raise AssertionError("a reading without settings has a problem")
        raise SettingsError(problem.faults, problem.warnings)

    def payment_type(self) -> int | None:
        """Return the tender's number, even where other settings can't be used; None where it has none."""
        latest = self._latest()
        if latest.good is not None:
            return latest.good.payment_type
        return None if latest.host is None else payment_type_of(latest.host, self._file, places=self._places)

    def _latest(self) -> _Reading:
        before = self._reading
        try:
            host = dict(self._host())
        except Exception as error:  # noqa: BLE001 - whatever a till does, it must not stop a hook
            explanation = f"the till's Host.settings raised {foreign_fault(error)}"
            problem = SettingsError([SettingFault(None, None, Origin(Source.HOST), explanation)])
            self._reading = replace(self._reading, host=None, snapshot=Snapshot(), problem=problem)
            return self._reading
        if before.holds(host):
            return before
        latest = self._read_after(before, host)
        # Another thread may have read meanwhile: what began earlier does not replace it.
        if self._reading is before:
            self._reading = latest
        return latest

    def _read_after(self, before: _Reading, host: Mapping[str, object]) -> _Reading:
        snapshot = Snapshot()
        try:
            good = read_settings(
                host, self._file, self._codes, places=self._places, snapshot=snapshot, former=before.good_file
            )
            gave = any(origin.path == good.conf_file for origin in good.origins.values())
            return _Reading(host, snapshot, good, None, good.conf_file if gave else None)
        except SettingsError as problem:
            return _Reading(host, snapshot, before.good, problem, before.good_file)
