"""The buyer's code: asked for, folded, and judged before a byte of it leaves the till.

A code lives 30 seconds in the buyer's app and pays once, so one that can't work is asked for again at once, with the
reason, instead of being sent.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.secret import Secret
from payme_plugin.texts import Text

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from payme_plugin.clock import Clock
    from payme_plugin.operations.host_guard import GuardedUi
    from payme_plugin.texts import Texts

__all__ = ["CODE_LIFE_S", "Code", "CodeScanner", "NoCode", "fold", "is_other_wallets", "reason_for_stale"]

CODE_LIFE_S = 30.0
"""How long a code lives after the buyer's app showed it; source: the manual of the module."""

_ASKED_AGAIN = 3
_CLICK_PREFIX = "88"
_LONGEST = 4096
# White space but the separators \x1c to \x1f: those are a part of what was scanned, and no code of a phone has one.
_BLANKS = (
    " \t\n\v\f\r\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
    "\u205f\u3000"
)


@dataclass(frozen=True, slots=True)
class Code:
    """A plausible code in the till's hand.

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

    A group separator stays wherever it is: it tells a marking code from a buyer's.
    """
    trimmed = scanned.strip(_BLANKS)[:_LONGEST]
    return "".join(unicodedata.normalize("NFKC", sign) if sign.isdecimal() else sign for sign in trimmed)


class CodeScanner:
    """Where one payment gets its codes from: the host's one, or the scanner, asked again at most three times.

    Args:
        ui: the cashier.
        clock: tells the age of a code.
        texts: the cashier's language.
        pattern: what a plausible code looks like (``codePattern``).
        was_sent: says whether a code left in a ``pay`` within the last hour.
        given: the code that the host scanned already; then nothing is asked for.
        left_s: says how long the cashier may still take for a scan: before the first ``pay`` all of ``payDuration``.
    """

    def __init__(
        self,
        ui: GuardedUi,
        clock: Clock,
        texts: Texts,
        *,
        pattern: re.Pattern[str],
        was_sent: Callable[[str], bool],
        given: str | None,
        left_s: Callable[[], float],
    ) -> None:
        self._ui = ui
        self._clock = clock
        self._texts = texts
        self._pattern = pattern
        self._was_sent = was_sent
        self._given = given
        self._left_s = left_s
        self._asked = 0

    @property
    def may_ask(self) -> bool:
        """Whether another code may be asked for."""
        return self._given is None and self._asked <= _ASKED_AGAIN

    def first(self) -> Code | NoCode:
        """Return the first plausible code that was not sent before."""
        if self._given is not None:
            code = Code(Secret(fold(str.__str__(self._given))), self._clock.monotonic())
            problem = self._problem(code)
            return code if problem is None else NoCode(problem)
        return self.another(None)

    def fresh(self, code: Code) -> Code | NoCode:
        """Return ``code`` if it is still young, else another one; the host's own code is taken as it is."""
        if self._given is not None or self._clock.monotonic() - code.scanned_at <= CODE_LIFE_S:
            return code
        return self.another(Text.SCAN_TOO_OLD)

    def another(self, reason: Text | None) -> Code | NoCode:
        """Ask for a code until a plausible one comes, or time is over.

        Args:
            reason: what was wrong with the last one, said to the cashier; None: it is the first.
        """
        while self.may_ask and (timeout_s := self._left_s()) > 0:
            self._asked += 1
            prompt = self._texts(Text.SCAN_PROMPT)
            if reason is not None:
                prompt = f"{self._texts(reason)}\n{prompt}"
            scanned = self._ui.scan(prompt, timeout_s)
            if scanned is None:
                return NoCode(None)
            code = Code(Secret(fold(scanned)), self._clock.monotonic())
            reason = self._problem(code)
            if reason is None:
                return code
        return NoCode(reason)

    def _problem(self, code: Code) -> Text | None:
        text = code.secret.reveal()
        if not self._pattern.fullmatch(text):
            return Text.SCAN_IMPLAUSIBLE
        if self._was_sent(text):
            return Text.SCAN_ALREADY_USED
        return None


def is_other_wallets(code: Secret) -> bool:
    """Say whether a code looks like one of Click's, which begin with 88. Payme decides what it is."""
    return code.reveal().startswith(_CLICK_PREFIX)


def reason_for_stale(code: Code) -> Text:
    """Return what to tell a cashier whose code Payme called stale: Click's codes are named."""
    return Text.SCAN_OTHER_WALLET if is_other_wallets(code.secret) else Text.SCAN_STALE
