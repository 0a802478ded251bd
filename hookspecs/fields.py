"""What the fields of the models must be. Each check raises ``TypeError``, which names the field, not its value."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["require", "require_each", "require_or_none", "require_texts"]


def require(owner: object, kind: type, *names: str) -> None:
    """Raise ``TypeError`` unless every named field of ``owner`` is of ``kind``; a bool is no integer here."""
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            message = f"{type(owner).__name__}.{name} must be {kind.__name__}, not {type(value).__name__}"
            raise TypeError(message)


def require_or_none(owner: object, kind: type, *names: str) -> None:
    """Raise ``TypeError`` unless every named field of ``owner`` is of ``kind`` or None."""
    for name in names:
        if getattr(owner, name) is not None:
            require(owner, kind, name)


def require_each(owner: object, kind: type, *names: str) -> None:
    """Raise ``TypeError`` unless every named field of ``owner`` is a tuple that holds nothing but ``kind``."""
    require(owner, tuple, *names)
    for name in names:
        for each in getattr(owner, name):
            if not isinstance(each, kind):
                message = (
                    f"{type(owner).__name__}.{name} must be a tuple of {kind.__name__}, not of {type(each).__name__}"
                )
                raise TypeError(message)


def require_texts(owner: object, *names: str) -> None:
    """Raise ``TypeError`` unless every named field of ``owner`` is a mapping of strings to strings."""
    require(owner, Mapping, *names)
    for name in names:
        for pair in getattr(owner, name).items():
            for each in pair:
                if not isinstance(each, str):
                    message = f"{type(owner).__name__}.{name} must be str to str, not {type(each).__name__}"
                    raise TypeError(message)
