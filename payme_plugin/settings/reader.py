"""Read the settings at each operation and keep the last good ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from payme_plugin.conf_file import Snapshot
from payme_plugin.locale import message
from payme_plugin.secret import foreign_fault, remember
from payme_plugin.settings.load import LINUXCASH, LoadedSettings, Places
from payme_plugin.settings.problems import Origin, SettingFault, SettingsError, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from payme_plugin.settings.load import ErrorCodes
    from payme_plugin.settings.model import Settings


class _Reading(NamedTuple):
    """The result of one reading. It holds the key in clear: no repr."""

    host: Mapping[str, object] | None = None
    snapshot: Snapshot | None = None
    good: Settings | None = None
    problem: SettingsError | None = None
    payment_type: int | None = None

    def __repr__(self) -> str:
        return "_Reading()"


class SettingsReader:
    """The settings of a running till.

    Args:
        host: asked for the host's settings at each reading.
        codes: the catalogue of error codes.
        file: the settings file if the caller names one.
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
        self._reading = _Reading()

    @property
    def problem(self) -> SettingsError | None:
        """Why the settings of the last reading were not taken, or None if they were."""
        return self._reading.problem

    def read(self) -> Settings:
        """Return the current settings, or the last good ones if they can't be used; ``problem`` then says why.

        An operation asks once, at its beginning, and keeps the answer to its end.

        Raises:
            SettingsError: they can't be used, and there never were good ones.
        """
        latest = self._latest()
        problem = latest.problem or SettingsError(())
        usable = latest.good or problem.for_returns
        for secret in usable.secrets if usable is not None else ():
            remember(secret)
        if latest.good is None:
            raise SettingsError(problem.faults, problem.warnings, problem.for_returns)
        return latest.good

    def payment_type(self) -> int | None:
        """Return the tender's number even if other settings can't be used, or None if it is not known."""
        latest = self._latest()
        return latest.payment_type if latest.good is None else latest.good.payment_type

    def _latest(self) -> _Reading:
        before = self._reading
        try:
            host = dict(self._host())
        except Exception as error:  # noqa: BLE001 - whatever a host does, it must not stop a hook
            explanation = message("settings.host_raised", error=foreign_fault(error))
            problem = SettingsError([SettingFault(None, None, Origin(Source.HOST), explanation)])
            self._reading = before._replace(host=None, problem=problem, payment_type=None)
            return self._reading
        if before.host == host and before.snapshot is not None and before.snapshot.is_unchanged():
            return before
        snapshot = Snapshot()
        loaded = LoadedSettings(host, self._file, self._codes, places=self._places, snapshot=snapshot)
        former = {origin.path for origin in before.good.origins.values()} if before.good is not None else ()
        if loaded.conf_file in former and not loaded.faults and not loaded.conf.values:
            # An editor empties a file before it writes it, and a full disk leaves it so.
            origin = Origin(Source.FILE, loaded.conf_file)
            loaded.faults.append(SettingFault(None, None, origin, message("settings.emptied")))
        payment_type = loaded.values.get("payment_type")
        try:
            latest = _Reading(host, snapshot, loaded.settings(), None, payment_type)
        except SettingsError as problem:
            latest = _Reading(host, snapshot, before.good, problem, payment_type)
        # Another thread may have read meanwhile: what began earlier does not replace it.
        if self._reading is before:
            self._reading = latest
        return latest
