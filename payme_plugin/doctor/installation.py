"""The plugin's own parts: its packages, its entry point, its packaged files, its slips.

Nothing here imports ``hookspecs`` or ``slips`` before it looks, because another program may have packages of these
names.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
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

    from payme_plugin.locale import Message
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


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """A package whose name another program may have too.

    Attributes:
        name: its name.
        folder: where Python finds it; None if it finds none.
        is_ours: it has what ours has.
        is_beside: it is beside ``payme_plugin``, as installed.
    """

    name: str
    folder: Path | None
    is_ours: bool
    is_beside: bool


def look_at_packages() -> tuple[PackageFacts, ...]:
    """Return where Python finds ``hookspecs`` and ``slips``."""
    home = Path(payme_plugin.__file__).resolve().parent.parent
    found = []
    for name, has_marks in _MARKS.items():
        is_ours, folder = False, None
        with suppress(Exception):  # another program's package may raise anything
            is_ours = has_marks(import_module(name))
        with suppress(ImportError, ValueError):
            spec = find_spec(name)
            places = [] if spec is None else spec.submodule_search_locations or []
            folder = next((Path(each).resolve() for each in places), None)
        found.append(PackageFacts(name, folder, is_ours, folder == home / name))
    return tuple(found)


def check_imports(facts: tuple[PackageFacts, ...]) -> list[Finding]:
    """Judge whether the packages are ours."""
    results = []
    for package in facts:
        values = {"name": package.name, "folder": package.folder}
        if package.is_ours and package.is_beside:
            results.append(Finding.ok("doctor.imports.ours", **values))
        elif package.is_ours:
            results.append(Finding.warning("doctor.imports.elsewhere", **values))
        elif package.folder is None or package.is_beside:
            results.append(Finding.fault("doctor.imports.missing", **values))
        else:
            results.append(Finding.fault("doctor.imports.foreign", **values))
    return results


# ---------------------------------------------------------------------------------------------------------------------
# Entry point and installations
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PluginFacts:
    """What a till finds when it loads its plugins.

    Attributes:
        is_registered: ours is among them.
        installations: the metadata of every installation of ours that can be read.
        out_of_service: why plugins, or distributions that may hold one, can't be used, by name or path.
    """

    is_registered: bool
    installations: tuple[Path, ...] = ()
    out_of_service: Mapping[str, str] = field(default_factory=dict)


def look_at_plugin() -> PluginFacts | None:
    """Load the plugins as a till does, and find the installations of ours; None without a contract of ours."""
    try:
        from hookspecs import PosPlugins  # noqa: PLC0415
    except Exception:  # noqa: BLE001 - another program's package may raise anything
        return None
    plugins = PosPlugins()
    plugins.load_entry_points()
    installations: dict[Path, None] = {}
    for distribution in distributions():
        with suppress(Exception):  # damaged metadata; the plugins' faults name it
            if re.sub("[-_.]+", "-", distribution.metadata["Name"].lower()) == "payme-plugin":
                path = Path(str(getattr(distribution, "_path", distribution.locate_file(""))))
                installations[path.resolve()] = None
    out_of_service = {fault.plugin: fault.reason for fault in plugins.faults}
    return PluginFacts(PLUGIN_NAME in plugins.names, tuple(installations), out_of_service)


def check_plugin(facts: PluginFacts | None) -> list[Result]:
    """Judge whether a till finds the plugin, and what other installations have left."""
    if facts is None:
        return [Unchecked(Check.PLUGIN, message("doctor.no_hookspecs"))]
    results: list[Result] = []
    if PLUGIN_NAME in facts.out_of_service:
        results.append(Finding.fault("doctor.plugin.not_loaded", reason=facts.out_of_service[PLUGIN_NAME]))
    elif not facts.is_registered:
        results.append(Finding.fault("doctor.plugin.not_registered"))
    for name, reason in facts.out_of_service.items():
        if _OURS.fullmatch(Path(name).name):
            results.append(Finding.warning("doctor.plugin.leftover", path=name))
        elif name != PLUGIN_NAME:
            results.append(Finding.warning("doctor.plugin.other", name=name, reason=reason))
    if len(facts.installations) > 1:
        used, *others = facts.installations
        results.append(Finding.warning("doctor.plugin.twice", used=used, others=", ".join(map(str, others))))
    where = next(iter(facts.installations), "?")
    return results or [Finding.ok("doctor.plugin.registered", path=where)]


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


@dataclass(frozen=True, slots=True)
class SlipFacts:
    """What came of a slip of each kind with made-up data.

    Attributes:
        template: the template of the settings; None: the shipped one.
        template_faults: what is wrong with the template.
        error: why no slip could be made; empty: they could.
        empty: the operations for which nothing is printed.
    """

    template: Path | None
    template_faults: tuple[Message, ...] = ()
    error: str = ""
    empty: tuple[str, ...] = ()


def look_at_slips(settings: Settings) -> SlipFacts | None:
    """Build the schemas, load the template of the settings, make a slip of each kind; None without slips of ours."""
    try:
        from slips import OPERATIONS, SlipError, SlipRenderer, TemplateError, sample_data  # noqa: PLC0415
    except Exception:  # noqa: BLE001 - another program's package may raise anything
        return None
    path = settings.slip_template
    try:
        renderer = SlipRenderer(encoding=settings.slip_encoding)
        renderer.warm_up()
        template = renderer.load(path)
        empty = tuple(name for name in OPERATIONS if not template.nodes[name])
        for name in OPERATIONS:
            if name not in empty:
                renderer.render(template, sample_data(name), _WIDTH)
    except TemplateError as error:
        return SlipFacts(path, template_faults=tuple(map(template_fault, error.faults)))
    except SlipError as error:
        return SlipFacts(path, error=str(error))
    return SlipFacts(path, empty=empty)


def check_slips(facts: SlipFacts | None) -> list[Result]:
    """Judge whether slips can be printed."""
    if facts is None:
        return [Unchecked(Check.SLIPS, message("doctor.no_slips"))]
    template = message("doctor.shipped_template") if facts.template is None else facts.template
    if facts.template_faults:
        first, *others = facts.template_faults
        return [Finding.fault("doctor.slips.bad_template", template=template, first=first, others=len(others))]
    if facts.error:
        key = "doctor.slips.broken" if facts.template is None else "doctor.slips.unusable_template"
        return [Finding.fault(key, template=template, reason=facts.error)]
    if facts.empty:
        return [Finding.warning("doctor.slips.empty", template=template, operations=", ".join(facts.empty))]
    return [Finding.ok("doctor.slips.printable", template=template)]
