"""Kill a till at random moments while its PaymeGO misbehaves, let it come to rest, and compare the money.

By hand: ``python tests/fuzz/run.py --kills 200 --seed 1``. A failure prints the seed and keeps the folder. The moments
depend on the machine, so a seed repeats the plans of the till and of the server, but not every interleaving.

Nothing is shared with the product's own server or with the other tests.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HOST = Path(__file__).with_name("host.py")
CREATED, PAYING, PAID, CANCELLING, CANCELLED = 0, 1, 4, 21, 50
NOT_ENOUGH_MONEY, CODE_TOO_OLD, INTERNAL_ERROR, NO_SUCH_RECEIPT, CAN_NOT_CANCEL = -31630, -31400, -32400, -31602, -31800
REST_S = 90.0


class Refused(Exception):
    """The server answers with an error code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Receipt:
    """A receipt of the server; ``later`` has the states that it takes by itself, with their times."""

    id: str
    amount: int
    account: dict[str, Any]
    created_at: int
    state: int = CREATED
    paid_at: int = 0
    cancelled_at: int = 0
    later: list[tuple[float, int]] = field(default_factory=list)

    def take(self, state: int) -> None:
        self.state = state
        if state == PAID and not self.paid_at:
            self.paid_at = now_ms()
        if state == CANCELLED:
            self.cancelled_at = now_ms()

    def advance(self) -> None:
        while self.later and self.later[0][0] <= time.monotonic():
            self.take(self.later.pop(0)[1])

    def document(self) -> dict[str, Any]:
        return {
            "_id": self.id,
            "state": self.state,
            "amount": self.amount,
            "currency": 860,
            "create_time": self.created_at,
            "pay_time": self.paid_at,
            "cancel_time": self.cancelled_at,
            "account": [{"name": name, "title": name, "value": value} for name, value in self.account.items()],
        }


class Payme:
    """A PaymeGO whose buyers and whose line are random.

    Attributes:
        receipts: by id.
        arrived: how often a code came in ``receipts.pay``.
        is_faulty: the line misbehaves.
        watch: called with ``before`` or ``after`` and the method, around the effect of each request.
    """

    def __init__(self, random: Random) -> None:
        self.receipts: dict[str, Receipt] = {}
        self.arrived: Counter[str] = Counter()
        self.is_faulty = True
        self.watch: Callable[[str, str], None] = lambda _phase, _method: None
        self._random = random
        self._lock = threading.RLock()

    def chance(self, share: float) -> bool:
        with self._lock:
            return self._random.random() < share

    def between(self, least: float, most: float) -> float:
        with self._lock:
            return self._random.uniform(least, most)

    def choose(self, shares: Mapping[str, float]) -> str:
        with self._lock:
            return self._random.choices(list(shares), list(shares.values()))[0]

    def held(self) -> dict[str, int]:
        """Return the amounts of the receipts that are paid, or not decided yet, by id."""
        with self._lock:
            for receipt in self.receipts.values():
                receipt.advance()
            return {each.id: each.amount for each in self.receipts.values() if each.state not in {CREATED, CANCELLED}}

    def amount_of(self, receipt_id: str) -> int:
        return self.receipts[receipt_id].amount if receipt_id in self.receipts else 0

    def carry_out(self, method: str, params: dict[str, Any]) -> object:
        """Return the result of a request; raise ``Refused``."""
        with self._lock:
            if method == "receipts.create":
                receipt = Receipt(f"{self._random.getrandbits(96):024x}", params["amount"], params["account"], now_ms())
                self.receipts[receipt.id] = receipt
                return {"receipt": receipt.document()}
            if method == "receipts.get_all":
                inside = [each for each in self.receipts.values() if params["from"] <= each.created_at <= params["to"]]
                return [each.document() for each in inside[params["offset"] :][: params["count"]]]
            if params["id"] not in self.receipts:
                raise Refused(NO_SUCH_RECEIPT)
            receipt = self.receipts[params["id"]]
            receipt.advance()
            if method == "receipts.pay":
                self._pay(receipt)
            elif method == "receipts.cancel":
                self._cancel(receipt)
            elif method == "receipts.check":
                return {"state": receipt.state}
            elif method == "receipts.set_fiscal_data":
                return {"success": True}
            return {"receipt": receipt.document()}

    def _pay(self, receipt: Receipt) -> None:
        if receipt.state != CREATED:
            raise Refused(NO_SUCH_RECEIPT)
        shares = {"pays": 16, "pays later": 4, "never answers": 2, "declines": 1, "poor": 1, "old": 1, "pays, error": 1}
        buyer = self.choose(shares)
        if buyer == "poor":
            raise Refused(NOT_ENOUGH_MONEY)
        if buyer == "old":
            raise Refused(CODE_TOO_OLD)
        receipt.take(PAID if buyer in {"pays", "pays, error"} else PAYING)
        if buyer == "pays later":
            receipt.later = [(time.monotonic() + self.between(0.0, 2.5), PAID)]
        if buyer == "declines":
            receipt.later = [(time.monotonic() + self.between(0.0, 1.0), CANCELLED)]
        if buyer == "pays, error":
            raise Refused(INTERNAL_ERROR)

    def _cancel(self, receipt: Receipt) -> None:
        if receipt.state in {CANCELLING, CANCELLED}:
            return
        if self.is_faulty and self.chance(0.1):
            raise Refused(CAN_NOT_CANCEL if receipt.state == PAYING else INTERNAL_ERROR)
        is_paid, receipt.later = receipt.state == PAID, []
        if not is_paid or self.chance(0.5):
            receipt.take(CANCELLED)
            return
        receipt.take(CANCELLING)
        end = PAID if self.is_faulty and self.chance(0.15) else CANCELLED
        receipt.later = [(time.monotonic() + self.between(0.0, 1.5), end)]


FAULTS = {
    "none": 110,
    "slow before": 3,
    "slow after": 3,
    "too slow before": 2,
    "too slow after": 2,
    "drop before": 4,
    "drop after": 6,
    "500 before": 3,
    "500 after": 3,
    "error before": 2,
    "error after": 2,
    "garbage after": 2,
    "other id after": 2,
    "no id after": 2,
    "lie with other id": 6,
    "lie without id": 6,
}
"""What the line does to a request, before or after its effect, by its share."""


class Handler(BaseHTTPRequestHandler):
    """One connection of the till; ``server.payme`` answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536
    server: Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        payme = self.server.payme
        if request["method"] == "receipts.pay":
            payme.arrived[request["params"]["token"]] += 1
        payme.watch("before", request["method"])
        fault = payme.choose(FAULTS) if payme.is_faulty else "none"
        if not self.goes_on("before", fault):
            return
        answer = self.answer(request, fault)
        payme.watch("after", request["method"])
        if self.goes_on("after", fault):
            body = altered(answer, request, fault, payme)
            self.reply(200, b"<html>" if fault == "garbage after" else json.dumps(body).encode())

    def answer(self, request: dict[str, Any], fault: str) -> dict[str, Any]:
        try:
            if fault == "error before":
                raise Refused(INTERNAL_ERROR)
            return {"id": request["id"], "result": self.server.payme.carry_out(request["method"], request["params"])}
        except Refused as refused:
            return {"id": request["id"], "error": error(refused.code)}

    def goes_on(self, phase: str, fault: str) -> bool:
        """Do what the line does in this phase; return whether the request goes on."""
        if fault == f"slow {phase}":
            time.sleep(self.server.payme.between(0.05, 0.4))
        if fault == f"too slow {phase}":
            time.sleep(self.server.payme.between(1.0, 1.5))
        if fault == f"drop {phase}":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        if fault == f"500 {phase}":
            self.reply(500, b"")
        return fault not in {f"drop {phase}", f"500 {phase}"}

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        with suppress(OSError):  # the till was killed
            super().handle()

    def log_message(self, *_: object) -> None:
        pass


def altered(answer: dict[str, Any], request: dict[str, Any], fault: str, payme: Payme) -> dict[str, Any]:
    """Return what the line makes of an answer."""
    if fault == "error after":
        return {"id": request["id"], "error": error(INTERNAL_ERROR)}
    body = dict(answer)
    if fault.startswith("lie") and "id" in request["params"]:
        state = int(payme.choose({"0": 1, "4": 3, "21": 1, "50": 2}))
        lie = Receipt(request["params"]["id"], payme.amount_of(request["params"]["id"]), {}, now_ms(), state).document()
        body = {"result": {"state": state} if request["method"] == "receipts.check" else {"receipt": lie}}
    if "other id" in fault:
        body["id"] = "another"
    if fault in {"no id after", "lie without id"}:
        body.pop("id", None)
    return body


class Server(ThreadingHTTPServer):
    """The server of one fuzz."""

    daemon_threads = True

    def __init__(self, payme: Payme) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.payme = payme


def error(code: int) -> dict[str, Any]:
    return {"code": code, "message": "refused", "data": None}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def served(payme: Payme) -> Iterator[str]:
    """Serve on loopback, and yield the address."""
    server = Server(payme)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Fuzz:
    """One folder, one server, and as many processes of the till as it takes."""

    def __init__(self, folder: Path, payme: Payme, url: str, seed: int) -> None:
        self.folder = folder
        self.payme = payme
        self.random = Random(f"kills {seed}")  # noqa: S311 - a plan
        self._url = url
        self._seed = seed
        self._processes = 0
        self._till: subprocess.Popen[bytes] | None = None

    def start(self, *mode: str) -> subprocess.Popen[bytes]:
        self._processes += 1
        seed = f"{self._seed}.{self._processes}"
        with (self.folder / "stderr").open("ab") as log:
            self._till = till = subprocess.Popen(  # noqa: S603 - our own host
                [sys.executable, str(HOST), str(self.folder), self._url, seed, *mode],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert till.stdout is not None
        assert till.stdout.readline() == b"imported\n", self.failure("the till can't be imported")
        return till

    def kill_once(self) -> None:
        """Let the till sell, and kill it: at some time, or before or after the effect of some request."""
        died, phase = threading.Event(), self.random.choice(["before", "after"])
        method = self.random.choice(["receipts.pay", "receipts.cancel", "", "never"])  # "": any
        left = self.random.randint(1, 3 if method else 20)
        limit_s = self.random.uniform(0.0, 1.5) if method == "never" else 2.5

        def watch(now: str, asked: str) -> None:
            nonlocal left
            if now == phase and method in {asked, ""}:
                left -= 1
                if left == 0:
                    till.kill()
                    died.set()

        till = self.start()
        self.payme.watch = watch
        died.wait(limit_s)
        assert till.poll() in {None, -signal.SIGKILL}, self.failure("the till ended by itself")
        till.kill()
        till.communicate()
        self.payme.watch = lambda _phase, _method: None
        self.check_journal()
        self.check_codes()

    def rest(self) -> None:
        """Let the till and its worker come to rest, and compare the money."""
        self.payme.is_faulty = False
        till = self.start("rest")
        assert till.stdout is not None
        line = till.stdout.readline()
        assert line, self.failure("the till could not decide what was left")
        said = json.loads(line)
        assert said["faults"] == [], self.failure(said["faults"])
        deadline = time.monotonic() + REST_S
        while self.payme.held() != said["held"] and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)  # nothing moves any more
        till.communicate(timeout=30)
        assert till.returncode == 0, self.failure("the till could not stop")
        self.compare(said["held"])
        self.check_journal()
        self.check_codes()

    def compare(self, recorded: dict[str, int]) -> None:
        charged = self.payme.held()
        lost = {each: self.payme.receipts[each] for each in charged.keys() - recorded.keys()}
        assert not lost, self.failure(f"charged without a sale: {lost}")
        unpaid = {each: self.payme.receipts.get(each) for each in recorded.keys() - charged.keys()}
        assert not unpaid, self.failure(f"sold without a charge: {unpaid}")
        assert charged == recorded, self.failure("amounts differ")

    def check_codes(self) -> None:
        twice = [code for code, times in self.payme.arrived.items() if times > 1]
        assert not twice, self.failure(f"codes that were sent twice: {twice}")

    def check_journal(self) -> None:
        """Check a copy, so that the till itself recovers what a kill left."""
        for path in (self.folder / "payme").glob("*.db"):
            with tempfile.TemporaryDirectory() as copies:
                for each in path.parent.glob(f"{path.name}*"):
                    shutil.copy(each, copies)
                with closing(sqlite3.connect(Path(copies) / path.name)) as journal:
                    (found,) = journal.execute("PRAGMA integrity_check").fetchone()
            assert found == "ok", self.failure(f"{path.name}: {found}")

    def end(self) -> None:
        """End the till whatever happened."""
        if self._till is not None:
            self._till.kill()
            self._till.communicate()

    def failure(self, what: object) -> str:
        return f"{what} (seed {self._seed}, process {self._processes}, see {self.folder})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    began_at = time.monotonic()
    payme = Payme(Random(f"server {asked.seed}"))  # noqa: S311 - a plan
    with served(payme) as url:
        fuzz = Fuzz(folder, payme, url, asked.seed)
        try:
            for _ in range(asked.kills):
                fuzz.kill_once()
            fuzz.rest()
        finally:
            fuzz.end()
    states = Counter(each.state for each in payme.receipts.values())
    print(  # noqa: T201 - a command
        f"seed {asked.seed}: {asked.kills} kills, {len(payme.receipts)} receipts, {states[PAID]} paid, "
        f"{states[CANCELLED]} returned or unpaid, {sum(payme.arrived.values())} codes, "
        f"{time.monotonic() - began_at:.0f} s: the money is right"
    )
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
