"""The real process is killed with SIGKILL at every boundary of a sale, and no buyer's money is lost.

A process runs the plugin in a small host of its own (``faults/killed_host.py``) against a sandbox in this process. A
walk makes the same sale again and again; each time the process ends at the next boundary: before and after each commit
of the journal, and between the journal's commits and the host's own record; or, in walks over requests, when a request
has arrived. Then a new process starts, asks again or gives the sale up, delivers what is queued, and the sums must
agree, sale by sale. In some walks the process forks a child at the boundary first. SIGKILL can't show a missing fsync:
``test_disk_before_wire`` does.

``PAYME_CRASH_ROUNDS=20 pytest tests/kills/test_kill_at_every_commit.py`` runs longer: in round ``r`` the process after
a kill is killed too, at its boundary ``r - 1``. ``tests/fuzz`` kills at random moments.
"""

from __future__ import annotations

import itertools
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from fakes.memory_folder import folder_in_memory
from faults.boundaries import CHILD_ENDS
from faults.killed_host import HostOrder
from faults.killed_till import ForkServer, HostProcess, KilledTill
from hookspecs import PaymentStatus
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ROUNDS = int(os.environ.get("PAYME_CRASH_ROUNDS", "1"))
LANES = 4
KILLED = -9
UNSERVED = (PaymentStatus.REFUSED.name, PaymentStatus.ABORTED.name)
LATE_S = 0.15

pytestmark = pytest.mark.timeout(240 * ROUNDS)


@dataclass(frozen=True)
class Buyer:
    """A sale as the buyer, the cashier and the network make it.

    Attributes:
        does: what the buyer does with a code.
        stale_codes: how many codes that nobody issued are scanned first.
        settings: of the plugin, beside the quick ones.
        faults: the faults of the requests of each process.
        stops_after_s: the cashier stops the wait after so long.
        ending: what becomes of the paid sale; see ``HostOrder``.
        forks: how a child ends that is forked at the boundary; see ``HostOrder``.
        gets_the_goods: a sale whose money moved is not refused by a till that asks again.
        shows_again: the first code that a process scans is the last one that has reached Payme.
    """

    does: Behaviour = field(default_factory=Behaviour)
    stale_codes: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[InjectedFault, ...] = ()
    stops_after_s: float | None = None
    ending: str = "closes"
    forks: str = ""
    gets_the_goods: bool = False
    shows_again: bool = False


@dataclass(frozen=True)
class Walk:
    """One sale, again and again, and where it is cut off.

    Attributes:
        buyer: name of the buyer.
        asks_again: what the host does after a restart: it asks ``on_payment`` again for open sales, or gives them up.
        cut: at the boundaries of the process; or at its requests, by what becomes of the one that is cut off.
    """

    buyer: str
    asks_again: bool
    cut: FaultKind | None = None

    def __str__(self) -> str:
        host = "asks again" if self.asks_again else "gives up"
        return f"{self.buyer}-{host}" + ("" if self.cut is None else f"-{self.cut.value}")


AT_ONCE = CancelPlan(settle_s=0)
NEVER = Behaviour(BuyerAction.NEVER_ANSWERS)
NO_FUNDS = Behaviour(BuyerAction.LACKS_FUNDS)
SLOW_RETURN = CancelPlan(settle_s=0.2)
LOST = tuple(InjectedFault(FaultKind.ANSWER_LOST, f"receipts.{name}", times=None) for name in ("pay", "cancel"))
REFUSED_RETURN = Behaviour(cancel=CancelPlan(refused_with=-31800))
LATE = Behaviour(BuyerAction.CONFIRMS, after_s=0.25, cancel=CancelPlan(settle_s=0, busy_with=-31800))
BUYERS = {
    "pays at once": Buyer(gets_the_goods=True),
    "shows a code again": Buyer(gets_the_goods=True, shows_again=True),
    "confirms late": Buyer(Behaviour(BuyerAction.CONFIRMS, after_s=0.12), gets_the_goods=True),
    "confirms after the deadline": Buyer(LATE),
    "lacks funds": Buyer(NO_FUNDS),
    "lacks funds, an ignored code": Buyer(NO_FUNDS, settings={"ignoredErrors": "-31630"}),
    "never answers": Buyer(NEVER),
    "declines": Buyer(Behaviour(BuyerAction.DECLINES, after_s=0.08)),
    "the answer to pay is lost": Buyer(faults=LOST[:1], gets_the_goods=True),
    "a stale code, then a good one": Buyer(stale_codes=1, gets_the_goods=True),
    "the cashier stops as the buyer confirms": Buyer(Behaviour(BuyerAction.CONFIRMS, after_s=0.06), stops_after_s=0.05),
    "the sale is annulled, and the answer is lost": Buyer(ending="annuls", faults=LOST[1:]),
    "the sale is annulled, and the return takes a while": Buyer(Behaviour(cancel=SLOW_RETURN), ending="annuls"),
    "the sale is refunded": Buyer(ending="refunds"),
    "the sale is refunded, and the refusal is ignored": Buyer(
        REFUSED_RETURN, ending="refunds", settings={"ignoredErrors": "-31800"}
    ),
    **{f"the sale is annulled beside a child, {end}": Buyer(ending="annuls", forks=end) for end in CHILD_ENDS},
}
OVER_BOUNDARIES = [Walk(buyer, asks_again) for buyer in BUYERS for asks_again in (True, False)]
OVER_REQUESTS = [
    Walk(buyer, asks_again, cut)
    for buyer in ("pays at once", "never answers", "the sale is refunded")
    for asks_again in (True, False)
    for cut in (FaultKind.SILENT_AFTER_EFFECT, FaultKind.REQUEST_DELAYED)
]


Walks = dict[Walk, "Future[WalkedTill]"]
Servers = SimpleQueue[ForkServer]


class WalkedTill:
    """A till, its buyers, and what came of its walk.

    Attributes:
        till: the till.
        points: how many processes should have been killed.
        kills: how many were.
        faults: what was wrong afterwards, with the place where the process had ended; the walk ends there.
    """

    def __init__(self, server: ForkServer, sandbox: Sandbox, folder: Path, *, asks_again: bool) -> None:
        self.till = KilledTill(server, sandbox, folder)
        self.points = self.kills = 0
        self.faults: list[str] = []
        self._sandbox = sandbox
        self._asks_again = asks_again
        self._amounts = itertools.count(1_500_000)
        self._unknown_codes = (f"9{number:019d}" for number in itertools.count(1))

    def start(
        self, buyer: Buyer, *, sales: int = 0, last_boundary: int = 0, fault: InjectedFault | None = None
    ) -> HostProcess:
        """Start a process that makes so many sales after it has restored those of the one before."""
        self._sandbox.clear_faults()
        for each in (*buyer.faults, *([fault] if fault else [])):
            self._sandbox.inject(each)
        sent = [code for code in self.till.shown if self._sandbox.pays(code)] if buyer.shows_again else []
        codes = sent[-1:]
        for _ in range(sales):
            codes += [*itertools.islice(self._unknown_codes, buyer.stale_codes), self._sandbox.issue_code(buyer.does)]
        return self.till.start(
            HostOrder(
                settings={"timeout": "5", "payDuration": "1000", "frequency": "100", **buyer.settings},
                asks_again=self._asks_again,
                sales=tuple(itertools.islice(self._amounts, sales)),
                codes=tuple(codes),
                ending=buyer.ending,
                last_boundary=last_boundary,
                forks=buyer.forks,
                stops_after_s=buyer.stops_after_s,
            )
        )

    def ended(self, process: HostProcess, place: str) -> None:
        """Count a process that should have been killed; it may have ended well before that, and in no other way."""
        status = process.status()
        self.points += 1
        self.kills += status == KILLED
        self._add([f"it ended with {status}"] if status not in {KILLED, 0} else [], place)

    def finish(self, buyer: Buyer, place: str, *, sales: int = 0) -> None:
        """Let a process restore, sell and deliver undisturbed; note what is wrong then."""
        status = self.start(buyer, sales=sales).status()
        self.check(place)
        self._add([f"the process after it ended with {status}"] if status else [], place)

    def check(self, place: str, *, but_last: bool = False) -> None:
        """Note what is wrong, with the place where a process had ended."""
        self._add(self.till.faults(but_last=but_last), place)

    def check_served(self, buyer: Buyer) -> None:
        """Note the sales that were charged and that a till which asks again refused.

        UNKNOWN is right if a request arrives long after the process that sent it was killed.
        """
        if buyer.gets_the_goods and self._asks_again:
            charged = self.till.charged()
            refused = [each.number for each in self.till.sales() if each.status in UNSERVED and each.number in charged]
            self._add([f"sales {refused} are charged and refused"] if refused else [], "at the end")

    def lift_refusals(self) -> None:
        """Let every cancellation that Payme has refused so far go through from now on."""
        for receipt in self._sandbox.receipts():
            self._sandbox.plan_cancel(receipt.receipt_id, AT_ONCE)

    def _add(self, faults: list[str], place: str) -> None:
        if faults:
            self.faults.append(f"{place}: {', '.join(faults)}\n{self.till.events()}")


def walk_over_boundaries(shop: WalkedTill, buyer: Buyer) -> None:
    """Kill a process at each boundary of its sale; the next one restores it before it makes its own sale."""
    shop.finish(buyer, "an undisturbed process", sales=1)
    boundaries = shop.till.boundaries()
    place = "nowhere"
    for round_number, (number, name) in itertools.product(range(ROUNDS), enumerate(boundaries, 1)):
        if shop.faults:
            return
        shop.ended(shop.start(buyer, sales=1, last_boundary=number), f"killed at {place}")
        shop.check(f"killed at {place}", but_last=True)
        place = f"boundary {number}, {name}"
        if round_number:
            shop.start(buyer, last_boundary=round_number).status()
            place += f", then at {round_number}"
        shop.lift_refusals()
    shop.finish(buyer, f"killed at {place}")
    shop.check_served(buyer)


def walk_over_requests(shop: WalkedTill, buyer: Buyer, cut: FaultKind) -> None:
    """Kill a process when each request of its sale has arrived, and let the next one restore that."""
    shop.finish(buyer, "an undisturbed process", sales=1)
    sandbox = shop.till.sandbox
    requests = [request.method for request in sandbox.requests]
    for round_number, (number, method) in itertools.product(range(ROUNDS), enumerate(requests)):
        if shop.faults:
            return
        place = f"killed at request {number + 1}, {method}"
        arrived = len(sandbox.requests) + number + 1
        process = shop.start(buyer, sales=1, fault=InjectedFault(cut, skip=number, after_s=LATE_S))
        shop.till.kill_at_arrival(process, arrived)
        shop.ended(process, place)
        if round_number:
            shop.start(buyer, last_boundary=round_number).status()
        if cut is FaultKind.REQUEST_DELAYED and number % 2:
            time.sleep(LATE_S)  # what is late comes before the next process here, else in the middle of it
        shop.finish(buyer, f"{place}, then at {round_number}")
    shop.check_served(buyer)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Fork servers that nobody uses."""
    idle: Servers = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(LANES):
            idle.put(stack.enter_context(ForkServer()))
        yield idle


@pytest.fixture(scope="module")
def in_memory() -> Iterator[Path]:
    """A folder where a sync costs nothing: a SIGKILL takes nothing away that was written."""
    with folder_in_memory() as folder:
        yield folder


@contextmanager
def open_shop(servers: Servers, folder: Path, *, asks_again: bool = True) -> Iterator[WalkedTill]:
    """Yield a shop with a sandbox and a fork server of its own."""
    folder.mkdir()
    server = servers.get()
    try:
        with Sandbox(cancel=AT_ONCE) as sandbox:
            yield WalkedTill(server, sandbox, folder, asks_again=asks_again)
    finally:
        servers.put(server)


@pytest.fixture(scope="module")
def walks(request: pytest.FixtureRequest, servers: Servers, in_memory: Path) -> Iterator[Walks]:
    """Begin all the walks that this run asks for: their time is mostly waiting, so a few at once are quicker."""

    def begin(number: int, walk: Walk) -> WalkedTill:
        with open_shop(servers, in_memory / str(number), asks_again=walk.asks_again) as shop:
            if walk.cut is None:
                walk_over_boundaries(shop, BUYERS[walk.buyer])
            else:
                walk_over_requests(shop, BUYERS[walk.buyer], walk.cut)
            return shop

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


@pytest.mark.parametrize(("boundary", "forks"), [(1, ""), (2, ""), (1, "returns"), (2, "exits")])
def test_a_kill_while_the_journal_is_made_leaves_a_till_that_sells(
    servers: Servers, in_memory: Path, boundary: int, forks: str
) -> None:
    with open_shop(servers, in_memory / f"made, {boundary}, {forks}") as shop:
        assert shop.start(Buyer(forks=forks), last_boundary=boundary).status() == KILLED
        assert shop.start(Buyer(), sales=1).status() == 0
        assert shop.till.faults() == []
