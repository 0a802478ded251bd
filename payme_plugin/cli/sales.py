"""The till's list of sales for ``payme reconcile``: from a file, from a host in Python, or the reference till's own."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from hookspecs import SaleRecord
from hookspecs.structure import StructureError, structure
from payme_plugin.cli.output import CommandFailed, UsageFault
from payme_plugin.locale import message
from payme_plugin.operations.host_guard import GuardedHost
from payme_plugin.paymego.jsonrpc import parse_strict

if TYPE_CHECKING:
    from hookspecs import Host

_MAX_FILE_BYTES = 67_108_864
_KINDS = {"payment_id": "text", "receipt_id": "text", "amount": "whole", "sold_at": "whole"}


def sales_in(path: str) -> tuple[SaleRecord, ...]:
    """Return the sales that a JSON file lists.

    Raises:
        CommandFailed: it can't be read or used; the text has the place of the fault and what is allowed there.
    """
    try:
        with Path(path).open("rb") as file:
            # Of a larger file what is left is not JSON.
            sales = structure(tuple[SaleRecord, ...], parse_strict(file.read(_MAX_FILE_BYTES)), "sales")
        for index, sale in enumerate(sales):
            if sale.amount <= 0:
                raise StructureError(f"sales[{index}].amount", "must be positive")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CommandFailed(message("cli.file_unreadable", path=path, reason=reason)) from error
    except StructureError as error:
        kind = _KINDS.get(error.path.rpartition(".")[2], "sale")
        allowed = message(f"cli.sales.{kind}", place=error.path)
        raise CommandFailed(message("cli.file_unusable", path=path, reason=allowed)) from error
    except ValueError as error:
        allowed = message("cli.sales.not_json", most=_MAX_FILE_BYTES)
        raise CommandFailed(message("cli.file_unusable", path=path, reason=allowed)) from error
    return sales


def host_named(name: str, identity: str | None) -> GuardedHost:
    """Return the host that ``MODULE:ATTRIBUTE`` names: an object, or what a callable without arguments returns.

    Args:
        name: the module and the attribute.
        identity: the till that the journal belongs to; None if there is no journal.

    Raises:
        UsageFault: there is no such host, or it is another till.
    """
    module, _, attribute = name.partition(":")
    try:
        found: Host = getattr(importlib.import_module(module), attribute)
        if isinstance(found, type) or not hasattr(found, "is_recorded"):
            found = found()  # type: ignore[operator]  # a class or a function
        is_other = identity is not None and found.identity != identity
    except (Exception, SystemExit) as error:  # its exit code would say that there are no differences
        reason = f"{type(error).__name__}: {error}"
        raise UsageFault(message("cli.host_unusable", name=name, reason=reason)) from error
    missing = [each for each in ("is_recorded", "sales") if not callable(getattr(found, each, None))]
    if missing:
        raise UsageFault(message("cli.host_lacks", name=name, missing=missing[0]))
    if is_other:  # its sales say nothing about this till's receipts
        raise UsageFault(message("cli.host_of_another_till", name=name, identity=identity))
    return GuardedHost(found)
