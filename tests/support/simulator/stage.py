"""Several processes and their threads on one virtual time: one of them runs at a time, and chance says which.

Each thread of the simulation is a real thread that holds a baton while it runs and gives it away where it waits, so
that production code runs unchanged. A process may be killed at any point that it comes to: whatever runs in it ends
with ``PowerCut``, and only what was durable is left.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fakes.clock import VirtualClock
from fakes.till import PowerCut

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_SLOW_STEPS_S = (0.0, 0.001, 0.004, 0.02)
_LONGEST_S = 86_400.0
_LOOKS_EVERY_S = 0.1


class Actor:
    """A thread of the simulation.

    Attributes:
        life: the process that it runs in; None: it is outside all of them, and nothing kills it.
        baton: it runs while it holds this.
        waits: it has given the baton away and is to be roused.
        turn: which of its waits it is in.
        has_joined: it waited for the result of another thread's call.
    """

    def __init__(self, life: Life | None) -> None:
        self.life = life
        self.baton = threading.Lock()
        self.baton.acquire()
        self.waits = False
        self.turn = 0
        self.has_joined = False


class Life:
    """A process, from its start to its end.

    Attributes:
        name: for the trace.
        is_dead: it ended or was killed: what runs in it stops at once.
        fuse: how many points it still comes to before it is killed; None: no point kills it.
        was_killed: it did not end by itself.
    """

    def __init__(self, stage: Stage, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.was_killed = False
        self.fuse: int | None = None
        self._stage = stage
        self._endings: list[Callable[[], None]] = []
        stage.lives.append(self)

    def at_end(self, action: Callable[[], None]) -> None:
        """Have ``action`` happen at the moment of its end, however that comes."""
        self._endings.append(action)

    def kill(self) -> None:
        """Let it die now, as by a power cut; nothing where it is dead."""
        if not self.is_dead:
            self.was_killed = True
            self.end()

    def end(self) -> None:
        """Let it end: its other threads come no further."""
        if self.is_dead:
            return
        self.is_dead = True
        for action in self._endings:
            action()
        self._stage.rouse_all(self)


class Stage(VirtualClock):
    """The time of a simulation, and who runs in it.

    Args:
        rng: who goes first where several could, and how slow a step is.
        slowness: the chance that a point takes a little time, from 0 to 1.

    Attributes:
        current: who runs.
        lives: all processes, dead ones too.
        faults: what threads ended with that nobody expected.
    """

    def __init__(self, rng: Random, slowness: float = 0.0) -> None:
        super().__init__()
        self.lives: list[Life] = []
        self.faults: list[BaseException] = []
        self.slowness = slowness
        self._rng = rng
        self._main = Actor(None)
        self.current = self._main
        self._ready: list[Actor] = []
        self._actors: list[Actor] = []
        self._threads: list[threading.Thread] = []

    def spawn(self, life: Life, run: Callable[[], None]) -> None:
        """Start a thread in a process; it first runs when the one that runs now waits."""
        actor = Actor(life)
        actor.waits = True
        thread = threading.Thread(target=self._act, args=(actor, run), daemon=True)
        self._actors.append(actor)
        self._threads.append(thread)
        self.rouse(actor)
        thread.start()

    def enter(self, life: Life | None) -> None:
        """Let the main thread run in a process from now on; None: outside all of them."""
        self._main.life = life

    def sleep(self, duration_s: float) -> None:
        """Let ``duration_s`` pass, while the others run."""
        self.block(self.monotonic() + max(0.0, duration_s))

    def block(self, until: float) -> None:
        """Wait until ``rouse``, at most until ``until``.

        Raises:
            PowerCut: the process died meanwhile.
        """
        actor = self.current
        actor.waits = True
        actor.turn += 1
        turn = actor.turn
        self.at(until, lambda: self._rouse_from(actor, turn))
        chosen = self._next()
        if chosen is not actor:
            self.current = chosen
            chosen.baton.release()
            actor.baton.acquire()
        if actor.life is not None and actor.life.is_dead:
            raise PowerCut

    def rouse(self, actor: Actor) -> None:
        """End an actor's wait; nothing where it does not wait."""
        if actor.waits:
            actor.waits = False
            self._ready.append(actor)

    def rouse_all(self, life: Life) -> None:
        """End every wait in a process."""
        for actor in (self._main, *self._actors):
            if actor.life is life:
                self.rouse(actor)

    def point(self) -> None:
        """Come to a point where the process may die, or take a moment so that others go first.

        Raises:
            PowerCut: it died.
        """
        life = self.current.life
        if life is None:
            return
        if life.fuse is not None:
            life.fuse -= 1
            if life.fuse <= 0:
                life.kill()
        if life.is_dead:
            raise PowerCut
        if self.slowness and self._rng.random() < self.slowness:
            self.sleep(self._rng.choice(_SLOW_STEPS_S))

    def discard(self, life: Life) -> None:
        """Wait until no thread runs in a dead process any more; called from outside it."""
        while any(actor.life is life for actor in self._actors):
            self.block(self.monotonic())

    def close(self) -> None:
        """End every process and every thread."""
        self.enter(None)
        for life in self.lives:
            life.end()
        while self._actors:
            self.block(self.monotonic())
        for thread in self._threads:
            thread.join()

    def _act(self, actor: Actor, run: Callable[[], None]) -> None:
        actor.baton.acquire()
        try:
            if actor.life is None or not actor.life.is_dead:
                run()
        except PowerCut:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised where the history ends
            self.faults.append(error)
        self._actors.remove(actor)
        self.current = self._next()
        self.current.baton.release()

    def _next(self) -> Actor:
        while not self._ready:
            self._happen()
        return self._ready.pop(self._rng.randrange(len(self._ready)) if len(self._ready) > 1 else 0)

    def _rouse_from(self, actor: Actor, turn: int) -> None:
        if actor.turn == turn:
            self.rouse(actor)


class StageFuture:
    """A ``concurrent.futures.Future`` on virtual time; whoever waits for it has joined the call that sets it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._waiters: list[Actor] = []
        self._is_done = False
        self._result: object = None
        self._error: BaseException | None = None

    def set_result(self, result: object) -> None:
        """Give the result to whoever waits."""
        self._set(result, None)

    def set_exception(self, error: BaseException) -> None:
        """Raise an error where somebody waits."""
        self._set(None, error)

    def result(self) -> object:
        """Wait for the result and return it."""
        self._stage.current.has_joined = True
        self._waiters.append(self._stage.current)
        while not self._is_done:
            self._stage.block(self._stage.monotonic() + _LONGEST_S)
        if self._error is not None:
            raise self._error
        return self._result

    def _set(self, result: object, error: BaseException | None) -> None:
        self._is_done, self._result, self._error = True, result, error
        for waiter in self._waiters:
            self._stage.rouse(waiter)


class StageCondition:
    """A ``threading.Condition`` on virtual time; nobody else runs inside its blocks, for no point is in them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        """Begin a block."""

    def __exit__(self, *_: object) -> None:
        """End it."""

    def notify_all(self) -> None:
        """Wake whoever waits; here it looks by itself."""

    def wait_for(self, is_so: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something is so, at most ``timeout_s``; return whether it is."""
        limit = self._stage.monotonic() + timeout_s
        while not is_so() and self._stage.monotonic() < limit:
            self._stage.sleep(_LOOKS_EVERY_S)
        return is_so()
