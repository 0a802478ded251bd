"""The plugin's own parts: where its packages come from, its texts, its slips.

Nothing here imports ``hookspecs`` or ``slips`` before it looks: one of another program must not keep the doctor from
telling so.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import payme_plugin
from payme_plugin.doctor.finding import Check, Finding, Level, Remark, Unchecked
from payme_plugin.locale import CatalogueUnreadable, load_catalogue
from payme_plugin.texts import DOMAIN, LANGUAGES, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from payme_plugin.settings import Settings

__all__ = [
    "PackageFacts",
    "check_imports",
    "check_plugins",
    "check_texts",
    "look_at_packages",
    "look_at_plugins",
    "look_at_slips",
    "look_at_texts",
]

_MARKS: Mapping[str, Mapping[str, object]] = {"hookspecs": {"PROJECT": "pos", "API_VERSION": 2}, "slips": {}}
_NEEDED = {"hookspecs": "hookimpl", "slips": "SlipRenderer"}
_WIDTH = 32


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """A package whose name another program may have too.

    Attributes:
        name: its name.
        folder: where Python found it; None where it found none.
        is_ours: it has what ours has.
        is_beside: it lies beside ``payme_plugin``, as it was installed.
    """

    name: str
    folder: Path | None
    is_ours: bool
    is_beside: bool


def look_at_packages() -> tuple[PackageFacts, ...]:
    """Return where Python finds ``hookspecs`` and ``slips``."""
    return tuple(_package(name) for name in _MARKS)


def _package(name: str) -> PackageFacts:
    home = Path(payme_plugin.__file__).resolve().parent.parent
    try:
        module = import_module(name)
    except Exception:  # noqa: BLE001 - whatever another program's package does when it is imported
        return PackageFacts(name, _folder(_found(name)), is_ours=False, is_beside=False)
    folder = _folder(getattr(module, "__file__", None)) or _namespace(module)
    return PackageFacts(name, folder, _is_ours(name, module), is_beside=folder == home / name)


def _found(name: str) -> str | None:
    """Return the file that Python finds under a name, without running it."""
    try:
        found = find_spec(name)
    except (ImportError, ValueError):
        return None
    return None if found is None else found.origin


def _folder(file: str | None) -> Path | None:
    return Path(file).resolve().parent if file else None


def _namespace(module: ModuleType) -> Path | None:
    """Return the first folder of a package without an ``__init__``."""
    return next((Path(folder) for folder in getattr(module, "__path__", ())), None)


def _is_ours(name: str, module: ModuleType) -> bool:
    marks = all(getattr(module, mark, None) == value for mark, value in _MARKS[name].items())
    return marks and hasattr(module, _NEEDED[name])


def check_imports(packages: Iterable[PackageFacts]) -> list[Finding]:
    """Judge whether the packages are ours."""
    return [_check_import(package) for package in packages]


def _check_import(package: PackageFacts) -> Finding:
    name, folder = package.name, package.folder
    if not package.is_ours:
        found = f"is another program's, in {folder}" if folder else "can't be imported: there is none"
        remedy = (
            f"Take the other {name} out of Python's way (pip uninstall, PYTHONPATH, current folder), "
            "then install payme-plugin again (on a till: the package artix-payme)."
        )
        return Finding(Check.IMPORTS, Level.FAULT, f"The package {name} {found}.", remedy)
    if not package.is_beside:
        text = f"The package {name} is ours, but of another installation: {folder}."
        return Finding(Check.IMPORTS, Level.WARNING, text, "Remove the installation that is not in use.")
    return Finding(Check.IMPORTS, Level.OK, f"{name} is ours: {folder}.")


def look_at_plugins() -> dict[str, str]:
    """Return why plugins of the POS, or distributions that may hold one, are out of service, by their names."""
    try:
        from hookspecs import PosPlugins  # noqa: PLC0415
    except Exception:  # noqa: BLE001 - another program's may raise anything; the packages' check tells so
        return {}
    plugins = PosPlugins()
    plugins.load_entry_points()
    return {fault.plugin: fault.reason for fault in plugins.faults}


def check_plugins(faults: Mapping[str, str]) -> list[Finding]:
    """Judge whether a till can load its plugins."""
    remedy = "Install that distribution again, or remove what is left of it."
    return [
        Finding(Check.IMPORTS, Level.WARNING, f"A plugin is out of service: {name} {reason}.", remedy)
        for name, reason in faults.items()
    ]


def look_at_texts() -> dict[str, int]:
    """Return how many of the cashier's texts each language lacks."""
    return {language: _lacking(language) for language in LANGUAGES}


def _lacking(language: str) -> int:
    try:
        catalogue = load_catalogue(language, DOMAIN)
    except CatalogueUnreadable:
        return len(Text)
    return sum(catalogue.gettext(text.value) == text.value for text in Text)  # a missing text is its own key


def check_texts(lacking: Mapping[str, int]) -> list[Finding]:
    """Judge the catalogues of texts by how many texts each language lacks."""
    said = [
        Finding(
            Check.TEXTS,
            Level.FAULT,
            f"{count} of {len(Text)} texts for cashiers are missing in the language {language}.",
            "Install payme-plugin again.",
        )
        for language, count in lacking.items()
        if count
    ]
    return said or [Finding(Check.TEXTS, Level.OK, f"All texts for cashiers are there: {', '.join(lacking)}.")]


def look_at_slips(settings: Settings) -> list[Remark]:
    """Build the schemas, check the template of the settings, and make a slip of each kind with made-up data."""
    try:
        from slips import OPERATIONS, SlipError, SlipRenderer, TemplateError, sample_data  # noqa: PLC0415
    except Exception:  # noqa: BLE001 - another program's may raise anything
        return [Unchecked(Check.SLIPS, "the package slips is not ours")]
    path = settings.slip_template
    shown = "the shipped template" if path is None else str(path)
    try:
        renderer = SlipRenderer(encoding=settings.slip_encoding)
        renderer.warm_up()
        template = renderer.load(path)
        empty = [name for name in OPERATIONS if not template.nodes[name]]
        for name in OPERATIONS:
            if name not in empty:
                renderer.render(template, sample_data(name), _WIDTH)
    except TemplateError as error:
        more = f" (and {len(error.faults) - 1} more)" if len(error.faults) > 1 else ""
        text = f"The template {shown} can't be used, the till prints the shipped one: {error.faults[0]}{more}."
        return [Finding(Check.SLIPS, Level.FAULT, text, f"payme slip check {shown}")]
    except SlipError as error:
        text = f"Slips can't be made by {shown}: {error}."
        remedy = "Install payme-plugin again." if path is None else f"payme slip preview {shown}"
        return [Finding(Check.SLIPS, Level.FAULT, text, remedy)]
    if empty:
        text = f"Nothing is printed for {', '.join(empty)} by {shown}; the till then prints the shipped template."
        return [Finding(Check.SLIPS, Level.WARNING, text, "Add what is missing to the template.")]
    return [Finding(Check.SLIPS, Level.OK, f"Slips are made by {shown}, and are valid.")]
