"""What a whole payment costs beside the bare requests, commits and validation that it can't do without."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
import urllib3

from fakes.till import TENDER, ScriptedUi, VirtualHost, open_sale, request_for
from hookspecs import PosPlugins
from payme_plugin.clock import SystemClock
from payme_plugin.plugin import PaymePlugin
from slips.schemas import Schemas
from tests.benchmarks.conftest import CLEAN, Within, compare, fresh, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]

ROUNDS = 300
WARM_UP = 30
WHOLE_AT_MOST = 1.35
PEER_AT_MOST = 0.35
COMMITS = 3
"""Of one payment inside its hook."""
AMOUNT = 1_500_000
KEY = "key of the account"
POS_ID = "65aa00112233445566778899"
PEER = "PAYME_BENCHMARK_PEER"
LEAN_SERVER = Path(__file__).parent / "lean_server.py"

CREATE_AND_PAY_WITH_PAYME_PKG = """
import sys, time
from payme.classes.receipts import Receipts
url, pos_id, key = sys.argv[1:]
receipts = Receipts(pos_id, key, url)
for _ in sys.stdin:
    begin = time.perf_counter()
    created = receipts.create({"order_id": "1"}, 1_500_000)
    receipts.pay(created.result.receipt._id, "1" * 18)
    print(time.perf_counter() - begin, flush=True)
"""


@contextmanager
def lean_server(*certificate: Path) -> Iterator[int]:
    """Run the lean PaymeGO in a process of its own; yield its port."""
    command = [sys.executable, str(LEAN_SERVER), *map(str, certificate)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=CLEAN) as process:  # noqa: S603
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate(timeout=30)


@dataclass
class Sales:
    """Sales at one till, one after the other, each with a code and an id of its own."""

    plugins: PosPlugins
    sold: int = 0
    slip: str = ""

    def pay(self) -> float:
        """Take one payment and close its sale; return the seconds of ``on_payment``."""
        self.sold += 1
        sale = open_sale(self.sold, amount=AMOUNT)
        request = request_for(f"p{self.sold}", amount=AMOUNT, receipt=sale)
        scanner = ScriptedUi(SystemClock(), [f"{self.sold:018d}"])
        begin = time.perf_counter()
        result = self.plugins.on_payment(request, scanner)
        ended = time.perf_counter()
        assert result is not None
        assert result.payment is not None
        self.slip = result.slips[0].xml
        self.plugins.on_payment_recorded(result.payment)
        self.plugins.on_receipt_closed(replace(sale, payments=(result.payment,), closed_at=1_769_851_996_000))
        return ended - begin


@contextmanager
def selling(folder: Path, url: str, **given: str) -> Iterator[Sales]:
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


def test_a_payment_costs_little_more_than_what_it_can_not_do_without(tmp_path: Path, within: Within) -> None:
    schema = Schemas().get("slip")
    with lean_server() as port, urllib3.PoolManager() as pool, bare_commits(tmp_path / "bare.db") as commit:
        url = f"http://127.0.0.1:{port}/api"
        with selling(tmp_path / "till", url) as sales:
            sales.pay()
            document = sales.slip

            def without_us() -> None:
                create_and_pay(pool, url)
                commit()
                schema.validate(document)

            ratio = compare(sales.pay, lambda: seconds(without_us), ROUNDS, WARM_UP)

    within(f"on_payment / bare create + pay, {COMMITS} commits, one validation", ratio, WHOLE_AT_MOST)


@contextmanager
def peer(python: str, url: str, authorities: Path) -> Iterator[Callable[[], float]]:
    """Run payme-pkg in an environment of its own; yield what does one bare create + pay there and gives its seconds."""
    command = [python, "-I", "-c", CREATE_AND_PAY_WITH_PAYME_PKG, url, POS_ID, KEY]
    environment = {**CLEAN, "REQUESTS_CA_BUNDLE": str(authorities)}
    with subprocess.Popen(  # noqa: S603 - our own script
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        asked, answered = process.stdin, process.stdout
        assert asked is not None
        assert answered is not None

        def once() -> float:
            asked.write("\n")
            asked.flush()
            return float(answered.readline())

        yield once
        process.communicate(timeout=30)


def test_a_payment_over_tls_costs_a_fraction_of_what_a_common_library_takes_to_create_and_pay(
    tmp_path: Path, within: Within
) -> None:
    python = os.environ.get(PEER)
    if not python:
        pytest.skip(f"{PEER} names no Python with payme-pkg")
    authority = trustme.CA()
    own, authorities = tmp_path / "own.pem", tmp_path / "authorities.pem"
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(str(own))
    # A shop trusts the public authorities, and its libraries read all of them; here ours is one more of them.
    public = Path(fresh("import certifi; print(certifi.where())", python=python)).read_bytes()
    authorities.write_bytes(public + authority.cert_pem.bytes())
    with lean_server(own) as port, bare_commits(tmp_path / "bare.db") as commit:
        url = f"https://localhost:{port}/api"
        with (
            selling(tmp_path / "till", url, caFile=str(authorities)) as sales,
            peer(python, url, authorities) as theirs,
        ):
            ratio = compare(lambda: sales.pay() - seconds(commit), theirs, ROUNDS // 2, WARM_UP)

    within(f"on_payment over TLS less {COMMITS} commits / payme-pkg's create + pay", ratio, PEER_AT_MOST)
