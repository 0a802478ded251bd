"""``HostConformance``: runs a host through every play and returns the report."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, final

from payme_plugin.testing.conformance import duties
from payme_plugin.testing.conformance.duties import Duty
from payme_plugin.testing.conformance.plays import PLAYS, Play
from payme_plugin.testing.conformance.process import HostFailed, ProtocolFailed
from payme_plugin.testing.conformance.report import Report
from payme_plugin.testing.conformance.stage import NotPlayed, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payme_plugin.testing.conformance.watch import Watch

_ANSWER_TIMEOUT_S = 30.0
_AT_A_TIME = 3


@final
class HostConformance:
    """Check that a host does what ``docs/host.md`` says it owes.

    The host runs as a process with an adapter that speaks the protocol of ``docs/conformance.md``. Every play has a
    sandbox on loopback and a folder of its own; no money moves.

    Args:
        command: starts the host with its adapter, e.g. ``["python3", "till.py"]``.
        seed: of the random kills; None: a new one, which the report names.
        answer_timeout_s: how long the host may take for one answer.
        plays: what is played; see ``plays``. Duties that it does not reach count as missed.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        seed: int | None = None,
        answer_timeout_s: float = _ANSWER_TIMEOUT_S,
        plays: Sequence[Play] = PLAYS,
    ) -> None:
        self._command = tuple(command)
        self._seed = random.SystemRandom().randrange(10**6) if seed is None else seed
        self._timeout_s = answer_timeout_s
        self._plays = tuple(plays)
        self._stopped = threading.Event()

    def run(self, played: Callable[[str], None] = lambda _: None) -> Report:
        """Play everything and return the report.

        Args:
            played: is called with the name of each play that has ended.

        Raises:
            HostFailed: the host can't be played with at all: it does not start, does not answer ``start``, or gives
                an answer that the protocol does not have.
        """
        began = time.monotonic()
        self._stopped.clear()
        with (
            tempfile.TemporaryDirectory(prefix="payme-conformance-") as folder,
            ThreadPoolExecutor(_AT_A_TIME) as lanes,
        ):
            root = Path(folder)
            watches, kills = [self._first_start(root)], 0
            if watches[0].run.has_called:
                begun = {lanes.submit(self._play, play, root): play for play in self._plays}
                try:
                    for each in as_completed(begun):
                        each.result()
                        played(_name(begun[each]))
                finally:
                    self._stopped.set()  # after Ctrl+C no play goes on, and no other one begins
                    for each in begun:
                        each.cancel()
                for watch, killed in (each.result() for each in begun):
                    watches.append(watch)
                    kills += killed
        checks: Counter[Duty] = sum((watch.checks for watch in watches), Counter())
        return Report(
            checks=checks,
            failures=tuple(failure for watch in watches for failure in watch.failures),
            hidden=frozenset().union(*(watch.hidden for watch in watches)),
            seed=self._seed,
            plays=len(watches),
            kills=kills,
            took_s=time.monotonic() - began,
        )

    def _first_start(self, root: Path) -> Watch:
        """Start and stop the host once: one that can't do this can't be played with."""
        folder = root / "first"
        folder.mkdir()
        with Stage(self._command, folder, "the first start", answer_timeout_s=self._timeout_s) as stage:
            with suppress(NotPlayed):
                stage.start()
                stage.stop()
            return stage.watch

    def _play(self, play: Play, root: Path) -> tuple[Watch, int]:
        folder = root / play.__name__
        folder.mkdir()
        with Stage(
            self._command, folder, _name(play), answer_timeout_s=self._timeout_s, stopped=self._stopped
        ) as stage:
            try:
                play(stage, random.Random(f"{self._seed} {play.__name__}"))  # noqa: S311 - a run can be repeated
            except NotPlayed:
                stage.watch.check(bool(stage.watch.failures), duties.NOT_PLAYED, detail=stage.watch.last_message)
            except ProtocolFailed:
                raise
            except HostFailed as failure:
                stage.watch.check(False, duties.FAILED, detail=str(failure))
            try:
                with suppress(NotPlayed):
                    stage.settle()
            except ProtocolFailed:
                raise
            except HostFailed as failure:
                stage.watch.check(bool(stage.watch.failures), duties.FAILED, detail=str(failure))
            stage.watch.checks[Duty.ALIVE] += 1
            return stage.watch, stage.kills


def _name(play: Play) -> str:
    return play.__name__.replace("_", " ")
