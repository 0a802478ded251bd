"""The result of a run, as text of at most 80 columns and as a document."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.testing.conformance.duties import PLAYED, Duty

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payme_plugin.testing.conformance.duties import Breach
    from payme_plugin.testing.conformance.watch import Failure

_WIDTH = 80
_NAME_WIDTH = max(len(duty.value) for duty in Duty)
_WHAT_WIDTH = max(len(each.what) for each in PLAYED.values())
_ERROR_LINES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run of the kit found.

    Attributes:
        checks: how often each duty was checked.
        failures: what was broken, in the order in which it was found.
        hidden: duties that may be broken too: a check did not hold, about a payment with an earlier failure.
        seed: of the random kills.
        plays: how many plays were played.
        kills: how often the host was killed.
        took_s: how long the run took.
    """

    checks: Mapping[Duty, int]
    failures: tuple[Failure, ...]
    seed: int
    plays: int
    kills: int
    took_s: float
    hidden: frozenset[Duty] = frozenset()

    @property
    def passed(self) -> bool:
        """Whether every duty was played and none was broken."""
        return not self.failures and all(self.checks.get(duty) for duty in Duty)

    @property
    def failed_duties(self) -> tuple[Duty, ...]:
        """The duties that were broken."""
        broken = {failure.breach.duty for failure in self.failures}
        return tuple(duty for duty in Duty if duty in broken)

    def result_of(self, duty: Duty) -> str:
        """Return ``passed``, ``failed``, or ``missed`` if the duty could not be played, or not to the end."""
        if duty in self.failed_duties:
            return "failed"
        return "passed" if self.checks.get(duty) and duty not in self.hidden else "missed"

    def document(self) -> dict[str, object]:
        """Return the report as JSON has it."""
        return {
            "passed": self.passed,
            "seed": self.seed,
            "plays": self.plays,
            "kills": self.kills,
            "took_s": round(self.took_s, 1),
            "duties": [
                {
                    "duty": duty.value,
                    "played": PLAYED[duty].what,
                    "checks": self.checks.get(duty, 0),
                    "result": self.result_of(duty),
                    "place": PLAYED[duty].place,
                }
                for duty in PLAYED
            ],
            "failures": [
                {
                    "duty": breach.duty.value,
                    "did": breach.did,
                    "to_do": breach.to_do,
                    "place": PLAYED[breach.duty].place,
                    "times": len(found),
                    "play": found[0].play,
                    "payment_id": found[0].payment_id,
                    "detail": found[0].detail,
                }
                for breach, found in self._by_breach()
            ],
        }

    def lines(self) -> Iterator[str]:
        """Yield the report as lines."""
        yield f"{'result':<8}{'duty':<{_NAME_WIDTH}}  {'played':<{_WHAT_WIDTH}}  {'checks':>6}"
        for duty, played in PLAYED.items():
            result, checks = self.result_of(duty), self.checks.get(duty, 0)
            yield f"{result:<8}{duty.value:<{_NAME_WIDTH}}  {played.what:<{_WHAT_WIDTH}}  {checks:>6}"
        for breach, found in self._by_breach():
            yield ""
            yield from textwrap.wrap(f"{breach.duty.value}: {breach.did}", _WIDTH, subsequent_indent="  ")
            indent = {"initial_indent": "  ", "subsequent_indent": "  "}
            yield from textwrap.wrap(breach.to_do, _WIDTH, **indent)  # type: ignore[arg-type]
            where = f'See docs/host.md, "{PLAYED[breach.duty].place}".'
            times = "once" if len(found) == 1 else f"{len(found)} times"
            yield from textwrap.wrap(f"{where} Seen {times}, first in {found[0].play!r}.", _WIDTH, **indent)  # type: ignore[arg-type]
            first = found[0]
            if first.payment_id is not None:
                yield f"  payment {first.payment_id[:60]}"
            for line in first.detail.splitlines()[:_ERROR_LINES]:
                yield from textwrap.wrap(line, _WIDTH, **indent)  # type: ignore[arg-type]
        yield ""
        yield f"{self.plays} plays, {self.kills} kills, {self.took_s:.0f} s, seed {self.seed}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _by_breach(self) -> list[tuple[Breach, list[Failure]]]:
        """Return the ways in which duties were broken, in the order of the duties, each with where it was seen."""
        order = list(Duty)
        counted: Counter[Breach] = Counter(failure.breach for failure in self.failures)
        breaches = sorted(counted, key=lambda breach: order.index(breach.duty))
        return [(breach, [each for each in self.failures if each.breach is breach]) for breach in breaches]
