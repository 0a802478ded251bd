"""Tables from the sources of the settings, the error codes and the cashiers' texts."""

from __future__ import annotations

from payme_plugin.paymego import codes
from payme_plugin.settings import SETTINGS
from payme_plugin.texts import Text, Texts

__all__ = ["TEXT_CATEGORIES", "codes_table", "settings_sample", "settings_table", "texts_table"]

TEXT_CATEGORIES = (*dict.fromkeys(text.value.partition(".")[0] for text in Text), "error")
"""The first words of the texts' keys, in the order of the texts."""


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
    rows = ["| Code | In the manual | Meaning | Charged? | What the cashier reads (ru) |", "|---|---|---|---|---|"]
    texts = Texts("ru")
    for entry in codes.CATALOGUE:
        known = "yes" if codes.is_documented(entry.code) else "-"
        words = texts.of_error(entry.code).replace("\n", " ")
        charged = "**no**" if entry.proves_no_charge else "ask"
        rows.append(f"| {entry.code} | {known} | {_cell(entry.meaning)} | {charged} | {_cell(words)} |")
    return "\n".join(rows)


def texts_table(category: str) -> str:
    """Return the Russian texts of a category, each with its key."""
    rows = ["| Текст на экране | Ключ |", "|---|---|"]
    texts = Texts("ru")
    if category == "error":
        numbers = [entry.code for entry in codes.CATALOGUE]
        shown = {f"error.{number}": texts.of_error(number).replace(f"({number})", "({code})") for number in numbers}
    else:
        shown = {text.value: texts(text) for text in Text if text.value.partition(".")[0] == category}
    for key, words in shown.items():
        shown_words = words.replace("\n", "<br>")
        rows.append(f"| {_cell(shown_words)} | `{key}` |")
    return "\n".join(rows)


def _cell(words: str) -> str:
    return words.replace("|", "\\|")
