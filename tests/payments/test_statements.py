"""The guarantees of docs/architecture.md as properties of one payment, whatever network, server, buyer and clock do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fakes.paymego import Passage
from fakes.payment_guarantees import check_codes_leave_once, check_order_of_durability, check_result, check_time
from fakes.world import World
from payme_plugin.paymego.codes import CATALOGUE
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault

if TYPE_CHECKING:
    import pytest

    from hookspecs import PaymentResult

METHODS = ["receipts.create", "receipts.pay", "receipts.check", "receipts.get", "receipts.cancel"]
CODES = sorted(entry.code for entry in CATALOGUE)
ASKING = [*sorted(entry.code for entry in CATALOGUE if not entry.proves_no_charge), -1, -31999]


@dataclass(frozen=True)
class History:
    """All that may go wrong with one payment, as data."""

    timeout_s: int = 5
    duration_ms: int = 20_000
    frequency_ms: int = 2_000
    ignored: tuple[int, ...] = ()
    buyers: tuple[Behaviour, ...] = (Behaviour(),)
    unknown_code_first: bool = False
    takes_s: float = 0.0
    stops_at: float | None = None
    passages: tuple[Passage, ...] = (Passage(),)
    faults: tuple[InjectedFault, ...] = ()
    jumps: tuple[tuple[float, int], ...] = field(default=())


_seconds = st.floats(0, 12).map(lambda value: round(value, 3))

_passages = st.builds(
    Passage,
    connect_s=st.sampled_from([0.0, 0.0, 0.0, 0.5, 4.0]),
    there_s=_seconds,
    back_s=_seconds,
    connects=st.sampled_from([True] * 7 + [False]),
) | st.just(Passage())

_buyers = st.one_of(
    st.just(Behaviour()),
    st.sampled_from([BuyerAction.LACKS_FUNDS, BuyerAction.NEVER_ANSWERS]).map(Behaviour),
    st.builds(Behaviour, st.just(BuyerAction.CONFIRMS), after_s=st.floats(0.01, 60)),
    st.builds(Behaviour, st.just(BuyerAction.DECLINES), after_s=st.floats(0, 60)),
    st.builds(Behaviour, st.just(BuyerAction.FAILS), error_code=st.sampled_from([*CODES, -31999])),
).map(lambda buyer: Behaviour(buyer.action, buyer.after_s, buyer.error_code, CancelPlan(settle_s=2)))


def _is_truthful(fault: InjectedFault) -> bool:
    """Say whether a server could answer so and mean it: the state of another receipt in ``check`` no till can tell."""
    if fault.kind is FaultKind.FOREIGN_RECEIPT:
        return fault.method in {"receipts.create", "receipts.pay", "receipts.get", "receipts.cancel"}
    return fault.kind is not FaultKind.ERROR_AFTER_EFFECT or fault.error_code in ASKING


_faults = st.builds(
    InjectedFault,
    kind=st.sampled_from(list(FaultKind)),
    method=st.sampled_from([*METHODS, "receipts.pay", "receipts.check", None]),
    times=st.sampled_from([1, 1, 2, 5, None]),
    skip=st.integers(0, 3),
    after_s=st.floats(0, 60),
    error_code=st.sampled_from([*CODES, -31999, -1]),
    status=st.sampled_from([302, 404, 500, 503]),
).filter(_is_truthful)

_histories = st.builds(
    History,
    timeout_s=st.integers(1, 12),
    duration_ms=st.integers(1, 30_000),
    frequency_ms=st.integers(100, 10_000),
    ignored=st.lists(st.sampled_from([*CODES, -31999]), max_size=4, unique=True).map(tuple),
    buyers=st.lists(_buyers, min_size=1, max_size=4).map(tuple),
    unknown_code_first=st.booleans(),
    takes_s=st.sampled_from([0.0, 0.5, 3.0, 9.0]),
    stops_at=st.none() | st.floats(0, 40),
    passages=st.lists(_passages, min_size=1, max_size=4).map(tuple),
    faults=st.lists(_faults, max_size=3).map(tuple),
    jumps=st.lists(st.tuples(st.floats(0, 30), st.integers(-(10**10), 10**10)), max_size=2).map(tuple),
)


def _live_through(history: History, factory: pytest.TempPathFactory) -> tuple[World, PaymentResult]:
    world = World(
        factory.mktemp("history"),
        timeout=history.timeout_s,
        payDuration=history.duration_ms,
        frequency=history.frequency_ms,
        ignoredErrors=",".join(map(str, history.ignored)),
    )
    travelled: list[str] = []

    def passage(method: str) -> Passage:
        travelled.append(method)
        return history.passages[(len(travelled) - 1) % len(history.passages)]

    world.paymego.passage = passage
    for fault in history.faults:
        world.paymego.faults.inject(fault)
    for at_s, by_ms in history.jumps:
        world.clock.at(at_s, lambda by_ms=by_ms: world.clock.set_wall(by_ms))  # type: ignore[misc]
    scans: list[object] = [
        lambda buyer=buyer: world.paymego.bank.issue_code(world.paymego.now_ms, buyer) for buyer in history.buyers
    ]
    if history.unknown_code_first:
        scans.insert(0, "11112222333344445555")
    ui = world.cashier(*scans, takes_s=history.takes_s, stops_at=history.stops_at)
    return world, world.pay(ui=ui)


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@example(History(faults=(InjectedFault(FaultKind.ANSWER_LOST, "receipts.pay"),)))
@example(History(faults=(InjectedFault(FaultKind.REQUEST_DELAYED, "receipts.pay", after_s=60),)))
@example(History(buyers=(Behaviour(BuyerAction.FAILS, error_code=-31623),), ignored=(-31623,)))
@example(
    History(
        unknown_code_first=True,
        duration_ms=300,
        timeout_s=3,
        passages=(Passage(there_s=1.4, back_s=1.4),),
        faults=(InjectedFault(FaultKind.ERROR_AFTER_EFFECT, "receipts.pay", error_code=-31100, skip=1),),
    )
)
@given(history=_histories)
def test_whatever_happens_no_buyer_is_left_charged_and_no_time_is_exceeded(
    tmp_path_factory: pytest.TempPathFactory, history: History
) -> None:
    world, result = _live_through(history, tmp_path_factory)

    check_time(world)
    check_codes_leave_once(world.paymego)
    check_order_of_durability(world)
    check_result(world, result)
    world.close()


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(history=_histories)
def test_one_history_is_always_the_same(tmp_path_factory: pytest.TempPathFactory, history: History) -> None:
    first_world, first = _live_through(history, tmp_path_factory)
    second_world, second = _live_through(history, tmp_path_factory)

    assert first == second
    assert first_world.paymego.sent == second_world.paymego.sent
    assert first_world.events() == second_world.events()
    first_world.close()
    second_world.close()
