"""The real process is killed with SIGKILL at every boundary of a sale, and no buyer's money is lost.

A life is a process that runs the plugin in a small host of its own (``faults/killed_host.py``) against a sandbox in
this process. A walk makes the same sale again and again; each time the life ends at the next boundary: before and
after each commit of the journal, and between the journal's commits and the host's own record; or, in walks over
requests, when a request has arrived. Then a new life starts, asks again or gives the sale up, delivers what is queued,
and the sums must agree, sale by sale. SIGKILL can't show a missing fsync: ``test_disk_before_wire`` does.

``PAYME_CRASH_ROUNDS=20 pytest tests/kills/test_kill_at_every_commit.py`` runs longer: in round ``r`` the life after a
kill is killed too, at its boundary ``r - 1``, and there are as many times more random kills. ``PAYME_CRASH_SEED`` sets
the seed of the random kills; a failure prints it.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from faults.killed_till import CrashTill, Life, Nursery
from hookspecs import PaymentStatus
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ROUNDS = int(os.environ.get("PAYME_CRASH_ROUNDS", "1"))
SEED = int(os.environ.get("PAYME_CRASH_SEED", "1"))
LANES = 4
KILLED = -9
UNSERVED = (PaymentStatus.REFUSED, PaymentStatus.ABORTED)
RANDOM_KILLS = 30
LATE_S = 0.15

pytestmark = pytest.mark.timeout(240 * ROUNDS)


@dataclass(frozen=True)
class Buyer:
    """A sale as the buyer, the cashier and the network make it.

    Attributes:
        does: what the buyer does with a code.
        stale_codes: how many codes that nobody issued are scanned first.
        settings: of the plugin, beside the quick ones.
        faults: what befalls the requests of a life.
        stops_after_s: the cashier stops the wait after so long.
        ending: what becomes of the paid sale; see ``LifeOrder``.
        gets_the_goods: a sale whose money moved is not refused by a till that asks again.
        shows_again: the first code that a life scans is the last one that has reached Payme.
    """

    does: Behaviour = field(default_factory=Behaviour)
    stale_codes: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[InjectedFault, ...] = ()
    stops_after_s: float | None = None
    ending: str = "closes"
    gets_the_goods: bool = False
    shows_again: bool = False


@dataclass(frozen=True)
class Host:
    """What a host does after a restart.

    Attributes:
        asks_again: it asks ``on_payment`` again for open sales, or gives up those without a result.
    """

    asks_again: bool


@dataclass(frozen=True)
class Walk:
    """One sale, again and again, and where it is cut off.

    Attributes:
        buyer: name of the buyer.
        host: name of the host.
        cut: at the boundaries of the process; or at its requests, by what becomes of the one that is cut off.
    """

    buyer: str
    host: str
    cut: FaultKind | None = None

    def __str__(self) -> str:
        return f"{self.buyer}-{self.host}" + ("" if self.cut is None else f"-{self.cut.value}")


AT_ONCE = CancelPlan(settle_s=0)
NEVER = Behaviour(BuyerAction.NEVER_ANSWERS)
NO_FUNDS = Behaviour(BuyerAction.LACKS_FUNDS)
SLOW_RETURN = CancelPlan(settle_s=0.2)
LOST_CANCEL = (InjectedFault(FaultKind.ANSWER_LOST, "receipts.cancel", times=None),)
REFUSED_RETURN = Behaviour(cancel=CancelPlan(refused_with=-31800))
BUYERS = {
    "pays at once": Buyer(gets_the_goods=True),
    "shows a code again": Buyer(gets_the_goods=True, shows_again=True),
    "confirms late": Buyer(Behaviour(BuyerAction.CONFIRMS, after_s=0.12), gets_the_goods=True),
    "confirms after the deadline": Buyer(
        Behaviour(BuyerAction.CONFIRMS, after_s=0.25, cancel=CancelPlan(settle_s=0, busy_with=-31800)),
        settings={"payDuration": "1000"},
    ),
    "lacks funds": Buyer(NO_FUNDS),
    "lacks funds, an ignored code": Buyer(NO_FUNDS, settings={"ignoredErrors": "-31630"}),
    "an unclear code, ignored": Buyer(
        Behaviour(BuyerAction.FAILS, error_code=-31001), settings={"ignoredErrors": "-31001"}
    ),
    "never answers": Buyer(NEVER, settings={"payDuration": "1000"}),
    "declines": Buyer(Behaviour(BuyerAction.DECLINES, after_s=0.08)),
    "the answer to pay is lost": Buyer(
        faults=(InjectedFault(FaultKind.ANSWER_LOST, "receipts.pay", times=None),), gets_the_goods=True
    ),
    "a stale code, then a good one": Buyer(stale_codes=1, gets_the_goods=True),
    "the cashier stops": Buyer(NEVER, stops_after_s=0.05),
    "the cashier stops as the buyer confirms": Buyer(Behaviour(BuyerAction.CONFIRMS, after_s=0.06), stops_after_s=0.05),
    "the return takes a while": Buyer(
        Behaviour(BuyerAction.NEVER_ANSWERS, cancel=SLOW_RETURN), settings={"payDuration": "1000"}
    ),
    "the sale is annulled": Buyer(ending="annuls"),
    "the sale is annulled, and the answer is lost": Buyer(ending="annuls", faults=LOST_CANCEL),
    "the sale is annulled, and the return takes a while": Buyer(Behaviour(cancel=SLOW_RETURN), ending="annuls"),
    "the sale is refunded": Buyer(ending="refunds"),
    "the sale is refunded, and the refusal is ignored": Buyer(
        REFUSED_RETURN, ending="refunds", settings={"ignoredErrors": "-31800"}
    ),
}
HOSTS = {
    "asks again": Host(asks_again=True),
    "gives up": Host(asks_again=False),
}
OVER_BOUNDARIES = [Walk(buyer, host) for buyer in BUYERS for host in HOSTS]
OVER_REQUESTS = [
    Walk(buyer, host, cut)
    for buyer in ("pays at once", "never answers", "lacks funds", "the sale is annulled", "the sale is refunded")
    for host in HOSTS
    for cut in (FaultKind.SILENT_AFTER_EFFECT, FaultKind.REQUEST_DELAYED)
]


@dataclass
class Walked:
    """What came of a walk.

    Attributes:
        points: how many lives should have been killed.
        kills: how many were.
        faults: what was wrong afterwards, with the place where the life had ended; the walk ends there.
    """

    points: int = 0
    kills: int = 0
    faults: list[str] = field(default_factory=list)

    def ended(self, status: int, place: str, shop: Shop) -> None:
        """Count a life that should have been killed; it may have ended well before that, and in no other way."""
        self.points += 1
        self.kills += status == KILLED
        if status not in {KILLED, 0}:
            self.faults.append(f"{place}: the life after it ended with {status}\n{shop.story()}")


Walks = dict[Walk, "Future[Walked]"]
Nurseries = SimpleQueue[Nursery]


class Shop:
    """A till and its buyers; its lives come one after the other."""

    def __init__(self, nursery: Nursery, sandbox: Sandbox, folder: Path, host: Host) -> None:
        self.sandbox = sandbox
        self._host = host
        self._till = CrashTill(nursery, sandbox, folder, host.asks_again)
        self._amounts = itertools.count(1_500_000)
        self._unknown_codes = (f"9{number:019d}" for number in itertools.count(1))

    def begin(
        self, buyer: Buyer, *, sales: int = 0, last_boundary: int = 0, fault: InjectedFault | None = None
    ) -> Life:
        """Start a life that makes so many sales after it has restored those of the life before."""
        self.sandbox.clear_faults()
        for each in (*buyer.faults, *([fault] if fault else [])):
            self.sandbox.inject(each)
        codes = [code for _ in range(sales) for code in self._codes(buyer)]
        sent = [code for code in self._till.shown if self.sandbox.pays(code)] if buyer.shows_again else []
        return self._till.begin(
            settings={"timeout": "5", "payDuration": "1000", "frequency": "100", **buyer.settings},
            sales=tuple(itertools.islice(self._amounts, sales)),
            codes=(*sent[-1:], *codes),
            ending=buyer.ending,
            last_boundary=last_boundary,
            stops_after_s=buyer.stops_after_s,
        )

    def finish(self, buyer: Buyer, *, place: str, sales: int = 0) -> list[str]:
        """Let a life restore, sell and deliver undisturbed; return what is wrong then."""
        status = self.begin(buyer, sales=sales).status()
        ended = [] if status == 0 else [f"{place}: the life after it ended with {status}\n{self.story()}"]
        return self.faults(place) + ended

    def unserved(self, buyer: Buyer) -> list[str]:
        """Return the sales that were charged and that a till which asks again refused, if all buyers were of this kind.

        UNKNOWN is right if a request arrives long after the process that sent it was killed.
        """
        if not (buyer.gets_the_goods and self._host.asks_again):
            return []
        charged = self._till.charged()
        refused = [each.number for each in self._till.sales() if each.verdict in UNSERVED and each.number in charged]
        return [f"sales {refused} are charged and refused\n{self.story()}"] if refused else []

    def faults(self, place: str, *, but_last: bool = False) -> list[str]:
        """Return what is wrong, with the place where a life had ended, and the story of all payments."""
        faults = self._till.faults(but_last=but_last)
        return [f"{place}: {', '.join(faults)}\n{self.story()}"] if faults else []

    def story(self) -> str:
        """Return the story of all payments."""
        return self._till.story()

    def boundaries(self) -> list[str]:
        """Return the boundaries that the last life came to."""
        return list(self._till.boundaries())

    def kill_at_arrival(self, life: Life, requests: int) -> None:
        """Kill a life when the sandbox has seen so many requests in all."""
        self._till.kill_at_arrival(life, requests)

    def lift_refusals(self) -> None:
        """Let every cancellation that Payme has refused so far go through from now on."""
        for receipt in self.sandbox.receipts():
            self.sandbox.plan_cancel(receipt.receipt_id, AT_ONCE)

    def _codes(self, buyer: Buyer) -> tuple[str, ...]:
        stale = itertools.islice(self._unknown_codes, buyer.stale_codes)
        return (*stale, self.sandbox.issue_code(buyer.does))


def walk_over_boundaries(shop: Shop, buyer: Buyer) -> Walked:
    """Kill a life at each boundary of its sale; the next one restores it before it makes its own sale."""
    walked = Walked()
    walked.faults += shop.finish(buyer, sales=1, place="an undisturbed life")
    boundaries = shop.boundaries()
    place = "nowhere"
    for round_number, (number, name) in itertools.product(range(ROUNDS), enumerate(boundaries, 1)):
        if walked.faults:
            return walked
        walked.ended(shop.begin(buyer, sales=1, last_boundary=number).status(), f"killed at {place}", shop)
        walked.faults += shop.faults(f"killed at {place}", but_last=True)
        place = f"boundary {number}, {name}"
        if round_number:
            shop.begin(buyer, last_boundary=round_number).status()
            place += f", then at {round_number}"
        shop.lift_refusals()
    walked.faults += shop.finish(buyer, place=f"killed at {place}") + shop.unserved(buyer)
    return walked


def walk_over_requests(shop: Shop, buyer: Buyer, cut: FaultKind) -> Walked:
    """Kill a life when each request of its sale has arrived, and let the next one restore that."""
    walked = Walked()
    walked.faults += shop.finish(buyer, sales=1, place="an undisturbed life")
    requests = [request.method for request in shop.sandbox.requests]
    for round_number, (number, method) in itertools.product(range(ROUNDS), enumerate(requests)):
        if walked.faults:
            return walked
        place = f"killed at request {number + 1}, {method}"
        arrived = len(shop.sandbox.requests) + number + 1
        life = shop.begin(buyer, sales=1, fault=InjectedFault(cut, skip=number, after_s=LATE_S))
        shop.kill_at_arrival(life, arrived)
        walked.ended(life.status(), place, shop)
        if round_number:
            shop.begin(buyer, last_boundary=round_number).status()
        if cut is FaultKind.REQUEST_DELAYED and number % 2:
            time.sleep(LATE_S)  # what is late comes before the next life here, else in the middle of it
        walked.faults += shop.finish(buyer, place=f"{place}, then at {round_number}")
    walked.faults += shop.unserved(buyer)
    return walked


def walk_at_random(shop: Shop, rng: random.Random) -> Walked:
    walked = Walked()
    for number in range(RANDOM_KILLS * ROUNDS):
        if walked.faults:
            return walked
        buyer = rng.choice(list(BUYERS.values()))
        life = shop.begin(buyer, sales=2)
        life.is_over_within(rng.uniform(0, 0.3))
        life.kill()
        walked.ended(life.status(), f"before {buyer}", shop)
        shop.lift_refusals()
        if number % 5 == 4:
            walked.faults += shop.finish(buyer, place=f"killed at random, the last time as {buyer}")
    walked.faults += shop.finish(Buyer(), place="at the end")
    return walked


@pytest.fixture(scope="module")
def nurseries() -> Iterator[Nurseries]:
    """Nurseries that nobody uses."""
    idle: Nurseries = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(LANES):
            idle.put(stack.enter_context(Nursery()))
        yield idle


@contextmanager
def open_shop(nurseries: Nurseries, folder: Path, host: str) -> Iterator[Shop]:
    """Yield a shop with a sandbox and a nursery of its own."""
    folder.mkdir()
    nursery = nurseries.get()
    try:
        with Sandbox(cancel=AT_ONCE) as sandbox:
            yield Shop(nursery, sandbox, folder, HOSTS[host])
    finally:
        nurseries.put(nursery)


@pytest.fixture(scope="module")
def walks(
    request: pytest.FixtureRequest, nurseries: Nurseries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Walks]:
    """Begin all the walks that this run asks for: their time is mostly waiting, so a few at once are quicker."""
    folder = tmp_path_factory.mktemp("walks")

    def begin(number: int, walk: Walk) -> Walked:
        with open_shop(nurseries, folder / str(number), walk.host) as shop:
            buyer = BUYERS[walk.buyer]
            return walk_over_boundaries(shop, buyer) if walk.cut is None else walk_over_requests(shop, buyer, walk.cut)

    asked = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    chosen = [spec.params["walk"] for spec in asked if spec is not None and "walk" in spec.params]
    with ThreadPoolExecutor(LANES) as lanes:
        begun = {walk: lanes.submit(begin, number, walk) for number, walk in enumerate(chosen)}
        yield begun
        for each in begun.values():
            each.cancel()


@pytest.mark.parametrize("walk", OVER_BOUNDARIES, ids=str)
def test_a_kill_at_any_boundary_of_a_sale_loses_no_money(walks: Walks, walk: Walk) -> None:
    walked = walks[walk].result()
    assert not walked.faults, "\n".join(walked.faults)
    assert walked.points >= 8
    assert walked.kills >= walked.points / 2


@pytest.mark.parametrize("walk", OVER_REQUESTS, ids=str)
def test_a_kill_at_any_request_of_a_sale_loses_no_money(walks: Walks, walk: Walk) -> None:
    walked = walks[walk].result()
    assert not walked.faults, "\n".join(walked.faults)
    assert walked.kills >= walked.points / 2 > 0


@pytest.mark.parametrize("host", ["asks again", "gives up"])
def test_kills_at_random_moments_lose_no_money(nurseries: Nurseries, tmp_path: Path, host: str) -> None:
    with open_shop(nurseries, tmp_path / "shop", host) as shop:
        walked = walk_at_random(shop, random.Random(SEED))  # noqa: S311 - a seed is to replay
    assert not walked.faults, f"seed {SEED}\n" + "\n".join(walked.faults)
    assert walked.kills > 0


@pytest.mark.parametrize("boundary", [1, 2])
def test_a_kill_while_the_journal_is_made_leaves_a_till_that_sells(
    nurseries: Nurseries, tmp_path: Path, boundary: int
) -> None:
    with open_shop(nurseries, tmp_path / "shop", "asks again") as shop:
        assert shop.begin(Buyer(), last_boundary=boundary).status() == KILLED
        assert shop.begin(Buyer(), sales=1).status() == 0
        assert shop.faults("at the end") == []
