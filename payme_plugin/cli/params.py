"""The types of the commands' parameters; each refuses a value with what is allowed, and some complete one."""

from __future__ import annotations

import re
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from payme_plugin.cli.options import GlobalOptions
from payme_plugin.cli.output import CommandFailed, render
from payme_plugin.locale import message

_PLAIN_AMOUNT = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,2}))?")
_LARGEST = 2**63 - 1
_LONGEST_SHOWN = 40
_LONGEST_ID = 100
_LONGEST_REASON = 500
_MOST_COMPLETIONS = 50


class _Type(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.5
    """A type that refuses a value with a text of the catalogue."""

    def refuse(self, key: str, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        shown = value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…"
        self.fail(render(message(key, value=shown)), param, ctx)


class _Amount(_Type):
    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Return an amount in UZS, e.g. ``15000.00``, in tiyin; no float is used."""
        found = _PLAIN_AMOUNT.fullmatch(value)
        whole, tiyin = found.groups(default="") if found else ("", "")
        amount = int(whole or 0) * 100 + int(tiyin.ljust(2, "0"))
        if not 0 < amount <= _LARGEST:
            self.refuse("cli.not_an_amount" if amount <= _LARGEST else "cli.amount_too_large", value, param, ctx)
        return amount


class _Date(_Type):
    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:  # noqa: ANN401
        """Return a date that this machine has as a local time."""
        try:
            day = date.fromisoformat(value)
            day_begins_ms(day + timedelta(days=1))
        except (ValueError, OverflowError):
            day = date.min
        # Later versions of Python take other forms too.
        if day.isoformat() != value or day == date.min:
            self.refuse("cli.not_a_date", value, param, ctx)
        return day


class _Reason(_Type):
    name = "reason"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        reason = str(value).strip()
        if not (0 < len(reason) <= _LONGEST_REASON and reason.isprintable()):
            self.refuse("cli.not_a_reason", value, param, ctx)
        return reason


class _PaymentId(_Type):
    name = "payment_id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401, ARG002
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Return the newest payments of the journal."""
        from payme_plugin.cli.files import read_journal  # noqa: PLC0415 - it loads the ledger

        try:
            with read_journal((ctx.find_object(GlobalOptions) or GlobalOptions()).data_dir) as reader:
                ids = [] if reader is None else [row.payment_id for row in reader.payments()]
        except CommandFailed:
            return []
        return [CompletionItem(each) for each in ids if each.startswith(incomplete)][:_MOST_COMPLETIONS]


class _NewPaymentId(_PaymentId):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        if not (0 < len(value) <= _LONGEST_ID and value.isprintable()):
            self.refuse("cli.not_a_payment_id", value, param, ctx)
        return str(value)


class _FiscalUrl(_Type):
    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        from payme_plugin.operations.fiscal import fiscal_data_of  # noqa: PLC0415 - `payme pay` only

        if fiscal_data_of(value) is None:
            self.refuse("cli.not_a_fiscal_url", value, param, ctx)
        return str(value)


class _Items(click.Path):
    name = "items"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """Return the items that a JSON file lists."""
        from payme_plugin.cli.items import items_in  # noqa: PLC0415 - `payme pay` and `refund` only

        try:
            return items_in(Path(value))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self.fail(render(message("cli.file_unreadable", path=value, reason=reason)), param, ctx)
        except ValueError as error:
            self.fail(render(message("cli.file_unusable", path=value, reason=error)), param, ctx)


AMOUNT = _Amount()
DATE = _Date()
REASON = _Reason()
PAYMENT_ID = _PaymentId()
NEW_PAYMENT_ID = _NewPaymentId()
FISCAL_URL = _FiscalUrl()
ITEMS = _Items()
TEMPLATE = click.Path(path_type=Path)
ROW_NUMBER = click.IntRange(1, 2**63 - 1)
"""The number of a row, as ``payme queue list`` shows it."""


def day_begins_ms(day: date) -> int:
    """Return when a day begins in local time, in Unix milliseconds; daylight saving counts.

    Raises:
        OverflowError: the machine has no such time.
    """
    return int(time.mktime((day.year, day.month, day.day, 0, 0, 0, 0, 0, -1))) * 1000
