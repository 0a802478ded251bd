"""``Settings``: one frozen object that an operation lives by from its first step to its last."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from payme_plugin.secret import Secret
from payme_plugin.settings.code_pattern import written
from payme_plugin.settings.table import CONF_FILE, SETTINGS, Setting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from payme_plugin.settings.remarks import Origin, SettingWarning
    from payme_plugin.settings.urls import ProxyAddress

__all__ = ["FormerAccount", "Settings", "Shown", "shown_values"]


@dataclass(frozen=True, slots=True)
class FormerAccount:
    """A merchant account that took payments before, from a section ``[Account <posId>]``.

    Attributes:
        pos_id: its id.
        url: its server's address.
        pos_key: its key.
    """

    pos_id: str
    url: str
    pos_key: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Checked settings. Two are equal when their values are, wherever the values came from.

    Attributes:
        timeout_s: seconds that one request may take.
        url: the server's address, path included.
        pos_id: the kassa's id.
        pos_key: the kassa's key, from ``posKey`` or from the file that ``posKeyFile`` names.
        pay_duration_ms: milliseconds for which a state is asked for.
        frequency_ms: milliseconds between two questions.
        payment_provider: the provider's code on the fiscal receipt.
        ignored_errors: codes after which no cancellation is queued.
        payment_type: the tender's number; None: no tender.
        language: ``ru``, ``uz`` or ``en``; None: the till's.
        account: template of the account, for ``account_of``.
        slip_template: the slip's template; None: the shipped one.
        slip_copies: how often a slip is printed.
        slip_encoding: Python's name of the printer's code page; None: any letter.
        pos_key_file: the file that the key came from, or None.
        ca_file: the certificates to trust; None: the system's.
        proxy: the HTTP proxy that requests go through; None: none.
        allow_plain_http: plain http beyond this machine was allowed.
        code_pattern: what a buyer's code looks like, for ``fullmatch``.
        code_prefix: what the scanner adds before a code; empty: nothing.
        code_suffix: what the scanner adds after a code; empty: nothing.
        stale_codes: error codes that mean a stale code; each proves that nothing was charged.
        cancel_accepted_is_done: state 21 counts as done.
        queue_url: the broker's address, which may hold a password; empty: none.
        keep_days: days that finished payments stay in the journal.
        run_worker: cancellations are carried out by a thread of this process.
        former_accounts: merchant accounts whose payments may still be returned.
        conf_file: the settings file that was looked for.
        origins: where each value came from, by the setting's name. Not to be changed.
        warnings: what should be looked at.
    """

    timeout_s: int
    url: str
    pos_id: str
    pos_key: Secret
    pay_duration_ms: int
    frequency_ms: int
    payment_provider: int
    ignored_errors: frozenset[int]
    payment_type: int | None
    language: str | None
    account: str
    slip_template: Path | None
    slip_copies: int
    slip_encoding: str | None
    pos_key_file: Path | None
    ca_file: Path | None
    proxy: ProxyAddress | None
    allow_plain_http: bool
    code_pattern: re.Pattern[str]
    code_prefix: str
    code_suffix: str
    stale_codes: frozenset[int]
    cancel_accepted_is_done: bool
    queue_url: str = field(repr=False)
    keep_days: int
    run_worker: bool
    former_accounts: tuple[FormerAccount, ...] = ()
    conf_file: Path
    origins: Mapping[str, Origin] = field(compare=False, repr=False)
    warnings: tuple[SettingWarning, ...] = field(default=(), compare=False, repr=False)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What must never be shown."""
        keys = (self.pos_key, *(account.pos_key for account in self.former_accounts))
        login = None if self.proxy is None else self.proxy.login
        return keys if login is None else (*keys, login, Secret(login.reveal().partition(":")[2]))

    @property
    def accounts(self) -> tuple[Settings, ...]:
        """These settings, and the same with each former merchant account."""
        return (
            self,
            *(replace(self, pos_id=one.pos_id, url=one.url, pos_key=one.pos_key) for one in self.former_accounts),
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting as people see it.

    Attributes:
        name: its name.
        value: its value as it would be written, the key and passwords masked; empty for nothing.
        origin: where it came from.
        setting: its row of the table; None for ``confFile``.
    """

    name: str
    value: str
    origin: Origin
    setting: Setting | None


def shown_values(values: Mapping[str, object], origins: Mapping[str, Origin], conf_file: Path) -> tuple[Shown, ...]:
    """Return the settings file and those settings that have a value among ``values``, which are by field."""
    rows = [Shown(CONF_FILE, str(conf_file), origins[CONF_FILE], None)]
    for setting in SETTINGS:
        if setting.field in values:
            value = setting.masked(_written(values[setting.field]))
            rows.append(Shown(setting.name, value, origins[setting.name], setting))
    return tuple(rows)


def _written(value: object) -> str:
    """Return a value as it would be written in a settings file; the key as its mask."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, frozenset):
        return ", ".join(map(str, sorted(value, reverse=True)))
    return written(value) if isinstance(value, re.Pattern) else str(value)
