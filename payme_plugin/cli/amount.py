"""Sums as people write them, turned into tiyin without a float."""

from __future__ import annotations

import re

import click

__all__ = ["amount_option", "tiyin_of"]

_PLAIN = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,2}))?")
_LARGEST = 2**63 - 1
_ALLOWED = "allowed are sums above zero with at most two decimals, 15000 or 15000.00 say"
_SHOWN_CHARACTERS = 40


def amount_option(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:  # noqa: ARG001
    """Turn the text of an option into tiyin; None where it is not given. It raises as ``tiyin_of`` does."""
    return None if value is None else tiyin_of(value)


def tiyin_of(text: str) -> int:
    """Return a sum as people write it, in tiyin.

    Raises:
        click.BadParameter: it is no amount that can be charged; the text says why, and what is allowed.
    """
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    found = _PLAIN.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{shown!r} is no amount; {_ALLOWED}.")
    whole, tiyin = found.groups(default="")
    amount = int(whole) * 100 + int(tiyin.ljust(2, "0"))
    if amount == 0:
        raise click.BadParameter(f"{shown!r} is nothing; {_ALLOWED}.")
    if amount > _LARGEST:
        raise click.BadParameter(f"{shown!r} is too much; at most {_LARGEST // 100} is allowed.")
    return amount
