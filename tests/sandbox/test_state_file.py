"""The state file: what the sandbox keeps across the end of its process, and files that it can't use."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from payme_plugin.sandbox import (
    Behaviour,
    BuyerAction,
    CancelPlan,
    EventKind,
    MerchantAccount,
    PhoneView,
    ReceiptAction,
    ReceiptView,
    Sandbox,
    StateFault,
    StateFileError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.sandbox import CodeView

ROOT = Path(__file__).parents[2]
NOW = 1_700_000_000_000

SERVE = """
import sys
from payme_plugin.sandbox import Sandbox
with Sandbox(state=sys.argv[1]) as sandbox:
    print(sandbox.origin, sandbox.pos_id, sandbox.pos_key, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Known:
    """What a sandbox knows, as far as anybody can ask."""

    accounts: tuple[MerchantAccount, ...]
    receipts: tuple[ReceiptView, ...]
    codes: list[tuple[CodeView, ReceiptView | None, int] | None]
    phones: list[PhoneView]
    pays: list[int]
    held: int
    keys: list[str]


def known(sandbox: Sandbox, codes: list[str], phones: list[str]) -> Known:
    return Known(
        sandbox.accounts,
        sandbox.receipts(),
        [sandbox.code(code) for code in codes],
        [sandbox.phone(phone_id) for phone_id in phones],
        [sandbox.pays(code) for code in codes],
        sandbox.held(),
        [account.pos_key for account in sandbox.accounts],
    )


def call(sandbox: Sandbox, method: str, pos_id: str | None = None, **params: object) -> Any:  # noqa: ANN401 - any JSON
    account = sandbox.bank.account(pos_id or sandbox.pos_id)
    assert account is not None
    body = json.dumps({"id": 1, "method": f"receipts.{method}", "params": params}).encode()
    arrival = sandbox.receive(body, f"{account.pos_id}:{account.pos_key}".encode(), 1)
    assert arrival.call is not None
    return sandbox.carry_out(arrival.call)


def create(sandbox: Sandbox, pos_id: str | None = None, **more: object) -> str:
    params = {"amount": 500, "account": {"order": "1 \ud800 ✓"}, "detail": {"items": [1, {"a": None}]}, **more}
    receipt_id: str = call(sandbox, "create", pos_id, **params)["result"]["receipt"]["_id"]
    return receipt_id


def test_a_second_sandbox_on_the_file_knows_all_that_the_first_one_knew(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Sandbox(state=state, clock=lambda: NOW) as sandbox:
        second = sandbox.add_account("shop-2", name="Магазин").pos_id
        phones = [sandbox.add_phone(10_000, card="9860123412341234").phone_id, sandbox.add_phone().phone_id]
        slow = Behaviour(BuyerAction.CONFIRMS, after_s=3.0, cancel=CancelPlan(turns_back_after_s=2.5))
        lacks = Behaviour(BuyerAction.LACKS_FUNDS)
        codes = [
            sandbox.issue_code(slow, phones[0]),
            sandbox.issue_code(lacks, phones[1]),
            "00770000000000000001",
            "\ud800",
        ]
        receipts = [create(sandbox), create(sandbox, second, description="\udfff"), create(sandbox), create(sandbox)]
        for receipt_id, code, pos_id in zip(receipts, codes, [None, second, None, None], strict=True):
            call(sandbox, "pay", pos_id, id=receipt_id, token=code)
        call(sandbox, "cancel", id=receipts[2])
        call(sandbox, "set_fiscal_data", id=receipts[3], fiscal_data={"receipt_id": 5, "qr_code_url": "u"})
        sandbox.plan_cancel(receipts[3], CancelPlan(refused_with=-31800))
        sandbox.act(receipts[1], ReceiptAction.PAY)
        before = known(sandbox, codes, phones)

    with Sandbox(state=state, clock=lambda: NOW) as again:
        assert known(again, codes, phones) == before
        assert call(again, "cancel", id=receipts[3])["result"]["receipt"]["state"] == 50
        assert create(again) not in receipts
    with Sandbox(state=state, clock=lambda: NOW + 3_000) as later:
        states = [receipt.state for receipt in later.receipts()]
        assert (states, later.held()) == ([4, 4, 50, 50, 0], 1_000)


def test_time_does_not_run_back_after_a_restart_with_an_earlier_clock(tmp_path: Path) -> None:
    with Sandbox(state=tmp_path / "state", clock=lambda: NOW) as sandbox:
        receipt_id, code = create(sandbox), sandbox.issue_code()
    with Sandbox(state=tmp_path / "state", clock=lambda: NOW - 3_600_000) as earlier:
        call(earlier, "pay", id=receipt_id, token=code)
        (receipt,) = earlier.receipts()
    with Sandbox(state=tmp_path / "state") as real:
        assert real.now_ms() >= NOW

    assert (receipt.state, receipt.paid_ms) == (4, NOW)
    times = [step.at_ms for step in receipt.steps]
    assert times == sorted(times)


def test_the_machines_clock_goes_on_from_the_latest_time_of_the_file(tmp_path: Path) -> None:
    future = 4_000_000_000_000
    with Sandbox(state=tmp_path / "state", clock=lambda: future) as sandbox:
        create(sandbox)
    with Sandbox(state=tmp_path / "state") as real:
        code = real.issue_code()
        issued = real.code(code)

        assert future <= real.now_ms() < future + 60_000
        assert issued is not None
        assert 29_000 < issued[2] <= 30_000


def test_nothing_that_was_answered_is_lost_by_sigkill(tmp_path: Path) -> None:
    state, seen = tmp_path / "state", []
    for _ in range(3):
        with subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-c", SERVE, str(state)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, encoding="utf-8",
        ) as process:  # fmt: skip
            assert process.stdout is not None
            origin, pos_id, pos_key = process.stdout.readline().split()
            with urllib3.PoolManager() as pool:
                for number in range(5):
                    document = {"id": number, "method": "receipts.create", "params": {"amount": 9, "account": {}}}
                    headers = {"X-Auth": f"{pos_id}:{pos_key}"}
                    answer = pool.request("POST", f"{origin}/api", body=json.dumps(document).encode(), headers=headers)
                    seen.append(json.loads(answer.data)["result"]["receipt"]["_id"])
                control = f"{origin}/sandbox/v1"
                code = json.loads(pool.request("POST", f"{control}/codes", body=b"{}").data)["code"]
                document = {"id": 1, "method": "receipts.pay", "params": {"id": seen[-1], "token": code}}
                pool.request("POST", f"{origin}/api", body=json.dumps(document).encode(), headers=headers)
            os.kill(process.pid, signal.SIGKILL)

    with Sandbox(state=state) as sandbox:
        receipts = sandbox.receipts()
    assert [receipt.receipt_id for receipt in receipts] == seen
    assert [receipt.state for receipt in receipts] == [0, 0, 0, 0, 4] * 3
    assert sandbox.held() == 27


def test_the_file_is_only_for_its_owner(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Sandbox(state=tmp_path / "state") as sandbox:
            create(sandbox)
            rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)

    assert set(rights) >= {"state", "state-wal", "state-lock"}
    assert set(rights.values()) == {0o600}


def test_a_second_sandbox_on_the_same_file_is_refused_until_the_first_one_stops(tmp_path: Path) -> None:
    with Sandbox(state=tmp_path / "state") as sandbox:
        create(sandbox)
        with pytest.raises(StateFileError) as refused:
            Sandbox(state=tmp_path / "state").start()
        create(sandbox)
    with Sandbox(state=tmp_path / "state") as second:
        assert len(second.receipts()) == 2

    assert refused.value.fault is StateFault.IN_USE


def test_a_stopped_sandbox_may_be_started_again_and_keeps_what_happened_meanwhile(tmp_path: Path) -> None:
    sandbox = Sandbox(state=tmp_path / "state")
    early = sandbox.issue_code()
    with sandbox:
        create(sandbox)
    late = sandbox.issue_code()
    with sandbox:
        create(sandbox)
    with Sandbox(state=tmp_path / "state") as again:
        assert len(again.receipts()) == 2
        assert again.code(early) is not None
        assert again.code(late) is not None


def test_the_key_of_the_file_stays_and_another_one_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    keys = []
    for given in ("k1", None, "k1"):
        with Sandbox(pos_id="till", pos_key=given, state=state) as sandbox:
            keys.append(sandbox.pos_key)
    before = state.read_bytes()

    with pytest.raises(StateFileError) as refused:
        Sandbox(pos_id="till", pos_key="k2", state=state).start()

    assert keys == ["k1", "k1", "k1"]
    assert (refused.value.fault, refused.value.path, refused.value.reason) == (StateFault.OTHER_KEY, state, "till")
    assert state.read_bytes() == before
    with Sandbox(pos_id="till", state=state) as sandbox:
        assert sandbox.pos_key == "k1"


def damage_rows(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE receipt SET document = '{}'")
    connection.close()


def change_member(path: Path, table: str, member: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {table} SET document = json_replace(document, ?, json('[1]'))", (f"$.{member}",))  # noqa: S608
    connection.close()


def orphan_code(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM receipt")
    connection.close()


def damage_pages(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def make_newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()


def another_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE journal (a)")
    connection.close()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (damage_rows, StateFault.DAMAGED),
        *(
            (partial(change_member, table=table, member=member), StateFault.DAMAGED)
            for table, member in (
                ("account", "pos_key"),
                ("phone", "balance"),
                ("code", "code"),
                ("receipt", "amount"),
                ("receipt", "account"),
            )
        ),
        (orphan_code, StateFault.DAMAGED),
        (damage_pages, StateFault.DAMAGED),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), StateFault.DAMAGED),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), StateFault.DAMAGED),
        (make_newer, StateFault.NEWER),
        (another_database, StateFault.FOREIGN),
        (lambda path: path.write_text("[Main]\n"), StateFault.FOREIGN),
        (lambda path: path.write_bytes(b"\0"), StateFault.FOREIGN),
    ],
)
def test_a_file_that_can_not_be_used_is_named_and_stays_as_it_is(
    tmp_path: Path, change: Callable[[Path], object], fault: StateFault
) -> None:
    state = tmp_path / "state"
    with Sandbox(state=state) as sandbox:
        phone_id = sandbox.add_phone().phone_id
        call(sandbox, "pay", id=create(sandbox), token=sandbox.issue_code(None, phone_id))
    change(state)
    before = state.read_bytes()

    with pytest.raises(StateFileError, match=str(state)) as refused:
        Sandbox(state=state).start()

    assert refused.value.fault is fault
    assert state.read_bytes() == before


def test_a_damaged_file_of_a_killed_sandbox_stays_as_it_is_with_its_write_ahead_log(tmp_path: Path) -> None:
    with Sandbox(state=tmp_path / "state") as sandbox:
        create(sandbox)
        for name in ("state", "state-wal"):
            (tmp_path / f"left-{name}").write_bytes((tmp_path / name).read_bytes())
    state, log = tmp_path / "left-state", tmp_path / "left-state-wal"
    damage_pages(state)
    before = state.read_bytes(), log.read_bytes()

    with pytest.raises(StateFileError):
        Sandbox(state=state).start()

    assert (state.read_bytes(), log.read_bytes()) == before


def test_no_lock_is_left_beside_a_file_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("[Main]\n")
    with pytest.raises(StateFileError):
        Sandbox(state=tmp_path / "conf").start()

    assert [path.name for path in tmp_path.iterdir()] == ["conf"]


@pytest.mark.parametrize("name", ["missing/state", ""])
def test_a_path_that_can_not_be_a_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(StateFileError) as refused:
        Sandbox(state=tmp_path / name).start()

    assert refused.value.fault is StateFault.UNUSABLE
    assert refused.value.reason


def test_an_empty_file_becomes_a_state_file(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with Sandbox(state=tmp_path / "state") as sandbox:
        create(sandbox)
    with Sandbox(state=tmp_path / "state") as again:
        assert len(again.receipts()) == 1


def test_what_can_not_be_written_is_an_error_and_is_written_with_the_next_change(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Sandbox(state=state) as sandbox:
        other = sqlite3.connect(state, isolation_level=None, timeout=0)
        assert sandbox._state is not None
        assert sandbox._state._connection is not None
        sandbox._state._connection.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        refused = call(sandbox, "create", amount=5, account={})
        with urllib3.HTTPConnectionPool("127.0.0.1", sandbox.port) as pool:
            answer = pool.urlopen("POST", "/sandbox/v1/codes", body=b"{}", retries=False)
        other.close()
        create(sandbox)

    with Sandbox(state=state) as again:
        assert len(again.receipts()) == 2
    assert (refused["error"]["code"], refused["id"]) == (-32400, 1)
    assert "can't be read or written" in refused["error"]["data"]
    assert (answer.status, json.loads(answer.data)["error"]["code"]) == (503, -32300)


def test_what_could_not_be_stored_is_shown_and_does_not_end_a_reader(tmp_path: Path) -> None:
    now_ms = NOW
    with Sandbox(state=tmp_path / "state", clock=lambda: now_ms) as sandbox:
        receipt_id = create(sandbox)
        assert sandbox._state is not None
        assert sandbox._state._connection is not None
        code = sandbox.issue_code(Behaviour(BuyerAction.CONFIRMS, after_s=3))
        call(sandbox, "pay", id=receipt_id, token=code)
        sandbox._state._connection.execute("PRAGMA query_only = 1")
        reader, _ = sandbox.subscribe()
        refused = call(sandbox, "create", amount=5, account={})
        now_ms += 5_000  # the buyer has confirmed
        events = list(iter(lambda: sandbox.next_event(reader, 0.2), None))
        sandbox._state._connection.execute("PRAGMA query_only = 0")
        create(sandbox)
    with Sandbox(state=tmp_path / "state") as again:
        assert len(again.receipts()) == 3

    assert refused["error"]["code"] == -32400
    assert [json.loads(one.data)["state"] for one in events if one.kind is EventKind.RECEIPT] == [0, 4]


def test_a_file_under_another_name_is_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("state")
    with Sandbox(state=tmp_path / "link") as sandbox:
        create(sandbox)
        with pytest.raises(StateFileError) as refused:
            Sandbox(state=tmp_path / "state").start()

    assert refused.value.fault is StateFault.IN_USE
    assert (tmp_path / "link").is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"link", "state", "state-lock"}


@pytest.mark.parametrize("has_lock", [False, True])
def test_a_device_or_pipe_stays_as_it_is(tmp_path: Path, has_lock: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    if has_lock:
        (tmp_path / "pipe-lock").touch()
    with pytest.raises(StateFileError) as refused:
        Sandbox(state=pipe).start()

    assert refused.value.fault is StateFault.UNUSABLE
    assert pipe.is_fifo()


def test_links_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(StateFileError):
        Sandbox(state=tmp_path / "one").start()

    assert (tmp_path / "one").is_symlink()


def test_a_start_that_fails_leaves_the_file_to_the_next_one(tmp_path: Path) -> None:
    failed = Sandbox(state=tmp_path / "state", certfile=tmp_path / "missing.pem")
    with pytest.raises(FileNotFoundError):
        failed.start()
    with Sandbox(state=tmp_path / "state") as sandbox:
        create(sandbox)


def test_a_new_file_takes_the_place_of_no_other_one(tmp_path: Path) -> None:
    (tmp_path / "state-new").write_text("of somebody else")
    with Sandbox(state=tmp_path / "state") as sandbox:
        create(sandbox)

    assert (tmp_path / "state-new").read_text() == "of somebody else"
    assert {path.name for path in tmp_path.iterdir()} == {"state", "state-lock", "state-new"}
