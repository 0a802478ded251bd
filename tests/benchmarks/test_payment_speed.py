"""What a whole payment costs beside the bare requests, commits and validation that it can't do without."""

from __future__ import annotations

import json
import os
import sqlite3
import ssl
import struct
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import urllib3

from hookspecs import BaseHost, BaseUi, Item, PaymentRequest, PosPlugins, Receipt, ReceiptKind
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.plugin import PaymePlugin
from slips.schemas import Schemas
from tests.benchmarks.conftest import CLEAN, HERE, SLACK, Server, Tell, compare, fresh, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]

ROUNDS = 300
WARM_UP = 30
WHOLE_AT_MOST = 1.35
PEER_AT_MOST = 0.35
AMOUNT = 1_500_000
KEY = "key of the kassa"
KASSA = "65aa00112233445566778899"
PEER = "PAYME_BENCHMARK_PEER"

_WAL_HEADER, _FRAME_HEADER = 32, 24


class Till(BaseHost):
    """A till on a folder, against a server."""

    identity = "till-1"

    def __init__(self, folder: Path, server: Server) -> None:
        self._folder = folder
        self._settings = {"paymentType": "7", "url": server.url, "posId": KASSA, "posKey": KEY}
        if server.ca_file is not None:
            self._settings["caFile"] = str(server.ca_file)

    def settings(self, plugin: str) -> Mapping[str, str]:
        return self._settings

    def data_dir(self, plugin: str) -> Path:
        return self._folder


@dataclass
class Sales:
    """Sales at one till, one after the other, each with a code and an id of its own."""

    plugins: PosPlugins
    folder: Path
    sold: int = 0
    slip: str = ""

    def pay(self) -> float:
        """Take one payment and close its sale; return the seconds of ``on_payment``."""
        self.sold += 1
        item = Item(name="Non", quantity=Decimal(1), price=AMOUNT, amount=AMOUNT)
        sale = Receipt(till="1", shift=1, number=self.sold, kind=ReceiptKind.SALE, items=(item,), total=AMOUNT)
        request = PaymentRequest(payment_id=f"p{self.sold}", payment_type=7, amount=AMOUNT, receipt=sale)
        scanner = Scanner(f"{self.sold:018d}")
        begin = time.perf_counter()
        result = self.plugins.on_payment(request, scanner)
        ended = time.perf_counter()
        assert result is not None
        assert result.payment is not None
        self.slip = result.slips[0].xml
        self.plugins.on_payment_recorded(result.payment)
        self.plugins.on_receipt_closed(replace(sale, payments=(result.payment,), closed_at=1_769_851_996_000))
        return ended - begin

    def commits_of_a_payment(self) -> int:
        """Return the commits of one payment's ``on_payment``; its acknowledgement and the closing are two more."""
        self.pay()
        before = self._commits()
        self.pay()
        return self._commits() - before - 2

    def _commits(self) -> int:
        """Return the commits in the journal's write-ahead log; it must not have begun anew meanwhile."""
        return len(committed((self.folder / f"{FILE_NAME}-wal").read_bytes()))


class Scanner(BaseUi):
    """A buyer whose code is scanned at once."""

    def __init__(self, code: str) -> None:
        self._code = code

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        return self._code


def committed(log: bytes) -> list[int]:
    """Return the frames of a write-ahead log that end a commit. Source: the file format of SQLite, section 4.1."""
    page_bytes, _, *salts = struct.unpack(">IIII", log[8:24])
    found = []
    for at in range(_WAL_HEADER, len(log) - _FRAME_HEADER, _FRAME_HEADER + page_bytes):
        _, pages_after, *frame_salts = struct.unpack(">IIII", log[at : at + 16])
        if frame_salts == salts and pages_after:
            found.append(at)
    return found


@contextmanager
def selling(folder: Path, server: Server) -> Iterator[Sales]:
    plugins = PosPlugins()
    plugins.register(PaymePlugin(), "payme")
    plugins.on_start(Till(folder, server))
    for thread in threading.enumerate():
        if thread.name == "payme-warm-up":
            thread.join()
    plugins.on_ready()
    try:
        yield Sales(plugins, folder)
    finally:
        plugins.on_stop()


class BareCommits:
    """As many commits as asked for, each of one small row, into a journal that syncs each as ours does."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, isolation_level=None)
        self._file.execute("PRAGMA journal_mode = WAL").fetchall()
        self._file.execute("PRAGMA synchronous = FULL")
        self._file.execute("CREATE TABLE event (event_id INTEGER PRIMARY KEY, text TEXT NOT NULL)")

    def commit(self, count: int) -> None:
        for _ in range(count):
            self._file.execute("BEGIN IMMEDIATE")
            self._file.execute("INSERT INTO event (text) VALUES ('the code is about to leave')")
            self._file.execute("COMMIT")

    def close(self) -> None:
        self._file.close()


class BareClient:
    """``receipts.create`` and ``receipts.pay`` with urllib3 and nothing else."""

    def __init__(self, server: Server) -> None:
        context = None if server.ca_file is None else ssl.create_default_context(cafile=server.ca_file)
        pool = urllib3.PoolManager() if context is None else urllib3.PoolManager(ssl_context=context)
        self._pool, self._url, self._id = pool, server.url, 0

    def create_and_pay(self) -> None:
        receipt = self._post("receipts.create", {"amount": AMOUNT, "account": {"order_id": "1"}})
        paid = self._post("receipts.pay", {"id": receipt["_id"], "token": "1" * 18})
        assert paid["state"] == 4

    def _post(self, method: str, params: Mapping[str, object]) -> Mapping[str, object]:
        self._id += 1
        asked = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        answer = self._pool.request(
            "POST",
            self._url,
            body=json.dumps(asked).encode(),
            headers={"X-Auth": f"{KASSA}:{KEY}", "Content-Type": "application/json"},
        )
        receipt: Mapping[str, object] = json.loads(answer.data)["result"]["receipt"]
        return receipt

    def close(self) -> None:
        self._pool.clear()


def test_a_payment_costs_little_more_than_what_it_can_not_do_without(
    plain_server: Server, tmp_path: Path, tell: Tell
) -> None:
    bare, commits, schema = BareClient(plain_server), BareCommits(tmp_path / "bare.db"), Schemas().get("slip")
    with selling(tmp_path / "till", plain_server) as sales:
        count = sales.commits_of_a_payment()
        document = sales.slip

        def without_us() -> None:
            bare.create_and_pay()
            commits.commit(count)
            schema.validate(document)

        ratio = compare(sales.pay, lambda: seconds(without_us), ROUNDS, WARM_UP)
    bare.close()
    commits.close()

    tell(f"on_payment / bare create + pay, {count} commits, one validation", ratio)
    assert ratio.ratio <= WHOLE_AT_MOST * SLACK


@contextmanager
def peer(python: str, server: Server) -> Iterator[Callable[[], float]]:
    """Run payme-pkg in an environment of its own; yield what does one bare create + pay there and gives its seconds."""
    environment = {**CLEAN, "REQUESTS_CA_BUNDLE": str(server.ca_file)}
    command = [python, "-I", str(HERE / "peer_client.py"), server.url, KASSA, KEY]
    with subprocess.Popen(  # noqa: S603 - our own script
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        asked, told = process.stdin, process.stdout
        assert asked is not None
        assert told is not None

        def once() -> float:
            asked.write("\n")
            asked.flush()
            return float(told.readline())

        yield once
        process.communicate(timeout=30)


def public_authorities(python: str) -> bytes:
    """Return the certificates that payme-pkg's own environment trusts."""
    return Path(fresh("import certifi; print(certifi.where())", python=python)).read_bytes()


def test_a_payment_over_tls_costs_a_fraction_of_what_a_common_library_takes_to_create_and_pay(
    tls_server: Server, tmp_path: Path, tell: Tell
) -> None:
    python = os.environ.get(PEER)
    if not python:
        pytest.skip(f"{PEER} names no Python with payme-pkg")
    assert tls_server.ca_file is not None
    # A shop trusts the public authorities, and its libraries read all of them; here ours is one more of them.
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(public_authorities(python) + tls_server.ca_file.read_bytes())
    server = replace(tls_server, ca_file=authorities)
    commits = BareCommits(tmp_path / "bare.db")
    with selling(tmp_path / "till", server) as sales, peer(python, server) as theirs:
        count = sales.commits_of_a_payment()

        def ours() -> float:
            return sales.pay() - seconds(lambda: commits.commit(count))

        ratio = compare(ours, theirs, ROUNDS // 2, WARM_UP)
    commits.close()

    tell(f"on_payment over TLS less {count} commits / payme-pkg's create + pay", ratio)
    assert ratio.ratio <= PEER_AT_MOST * SLACK
