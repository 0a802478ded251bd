"""What a forked child may do with a started plugin: nothing, until it starts the plugin itself."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes.waiting import comes_true
from faults.forking_till import ForkingTill
from hookspecs import PaymentStatus
from payme_plugin.ledger.journal import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payme_plugin.sandbox import Sandbox

SUPPORT = Path(__file__).parents[1] / "support"
FORKS = pytest.mark.parametrize("fork", ["os.fork()", "fork_in_c()"], ids=["python", "c"])
_HEAD = """
import json, os, signal, sys, threading, time
from pathlib import Path
from faults.forking_till import *
from hookspecs import *
folder, settings, codes = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
def say(value):
    print(json.dumps(value), flush=True)
till = ForkingTill(folder, settings)
till.start()
"""


class Program:
    """A till in a process of its own, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def hear(self) -> Any:  # noqa: ANN401 - JSON
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


@contextmanager
def program(script: str, folder: Path, settings: dict[str, str], codes: list[str]) -> Iterator[Program]:
    """Start a till that forks; kill it and its children at the end."""
    path = os.pathsep.join([str(SUPPORT), str(SUPPORT.parents[1])])
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-W", "ignore", "-c", _HEAD + script, str(folder), json.dumps(settings), json.dumps(codes)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Program(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


_HOOKS = """
till.pay("sale-1", codes[0])
record = till.record("sale-1")
forked, locks = threading.Event(), []
if FORK_WITH_LOCKS:
    # Another thread holds what a hook and the worker need, for ever: in the child nobody gives it back.
    service = till.plugins._manager.get_plugin("payme")._dispatcher._service
    dispatcher = till.plugins._manager.get_plugin("payme")._dispatcher
    locks = [till.plugins._manager.get_plugin("payme")._lock, dispatcher._changed, service.storage._lock,
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
    sold = Receipt(till="t", shift=1, number=1, kind=ReceiptKind.SALE, items=(), total=AMOUNT, payments=(record,))
    new = Receipt(till="t", shift=1, number=2, kind=ReceiptKind.SALE, items=(), total=AMOUNT)
    refund = RefundRequest(refund_id="r", payment_type=TENDER, payment=record, sale=sold, refund=new, amount=AMOUNT,
                           manual_selection=False, currency_selection=False)
    def pay(payment_id, repeated):
        return till.plugins.on_payment(PaymentRequest(payment_id=payment_id, payment_type=TENDER, amount=AMOUNT,
            receipt=new, qr_code=codes[1], repeated=repeated), BaseUi())
    ask("new", lambda: pay("sale-2", False))
    ask("repeated", lambda: pay("sale-1", True))
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
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path, fork: str, *, has_locks: bool
) -> None:
    script = _HOOKS.replace("FORK_WITH_LOCKS", str(has_locks)).replace("FORK", fork)
    codes = [sandbox.issue_code(), sandbox.issue_code()]
    with program(script, tmp_path, settings, codes) as till:
        said = till.hear()
        assert said == {
            "new": "REFUSED", "repeated": "PENDING", "recorded": "HookFailed", "ready": "HookFailed",
            "cancel": "HookFailed", "validate": "HookFailed", "refund": "HookFailed", "closed": "HookFailed",
            "message": None, "stop": None,
        }  # fmt: skip
        assert sandbox.pays(codes[1]) == 0

        other = ForkingTill(tmp_path, settings)
        other.plugins.on_start(other)
        other.pay("sale-3", sandbox.issue_code())
        other.plugins.on_stop()

        assert str(till.process.pid) in other.notices["payme.another_till"], "the parent is the leader still"


_HELPER = """
helper = FORK
if helper == 0:
    os.close(1)
    time.sleep(60)
say(helper)
till.pay("sale-1", codes[0])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_beside_a_helper_of_a_killed_till_the_restarted_one_leads(
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path
) -> None:
    with program(_HELPER.replace("FORK", "os.fork()"), tmp_path, settings, [sandbox.issue_code()]) as former:
        former.hear()
        former.process.wait(20)
        till = ForkingTill(tmp_path, settings)
        till.start()

        assert till.pay("sale-2", sandbox.issue_code()) is PaymentStatus.PAID
        till.plugins.on_stop()


def test_a_helper_that_a_host_in_c_forked_is_named_and_the_till_leads_after_its_end(
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path
) -> None:
    with program(_HELPER.replace("FORK", "fork_in_c()"), tmp_path, settings, [sandbox.issue_code()]) as former:
        helper = former.hear()
        former.process.wait(20)
        till = ForkingTill(tmp_path, settings)
        till.plugins.on_start(till)
        assert till.pay("sale-2", sandbox.issue_code()) is PaymentStatus.REFUSED
        assert str(helper) in till.notices["payme.another_till"]
        os.kill(helper, signal.SIGKILL)

        assert comes_true(lambda: till.pay("sale-3", sandbox.issue_code()) is PaymentStatus.PAID)
        assert till.notices["payme.another_till"] == ""
        till.plugins.on_stop()


def test_a_child_of_a_host_in_c_keeps_no_lock_once_it_has_called_a_hook(
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path
) -> None:
    script = """
if fork_in_c() == 0:
    till.plugins.payment_types()
    say("called")
    time.sleep(60)
time.sleep(60)
"""
    with program(script, tmp_path, settings, []) as former:
        former.hear()
        os.kill(former.process.pid, signal.SIGKILL)
        former.process.wait(20)
        till = ForkingTill(tmp_path, settings)
        till.start()

        assert till.pay("sale-1", sandbox.issue_code()) is PaymentStatus.PAID
        till.plugins.on_stop()


@FORKS
def test_the_normal_end_of_a_child_leaves_the_files_of_a_killed_parent_alone(
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path, fork: str
) -> None:
    script = """
till.pay("sale-1", codes[0])
if FORK == 0:
    say("forked")
    sys.stdin.readline()
    sys.exit()
time.sleep(60)
"""
    # The frames of a worker's thread would keep the journal in the child.
    idle = {**settings, "runWorker": "false"}
    with program(script.replace("FORK", fork), tmp_path, idle, [sandbox.issue_code()]) as till:
        till.hear()
        os.kill(till.process.pid, signal.SIGKILL)
        before = {file.name: file.read_bytes() for file in (tmp_path / "payme").glob(f"{FILE_NAME}*")}
        till.go_on()
        assert till.process.stdout is not None
        assert till.process.stdout.read() == "", "the child has ended"

    assert {file.name: file.read_bytes() for file in (tmp_path / "payme").glob(f"{FILE_NAME}*")} == before
    assert len(before) == 3


_AGAIN = """
till.pay("sale-1", codes[0])
if FORK == 0:
    child = ForkingTill(folder, settings)
    child.plugins = till.plugins
    child.plugins.on_start(child)
    say(child.pay("sale-2", codes[1]).name)
    say(os.getpid())
    sys.stdin.readline()
    child.plugins.on_start(child)
    say([child.pay("sale-3", codes[2]).name, child.book["sale-3"][0]])
    sys.stdin.readline()
    say([child.pay("sale-4", codes[3]).name, child.book["sale-4"][0]])
    sys.stdin.readline()
    os._exit(0)
time.sleep(60)
"""


# A fork that Python does not see leaves Python's own locks, e.g. of logging, as another thread held them.
@pytest.mark.parametrize("fork", ["os.fork()"])
def test_a_child_that_starts_again_leads_after_the_parents_end_and_its_commits_stay(
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path, fork: str
) -> None:
    codes = [sandbox.issue_code() for _ in range(4)]
    with program(_AGAIN.replace("FORK", fork), tmp_path, settings, codes) as till:
        assert till.hear() == "REFUSED", "the parent is the leader"
        till.hear()
        os.kill(till.process.pid, signal.SIGKILL)
        till.go_on()
        assert till.hear() == ["PAID", "paid"]
        # A process that closes the journal as its last user would delete the log.
        with closing(sqlite3.connect(tmp_path / "payme" / FILE_NAME)) as other:
            assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        till.go_on()
        assert till.hear() == ["PAID", "paid"]

        with closing(sqlite3.connect(tmp_path / "payme" / FILE_NAME)) as other:
            rows = other.execute("SELECT payment_id FROM payment WHERE state = 'recorded' ORDER BY payment_id")
            assert [row[0] for row in rows] == ["sale-1", "sale-3", "sale-4"]
            assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_helper_of_multiprocessing_forked_in_a_payment_changes_nothing(
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path
) -> None:
    script = """
import multiprocessing
def fork(name):
    if name == "in scan":
        helper = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0,))
        helper.start()
        helper.join()
        say(helper.exitcode)
till._reach = fork
say(till.pay("sale-1", codes[0]).name)
till.plugins.on_stop()
"""
    with program(script, tmp_path, settings, [sandbox.issue_code()]) as till:
        assert [till.hear(), till.hear()] == [0, "PAID"]


def test_a_child_that_returns_from_the_scan_is_not_the_hook(
    sandbox: Sandbox, settings: dict[str, str], tmp_path: Path
) -> None:
    script = """
def fork(name):
    if name == "in scan" and os.fork() != 0:
        os.wait()
till._reach = fork
parent = os.getpid()
try:
    said = till.pay("sale-1", codes[0]).name
except HookFailed:
    said = "HookFailed"
say([os.getpid() == parent, said])
os._exit(0)
"""
    code = sandbox.issue_code()
    with program(script, tmp_path, settings, [code]) as till:
        assert [till.hear(), till.hear()] == [[False, "REFUSED"], [True, "PAID"]]
    assert sandbox.pays(code) == 1
