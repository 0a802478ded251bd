"""What a whole payment costs beside the bare requests, commits and validation that it can't do without."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import urllib3

from fakes.till import TENDER, ScriptedUi, VirtualHost, open_sale, request_for
from hookspecs import PaymentStatus, PosPlugins
from payme_plugin.clock import SystemClock
from payme_plugin.plugin import PaymePlugin
from slips.schemas import Schemas
from tests.benchmarks.measure import CONTRACT, Skip, Skipped, compare, lean_server, ratio_of, seconds
from tests.benchmarks.peer_process import AMOUNT, LIBRARIES
from tests.benchmarks.peers import KEY, POS_ID, peer, tls_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hookspecs import PaymentRecord, Receipt
    from tests.benchmarks.measure import Figure

WARM_UP = 30
COMMITS = 3
"""Of one payment inside its hook."""
HTTP_AT_MOST = 1.20
TLS_AT_MOST = 0.10


@dataclass(frozen=True)
class Taken:
    """A payment that was taken.

    Attributes:
        sale: the open sale.
        payment: what the till stores.
        slip: the document.
        hook_s: the seconds of ``on_payment``.
        cpu_s: the processor time of the process meanwhile.
        after_scan_s: the seconds from the end of the scan to the result.
    """

    sale: Receipt
    payment: PaymentRecord
    slip: str
    hook_s: float
    cpu_s: float
    after_scan_s: float


@dataclass
class Sales:
    """Sales at one till, one after the other, each with a code and an id of its own."""

    plugins: PosPlugins
    sold: int = 0

    def take(self, first: str = "1", scan_s: float = 0) -> Taken:
        """Take a payment whose code has this first digit and whose scan takes so long."""
        self.sold += 1
        sale = open_sale(self.sold, amount=AMOUNT)
        request = request_for(f"p{self.sold}", amount=AMOUNT, receipt=sale)
        clock = SystemClock()
        scanner = ScriptedUi(clock, [f"{first}{self.sold:017d}"], takes_s=scan_s)
        begin, begin_cpu = clock.monotonic(), time.process_time()
        result = self.plugins.on_payment(request, scanner)
        ended, cpu_s = clock.monotonic(), time.process_time() - begin_cpu
        assert result is not None
        assert result.status is PaymentStatus.PAID, result.message
        assert result.payment is not None
        self.plugins.on_payment_recorded(result.payment)
        slip, after_scan_s = result.slips[0].xml, ended - scanner.scanned_at[0]
        return Taken(sale, result.payment, slip, ended - begin, cpu_s, after_scan_s)

    def close(self, taken: Taken) -> None:
        """Close the sale of a payment."""
        closed = replace(taken.sale, payments=(taken.payment,), closed_at=1_769_851_996_000)
        self.plugins.on_receipt_closed(closed)

    def pay(self) -> float:
        """Take a payment and close its sale; return the seconds of ``on_payment``."""
        taken = self.take()
        self.close(taken)
        return taken.hook_s

    def pay_cpu(self) -> float:
        """Take a payment and close its sale; return the processor time of ``on_payment``."""
        taken = self.take()
        self.close(taken)
        return taken.cpu_s

    def scan_to_result(self, first: str, scan_s: float) -> float:
        """Take a payment and close its sale; return the seconds from the end of the scan to the result."""
        taken = self.take(first, scan_s)
        self.close(taken)
        return taken.after_scan_s


@contextmanager
def selling(folder: Path, url: str, **given: str) -> Iterator[Sales]:
    """Start a till; yield its sales."""
    plugins = PosPlugins()
    plugins.register(PaymePlugin(), "payme")
    settings = {"paymentType": str(TENDER), "url": url, "posId": POS_ID, "posKey": KEY, **given}
    plugins.on_start(VirtualHost(folder, settings))
    for thread in threading.enumerate():
        if thread.name == "payme-warm-up":
            thread.join()
    plugins.on_ready()
    try:
        yield Sales(plugins)
    finally:
        plugins.on_stop()


@contextmanager
def bare_commits(path: Path) -> Iterator[Callable[[], None]]:
    """Yield what makes as many commits as a payment, each of one small row, into a journal that syncs as ours does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = WAL").fetchall()
        file.execute("PRAGMA synchronous = FULL")
        file.execute("CREATE TABLE event (event_id INTEGER PRIMARY KEY, text TEXT NOT NULL)")

        def commit() -> None:
            for _ in range(COMMITS):
                file.execute("BEGIN IMMEDIATE")
                file.execute("INSERT INTO event (text) VALUES ('the code is about to leave')")
                file.execute("COMMIT")

        yield commit


def create_and_pay(pool: urllib3.PoolManager, url: str) -> None:
    """Send ``receipts.create`` and ``receipts.pay`` with urllib3 and nothing else."""

    def post(request_id: int, method: str, params: Mapping[str, object]) -> Mapping[str, object]:
        body = json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode()
        headers = {"X-Auth": f"{POS_ID}:{KEY}", "Content-Type": "application/json"}
        answer = pool.request("POST", url, body=body, headers=headers)
        receipt: Mapping[str, object] = json.loads(answer.data)["result"]["receipt"]
        return receipt

    receipt = post(1, "receipts.create", {"amount": AMOUNT, "account": {"order_id": "1"}})
    assert post(2, "receipts.pay", {"id": receipt["_id"], "token": "1" * 18})["state"] == 4


def over_http(rounds: int) -> list[Figure]:
    """Compare ``on_payment`` over http with bare requests, commits and one validation."""
    schema = Schemas().get("slip")
    with TemporaryDirectory() as name, lean_server() as port, urllib3.PoolManager() as pool:
        folder, url = Path(name), f"http://127.0.0.1:{port}/api"
        with bare_commits(folder / "bare.db") as commit, selling(folder / "till", url) as sales:
            document = sales.take().slip

            def without_us() -> None:
                create_and_pay(pool, url)
                commit()
                schema.validate(document)

            ratio = compare(sales.pay, lambda: seconds(without_us), rounds, WARM_UP)
            cpu = compare(sales.pay_cpu, lambda: seconds(without_us, time.process_time), rounds // 2, WARM_UP)
    against = f"urllib3's create + pay, {COMMITS} FULL commits, one `validate` of xmlschema"
    return [
        ratio.figure(CONTRACT, "`on_payment` over http", against, HTTP_AT_MOST),
        cpu.figure(CONTRACT, "`on_payment` over http: CPU", against),
    ]


def over_tls(rounds: int) -> list[Figure]:
    """Compare ``on_payment`` over TLS, less its commits, with payme-pkg's create and pay."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        own, authorities = tls_files(folder)
        with lean_server(certificate=own) as port, bare_commits(folder / "bare.db") as commit:
            url = f"https://localhost:{port}/api"
            with (
                peer("payme-pkg", url, authorities) as theirs,
                selling(folder / "till", url, caFile=str(authorities)) as sales,
            ):
                ratio = compare(lambda: sales.pay() - seconds(commit), theirs.create_and_pay, rounds, WARM_UP)
    name = f"`on_payment` over TLS less {COMMITS} FULL commits"
    return [ratio.figure(CONTRACT, name, f"{theirs.name}'s create + pay", TLS_AT_MOST)]


def beside_peers(scheme: str, rounds: int) -> list[Figure | Skip]:
    """Compare a whole ``on_payment`` with each library's create and pay, in turns at one server."""
    section = f"`on_payment`, with its commits and its slip, beside create + pay of others, over {scheme}"
    skipped: list[Skip] = []
    ours: list[float] = []
    theirs: dict[str, list[float]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        own, authorities = tls_files(folder) if scheme == "TLS" else (None, None)
        port = stack.enter_context(lean_server(certificate=own))
        url = f"https://localhost:{port}/api" if own else f"http://127.0.0.1:{port}/api"
        trusted = {"caFile": str(authorities)} if authorities else {}
        sales = stack.enter_context(selling(folder / "till", url, **trusted))
        peers = []
        for library in LIBRARIES:
            try:
                peers.append(stack.enter_context(peer(library, url, authorities)))
            except Skipped as reason:
                skipped.append(Skip(section, library, str(reason)))
        turns = [(sales.pay, ours)] + [(each.create_and_pay, theirs.setdefault(each.name, [])) for each in peers]
        for number in range(WARM_UP + rounds):
            first = number % len(turns)
            for turn, times in turns[first:] + turns[:first]:
                times.append(turn())
    figures = [
        ratio_of(ours[WARM_UP:], times[WARM_UP:]).figure(section, name, "create + pay")
        for name, times in theirs.items()
    ]
    return [*figures, *skipped]
