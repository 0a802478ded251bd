"""The guarantees of docs/architecture.md as properties of one payment, whatever network, server, buyer and clock do."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fakes.paymego import Passage
from fakes.payment_guarantees import check_codes_leave_once, check_order_of_durability, check_result, check_time
from fakes.till import STALE
from fakes.world import World
from payme_plugin.paymego.codes import CATALOGUE
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

METHODS = ["receipts.create", "receipts.pay", "receipts.check", "receipts.get", "receipts.cancel"]
CODES = sorted(entry.code for entry in CATALOGUE)
ASKING = [*sorted(entry.code for entry in CATALOGUE if not entry.proves_no_charge), -1, -31999]


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
    """Return whether a till can detect that the answer is wrong, or the answer is true.

    No till can detect the state of another receipt in an answer to ``check``.
    """
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

_settings = st.fixed_dictionaries(
    {
        "timeout": st.integers(1, 12),
        "payDuration": st.integers(1, 30_000),
        "frequency": st.integers(100, 10_000),
        "earlyPolling": st.sampled_from([0, 1]),
        "ignoredErrors": st.lists(st.sampled_from([*CODES, -31999]), max_size=4, unique=True).map(
            lambda codes: ",".join(map(str, codes))
        ),
    }
)
_histories = st.fixed_dictionaries(
    {
        "settings": _settings,
        "buyers": st.lists(_buyers | st.none(), min_size=1, max_size=4),
        "takes_s": st.sampled_from([0.0, 0.5, 3.0, 9.0]),
        "stops_at": st.none() | st.floats(0, 40),
        "passages": st.lists(_passages, min_size=1, max_size=4),
        "faults": st.lists(_faults, max_size=3),
        "jumps": st.lists(st.tuples(st.floats(0, 30), st.integers(-(10**10), 10**10)), max_size=2),
    }
)
"""The faults of one payment. A buyer who is None shows a code that Payme does not know."""


def _world_of(history: dict[str, Any], folder: Path) -> World:
    world = World(folder, **history.get("settings", {}))
    passages = cycle(history.get("passages", [Passage()]))
    world.paymego.passage = lambda _: next(passages)
    for fault in history.get("faults", []):
        world.paymego.faults.inject(fault)
    for at_s, by_ms in history.get("jumps", []):
        world.clock.at(at_s, partial(world.clock.set_wall, by_ms))
    return world


def _code_of(world: World, buyer: Behaviour | None) -> str:
    return STALE if buyer is None else world.paymego.bank.issue_code(world.paymego.now_ms, buyer)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@example({"faults": [InjectedFault(FaultKind.ANSWER_LOST, "receipts.pay")]})
@example({"faults": [InjectedFault(FaultKind.REQUEST_DELAYED, "receipts.pay", after_s=60)]})
@example({"buyers": [Behaviour(BuyerAction.FAILS, error_code=-31623)], "settings": {"ignoredErrors": -31623}})
@example(
    {
        "settings": {"payDuration": 300, "timeout": 3},
        "buyers": [None, Behaviour()],
        "passages": [Passage(there_s=1.4, back_s=1.4)],
        "faults": [InjectedFault(FaultKind.ERROR_AFTER_EFFECT, "receipts.pay", error_code=-31100, skip=1)],
    }
)
@example({"buyers": [None, Behaviour()], "faults": [InjectedFault(FaultKind.WITHOUT_ID, "receipts.check")]})
@given(history=_histories)
def test_whatever_happens_no_buyer_is_left_charged_and_no_time_is_exceeded(
    tmp_path_factory: pytest.TempPathFactory, history: dict[str, Any]
) -> None:
    with closing(_world_of(history, tmp_path_factory.mktemp("history"))) as world:
        scans = [partial(_code_of, world, buyer) for buyer in history.get("buyers", [Behaviour()])]
        ui = world.cashier(*scans, takes_s=history.get("takes_s", 0), stops_at=history.get("stops_at"))
        outcome = world.pay(ui=ui)

        check_time(world)
        check_codes_leave_once(world.paymego)
        check_order_of_durability(world)
        check_result(world, outcome)
