"""The contract as Markdown: every hook, model and service with the words of its own docstring."""

from __future__ import annotations

import ast
import inspect
import re
from typing import TYPE_CHECKING

import hookspecs
from hookspecs import Host, SalesHost, Ui, hooks, models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["hook_blocks", "model_blocks", "service_blocks", "signature", "version_sentence"]

_SECTIONS = ("Args", "Returns", "Attributes", "Raises")
_CLOSING = ("Money effect", "If it raises")


def signature(name: str, function: Callable[..., object]) -> str:
    """Return a hook or a method as a host calls it: its name and its arguments."""
    arguments = [each for each in inspect.signature(function).parameters if each != "self"]
    return f"{name}({', '.join(arguments)})"


def hook_blocks() -> str:
    """Return every hook in the order of a sale's life."""
    parts: list[str] = []
    for name, hook in vars(hooks).items():
        mark = getattr(hook, f"{hooks.PROJECT}_spec", None)
        if mark is None:
            continue
        kind = "the first plugin that answers" if mark["firstresult"] else "all plugins are called"
        answer = inspect.signature(hook).return_annotation
        typed = f"{signature(name, hook)} -> {answer}"
        parts += [f"### {signature(name, hook)}", f"`{typed}` ({kind})", *_document(hook)]
    return "\n\n".join(parts)


def model_blocks() -> str:
    """Return every model with its fields, and every enum with its members."""
    parts: list[str] = []
    notes = _member_notes()
    for name, model in vars(models).items():
        if name not in models.__all__:
            continue
        parts.append(f"### {name}")
        if name in notes:
            lines = [f"- `{member}`{': ' + note if note else ''}" for member, note in notes[name].items()]
            parts += [*_document(model), "\n".join(lines)]
        else:
            parts += _document(model, {each: _type(kind) for each, kind in model.__annotations__.items()})
    return "\n\n".join(parts)


def service_blocks() -> str:
    """Return what a host offers: the members of ``Host`` and ``Ui``."""
    parts: list[str] = []
    for protocol in (Host, SalesHost, Ui):
        parts += [f"### {protocol.__name__}", *_document(protocol)]
        for name, member in vars(protocol).items():
            if name.startswith("_"):
                continue
            if isinstance(member, property) and member.fget is not None:
                title = f"#### {name}: {inspect.signature(member.fget).return_annotation}"
            else:
                title = f"#### {signature(name, member)}"
            parts += [title, *_document(member)]
    return "\n\n".join(parts)


def _document(source: object, types: dict[str, str] | None = None) -> list[str]:
    """Return a docstring's parts: its sentences, its lists, and what it says at its end."""
    return list(_parts(inspect.getdoc(source) or "", types or {}))


def _parts(text: str, types: dict[str, str]) -> Iterator[str]:
    for block in re.split(r"\n\n+", text):
        title, _, rest = block.partition(":\n")
        if title not in _SECTIONS:
            yield from _paragraphs(block)
        elif title == "Returns":
            yield f"**Returns.** {_sentence(rest)}"
        else:
            yield "\n".join(_item(entry, types) for entry in _entries(rest))


def _paragraphs(block: str) -> Iterator[str]:
    """Return the sentences before a closing word as one paragraph, and each closing with its own."""
    for words in re.split(rf"\n(?=(?:{'|'.join(_CLOSING)}): )", block):
        closing, _, rest = words.partition(": ")
        yield f"**{closing}.** {_sentence(rest)}" if closing in _CLOSING else _plain(words)


def _sentence(text: str) -> str:
    words = _plain(text)
    return words[:1].upper() + words[1:]


def _entries(rest: str) -> Iterator[tuple[str, str]]:
    """Return the entries of a list in a docstring; a deeper indent goes on with the entry above."""
    lines = inspect.cleandoc(rest).splitlines()
    found: list[list[str]] = []
    for line in lines:
        if line.startswith(" "):
            found[-1].append(line.strip())
        else:
            found.append([line])
    for words in found:
        name, _, meaning = " ".join(words).partition(": ")
        yield name, meaning


def _item(entry: tuple[str, str], types: dict[str, str]) -> str:
    name, meaning = entry
    kind = f" ({types[name]})" if name in types else ""
    return f"- `{name}`{kind}: {_plain(meaning)}"


def _type(annotation: object) -> str:
    return f"`{annotation if isinstance(annotation, str) else getattr(annotation, '__name__', annotation)}`"


def _plain(text: str) -> str:
    """Return the words of a docstring as Markdown on one paragraph."""
    return " ".join(text.replace("``", "`").split())


def _member_notes() -> dict[str, dict[str, str]]:
    """Return for every enum its members, each with the string that stands below it in the source."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(models)).body:
        if not isinstance(node, ast.ClassDef) or not any(ast.unparse(base) == "Enum" for base in node.bases):
            continue
        members = found.setdefault(node.name, {})
        name = ""
        for line in node.body:
            if isinstance(line, ast.Assign):
                name = ast.unparse(line.targets[0])
                members[name] = ""
            elif name and isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant):
                members[name] = _plain(str(line.value.value))
    return found


def version_sentence() -> str:
    """Return the contract's version as a sentence."""
    return f"This is version {hookspecs.API_VERSION} of the contract (`hookspecs.API_VERSION`)."
