"""The buyer's code: scanned, folded, and checked before it is sent.

A code lives 30 seconds in the buyer's app and pays once. One that can't work is asked for again at once, with the
reason, instead of being sent.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.secret import Secret
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from payme_plugin.operations.context import Context
    from payme_plugin.operations.host_guard import GuardedUi
    from payme_plugin.operations.wait import CashierWait

__all__ = ["CODE_LIFE_S", "Code", "CodeScanner", "NoCode", "fold", "is_other_wallets", "reason_for_stale"]

CODE_LIFE_S = 30.0
"""How long a code lives after the buyer's app showed it; source: the manual of the module."""

_ASKED_AGAIN = 3
_CLICK_PREFIX = "88"
_LONGEST = 4096
# White space except the separators \x1c to \x1f: those belong to what was scanned, and no code of a phone has one.
_BLANKS = (
    " \t\n\v\f\r\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
    "\u205f\u3000"
)


@dataclass(frozen=True, slots=True)
class Code:
    """A plausible code that was scanned.

    Attributes:
        secret: the code itself.
        scanned_at: when it was scanned, on the monotonic clock.
    """

    secret: Secret
    scanned_at: float


@dataclass(frozen=True, slots=True)
class NoCode:
    """Why there is no code to send.

    Attributes:
        reason: what is wrong with the last one; None: the cashier did not scan.
    """

    reason: Text | None


def fold(scanned: str) -> str:
    """Return what was scanned without the white space around it, full-width digits folded to plain ones.

    A group separator stays wherever it is: it distinguishes a marking code from a buyer's.
    """
    trimmed = scanned.strip(_BLANKS)[:_LONGEST]
    return "".join(unicodedata.normalize("NFKC", sign) if sign.isdecimal() else sign for sign in trimmed)


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
    def may_ask(self) -> bool:
        """Whether another code may be asked for."""
        return self._given is None and self._asked <= _ASKED_AGAIN

    def first(self) -> Code | NoCode:
        """Return the first plausible code that was not sent before."""
        if self._given is None:
            return self.another(None)
        code = Code(Secret(fold(str.__str__(self._given))), self._wait.now)
        problem = self._problem(code)
        return code if problem is None else NoCode(problem)

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
        texts = self._context.texts
        while self.may_ask and (timeout_s := self._wait.left_s) > 0:
            self._asked += 1
            prompt = texts(Text.SCAN_PROMPT)
            scanned = self._ui.scan(prompt if reason is None else f"{texts(reason)}\n{prompt}", timeout_s)
            if scanned is None:
                return NoCode(None)
            code = Code(Secret(fold(scanned)), self._wait.now)
            reason = self._problem(code)
            if reason is None:
                return code
        return NoCode(reason)

    def _problem(self, code: Code) -> Text | None:
        text, journal = code.secret.reveal(), self._context.journal
        if not self._context.settings.code_pattern.fullmatch(text):
            return Text.SCAN_IMPLAUSIBLE
        return Text.SCAN_ALREADY_USED if journal.was_sent(journal.fingerprint(text)) else None


def is_other_wallets(code: Secret) -> bool:
    """Return whether a code looks like one of Click's, which begin with 88. Payme decides what it is."""
    return code.reveal().startswith(_CLICK_PREFIX)


def reason_for_stale(code: Code) -> Text:
    """Return the reason for the cashier if Payme called a code stale: Click's codes are named."""
    return Text.SCAN_OTHER_WALLET if is_other_wallets(code.secret) else Text.SCAN_STALE
