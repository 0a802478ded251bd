"""The findings of ``payme doctor``, from its catalogue and its code."""

from __future__ import annotations

import re
from pathlib import Path

import payme_plugin
from blocks.tables import table
from payme_plugin.doctor import Check
from payme_plugin.locale import message

_SOURCES = Path(payme_plugin.__file__).parent / "doctor"
_NAMED = re.compile(r'"(doctor\.[a-z-]+\.[a-z_]+)"')
_HEADS = {
    "en": ("Check", "What it says", "What to do"),
    "ru": ("Проверка", "Что написано", "Что делать"),
}


def findings_table(language: str) -> str:
    """Return the table of the findings that need something to be done; ``…`` stands for what differs by till."""
    sources = "".join(file.read_text("utf-8") for file in sorted(_SOURCES.glob("*.py")))
    named = dict.fromkeys(_NAMED.findall(sources))
    rows = [_HEADS[language]]
    for check in Check:
        for key in named:
            remedy = _shown(f"{key}.remedy", language)
            if key.split(".")[1] == check.value and remedy != f"{key}.remedy":
                rows.append((f"`{check.value}`", _shown(key, language), remedy))
    return table(*rows)


def _shown(key: str, language: str) -> str:
    return re.sub(r"\{[a-z_]+\}", "…", message(key).text(language))
