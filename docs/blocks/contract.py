"""The contract as Markdown: every hook, service and model with its own docstring."""

from __future__ import annotations

import inspect
import re
from enum import Enum
from typing import TYPE_CHECKING

import hookspecs
from hookspecs import Host, SalesHost, Ui, hooks, models

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def version_sentence() -> str:
    """Return the contract's version as a sentence."""
    return f"This is version {hookspecs.API_VERSION} of the contract (`hookspecs.API_VERSION`)."


def hook_blocks() -> str:
    """Return every hook in the order of a sale's life."""
    blocks: list[str] = []
    for name, hook in vars(hooks).items():
        if (mark := getattr(hook, f"{hooks.PROJECT}_spec", None)) is not None:
            call, result = _call(name, hook), inspect.signature(hook).return_annotation
            kind = "the first plugin that answers" if mark["firstresult"] else "all plugins are called"
            blocks += [f"### {call}", f"`{call} -> {result}` ({kind})", _markdown(hook)]
    return "\n\n".join(blocks)


def model_blocks() -> str:
    """Return every model with its fields, and every enum with its members."""
    blocks: list[str] = []
    for name, model in vars(models).items():
        if name not in models.__all__:
            continue
        blocks += [f"### {name}", _markdown(model, model.__annotations__)]
        if issubclass(model, Enum):
            source = inspect.getsource(model).replace("``", "`")
            members = re.findall(r'^    (\w+) = .*\n(?:    """(.*)""")?', source, re.MULTILINE)
            blocks.append("\n".join(f"- `{member}`{note and ': ' + note}" for member, note in members))
    return "\n\n".join(blocks)


def service_blocks() -> str:
    """Return what a host offers: the members of ``Host``, ``SalesHost`` and ``Ui``."""
    blocks: list[str] = []
    for protocol in (Host, SalesHost, Ui):
        blocks += [f"### {protocol.__name__}", _markdown(protocol)]
        for name, member in vars(protocol).items():
            if isinstance(member, property) and member.fget is not None:
                blocks += [f"#### {name}: {inspect.signature(member.fget).return_annotation}", _markdown(member)]
            elif not name.startswith("_"):
                blocks += [f"#### {_call(name, member)}", _markdown(member)]
    return "\n\n".join(blocks)


def _call(name: str, function: Callable[..., object]) -> str:
    """Return a hook or a method as it is called: its name and its arguments."""
    return f"{name}({', '.join(each for each in inspect.signature(function).parameters if each != 'self')})"


def _markdown(source: object, types: Mapping[str, str] | None = None) -> str:
    """Return a docstring as Markdown: its entries as a list, with the types of fields, and its ends in bold."""

    def entry(found: re.Match[str]) -> str:
        kind = (types or {}).get(found[1])
        return f"- `{found[1]}`: " if kind is None else f"- `{found[1]}` (`{kind}`): "

    text = (inspect.getdoc(source) or "").replace("``", "`")
    for pattern, result in (
        (r"^Returns:\n +", "Returns: "),
        (r"^(Returns|Money effect|If it raises): (.)", lambda found: f"\n\n**{found[1]}.** {found[2].upper()}"),
        (r"^(?:Args|Attributes|Raises):\n", ""),
        (r"^    (\w+): ", entry),
        (r"\n +", " "),
        (r"\n{3,}", "\n\n"),
    ):
        text = re.sub(pattern, result, text, flags=re.MULTILINE)
    return text
