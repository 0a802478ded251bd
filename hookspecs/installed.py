"""Find the plugins of the installed distributions.

Distributions in folders are read here, because ``importlib.metadata`` takes longer to import than all else that a host
needs to look for plugins. It finds those in archives, and those that another import system has.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial, reduce
from importlib import import_module
from importlib.machinery import PathFinder
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import hookspecs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hookspecs import PluginFault

_METADATA = ("METADATA", "PKG-INFO", "")
"""The files that may describe a distribution; the last name is for metadata that are a single file."""


class EntryPoint(NamedTuple):
    """Where a distribution has a plugin.

    Attributes:
        name: the plugin's name.
        value: ``package.module:object``.
    """

    name: str
    value: str

    def load(self) -> object:
        """Import the plugin; whatever its import raises is raised here."""
        module, _, path = self.value.partition("[")[0].partition(":")  # extras may follow in brackets
        return reduce(getattr, path.strip().split(".") if path else (), import_module(module.strip()))


class _Distribution(NamedTuple):
    """A distribution: its path, and what reads a file of its metadata, None if there is none of this name."""

    path: str
    read: Callable[[str], str | None]


def installed_plugins(group: str) -> tuple[list[EntryPoint], tuple[PluginFault, ...]]:
    """Return the entry points of ``group`` sorted by name, and a fault for each damaged distribution."""
    found: dict[str, list[EntryPoint]] = {}
    faults: dict[str, PluginFault] = {}
    for distribution in _distributions():
        try:
            entry_points = list(_entry_points(distribution, group))
            if entry_points:
                found.setdefault(_name(distribution), entry_points)
        except Exception as error:  # noqa: BLE001 - what a damaged file raises depends on the damage
            reason = f"is a damaged distribution: {error}"
            faults[distribution.path] = hookspecs.PluginFault.logged(distribution.path, reason, error)
    return sorted(chain.from_iterable(found.values()), key=attrgetter("name")), tuple(faults.values())


def _distributions() -> Iterator[_Distribution]:
    """Yield every distribution, in the order of ``sys.path``."""
    folders = [Path(each) for each in sys.path]
    is_file = os.path.isfile  # unlike that of Path it never raises
    has_archives = any(is_file(each) or each.suffix.lower() == ".egg" for each in folders)
    if has_archives or any(hasattr(each, "find_distributions") for each in sys.meta_path if each is not PathFinder):
        from importlib.metadata import distributions  # noqa: PLC0415 - see above

        for each in distributions():
            yield _Distribution(str(getattr(each, "_path", each)), each.read_text)
        return
    for folder in folders:
        with suppress(OSError, ValueError):  # Python too skips a folder that is missing or forbidden
            for name in os.listdir(folder):  # noqa: PTH208 - a path for each file would take longer than all else
                if name.lower().endswith((".dist-info", ".egg-info")):
                    yield _Distribution(str(folder / name), partial(_read, folder / name))


def _read(path: Path, name: str) -> str | None:
    try:
        return path.joinpath(name).read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
        return None


def _entry_points(distribution: _Distribution, group: str) -> Iterator[EntryPoint]:
    text = distribution.read("entry_points.txt") or ""
    if not text and not _metadata(distribution):
        raise ValueError("it has no metadata; remove what an uninstallation has left, or install it again")
    section = None
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif not line.startswith("#"):
            name, is_pair, value = line.partition("=")
            if section is None:
                raise ValueError("entry_points.txt does not begin with a group")
            if not is_pair:
                raise ValueError(f"entry_points.txt has no value for {line!r}")
            if section == group:
                yield EntryPoint(name.strip(), value.strip())


def _metadata(distribution: _Distribution) -> str:
    return next(filter(None, map(distribution.read, _METADATA)), "")


def _name(distribution: _Distribution) -> str:
    for line in _metadata(distribution).splitlines():
        key, _, value = line.partition(":")
        if key.lower() == "name" and value.strip():
            return value.strip().lower().replace("_", "-").replace(".", "-")
        if not line:  # the description follows
            break
    raise ValueError("its metadata give no name")
