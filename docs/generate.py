#!/usr/bin/env python3
"""Makes what is made from a source: the blocks between marks in the pages, and the compiled catalogues of the texts.

``python docs/generate.py`` writes them, ``python docs/generate.py --check`` tells which are out of date.
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
from blocks import command, contract, dialect, pictures, tables, trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from babel.messages.catalog import Catalog

DOCS = Path(__file__).resolve().parent

PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "../README.md": {"slip": partial(pictures.slip_picture, "en")},
    "../README.ru.md": {"slip": partial(pictures.slip_picture, "ru")},
    "architecture.md": {"path": trace.payment_path},
    "host.md": {
        "version": contract.version_sentence,
        "hooks": contract.hook_blocks,
        "services": contract.service_blocks,
        "models": contract.model_blocks,
    },
    "payment.md": {"states": pictures.state_diagram, "transitions": pictures.state_table},
    "cli.md": {"help": command.help_blocks},
    "settings.md": {"table": tables.settings_table, "sample": tables.settings_sample},
    "error-codes.md": {"table": tables.codes_table},
    "slips.md": {
        "elements": partial(dialect.elements_table, "en"),
        "attributes": partial(dialect.attributes_table, "en"),
        "fields": partial(dialect.fields_table, "en"),
        "filters": partial(dialect.filters_table, "en"),
        "sample": partial(pictures.slip_picture, "en", "refund"),
    },
    "ru/slip.md": {
        "elements": partial(dialect.elements_table, "ru"),
        "attributes": partial(dialect.attributes_table, "ru"),
        "fields": partial(dialect.fields_table, "ru"),
        "filters": partial(dialect.filters_table, "ru"),
        "sample": partial(pictures.slip_picture, "ru", "refund"),
    },
    "ru/messages.md": {category: partial(tables.texts_table, category) for category in tables.TEXT_CATEGORIES},
}
"""The pages, as paths from this folder, and what is made in each."""


def page(name: str) -> str:
    """Return a page with its generated blocks made anew.

    Raises:
        LookupError: a block's marks are missing.
    """
    path = DOCS / name
    text = path.read_text(encoding="utf-8")
    for title, block in PAGES[name].items():
        begin, end = f"<!-- generated: {title} -->", "<!-- end -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        around = pattern.split(text)
        if len(around) != 2:  # noqa: PLR2004 - before and after
            raise LookupError(f"{path}: {begin} must be there once")
        text = f"{begin}\n\n{block()}\n\n{end}".join(around)
    return text


def catalogues() -> list[Path]:
    """Return the sources of all catalogues: of the texts for cashiers, and of those for technicians."""
    return sorted((DOCS.parent / "payme_plugin/locale").glob("*/LC_MESSAGES/*.po"))


def catalogue(source: Path) -> Catalog:
    """Return a catalogue from its ``.po``."""
    with source.open("rb") as file:
        return read_po(file, locale=source.parents[1].name, domain=source.stem, abort_invalid=True)


def is_compiled(source: Path) -> bool:
    """Return whether the ``.mo`` beside a ``.po`` says what it says."""
    compiled = source.with_suffix(".mo")
    return compiled.exists() and _words(read_mo(io.BytesIO(compiled.read_bytes()))) == _words(catalogue(source))


def _words(messages: Catalog) -> dict[str, str]:
    return {"".join(message.id): "".join(message.string or "") for message in messages if message.id}


def main(arguments: list[str]) -> int:
    """Write or check everything; return the exit code: 1 where something is out of date."""
    check = arguments == ["--check"]
    stale = [source for source in catalogues() if not is_compiled(source)]
    for source in stale:
        sys.stdout.write(f"{source.with_suffix('.mo')}\n")
        if not check:
            compiled = io.BytesIO()
            write_mo(compiled, catalogue(source))
            source.with_suffix(".mo").write_bytes(compiled.getvalue())
    pages = [name for name in PAGES if page(name) != (DOCS / name).read_text(encoding="utf-8")]
    for name in pages:
        sys.stdout.write(f"{(DOCS / name).resolve()}\n")
        if not check:
            (DOCS / name).write_text(page(name), encoding="utf-8")
    return 1 if check and (stale or pages) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
