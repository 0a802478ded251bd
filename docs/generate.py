#!/usr/bin/env python3
"""Makes what is made from a source: the tables in the docs, and the compiled catalogues of the texts.

``python docs/generate.py`` writes them, ``python docs/generate.py --check`` tells which are out of date.
The package must be importable, and Babel installed.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from payme_plugin.paymego import codes
from payme_plugin.settings import SETTINGS
from payme_plugin.texts import DOMAIN, LANGUAGES, LOCALE, Texts

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

DOCS = Path(__file__).parent


def settings_table() -> str:
    """Return the table of the settings."""
    rows = ["| Name | Allowed | Default | Meaning |", "|---|---|---|---|"]
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default else f"nothing: {setting.default_note}"
        rows.append(f"| `{setting.name}` | {_cell(setting.kind.allowed)} | {default} | {_cell(setting.meaning)} |")
    return "\n".join(rows)


def settings_sample() -> str:
    """Return a settings file with every setting at its default, as a comment."""
    lines = ["```ini", "[Main]"]
    for setting in SETTINGS:
        note = f" Nothing: {setting.default_note}." if setting.default_note else ""
        quote = "" if setting.default.isdecimal() else '"'
        value = f" {quote}{setting.default}{quote}" if setting.default else ""
        lines += [f"; {setting.meaning}{note}".replace("`", ""), f";{setting.name} ={value}", ""]
    return "\n".join([*lines[:-1], "```"])


def codes_table() -> str:
    """Return the table of the error codes."""
    charged = {codes.Charged.NO: "**no**", codes.Charged.ASK: "ask"}
    rows = ["| Code | In the manual | Meaning | Charged? | What the cashier reads (ru) |", "|---|---|---|---|---|"]
    texts = Texts("ru")
    for entry in codes.CATALOGUE:
        known = "yes" if entry.documented_by_manual else "-"
        words = texts.of_error(entry.code).replace("\n", " ")
        rows.append(f"| {entry.code} | {known} | {_cell(entry.meaning)} | {charged[entry.charged]} | {_cell(words)} |")
    return "\n".join(rows)


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


PAGES = {
    "settings.md": {"table": settings_table, "sample": settings_sample},
    "error-codes.md": {"table": codes_table},
}


def page(path: Path) -> str:
    """Return a page with its generated blocks made anew.

    Raises:
        LookupError: a block's marks are missing.
    """
    text = path.read_text(encoding="utf-8")
    for name, block in PAGES[path.name].items():
        begin, end = f"<!-- generated: {name} -->", "<!-- end -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        around = pattern.split(text)
        if len(around) != 2:  # noqa: PLR2004 - before and after
            raise LookupError(f"{path}: {begin} must be there once")
        text = f"{begin}\n\n{block()}\n\n{end}".join(around)
    return text


def catalogue(language: str) -> Catalog:
    """Return a language's catalogue from its ``.po``."""
    with _po(language).open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN, abort_invalid=True)


def is_compiled(language: str) -> bool:
    """Return whether a language's ``.mo`` says what its ``.po`` says."""
    with _po(language).with_suffix(".mo").open("rb") as file:
        return _words(read_mo(file)) == _words(catalogue(language))


def _po(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def _words(messages: Catalog) -> dict[str, str]:
    return {str(message.id): str(message.string) for message in messages if message.id}


def main(arguments: list[str]) -> int:
    """Write or check everything; return the exit code: 1 where something is out of date."""
    check = arguments == ["--check"]
    stale = [
        language for language in LANGUAGES if not _po(language).with_suffix(".mo").exists() or not is_compiled(language)
    ]
    for language in stale:
        sys.stdout.write(f"{_po(language).with_suffix('.mo')}\n")
        if not check:
            compiled = io.BytesIO()
            write_mo(compiled, catalogue(language))
            _po(language).with_suffix(".mo").write_bytes(compiled.getvalue())
    pages = [DOCS / name for name in PAGES if page(DOCS / name) != (DOCS / name).read_text(encoding="utf-8")]
    for path in pages:
        sys.stdout.write(f"{path}\n")
        if not check:
            path.write_text(page(path), encoding="utf-8")
    return 1 if check and (stale or pages) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
