"""Gathers what was given: the till's own settings over the section ``[Main]`` of the settings file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from payme_plugin.conf_file import MAX_FILE_BYTES, ConfFault, ConfValue, ReadError, Snapshot, parse, unquoted
from payme_plugin.settings.remarks import Origin, SettingFault, Source, nearest, shown_name
from payme_plugin.settings.table import CONF_FILE, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["LINUXCASH", "Gathered", "Given", "Places", "gather"]

_NAMES = frozenset(setting.name for setting in SETTINGS)


@dataclass(frozen=True, slots=True)
class Places:
    """Where a till keeps its files.

    Attributes:
        conf_file: the settings file, where nobody names another.
        slip_template: the slip's template, where it is there and nobody names another.
    """

    conf_file: Path
    slip_template: Path


LINUXCASH = Places(Path("/linuxcash/cash/conf/payme.go.conf"), Path("/linuxcash/cash/reports/payme.xml"))
"""An Artix till."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value that somebody gave.

    Attributes:
        text: the value, unquoted; it may be the key, so it is in no repr.
        origin: where it came from.
    """

    text: str = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that was given.

    Attributes:
        given: values by the setting's name, the till's over the file's; known names only.
        faults: names, lines and files that can't be used.
        conf_file: the settings file that was looked for.
        conf_origin: who named it.
        conf_mode: its permission bits; None where it is not there.
        accounts: the values of the file's sections ``[Account <posId>]``, by posId and name.
    """

    given: Mapping[str, Given]
    faults: tuple[SettingFault, ...]
    conf_file: Path
    conf_origin: Origin
    conf_mode: int | None
    accounts: Mapping[str, Mapping[str, Given]] = field(default_factory=dict)


def gather(
    host: Mapping[str, object], file: Path | None, places: Places, snapshot: Snapshot, former: Path | None = None
) -> Gathered:
    """Return what the till and the settings file give.

    Args:
        host: the till's own settings.
        file: the settings file where the caller names one; it must be there.
        places: where the till keeps its files.
        snapshot: what files are read through.
        former: the settings file that gave values before, or None; it must still give some.
    """
    faults: list[SettingFault] = []
    conf_file, conf_origin = _conf_file(host, file, places, faults)
    given: dict[str, Given] = {}
    accounts: dict[str, dict[str, Given]] = {}
    mode = None
    content = snapshot.read(conf_file, MAX_FILE_BYTES)
    if isinstance(content, ReadError):
        if not content.missing or conf_origin.source is not Source.DEFAULT or conf_file == former:
            explanation = f"it can't be read: {content.explanation}"
            faults.append(SettingFault(None, None, Origin(Source.FILE, conf_file), explanation))
    else:
        mode = content.mode
        conf = parse(content.data)
        faults.extend(_of_file(fault, conf_file) for fault in conf.faults)
        if conf_file == former and not conf.values and not conf.faults:
            # An editor empties a file before it writes it, and a full disk leaves it so.
            explanation = "it has no settings any more; restart the till if that is meant"
            faults.append(SettingFault(None, None, Origin(Source.FILE, conf_file), explanation))
        given.update(_from_file(conf.values, conf_file, faults))
        for pos_id, values in conf.accounts.items():
            accounts[pos_id] = {
                name: Given(value.text, Origin(Source.FILE, conf_file, value.line)) for name, value in values.items()
            }
    given.update(_from_host(host, faults))
    return Gathered(given, tuple(faults), conf_file, conf_origin, mode, accounts)


def _conf_file(
    host: Mapping[str, object], file: Path | None, places: Places, faults: list[SettingFault]
) -> tuple[Path, Origin]:
    if file is not None:
        return file, Origin(Source.CALLER)
    named = host.get(CONF_FILE, "")
    origin = Origin(Source.HOST)
    if named == "":
        return places.conf_file, Origin(Source.DEFAULT)
    if isinstance(named, str) and named.startswith("/") and named.isprintable():
        return Path(named), origin
    shown = named if isinstance(named, str) else None
    faults.append(SettingFault(CONF_FILE, shown, origin, "allowed is a path from the root, as text"))
    return places.conf_file, Origin(Source.DEFAULT)


def _of_file(fault: ConfFault, path: Path) -> SettingFault:
    key = None if fault.key is None else shown_name(fault.key, nearest(fault.key, _NAMES))
    return SettingFault(key, None, Origin(Source.FILE, path, fault.line), fault.explanation)


def _from_file(values: Mapping[str, ConfValue], path: Path, faults: list[SettingFault]) -> Iterable[tuple[str, Given]]:
    for name, value in values.items():
        origin = Origin(Source.FILE, path, value.line)
        if name == CONF_FILE:
            faults.append(SettingFault(name, None, origin, "only the till itself can name the settings file"))
        elif name not in _NAMES:
            faults.append(_unknown(name, origin))
        else:
            yield name, Given(value.text, origin)


def _from_host(host: Mapping[str, object], faults: list[SettingFault]) -> Iterable[tuple[str, Given]]:
    origin = Origin(Source.HOST)
    for name, value in host.items():
        if name == CONF_FILE:
            continue
        if name not in _NAMES:
            faults.append(_unknown(str(name), origin))
        elif not isinstance(value, str):
            faults.append(SettingFault(name, None, origin, f"allowed is text, not {type(value).__name__}"))
        elif (text := unquoted(value)) is None:
            faults.append(SettingFault(name, None, origin, "a quotation mark lacks its partner"))
        else:
            yield name, Given(text, origin)


def _unknown(name: str, origin: Origin) -> SettingFault:
    near = nearest(name, _NAMES)
    hint = f"did you mean {near}" if near else f"allowed are {', '.join(setting.name for setting in SETTINGS)}"
    # A till's names are its program's, and no pieces of a key.
    shown = shown_name(name, name if origin.source is Source.HOST else near)
    return SettingFault(shown, None, origin, f"there is no such setting; {hint}")
