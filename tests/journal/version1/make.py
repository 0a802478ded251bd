"""Make the journal of this folder with version 1 itself: payments in every state, cancellations of all kinds.

Run it with a checkout of version 1 (commit c2f6eec) and the libraries of a development install:

    python tests/journal/version1/make.py CHECKOUT

It writes ``journal.sql``.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OWNER = "0123456789abcdef0123456789abcdef"
CREATED, PAYING, PAID, RECORDED = "created", "paying", "paid", "recorded"
ORPHAN = "the till does not have it and never will"


class Clock:
    """Begins in 2026; each look takes a millisecond."""

    at_ms = 1_767_225_600_000

    def wall_ms(self) -> int:
        """Return the next millisecond."""
        self.at_ms += 1
        return self.at_ms

    def boottime(self) -> float:
        """Return the same in seconds."""
        return self.at_ms / 1000

    monotonic = boottime


class Maker:
    """Writes a journal with the modules of version 1, which are in front of ``sys.path``."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.rows = import_module("payme_plugin.ledger.rows")
        self.states = import_module("payme_plugin.ledger.states")
        self.module = import_module("payme_plugin.ledger.cancellations")
        self.journal = import_module("payme_plugin.ledger.journal").Journal(
            path, host_identity="till-1", clock=self.clock
        )
        self.links = import_module("payme_plugin.ledger.fiscal_links").FiscalLinks(self.journal)
        self.cancellations = self.module.Cancellations(self.journal)
        self.count = 0

    def note(self, text: str) -> Any:  # noqa: ANN401 - a class of version 1
        return self.rows.Note(at_ms=self.clock.wall_ms(), text=text)

    def walk(self, name: str, *states: str) -> Any:  # noqa: ANN401 - a class of version 1
        """Bring a new payment through these states."""
        self.count += 1
        row = self.journal.add_intent(
            self.rows.Intent(
                payment_id=name, payment_type=7, amount=1_500_000, till="till-1", shift=3, number=self.count,
                pos_id="kassa", url="http://localhost/api", owner=OWNER,
            ),
            "1500000 tiyin",
        )  # fmt: skip
        for state in states:
            more: dict[str, object] = {}
            if state == CREATED:
                more = {"receipt_id": f"{self.count:024x}"}
            elif state == PAYING:
                code = self.journal.fingerprint(f"code of {name}")
                more = {"fingerprint": code, "notes": [self.note("request receipts.pay")]}
            elif state == PAID:
                more = {"paid_at": self.clock.wall_ms()}
            elif state != RECORDED:
                unrecorded = self.rows.NewCancellation(cause=self.states.Cause.UNRECORDED)
                more = {"verdict": self.rows.Verdict(message=f"told of {name}"), "cancellation": unrecorded}
            row = self.journal.move(row, self.states.PaymentState(state), f"to {state}", **more)
        return row

    def reversing(self, name: str, cause: str, request_id: str = "") -> Any:  # noqa: ANN401 - a class of version 1
        """Return the cancellation of a payment that goes back."""
        row = self.walk(name, CREATED, PAYING, PAID, RECORDED)
        if cause == "refund":
            self.journal.mark_closed(row, self.clock.wall_ms())
        new = self.rows.NewCancellation(cause=self.states.Cause(cause), request_id=request_id)
        reason = ORPHAN if cause == "unrecorded" else f"the till asks for a {cause}"
        self.journal.move(row, self.states.PaymentState.REVERSING, reason, cancellation=new)
        return self.cancellations.live_of(name)

    def payments(self) -> None:
        """Make a payment in every state."""
        self.walk("intent")
        self.walk("created", CREATED)
        self.walk("paying", CREATED, PAYING)
        self.walk("paid", CREATED, PAYING, PAID)
        self.walk("recorded", CREATED, PAYING, PAID, RECORDED)
        closed = self.walk("closed", CREATED, PAYING, PAID, RECORDED)
        self.journal.mark_closed(closed, self.clock.wall_ms())
        self.links.add(closed, "https://ofd.soliq.uz/check?t=UZ1&r=1&c=20260101000000&s=1")
        for state in ("refused", "aborted", "unknown"):
            self.walk(state, CREATED, PAYING, state)
        self.cancellations.offer(self.cancellations.live_of("unknown"), 1000)

    def live(self) -> None:
        """Make live cancellations of reversing payments."""
        request, refused = self.note("request receipts.cancel"), "receipts.cancel: error -31800"
        self.reversing("orphan", "unrecorded")
        tried = self.reversing("orphan-tried", "unrecorded")
        self.cancellations.postpone(tried, 1000, "receipts.check: no usable answer, nothing came in time")
        held = self.reversing("orphan-held", "unrecorded")
        self.cancellations.postpone(held, 1000, self.module.HELD_BY_TILL)
        begun = self.reversing("orphan-begun", "unrecorded")
        self.cancellations.begin(begun, notes=[request])
        self.cancellations.postpone(begun, 1000, refused)
        self.reversing("cancel", "cancel")
        queued = self.reversing("refund-queued", "refund", "refund-1")
        self.cancellations.begin(queued, notes=[request])
        self.cancellations.leave(queued, refused)

    def ended(self) -> None:
        """Make cancellations that ended in every way."""
        cancelled = self.module.SAID_CANCELLED
        self.cancellations.end(self.reversing("reversed", "cancel"), cancelled, reversed_at_payme=True)
        by_hand = self.reversing("closed-by-hand", "refund", "refund-2")
        words = self.module.closing("paid in cash; last check: none", "paid (4)")
        self.cancellations.end(by_hand, words, reversed_at_payme=False)
        words = f"{cancelled}; closed by hand: in the cabinet"
        self.cancellations.end(self.reversing("closed-and-back", "cancel"), words, reversed_at_payme=True)
        withdrawn = self.reversing("withdrawn", "refund", "refund-3")
        attempts = self.cancellations.begin(withdrawn, notes=[self.note("request receipts.cancel")])
        self.cancellations.withdraw(withdrawn, "error -31800 is ignored, state 4 asked after it", attempts=attempts)


def main(checkout: str) -> None:
    """Write the journal."""
    sys.path.insert(0, checkout)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite3"
        maker = Maker(path)
        maker.payments()
        maker.live()
        maker.ended()
        maker.journal.close()
        with closing(sqlite3.connect(path)) as connection:
            pragmas = [
                f"PRAGMA {name} = {connection.execute(f'PRAGMA {name}').fetchone()[0]};"
                for name in ("application_id", "user_version")
            ]
            (HERE / "journal.sql").write_text("\n".join([*pragmas, *connection.iterdump(), ""]), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
