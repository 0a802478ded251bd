"""The setting ``account``: which fields of the kassa identify a sale, and what goes into them.

The names of the fields are the ones that were agreed for the kassa at Payme; integrations in the field use several.
"""

from __future__ import annotations

import re

from payme_plugin.settings.remarks import UnacceptableError, nearest

__all__ = ["PLACEHOLDERS", "account_of", "pairs_of"]

PLACEHOLDERS = ("till", "shift", "number", "attempt")
"""What a value may take from the sale, in braces."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SHAPE = "pairs name=value with commas between them"


def pairs_of(template: str) -> tuple[tuple[str, str], ...]:
    """Return the fields of a template with their values, placeholders still in them; none for an empty template.

    Raises:
        UnacceptableError: it is no such template.
    """
    if not template:
        return ()
    pairs: dict[str, str] = {}
    for pair in template.split(","):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not value or not _NAME.fullmatch(name):
            raise UnacceptableError(f"allowed are {_SHAPE}; names are Latin letters, digits and _")
        if name in pairs:
            raise UnacceptableError(f"allowed are {_SHAPE}, each name once; {name} is there twice")
        _check_placeholders(value)
        pairs[name] = value
    return tuple(pairs.items())


def _check_placeholders(value: str) -> None:
    allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    for name in _PLACEHOLDER.findall(value):
        if name not in PLACEHOLDERS:
            near = nearest(name, PLACEHOLDERS)
            hint = f"; did you mean {{{near}}}" if near else ""
            raise UnacceptableError(f"allowed in braces are {allowed}{hint}")
    if re.search(r"[{}]", _PLACEHOLDER.sub("", value)):
        raise UnacceptableError(f"a brace lacks its partner; allowed in braces are {allowed}")


def account_of(template: str, *, till: str, shift: int, number: int, attempt: int) -> dict[str, str]:
    """Return what goes into the account of ``receipts.create``.

    Args:
        template: a checked setting ``account``.
        till: the till's stable name.
        shift: number of the shift.
        number: number of the receipt in its shift.
        attempt: which press of the tender on this receipt it is, from 1.

    Raises:
        UnacceptableError: ``template`` was not checked and can't be used.

    Money effect: none.
    """
    facts = {"till": till, "shift": str(shift), "number": str(number), "attempt": str(attempt)}
    return {name: _PLACEHOLDER.sub(lambda found: facts[found[1]], value) for name, value in pairs_of(template)}
