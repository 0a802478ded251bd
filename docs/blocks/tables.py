"""Settings, error codes, cashiers' texts, states of a payment, slips, and the help of the commands as Markdown."""

from __future__ import annotations

from datetime import timedelta, timezone
from textwrap import wrap

import click

from payme_plugin.cli import main
from payme_plugin.ledger.states import PaymentState, is_allowed
from payme_plugin.locale import message
from payme_plugin.paymego import codes
from payme_plugin.settings import SETTINGS
from payme_plugin.texts import Text, Texts
from slips import SlipRenderer, sample_data

TEXT_CATEGORIES = (*dict.fromkeys(text.value.partition(".")[0] for text in Text), "error")
"""The first words of the texts' keys, in the order of the texts."""

_NEXT_STATES = {state: [after for after in PaymentState if is_allowed(state, after)] for state in PaymentState}


def table(*rows: tuple[object, ...]) -> str:
    """Return a table whose first row is its head."""
    lines = ["".join(f"| {str(cell).replace('|', chr(92) + '|')} " for cell in row) + "|" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def settings_table() -> str:
    """Return the table of the settings."""
    rows = []
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default else setting.unset
        rows.append((f"`{setting.name}`", setting.kind.allowed, default, setting.meaning))
    return table(("Name", "Allowed", "Default", "Meaning"), *rows)


def settings_file(language: str) -> str:
    """Return a settings file with every setting at its default, as a comment."""
    blocks = ["[Main]"]
    for setting in SETTINGS:
        quote = "" if setting.default.isdecimal() else '"'
        value = f"{quote}{setting.default}{quote}" if setting.default else ""
        default = message("settings.default_is", value=value or setting.unset)
        texts = (setting.meaning.text(language), default.text(language))
        lines = [f"; {line}" for text in texts for line in wrap(text, 116, break_on_hyphens=False)]
        blocks.append("\n".join([*lines, f";{setting.name} = {value}".rstrip()]))
    return "\n\n".join(blocks) + "\n"


def settings_sample(language: str) -> str:
    """Return ``settings_file`` as a block of code."""
    return f"```ini\n{settings_file(language)}```"


def codes_table() -> str:
    """Return the table of the error codes."""
    rows = []
    for entry in codes.CATALOGUE:
        known = "yes" if codes.is_documented(entry.code) else "-"
        text = Texts("ru").of_error(entry.code).replace("\n", " ")
        rows.append((entry.code, known, entry.meaning, "**no**" if entry.proves_no_charge else "ask", text))
    return table(("Code", "In the manual", "Meaning", "Charged?", "What the cashier reads (ru)"), *rows)


def texts_table(category: str) -> str:
    """Return the Russian texts of a category, each with its key."""
    texts = Texts("ru")
    shown = {text.value: texts(text) for text in Text if text.value.partition(".")[0] == category}
    if category == "error":
        numbers = [entry.code for entry in codes.CATALOGUE]
        shown = {f"error.{number}": texts.of_error(number).replace(f"({number})", "({code})") for number in numbers}
    rows = [(text.replace("\n", "<br>"), f"`{key}`") for key, text in shown.items()]
    return table(("Текст на экране", "Ключ"), *rows)


def state_diagram() -> str:
    """Return the states and their transitions as a Mermaid diagram."""
    lines = [f"    {before.value} --> {after.value}" for before in PaymentState for after in _NEXT_STATES[before]]
    ends = [f"    {state.value} --> [*]" for state in PaymentState if not _NEXT_STATES[state]]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> intent", *lines, *ends, "```"])


def state_table() -> str:
    """Return the transitions of every state as a table."""
    rows = [
        (f"`{before.value}`", ", ".join(f"`{state.value}`" for state in after) or "none (final)")
        for before, after in _NEXT_STATES.items()
    ]
    return table(("From", "To"), *rows)


def slip_picture(language: str, operation: str = "pay") -> str:
    """Return a made-up slip of the shipped template of a language, as a printer of 32 columns prints it."""
    renderer = SlipRenderer(timezone=timezone(timedelta(hours=5)))
    made = renderer.render(renderer.load(None, language), sample_data(operation), 32)
    return "\n".join(["```text", *(line.rstrip() for line in made.lines), "```"])


def command_help(command: click.Command = main, parent: click.Context | None = None) -> str:
    """Return the help of ``payme`` and all its commands."""
    name = "payme" if parent is None else command.name
    context = command.context_class(command, parent, name, **command.context_settings)
    context.terminal_width = context.max_content_width = 80
    # The usage line of a group is spelt differently by click 8.1 and its later versions.
    text = command.get_help(context).replace(" [COMMAND] [ARGS]...", " COMMAND [ARGS]...")
    blocks = [f"### {context.command_path}\n\n```text\n{text}\n```"]
    if isinstance(command, click.Group):
        inner = (command.get_command(context, each) for each in command.list_commands(context))
        blocks += [command_help(each, context) for each in inner if each is not None]
    return "\n\n".join(blocks)
