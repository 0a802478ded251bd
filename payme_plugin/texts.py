"""The texts for cashiers, by key, in Russian, Uzbek and English.

A text states what happened, then what to do, with the server's error code, if any, in brackets. The texts are in the
gettext catalogues under ``payme_plugin/locale``, which are loaded at first use. If one can't be read, another language
stands in for it; a cashier never reads a key.
"""

from __future__ import annotations

import re
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING

from payme_plugin.locale import CatalogueUnreadable, load_catalogue
from payme_plugin.secret import mask_digits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DOMAIN = "payme_plugin"
LANGUAGES = ("ru", "uz", "en")
"""The first one is used for any other language."""
NO_TEXTS = "Тексты Payme не найдены. Позовите администратора.\nPayme: texts are missing. Call the administrator."
"""Stands in for every text if no catalogue can be read."""

_ACCOUNT_ERRORS = range(-31099, -31049)
_ACCOUNT_ERROR = -31050
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_SERVER_TEXT = "text"
_MAX_VALUE_CHARACTERS = 200


class Text(Enum):
    """The keys of the texts; a key is the text's msgid in the catalogues.

    A server's error code has the key ``error.CODE``: see ``Texts.of_error``.
    """

    TENDER_NAME = "tender.name"

    PAYMENT_PAID = "payment.paid"
    PAYMENT_UNKNOWN = "payment.unknown"
    PAYMENT_CHARGE_MAY_HANG = "payment.charge_may_hang"
    PAYMENT_PENDING = "payment.pending"
    PAYMENT_NOT_SENT = "payment.not_sent"
    PAYMENT_ABORTED = "payment.aborted"
    PAYMENT_ABORTED_BEFORE_CHARGE = "payment.aborted_before_charge"
    PAYMENT_CANCELLED_BY_PAYME = "payment.cancelled_by_payme"
    PAYMENT_RETURNING = "payment.returning"
    PAYMENT_NOT_PAID = "payment.not_paid"
    PAYMENT_SERVER_ERROR = "payment.server_error"
    PAYMENT_NO_CONNECTION = "payment.no_connection"
    PAYMENT_NO_CONNECTION_NAME_NOT_FOUND = "payment.no_connection_name_not_found"
    PAYMENT_NO_CONNECTION_TLS = "payment.no_connection_tls"
    PAYMENT_NO_CONNECTION_TIME_OVER = "payment.no_connection_time_over"
    PAYMENT_RECEIPT_NOT_CREATED = "payment.receipt_not_created"
    PAYMENT_WRONG_RECEIPT = "payment.wrong_receipt"
    PAYMENT_SETTINGS_BROKEN = "payment.settings_broken"
    PAYMENT_AMOUNT_NOT_ALLOWED = "payment.amount_not_allowed"
    PAYMENT_AMOUNT_ABOVE_DUE = "payment.amount_above_due"
    PAYMENT_NOT_A_SALE = "payment.not_a_sale"
    PAYMENT_JOURNAL_UNWRITABLE = "payment.journal_unwritable"
    PAYMENT_TILL_FAULT = "payment.till_fault"
    PAYMENT_ANOTHER_TILL = "payment.another_till"
    PAYMENT_BUSY = "payment.busy"
    PAYMENT_ID_REUSED = "payment.id_reused"
    PAYMENT_ALREADY_REVERSED = "payment.already_reversed"
    PAYMENT_CODE_NOT_ACCEPTED = "payment.code_not_accepted"
    PAYMENT_OTHER_WALLET = "payment.other_wallet"

    SCAN_PROMPT = "scan.prompt"
    SCAN_IMPLAUSIBLE = "scan.implausible"
    SCAN_FOREIGN_CHARACTER = "scan.foreign_character"
    SCAN_TOO_OLD = "scan.too_old"
    SCAN_ALREADY_USED = "scan.already_used"
    SCAN_STALE = "scan.stale"
    SCAN_OTHER_WALLET = "scan.other_wallet"

    PROGRESS_CREATING = "progress.creating"
    PROGRESS_PAYING = "progress.paying"
    PROGRESS_WAITING_FOR_BUYER = "progress.waiting_for_buyer"
    PROGRESS_REVERSING = "progress.reversing"

    NOTICE_SETTINGS_KEPT_LAST_GOOD = "notice.settings_kept_last_good"
    NOTICE_SETTINGS_BROKEN = "notice.settings_broken"
    NOTICE_NO_PAYMENT_TYPE = "notice.no_payment_type"
    NOTICE_JOURNAL_UNWRITABLE = "notice.journal_unwritable"
    NOTICE_JOURNAL_DAMAGED = "notice.journal_damaged"
    NOTICE_JOURNAL_MOVED = "notice.journal_moved"
    NOTICE_JOURNAL_FOREIGN = "notice.journal_foreign"
    NOTICE_JOURNAL_TOO_NEW = "notice.journal_too_new"
    NOTICE_SLIP_FALLBACK = "notice.slip_fallback"
    NOTICE_PAYMENTS_TOO_OLD = "notice.payments_too_old"
    NOTICE_NOT_READY = "notice.not_ready"
    NOTICE_PENDING = "notice.pending"
    NOTICE_UNACKNOWLEDGED = "notice.unacknowledged"
    NOTICE_SALE_UNPAID = "notice.sale_unpaid"
    NOTICE_SALE_LOST = "notice.sale_lost"
    NOTICE_ANOTHER_TILL = "notice.another_till"
    NOTICE_LEASE_BUSY = "notice.lease_busy"
    NOTICE_CANCELLATIONS_WAIT = "notice.cancellations_wait"
    NOTICE_BROKER = "notice.broker"
    NOTICE_CANCELLATIONS_REOPENED = "notice.cancellations_reopened"
    NOTICE_DIFFERENCES = "notice.differences"
    NOTICE_JOURNAL_IN_USE = "notice.journal_in_use"
    NOTICE_KEY_MISSING = "notice.key_missing"
    NOTICE_RECEIPT_UNKNOWN = "notice.receipt_unknown"
    NOTICE_FISCAL_LINKS_ENDED = "notice.fiscal_links_ended"
    NOTICE_QUEUE_VERSION = "notice.queue_version"
    NOTICE_QUEUE_UNKNOWN = "notice.queue_unknown"

    SHIFT_RECONCILED = "shift.reconciled"
    SHIFT_COUNTS = "shift.counts"

    REVERSAL_REVERSED = "reversal.reversed"
    REVERSAL_QUEUED = "reversal.queued"
    REVERSAL_REFUSED = "reversal.refused"
    REVERSAL_ALREADY_REVERSED = "reversal.already_reversed"
    REVERSAL_UNKNOWN_PAYMENT = "reversal.unknown_payment"
    REVERSAL_CLOSED_BY_HAND = "reversal.closed_by_hand"
    REVERSAL_BUSY = "reversal.busy"
    REVERSAL_TILL_FAULT = "reversal.till_fault"

    REFUND_PARTIAL_LINES = "refund.partial_lines"
    REFUND_PARTIAL_AMOUNT = "refund.partial_amount"
    REFUND_FOREIGN_LINES = "refund.foreign_lines"
    REFUND_MANUAL_SELECTION_REQUIRED = "refund.manual_selection_required"
    REFUND_CURRENCY_SELECTION_FORBIDDEN = "refund.currency_selection_forbidden"
    REFUND_NO_SALE_RECEIPT = "refund.no_sale_receipt"
    REFUND_ALREADY_REVERSED = "refund.already_reversed"
    REFUND_FOREIGN_PAYMENT = "refund.foreign_payment"


class Texts:
    """The texts in one language.

    Args:
        language: ``ru``, ``uz`` or ``en``; a region or script after it is ignored, and any other means Russian.
    """

    def __init__(self, language: str) -> None:
        primary = re.split(r"[-_.@]", language, maxsplit=1)[0].lower()
        self.language = primary if primary in LANGUAGES else LANGUAGES[0]

    def __call__(self, text: Text, /, **values: object) -> str:
        """Return a text with its placeholders filled.

        Args:
            text: which text.
            values: the values of its placeholders; each is put on one line and cut at 200 characters. Numbers in
                ``text``, the server's message, are masked, because a server may repeat a code or a phone.
        """
        return _filled(_gettext_of(self.language)(text.value), values)

    def of_error(self, code: int, server_text: str = "") -> str:
        """Return the text for a server's error: from the catalogue, else the server's message.

        Payme reserves the codes from -31099 to -31050 for faults of the account; they have one text.

        Args:
            code: the server's error code.
            server_text: its message in this language; empty if it sent none.
        """
        key = f"error.{_ACCOUNT_ERROR if code in _ACCOUNT_ERRORS else code}"
        if (words := _gettext_of(self.language)(key)) != key:
            return _filled(words, {"code": code})
        if server_text.strip():
            return self(Text.PAYMENT_SERVER_ERROR, text=server_text, code=code)
        return self(Text.PAYMENT_NOT_PAID, code=code)


def _gettext_of(language: str) -> Callable[[str], str]:
    """Return the texts of a language, else of the next one whose catalogue can be read, else ``NO_TEXTS``."""
    for candidate in dict.fromkeys((language, *LANGUAGES)):
        with suppress(CatalogueUnreadable):
            return load_catalogue(candidate, DOMAIN).gettext
    return lambda _key: NO_TEXTS


def _filled(words: str, values: Mapping[str, object]) -> str:
    """Return a text with its placeholders filled; a placeholder without a value stays."""
    return _PLACEHOLDER.sub(lambda found: _shown(found[1], values) if found[1] in values else found[0], words)


def _shown(name: str, values: Mapping[str, object]) -> str:
    """Return the value of a placeholder on one line, cut and masked."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(values[name])).split())
    line = mask_digits(line) if name == _SERVER_TEXT else line
    return line if len(line) <= _MAX_VALUE_CHARACTERS else line[: _MAX_VALUE_CHARACTERS - 1] + "…"
