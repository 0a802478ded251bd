"""Every setting, declared once. The reader, ``docs/settings.md`` and ``payme settings`` are made from this table.

The first eight names, their units and defaults are those of the module that this plugin replaces; the rest are ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.settings import kinds
from payme_plugin.settings.urls import masked_address

if TYPE_CHECKING:
    from payme_plugin.settings.kinds import Kind

__all__ = ["CONF_FILE", "SETTINGS", "Setting"]

CONF_FILE = "confFile"
"""The one setting that only the till itself can give."""

_HOUR_MS = 3_600_000
_PLAIN_PROXY = re.compile(r"|http://[A-Za-z0-9._-]+(:[0-9]{1,5})?/?")
_LARGEST_NUMBER = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        name: its name in ``payme.go.conf`` and in the till's settings.
        field: its field in ``Settings``.
        kind: what it may be.
        default: its default as it would be written; empty for nothing.
        meaning: what it does, one line.
        default_note: what nothing means, where the default is nothing.
    """

    name: str
    field: str
    kind: Kind
    default: str
    meaning: str
    default_note: str = ""

    def masked(self, text: str) -> str:
        """Return a value fit to be shown: the key and passwords in addresses are masked."""
        if self.name == "posKey":
            return "***" if text else ""
        if self.name == "proxy":
            # Without an @ the password may stand anywhere in a misspelt address.
            return masked_address(text) if "@" in text or _PLAIN_PROXY.fullmatch(text) else "***"
        return masked_address(text) if self.name in {"url", "queueUrl"} else text


SETTINGS = (
    Setting(
        name="timeout",
        field="timeout_s",
        kind=kinds.whole(1, 300, "seconds"),
        default="10",
        meaning="How long one request to the server may take, in seconds.",
    ),
    Setting(
        name="url",
        field="url",
        kind=kinds.SERVER,
        default="http://localhost",
        meaning="Address of the server. Used as written; without a path, `/api` is added.",
    ),
    Setting(
        name="posId",
        field="pos_id",
        kind=kinds.KASSA_ID,
        default="id",
        meaning="Id of the kassa. Beyond this machine it must be set.",
    ),
    Setting(
        name="posKey",
        field="pos_key",
        kind=kinds.KASSA_KEY,
        default="key",
        meaning="Key of the kassa, taken whole whatever characters it has. Beyond this machine it must be set.",
    ),
    Setting(
        name="payDuration",
        field="pay_duration_ms",
        kind=kinds.whole(1, _HOUR_MS, "milliseconds"),
        default="300000",
        meaning="How long the state of a payment or a return is asked for, in milliseconds.",
    ),
    Setting(
        name="frequency",
        field="frequency_ms",
        kind=kinds.whole(1, _HOUR_MS, "milliseconds"),
        default="10000",
        meaning="How often it is asked for, in milliseconds between two questions.",
    ),
    Setting(
        name="paymentProvider",
        field="payment_provider",
        kind=kinds.whole(1, 999_999),
        default="141",
        meaning="Code of the provider of payments by QR code, for the fiscal receipt.",
    ),
    Setting(
        name="ignoredErrors",
        field="ignored_errors",
        kind=kinds.CODES,
        default="",
        meaning="Error codes after which no cancellation is queued. See error-codes.md for those that are safe here.",
        default_note="every error queues one",
    ),
    Setting(
        name="paymentType",
        field="payment_type",
        kind=kinds.optional(kinds.whole(0, _LARGEST_NUMBER)),
        default="",
        meaning="Number of the tender that the cashier picks for Payme.",
        default_note="no tender, and a notice that says how to set it",
    ),
    Setting(
        name="language",
        field="language",
        kind=kinds.optional(kinds.one_of("ru", "uz", "en")),
        default="",
        meaning="Language of the texts for cashiers.",
        default_note="the till's",
    ),
    Setting(
        name="account",
        field="account",
        kind=kinds.ACCOUNT,
        default="order_id={till}-{shift}-{number}-{attempt}",
        meaning="What goes into the account of a payment; the names are those agreed for the kassa at Payme.",
    ),
    Setting(
        name="slipTemplate",
        field="slip_template",
        kind=kinds.optional(kinds.PATH),
        default="",
        meaning="Template of the bank slip.",
        default_note="`/linuxcash/cash/reports/payme.xml` if it is there, else the shipped one",
    ),
    Setting(
        name="slipCopies",
        field="slip_copies",
        kind=kinds.whole(0, 5),
        default="2",
        meaning="How often a bank slip is printed.",
    ),
    Setting(
        name="slipEncoding",
        field="slip_encoding",
        kind=kinds.optional(kinds.CODEC),
        default="",
        meaning="Code page of the slip printer; letters that it lacks are transliterated.",
        default_note="any letter",
    ),
    Setting(
        name="posKeyFile",
        field="pos_key_file",
        kind=kinds.optional(kinds.PATH),
        default="",
        meaning="A file that holds the key of the kassa and nothing else, instead of `posKey`.",
        default_note="`posKey`",
    ),
    Setting(
        name="caFile",
        field="ca_file",
        kind=kinds.optional(kinds.PATH),
        default="",
        meaning="A PEM file with the certificates that the server's must lead to.",
        default_note="the system's",
    ),
    Setting(
        name="proxy",
        field="proxy",
        kind=kinds.optional(kinds.PROXY),
        default="",
        meaning="The HTTP proxy for all requests; in user and password `%40` is an @, `%3A` a colon.",
        default_note="none; proxies of the environment have no effect",
    ),
    Setting(
        name="allowPlainHttp",
        field="allow_plain_http",
        kind=kinds.SWITCH,
        default="0",
        meaning="Allow plain http beyond this machine. The key of the kassa then travels in clear.",
    ),
    Setting(
        name="codePattern",
        field="code_pattern",
        kind=kinds.PATTERN,
        default="[0-9]{6,64}",
        meaning="What a buyer's code looks like; what does not match is asked for again.",
    ),
    Setting(
        name="codePrefix",
        field="code_prefix",
        kind=kinds.AFFIX,
        default="",
        meaning="What the scanner adds before a code; it is removed. Control characters, blanks, quotes and AIM "
        "identifiers (`]Q1`) are removed without it.",
        default_note="the scanner adds nothing else",
    ),
    Setting(
        name="codeSuffix",
        field="code_suffix",
        kind=kinds.AFFIX,
        default="",
        meaning="What the scanner adds after a code; it is removed.",
        default_note="the scanner adds nothing else",
    ),
    Setting(
        name="staleCodes",
        field="stale_codes",
        kind=kinds.CODES,
        default="-31400, -31101, -31103",
        meaning="Error codes that mean a stale code: it is asked for again. Each must prove that nothing was charged.",
    ),
    Setting(
        name="cancelAcceptedIsDone",
        field="cancel_accepted_is_done",
        kind=kinds.SWITCH,
        default="0",
        meaning="Take a return that Payme has accepted (state 21) for done; it is followed to its end all the same.",
    ),
    Setting(
        name="queueUrl",
        field="queue_url",
        kind=kinds.QUEUE,
        default="",
        meaning="Address of a RabbitMQ for cancellations. Not built yet: it is checked and gives a warning in the log, "
        "and cancellations go as they do without it.",
        default_note="the till's queue if it has one, else our own worker",
    ),
    Setting(
        name="keepDays",
        field="keep_days",
        kind=kinds.whole(30, 3650, "days"),
        default="400",
        meaning="How long finished payments stay in the journal, in days.",
    ),
    Setting(
        name="runWorker",
        field="run_worker",
        kind=kinds.SWITCH,
        default="1",
        meaning="Whether the till returns money in the background; off where `payme worker` runs instead.",
    ),
)
"""In the order of the docs and of a written file."""
