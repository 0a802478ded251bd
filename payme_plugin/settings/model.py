"""Every setting, declared once, and ``Settings``, the frozen result that an operation keeps from beginning to end.

Loading, ``docs/settings.md`` and ``payme settings`` are made from the table. Its first eight names, their units and
defaults are those of the module that this plugin replaces; the rest are ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from payme_plugin.locale import Message, message
from payme_plugin.secret import Secret
from payme_plugin.settings import parsers
from payme_plugin.settings.parsers import host_of, masked_address, optional, whole, written_pattern
from payme_plugin.settings.problems import SettingWarning

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from payme_plugin.settings.parsers import Kind, ProxyAddress
    from payme_plugin.settings.problems import Origin

CONF_FILE = "confFile"
"""The one setting that only the host can give."""

_HOUR_MS = 3_600_000
_PLAIN_PROXY = re.compile(r"|http://[A-Za-z0-9._-]+(:[0-9]{1,5})?/?")
_LARGEST_NUMBER = 2**31 - 1


class Setting(NamedTuple):
    """One setting.

    Attributes:
        name: its name in ``payme.go.conf`` and in the host's settings.
        field: its field in ``Settings``.
        kind: what it may be.
        default: its default as it would be written, or an empty string.
    """

    name: str
    field: str
    kind: Kind
    default: str = ""

    @property
    def meaning(self) -> Message:
        """What it does, in one or two sentences."""
        return message(f"settings.about.{self.name}")

    @property
    def unset(self) -> Message:
        """What an empty value means, if that is the default."""
        return message(f"settings.unset.{self.name}")

    def masked(self, text: str) -> str:
        """Return a value without secrets: the key, also in the place of another setting, and passwords in addresses."""
        if self.name == "posKey" or (self.name == "posKeyFile" and not text.startswith("/")):
            return "***" if text else ""
        if self.name == "posId" and ":" in text:  # as in the header of a request: the id and the key
            return f"{text.partition(':')[0]}:***"
        if self.name == "proxy":
            # Without an @ the password may stand anywhere in a misspelt address.
            return masked_address(text) if "@" in text or _PLAIN_PROXY.fullmatch(text) else "***"
        return masked_address(text) if self.name in {"url", "queueUrl"} else text


SETTINGS = (
    Setting("timeout", "timeout_s", whole(1, 300, "seconds"), "10"),
    Setting("url", "url", parsers.SERVER, "http://localhost"),
    Setting("posId", "pos_id", parsers.POS_ID, "id"),
    Setting("posKey", "pos_key", parsers.POS_KEY, "key"),
    Setting("payDuration", "pay_duration_ms", whole(1_000, _HOUR_MS, "milliseconds"), "300000"),
    Setting("frequency", "frequency_ms", whole(100, _HOUR_MS, "milliseconds"), "10000"),
    Setting("paymentProvider", "payment_provider", whole(1, 999_999), "141"),
    Setting("ignoredErrors", "ignored_errors", parsers.CODES),
    Setting("paymentType", "payment_type", whole(0, _LARGEST_NUMBER)),
    Setting("language", "language", optional(parsers.one_of("ru", "uz", "en"))),
    Setting("account", "account", parsers.ACCOUNT, "order_id={till}-{shift}-{number}-{attempt}"),
    Setting("slipTemplate", "slip_template", optional(parsers.PATH)),
    Setting("slipCopies", "slip_copies", whole(0, 5), "2"),
    Setting("slipEncoding", "slip_encoding", optional(parsers.CODEC)),
    Setting("posKeyFile", "pos_key_file", optional(parsers.PATH)),
    Setting("caFile", "ca_file", optional(parsers.PATH)),
    Setting("proxy", "proxy", optional(parsers.PROXY)),
    Setting("allowPlainHttp", "allow_plain_http", parsers.SWITCH, "0"),
    Setting("codePattern", "code_pattern", parsers.PATTERN, "[0-9]{6,64}"),
    Setting("codePrefix", "code_prefix", parsers.AFFIX),
    Setting("codeSuffix", "code_suffix", parsers.AFFIX),
    Setting("staleCodes", "stale_codes", parsers.CODES, "-31400, -31101, -31103"),
    Setting("cancelAcceptedIsDone", "cancel_accepted_is_done", parsers.SWITCH, "0"),
    Setting("queueUrl", "queue_url", parsers.QUEUE),
    Setting("keepDays", "keep_days", whole(30, 3650, "days"), "400"),
    Setting("runWorker", "run_worker", parsers.SWITCH, "1"),
    Setting("earlyPolling", "early_polling", optional(parsers.SWITCH)),
)
"""In the order of the docs and of a written file."""


class FormerAccount(NamedTuple):
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
    """Checked settings. Two are equal if their values are, wherever the values came from.

    Attributes:
        timeout_s: seconds that one request may take.
        url: the server's address with its path.
        pos_id: the id of the merchant account.
        pos_key: its key, from ``posKey`` or from the file that ``posKeyFile`` names.
        pay_duration_ms: milliseconds for which the state is polled.
        frequency_ms: milliseconds between two polls.
        payment_provider: the provider's code on the fiscal receipt.
        ignored_errors: codes after which no cancellation is queued.
        payment_type: the tender's number.
        language: ``ru``, ``uz`` or ``en``; None: the host's.
        account: template of the account, for ``account_of``.
        slip_template: the slip's template; None: the shipped one.
        slip_copies: how often a slip is printed.
        slip_encoding: Python's name of the printer's code page; None: any letter.
        pos_key_file: the file that the key came from, or None.
        ca_file: the certificates to trust; None: the system's.
        proxy: the HTTP proxy that requests go through, or None.
        allow_plain_http: whether plain http beyond this machine was allowed.
        code_pattern: what a buyer's code looks like, for ``fullmatch``.
        code_prefix: what the scanner adds before a code, or an empty string.
        code_suffix: what the scanner adds after a code, or an empty string.
        stale_codes: error codes that mean a stale code; each proves that nothing was charged.
        cancel_accepted_is_done: whether state 21 counts as done.
        queue_url: the broker's address, which may hold a password, or an empty string.
        keep_days: days that finished payments stay in the journal.
        run_worker: whether a thread of this process delivers cancellations.
        early_polling: whether the first polls do not wait for ``frequency_ms``.
        former_accounts: merchant accounts whose payments may still be returned.
        conf_file: the settings file that was looked for.
        origins: where each value came from, by the setting's name. Not to be changed.
        warnings: probable mistakes.
    """

    timeout_s: int
    url: str
    pos_id: str
    pos_key: Secret
    pay_duration_ms: int
    frequency_ms: int
    payment_provider: int
    ignored_errors: frozenset[int]
    payment_type: int
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
    early_polling: bool
    former_accounts: tuple[FormerAccount, ...] = ()
    conf_file: Path
    origins: Mapping[str, Origin] = field(compare=False, repr=False)
    warnings: tuple[SettingWarning, ...] = field(default=(), compare=False, repr=False)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The texts that must never be shown."""
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

    def return_warnings(self, payments: Iterable[tuple[str, str]]) -> list[SettingWarning]:
        """Return why payments can't be returned, or not surely, with these settings.

        Args:
            payments: the ``posId`` and ``url`` at which each payment with a live cancellation was made.
        """
        urls = {account.pos_id: account.url for account in self.accounts}
        warnings = []
        for pos_id, url in sorted(set(payments)):
            if pos_id not in urls:
                explanation = message("settings.account_missing", pos_id=pos_id)
                warnings.append(SettingWarning("posId", self.pos_id, self.origins["posId"], explanation))
            elif pos_id == self.pos_id and host_of(url) != host_of(urls[pos_id]):
                explanation = message("settings.other_host", host=host_of(url))
                warnings.append(SettingWarning("url", self.url, self.origins["url"], explanation))
        return warnings


class Shown(NamedTuple):
    """A setting as a technician sees it.

    Attributes:
        name: its name.
        value: its value as it would be written, without secrets.
        origin: where it came from.
        setting: its row of the table; None for ``confFile``.
    """

    name: str
    value: str
    origin: Origin
    setting: Setting | None


def written(value: object) -> str:
    """Return a value as it would be written in a settings file; the key as its mask."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, frozenset):
        return ", ".join(map(str, sorted(value, reverse=True)))
    return written_pattern(value) if isinstance(value, re.Pattern) else str(value)
