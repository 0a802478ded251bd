"""The buyer's code: scanned, folded, and checked before it is sent.

A code lives 30 seconds in the buyer's app and pays once. One that can't work is asked for again at once, with the
reason, instead of being sent.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from payme_plugin.secret import Secret, remember
from payme_plugin.settings import foreign_character
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from payme_plugin.operations.context import Context
    from payme_plugin.operations.host_guard import GuardedUi
    from payme_plugin.operations.wait import CashierWait

CODE_LIFE_S = 30.0
"""How long a code lives after the buyer's app showed it; source: the manual of the module."""

_ASKED_AGAIN = 3
_CLICK_PREFIX = "88"
_LONGEST = 4096
# What a scanner or its driver adds at the ends of a code: control characters, blanks, zero-width characters, quotes.
_ADDED = (
    *map(chr, (*range(0x21), *range(0x7F, 0xA1), *range(0x2000, 0x200E), 0x1680, 0x2028, 0x2029, 0x202F, 0x205F)),
    *("\u2060", "\u3000", "\ufeff", *"\"'`«»‹›‘’‚“”„"),
)
_DECORATION = "".join(_ADDED)
_AIM_IDENTIFIER = re.compile(r"\][A-Za-z][0-9]")
"""It names the kind of the barcode, e.g. ``]Q1``. Source: ISO/IEC 15424."""


class Code(NamedTuple):
    """A plausible code that was scanned.

    Attributes:
        secret: the code itself.
        scanned_at: when it was scanned, on the monotonic clock.
    """

    secret: Secret
    scanned_at: float


class NoCode(NamedTuple):
    """Why there is no code to send.

    Attributes:
        reason: what is wrong with the last one; None: the cashier did not scan.
        character: the character that no code has, fit to be shown; empty if none is to blame.
    """

    reason: Text | None
    character: str = ""


def fold(scanned: str, prefix: str = "", suffix: str = "") -> str:
    """Return what was scanned without what the scanner added, full-width digits folded to plain ones.

    Args:
        scanned: what the host got from the scanner.
        prefix: ``codePrefix``, removed once.
        suffix: ``codeSuffix``, removed once.
    """
    bare = _undecorated(scanned).removeprefix(_undecorated(prefix)).removesuffix(suffix.strip(_DECORATION))
    return "".join(unicodedata.normalize("NFKC", sign) if sign.isdecimal() else sign for sign in _undecorated(bare))


def _undecorated(text: str) -> str:
    text = text.strip(_DECORATION)[:_LONGEST]
    while _AIM_IDENTIFIER.match(text):
        text = text[3:].lstrip(_DECORATION)
    return text


class CodeScanner:
    """Gives a payment's codes: the one that the host scanned, or up to four from the scanner.

    Args:
        context: its settings have ``codePattern``, its journal the codes that were sent within the last hour.
        ui: the cashier.
        wait: limits a scan to the time left: before the first ``pay`` all of ``payDuration``.
        given: the code that the host scanned already, or None. If there is one, no other is asked for.
    """

    def __init__(self, context: Context, ui: GuardedUi, wait: CashierWait, *, given: str | None) -> None:
        self._context = context
        self._ui = ui
        self._wait = wait
        self._given = given
        self._asked = 0

    @property
    def may_scan_again(self) -> bool:
        """Whether another code may be asked for."""
        return self._given is None and self._asked <= _ASKED_AGAIN

    def first(self) -> Code | NoCode:
        """Return the first plausible code that was not sent before."""
        if self._given is None:
            return self.another(None)
        return self._checked(str.__str__(self._given))

    def fresh(self, code: Code) -> Code | NoCode:
        """Return ``code`` if it is still young, else another one; the host's own code is used at any age."""
        if self._given is not None or self._wait.now - code.scanned_at <= CODE_LIFE_S:
            return code
        return self.another(Text.SCAN_TOO_OLD)

    def another(self, reason: Text | None) -> Code | NoCode:
        """Ask for a code until a plausible one is scanned, no more may be asked for, or time is over.

        Args:
            reason: what was wrong with the last one, shown to the cashier; None: it is the first.
        """
        texts, missing = self._context.texts, NoCode(reason)
        while self.may_scan_again and (timeout_s := self._wait.left_s) > 0:
            self._asked += 1
            prompt = texts(Text.SCAN_PROMPT)
            if missing.reason is not None:
                prompt = f"{texts(missing.reason, character=missing.character)}\n{prompt}"
            scanned = self._ui.scan(prompt, timeout_s)
            if scanned is None:
                return NoCode(None)
            checked = self._checked(scanned)
            if isinstance(checked, Code):
                return checked
            missing = checked
        return missing

    def _checked(self, scanned: str) -> Code | NoCode:
        settings, journal = self._context.settings, self._context.journal
        text = fold(scanned, settings.code_prefix, settings.code_suffix)
        remember(Secret(text))
        if not settings.code_pattern.fullmatch(text):
            foreign = foreign_character(settings.code_pattern, text)
            return NoCode(Text.SCAN_FOREIGN_CHARACTER, _shown(foreign)) if foreign else NoCode(Text.SCAN_IMPLAUSIBLE)
        if journal.was_sent(journal.fingerprint(text)):
            return NoCode(Text.SCAN_ALREADY_USED)
        return Code(Secret(text), self._wait.now)


def _shown(character: str) -> str:
    return character if character.isprintable() and character != " " else f"U+{ord(character):04X}"


def is_other_wallets(code: Secret) -> bool:
    """Return whether a code looks like one of Click's, which begin with 88. Payme decides what it is."""
    return code.reveal().startswith(_CLICK_PREFIX)


def reason_for_stale(code: Code) -> Text:
    """Return the reason for the cashier if Payme called a code stale: Click's codes are named."""
    return Text.SCAN_OTHER_WALLET if is_other_wallets(code.secret) else Text.SCAN_STALE
