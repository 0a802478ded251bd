"""Turn JSON documents into the dataclasses of the contract or others with fields of the same types, and back.

For hosts and tools that store the models as JSON. It is not part of the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

_Kind = TypeVar("_Kind")
_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_MAX_NAME_CHARACTERS = 100
_MAX_INTEGER = 2**63


class StructureError(ValueError):
    """A document that does not fit; the text has the path and what is allowed there.

    Attributes:
        path: the place, e.g. ``items[2].price``.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


def structure(kind: type[_Kind], document: object, path: str) -> _Kind:
    """Return a parsed JSON document as ``kind``.

    An object becomes a dataclass: members without a default must be there, unknown ones are refused. A member has its
    field's name, or the one in the field's ``metadata["json"]``. A ``Decimal`` is written as a string, an ``Enum`` as
    its value in upper or lower case.

    Args:
        kind: a dataclass, or a tuple of them, e.g. ``tuple[Item, ...]``.
        document: what ``json.loads`` returned.
        path: the document's name in errors, e.g. ``items``.

    Raises:
        StructureError: a member is missing, unknown or of another type, e.g. "items[2].price: must be an integer".
    """
    return cast("_Kind", _value(kind, document, path))


def unstructure(value: Any) -> Any:  # noqa: ANN401 - any value of a field
    """Return what ``structure`` turns into ``value`` again."""
    if is_dataclass(value):
        return {
            field.metadata.get("json", field.name): unstructure(getattr(value, field.name)) for field in fields(value)
        }
    if isinstance(value, Mapping):
        return {name: unstructure(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [unstructure(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Decimal) else value


def _value(kind: Any, document: Any, path: str) -> object:  # noqa: ANN401 - any annotation of a field
    arguments = get_args(kind)
    if get_origin(kind) is UnionType:
        return None if document is None else _value(arguments[0], document, path)
    if get_origin(kind) is tuple:
        _require(list, document, path)
        return tuple(_value(arguments[0], each, f"{path}[{index}]") for index, each in enumerate(document))
    if get_origin(kind) is Mapping:
        _require(dict, document, path)
        return {name: _value(arguments[1], each, f"{path}[{_shown(name)}]") for name, each in document.items()}
    if is_dataclass(kind):
        return _instance(kind, document, path)
    if kind is Decimal or issubclass(kind, Enum):
        _require(str, document, path)
        return _decimal(document, path) if kind is Decimal else _choice(kind, document, path)
    if kind is float and type(document) is int and abs(document) < _MAX_INTEGER:
        return float(document)
    _require(kind, document, path)
    return document


def _instance(kind: Any, document: Any, path: str) -> object:  # noqa: ANN401 - any dataclass
    _require(dict, document, path)
    known = {field.metadata.get("json", field.name): field for field in fields(kind)}
    for name in document.keys() - known.keys():
        raise StructureError(path, f"has {_shown(name)}; allowed are {', '.join(known)}")
    for name, field in known.items():
        if name not in document and field.default is MISSING and field.default_factory is MISSING:
            raise StructureError(path, f"has no {name}")
    types = _types(kind)
    values = {
        field.name: _value(types[field.name], document[name], f"{path}.{name}")
        for name, field in known.items()
        if name in document
    }
    return kind(**values)


@cache
def _types(kind: type) -> dict[str, object]:
    return get_type_hints(kind)


def _shown(name: str) -> str:
    return repr(name[:_MAX_NAME_CHARACTERS])


def _require(kind: type, document: object, path: str) -> None:
    if type(document) is not kind:
        name = _JSON_TYPES[kind]
        raise StructureError(path, f"must be {'an' if name[0] in 'aio' else 'a'} {name}")


def _decimal(text: str, path: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not (number.is_finite() and text.isascii()):
        raise StructureError(path, 'must be a decimal number as a string, e.g. "0.250"')
    return number


def _choice(kind: type[Enum], text: str, path: str) -> Enum:
    for member in kind:
        if str(member.value).lower() == text.lower():
            return member
    raise StructureError(path, f"must be one of {', '.join(str(member.value).lower() for member in kind)}")
