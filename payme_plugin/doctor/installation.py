"""The plugin's own parts: its packages, its entry point, its packaged files, its slips.

Nothing here imports ``hookspecs`` or ``slips`` before it looks, because another program may have packages of these
names.
"""

from __future__ import annotations

import re
from contextlib import suppress
from importlib import import_module
from importlib.metadata import distributions
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import payme_plugin
from payme_plugin import PLUGIN_NAME
from payme_plugin.doctor.finding import Check, Finding, Result, Unchecked
from payme_plugin.locale import CatalogueUnreadable, load_catalogue, message, template_fault
from payme_plugin.texts import DOMAIN, LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payme_plugin.settings import Settings

_MARKS: Mapping[str, Callable[[Any], bool]] = {
    "hookspecs": lambda package: (package.PROJECT, package.API_VERSION) == ("pos", 2),
    "slips": lambda package: hasattr(package, "sample_data"),
}
_OURS = re.compile(r"~?[a-z]{0,2}yme[-_.]plugin(-[^/]*)?\.(dist|egg)-info", re.IGNORECASE)
"""The metadata of an installation of ours; a failed ``pip uninstall`` leaves it with a changed first letter."""
CATALOGUES = (DOMAIN, "cli", "doctor", "settings", "slips", "till")
_TEMPLATES = ("payme.xml", "payme.en.xml", "payme.uz.xml", "payme.uz-Cyrl.xml")
_SLIP_FILES = (*_TEMPLATES, "slip.xsd", "template.xsd", "letters.otb", "letters-bold.otb")
_WIDTH = 32


# ---------------------------------------------------------------------------------------------------------------------
# Packages
# ---------------------------------------------------------------------------------------------------------------------


def check_imports() -> list[Finding]:
    """Judge whether ``hookspecs`` and ``slips`` are ours, and beside ``payme_plugin``, as installed."""
    home = Path(payme_plugin.__file__).resolve().parent.parent
    results = []
    for name, has_marks in _MARKS.items():
        is_ours, folder = False, None
        with suppress(Exception):  # another program's package may raise anything
            is_ours = has_marks(import_module(name))
        with suppress(ImportError, ValueError):
            spec = find_spec(name)
            places = [] if spec is None else spec.submodule_search_locations or []
            folder = next((Path(each).resolve() for each in places), None)
        is_beside, values = folder == home / name, {"name": name, "folder": folder}
        if is_ours and is_beside:
            results.append(Finding.ok("doctor.imports.ours", **values))
        elif is_ours:
            results.append(Finding.warning("doctor.imports.elsewhere", **values))
        elif folder is None or is_beside:
            results.append(Finding.fault("doctor.imports.missing", **values))
        else:
            results.append(Finding.fault("doctor.imports.foreign", **values))
    return results


# ---------------------------------------------------------------------------------------------------------------------
# Entry point and installations
# ---------------------------------------------------------------------------------------------------------------------


def check_plugin() -> list[Result]:
    """Load the plugins as a till does; judge whether ours is among them, and what other installations have left."""
    try:
        from hookspecs import PosPlugins  # noqa: PLC0415
    except Exception:  # noqa: BLE001 - another program's package may raise anything
        return [Unchecked(Check.PLUGIN, message("doctor.no_hookspecs"))]
    plugins = PosPlugins()
    plugins.load_entry_points()
    installations: dict[Path, None] = {}
    for distribution in distributions():
        with suppress(Exception):  # damaged metadata; the plugins' faults name it
            if re.sub("[-_.]+", "-", distribution.metadata["Name"].lower()) == "payme-plugin":
                path = Path(str(getattr(distribution, "_path", distribution.locate_file(""))))
                installations[path.resolve()] = None
    reasons = {fault.plugin: fault.reason for fault in plugins.faults}
    results: list[Result] = []
    if PLUGIN_NAME in reasons:
        results.append(Finding.fault("doctor.plugin.not_loaded", reason=reasons.pop(PLUGIN_NAME)))
    elif PLUGIN_NAME not in plugins.names:
        results.append(Finding.fault("doctor.plugin.not_registered"))
    for name, reason in reasons.items():
        if _OURS.fullmatch(Path(name).name):
            results.append(Finding.warning("doctor.plugin.leftover", path=name))
        else:
            results.append(Finding.warning("doctor.plugin.other", name=name, reason=reason))
    used, *others = [*map(str, installations)] or ["?"]
    if others:
        results.append(Finding.warning("doctor.plugin.twice", used=used, others=", ".join(others)))
    return results or [Finding.ok("doctor.plugin.registered", path=used)]


# ---------------------------------------------------------------------------------------------------------------------
# Packaged files
# ---------------------------------------------------------------------------------------------------------------------


def look_at_data() -> tuple[str, ...]:
    """Return the packaged files that are missing or can't be read."""
    lost = []
    for language in LANGUAGES:
        for domain in CATALOGUES:
            try:
                load_catalogue(language, domain)
            except CatalogueUnreadable:
                lost.append(f"payme_plugin/locale/{language}/LC_MESSAGES/{domain}.mo")
    with suppress(Exception):  # another program's package of this name is named elsewhere
        lost += [f"slips/{name}" for name in _SLIP_FILES if not files("slips").joinpath(name).is_file()]
    return tuple(lost)


def check_data(lost: tuple[str, ...]) -> list[Finding]:
    """Judge whether the installation is complete."""
    return [Finding.fault("doctor.data.lost", files=", ".join(lost))] if lost else [Finding.ok("doctor.data.complete")]


# ---------------------------------------------------------------------------------------------------------------------
# Slips
# ---------------------------------------------------------------------------------------------------------------------


def check_slips(settings: Settings) -> list[Result]:
    """Build the schemas, load the template of the settings, and make a slip of each kind with made-up data."""
    try:
        from slips import OPERATIONS, SlipError, SlipRenderer, TemplateError, sample_data  # noqa: PLC0415
    except Exception:  # noqa: BLE001 - another program's package may raise anything
        return [Unchecked(Check.SLIPS, message("doctor.no_slips"))]
    path = settings.slip_template
    template = message("doctor.shipped_template") if path is None else path
    try:
        renderer = SlipRenderer(encoding=settings.slip_encoding)
        renderer.warm_up()
        loaded = renderer.load(path)
        empty = [name for name in OPERATIONS if not loaded.nodes[name]]
        for name in OPERATIONS:
            if name not in empty:
                renderer.render(loaded, sample_data(name), _WIDTH)
    except TemplateError as error:
        first, *others = map(template_fault, error.faults)
        return [Finding.fault("doctor.slips.bad_template", template=template, first=first, others=len(others))]
    except SlipError as error:
        key = "doctor.slips.broken" if path is None else "doctor.slips.unusable_template"
        return [Finding.fault(key, template=template, reason=error)]
    if empty:
        return [Finding.warning("doctor.slips.empty", template=template, operations=", ".join(empty))]
    return [Finding.ok("doctor.slips.printable", template=template)]
