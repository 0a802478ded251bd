"""In a forked child a started plugin does nothing until the child starts it again.

``tests/kills`` forks at every boundary of a sale.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from fakes.waiting import comes_true
from faults.child_process import PYTHON_PATH
from hookspecs import PaymentStatus
from payme_plugin.ledger.journal import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.served_till import ServedTill
    from payme_plugin.sandbox import Sandbox

ANOTHER = "payme.another_till"
FORKS = pytest.mark.parametrize("fork", ["os.fork()", "fork_in_c()"], ids=["python", "c"])
_HEAD = """
import ctypes, json, os, signal, sys, threading, time
from pathlib import Path
from fakes.served_till import ServedTill
from fakes.till import *
from hookspecs import *
from payme_plugin.plugin import PaymePlugin
def say(value):
    print(json.dumps(value), flush=True)
def fork_in_c():
    return ctypes.PyDLL(None).fork()  # Python does not learn of it, as with a host written in C
till = ServedTill(VirtualHost(Path(sys.argv[1]), json.loads(sys.argv[2])), None)
till.plugins.register(PaymePlugin(), "payme")
till.start()
codes = json.loads(sys.argv[3])
def pay(number):
    result = till.pay(codes[number - 1], payment_id=f"p{number}")
    if result.payment:
        till.acknowledge(result)
    return result.status.name
"""


class Program:
    """A till in a process of its own, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def read(self) -> Any:  # noqa: ANN401 - JSON
        """Return what the program or its child says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the program ended without a word"
        return json.loads(line)

    def go_on(self) -> None:
        """Let it read one more line."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """Kill the program, not its children."""
        self.process.kill()
        self.process.wait(20)


@pytest.fixture
def run(sandbox: Sandbox, settings: dict[str, str], folder: Path) -> Callable[..., Any]:
    """Start a till that forks; kill it and its children at the end."""

    @contextmanager
    def run(script: str, codes: int = 1, **given: str) -> Iterator[Program]:
        order = [str(folder), json.dumps(settings | given), json.dumps([sandbox.issue_code() for _ in range(codes)])]
        with subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-W", "ignore", "-c", _HEAD + script, *order],
            env={**os.environ, "PYTHONPATH": PYTHON_PATH},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield Program(process)
            finally:
                os.killpg(process.pid, signal.SIGKILL)

    return run


def sells(till: ServedTill, payment_id: str) -> bool:
    return till.pay(till.code(), payment_id=payment_id).status is PaymentStatus.PAID


_HOOKS = """
paid = till.pay(codes[0])
record = till.acknowledge(paid)
forked, locks = threading.Event(), []
if FORK_WITH_LOCKS:
    # Another thread holds what a hook and the worker need, for ever: in the child nobody gives it back.
    plugin = till.plugins._manager.get_plugin("payme")
    service = plugin._dispatcher._service
    locks = [plugin._lock, plugin._dispatcher._changed, service.storage._lock,
             service.storage.opened.journal._lock, service.background._changed, service._clients._lock]
    def hold():
        for lock in locks:
            lock.acquire()
        forked.set()
        time.sleep(60)
    threading.Thread(target=hold, daemon=True).start()
    forked.wait()
if FORK == 0:
    said = {}
    def ask(name, call):
        try:
            answer = call()
            said[name] = getattr(getattr(answer, "status", answer), "name", answer)
        except HookFailed:
            said[name] = "HookFailed"
    sold = open_sale(payments=(record,))
    refund = RefundRequest(refund_id="r", payment_type=TENDER, payment=record, sale=sold, refund=open_sale(2),
                           amount=record.amount, manual_selection=False, currency_selection=False)
    ask("new", lambda: till.pay(codes[1], payment_id="p2"))
    ask("repeated", lambda: till.pay(codes[1], repeated=True))
    ask("recorded", lambda: till.plugins.on_payment_recorded(record))
    ask("ready", till.plugins.on_ready)
    ask("cancel", lambda: till.plugins.on_cancel(CancelRequest(payment=record, receipt=sold), BaseUi()))
    ask("validate", lambda: till.plugins.validate_refund(refund))
    ask("refund", lambda: till.plugins.on_full_refund(refund, BaseUi()))
    ask("closed", lambda: till.plugins.on_receipt_closed(sold))
    ask("message", lambda: till.plugins.on_queue_message(
        QueueMessage(message_id="m", kind="payme.cancel", body="{}", created_at=1)))
    ask("stop", till.plugins.on_stop)
    say(said)
    os._exit(0)
sys.stdin.readline()
"""


@FORKS
@pytest.mark.parametrize("has_locks", [False, True], ids=["at rest", "while locks are held"])
def test_no_hook_of_a_child_sends_waits_or_stops_anything(
    sandbox: Sandbox, run: Callable[..., Any], new_till: Callable[..., ServedTill], fork: str, *, has_locks: bool
) -> None:
    with run(_HOOKS.replace("FORK_WITH_LOCKS", str(has_locks)).replace("FORK", fork), codes=2) as till:
        assert till.read() == {
            "new": "REFUSED", "repeated": "PENDING", "recorded": "HookFailed", "ready": "HookFailed",
            "cancel": "HookFailed", "validate": "HookFailed", "refund": "HookFailed", "closed": "HookFailed",
            "message": None, "stop": None,
        }  # fmt: skip
        assert [request.method for request in sandbox.requests].count("receipts.pay") == 1

        other = new_till()
        assert not sells(other, "p3")
        assert str(till.process.pid) in other.host.notices[ANOTHER], "the parent is still the leader"


@pytest.mark.parametrize("fork", ["os.fork()", "fork_in_c()"], ids=["python", "c"])
def test_a_helper_of_a_killed_till_keeps_the_lead_only_if_python_does_not_know_of_it(
    run: Callable[..., Any], new_till: Callable[..., ServedTill], fork: str
) -> None:
    script = """
helper = FORK
if helper == 0:
    os.close(1)
    time.sleep(60)
say(helper)
pay(1)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with run(script.replace("FORK", fork)) as former:
        helper = former.read()
        former.process.wait(20)
        till = new_till()
        if fork == "fork_in_c()":
            assert not sells(till, "p2")
            assert str(helper) in till.host.notices[ANOTHER]
            os.kill(helper, signal.SIGKILL)

        assert comes_true(lambda: sells(till, "p3"))
        assert ANOTHER not in till.host.notices


def test_a_child_of_a_host_in_c_keeps_no_lock_once_it_has_called_a_hook(
    run: Callable[..., Any], new_till: Callable[..., ServedTill]
) -> None:
    script = """
if fork_in_c() == 0:
    till.plugins.payment_types()
    say("called")
time.sleep(60)
"""
    # A thread that imports at the moment of the fork keeps Python's lock of imports in the child for ever.
    with run(script, runWorker="false") as former:
        former.read()
        former.kill()

        assert sells(new_till(), "p2")


@FORKS
def test_the_normal_end_of_a_child_does_not_change_the_files_of_a_killed_parent(
    run: Callable[..., Any], folder: Path, fork: str
) -> None:
    script = """
pay(1)
if FORK == 0:
    say("forked")
    sys.stdin.readline()
    sys.exit()
time.sleep(60)
"""

    def files() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in folder.glob(f"{FILE_NAME}*")}

    # The frames of a worker's thread would keep the journal in the child.
    with run(script.replace("FORK", fork), runWorker="false") as till:
        till.read()
        till.kill()
        before = files()
        till.go_on()
        assert till.process.stdout is not None
        assert till.process.stdout.read() == "", "the child has ended"

    assert files() == before
    assert len(before) == 3


def test_a_child_that_starts_again_leads_after_the_parents_end_and_its_commits_stay(
    run: Callable[..., Any], folder: Path
) -> None:
    # A fork that Python does not see leaves Python's own locks, e.g. of logging, as another thread held them.
    script = """
pay(1)
if os.fork() == 0:
    till.start()
    say([os.getpid(), pay(2)])
    sys.stdin.readline()
    till.start()
    say(pay(3))
    sys.stdin.readline()
    say(pay(4))
    sys.stdin.readline()
    os._exit(0)
time.sleep(60)
"""

    def look() -> tuple[list[str], str]:
        """Read as the last user that closes the journal: it would delete the log."""
        with closing(sqlite3.connect(folder / FILE_NAME)) as other:
            rows = other.execute("SELECT payment_id FROM payment WHERE state = 'recorded' ORDER BY payment_id")
            return [row[0] for row in rows], other.execute("PRAGMA integrity_check").fetchone()[0]

    with run(script, codes=4) as till:
        assert till.read()[1] == "REFUSED", "the parent is the leader"
        till.kill()
        till.go_on()
        assert (till.read(), look()) == ("PAID", (["p1", "p3"], "ok"))
        till.go_on()
        assert (till.read(), look()) == ("PAID", (["p1", "p3", "p4"], "ok"))


def test_a_child_that_returns_from_the_scan_is_not_the_hook(sandbox: Sandbox, run: Callable[..., Any]) -> None:
    script = """
def scan():
    if os.fork() != 0:
        os.wait()
    return codes[0]
parent = os.getpid()
result = till.pay(scan)
say([os.getpid() == parent, result.status.name])
os._exit(0)
"""
    with run(script) as till:
        assert [till.read(), till.read()] == [[False, "REFUSED"], [True, "PAID"]]
    assert [request.method for request in sandbox.requests].count("receipts.pay") == 1
