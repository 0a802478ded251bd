#!/usr/bin/env python3
"""Write what is generated: the blocks between marks in the pages, and the compiled catalogues of the texts.

``python docs/generate.py`` writes them, ``python docs/generate.py --check`` names those that are out of date.
The package must be importable, and Babel installed.
"""

from __future__ import annotations

import io
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from blocks import contract, dialect, findings, tables, trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from babel.messages.catalog import Catalog

DOCS = Path(__file__).resolve().parent


def _slip_blocks(language: str) -> dict[str, Callable[[], str]]:
    return {
        "elements": partial(dialect.elements_table, language),
        "attributes": partial(dialect.attributes_table, language),
        "fields": partial(dialect.fields_table, language),
        "filters": partial(dialect.filters_table, language),
        "sample": partial(tables.slip_picture, language, "refund"),
    }


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "../README.md": {"slip": partial(tables.slip_picture, "en")},
    "../README.ru.md": {"slip": partial(tables.slip_picture, "ru")},
    "architecture.md": {"path": trace.payment_path},
    "host.md": {
        "version": contract.version_sentence,
        "hooks": contract.hook_blocks,
        "services": contract.service_blocks,
        "models": contract.model_blocks,
    },
    "payment.md": {"states": tables.state_diagram, "transitions": tables.state_table},
    "cli.md": {"help": tables.command_help},
    "settings.md": {"table": tables.settings_table, "sample": partial(tables.settings_sample, "en")},
    "ru/settings.md": {"sample": partial(tables.settings_sample, "ru")},
    "error-codes.md": {"table": tables.codes_table},
    "doctor.md": {"findings": partial(findings.findings_table, "en")},
    "ru/doctor.md": {"findings": partial(findings.findings_table, "ru")},
    "slips.md": _slip_blocks("en"),
    "ru/slip.md": _slip_blocks("ru"),
    "ru/messages.md": {category: partial(tables.texts_table, category) for category in tables.TEXT_CATEGORIES},
}
"""The pages, as paths from this folder, and the functions that return their blocks."""


def page(name: str) -> str:
    """Return a page with its generated blocks made anew.

    Raises:
        LookupError: a block's marks are missing.
    """
    text = (DOCS / name).read_text(encoding="utf-8")
    for title, block in PAGES[name].items():
        between = re.compile(f"(<!-- generated: {title} -->).*?(<!-- end -->)", re.DOTALL)
        if len(between.findall(text)) != 1:
            raise LookupError(f"{name}: the marks of {title} must be there once")
        text = between.sub("\\1\n\n" + block().replace("\\", r"\\") + "\n\n\\2", text)
    return text


def compiled(source: Path) -> bytes:
    """Return the ``.mo`` of a ``.po``: the one that is there if it has the same texts."""
    with source.open("rb") as file:
        catalogue = read_po(file, locale=source.parents[1].name, domain=source.stem, abort_invalid=True)
    path = source.with_suffix(".mo")
    if path.exists() and _texts(read_mo(io.BytesIO(path.read_bytes()))) == _texts(catalogue):
        return path.read_bytes()
    fresh = io.BytesIO()
    write_mo(fresh, catalogue)
    return fresh.getvalue()


def _texts(catalogue: Catalog) -> dict[str, str]:
    return {"".join(message.id): "".join(message.string or "") for message in catalogue if message.id}


def _update(made: dict[Path, bytes], *, is_check: bool) -> bool:
    """Name the files that are out of date, and write them unless this is a check; return whether there are any."""
    stale = [path for path in made if not path.exists() or path.read_bytes() != made[path]]
    for path in stale:
        print(path.resolve())  # noqa: T201 - it is a command
        if not is_check:
            path.write_bytes(made[path])
    return bool(stale)


def main(arguments: list[str]) -> int:
    """Write everything, or name what is out of date with ``--check``; return the exit code, 1 if something is."""
    is_check = arguments == ["--check"]
    sources = sorted(DOCS.parent.glob("payme_plugin/locale/*/LC_MESSAGES/*.po"))
    # The catalogues come first because the pages show their texts.
    is_stale = _update({source.with_suffix(".mo"): compiled(source) for source in sources}, is_check=is_check)
    is_stale |= _update({DOCS / name: page(name).encode() for name in PAGES}, is_check=is_check)
    return int(is_stale and is_check)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
