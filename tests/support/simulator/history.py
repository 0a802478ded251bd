"""One integer makes one history: sales, cancels and refunds at a till where anything may go wrong, and the sums."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from fakes.world import settings_of
from payme_plugin.paymego import codes
from simulator.chain import PASSWORD, URL
from simulator.player import HistoryPlayer
from simulator.world import SimWorld

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payme_plugin.settings import Settings

_ACCOUNTS = ("65aa00112233445566778899", "65aa00112233445566778800")

KEY = "canary-key-of-the-account"
"""How the key of each merchant account begins."""


@dataclass(frozen=True)
class History:
    """What a seed came to.

    Attributes:
        seed: the seed.
        sales: how many sales were made.
        faults: the statements that broke; empty: all held.
        broken_after: how many sales there were when the first one broke; None: none did.
        trace: what happened, line by line.
        crashes: how often a process was killed.
    """

    seed: int
    sales: int
    faults: tuple[str, ...]
    broken_after: int | None
    trace: tuple[str, ...]
    crashes: int

    @property
    def summary(self) -> str:
        """What broke, and the command that plays the history again; or that nothing did."""
        if not self.faults:
            return f"seed {self.seed}: every statement held in {self.sales} sales"
        again = f"python tests/simulation/run.py --seed {self.seed} --each {self.sales}"
        return f"seed {self.seed}: {'; '.join(self.faults[:5])}\n    {again}"

    @property
    def digest(self) -> str:
        """A digest of the trace: the same seed has the same."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


def random_settings(rng: Random, queue_url: str = "") -> tuple[Settings, ...]:
    """Return settings at random, for each of two merchant accounts of a till with this broker."""
    safe = [code for code in codes.MANUAL_CODES if codes.proves_no_charge(code)]
    given: dict[str, object] = {
        "queueUrl": queue_url,
        "timeout": rng.choice((1, 2, 5)),
        "payDuration": rng.choice((1_500, 4_000, 9_000)),
        "frequency": rng.choice((300, 1_000, 3_000, 8_000)),
        "cancelAcceptedIsDone": rng.choice((0, 0, 1)),
        "ignoredErrors": ", ".join(map(str, rng.sample(codes.MANUAL_CODES, rng.choice((0, 3, 20, 32))))),
        "staleCodes": ", ".join(map(str, rng.sample(safe, rng.choice((1, 4, len(safe)))))),
        "earlyPolling": rng.choice((0, 1)),
    }
    return tuple(settings_of(**given, posId=account, posKey=f"{KEY}-{account[-2:]}") for account in _ACCOUNTS)


def simulate(seed: int, sales: int = 20, behaviour: Mapping[str, object] | None = None) -> History:
    """Play one history.

    Args:
        seed: everything that happens follows from it.
        sales: how many sales are made.
        behaviour: behaviour of the host that are not chosen at random, and whether it ``has_chain``: else a third do.

    Raises:
        BaseException: what a thread of the simulation ended with; a fault of the simulation itself.
    """
    rng = Random(seed)  # noqa: S311 - a seed is to replay
    given = dict(behaviour or {})
    queue_url = URL if given.pop("has_chain", seed % 3 == 0) else ""
    world = SimWorld(rng, random_settings(rng, queue_url), slowness=rng.choice((0.0, 0.03, 0.2)))
    player = HistoryPlayer(world.shop, rng, sales, given)
    try:
        player.play()
        world.check_rest((KEY, PASSWORD, *player.secrets))
    finally:
        world.close()
    return History(
        seed=seed,
        sales=len(world.shop.sales),
        faults=tuple(world.checks.faults),
        broken_after=world.checks.broken_after,
        trace=tuple(world.checks.trace),
        crashes=sum(life.was_killed for life in world.stage.lives),
    )
