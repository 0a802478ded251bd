"""The model: whatever may happen at a till, as rules that hypothesis plays in any order."""

from __future__ import annotations

import contextlib
from enum import Enum
from random import Random
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hookspecs import BaseUi
from payme_plugin.delivery.draining import deliver_until_empty
from payme_plugin.ledger.errors import JournalError
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, Fault, FaultKind
from sim_cashier import People
from sim_director import deliver_everything
from sim_history import KEY, settings_for_both
from sim_world import SimWorld
from virtual_till import PowerCut

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim_process import Process
    from sim_shop import Sale

__all__ = ["MoneyModel"]

_METHODS = tuple(f"receipts.{name}" for name in ("create", "pay", "check", "get", "cancel"))
_ERROR_CODES = (-31400, -31630, -31602, -31800, -32400, -31999)
_SURE_OF_NOTHING = (-31602, -31800, -32400, -31999)
_DAY_MS = 86_400_000

PLANS = st.builds(
    CancelPlan,
    settle_s=st.sampled_from((0.0, 1.0, 30.0)),
    refused_with=st.sampled_from((None, None, -31800)),
    turns_back_after_s=st.sampled_from((None, None, 0.0, 5.0)),
    busy_with=st.sampled_from((None, -31800)),
)
BEHAVIOURS = st.one_of(
    st.builds(Behaviour, st.just(BuyerAction.PAYS), cancel=PLANS),
    st.builds(Behaviour, st.just(BuyerAction.PAYS)),
    st.builds(
        Behaviour,
        st.just(BuyerAction.CONFIRMS),
        after_s=st.sampled_from((0.5, 4.0, 5.95, 6.0, 6.05, 20.0)),
        cancel=PLANS,
    ),
    st.builds(Behaviour, st.just(BuyerAction.DECLINES), after_s=st.sampled_from((0.0, 3.0)), cancel=PLANS),
    st.builds(Behaviour, st.just(BuyerAction.NEVER_ANSWERS), cancel=PLANS),
    st.builds(Behaviour, st.just(BuyerAction.FAILS), error_code=st.sampled_from(_ERROR_CODES), cancel=PLANS),
)


def _is_fair(fault: Fault) -> bool:
    """Say whether a till can see through a fault."""
    if fault.kind is FaultKind.FOREIGN_RECEIPT:
        return fault.method != "receipts.check"
    return fault.kind is not FaultKind.ERROR_AFTER_EFFECT or fault.error_code in _SURE_OF_NOTHING


FAULTS = st.builds(
    Fault,
    st.sampled_from(FaultKind),
    st.sampled_from(_METHODS),
    after_s=st.sampled_from((1.0, 5.0, 20.0)),
    error_code=st.sampled_from(_ERROR_CODES),
).filter(_is_fair)
SOME_FAULTS = st.one_of(st.just(()), st.just(()), st.tuples(FAULTS), st.tuples(FAULTS, FAULTS))
FUSES = st.sampled_from((*[None] * 12, 2, 5, 9, 14, 20, 28, 40, 60))
SCANS = st.sampled_from(
    (
        *[("fresh",)] * 5,
        ("fresh", "fresh"),
        ("used", "fresh"),
        ("senseless", "fresh"),
        ("fresh", "used", "senseless", "fresh"),
        ("none",),
    )
)


class Trouble(Enum):
    """What fails for a few seconds."""

    STORM = "nothing gets through"
    FULL_DISK = "the disk is full"
    SETTINGS = "the settings can't be read"


class _Ui(BaseUi):
    """A cashier who scans what a rule says, and stops when it says so."""

    def __init__(self, scan: Callable[[], str | None], stops_after_s: float | None) -> None:
        self._scan = scan
        self._stops_after_s = stops_after_s

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        return self._scan()

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        return self._stops_after_s is not None and elapsed_s >= self._stops_after_s


class MoneyModel(RuleBasedStateMachine):
    """A till, its host, PaymeGO, and all that may befall them.

    Attributes:
        steps: how many steps all machines of this class have made.
    """

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self._world: SimWorld | None = None
        self._codes: list[str] = []

    @property
    def _live(self) -> SimWorld:
        assert self._world is not None
        return self._world

    @initialize(
        asks_again=st.booleans(),
        has_queue=st.booleans(),
        ignored=st.sampled_from(("", "-31800", "-31400, -31630, -31602, -31800, -32400")),
        accepted_is_done=st.booleans(),
    )
    def open_the_shop(self, *, asks_again: bool, has_queue: bool, ignored: str, accepted_is_done: bool) -> None:
        settings = settings_for_both(
            timeout=2,
            payDuration=6_000,
            frequency=2_000,
            ignoredErrors=ignored or ".",
            cancelAcceptedIsDone=int(accepted_is_done),
        )
        self._world = SimWorld(Random(1), settings)  # noqa: S311 - the rules are what is random
        self._world.shop.asks_again = asks_again
        self._world.shop.has_queue = has_queue

    # Sales.

    @rule(
        closes=st.booleans(),
        behaviour=BEHAVIOURS,
        scans=SCANS,
        stops=st.sampled_from((None, None, 0.0, 2.0)),
        faults=SOME_FAULTS,
        fuse=FUSES,
    )
    def sell(
        self,
        *,
        closes: bool,
        behaviour: Behaviour,
        scans: tuple[str, ...],
        stops: float | None,
        faults: tuple[Fault, ...],
        fuse: int | None,
    ) -> None:
        self._do(lambda: self._sell(self._ui(scans, stops, behaviour), closes=closes), fuse, faults)

    @precondition(lambda self: self._sales(is_open=True))
    @rule(which=st.integers(0, 50), fuse=FUSES)
    def close(self, which: int, fuse: int | None) -> None:
        sales = self._sales(is_open=True)
        self._do(lambda: self._live.shop.close(sales[which % len(sales)]), fuse)

    @precondition(lambda self: self._sales(is_open=True))
    @rule(which=st.integers(0, 50), stops=st.sampled_from((None, 0.0, 1.0)), faults=SOME_FAULTS, fuse=FUSES)
    def cancel(self, which: int, stops: float | None, faults: tuple[Fault, ...], fuse: int | None) -> None:
        sales = self._sales(is_open=True)
        self._do(lambda: self._live.shop.annul(sales[which % len(sales)], self._ui((), stops)), fuse, faults)

    @precondition(lambda self: self._sales(is_open=False))
    @rule(which=st.integers(0, 50), loses_record=st.booleans(), faults=SOME_FAULTS, fuse=FUSES)
    def refund(self, which: int, *, loses_record: bool, faults: tuple[Fault, ...], fuse: int | None) -> None:
        sales = self._sales(is_open=False)
        sale, ui = sales[which % len(sales)], self._ui((), None)
        self._do(lambda: self._live.shop.refund(sale, ui, loses_record=loses_record), fuse, faults)

    @precondition(lambda self: self._sales(is_open=False))
    @rule(which=st.integers(0, 50))
    def refund_a_part(self, which: int) -> None:
        sales = self._sales(is_open=False)
        self._do(lambda: self._live.shop.refund_partly(sales[which % len(sales)], self._ui((), None)), None)

    # Delivery.

    @rule(duration_s=st.sampled_from((0.5, 5.0, 60.0, 1_000.0)))
    def time_passes(self, duration_s: float) -> None:
        self._do(lambda: self._live.stage.sleep(duration_s), None)

    @rule(fuse=FUSES)
    def another_process_delivers(self, fuse: int | None) -> None:
        world = self._live
        process = world.shop.new_process(f"command-{len(world.stage.lives)}")
        process.life.fuse = fuse
        world.stage.spawn(process.life, lambda: _deliver(world, process))

    @rule(fuse=FUSES)
    def the_hosts_queue_delivers(self, fuse: int | None) -> None:
        self._do(self._live.shop.deliver_message, fuse)

    # Trouble.

    @rule(fault=FAULTS)
    def the_next_request_suffers(self, fault: Fault) -> None:
        self._live.paymego.weather.inject(fault)

    @rule(trouble=st.sampled_from(Trouble))
    def something_fails_for_a_while(self, trouble: Trouble) -> None:
        until = self._live.stage.monotonic() + 5.0
        if trouble is Trouble.STORM:
            self._live.paymego.weather.storm_until = until
        elif trouble is Trouble.FULL_DISK:
            self._live.disk.full_until = until
        else:
            self._live.shop.broken_until = until

    @rule(by_ms=st.sampled_from((-_DAY_MS, -3_000, 3_000, 3_700_000, _DAY_MS)))
    def the_clock_on_the_wall_jumps(self, by_ms: int) -> None:
        self._live.stage.set_wall(by_ms)

    @rule(downtime_s=st.sampled_from((None, 0.0, 0.0, 30.0, 50_000.0)))
    def power_cut_or_restart(self, downtime_s: float | None) -> None:
        if downtime_s is None:
            self._do(self._live.shop.stop, None)
        else:
            self._do(self._kill, None)
            self._live.stage.sleep(downtime_s)

    @rule(which=st.integers(0, 50), state=st.sampled_from((None, 4, 5, 6, 20, 30)))
    def the_staff_moves_a_receipt_or_the_kassa_changes(self, which: int, state: int | None) -> None:
        paymego = self._live.paymego
        if state is None:
            self._live.shop.kassa = 1 - self._live.shop.kassa
            return
        receipts = [r for r in paymego.bank.receipts(paymego.now_ms) if r.state in {1, 2, 3, 4, 5, 6, 20, 21, 30}]
        if receipts:
            # The staff can't hide money: such a move is none.
            with contextlib.suppress(ValueError):
                paymego.bank.put_state(paymego.now_ms, receipts[which % len(receipts)].receipt_id, state)

    @invariant()
    def every_statement_holds(self) -> None:
        type(self).steps += 1
        if self._world is not None:
            faults = self._world.witness.faults
            assert not faults, "\n".join([*self._world.witness.story[-60:], *faults])

    def teardown(self) -> None:
        """Deliver everything, and let the sums agree."""
        world, self._world = self._world, None
        if world is None:
            return
        try:
            people = People(world.shop, Random(1))  # noqa: S311 - nobody scans any more
            deliver_everything(world.shop, people)
            world.check_rest((KEY, *self._codes))
        finally:
            world.close()
        faults = world.witness.faults
        assert not faults, "\n".join([*world.witness.story[-60:], *faults])

    def _do(self, action: Callable[[], object], fuse: int | None, faults: tuple[Fault, ...] = ()) -> None:
        """Do something at the till, which is started where it is off, and dies where its fuse burns down."""
        shop = self._live.shop
        for fault in faults:
            self._live.paymego.weather.inject(fault)
        try:
            if shop.process is None:
                shop.start(with_worker=True)
                shop.restore(lambda: self._ui((), None))
            assert shop.process is not None
            shop.process.life.fuse = fuse
            action()
            if shop.process is not None:
                shop.process.life.fuse = None
        except PowerCut:
            shop.bury()

    def _sell(self, ui: _Ui, *, closes: bool) -> None:
        shop = self._live.shop
        sale = shop.open_sale(1_500_000)
        shop.pay(sale, ui)
        if sale.paid is None:
            shop.annul(sale, self._ui((), None))
        elif closes:
            shop.close(sale)

    def _kill(self) -> None:
        process = self._live.shop.process
        assert process is not None
        process.life.kill()
        self._live.stage.point()

    def _sales(self, *, is_open: bool) -> list[Sale]:
        sales = [] if self._world is None else self._world.shop.sales
        return [sale for sale in sales if sale.paid is not None and not sale.annulled and sale.is_open is is_open]

    def _ui(self, scans: tuple[str, ...], stops_after_s: float | None, behaviour: Behaviour | None = None) -> _Ui:
        left = list(scans)

        def scan() -> str | None:
            kind = left.pop(0) if left else "none"
            bank, now_ms = self._live.paymego.bank, self._live.paymego.now_ms
            if kind == "fresh":
                self._codes.append(bank.issue_code(now_ms, behaviour))
                return self._codes[-1]
            if kind == "used" and self._codes:
                return self._codes[-1]
            return None if kind == "none" else "not a code"

        return _Ui(scan, stops_after_s)


def _deliver(world: SimWorld, process: Process) -> None:
    try:
        process.upkeep.recover(own_too=False)
        process.upkeep._decider.release()  # a till that starts meanwhile must sell
        kassa = process.upkeep.kassa(0)
        if kassa is not None:
            rounds = process.upkeep.rounds()
            deliver_until_empty(rounds, kassa, process.host.is_recorded, world.stage, 6.0)
    except JournalError:
        pass
    process.storage.close()
    process.life.end()
