"""The types of the commands' parameters; each refuses a value with what is allowed, and some complete one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import fields
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.shell_completion import CompletionItem

from hookspecs import Item, ItemFiscal, SaleRecord
from hookspecs.structure import StructureError, structure
from payme_plugin.cli.options import current_options
from payme_plugin.cli.output import CommandFailed, uzs
from payme_plugin.conf_file import UnacceptableError
from payme_plugin.locale import message
from payme_plugin.paymego.jsonrpc import parse_strict
from payme_plugin.settings.parsers import QUEUE

_PLAIN_AMOUNT = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,2}))?")
_PLAIN_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_SAFE_WORD = re.compile(r"[\w.][\w.-]*")
"""What every shell takes as one word with no other meaning."""

_LARGEST = 2**63 - 1
_LARGEST_PORT = 65_535
_LOOPBACK = "127.0.0.1"
_LONGEST_SHOWN = 40
_LONGEST_ID = 100
_LONGEST_REASON = 500
_MOST_COMPLETIONS = 50
_MOST_SEARCHED = 1_000
_MAX_FILE_BYTES = 1_048_576
_MAX_ITEMS = 1_000
_MAX_CHARACTERS = 1_000
_MAX_PERCENT = 100
_MAX_QUANTITY = Decimal(10) ** 12
_QUANTITY_STEP = Decimal(10) ** -9

_KINDS = {"text": {"name", "barcode", "marking", "code", "package_code"}, "tiyin": {"price", "amount", "discount"}}
"""The members of an item that are alike; a fault of any other has a text of its own."""

_Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


class _Checked(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.5
    """A type that refuses a value with a text of the catalogue.

    Args:
        name: the type's name.
        read: returns what a text stands for, or raises ``CommandFailed`` with what is allowed.
        complete: returns how a word may go on.
    """

    def __init__(
        self, name: str, read: Callable[[str], Any], complete: _Complete = click.STRING.shell_complete
    ) -> None:
        self.name = name
        self._read = read
        self._complete = complete

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        try:
            return self._read(value)
        except CommandFailed as error:
            self.fail(error.format_message(), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return self._complete(ctx, param, incomplete)


class WholeNumber(click.IntRange):
    """A whole number from ``min``, and to ``max`` if there is one; anything else is refused with these limits."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """Return the number that ``value`` is."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            key = "cli.not_a_number_from" if self.max is None else "cli.not_a_number_from_to"
            self.fail(_refused(key, str(value), low=self.min, high=self.max).format_message(), param, ctx)


def _refused(key: str, value: str, **limits: float | None) -> CommandFailed:
    shown = value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…"
    return CommandFailed(message(key, value=shown, **limits))


def _amount(text: str) -> int:
    """Return an amount in UZS, e.g. ``15000.00``, in tiyin; no float is used."""
    found = _PLAIN_AMOUNT.fullmatch(text)
    whole, tiyin = found.groups(default="") if found else ("", "")
    amount = int(whole or 0) * 100 + int(tiyin.ljust(2, "0"))
    if not 0 < amount <= _LARGEST:
        raise _refused("cli.not_an_amount" if amount <= _LARGEST else "cli.amount_too_large", text)
    return amount


def _amounts(text: str) -> tuple[int | None, int | None]:
    """Return the limits of a range in UZS, e.g. ``1000.00-20000.00``, in tiyin; one amount is both, None is open."""
    low, is_range, high = text.partition("-")
    try:
        limits = _amount(low) if low else None, _amount(high) if high else None
    except CommandFailed:
        limits = None, None
    if limits == (None, None):
        raise _refused("cli.not_amounts", text)
    if limits[0] is not None and limits[1] is not None and limits[0] > limits[1]:
        raise _refused("cli.amounts_reversed", text)
    return limits if is_range else (limits[0], limits[0])


def _times(text: str) -> int | None:
    """Return how often; ``always`` is None."""
    if text == "always":
        return None
    if not _PLAIN_NUMBER.fullmatch(text):
        raise _refused("cli.not_times", text)
    return int(text)


def _sandbox_url(text: str) -> str:
    """Return the origin of a sandbox, without a slash at its end."""
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise _refused("cli.not_a_sandbox_url", text)
    return text.rstrip("/")


def _date(text: str) -> date:
    """Return a date that this machine has as a local time."""
    try:
        day = date.fromisoformat(text)
        day_begins_ms(day + timedelta(days=1))
    except (ValueError, OverflowError):
        day = date.min
    # Later versions of Python take other forms too.
    if day.isoformat() != text or day == date.min:
        raise _refused("cli.not_a_date", text)
    return day


def _reason(text: str) -> str:
    reason = text.strip()
    if not (0 < len(reason) <= _LONGEST_REASON and reason.isprintable()):
        raise _refused("cli.not_a_reason", text)
    return reason


def _new_payment_id(text: str) -> str:
    if not (0 < len(text) <= _LONGEST_ID and text.isprintable()):
        raise _refused("cli.not_a_payment_id", text)
    return text


def _fiscal_url(text: str) -> str:
    from payme_plugin.operations.fiscal import fiscal_data_of  # noqa: PLC0415 - `payme pay` only

    if fiscal_data_of(text) is None:
        raise _refused("cli.not_a_fiscal_url", text)
    return text


def _stored_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Return the newest payments of the journal, without ids that are not safe in a shell."""
    from payme_plugin.cli.files import read_journal  # noqa: PLC0415 - it loads the ledger

    try:
        with read_journal(current_options().data_dir) as reader:
            ids = [] if reader is None else [row.payment_id for row in reader.payments(most=_MOST_SEARCHED)]
    except CommandFailed:
        return []
    safe = (each for each in ids if each.startswith(incomplete) and _SAFE_WORD.fullmatch(each))
    return [CompletionItem(each) for each in safe][:_MOST_COMPLETIONS]


def items_in(path: str) -> tuple[Item, ...]:
    """Return the items that a JSON file lists.

    Raises:
        CommandFailed: it can't be read or used; the text has the place of the fault and what is allowed there.
    """
    try:
        with Path(path).open("rb") as file:
            # Of a larger file what is left is not JSON.
            items = structure(tuple[Item, ...], parse_strict(file.read(_MAX_FILE_BYTES)), "items")
        if len(items) > _MAX_ITEMS:
            raise StructureError("items", "too many")
        for index, item in enumerate(items):
            _check(item, f"items[{index}]")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CommandFailed(message("cli.file_unreadable", path=path, reason=reason)) from error
    except StructureError as error:
        name = "item" if error.path.endswith("]") else error.path.rpartition(".")[2]
        kind = next((kind for kind, names in _KINDS.items() if name in names), name)
        allowed = message(f"cli.items.{kind}", place=error.path)
        raise CommandFailed(message("cli.file_unusable", path=path, reason=allowed)) from error
    except ValueError as error:
        allowed = message("cli.items.not_json", most=_MAX_FILE_BYTES)
        raise CommandFailed(message("cli.file_unusable", path=path, reason=allowed)) from error
    return items


def _check(model: Item | ItemFiscal, path: str) -> None:
    """Refuse what no till sells: long texts, amounts below zero, and quantities that can't be printed."""
    for name in (field.name for field in fields(model)):
        value, is_good = getattr(model, name), True
        if isinstance(value, ItemFiscal):
            _check(value, f"{path}.{name}")
        elif isinstance(value, str):
            is_good = len(value) <= _MAX_CHARACTERS
        elif isinstance(value, int):
            is_good = 0 <= value <= (_MAX_PERCENT if name == "vat_percent" else _LARGEST)
        elif isinstance(value, Decimal):
            is_good = 0 < value <= _MAX_QUANTITY and not value % _QUANTITY_STEP
        if not is_good:
            raise StructureError(f"{path}.{name}", "out of bounds")


def _sales(path: str) -> tuple[SaleRecord, ...]:
    from payme_plugin.cli.sales import sales_in  # noqa: PLC0415 - `payme reconcile` only

    return sales_in(path)


def total_of(items: tuple[Item, ...]) -> int:
    """Return what a sale of ``items`` costs, in tiyin.

    Raises:
        click.UsageError: the amount can't be charged.
    """
    total = sum(item.amount for item in items)
    if not 0 < total <= _LARGEST:
        raise click.UsageError(message("cli.items_total", total=uzs(total)).text(current_options().language))
    return total


def _broker(url: str) -> str:
    """Return the address of a broker. The error does not show it, because a misspelt one may hold a password."""
    try:
        if url:
            return str(QUEUE.parse(url))
    except UnacceptableError:
        pass
    raise CommandFailed(message("cli.not_a_broker"))


def _metrics_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) <= _LARGEST_PORT):
        raise _refused("cli.not_an_address", text)
    return host or _LOOPBACK, int(port)


def _sandbox_account(text: str) -> tuple[str, str | None]:
    from payme_plugin.sandbox import NewAccount  # noqa: PLC0415 - `payme sandbox` only

    pos_id, colon, key = text.partition(":")
    pos_key = key if colon else None
    try:
        NewAccount(pos_id, pos_key)
    except ValueError:
        # The key is not shown.
        raise _refused("cli.sandbox.not_an_account", pos_id) from None
    return pos_id, pos_key


AMOUNT = _Checked("amount", _amount)
AMOUNTS = _Checked("amounts", _amounts)
TIMES = _Checked("times", _times)
SANDBOX_URL = _Checked("url", _sandbox_url)
DATE = _Checked("date", _date)
REASON = _Checked("reason", _reason)
PAYMENT_ID = _Checked("payment_id", str, _stored_ids)
NEW_PAYMENT_ID = _Checked("payment_id", _new_payment_id, _stored_ids)
FISCAL_URL = _Checked("url", _fiscal_url)
ITEMS = _Checked("items", items_in, click.Path().shell_complete)
SALES = _Checked("sales", _sales, click.Path().shell_complete)
BROKER = _Checked("url", _broker)
METRICS_ADDRESS = _Checked("address", _metrics_address)
SANDBOX_ACCOUNT = _Checked("account", _sandbox_account)
ROW_NUMBER = click.IntRange(1, _LARGEST)
"""The number of a row, as ``payme queue list`` shows it."""


def day_begins_ms(day: date) -> int:
    """Return when a day begins in local time, in Unix milliseconds; daylight saving counts.

    Raises:
        OverflowError: the machine has no such time.
    """
    return int(time.mktime((day.year, day.month, day.day, 0, 0, 0, 0, 0, -1))) * 1000
